//! Publication as the kubelet does it: all files in a directory of their own, and one link that is
//! swapped. A reader sees all of the old or all of the new.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::time::SystemTime;

use tracing::warn;

use super::name::top;
use super::output::File;
use super::volume::Volume;
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Entry, Folder, refused};

/// The link that is swapped.
pub(super) const DATA: &str = "..data";

/// Its successor, for a moment.
pub(super) const SWAP: &str = "..data_tmp";

/// What files and directories are given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dress {
    pub(super) owner: Option<(u32, u32)>,
    pub(super) dir_mode: u32,
}

/// Whether `name` is one that podinit gives its directories: `..YYYY_MM_DD_HH_MM_SS.<digits>`.
pub(super) fn is_timestamp(name: &str) -> bool {
    let Some((time, digits)) = name
        .strip_prefix("..")
        .and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    let parts: Vec<usize> = time.split('_').map(str::len).collect();
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    parts == [4, 2, 2, 2, 2, 2]
        && is_number(&time.replace('_', ""))
        && !digits.is_empty()
        && is_number(digits)
}

/// Whether `entry` is the link that podinit makes at `name`.
pub(super) fn is_own_link(name: &str, entry: &Entry) -> bool {
    matches!(entry, Entry::Link(target) if *target == *format!("{DATA}/{name}"))
}

/// Whether `entry` is a `..data` that podinit makes.
pub(super) fn is_own_data(entry: &Entry) -> bool {
    matches!(entry, Entry::Link(target) if is_timestamp(&target.to_string_lossy()))
}

/// Whether `name` lies behind the link `..data`, which points to `data`.
pub(super) fn is_there(folder: &Folder, data: Option<&OsStr>, name: &str) -> bool {
    data.and_then(OsStr::to_str)
        .and_then(|data| folder.folder(data).ok())
        .is_some_and(|data| matches!(data.look(OsStr::new(name)), Ok(Some(_))))
}

/// Brings the files to their names, all at once. Says whether anything changed.
///
/// # Errors
/// `Denied` or `Local`, `Unavailable` when the run has to end first; nothing has changed then.
pub(super) fn publish(
    volume: &Volume,
    files: &[File],
    dress: Dress,
    deadline: &Deadline,
) -> Result<bool, Failure> {
    let folder = &volume.folder;
    let tops: BTreeSet<&str> = files.iter().map(|file| top(&file.name)).collect();
    let old = current(folder)?;
    let stored = match &old {
        Some(name) => read_tree(folder, name),
        None => None,
    };
    if stored
        .as_ref()
        .is_some_and(|stored| is_same(stored, files, volume.owner, dress))
    {
        let made = make_links(folder, &tops)?;
        let removed = remove_links(folder, &tops)?;
        return Ok(!made.is_empty() || removed);
    }
    let name = new_name();
    let mut links = Vec::new();
    let swapped = fill(folder, &name, files, dress, deadline).and_then(|()| {
        links = make_links(folder, &tops)?;
        check(deadline)?;
        folder.link(SWAP, &name)?;
        folder.rename(SWAP, DATA)
    });
    if let Err(failure) = swapped {
        // What remains is removed by the next run; the first failure is the one to tell.
        let _ = folder.remove(OsStr::new(SWAP));
        for link in links {
            let _ = folder.remove(OsStr::new(link));
        }
        let _ = folder.remove(OsStr::new(&name));
        return Err(failure);
    }
    folder.sync()?;
    warn_of_vanished(stored.as_ref(), files);
    remove_links(folder, &tops)?;
    if let Some(old) = old {
        folder.remove(OsStr::new(&old))?;
    }
    Ok(true)
}

fn check(deadline: &Deadline) -> Result<(), Failure> {
    match deadline.ended() {
        None => Ok(()),
        Some(_) => Err(Failure::new(
            Kind::Unavailable,
            "the run had to end before the files were published",
        )),
    }
}

/// The directory that `..data` points to, if it is there.
fn current(folder: &Folder) -> Result<Option<String>, Failure> {
    let entry = folder.look(OsStr::new(DATA)).map_err(|errno| {
        refused(
            errno,
            format!("read {}", folder.path().join(DATA).display()),
        )
    })?;
    let Some(Entry::Link(target)) = entry else {
        return Ok(None);
    };
    let name = target.to_string_lossy().into_owned();
    let is_folder = matches!(folder.look(&target), Ok(Some(Entry::Folder)));
    Ok((is_folder && is_timestamp(&name)).then_some(name))
}

/// A tree as it is stored: files by their paths, and the modes of its directories.
struct Tree {
    files: BTreeMap<String, crate::base::file::Stored>,
    folders: BTreeMap<String, u32>,
}

/// Reads the tree below `name`; one that holds anything else than files and directories is none.
fn read_tree(folder: &Folder, name: &str) -> Option<Tree> {
    let mut tree = Tree {
        files: BTreeMap::new(),
        folders: BTreeMap::new(),
    };
    let root = folder.folder(name).ok()?;
    tree.folders.insert(String::new(), root.mode().ok()?);
    read_into(&mut tree, &root, "").then_some(tree)
}

