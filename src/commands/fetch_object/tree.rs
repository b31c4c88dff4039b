//! Trees on the disk: a finished tree brought to its place, and what is not part of it taken out. Synchronous: it runs on a blocking thread.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::errno::Errno;

use super::destination::{UNCOUNTED, denied};
use super::folders::{Folders, OURS, above};
use super::hall::check;
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Facts, Folder, Shape};
use crate::base::text::one_line;

/// Refuses anything but a directory at `path`.
pub(super) fn check_way(root: &Folder, path: &OsStr) -> Result<(), Failure> {
    let what = match root.facts(path) {
        Ok(Some(Facts {
            shape: Shape::Folder,
            ..
        })) => return Ok(()),
        Ok(Some(Facts {
            shape: Shape::Link, ..
        })) => "a symbolic link",
        Ok(_) => "a file",
        Err(errno) => return Err(explain(root, path, "look at", errno)),
    };
    Err(in_the_way(root, path, what))
}

fn in_the_way(root: &Folder, path: &OsStr, what: &str) -> Failure {
    let path = one_line(&root.path().join(path).to_string_lossy());
    Failure::new(
        Kind::Local,
        format!("{path} is {what}, where a directory is needed"),
    )
    .hint("remove it: nothing is written through a link, nor in place of what is not podinit's")
}

pub(super) fn explain(root: &Folder, path: &OsStr, attempt: &str, errno: Errno) -> Failure {
    let shown = root.path().join(path);
    let failure = denied(errno, format!("{attempt} {}", shown.display()));
    match errno {
        Errno::ELOOP | Errno::ENOTDIR => failure.hint(
            "a symbolic link or a file is in the way: remove it, nothing is written through it",
        ),
        _ => failure,
    }
}

/// Refuses what lies in the way of the files `paths` beneath `root`, before anything is fetched.
///
/// # Errors
/// `Local`, with the path.
pub(super) fn check_ways<'a>(
    root: &Folder,
    paths: impl Iterator<Item = &'a OsStr>,
) -> Result<(), Failure> {
    let mut known: BTreeSet<&OsStr> = BTreeSet::new();
    for path in paths {
        for folder in above(path) {
            if known.insert(folder) {
                match root.facts(folder) {
                    Ok(None) => {}
                    Ok(Some(_)) => check_way(root, folder)?,
                    Err(errno) => return Err(explain(root, folder, "look at", errno)),
                }
            }
        }
        if let Ok(Some(facts)) = root.facts(path)
            && facts.shape == Shape::Folder
        {
            let path = one_line(&root.path().join(path).to_string_lossy());
            return Err(Failure::new(
                Kind::Local,
                format!("{path} is a directory, where a file is needed"),
            )
            .hint("remove it, or choose another DEST"));
        }
    }
    Ok(())
}

