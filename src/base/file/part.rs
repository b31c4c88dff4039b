//! Unfinished files: large writes at any offset, room taken beforehand, bytes brought to the disk while
//! more are coming. What is written where, and when it is whole, is the caller's matter.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FallocateFlags, OFlag, fallocate, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, fdatasync, unlinkat};

use super::{Folder, kind, refused};
use crate::base::failure::{Failure, Kind};

/// The unit of `st_blocks`, whatever the file system's own blocks are.
const STAT_BLOCK: u64 = 512;

/// A file that is not whole yet, open for reading and writing. Only its owner may read it.
#[derive(Debug)]
pub struct Part {
    file: File,
    shown: String,
}

/// What is free on a file system for this process; `None` where the file system does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Files.
    pub inodes: Option<u64>,
}

impl Folder {
    /// A second handle of the same directory, for another thread.
    ///
    /// # Errors
    /// `Local` without a free descriptor.
    pub fn duplicate(&self) -> Result<Self, Failure> {
        let descriptor = self
            .descriptor
            .try_clone()
            .map_err(|error| refused(errno_of(&error), format!("open {}", self.path.display())))?;
        Ok(Self {
            descriptor,
            path: self.path.clone(),
        })
    }

    /// What is free on the file system of this directory.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn room(&self) -> Result<Room, Errno> {
        let told = fstatvfs(&self.descriptor)?;
        let bytes = told.blocks_available().saturating_mul(told.fragment_size());
        Ok(Room {
            bytes: (told.blocks() > 0).then_some(bytes),
            inodes: (told.files() > 0).then_some(told.files_available()),
        })
    }

    /// Makes the empty file `name`, in place of whatever file or link has that name.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub fn create_part(&self, name: &OsStr) -> Result<Part, Failure> {
        let shown = self.path.join(name).display().to_string();
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        let created = self
            .remove_part(name)
            .and_then(|()| self.open_file(name, flags));
        match created {
            Ok(file) => Ok(Part { file, shown }),
            Err(errno) => Err(spent(errno, format!("create {shown}"))),
        }
    }

    /// Opens the regular file `name`; `None` if there is none.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub fn open_part(&self, name: &OsStr) -> Result<Option<Part>, Failure> {
        let shown = self.path.join(name).display().to_string();
        let looked = fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let opened = looked.and_then(|stat| match kind(&stat) {
            SFlag::S_IFREG => self.open_file(name, OFlag::O_RDWR | OFlag::O_NONBLOCK),
            _ => Err(Errno::ENOENT),
        });
        match opened {
            Ok(file) => Ok(Some(Part { file, shown })),
            Err(Errno::ENOENT | Errno::ELOOP) => Ok(None),
            Err(errno) => Err(refused(errno, format!("open {shown}"))),
        }
    }

    /// Removes the file `name`; nothing there is fine. Its space is free once nobody has it open.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn remove_part(&self, name: &OsStr) -> Result<(), Errno> {
        match unlinkat(&self.descriptor, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// One name beneath the descriptor needs no more than this to be safe from links.
    fn open_file(&self, name: &OsStr, flags: OFlag) -> Result<File, Errno> {
        let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        openat(&self.descriptor, name, flags, mode).map(File::from)
    }
}

impl Part {
    /// Makes the file `length` bytes long and takes the space for it, where the file system can. Not on
    /// tmpfs, where that would take the memory at once.
    ///
    /// # Errors
    /// `Local` when there is not enough space; `Denied`.
    pub fn reserve(&self, length: u64) -> Result<(), Failure> {
        let attempt = || format!("reserve {length} bytes for {}", self.shown);
        let size = i64::try_from(length).map_err(|_| spent(Errno::EFBIG, attempt()))?;
        let is_memory = fstatfs(&self.file).is_ok_and(|told| told.filesystem_type() == TMPFS_MAGIC);
        if size > 0 && !is_memory {
            match fallocate(&self.file, FallocateFlags::empty(), 0, size) {
                Ok(()) => return Ok(()),
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => {}
                Err(errno) => return Err(spent(errno, attempt())),
            }
        }
        self.set_length(length)
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// `Local` or `Denied`.
    pub fn set_length(&self, length: u64) -> Result<(), Failure> {
        self.file
            .set_len(length)
            .map_err(|error| spent(errno_of(&error), format!("resize {}", self.shown)))
    }

    /// Its length and the bytes that it takes on the disk.
    ///
    /// # Errors
    /// `Local`.
    pub fn size(&self) -> Result<(u64, u64), Failure> {
        let stat =
            fstat(&self.file).map_err(|errno| refused(errno, format!("look at {}", self.shown)))?;
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
        Ok((length, blocks.saturating_mul(STAT_BLOCK)))
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// `Local` or `Denied`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Failure> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|error| spent(errno_of(&error), format!("write {}", self.shown)))
    }

    /// Reads as many bytes as `bytes` is long, from `offset` on.
    ///
    /// # Errors
    /// `Local`, also when the file ends before.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Failure> {
        self.file
            .read_exact_at(bytes, offset)
            .map_err(|error| refused(errno_of(&error), format!("read {}", self.shown)))
    }

