//! `NAME='value'` lines that a POSIX shell reads with `.`.

use super::{Bytes, Format};
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;
use crate::commands::fetch_secret::answer::{Fetched, null};

pub(super) const FORMAT: Format = Format {
    name: "env",
    extension: Some(".env"),
    about: "NAME='value' lines for a POSIX shell",
    write,
};

fn write(fetched: &Fetched) -> Result<Bytes, Failure> {
    lines(fetched, |_, value| {
        let mut quoted = Bytes::new(Vec::with_capacity(value.len()));
        for byte in value {
            match byte {
                b'\'' => quoted.extend_from_slice(b"'\\''"),
                byte => quoted.push(*byte),
            }
        }
        Ok(quoted)
    })
}

/// The lines, with the value between their quotes as `quote` writes it.
pub(super) fn lines(
    fetched: &Fetched,
    quote: impl Fn(&str, &[u8]) -> Result<Bytes, Failure>,
) -> Result<Bytes, Failure> {
    let mut bytes = Bytes::new(Vec::new());
    for (key, value) in fetched.entries()? {
        if !is_name(key) {
            return Err(unfit(key, "is no name of an environment variable"));
        }
        let value = value.bytes().ok_or_else(|| null(key, &fetched.from))?;
        if value.contains(&0) {
            return Err(unfit(key, "has a NUL in its value"));
        }
        bytes.extend_from_slice(key.as_bytes());
        bytes.extend_from_slice(b"='");
        bytes.extend_from_slice(&quote(key, &value)?);
        bytes.extend_from_slice(b"'\n");
    }
    Ok(bytes)
}

/// The failure of a key that this format cannot say.
pub(super) fn unfit(key: &str, reason: &str) -> Failure {
    Failure::new(
        Kind::Corrupt,
        format!("the key `{}` {reason}", one_line(key)),
    )
    .hint("use another format, such as json, or FILE=PATH#KEY for single keys")
}

/// `[A-Za-z_][A-Za-z0-9_]*`
fn is_name(key: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    key.bytes().all(is_word)
        && key
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;

    #[test]
    fn values_are_quoted_so_that_a_shell_leaves_them_alone() {
        assert_eq!(
            written(&FORMAT, r#"{"A":"it's $HOME `x`\n","_Foo_1":7,"B":["x"]}"#).unwrap(),
            "A='it'\\''s $HOME `x`\n'\n_Foo_1='7'\nB='[\"x\"]'\n"
        );
    }

    #[test]
    fn what_is_no_name_or_has_no_value_is_refused_without_its_value() {
        for (data, kind) in [
            (r#"{"7th":"hunter2"}"#, Kind::Corrupt),
            (r#"{"FOO BAR":"hunter2"}"#, Kind::Corrupt),
            (r#"{"FOO-BAR":"hunter2"}"#, Kind::Corrupt),
            (r#"{"FOO_🐶":"hunter2"}"#, Kind::Corrupt),
            (r#"{"":"hunter2"}"#, Kind::Corrupt),
            (r#"{"A":"hunter2\u0000"}"#, Kind::Corrupt),
            (r#"{"A":null}"#, Kind::Missing),
        ] {
            let failure = written(&FORMAT, data).unwrap_err();
            assert_eq!(failure.kind(), kind, "{data}");
            assert!(!failure.to_string().contains("hunter2"));
        }
    }
}
