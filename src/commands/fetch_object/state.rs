//! The directory `.podinit` in which everything lies that is not published yet, and the lock of one DEST.
//!
//! It is beside DEST, or inside it where DEST cannot be renamed. Names of a DEST begin with its own name,
//! those inside a directory with nothing, so that several DESTs can share one `.podinit`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use ring::digest::{SHA256, digest};
use tracing::warn;

use super::destination::{STATE, denied};
use super::location::hex;
use super::offload::blocking;
use super::parents::make_folders;
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Folder, Locked, NamedLock, Shape};
use crate::base::retry::{Backoff, until};

/// Mode of `.podinit` and of parents that are made.
pub(super) const FOLDER_MODE: u32 = 0o755;

/// How often a lock that somebody else holds is asked for.
const LOCK: Backoff = Backoff {
    first: Duration::from_millis(50),
    max: Duration::from_millis(250),
};

/// The longest name that can still be added to.
const LONGEST_BASE: usize = 240;

/// How long the removal of what lies about may take when the run has to end; the next run clears the rest.
pub(super) const TIDYING: Duration = Duration::from_millis(100);

/// How often a removal is tried that somebody else writes against.
const TRIES: u32 = 1000;

/// What one DEST keeps in `.podinit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// The bytes of a single object.
    Part,
    /// What of them is there.
    Journal,
    /// The record of a single file.
    Record,
    /// A record while it is written.
    Temporary,
    /// A directory while it is filled.
    Tree,
    /// The unfinished objects of a directory.
    Parts,
    /// What of a directory is there.
    Draft,
}

impl Item {
    /// All that a run may leave; the lock goes last.
    const ALL: [Self; 7] = [
        Self::Part,
        Self::Journal,
        Self::Record,
        Self::Temporary,
        Self::Tree,
        Self::Parts,
        Self::Draft,
    ];

    fn suffix(self) -> &'static str {
        match self {
            Self::Part => ".part",
            Self::Journal => ".journal",
            Self::Record => ".json",
            Self::Temporary => ".tmp",
            Self::Tree => ".tree",
            Self::Parts => ".parts",
            Self::Draft => ".draft",
        }
    }
}

/// `.podinit` with the lock of one DEST in it.
#[derive(Debug)]
pub(super) struct State {
    /// The directory that holds `.podinit`: that of DEST, or DEST itself.
    pub(super) holder: Folder,
    /// `.podinit` itself.
    pub(super) folder: Folder,
    base: OsString,
    lock: Option<NamedLock>,
    /// Directories that were made for it, the topmost first.
    made: Vec<PathBuf>,
}

/// With what the names of one DEST begin.
pub(super) fn base_of(name: &OsStr) -> OsString {
    let bytes = name.as_bytes();
    if bytes.len() <= LONGEST_BASE {
        return name.to_os_string();
    }
    // Two long names may begin alike: the digest tells them apart.
    let sum = digest(&SHA256, bytes);
    let mut short = bytes[..LONGEST_BASE / 2].to_vec();
    short.extend_from_slice(hex(&sum.as_ref()[..16]).as_bytes());
    OsString::from_vec(short)
}

impl State {
    /// Opens or makes `.podinit` in `holder`, and takes the lock of the DEST whose names begin with
    /// `base`, waiting for it if need be.
    ///
    /// # Errors
    /// `Unavailable` if somebody else has it until the deadline; `Denied`, `Local`.
    pub(super) async fn lock(
        holder: PathBuf,
        base: OsString,
        deadline: &Deadline,
    ) -> Result<Arc<Self>, Failure> {
        let what = format!("lock {}", holder.join(STATE).join(&base).display());
        let state = until(deadline, LOCK, &what, async || {
            let (holder, base, what) = (holder.clone(), base.clone(), what.clone());
            blocking(deadline, &what.clone(), move || open(&holder, &base, &what)).await
        })
        .await?;
        Ok(Arc::new(state))
    }

