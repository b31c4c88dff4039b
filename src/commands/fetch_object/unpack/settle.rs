//! What came out of an archive, and the end of making it: directories get their owner, mode and time when
//! nothing more is made in them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::RangeBounds;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::{Halt, permission};
use crate::base::failure::Failure;
use crate::base::file::{Attributes, Folder, FolderAttributes, refused};
use crate::commands::fetch_object::name::segments;

/// Directories that are held open until they are synced; one that lost its `r` bit could not be opened
/// again.
const OPEN_FOLDERS: usize = 128;

/// A directory that was made, and what the archive says of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Made {
    pub(super) mode: Option<u32>,
    pub(super) mtime: Option<TimeSpec>,
}

/// What came out of an archive.
#[derive(Debug)]
pub(in super::super) struct Unpacked {
    /// Entries that were made, DEST itself not counted.
    pub(in super::super) entries: u64,
    /// Bytes in files.
    pub(in super::super) bytes: u64,
    /// By path; the empty one is DEST itself, if the archive speaks of it.
    pub(super) folders: BTreeMap<Vec<u8>, Made>,
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
}

impl Unpacked {
    /// Nothing yet, under `--mode` and `--owner`.
    pub(super) fn new(mode: Option<u32>, owner: Option<(u32, u32)>) -> Self {
        Self {
            entries: 0,
            bytes: 0,
            folders: BTreeMap::new(),
            mode,
            owner,
        }
    }

    /// Gives directories their owner, mode and time, the deepest first, and brings them to the disk. Depth
    /// 0 is the root itself, and is left alone unless the archive speaks of it; 1 is what lies at its
    /// top. A directory that its owner may not write to cannot be renamed into another one, so what is
    /// still to be renamed is left for a second call afterwards.
    ///
    /// # Errors
    /// `Local` or `Denied`, and what `halt` says.
    pub(in super::super) fn settle(
        &self,
        root: &Folder,
        depths: &impl RangeBounds<usize>,
        halt: &Halt,
    ) -> Result<(), Failure> {
        let mut folders: Vec<(usize, &OsStr, Made)> = self
            .folders
            .iter()
            .map(|(path, made)| (depth(path), path.as_slice(), *made))
            .filter(|(depth, _, _)| depths.contains(depth))
            .map(|(depth, path, made)| (depth, at(path), made))
            .collect();
        folders.sort_by_key(|(depth, _, _)| std::cmp::Reverse(*depth));
        let explain = |path: &OsStr, errno| undressed(errno, &root.path().join(path), self.owner);
        // All are changed before the first one is synced: the file system then writes them at once.
        let mut opened: Vec<Folder> = Vec::new();
        for (_, path, made) in folders {
            halt()?;
            let attributes = Attributes {
                mode: permission::of_folder(made.mode, self.mode),
                owner: self.owner,
            };
            let wanted = FolderAttributes {
                attributes,
                mtime: made.mtime,
            };
            let folder = match root.folder(path) {
                Err(Errno::EMFILE | Errno::ENFILE) => {
                    sync_all(opened.drain(..))?;
                    root.folder(path)
                }
                other => other,
            };
            let folder = folder.map_err(|errno| explain(path, errno))?;
            folder.dress(wanted).map_err(|errno| explain(path, errno))?;
            opened.push(folder);
            if opened.len() >= OPEN_FOLDERS {
                sync_all(opened.drain(..))?;
            }
        }
        sync_all(opened)
    }
}

fn sync_all(folders: impl IntoIterator<Item = Folder>) -> Result<(), Failure> {
    folders.into_iter().try_for_each(|folder| folder.sync())
}

/// How many segments a path has; the empty one is the root.
fn depth(path: &[u8]) -> usize {
    if path.is_empty() {
        return 0;
    }
    segments(path).count()
}

fn at(path: &[u8]) -> &OsStr {
    OsStr::from_bytes(if path.is_empty() { b"." } else { path })
}

/// A failure of the disk, with the mend.
pub(super) fn disk(errno: Errno, attempt: String) -> Failure {
    let failure = refused(errno, attempt);
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => failure.hint(
            "the volume is full, or has no inodes left: make it larger, or raise `sizeLimit` of the emptyDir",
        ),
        _ => failure,
    }
}

/// A failure to set what belongs to an entry, which may be its owner.
pub(super) fn undressed(errno: Errno, path: &Path, owner: Option<(u32, u32)>) -> Failure {
    let failure = disk(errno, format!("set mode and owner of {}", path.display()));
    match (errno, owner) {
        (Errno::EPERM, Some(_)) => failure.hint("`--owner` needs the capability CHOWN"),
        _ => failure,
    }
}
