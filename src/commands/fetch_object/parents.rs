//! The way to DEST: directories that are missing are made, and whether anything may be made at its end.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::destination::denied;
use super::state::FOLDER_MODE;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Entry, Folder, Shape};

/// Makes the directories of `path` that are missing, and says which.
///
/// # Errors
/// `Usage` if something else is in the way, `Denied`, `Local`.
pub(super) fn make_folders(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut missing = Vec::new();
    let mut there = path;
    let folder = loop {
        let here = if there.as_os_str().is_empty() {
            Path::new(".")
        } else {
            there
        };
        match Folder::open(here) {
            Ok(folder) => break folder,
            Err(Errno::ENOENT) => {
                let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
                    return Err(denied(Errno::ENOENT, format!("open {}", path.display())));
                };
                missing.push(name);
                there = parent;
            }
            Err(errno @ (Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG)) => {
                return Err(Failure::caused_by(Kind::Usage, errno)
                    .context(format!("open {}", here.display()))
                    .hint("every part of DEST but the last has to be a directory"));
            }
            Err(errno) => return Err(denied(errno, format!("open {}", here.display()))),
        }
    };
    let mut made = Vec::new();
    let mut current = folder;
    for name in missing.into_iter().rev() {
        let path = current.path().join(name);
        let explain = |errno| denied(errno, format!("make the directory {}", path.display()));
        match current.new_folder(name, FOLDER_MODE) {
            Ok(()) => {
                made.push(path.clone());
                current
                    .dress_folder(
                        name,
                        Attributes {
                            mode: FOLDER_MODE,
                            owner: None,
                        },
                    )
                    .map_err(explain)?;
            }
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(explain(errno)),
        }
        current = match current.look(name).map_err(explain)? {
            // A link that dangled before leads somewhere now; the way to DEST is the caller's word.
            Some(Entry::Link(_)) => Folder::open(&path).map_err(explain)?,
            Some(Entry::Folder | Entry::Other) | None => current.folder(name).map_err(explain)?,
        };
    }
    Ok(made)
}

/// Whether names may be made in a directory, without trying; a directory that is missing will be made.
pub(super) fn is_writable(path: &Path) -> bool {
    let mut path = path;
    loop {
        let here = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        match Folder::open(here) {
            Ok(folder) => return folder.check_writable().is_ok(),
            Err(Errno::ENOENT) => match path.parent() {
                Some(parent) => path = parent,
                None => return false,
            },
            Err(_) => return false,
        }
    }
}

/// Whether the entry may be renamed by us: in a sticky directory only its owner may.
pub(super) fn may_rename(spot: &Path) -> bool {
    let (Some(parent), Some(name)) = (spot.parent(), spot.file_name()) else {
        return false;
    };
    let Ok(folder) = Folder::open(parent) else {
        // It will be made by us.
        return true;
    };
    let me = nix::unistd::geteuid().as_raw();
    let is_sticky = std::fs::metadata(parent)
        .is_ok_and(|found| std::os::unix::fs::MetadataExt::mode(&found) & 0o1000 != 0);
    match (folder.own_facts(), folder.facts(name)) {
        (Ok(parent), Ok(Some(entry))) if entry.shape == Shape::Folder => {
            me == 0 || !is_sticky || parent.owner.0 == me || entry.owner.0 == me
        }
        (_, _) => true,
    }
}
