//! The names that podinit may make in its directory. Pure.

use std::fmt;

use crate::base::file::MAX_NAME;
use crate::base::text::one_line;

/// Why a segment cannot be a file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfit {
    segment: String,
    reason: &'static str,
}

impl fmt::Display for Unfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {}", one_line(&self.segment), self.reason)
    }
}

/// Whether `segment` may be the name of one file or directory.
pub(super) fn check_segment(segment: &str) -> Result<(), Unfit> {
    let reason = if segment.is_empty() {
        "is an empty name"
    } else if segment == "." {
        "is no name of a file"
    } else if segment.starts_with("..") {
        "begins with `..`, as podinit's own names do"
    } else if segment.len() > MAX_NAME {
        "is longer than 255 bytes"
    } else if segment.chars().any(char::is_control) {
        "holds a control character"
    } else if segment.contains('/') {
        "holds a `/`"
    } else {
        return Ok(());
    };
    Err(Unfit {
        segment: segment.to_string(),
        reason,
    })
}

/// Whether `path` is relative and each of its segments may be a name.
pub(super) fn check_path(path: &str) -> Result<(), Unfit> {
    path.split('/').try_for_each(check_segment)
}

/// The name at the top of the directory: the link through which `path` is read.
pub(super) fn top(path: &str) -> &str {
    path.split_once('/').map_or(path, |(top, _)| top)
}

/// Two outputs that cannot both be there: one name twice, or `a` beside `a/b`.
pub(super) fn clash<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<(&'a str, &'a str)> {
    let mut names: Vec<(Vec<&str>, &str)> = names
        .into_iter()
        .map(|name| (name.split('/').collect(), name))
        .collect();
    names.sort();
    names
        .windows(2)
        .find(|pair| pair[1].0.starts_with(&pair[0].0))
        .map(|pair| (pair[0].1, pair[1].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_directory() {
        for good in ["a", "a.b", ".env", "a=b?c#d", "a b", "é", &"x".repeat(255)] {
            assert_eq!(check_segment(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "..data",
            "..x",
            "a/b",
            "a\nb",
            "a\0",
            &"x".repeat(256),
        ] {
            assert!(check_segment(bad).is_err(), "{bad:?}");
        }
        assert_eq!(check_path("a/b/c"), Ok(()));
        for bad in ["/a", "a//b", "a/./b", "a/../b", "a/"] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
        assert_eq!((top("a/b"), top("a")), ("a", "a"));
    }

    #[test]
    fn a_file_beside_a_directory_of_its_name_is_a_clash() {
        assert_eq!(clash(["b", "a", "a"]), Some(("a", "a")));
        assert_eq!(clash(["a/b", "a-b", "a"]), Some(("a", "a/b")));
        assert_eq!(clash(["a/b", "a/c", "ab", "a-b"]), None);
    }
}
