//! Secret files of the command line: lines of headers, a user and password, a token. Read whole, checked,
//! and never quoted.

use std::io::Read as _;
use std::path::Path;

use ::http::HeaderMap;
use ::http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::base::failure::{Failure, Kind};

/// A longer file is a mistake; bytes.
const MAX_FILE: u64 = 64 << 10;

/// Headers that every request makes itself.
const OWN: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "te",
    "transfer-encoding",
];

/// The headers of both files, each marked as secret.
///
/// # Errors
/// `Usage`; a line is named by its number, never quoted.
pub(super) fn headers(
    header_file: Option<&Path>,
    basic_auth_file: Option<&Path>,
) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    if let Some(path) = header_file {
        let text = read(path)?;
        parse_headers(&text, &mut headers)
            .map_err(|failure| failure.context(format!("read {}", path.display())))?;
    }
    if let Some(path) = basic_auth_file {
        let text = read(path)?;
        let value =
            basic(&text).map_err(|failure| failure.context(format!("read {}", path.display())))?;
        if headers.insert(AUTHORIZATION, value).is_some() {
            return Err(Failure::new(
                Kind::Usage,
                "--header-file and --basic-auth-file both say Authorization",
            )
            .hint("leave one of them out"));
        }
    }
    Ok(headers)
}

fn parse_headers(text: &str, headers: &mut HeaderMap) -> Result<(), Failure> {
    const HINT: &str = "write lines of `Name: value`";
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |reason: &str| {
            Failure::new(Kind::Usage, format!("line {} {reason}", number + 1)).hint(HINT)
        };
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("has no colon"))?;
        let name: HeaderName = name
            .trim_end()
            .parse()
            .map_err(|_| wrong("does not begin with a header's name"))?;
        if OWN.contains(&name.as_str()) {
            return Err(wrong("has a header that podinit sets itself")
                .hint("leave Host, Range, If-…, Accept-Encoding and framing to podinit"));
        }
        let mut value = HeaderValue::from_bytes(value.trim().as_bytes())
            .map_err(|_| wrong("has a control character in its value"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(())
}

fn basic(text: &str) -> Result<HeaderValue, Failure> {
    let mut lines = text.lines();
    let pair = lines.next().unwrap_or_default();
    let is_one = lines.all(|line| line.trim().is_empty());
    if !pair.contains(':') || !is_one {
        return Err(Failure::new(Kind::Usage, "not one line of user:password")
            .hint("write one line: user:password"));
    }
    let encoded = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair)));
    let mut value =
        HeaderValue::from_str(&encoded).map_err(|error| Failure::caused_by(Kind::Bug, error))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A small text file.
///
/// # Errors
/// `Usage` for one that cannot be read, is too long or no text.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let context = || format!("read {}", path.display());
    let fail = |reason: String| Failure::new(Kind::Usage, reason).context(context());
    let mut text = Zeroizing::new(String::new());
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => fail("not a text".to_string()),
            _ => fail(error.to_string()),
        })?;
    if read as u64 > MAX_FILE {
        return Err(fail(format!("longer than {} KiB", MAX_FILE >> 10)));
    }
    Ok(text)
}

/// What no message may quote of these headers: the values, and what stands behind their scheme.
pub(super) fn secrets(headers: &HeaderMap) -> Vec<String> {
    let mut secrets = Vec::new();
    for value in headers.values() {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        if let Some((_, credential)) = text.split_once(' ') {
            if let Ok(pair) = STANDARD.decode(credential) {
                let pair = String::from_utf8_lossy(&pair).into_owned();
                secrets.extend(
                    pair.split_once(':')
                        .map(|(_, password)| password.to_string()),
                );
                secrets.push(pair);
            }
            secrets.push(credential.to_string());
        }
        secrets.push(text);
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        parse_headers(text, &mut headers).map_err(|failure| {
            assert_eq!(failure.kind(), Kind::Usage);
            failure.to_string()
        })?;
        Ok(headers)
    }

    #[test]
    fn lines_become_headers_and_are_never_shown() {
        let headers = parsed("Authorization: Bearer hunter2\r\n\nX-Key:a:b \nX-Key: c").unwrap();
        let values: Vec<_> = headers.get_all("x-key").iter().collect();
        assert_eq!(values, ["a:b", "c"]);
        assert_eq!(headers["authorization"], "Bearer hunter2");
        assert!(!format!("{headers:?}").contains("hunter2"));
        assert!(secrets(&headers).contains(&"hunter2".to_string()));
        for wrong in [
            "hunter2",
            "hun ter2: x",
            "a: b\nhunter2",
            "Range: hunter2",
            "HOST: hunter2",
            "a: hunter2\u{7}",
        ] {
            let reason = parsed(wrong).unwrap_err();
            assert!(
                reason.starts_with("line ") && !reason.contains("hunter2"),
                "{reason}"
            );
        }
    }

    #[test]
    fn a_pair_becomes_a_basic_login() {
        assert_eq!(
            basic("user:pass:word\n").unwrap(),
            "Basic dXNlcjpwYXNzOndvcmQ="
        );
        for wrong in ["", "hunter2", "a:b\nhunter2:x"] {
            assert!(!basic(wrong).unwrap_err().to_string().contains("hunter2"));
        }
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, basic("user:hunter2").unwrap());
        assert!(secrets(&headers).contains(&"hunter2".to_string()));
    }

    #[test]
    fn one_authorization_is_enough_and_a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        crate::commands::fetch_object::source::testing::put(&path("h"), "Authorization: x");
        crate::commands::fetch_object::source::testing::put(&path("b"), "u:p");
        assert!(headers(Some(&path("h")), None).is_ok());
        let failure = headers(Some(&path("h")), Some(&path("b"))).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
        let failure = headers(None, Some(&path("none"))).unwrap_err();
        assert!(
            failure.to_string().contains("none: No such file"),
            "{failure}"
        );
    }
}
