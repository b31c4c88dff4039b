//! What this side puts in the way of a connection: carried as an error through the HTTP library, and
//! found again in the chain of causes.

use std::fmt;

use crate::base::failure::{Failure, Kind};

/// A classified reason that survives the way through a library's error.
#[derive(Debug, Clone)]
pub(super) struct Obstacle {
    pub(super) kind: Kind,
    pub(super) words: String,
    pub(super) hint: &'static str,
}

impl Obstacle {
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.kind, self.words.clone()).hint(self.hint)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.words)
    }
}

impl std::error::Error for Obstacle {}
