//! Files: the only module that creates any. All is done beneath the descriptor of a directory, and no
//! link is followed. A file gets its content, owner and mode before its name can be seen.

mod backlog;
mod beneath;
mod lock;
mod part;
mod place;
mod tree;

use std::ffi::{OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, open, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{
    AccessFlags, Gid, Uid, UnlinkatFlags, faccessat, fchown, fsync, symlinkat, unlinkat,
};

pub use self::backlog::{Backlog, NewFile};
pub use self::beneath::open_beneath;
pub use self::lock::{Locked, NamedLock};
pub use self::part::{Part, Room};
pub use self::place::{Facts, Shape};
pub use self::tree::FolderAttributes;
use super::failure::{Failure, Kind};

/// Permission bits, without set-ID and sticky.
const PERMISSIONS: u32 = 0o777;

/// The kernel's limit on one name.
pub const MAX_NAME: usize = 255;

/// Mode and owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits.
    pub mode: u32,
    /// Who shall own it; without it, whoever the kernel makes owner.
    pub owner: Option<(u32, u32)>,
}

/// What lies at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A symbolic link, with its target.
    Link(OsString),
    /// A directory.
    Folder,
    /// Anything else.
    Other,
}

/// A file's bytes and what the kernel says of it.
#[derive(Debug)]
pub struct Stored {
    /// The content.
    pub bytes: zeroize::Zeroizing<Vec<u8>>,
    /// Permission bits, user and group.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
}

/// An exclusive lock on a directory, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _held: Flock<OwnedFd>,
}

/// An open directory.
#[derive(Debug)]
pub struct Folder {
    descriptor: OwnedFd,
    path: PathBuf,
}

/// Says what kind of failure an errno of the disk is, and what was being done.
pub fn refused(errno: Errno, attempt: impl Into<String>) -> Failure {
    let kind = match errno {
        Errno::EACCES | Errno::EPERM | Errno::EROFS => Kind::Denied,
        _ => Kind::Local,
    };
    Failure::caused_by(kind, errno).context(attempt)
}

/// From here on files and directories get exactly the modes that they are made with.
pub fn ignore_umask() {
    nix::sys::stat::umask(Mode::empty());
}

