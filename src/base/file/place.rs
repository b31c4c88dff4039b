//! Finished files and trees get their names: what lies somewhere, what it is made of, and how it comes to
//! its place in one step. All beneath descriptors; no link is followed.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2, renameat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{Gid, Uid, fchown, fsync, linkat};

use super::{Attributes, Folder, PERMISSIONS, dress, kind, open_beneath};

/// linux/fs.h
const RENAME_EXCHANGE: libc::c_uint = 2;

/// What the kernel says of one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub shape: Shape,
    /// Its number in its file system.
    pub inode: u64,
    /// The file system.
    pub device: u64,
    /// Seconds and nanoseconds of the last change of its content.
    pub mtime: (i64, i64),
    /// Bytes.
    pub size: u64,
    /// Bytes that it takes on the disk.
    pub stored: u64,
    /// Permission bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A regular file.
    File,
    /// A directory.
    Folder,
    /// A symbolic link.
    Link,
    /// A device, a pipe, a socket.
    Other,
}

impl Facts {
    /// What a stat says.
    pub fn of(stat: &FileStat) -> Self {
        Self {
            shape: match kind(stat) {
                SFlag::S_IFREG => Shape::File,
                SFlag::S_IFDIR => Shape::Folder,
                SFlag::S_IFLNK => Shape::Link,
                _ => Shape::Other,
            },
            inode: stat.st_ino,
            device: stat.st_dev,
            mtime: (stat.st_mtime, stat.st_mtime_nsec),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            // st_blocks counts 512 bytes, whatever the file system's own blocks are.
            stored: u64::try_from(stat.st_blocks).unwrap_or(0) * 512,
            mode: stat.st_mode & PERMISSIONS,
            owner: (stat.st_uid, stat.st_gid),
        }
    }
}

/// The directory part and the last name of a path.
fn parts(path: &OsStr) -> (&OsStr, &OsStr) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (
            OsStr::from_bytes(&bytes[..slash]),
            OsStr::from_bytes(&bytes[slash + 1..]),
        ),
        None => (OsStr::new("."), path),
    }
}

