//! The only reader and writer of `/proc/sys` and `/sys`.
//!
//! One `read(2)` gets a value and one `write(2)` sets it: the kernel hands out a vector once only, and
//! swallows the rest of a value that was written in two parts.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::{read, write};
use sysctl::{CtlIter, Sysctl as _, SysctlError};

use super::key::{Key, PROC_SYS, Tree};
use crate::base::failure::{Failure, Kind};
use crate::base::file::open_beneath;
use crate::base::secret::Secret;

/// Magic numbers of linux/magic.h.
const PROC_MAGIC: FsType = FsType(0x9fa0);
const SYSFS_MAGIC: FsType = FsType(0x6265_6572);

/// Longer than any value: the longest list of ports stays below.
const MAX_VALUE: usize = 256 << 10;

/// What could not be done with a key's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Find,
    Read,
    Open,
    Write,
}

/// Why it could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Errno(Errno),
    /// The key is a directory.
    Group,
    /// The file is not on procfs or sysfs.
    NotKernel,
    /// The kernel took only the first bytes of a value.
    Short {
        taken: usize,
        total: usize,
    },
}

/// A step that failed, with what is known of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) step: Step,
    pub(super) cause: Cause,
    pub(super) facts: Option<Facts>,
}

/// What the file itself says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    /// Permission bits.
    pub(super) mode: u32,
    /// The mount it is seen through.
    pub(super) is_read_only: bool,
}

impl Facts {
    pub(super) fn can_be_read(self) -> bool {
        self.mode & 0o444 != 0
    }

    pub(super) fn can_be_written(self) -> bool {
        self.mode & 0o222 != 0
    }
}

/// What reading a key gave.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    Value(Secret),
    /// The mode has no read bit.
    WriteOnly,
    /// The kernel answers EIO to a value that was never set.
    Unset,
}

/// The two trees of settings.
#[derive(Debug)]
pub(super) struct Kernel {
    proc_sys: OwnedFd,
    sys: Option<OwnedFd>,
    sys_root: PathBuf,
}

impl Kernel {
    /// Opens the trees; that of `--sys` only if it is used.
    ///
    /// # Errors
    /// `Usage` for a `--sys-root` that is no directory, `Local` without `/proc/sys`.
    pub(super) fn open(sys_root: &Path, uses_sys: bool) -> Result<Self, Failure> {
        let directory = |path: &Path| {
            open(
                path,
                OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
                Mode::empty(),
            )
        };
        let sys = uses_sys.then(|| directory(sys_root)).transpose().map_err(|errno| {
            Failure::caused_by(Kind::Usage, errno)
                .context(format!("open --sys-root {}", sys_root.display()))
                .hint("name the directory at which sysfs is mounted, such as /host-sys for a hostPath")
        })?;
        let proc_sys = directory(Path::new(PROC_SYS)).map_err(|errno| {
            Failure::caused_by(Kind::Local, errno)
                .context(format!("open {PROC_SYS}"))
                .hint("mount procfs at /proc")
        })?;
        Ok(Self {
            proc_sys,
            sys,
            sys_root: sys_root.to_path_buf(),
        })
    }

    /// The key's file, for messages and results.
    pub(super) fn path(&self, key: &Key) -> String {
        let root = match key.tree {
            Tree::ProcSys => Path::new(PROC_SYS),
            Tree::KernelMm => &self.sys_root,
        };
        root.join(key.relative()).display().to_string()
    }

    /// Opens the key's file below its root; no component may be a link.
    fn open_below(&self, key: &Key, flags: OFlag) -> Result<OwnedFd, Errno> {
        let root = match (key.tree, &self.sys) {
            (Tree::ProcSys, _) => &self.proc_sys,
            (Tree::KernelMm, Some(sys)) => sys,
            (Tree::KernelMm, None) => return Err(Errno::ENOENT),
        };
        open_beneath(root, &key.relative(), flags, Mode::empty())
    }

    /// Opens the key's file and makes sure that it is the kernel's: a false `--sys-root` could hold
    /// anything, also a pipe, whose other end is not waited for.
    fn open_checked(&self, key: &Key, flags: OFlag) -> Result<OwnedFd, Cause> {
        let nonblocking = if flags.contains(OFlag::O_PATH) {
            OFlag::empty()
        } else {
            OFlag::O_NONBLOCK
        };
        let file = self
            .open_below(key, flags | nonblocking)
            .map_err(Cause::Errno)?;
        let magic = fstatfs(&file).map_err(Cause::Errno)?.filesystem_type();
        if magic == PROC_MAGIC || magic == SYSFS_MAGIC {
            Ok(file)
        } else {
            Err(Cause::NotKernel)
        }
    }

