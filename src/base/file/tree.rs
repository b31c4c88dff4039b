//! Trees: files, folders and links made one by one beneath a directory, by paths whose names are bytes.
//! Nothing made here replaces anything, and no link is followed anywhere on the way.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{
    FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, fstatat, futimens, mkdirat, utimensat,
};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};

use super::{Attributes, Entry, Folder, NewFile, PERMISSIONS, kind, open_beneath, refused};
use crate::base::failure::Failure;

/// What a directory gets when nothing more is made in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderAttributes {
    /// Permission bits and owner.
    pub attributes: Attributes,
    /// When it was changed last; without it, the time stays.
    pub mtime: Option<TimeSpec>,
}

impl Folder {
    /// Does something with the last name of `path`, in the directory that the rest of it leads to.
    fn within<T>(
        &self,
        path: &OsStr,
        act: impl FnOnce(BorrowedFd<'_>, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let bytes = path.as_bytes();
        let Some(slash) = bytes.iter().rposition(|byte| *byte == b'/') else {
            return act(self.descriptor.as_fd(), path);
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let parent = OsStr::from_bytes(&bytes[..slash]);
        let parent = open_beneath(&self.descriptor, parent, flags, Mode::empty())?;
        act(parent.as_fd(), OsStr::from_bytes(&bytes[slash + 1..]))
    }

    /// Makes the file `path`, which must not exist, readable to its owner alone.
    ///
    /// # Errors
    /// What the kernel says: `EEXIST`; `ENOENT` without its directory; `ELOOP` or `ENOTDIR` for a link.
    pub fn new_file(&self, path: &OsStr) -> Result<NewFile, Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let opened = open_beneath(&self.descriptor, path, flags, mode)?;
        Ok(NewFile::new(opened, self.path.join(path)))
    }

    /// Makes the directory `path`, which must not exist. The umask has its say; `dress_folder` comes
    /// last and sets the whole mode.
    ///
    /// # Errors
    /// As `new_file`.
    pub fn new_folder(&self, path: &OsStr, mode: u32) -> Result<(), Errno> {
        self.within(path, |parent, name| {
            mkdirat(parent, name, Mode::from_bits_truncate(mode))
        })
    }

    /// Makes the symbolic link `path` with exactly this target.
    ///
    /// # Errors
    /// As `new_file`.
    pub fn new_link(
        &self,
        path: &OsStr,
        target: &OsStr,
        owner: Option<(u32, u32)>,
        mtime: Option<TimeSpec>,
    ) -> Result<(), Errno> {
        self.within(path, |parent, name| {
            symlinkat(target, parent, name)?;
            if let Some(mtime) = mtime {
                let flags = UtimensatFlags::NoFollowSymlink;
                utimensat(parent, name, &TimeSpec::UTIME_OMIT, &mtime, flags)?;
            }
            let Some((user, group)) = owner else {
                return Ok(());
            };
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
            fchownat(parent, name, Some(user), Some(group), flags)
        })
    }

    /// Gives the entry `existing` a second name; a link there is not followed.
    ///
    /// # Errors
    /// As `new_file`.
    pub fn new_hard_link(&self, path: &OsStr, existing: &OsStr) -> Result<(), Errno> {
        self.within(existing, |from, existing| {
            self.within(path, |parent, name| {
                linkat(from, existing, parent, name, AtFlags::empty())
            })
        })
    }

    /// What lies at the path beneath this directory, if anything.
    ///
    /// # Errors
    /// What the kernel says, except that nothing is there.
    pub fn look_beneath(&self, path: &OsStr) -> Result<Option<Entry>, Errno> {
        let bytes = path.as_bytes();
        let Some(slash) = bytes.iter().rposition(|byte| *byte == b'/') else {
            return self.look(path);
        };
        match self.folder(OsStr::from_bytes(&bytes[..slash])) {
            Ok(parent) => parent.look(OsStr::from_bytes(&bytes[slash + 1..])),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Removes the file or link `path`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_file(&self, path: &OsStr) -> Result<(), Errno> {
        self.within(path, |parent, name| {
            unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)
        })
    }

    /// Removes the directory `path` if nothing is in it.
    ///
    /// # Errors
    /// What the kernel says, such as `ENOTEMPTY`.
    pub fn remove_empty_folder(&self, path: &OsStr) -> Result<(), Errno> {
        self.within(path, |parent, name| {
            unlinkat(parent, name, UnlinkatFlags::RemoveDir)
        })
    }

    /// Gives this directory itself owner, mode and time. Set-ID bits that it has by inheritance stay:
    /// without setgid the group of the volume would be lost.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dress(&self, wanted: FolderAttributes) -> Result<(), Errno> {
        let FolderAttributes { attributes, mtime } = wanted;
        let before = fstat(&self.descriptor)?;
        let mode = (before.st_mode & 0o7000) | (attributes.mode & PERMISSIONS);
        // The owner last: who may give a directory away need not have any right to it afterwards.
        if let Some(mtime) = mtime {
            futimens(&self.descriptor, &TimeSpec::UTIME_OMIT, &mtime)?;
        }
        if before.st_mode & 0o7777 != mode {
            fchmod(&self.descriptor, Mode::from_bits_truncate(mode))?;
        }
        let Some(owner) = attributes.owner else {
            return Ok(());
        };
        if (before.st_uid, before.st_gid) == owner {
            return Ok(());
        }
        let (user, group) = (Uid::from_raw(owner.0), Gid::from_raw(owner.1));
        fchown(&self.descriptor, Some(user), Some(group))?;
        if fstat(&self.descriptor)?.st_mode & 0o7777 == mode {
            return Ok(());
        }
        fchmod(&self.descriptor, Mode::from_bits_truncate(mode))
    }

    /// Shows every entry beneath this directory, a directory before what is in it, with its path from
    /// here; no link is followed.
    ///
    /// # Errors
    /// `Denied` or `Local`, and what `show` returns.
    pub fn walk(
        &self,
        show: &mut dyn FnMut(&Path, &FileStat) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.walk_from(OsStr::new(""), show)
    }

    fn walk_from(
        &self,
        path: &OsStr,
        show: &mut dyn FnMut(&Path, &FileStat) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut folders = Vec::new();
        let explain = |errno| {
            let path = self.path.join(path);
            refused(errno, format!("list {}", path.display()))
        };
        // Closed before it goes deeper, so that a deep tree does not use up the descriptors.
        {
            let here = self.at_path(path).map_err(explain)?;
            for name in here.names().map_err(explain)? {
                let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
                let stat = fstatat(&here.descriptor, name.as_os_str(), flags).map_err(explain)?;
                let inner = join(path, &name);
                show(Path::new(&inner), &stat)?;
                if kind(&stat) == SFlag::S_IFDIR {
                    folders.push(inner);
                }
            }
        }
        folders
            .into_iter()
            .try_for_each(|folder| self.walk_from(&folder, show))
    }

    fn at_path(&self, path: &OsStr) -> Result<Self, Errno> {
        self.folder(if path.is_empty() {
            OsStr::new(".")
        } else {
            path
        })
    }

    /// Removes `path`, a directory with all that is in it, as long as `goes_on` says so; nothing there
    /// is fine. Says `EINTR` when it stopped half way.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_while(&self, path: &OsStr, goes_on: &dyn Fn() -> bool) -> Result<(), Errno> {
        match self.look_beneath(path)? {
            None => Ok(()),
            Some(Entry::Link(_) | Entry::Other) => self.remove_file(path),
            Some(Entry::Folder) => self.remove_folder(path, goes_on),
        }
    }

