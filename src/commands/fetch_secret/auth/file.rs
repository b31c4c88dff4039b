//! Credentials in files: one line, without the white space that editors and mounts add.

use std::io::Read as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;

/// A longer file is no credential; bytes.
const MAX_CREDENTIAL: u64 = 1 << 20;

/// Reads a token, a JWT or an ID: printable ASCII, trimmed.
///
/// # Errors
/// `Usage`, which names flag and file, never the content.
pub(super) fn credential(path: &Path, flag: &str) -> Result<Secret, Failure> {
    let bytes = read(path, flag)?;
    printable(&bytes).map_err(|failure| named(failure, path, flag))
}

/// What may be sent as a header or an ID.
pub(super) fn printable(bytes: &[u8]) -> Result<Secret, Failure> {
    let trimmed = bytes.trim_ascii();
    if trimmed.is_empty() {
        return Err(Failure::new(Kind::Usage, "it is empty"));
    }
    if !trimmed.iter().all(u8::is_ascii_graphic) {
        return Err(Failure::new(
            Kind::Usage,
            "it holds more than one word of printable ASCII",
        ));
    }
    Ok(Secret::new(trimmed))
}

/// Reads a password: any UTF-8, without one final newline.
///
/// # Errors
/// `Usage`, which names flag and file, never the content.
pub(super) fn password(path: &Path, flag: &str) -> Result<Secret, Failure> {
    let bytes = read(path, flag)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let wrong = if line.is_empty() {
        "it is empty"
    } else if std::str::from_utf8(line).is_err() {
        "it is not UTF-8"
    } else {
        return Ok(Secret::new(line));
    };
    Err(named(Failure::new(Kind::Usage, wrong), path, flag))
}

fn named(failure: Failure, path: &Path, flag: &str) -> Failure {
    failure.context(format!("read {flag} {}", path.display()))
}

fn read(path: &Path, flag: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |error: std::io::Error| {
        named(Failure::caused_by(Kind::Usage, error), path, flag)
            .hint("check the path and the volume it is on")
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_CREDENTIAL + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_CREDENTIAL {
        return Err(named(
            Failure::new(Kind::Usage, "it is longer than 1 MiB"),
            path,
            flag,
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_trimmed_and_the_rest_has_to_be_one_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        for (content, read) in [
            ("s.abc\n", Some("s.abc")),
            ("  s.abc \r\n\n", Some("s.abc")),
            ("s.abc\ndef", None),
            ("s.äbc", None),
            (" \n", None),
        ] {
            std::fs::write(&file, content).unwrap();
            let result = credential(&file, "--token-file");
            match (result, read) {
                (Ok(secret), Some(read)) => assert_eq!(secret.expose(), read.as_bytes()),
                (Err(failure), None) => {
                    assert_eq!(failure.kind(), Kind::Usage);
                    let words = failure.to_string();
                    assert!(words.contains("--token-file") && !words.contains("s.abc"));
                }
                (result, _) => panic!("{content:?}: {}", result.is_ok()),
            }
        }
    }

    #[test]
    fn a_password_loses_one_newline_and_no_space() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        for (content, read) in [("pw \n", "pw "), ("pw\n\n", "pw\n"), ("pä", "pä")] {
            std::fs::write(&file, content).unwrap();
            let secret = password(&file, "--password-file").unwrap();
            assert_eq!(secret.expose(), read.as_bytes());
        }
        std::fs::write(&file, "\n").unwrap();
        assert!(password(&file, "--password-file").is_err());
    }
}
