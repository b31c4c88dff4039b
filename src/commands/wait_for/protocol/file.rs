//! `file://`: a file or directory that exists, and has grown.

use std::io::ErrorKind;
use std::path::PathBuf;

use async_trait::async_trait;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::connect::io_words;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("file", None, false)],
    shape: Shape::Path,
    keys: &["min-size"],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "file:///data/model.bin?min-size=8MiB",
    about: "it exists, directories too, and has that size",
    prepare,
};

struct File {
    path: PathBuf,
    min_size: u64,
}

fn prepare(target: &Target, _: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let min_size = match target.text("min-size")? {
        None => 0,
        Some(text) => read_size(text).ok_or_else(|| {
            target.wrong("?min-size= is no size", "write it like 512, 100MB or 8MiB")
        })?,
    };
    let path = target.file_path()?;
    Ok(Box::new(File { path, min_size }))
}

#[async_trait(?Send)]
impl Probe for File {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let path = self.path.clone();
        attempt
            .stage
            .asking(&path.display().to_string(), "the file system's answer");
        // A network file system may hang, and nothing but a thread of its own can wait for it.
        let looked = tokio::task::spawn_blocking(move || std::fs::metadata(path));
        let size = match looked.await {
            Ok(Ok(metadata)) => metadata.len(),
            Ok(Err(error)) => return Err(explain(&self.path, &error)?.into()),
            Err(panic) => return Err(Failure::caused_by(Kind::Bug, panic).into()),
        };
        if size < self.min_size {
            let wanted = self.min_size;
            return Err(Cause::new(format!("it has {size} bytes, want {wanted}"))
                .gist("too small")
                .into());
        }
        Ok(())
    }

    fn proves(&self) -> String {
        match self.min_size {
            0 => "it exists".to_string(),
            size => format!("it exists and has at least {size} bytes"),
        }
    }
}

fn explain(path: &std::path::Path, error: &std::io::Error) -> Result<Cause, Failure> {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            let is_link = std::fs::symlink_metadata(path).is_ok();
            let words = if is_link {
                "the link leads nowhere"
            } else {
                "no such file"
            };
            Ok(Cause::new(words).absence())
        }
        ErrorKind::PermissionDenied => Err(Failure::new(Kind::Denied, "permission denied")
            .context(format!("look at {}", path.display()))
            .hint("let this user in: runAsUser, or fsGroup for the volume")),
        _ => Ok(Cause::new(io_words(error))),
    }
}

/// `512`, `100MB`, `8MiB`
fn read_size(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("B", 1),
        ("kB", 1000),
        ("MB", 1000_u64.pow(2)),
        ("GB", 1000_u64.pow(3)),
        ("TB", 1000_u64.pow(4)),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let unit = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    digits.parse::<u64>().ok()?.checked_mul(unit.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        for (text, size) in [
            ("0", 0),
            ("10", 10),
            ("1KiB", 1024),
            ("8MiB", 8 << 20),
            ("2GB", 2_000_000_000),
        ] {
            assert_eq!(read_size(text), Some(size), "{text}");
        }
        for wrong in ["", "MiB", "-1", "1.5MiB", "1 MiB", "1XB", "99999999999TiB"] {
            assert_eq!(read_size(wrong), None, "{wrong}");
        }
    }
}
