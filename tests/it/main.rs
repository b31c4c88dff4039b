//! The one integration binary: the real executable against the real kernel and real servers.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a broken harness must stop its test at once and say why"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the doors are the executable's; its tests prepare and inspect the world around it"
)]
#![expect(
    unreachable_pub,
    reason = "in one binary `pub` marks what other modules may use"
)]

mod architecture;
mod contract;
mod docs;
mod fetch_secret;
mod manifests;
mod support;
mod sysctl;
mod wait_for;
