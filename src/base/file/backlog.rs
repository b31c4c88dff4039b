//! New files that grow, and the work of bringing many of them to the disk. Write-back is started early
//! and awaited late, so that dirty memory stays small and no long `fsync` is left for the end.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::unistd::{fdatasync, fsync};

use super::{Attributes, dress, refused};
use crate::base::failure::Failure;

/// Bytes after which their write-back is started.
const STRETCH: u64 = 8 << 20;

/// Bytes after which write-back is awaited; most of it is done by then.
const WINDOW: u64 = 64 << 20;

/// Bytes of finished files that may wait for their `fsync`.
const WAITING_BYTES: u64 = 64 << 20;

/// Finished files that may wait for their `fsync`; each holds a descriptor, of which a process may have
/// 1024 as a rule. The first `fsync` commits the journal for all of them, so many small files cost little
/// more than one.
const WAITING_FILES: usize = 512;

/// A file that did not exist, while it is written from its beginning to its end.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: PathBuf,
    length: u64,
    /// Up to here write-back was started.
    started: u64,
    /// Up to here it was awaited.
    awaited: u64,
}

/// Finished files that may not be on the disk yet.
#[derive(Debug, Default)]
pub struct Backlog {
    files: Vec<NewFile>,
    bytes: u64,
}

impl NewFile {
    pub(super) fn new(opened: OwnedFd, path: PathBuf) -> Self {
        Self {
            file: File::from(opened),
            path,
            length: 0,
            started: 0,
            awaited: 0,
        }
    }

    /// Where it was made, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.file
            .write_all(bytes)
            .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        self.length += bytes.len() as u64;
        if self.length - self.started >= STRETCH {
            start(&self.file, self.started, self.length - self.started)?;
            self.started = self.length;
        }
        if self.length - self.awaited >= WINDOW {
            fdatasync(&self.file)?;
            self.awaited = self.length;
        }
        Ok(())
    }

    /// Gives it mode, owner and time.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dress(&self, attributes: Attributes, mtime: Option<TimeSpec>) -> Result<(), Errno> {
        // The time first: it is the owner's to set.
        if let Some(mtime) = mtime {
            futimens(&self.file, &TimeSpec::UTIME_OMIT, &mtime)?;
        }
        dress(&self.file, attributes)
    }
}

impl Backlog {
    /// Takes a finished file; it is on the disk after the next `drain`. A file without content has nothing
    /// to lose: its name is brought to the disk with the directory.
    ///
    /// # Errors
    /// `Denied` or `Local`, of this file or of an earlier one.
    pub fn push(&mut self, file: NewFile) -> Result<(), Failure> {
        if file.length == 0 {
            return Ok(());
        }
        let rest = file.length - file.started;
        start(&file.file, file.started, rest)
            .map_err(|errno| refused(errno, format!("write {}", file.path.display())))?;
        self.bytes += file.length - file.awaited;
        self.files.push(file);
        if self.files.len() >= WAITING_FILES || self.bytes >= WAITING_BYTES {
            self.drain()?;
        }
        Ok(())
    }

    /// Waits until every file that was pushed is on the disk.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub fn drain(&mut self) -> Result<(), Failure> {
        self.bytes = 0;
        self.files.drain(..).try_for_each(|file| {
            fsync(&file.file)
                .map_err(|errno| refused(errno, format!("sync {}", file.path.display())))
        })
    }
}

/// Starts write-back of some bytes of a file. It is an advice that says more: the pages are not needed
/// any more. Those that are being written stay, and they are all that there are (`mm/fadvise.c`).
fn start(file: &File, offset: u64, length: u64) -> Result<(), Errno> {
    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else {
        return Err(Errno::EFBIG);
    };
    let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
    match posix_fadvise(file, offset, length, advice) {
        Err(errno @ (Errno::EIO | Errno::ENOSPC | Errno::EDQUOT)) => Err(errno),
        // A file system that takes no advice is none the worse: it is synced in any case.
        _ => Ok(()),
    }
}