    fn remove_folder(&self, path: &OsStr, goes_on: &dyn Fn() -> bool) -> Result<(), Errno> {
        let mut folders = Vec::new();
        {
            let here = self.openable(path)?;
            for name in here.names()? {
                if !goes_on() {
                    return Err(Errno::EINTR);
                }
                match unlinkat(
                    &here.descriptor,
                    name.as_os_str(),
                    UnlinkatFlags::NoRemoveDir,
                ) {
                    Ok(()) | Err(Errno::ENOENT) => {}
                    Err(Errno::EISDIR) => folders.push(join(path, &name)),
                    Err(errno) => return Err(errno),
                }
            }
        }
        for folder in folders {
            self.remove_folder(&folder, goes_on)?;
        }
        self.remove_empty_folder(path)
    }

    /// Opens a directory from which its owner means to remove everything, whatever its mode is.
    fn openable(&self, path: &OsStr) -> Result<Self, Errno> {
        let whole = Mode::S_IRWXU.bits();
        let folder = match self.folder(path) {
            Err(Errno::EACCES) => {
                self.make_accessible(path)?;
                self.folder(path)?
            }
            other => other?,
        };
        if folder.mode()? & whole != whole {
            // Whoever may remove entries without owning the directory needs no right to its mode.
            let _ = fchmod(&folder.descriptor, Mode::from_bits_truncate(0o700));
        }
        Ok(folder)
    }

    fn make_accessible(&self, path: &OsStr) -> Result<(), Errno> {
        use nix::sys::stat::{FchmodatFlags, fchmodat};
        self.within(path, |parent, name| {
            fchmodat(parent, name, Mode::S_IRWXU, FchmodatFlags::NoFollowSymlink)
        })
    }
}

fn join(path: &OsStr, name: &OsStr) -> OsString {
    if path.is_empty() {
        return name.to_os_string();
    }
    let mut joined = path.as_bytes().to_vec();
    joined.push(b'/');
    joined.extend_from_slice(name.as_bytes());
    OsString::from_vec(joined)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests;
