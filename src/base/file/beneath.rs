//! Opening files beneath a directory, so that no link can lead elsewhere.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::Mode;

/// Opens `path`, relative and without `..`, beneath `root`; no component may be a link.
///
/// # Errors
/// What the kernel says; `ELOOP` or `ENOTDIR` for a link.
pub fn open_beneath(
    root: &impl AsFd,
    path: &(impl AsRef<OsStr> + ?Sized),
    flags: OFlag,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let path = path.as_ref();
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
    let how = OpenHow::new().flags(flags).mode(mode).resolve(resolve);
    match openat2(root, path, how) {
        // Refused by an old kernel or a seccomp profile; a real EPERM comes again.
        Err(Errno::ENOSYS | Errno::EPERM) => open_stepwise(root, path, flags, mode),
        other => other,
    }
}

/// Opens `path` part by part, so that a link anywhere is refused by `O_NOFOLLOW`.
fn open_stepwise(
    root: &impl AsFd,
    path: &OsStr,
    flags: OFlag,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let group = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let bytes = path.as_bytes();
    let (groups, name) = match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (Some(&bytes[..slash]), &bytes[slash + 1..]),
        None => (None, bytes),
    };
    let mut current = root
        .as_fd()
        .try_clone_to_owned()
        .map_err(|_| Errno::EMFILE)?;
    let parts = groups.map(|groups| groups.split(|byte| *byte == b'/'));
    for part in parts.into_iter().flatten() {
        current = openat(&current, OsStr::from_bytes(part), group, Mode::empty())?;
    }
    openat(&current, OsStr::from_bytes(name), flags, mode)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use nix::fcntl::open;

    use super::*;

    #[test]
    fn part_by_part_opens_the_same_files_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), "x").unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("l")).unwrap();
        std::os::unix::fs::symlink("b", folder.path().join("a/l")).unwrap();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let root = open(folder.path(), flags, Mode::empty()).unwrap();
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW;
        for is_stepwise in [false, true] {
            let open = |path: &str| {
                if is_stepwise {
                    open_stepwise(&root, OsStr::new(path), flags, Mode::empty())
                } else {
                    open_beneath(&root, path, flags, Mode::empty())
                }
            };
            assert!(open("a/b").is_ok());
            assert_eq!(open("a/l").unwrap_err(), Errno::ELOOP);
            assert_eq!(open("a/c").unwrap_err(), Errno::ENOENT);
            assert!(matches!(
                open("l/b").unwrap_err(),
                Errno::ENOTDIR | Errno::ELOOP
            ));
        }
    }
}