fn read_into(tree: &mut Tree, folder: &Folder, prefix: &str) -> bool {
    let Ok(names) = folder.names() else {
        return false;
    };
    for name in names {
        let Some(text) = name.to_str() else {
            return false;
        };
        let path = format!("{prefix}{text}");
        let is_read = match folder.look(&name) {
            Ok(Some(Entry::Other)) => match folder.read(text) {
                Ok(stored) => tree.files.insert(path, stored).is_none(),
                Err(_) => false,
            },
            Ok(Some(Entry::Folder)) => match folder.folder(text) {
                Ok(inner) => {
                    let below = format!("{path}/");
                    tree.folders.insert(path, inner.mode().unwrap_or_default());
                    read_into(tree, &inner, &below)
                }
                Err(_) => false,
            },
            Ok(Some(Entry::Link(_)) | None) | Err(_) => false,
        };
        if !is_read {
            return false;
        }
    }
    true
}

fn is_same(tree: &Tree, files: &[File], owner: (u32, u32), dress: Dress) -> bool {
    let folders: BTreeSet<&str> = folders(files).into_iter().chain([""]).collect();
    let has_same_folders = tree.folders.keys().map(String::as_str).eq(folders)
        && tree.folders.values().all(|mode| *mode == dress.dir_mode);
    has_same_folders
        && tree.files.len() == files.len()
        && files.iter().all(|file| {
            tree.files.get(&file.name).is_some_and(|stored| {
                *stored.bytes == *file.bytes && stored.mode == file.mode && stored.owner == owner
            })
        })
}

/// All directories that the files need, parents first.
fn folders(files: &[File]) -> BTreeSet<&str> {
    files
        .iter()
        .flat_map(|file| file.name.match_indices('/').map(|(at, _)| &file.name[..at]))
        .collect()
}

/// Makes the directory `name` with all files in it.
fn fill(
    folder: &Folder,
    name: &str,
    files: &[File],
    dress: Dress,
    deadline: &Deadline,
) -> Result<(), Failure> {
    check(deadline)?;
    let root = folder.make_folder(name, dress.dir_mode)?;
    let mut made: BTreeMap<&str, Folder> = BTreeMap::new();
    for path in folders(files) {
        let (parent, own) = path.rsplit_once('/').unwrap_or(("", path));
        let inner = made
            .get(parent)
            .unwrap_or(&root)
            .make_folder(own, dress.dir_mode)?;
        made.insert(path, inner);
    }
    for file in files {
        check(deadline)?;
        let (parent, own) = file.name.rsplit_once('/').unwrap_or(("", &file.name));
        let attributes = Attributes {
            mode: file.mode,
            owner: dress.owner,
        };
        made.get(parent)
            .unwrap_or(&root)
            .write(own, &file.bytes, attributes)?;
    }
    for inner in made.values().chain([&root]) {
        inner.sync()?;
    }
    Ok(())
}

/// A new name: the time in UTC, and digits by chance.
fn new_name() -> String {
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let time = time.trim_end_matches('Z').replace(['-', 'T', ':'], "_");
    format!("..{time}.{}", fastrand::u32(1_000_000_000..))
}

/// Makes the links that are missing, which dangle until the swap; says which.
fn make_links<'a>(folder: &Folder, tops: &BTreeSet<&'a str>) -> Result<Vec<&'a str>, Failure> {
    let mut made = Vec::new();
    for name in tops {
        let there = folder.look(OsStr::new(name)).map_err(|errno| {
            refused(
                errno,
                format!("look at {}", folder.path().join(name).display()),
            )
        })?;
        if there.is_none() {
            folder.link(name, &format!("{DATA}/{name}"))?;
            made.push(*name);
        }
    }
    Ok(made)
}

/// Removes the links of names that are no longer wanted; says whether there was one.
fn remove_links(folder: &Folder, tops: &BTreeSet<&str>) -> Result<bool, Failure> {
    let list = |errno| refused(errno, format!("list {}", folder.path().display()));
    let mut has_removed = false;
    for name in folder.names().map_err(list)? {
        let text = name.to_string_lossy();
        let entry = folder.look(&name).map_err(list)?;
        let is_own = entry.is_some_and(|entry| is_own_link(&text, &entry));
        if is_own && !tops.contains(text.as_ref()) {
            folder.remove(&name)?;
            has_removed = true;
        }
    }
    Ok(has_removed)
}

fn warn_of_vanished(stored: Option<&Tree>, files: &[File]) {
    let Some(stored) = stored else { return };
    let wanted: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let gone: Vec<&str> = stored
        .files
        .keys()
        .map(String::as_str)
        .filter(|name| !wanted.contains(name))
        .collect();
    if !gone.is_empty() {
        warn!(
            "no longer wanted, removed: {}. hint: two init containers must not share one --dir",
            gone.join(", ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_directories_are_known_again() {
        assert!(is_timestamp(&new_name()), "{}", new_name());
        assert!(is_timestamp("..2020_01_01_00_00_00.1"));
        for other in [
            "..data",
            "..data_tmp",
            "..2020_01_01.1",
            "..2020_01_01_00_00_00.",
            "2020_01_01_00_00_00.1",
            "..2020_01_01_00_00_0x.1",
        ] {
            assert!(!is_timestamp(other), "{other}");
        }
    }

    #[test]
    fn own_links_are_told_from_others() {
        let link = |target: &str| Entry::Link(target.into());
        assert!(is_own_link("a", &link("..data/a")));
        assert!(!is_own_link("a", &link("..data/b")));
        assert!(!is_own_link("a", &Entry::Other));
        assert!(is_own_data(&link("..2020_01_01_00_00_00.1")));
        assert!(!is_own_data(&link("/etc")));
    }
}
