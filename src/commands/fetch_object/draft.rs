//! The log of a directory that is being filled: one line for each file that is whole. A run that is killed
//! leaves it, and the next one reads what it can.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};

use serde::{Deserialize, Serialize};

use super::record::Filed;
use crate::base::file::Folder;

/// Another number, another form.
const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u32,
    source: String,
}

/// The log while it grows.
#[derive(Debug)]
pub(super) struct Draft(File);

/// Reads the files that an earlier run has finished; a line that is cut, and all behind it, counts for
/// nothing.
pub(super) fn read(folder: &Folder, name: &OsStr, identity: &str) -> HashMap<Vec<u8>, Filed> {
    let mut files = HashMap::new();
    let Ok(file) = folder.open_regular(name) else {
        return files;
    };
    let mut lines = BufReader::new(file).split(b'\n').map_while(Result::ok);
    let header: Option<Header> = lines
        .next()
        .and_then(|line| serde_json::from_slice(&line).ok());
    let fits = header.is_some_and(|header| header.format == FORMAT && header.source == identity);
    if fits {
        for line in lines {
            let Ok(finished) = serde_json::from_slice::<Filed>(&line) else {
                break;
            };
            files.insert(finished.path().into_encoded_bytes(), finished);
        }
    }
    files
}

impl Draft {
    /// Begins the log, with what is known already.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn begin<'a>(
        folder: &Folder,
        name: &OsStr,
        temporary: &OsStr,
        identity: &str,
        files: impl Iterator<Item = &'a Filed>,
    ) -> std::io::Result<Self> {
        let header = Header {
            format: FORMAT,
            source: identity.to_string(),
        };
        folder.replace(
            name,
            temporary,
            |out| {
                serde_json::to_writer(&mut *out, &header)?;
                out.write_all(b"\n")?;
                for filed in files {
                    serde_json::to_writer(&mut *out, filed)?;
                    out.write_all(b"\n")?;
                }
                Ok(())
            },
            0o600,
        )?;
        Ok(Self(folder.append(name)?))
    }

    /// Adds a file that is whole. One write, so that a kill leaves a line or none, or a cut one at the end.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn add(&mut self, filed: &Filed) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(filed)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::file::{Facts, Shape};

    fn filed(path: &str) -> Filed {
        let facts = Facts {
            shape: Shape::File,
            inode: 7,
            device: 1,
            mtime: (1, 2),
            size: 3,
            stored: 0,
            mode: 0o644,
            owner: (0, 0),
        };
        Filed::new(OsStr::new(path), &facts, Some(1))
    }

    #[test]
    fn what_was_added_is_read_and_a_cut_line_is_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let (name, temporary) = (OsStr::new("x.draft"), OsStr::new("x.tmp"));
        let first = [filed("a")];
        let mut draft = Draft::begin(&folder, name, temporary, "s3://b/p/", first.iter()).unwrap();
        draft.add(&filed("b")).unwrap();
        draft.0.write_all(b"{\"path\":\"c\"").unwrap();
        let read_as = |identity| {
            let mut found: Vec<Vec<u8>> = read(&folder, name, identity).into_keys().collect();
            found.sort();
            found
        };
        assert_eq!(read_as("s3://b/p/"), [b"a".to_vec(), b"b".to_vec()]);
        assert!(read_as("s3://b/q/").is_empty());
        assert!(read(&folder, OsStr::new("none"), "s3://b/p/").is_empty());
    }
}
