//! Sizes as they are written on a command line: `8MiB`, `100MB`, `4096`.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// How a size is written.
pub const HINT: &str = "write a number of bytes, or one with a unit: 8MiB, 100MB, 2GiB";

/// Units in bytes. A bare `K` or `M` is left out: nobody knows which of two it means.
const UNITS: [(&str, u64); 11] = [
    ("", 1),
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("pib", 1 << 50),
];

/// What is wrong with a size that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSize;

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Self, BadSize> {
        let letters = text
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(text.len());
        let number: u64 = text[..letters].parse().map_err(|_| BadSize)?;
        let unit = text[letters..].trim_start().to_ascii_lowercase();
        let (_, bytes) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(BadSize)?;
        number.checked_mul(*bytes).map(Self).ok_or(BadSize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_documented() {
        for (text, bytes) in [
            ("8MiB", 8 << 20),
            ("100MB", 100_000_000),
            ("4096", 4096),
            ("0", 0),
            ("1 GiB", 1 << 30),
            ("5kb", 5_000),
            ("7B", 7),
            ("2TiB", 2 << 40),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for bad in [
            "",
            "MiB",
            "-1",
            "+1",
            "1.5GiB",
            "8M",
            "8K",
            "8 mi b",
            "99999999999999999999",
            "18446744073709551615KiB",
            "1é",
        ] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