    /// Waits until all that was written so far is on the disk.
    ///
    /// # Errors
    /// `Local`.
    pub fn sync_bytes(&self) -> Result<(), Failure> {
        fdatasync(self.file.as_fd())
            .map_err(|errno| spent(errno, format!("bring {} to the disk", self.shown)))
    }
}

/// The errno behind an error of `std`; a file that ended early has none of its own.
fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// As `refused`, and says what helps when space is what is missing.
fn spent(errno: Errno, attempt: impl Into<String>) -> Failure {
    let failure = refused(errno, attempt);
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => failure.hint(
            "make the volume larger (its size, or sizeLimit of an emptyDir), or free space on it",
        ),
        Errno::EFBIG => {
            failure.hint("the file system or a limit of this process allows no file so large")
        }
        _ if failure.kind() == Kind::Denied => failure.hint(
            "mount the volume without readOnly, and let fsGroup give this user the right to write",
        ),
        _ => failure,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        (place, folder)
    }

    #[test]
    fn bytes_are_written_and_read_at_their_place() {
        let (place, folder) = folder();
        let name = OsStr::new("x.part");
        let part = folder.create_part(name).unwrap();
        part.reserve(3_u64 << 20).unwrap();
        assert_eq!(part.size().unwrap().0, 3 << 20);
        part.write_at(b"abc", 1 << 20).unwrap();
        part.sync_bytes().unwrap();
        let mut read = [1; 4];
        part.read_at(&mut read, (1 << 20) - 1).unwrap();
        assert_eq!(&read, b"\0abc");
        let late = part.read_at(&mut read, (3 << 20) - 1).unwrap_err();
        assert_eq!(late.kind(), Kind::Local);
        let mode = std::fs::metadata(place.path().join(name)).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&mode) & 0o7777, 0o600);
        folder.remove_part(name).unwrap();
        folder.remove_part(name).unwrap();
        assert!(folder.open_part(name).unwrap().is_none());
    }

    #[test]
    fn memory_is_not_taken_beforehand() {
        let place = tempfile::tempdir_in("/dev/shm").unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let part = folder.create_part(OsStr::new("x")).unwrap();
        part.reserve(1_u64 << 30).unwrap();
        assert_eq!(part.size().unwrap(), (1 << 30, 0));
    }

    #[test]
    fn a_link_is_neither_opened_nor_written_through() {
        let (place, folder) = folder();
        std::fs::write(place.path().join("own"), "mine").unwrap();
        std::os::unix::fs::symlink("own", place.path().join("x")).unwrap();
        assert!(folder.open_part(OsStr::new("x")).unwrap().is_none());
        let part = folder.create_part(OsStr::new("x")).unwrap();
        part.write_at(b"evil", 0).unwrap();
        assert_eq!(std::fs::read(place.path().join("own")).unwrap(), b"mine");
    }

    #[test]
    fn too_much_is_refused_before_it_is_written() {
        let (_place, folder) = folder();
        let part = folder.create_part(OsStr::new("x")).unwrap();
        for length in [1_u64 << 62, u64::MAX] {
            let failure = part.reserve(length).unwrap_err();
            assert_eq!(failure.kind(), Kind::Local, "{failure}");
            assert!(failure.mend().is_some());
        }
        assert!(folder.room().unwrap().bytes.is_some());
    }
}
