//! Extended headers of tar: what pax writes as records, and what GNU writes as long names. Pure.
//! They change the one member they precede, and never each other.

use nix::sys::time::TimeSpec;

/// What extended headers say of the next member.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Extension {
    /// Its name.
    pub(super) path: Option<Vec<u8>>,
    /// Where it points.
    pub(super) target: Option<Vec<u8>>,
    /// Its length in bytes.
    pub(super) size: Option<u64>,
    /// When it was changed last.
    pub(super) mtime: Option<TimeSpec>,
    /// Whether it is written without its holes.
    pub(super) is_sparse: bool,
}

/// Reads the records of a pax header. A later record of one keyword wins, an empty value takes it back;
/// other keywords (owner, attributes, comment) are ignored.
///
/// # Errors
/// What is malformed.
pub(super) fn records(mut bytes: &[u8]) -> Result<Extension, &'static str> {
    let mut extension = Extension::default();
    while !bytes.is_empty() {
        let (keyword, value, rest) = record(bytes).ok_or("its extended header is malformed")?;
        bytes = rest;
        let has_value = !value.is_empty();
        match keyword {
            b"path" => extension.path = has_value.then(|| value.to_vec()),
            b"linkpath" => extension.target = has_value.then(|| value.to_vec()),
            b"size" if has_value => {
                let size = digits(value).ok_or("its extended header has a malformed size")?;
                extension.size = Some(size);
            }
            b"size" => extension.size = None,
            b"mtime" if has_value => {
                let time = time(value).ok_or("its extended header has a malformed time")?;
                extension.mtime = Some(time);
            }
            b"mtime" => extension.mtime = None,
            b"SCHILY.realsize" => extension.is_sparse = true,
            _ if keyword.starts_with(b"GNU.sparse.") => extension.is_sparse = true,
            _ => {}
        }
    }
    Ok(extension)
}

/// Splits `LENGTH KEYWORD=VALUE\n` from what follows. Only the length ends a record: a value may hold
/// anything.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(digits(&bytes[..space])?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|byte| *byte == b'=')?;
    (equals > 0).then(|| (&body[..equals], &body[equals + 1..], rest))
}

/// A decimal number without sign.
fn digits(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| str::from_utf8(text).ok()?.parse().ok())?
}

/// Seconds since 1970, maybe negative, maybe with a fraction; what is finer than a nanosecond is cut off.
fn time(text: &[u8]) -> Option<TimeSpec> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, b"".as_slice()),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanoseconds = fraction.to_vec();
    nanoseconds.resize(9, b'0');
    let seconds = i64::try_from(digits(whole)?).ok()?;
    let nanoseconds = i64::try_from(digits(&nanoseconds)?).ok()?;
    Some(match (is_negative, nanoseconds) {
        (false, _) => TimeSpec::new(seconds, nanoseconds),
        (true, 0) => TimeSpec::new(-seconds, 0),
        // The fraction of a timespec counts forwards.
        (true, _) => TimeSpec::new(-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::samples::pax_records;
    use super::*;

    #[test]
    fn known_keywords_are_read_and_others_ignored() {
        let bytes = pax_records(&[
            ("path", b"a\nb=c \xff"),
            ("linkpath", b"t"),
            ("size", b"12"),
            ("mtime", b"1.5"),
            ("uid", b"0"),
            ("SCHILY.xattr.user.x", b"\0\n"),
            ("comment", b"x"),
        ]);
        let expected = Extension {
            path: Some(b"a\nb=c \xff".to_vec()),
            target: Some(b"t".to_vec()),
            size: Some(12),
            mtime: Some(TimeSpec::new(1, 500_000_000)),
            is_sparse: false,
        };
        assert_eq!(records(&bytes), Ok(expected));
    }

    #[test]
    fn the_last_record_wins_and_an_empty_one_takes_back() {
        let bytes = pax_records(&[
            ("path", b"a"),
            ("size", b"1"),
            ("path", b"b"),
            ("size", b""),
        ]);
        let extension = records(&bytes).unwrap();
        assert_eq!(extension.path.as_deref(), Some(b"b".as_slice()));
        assert_eq!(extension.size, None);
    }

    #[test]
    fn sparse_files_are_noticed() {
        for keyword in ["GNU.sparse.major", "GNU.sparse.name", "SCHILY.realsize"] {
            assert!(records(&pax_records(&[(keyword, b"1")])).unwrap().is_sparse);
        }
    }

    #[test]
    fn malformed_records_are_refused() {
        for bytes in [
            b"x".as_slice(),
            b"11 path=abc",
            b"9 path=abc\n",
            b"99 path=abc\n",
            b"+12 path=abc\n",
            b"0 ",
            b"3 \n",
            b"5 =a\n",
            b"7 path\n",
            b"99999999999999999999999 path=a\n",
            b"\0\0\0",
        ] {
            records(bytes).unwrap_err();
        }
        for value in [b"-1".as_slice(), b"0x1", b"1 ", b"99999999999999999999"] {
            records(&pax_records(&[("size", value)])).unwrap_err();
        }
        for value in [
            b"1.x".as_slice(),
            b".5",
            b"--1",
            b"1e3",
            b"99999999999999999999",
        ] {
            records(&pax_records(&[("mtime", value)])).unwrap_err();
        }
    }

    #[test]
    fn times_before_1970_count_backwards() {
        assert_eq!(time(b"-1"), Some(TimeSpec::new(-1, 0)));
        assert_eq!(time(b"-1.25"), Some(TimeSpec::new(-2, 750_000_000)));
        assert_eq!(time(b"0.0000000019"), Some(TimeSpec::new(0, 1)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes: Vec<u8>) {
            let _ = records(&bytes);
        }
    }
}