    /// Opens or makes `.podinit` in a directory, without any lock.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn folder_in(holder: &Folder) -> Result<Folder, Errno> {
        open_state(holder)
    }

    /// The name of something.
    pub(super) fn name(&self, item: Item) -> OsString {
        let mut name = self.base.clone();
        name.push(item.suffix());
        name
    }

    /// Where something lies, for messages.
    pub(super) fn path(&self, item: Item) -> PathBuf {
        self.folder.path().join(self.name(item))
    }

    /// Whether the next run may go on where this one ends.
    pub(super) fn is_lasting(&self) -> bool {
        self.lock.is_some()
    }

    /// Whether something of this kind lies there.
    pub(super) fn has(&self, item: Item) -> bool {
        matches!(self.folder.look(&self.name(item)), Ok(Some(_)))
    }

    /// Removes everything but `kept`.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub(super) fn clear_except(&self, kept: &[Item]) -> Result<(), Failure> {
        Item::ALL
            .into_iter()
            .filter(|item| !kept.contains(item) || !self.is_sound(*item))
            .try_for_each(|item| self.clear(item))
    }

    /// Whether what has the name is of its kind, if anything has it.
    fn is_sound(&self, item: Item) -> bool {
        let wanted = match item {
            Item::Tree | Item::Parts => Shape::Folder,
            Item::Part | Item::Journal | Item::Record | Item::Temporary | Item::Draft => {
                Shape::File
            }
        };
        match self.folder.facts(&self.name(item)) {
            Ok(found) => found.is_none_or(|facts| facts.shape == wanted),
            Err(_) => false,
        }
    }

    /// Removes one thing; nothing there is fine.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub(super) fn clear(&self, item: Item) -> Result<(), Failure> {
        let name = self.name(item);
        self.folder
            .remove_while(&name, &|| true)
            .map_err(|errno| denied(errno, format!("remove {}", self.path(item).display())))
    }

    /// Removes everything but `kept` as far as there is time, small things first: the next run clears the
    /// rest. After a signal that is not long; else it is the time up to the deadline.
    pub(super) fn tidy(&self, kept: &[Item], deadline: &Deadline) {
        let begun = Instant::now();
        let goes_on = || deadline.ended().is_none() || begun.elapsed() < TIDYING;
        for item in Item::ALL.into_iter().filter(|item| !kept.contains(item)) {
            // Whoever still writes into a tree has been told to stop, and may be a moment behind. The
            // failure that is reported is the one that has brought us here.
            let mut tries = 0;
            while self.has(item) && goes_on() && tries < TRIES {
                let _ = self.folder.remove_while(&self.name(item), &goes_on);
                tries += 1;
            }
        }
    }

    /// Gives the lock back, and removes what is empty: `.podinit`, and the parents that were made for it.
    pub(super) fn leave(&self) {
        let mut name = self.base.clone();
        name.push(".lock");
        // Whoever waits for it sees that its file is gone, and makes a new one.
        let _ = self.folder.remove_file(&name);
        let _ = self.holder.remove_empty_folder(OsStr::new(STATE));
        for path in self.made.iter().rev() {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let removed = Folder::open(parent).and_then(|parent| parent.remove_empty_folder(name));
            if removed.is_err() {
                break;
            }
        }
    }

    /// Tries whether files may get this owner.
    ///
    /// # Errors
    /// `Denied`, with the mend.
    pub(super) fn check_owner(&self, owner: Option<(u32, u32)>) -> Result<(), Failure> {
        let Some((user, group)) = owner else {
            return Ok(());
        };
        let attributes = Attributes { mode: 0o600, owner };
        let name = self.name(Item::Temporary);
        let probed = self
            .folder
            .replace(&name, &name, |_| Ok(()), 0o600)
            .and_then(|()| self.folder.dress_file(&name, attributes, false));
        let _ = self.folder.remove_file(&name);
        probed.map(drop).map_err(|errno| {
            denied(
                errno,
                format!(
                    "give a file in {} to {user}:{group}",
                    self.folder.path().display()
                ),
            )
            .hint("add the capability CAP_CHOWN, or leave --owner out and set the Pod's fsGroup")
        })
    }
}

/// One attempt to open and lock.
fn open(holder: &Path, base: &OsStr, what: &str) -> Result<State, Failure> {
    let made = make_folders(holder)?;
    let explain = |errno: Errno| denied(errno, what.to_string());
    let holder = Folder::open(holder).map_err(explain)?;
    let folder = open_state(&holder).map_err(explain)?;
    let mut name = base.to_os_string();
    name.push(".lock");
    let base = base.to_os_string();
    match folder.try_lock_name(&name, &note()) {
        Ok(Locked::Held(lock)) => Ok(State {
            holder,
            folder,
            base,
            lock: Some(lock),
            made,
        }),
        Ok(Locked::Taken(holder)) => {
            let by = if holder.is_empty() {
                "another podinit".to_string()
            } else {
                format!("another podinit, {holder},")
            };
            Err(
                Failure::new(Kind::Unavailable, format!("{by} is filling the same DEST"))
                    .context(what.to_string())
                    .hint("wait for it with a longer --timeout, or end it"),
            )
        }
        // Whoever had it has just removed the directory: at once again.
        Err(Errno::ENOENT) => Err(Failure::new(
            Kind::Unavailable,
            "the directory was just removed",
        )
        .context(what.to_string())),
        Err(errno @ (Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS)) => {
            warn!(
                "{} cannot lock files ({}): nothing can be resumed there, and no second podinit is kept out",
                folder.path().display(),
                errno.desc()
            );
            let _ = folder.remove_file(&name);
            let mut base = base;
            base.push(format!(".{:016x}", fastrand::u64(..)));
            Ok(State {
                holder,
                folder,
                base,
                lock: None,
                made,
            })
        }
        Err(errno) => Err(explain(errno)),
    }
}

fn open_state(holder: &Folder) -> Result<Folder, Errno> {
    let name = OsStr::new(STATE);
    match holder.new_folder(name, FOLDER_MODE) {
        Ok(()) => holder.dress_folder(
            name,
            Attributes {
                mode: FOLDER_MODE,
                owner: None,
            },
        )?,
        Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    holder.folder(name)
}

/// Who holds the lock, for others: process and host, which in a Pod is the Pod's name.
fn note() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} of {}\n", std::process::id(), host.trim())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests;
