//! The one integration binary: the real executable against the real kernel and real servers.
#![expect(
    missing_docs,
    reason = "test helpers are read beside their callers, not as an API"
)]

mod support;
