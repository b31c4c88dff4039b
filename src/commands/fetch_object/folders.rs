//! Directories while something is made in them: podinit's own are made with all rights for itself, and
//! get what they are to have in the end, the deepest first. Synchronous: it runs on a blocking thread.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;

use super::tree::{check_way, explain};
use crate::base::failure::Failure;
use crate::base::file::{Attributes, Folder};

/// Rights that podinit itself needs in a directory while it fills it.
pub(super) const OURS: u32 = 0o700;

/// The directories above a path, the topmost first.
pub(super) fn above(path: &OsStr) -> impl Iterator<Item = &OsStr> {
    let bytes = path.as_bytes();
    bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(slash, _)| OsStr::from_bytes(&bytes[..slash]))
}

/// Directories that were made or opened up, and what they are to be in the end.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// Those that podinit has made.
    pub(super) made: BTreeSet<OsString>,
    /// Those of others, with the modes that they had.
    lent: BTreeMap<OsString, u32>,
}

impl Folders {
    /// Makes the directory `path` beneath `root`, and those that lead to it.
    ///
    /// # Errors
    /// `Local` for a link or a file in the way; `Denied`.
    pub(super) fn make(&mut self, root: &Folder, path: &OsStr, mode: u32) -> Result<(), Failure> {
        for folder in above(path).chain([path]) {
            if self.made.contains(folder) {
                continue;
            }
            match root.new_folder(folder, mode | OURS) {
                Ok(()) => {
                    self.made.insert(folder.to_os_string());
                }
                Err(Errno::EEXIST) => check_way(root, folder)?,
                Err(Errno::EACCES) => {
                    self.open_up(root, above(folder).last().unwrap_or(OsStr::new(".")))?;
                    root.new_folder(folder, mode | OURS)
                        .map_err(|errno| explain(root, folder, "make the directory", errno))?;
                    self.made.insert(folder.to_os_string());
                }
                Err(errno) => return Err(explain(root, folder, "make the directory", errno)),
            }
        }
        Ok(())
    }

    /// Lets podinit write into a directory of its own that is closed.
    ///
    /// # Errors
    /// `Denied` if it is somebody else's.
    pub(super) fn open_up(&mut self, root: &Folder, path: &OsStr) -> Result<(), Failure> {
        let failed = |errno| explain(root, path, "write into", errno);
        let inner = root.folder(path).map_err(failed)?;
        let facts = inner.own_facts().map_err(failed)?;
        if facts.mode & OURS == OURS {
            return Err(failed(Errno::EACCES));
        }
        let attributes = Attributes {
            mode: facts.mode | OURS,
            owner: None,
        };
        root.dress_folder(path, attributes).map_err(failed)?;
        self.lend(path, facts.mode);
        Ok(())
    }

    /// Remembers a directory of somebody else, and the mode that it is to have in the end.
    pub(super) fn lend(&mut self, path: &OsStr, mode: u32) {
        self.lent.entry(path.to_os_string()).or_insert(mode);
    }

    /// Gives all of them what they are to be, the deepest first.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub(super) fn dress(&self, root: &Folder, attributes: Attributes) -> Result<(), Failure> {
        let ours = self.made.iter().map(|path| (path, attributes));
        let lent = self.lent.iter().map(|(path, mode)| {
            let attributes = Attributes {
                mode: *mode,
                owner: None,
            };
            (path, attributes)
        });
        let mut all: Vec<_> = ours.chain(lent).collect();
        all.sort_by_key(|(path, _)| {
            std::cmp::Reverse(path.as_bytes().split(|b| *b == b'/').count())
        });
        all.into_iter().try_for_each(|(path, attributes)| {
            match root.dress_folder(path, attributes) {
                // Whatever has gone since needs no mode.
                Ok(()) | Err(Errno::ENOENT) => Ok(()),
                Err(errno) => Err(explain(root, path, "set mode and owner of", errno)),
            }
        })
    }
}