/// Every entry beneath `root`, with its path; the uncounted names at its top are left out.
pub(super) fn list(root: &Folder) -> Result<Vec<(OsString, Facts)>, Failure> {
    let mut found = Vec::new();
    root.walk(&mut |path, stat| {
        let top = path.components().next().map(|part| part.as_os_str());
        if !UNCOUNTED.iter().any(|name| top == Some(OsStr::new(name))) {
            found.push((path.as_os_str().to_os_string(), Facts::of(stat)));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Takes everything out of a tree but the files `kept`, and directories that are needed for nothing.
///
/// # Errors
/// `Denied` or `Local`.
pub(super) fn prune(root: &Folder, kept: &BTreeSet<OsString>) -> Result<(), Failure> {
    let mut folders = Vec::new();
    for (path, facts) in list(root)? {
        if facts.shape == Shape::Folder {
            folders.push(path);
        } else if !kept.contains(&path) {
            root.remove_file(&path)
                .map_err(|errno| explain(root, &path, "remove", errno))?;
        }
    }
    folders.sort_by_key(|path| std::cmp::Reverse(path.len()));
    for path in folders {
        // One with something in it stays.
        let _ = root.remove_empty_folder(&path);
    }
    Ok(())
}

/// Moves everything in `from` to the same place in `to`: whole directories where there is none yet, else
/// what is in them. What has moved already may be missing.
///
/// # Errors
/// `Local` for what lies in the way, `Denied`; `Unavailable` when the run has to end.
pub(super) fn merge(
    from: &Folder,
    to: &Folder,
    folders: &mut Folders,
    deadline: &Deadline,
) -> Result<(), Failure> {
    merge_at(from, to, OsStr::new(""), folders, deadline)
}

fn merge_at(
    from: &Folder,
    to: &Folder,
    path: &OsStr,
    folders: &mut Folders,
    deadline: &Deadline,
) -> Result<(), Failure> {
    let here = from
        .folder(if path.is_empty() {
            OsStr::new(".")
        } else {
            path
        })
        .map_err(|errno| explain(from, path, "open", errno))?;
    let names = here
        .names()
        .map_err(|errno| explain(from, path, "list", errno))?;
    for name in names {
        if path.is_empty() && UNCOUNTED.iter().any(|other| name == *other) {
            continue;
        }
        check(deadline)?;
        let inner = join(path, &name);
        let look = |folder: &Folder| {
            folder
                .facts(&inner)
                .map_err(|errno| explain(folder, &inner, "look at", errno))
        };
        let (Some(new), old) = (look(from)?, look(to)?) else {
            continue;
        };
        match (new.shape, old.map(|old| old.shape)) {
            (Shape::Folder, Some(Shape::Folder)) => {
                merge_at(from, to, &inner, folders, deadline)?;
            }
            (Shape::Folder, Some(Shape::Link)) => {
                return Err(in_the_way(to, &inner, "a symbolic link"));
            }
            (Shape::Folder, Some(Shape::File | Shape::Other)) => {
                return Err(in_the_way(to, &inner, "a file"));
            }
            (_, _) => move_one(from, to, &inner, folders)?,
        }
    }
    Ok(())
}

/// Gives one entry of `from` the same name in `to`.
///
/// # Errors
/// `Denied` or `Local`.
pub(super) fn move_one(
    from: &Folder,
    to: &Folder,
    path: &OsStr,
    folders: &mut Folders,
) -> Result<(), Failure> {
    move_as(from, path, to, path, folders)
}

/// Gives an entry of `from` a name in `to`, opening up a directory of podinit's own if it is closed.
///
/// # Errors
/// `Denied` or `Local`.
pub(super) fn move_as(
    from: &Folder,
    name: &OsStr,
    to: &Folder,
    path: &OsStr,
    folders: &mut Folders,
) -> Result<(), Failure> {
    match from.move_to(name, to, path) {
        Ok(()) => Ok(()),
        Err(Errno::EACCES) => {
            let parent = above(path).last().unwrap_or(OsStr::new("."));
            folders.open_up(to, parent)?;
            from.move_to(name, to, path)
                .map_err(|errno| explain(to, path, "publish", errno))
        }
        Err(errno) => Err(explain(to, path, "publish", errno)),
    }
}

/// A path and a name in it.
pub(super) fn join(path: &OsStr, name: &OsStr) -> OsString {
    if path.is_empty() {
        return name.to_os_string();
    }
    let mut joined = path.as_bytes().to_vec();
    joined.push(b'/');
    joined.extend_from_slice(name.as_bytes());
    OsString::from_vec(joined)
}

/// Gives everything in `from` that is not in `to` yet, and that `stays` says so of, a second name there.
/// Directories are made anew, with the modes that they had.
///
/// # Errors
/// `Local` where links cannot be made, or something is in the way.
pub(super) fn link_rest(
    from: &Folder,
    to: &Folder,
    stays: &dyn Fn(&OsStr) -> bool,
    folders: &mut Folders,
    deadline: &Deadline,
) -> Result<(), Failure> {
    let source = from.path().display();
    for (path, facts) in list(from)? {
        check(deadline)?;
        let there = to
            .facts(&path)
            .map_err(|errno| link_failed(to, &path, errno))?;
        match (facts.shape, there.map(|there| there.shape)) {
            (Shape::Folder, None) => {
                to.new_folder(&path, facts.mode | OURS)
                    .map_err(|errno| link_failed(to, &path, errno))?;
                folders.lend(&path, facts.mode);
                // The owner is kept as far as that is allowed: it is a new directory after all.
                let attributes = Attributes {
                    mode: facts.mode | OURS,
                    owner: Some(facts.owner),
                };
                let _ = to.dress_folder(&path, attributes);
            }
            (Shape::Folder, Some(Shape::Folder)) => {}
            (Shape::Folder, Some(_)) => {
                if stays(&path) {
                    let path = from.path().join(&path);
                    return Err(Failure::new(
                        Kind::Local,
                        format!("{} is a directory, where a file is needed", path.display()),
                    )
                    .hint("remove it, or choose another DEST"));
                }
            }
            (_, Some(_)) => {}
            (_, None) => {
                if stays(&path) {
                    link(from, to, &path)
                        .map_err(|failure| failure.context(format!("keep what is in {source}")))?;
                }
            }
        }
    }
    Ok(())
}

/// Gives one entry of `from` a second name in `to`.
///
/// # Errors
/// `Local`: without it, nothing can be swapped.
pub(super) fn link(from: &Folder, to: &Folder, path: &OsStr) -> Result<(), Failure> {
    from.link_to(path, to, path)
        .map_err(|errno| link_failed(to, path, errno))
}

fn link_failed(to: &Folder, path: &OsStr, errno: Errno) -> Failure {
    let shown = to.path().join(path);
    Failure::caused_by(Kind::Local, errno)
        .context(format!("link {}", shown.display()))
        .hint("--atomic keeps what is there by hard links, which are not possible here: drop --atomic")
}

/// Swaps the tree `name` in `folder` with the directory `other` in `holder`.
///
/// # Errors
/// `Local` where that is not possible.
pub(super) fn swap(
    folder: &Folder,
    name: &OsStr,
    holder: &Folder,
    other: &OsStr,
) -> Result<(), Failure> {
    folder.exchange(name, holder, other).map_err(|errno| {
        Failure::caused_by(Kind::Local, errno)
            .context(format!("swap {}", holder.path().join(other).display()))
            .hint("this file system or kernel cannot swap directories in one step: drop --atomic")
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests;