impl Folder {
    /// Opens the directory at `path`; this is the one place where links are followed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self {
            descriptor: open(path, flags, Mode::empty())?,
            path: path.to_path_buf(),
        })
    }

    /// Where it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn at(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }

    /// Takes the exclusive lock, or says at once that somebody else has it.
    ///
    /// # Errors
    /// What the kernel says, except that it is taken.
    pub fn try_lock(&self) -> Result<Option<Lock>, Errno> {
        let copy = self
            .descriptor
            .try_clone()
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        match Flock::lock(copy, FlockArg::LockExclusiveNonblock) {
            Ok(held) => Ok(Some(Lock { _held: held })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(errno),
        }
    }

    /// Whether names may be made in it, as far as that can be told without trying.
    ///
    /// # Errors
    /// What the kernel would say.
    pub fn check_writable(&self) -> Result<(), Errno> {
        if fstatvfs(&self.descriptor)?
            .flags()
            .contains(FsFlags::ST_RDONLY)
        {
            return Err(Errno::EROFS);
        }
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        faccessat(&self.descriptor, ".", access, AtFlags::AT_EACCESS)
    }

    /// The type of the file system.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn file_system(&self) -> Result<FsType, Errno> {
        Ok(fstatfs(&self.descriptor)?.filesystem_type())
    }

    /// Permission bits of the directory itself.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn mode(&self) -> Result<u32, Errno> {
        Ok(fstat(&self.descriptor)?.st_mode & PERMISSIONS)
    }

    /// What lies at `name`, if anything.
    ///
    /// # Errors
    /// What the kernel says, except that nothing is there.
    pub fn look(&self, name: &OsStr) -> Result<Option<Entry>, Errno> {
        let stat = match fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        Ok(Some(match kind(&stat) {
            SFlag::S_IFLNK => Entry::Link(readlinkat(&self.descriptor, name)?),
            SFlag::S_IFDIR => Entry::Folder,
            _ => Entry::Other,
        }))
    }

    /// All names in it, sorted.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn names(&self) -> Result<Vec<OsString>, Errno> {
        // A descriptor of its own: the position in a directory is shared by copies.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let own = open_beneath(&self.descriptor, ".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::from_fd(own)?.iter() {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            if bytes != b"." && bytes != b".." {
                names.push(OsStr::from_bytes(bytes).to_os_string());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens the directory `path` beneath this one.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn folder(&self, path: &(impl AsRef<OsStr> + ?Sized)) -> Result<Self, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        Ok(Self {
            descriptor: open_beneath(&self.descriptor, path, flags, Mode::empty())?,
            path: self.path.join(path.as_ref()),
        })
    }

    /// Makes the directory `name` with exactly the permissions `mode`, whatever the umask says.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub fn make_folder(&self, name: &str, mode: u32) -> Result<Self, Failure> {
        let explain = |errno| refused(errno, format!("make the directory {}", self.at(name)));
        mkdirat(&self.descriptor, name, Mode::from_bits_truncate(mode)).map_err(explain)?;
        let folder = self.folder(name).map_err(explain)?;
        let now = fstat(&folder.descriptor).map_err(explain)?.st_mode;
        if now & PERMISSIONS != mode {
            // The high bits stay: without setgid the group of the volume would be lost.
            let whole = Mode::from_bits_truncate((now & 0o7000) | mode);
            fchmod(&folder.descriptor, whole).map_err(explain)?;
        }
        Ok(folder)
    }

    /// Writes `bytes` to `name`: into a temporary file beside it, which gets owner and mode and is on
    /// the disk before it takes the name. The directory itself still needs `sync`.
    ///
    /// # Errors
    /// `Denied` or `Local`; the temporary file is gone then.
    pub fn write(&self, name: &str, bytes: &[u8], attributes: Attributes) -> Result<(), Failure> {
        let temporary = format!("..{:016x}.tmp", fastrand::u64(..));
        let written = self
            .create(&temporary, bytes, attributes)
            .and_then(|()| renameat(&self.descriptor, temporary.as_str(), &self.descriptor, name));
        written.map_err(|errno| {
            // It may not exist; the failure that is reported is the first one.
            let _ = self.unlink(&temporary);
            refused(errno, format!("write {}", self.at(name)))
        })
    }

    /// Makes a new file with its content, owner and mode; it is on the disk afterwards.
    fn create(&self, name: &str, bytes: &[u8], attributes: Attributes) -> Result<(), Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let created = open_beneath(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut file = std::fs::File::from(created);
        file.write_all(bytes)
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        dress(&file, attributes)?;
        fsync(&file)
    }

    /// Makes a file with these attributes and removes it again; says whom the kernel makes its owner.
    ///
    /// # Errors
    /// What the kernel refuses.
    pub fn probe(&self, name: &str, attributes: Attributes) -> Result<(u32, u32), Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let file = open_beneath(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let dressed = dress(&file, attributes);
        self.unlink(name)?;
        dressed?;
        let stat = fstat(&file)?;
        Ok((stat.st_uid, stat.st_gid))
    }

    /// Reads the file `path` beneath this directory.
    ///
    /// # Errors
    /// What the kernel says; a link or a directory is none.
    pub fn read(&self, path: &str) -> Result<Stored, Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
        let mut file =
            std::fs::File::from(open_beneath(&self.descriptor, path, flags, Mode::empty())?);
        let stat = fstat(&file)?;
        if kind(&stat) != SFlag::S_IFREG {
            return Err(Errno::EINVAL);
        }
        let room = usize::try_from(stat.st_size).unwrap_or(0);
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(room + 1));
        file.read_to_end(&mut bytes)
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        Ok(Stored {
            bytes,
            mode: stat.st_mode & 0o7777,
            owner: (stat.st_uid, stat.st_gid),
        })
    }

    /// Makes the link `name`, which points to `target`.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub fn link(&self, name: &str, target: &str) -> Result<(), Failure> {
        symlinkat(target, &self.descriptor, name)
            .map_err(|errno| refused(errno, format!("make the link {}", self.at(name))))
    }

    /// Gives the entry `from` the name `to`, in one step, in place of what had it.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Failure> {
        renameat(&self.descriptor, from, &self.descriptor, to)
            .map_err(|errno| refused(errno, format!("rename {} to {to}", self.at(from))))
    }

    fn unlink(&self, name: &str) -> Result<(), Errno> {
        unlinkat(&self.descriptor, name, UnlinkatFlags::NoRemoveDir)
    }

    /// Removes `name`, a directory with all that is in it; nothing there is fine.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub fn remove(&self, name: &OsStr) -> Result<(), Failure> {
        self.remove_while(name, &|| true)
            .map_err(|errno| refused(errno, format!("remove {}", self.path.join(name).display())))
    }

    /// Brings the directory's names to the disk.
    ///
    /// # Errors
    /// `Local`.
    pub fn sync(&self) -> Result<(), Failure> {
        fsync(self.descriptor.as_fd())
            .map_err(|errno| refused(errno, format!("sync {}", self.path.display())))
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// Mode and owner, and the mode once more if the change of owner took something of it. Only who owns
/// a file may set its mode, so with `CAP_CHOWN` alone the owner has to come last.
fn dress(file: &impl std::os::fd::AsFd, attributes: Attributes) -> Result<(), Errno> {
    let mode = Mode::from_bits_truncate(attributes.mode);
    fchmod(file, mode)?;
    let Some((user, group)) = attributes.owner else {
        return Ok(());
    };
    fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
    if fstat(file)?.st_mode & 0o7777 == attributes.mode {
        return Ok(());
    }
    fchmod(file, mode)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests;