impl Folder {
    /// The directory that holds the last name of `path`, without the right to list it.
    fn holder(&self, path: &OsStr) -> Result<std::os::fd::OwnedFd, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        open_beneath(&self.descriptor, parts(path).0, flags, Mode::empty())
    }

    /// What lies at the path, if anything; a directory missing on the way is nothing there.
    ///
    /// # Errors
    /// What the kernel says; `ELOOP` or `ENOTDIR` for a link or a file on the way.
    pub fn facts(&self, path: &OsStr) -> Result<Option<Facts>, Errno> {
        let stat = self
            .holder(path)
            .and_then(|holder| fstatat(&holder, parts(path).1, AtFlags::AT_SYMLINK_NOFOLLOW));
        match stat {
            Ok(stat) => Ok(Some(Facts::of(&stat))),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// What is known of the directory itself.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn own_facts(&self) -> Result<Facts, Errno> {
        Ok(Facts::of(&fstat(&self.descriptor)?))
    }

    /// Opens the file at the path for reading; anything else than a file is refused.
    ///
    /// # Errors
    /// What the kernel says; `EINVAL` if it is no file.
    pub fn open_regular(&self, path: &OsStr) -> Result<File, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let file = File::from(open_beneath(&self.descriptor, path, flags, Mode::empty())?);
        if kind(&fstat(&file)?) == SFlag::S_IFREG {
            return Ok(file);
        }
        Err(Errno::EINVAL)
    }

    /// Gives the file at the path owner and mode, and brings it to the disk if so asked. What is right
    /// already is not touched.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dress_file(
        &self,
        path: &OsStr,
        attributes: Attributes,
        syncs: bool,
    ) -> Result<Facts, Errno> {
        let file = self.open_regular(path)?;
        let before = fstat(&file)?;
        let has_owner = attributes
            .owner
            .is_none_or(|owner| owner == (before.st_uid, before.st_gid));
        if !has_owner || before.st_mode & 0o7777 != attributes.mode {
            dress(&file, attributes)?;
        }
        if syncs {
            fsync(&file)?;
        }
        Ok(Facts::of(&fstat(&file)?))
    }

    /// Gives the directory at the path owner and mode, the high bits as they are.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dress_folder(&self, path: &OsStr, attributes: Attributes) -> Result<(), Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let folder = open_beneath(&self.descriptor, path, flags, Mode::empty())?;
        let before = fstat(&folder)?;
        if let Some((user, group)) = attributes.owner
            && (user, group) != (before.st_uid, before.st_gid)
        {
            fchown(
                &folder,
                Some(Uid::from_raw(user)),
                Some(Gid::from_raw(group)),
            )?;
        }
        let now = fstat(&folder)?.st_mode;
        // Without setgid the group of the volume would be lost.
        let wanted = (before.st_mode & 0o7000) | attributes.mode;
        if now & 0o7777 == wanted {
            return Ok(());
        }
        fchmod(&folder, Mode::from_bits_truncate(wanted))
    }

    /// Gives the entry `from` of this directory the name `to` in another one, in place of a file there.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn move_to(&self, from: &OsStr, other: &Self, to: &OsStr) -> Result<(), Errno> {
        let (source, target) = (self.holder(from)?, other.holder(to)?);
        renameat(&source, parts(from).1, &target, parts(to).1)
    }

    /// Gives the entry `from` of this directory a second name `to` in another one; a link is not followed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn link_to(&self, from: &OsStr, other: &Self, to: &OsStr) -> Result<(), Errno> {
        let (source, target) = (self.holder(from)?, other.holder(to)?);
        linkat(
            &source,
            parts(from).1,
            &target,
            parts(to).1,
            AtFlags::empty(),
        )
    }

    /// Swaps two entries, of whatever kind, in one step.
    ///
    /// # Errors
    /// What the kernel says; `EINVAL` or `ENOSYS` where it cannot.
    pub fn exchange(&self, one: &OsStr, folder: &Self, other: &OsStr) -> Result<(), Errno> {
        let text = |name: &OsStr| CString::new(name.as_bytes()).map_err(|_| Errno::EINVAL);
        let (from, to) = (text(one)?, text(other)?);
        // SAFETY: both texts end with NUL and outlive the call; both descriptors are borrowed.
        let done = unsafe {
            libc::syscall(
                libc::SYS_renameat2,
                self.descriptor.as_fd().as_raw_fd(),
                from.as_ptr(),
                folder.descriptor.as_fd().as_raw_fd(),
                to.as_ptr(),
                RENAME_EXCHANGE,
            )
        };
        Errno::result(done).map(drop)
    }

    /// Writes `bytes` to `name` by way of `temporary`, a name that is the caller's own.
    ///
    /// # Errors
    /// What the kernel says; the temporary file is gone then.
    pub fn replace(
        &self,
        name: &OsStr,
        temporary: &OsStr,
        write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
        mode: u32,
    ) -> Result<(), Errno> {
        let created = self.write_new(temporary, write, mode);
        let done =
            created.and_then(|()| renameat(&self.descriptor, temporary, &self.descriptor, name));
        if done.is_err() {
            // It may not exist; the failure that is reported is the first one.
            let _ = self.remove_file(temporary);
        }
        done
    }

    fn write_new(
        &self,
        name: &OsStr,
        write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
        mode: u32,
    ) -> Result<(), Errno> {
        let number =
            |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let created = open_beneath(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut buffered = std::io::BufWriter::new(File::from(created));
        write(&mut buffered).map_err(number)?;
        let file = buffered
            .into_inner()
            .map_err(|error| number(error.into_error()))?;
        fchmod(&file, Mode::from_bits_truncate(mode))?;
        fsync(&file)
    }

    /// Opens `name` for adding at its end; it is made if it is not there.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn append(&self, name: &OsStr) -> Result<File, Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        open_beneath(&self.descriptor, name, flags, mode).map(File::from)
    }

    /// Whether something is mounted on the entry `name`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_mount_point(&self, name: &OsStr) -> Result<bool, Errno> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_NO_XDEV);
        match openat2(&self.descriptor, name, how) {
            Ok(_) => Ok(false),
            Err(Errno::EXDEV) => Ok(true),
            // An old kernel, or a seccomp profile: another file system tells all but bind mounts.
            Err(Errno::ENOSYS | Errno::EPERM) => {
                let own = fstat(&self.descriptor)?.st_dev;
                let entry = fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                Ok(entry.st_dev != own)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Brings everything of this file system to the disk: cheaper than file by file when they are many.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn sync_all(&self) -> Result<(), Errno> {
        nix::unistd::syncfs(&self.descriptor)
    }

    /// Whether nothing is in it but the names that do not count.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn is_empty_but_for(&self, others: &[&str]) -> Result<bool, Errno> {
        let names: Vec<OsString> = self.names()?;
        Ok(names
            .iter()
            .all(|name| others.iter().any(|other| name == other)))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests;