    /// Looks at the key's file without opening it for anything.
    ///
    /// # Errors
    /// It is missing, a group, a link, or no kernel setting.
    pub(super) fn look(&self, key: &Key) -> Result<Facts, Trouble> {
        let trouble = |cause| Trouble {
            step: Step::Find,
            cause,
            facts: None,
        };
        let errno = |errno| trouble(Cause::Errno(errno));
        let file = self.open_checked(key, OFlag::O_PATH).map_err(trouble)?;
        let stat = fstat(&file).map_err(errno)?;
        let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
        if kind == SFlag::S_IFLNK {
            return Err(errno(Errno::ELOOP));
        }
        if kind == SFlag::S_IFDIR {
            return Err(trouble(Cause::Group));
        }
        let mount = fstatvfs(&file).map_err(errno)?;
        Ok(Facts {
            mode: stat.st_mode & 0o777,
            is_read_only: mount.flags().contains(FsFlags::ST_RDONLY),
        })
    }

    /// Reads the key's value.
    ///
    /// # Errors
    /// The file cannot be opened or read.
    pub(super) fn read(&self, key: &Key, facts: Facts) -> Result<Reading, Trouble> {
        if !facts.can_be_read() {
            return Ok(Reading::WriteOnly);
        }
        let trouble = |cause| Trouble {
            step: Step::Read,
            cause,
            facts: Some(facts),
        };
        let file = self.open_checked(key, OFlag::O_RDONLY).map_err(trouble)?;
        let mut buffer = vec![0; MAX_VALUE];
        loop {
            match read(&file, &mut buffer) {
                Ok(count) => return Ok(Reading::Value(Secret::new(&buffer[..count]))),
                Err(Errno::EINTR) => {}
                Err(Errno::EIO) => return Ok(Reading::Unset),
                Err(errno) => return Err(trouble(Cause::Errno(errno))),
            }
        }
    }

    /// Opens the key for writing, without create, truncate or read.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open_for_writing(&self, key: &Key, facts: Facts) -> Result<OwnedFd, Trouble> {
        self.open_checked(key, OFlag::O_WRONLY)
            .map_err(|cause| Trouble {
                step: Step::Open,
                cause,
                facts: Some(facts),
            })
    }

    /// All keys of `/proc/sys` that the `sysctl` crate's walk finds. Its `NotFound` holds the path of
    /// a key that it cannot address: write-only, unreadable, or with a dot in a component.
    pub(super) fn keys() -> Vec<Key> {
        CtlIter::root()
            .filter_map(|found| match found {
                Ok(ctl) => ctl.name().ok().map(|name| name.replace('.', "/")),
                Err(SysctlError::NotFound(path)) => {
                    path.strip_prefix("/proc/sys/").map(str::to_string)
                }
                Err(_) => None,
            })
            .filter_map(|path| Key::from_relative(&path))
            .collect()
    }

    /// Whether something of the kernel's, key or group, lies at `key`.
    pub(super) fn exists(&self, key: &Key) -> bool {
        self.open_checked(key, OFlag::O_PATH).is_ok()
    }

    /// Whether sysfs is mounted where `--sys-root` says.
    pub(super) fn has_sysfs(&self) -> bool {
        let magic =
            |root: &OwnedFd| fstatfs(root).is_ok_and(|stat| stat.filesystem_type() == SYSFS_MAGIC);
        self.sys.as_ref().is_some_and(magic)
    }
}

/// Writes `value` and a line feed in one `write(2)`. A list of ports may be taken in parts, cut by the
/// kernel at a whole entry: then it goes on in the same descriptor from exactly that offset.
///
/// # Errors
/// The errno, or how much was taken.
pub(super) fn put(file: &OwnedFd, value: &[u8], is_resumable: bool) -> Result<(), Cause> {
    let bytes = [value, b"\n"].concat();
    let mut rest = bytes.as_slice();
    loop {
        match write(file, rest) {
            Ok(count) if count >= rest.len() => return Ok(()),
            Ok(count) if count == 0 || !is_resumable => {
                let taken = bytes.len() - rest.len() + count;
                return Err(Cause::Short {
                    taken,
                    total: bytes.len(),
                });
            }
            Ok(count) => rest = &rest[count..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Cause::Errno(errno)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn files_are_found_and_told_apart() {
        let kernel = Kernel::open(Path::new("/sys"), true).unwrap();
        let facts = kernel.look(&key("kernel.ostype")).unwrap();
        assert_eq!(facts.mode, 0o444);
        assert!(matches!(
            kernel.read(&key("kernel.ostype"), facts).unwrap(),
            Reading::Value(value) if value.expose() == b"Linux\n"
        ));
        let cause = |name: &str| kernel.look(&key(name)).unwrap_err().cause;
        assert_eq!(cause("net.ipv4"), Cause::Group);
        assert_eq!(cause("kernel.nope"), Cause::Errno(Errno::ENOENT));
        assert_eq!(cause("kernel.ostype.x"), Cause::Errno(Errno::ENOTDIR));
    }

    #[test]
    fn a_false_root_is_no_kernel() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("kernel/mm/ksm")).unwrap();
        std::fs::write(folder.path().join("kernel/mm/ksm/run"), "0").unwrap();
        let kernel = Kernel::open(folder.path(), true).unwrap();
        let run = Key::parse_sys("ksm/run").unwrap();
        assert_eq!(kernel.look(&run).unwrap_err().cause, Cause::NotKernel);
        let failure = Kernel::open(&folder.path().join("kernel/mm/ksm/run"), true).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
    }
}
