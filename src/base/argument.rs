//! What a value parser says of an argument that it refuses.

use std::fmt;

use super::text::one_line;

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

/// Reads a file mode: octal digits, at most 0777.
///
/// # Errors
/// What is wrong with it.
pub fn read_mode(text: &str) -> Result<u32, String> {
    let is_octal = !text.is_empty() && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| is_octal && *mode <= 0o777)
        .ok_or_else(|| "is not octal, or more than 0777".to_string())
}

/// Reads `UID:GID`, the value of --owner.
///
/// # Errors
/// Anything but two numbers that a kernel takes for owners.
pub fn owner(text: &str) -> Result<(u32, u32), BadArgument> {
    let number = |digits: &str| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        // The highest number means "unchanged" to the kernel.
        digits
            .parse()
            .ok()
            .filter(|id| is_number && *id != u32::MAX)
    };
    text.split_once(':')
        .and_then(|(user, group)| number(user).zip(number(group)))
        .ok_or_else(|| BadArgument {
            reason: format!("--owner `{}` is not UID:GID", one_line(text)),
            hint: "write two numbers, such as 1000:1000".to_string(),
        })
}
