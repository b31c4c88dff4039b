//! `--http-status` and `--http-fatal`: lists of status codes and ranges.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::base::argument::BadArgument;
use crate::base::text::one_line;

/// The codes that HTTP knows.
const CODES: RangeInclusive<u16> = 100..=599;

/// Codes and ranges, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusList(Vec<RangeInclusive<u16>>);

impl StatusList {
    /// Whether a status is on the list.
    pub(super) fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    /// A status that is on both lists.
    pub(super) fn shared_with(&self, other: &Self) -> Option<u16> {
        CODES
            .into_iter()
            .find(|code| self.contains(*code) && other.contains(*code))
    }
}

impl FromStr for StatusList {
    type Err = BadArgument;

    fn from_str(text: &str) -> Result<Self, BadArgument> {
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        ranges.map(Self).ok_or_else(|| BadArgument {
            reason: format!("`{}` is no list of HTTP statuses", one_line(text)),
            hint: "write codes of 100 to 599 and ranges of them, such as 200-299,404".to_string(),
        })
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let code = |digits: &str| {
        let is_number = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .parse()
            .ok()
            .filter(|code| is_number && CODES.contains(code))
    };
    let (from, to) = text
        .trim()
        .split_once('-')
        .unwrap_or((text.trim(), text.trim()));
    let range = code(from)?..=code(to)?;
    (!range.is_empty()).then_some(range)
}

impl fmt::Display for StatusList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let (from, to) = (range.start(), range.end());
            if from == to {
                write!(formatter, "{comma}{from}")?;
            } else {
                write!(formatter, "{comma}{from}-{to}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> StatusList {
        text.parse().unwrap()
    }

    #[test]
    fn lists_are_codes_and_ranges_of_real_statuses() {
        let read = list("200-299, 404");
        assert!(read.contains(200) && read.contains(299) && read.contains(404));
        assert!(!read.contains(300) && !read.contains(199));
        assert_eq!(read.to_string(), "200-299,404");
        for wrong in [
            "",
            "99",
            "600",
            "abc",
            "300-200",
            "200,",
            "0200",
            "+20",
            "200-",
            "2e2",
            "200-299-300",
        ] {
            assert!(wrong.parse::<StatusList>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_status_on_both_lists_is_found() {
        assert_eq!(list("200-499").shared_with(&list("404")), Some(404));
        assert_eq!(list("200-399").shared_with(&list("400-599")), None);
    }
}
