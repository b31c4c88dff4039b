//! Locks that are files: one of several names in a directory is held, not the directory itself. The file
//! is removed by whoever held it last, so a lock counts only while its file still has its name.

use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag};
use nix::sys::stat::{Mode, fstat, fstatat};

use super::{Folder, open_beneath};

/// The longest note of a holder that is read; bytes.
const MAX_NOTE: u64 = 200;

/// A held lock; dropped, it is free, and its file stays.
#[derive(Debug)]
pub struct NamedLock {
    _held: Flock<std::fs::File>,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub enum Locked {
    /// It is held now.
    Held(NamedLock),
    /// Somebody else holds it, who has left this note.
    Taken(String),
}

impl Folder {
    /// Takes the lock `name` in this directory, or says at once who has it. `note` tells others.
    ///
    /// # Errors
    /// What the kernel says; `ENOLCK` or `EOPNOTSUPP` where files cannot be locked, `ENOENT` if the
    /// directory itself has been removed.
    pub fn try_lock_name(&self, name: &OsStr, note: &str) -> Result<Locked, Errno> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        loop {
            let opened: OwnedFd =
                open_beneath(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
            let file = std::fs::File::from(opened);
            let mut held = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(held) => held,
                Err((file, Errno::EWOULDBLOCK)) => return Ok(Locked::Taken(read_note(file))),
                Err((_, errno)) => return Err(errno),
            };
            let own = fstat(&*held)?;
            match fstatat(&self.descriptor, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(named) if (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino) => {
                    // The note is for people: a full disk must not cost the lock.
                    let _ = held.set_len(0);
                    let _ = held.write_all(note.as_bytes());
                    return Ok(Locked::Held(NamedLock { _held: held }));
                }
                // Its holder has removed it in between: there is another one now, or none.
                Ok(_) | Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

fn read_note(mut file: std::fs::File) -> String {
    let mut note = Vec::new();
    let _ = file.rewind();
    let _ = file.take(MAX_NOTE).read_to_end(&mut note);
    String::from_utf8_lossy(&note).trim().to_string()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once_and_another_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let name = OsStr::new("a.lock");
        let Locked::Held(first) = folder.try_lock_name(name, "pid 1").unwrap() else {
            panic!("it is free");
        };
        let other = Folder::open(place.path()).unwrap();
        assert!(
            matches!(other.try_lock_name(name, "").unwrap(), Locked::Taken(note) if note == "pid 1")
        );
        let beside = other.try_lock_name(OsStr::new("b.lock"), "").unwrap();
        assert!(matches!(beside, Locked::Held(_)));
        drop(first);
        assert!(matches!(
            other.try_lock_name(name, "").unwrap(),
            Locked::Held(_)
        ));
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_no_lock() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let name = OsStr::new("a.lock");
        let first = folder.try_lock_name(name, "").unwrap();
        std::fs::remove_file(place.path().join("a.lock")).unwrap();
        let second = folder.try_lock_name(name, "").unwrap();
        assert!(matches!(
            (first, second),
            (Locked::Held(_), Locked::Held(_))
        ));
    }
}
