//! The lines of `--sha256-file`. Pure.

use std::collections::HashMap;

use super::digest::Sha256;
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;

/// A longer file is a mistake; bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Digests {
    /// One bare digest, for whatever one object is fetched.
    Bare(Sha256),
    /// Digests by names.
    Named(HashMap<Vec<u8>, Sha256>),
}

/// Reads the lines `HEX  NAME` and `HEX *NAME`, or one bare `HEX`.
///
/// # Errors
/// `Corrupt`, with the number of the line that is neither.
pub(super) fn parse(bytes: &[u8]) -> Result<Digests, Failure> {
    let wrong = |number: usize, reason: &str| {
        Failure::new(Kind::Corrupt, format!("line {number} {reason}"))
            .hint("lines are `HEX  NAME` or `HEX *NAME`, as sha256sum writes them, or one bare HEX")
    };
    let mut named = HashMap::new();
    let mut bare = None;
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            continue;
        }
        // A name in which something had to be escaped is marked at the beginning of its line.
        let (line, is_escaped) = match line.strip_prefix(b"\\") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        let end = line
            .iter()
            .position(u8::is_ascii_whitespace)
            .unwrap_or(line.len());
        let digest = str::from_utf8(&line[..end])
            .ok()
            .and_then(|text| text.parse::<Sha256>().ok())
            .ok_or_else(|| wrong(at + 1, "does not begin with a SHA-256"))?;
        match name(&line[end..]) {
            None => {
                if bare.replace(digest).is_some() {
                    return Err(wrong(at + 1, "is a second digest without a name"));
                }
            }
            Some(name) => {
                let name = if is_escaped {
                    unescape(name)
                } else {
                    name.to_vec()
                };
                let key = name.strip_prefix(b"./").unwrap_or(&name).to_vec();
                if named.insert(key, digest).is_some_and(|old| old != digest) {
                    let reason = format!(
                        "gives `{}` another digest than an earlier line",
                        one_line(&String::from_utf8_lossy(&name))
                    );
                    return Err(wrong(at + 1, &reason));
                }
            }
        }
    }
    match (bare, named.is_empty()) {
        (Some(digest), true) => Ok(Digests::Bare(digest)),
        (None, false) => Ok(Digests::Named(named)),
        (Some(_), false) => Err(Failure::new(
            Kind::Corrupt,
            "a digest without a name stands beside some with names",
        )),
        (None, true) => Err(Failure::new(Kind::Corrupt, "there is no digest in it")),
    }
}

/// What follows the digest: a space, then a space or the star of binary mode, then the name.
fn name(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let name = match rest {
        [b' ' | b'*', name @ ..] => name,
        _ => rest.trim_ascii_start(),
    };
    (!name.trim_ascii().is_empty()).then_some(name)
}

fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(other) => other,
                None => b'\\',
            },
            byte => byte,
        });
    }
    plain
}

impl Digests {
    /// The digest of the object of this name; `is_only` if no other object is fetched.
    ///
    /// # Errors
    /// `Missing` if the file does not have it.
    pub(super) fn of(&self, name: &[u8], is_only: bool) -> Result<Sha256, Failure> {
        let found = match self {
            Self::Bare(digest) => is_only.then_some(*digest),
            Self::Named(named) => named.get(name).copied(),
        };
        found.ok_or_else(|| {
            let reason = match self {
                Self::Bare(_) => {
                    "it has one digest without a name, and there are several objects".to_string()
                }
                Self::Named(_) => format!(
                    "it has no digest for `{}`",
                    one_line(&String::from_utf8_lossy(name))
                ),
            };
            Failure::new(Kind::Missing, reason)
                .hint("names are relative to the prefix, else the object's last segment")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    const TWO: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn found(text: &str, name: &str) -> Option<String> {
        let digests = parse(text.as_bytes()).unwrap();
        digests
            .of(name.as_bytes(), true)
            .ok()
            .map(|digest| digest.to_string())
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        for (line, name) in [
            (format!("{ONE}  big"), "big"),
            (format!("{ONE} *big\r\n"), "big"),
            (format!("{ONE} big"), "big"),
            (format!("{ONE}  ./a/b"), "a/b"),
            (format!("{}  a b ", ONE.to_uppercase()), "a b "),
            (format!("\\{ONE}  a\\nb\\\\c"), "a\nb\\c"),
            (format!("{ONE}   x"), " x"),
            (format!("{ONE}\n\n"), "anything"),
        ] {
            assert_eq!(found(&line, name).as_deref(), Some(ONE), "{line:?}");
        }
        let both = format!("{ONE}  a\n{TWO}  b\n");
        assert_eq!(found(&both, "b").as_deref(), Some(TWO));
        assert_eq!(found(&both, "c"), None);
    }

    #[test]
    fn a_bare_digest_is_for_one_object() {
        let digests = parse(ONE.as_bytes()).unwrap();
        let failure = digests.of(b"a", false).unwrap_err();
        assert_eq!(failure.kind(), Kind::Missing);
    }

    #[test]
    fn anything_else_is_no_such_file() {
        for text in [
            "",
            "<html>",
            &format!("{ONE}\n{TWO}\n"),
            &format!("{ONE}  a\n{TWO}\n"),
            &format!("{ONE}  a\n{TWO}  a\n"),
            &ONE[1..],
        ] {
            let failure = parse(text.as_bytes()).unwrap_err();
            assert_eq!(failure.kind(), Kind::Corrupt, "{text}");
        }
        // Twice the same is no contradiction.
        assert!(parse(format!("{ONE}  a\n{ONE}  a\n").as_bytes()).is_ok());
    }
}
