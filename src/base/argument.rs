//! What a value parser says of an argument that it refuses.

use std::fmt;

/// A refused argument. Only the parser knows which part may be repeated in a message and which is
/// secret, so its words are used alone, without clap's quotation of the whole value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadArgument {
    /// Which argument, and what is wrong with it.
    pub reason: String,
    /// The right spelling.
    pub hint: String,
}

impl fmt::Display for BadArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for BadArgument {}
