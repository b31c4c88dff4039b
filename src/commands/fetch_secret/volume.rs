//! The directory that podinit owns, looked at before any network: a bad volume must not cost a
//! credential that can be used only once.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::statfs::{FsType, TMPFS_MAGIC};
use tracing::warn;

use super::publish::{self, DATA, SWAP};
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Entry, Folder, Lock, refused};
use crate::base::retry::{Backoff, until};

/// linux/magic.h
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// How often a lock that somebody else holds is asked for.
const LOCK: Backoff = Backoff {
    first: Duration::from_millis(50),
    max: Duration::from_millis(250),
};

/// What is asked of the directory.
#[derive(Debug, Clone)]
pub(super) struct Demands {
    pub(super) dir: PathBuf,
    pub(super) dir_mode: u32,
    pub(super) require_tmpfs: bool,
    pub(super) owner: Option<(u32, u32)>,
    /// All modes that files will get.
    pub(super) modes: Vec<u32>,
    /// The names at the top that are known beforehand.
    pub(super) tops: Vec<String>,
}

/// The directory, locked and clean.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) folder: Folder,
    /// Whom the kernel makes the owner of a new file, or who was asked for.
    pub(super) owner: (u32, u32),
    _lock: Lock,
}

/// Makes, locks, checks and cleans the directory.
///
/// # Errors
/// `Usage` without its parent, or if something in it is in the way; `Denied` if it cannot be written;
/// `Unavailable` if somebody else holds it until the deadline; `Local` on the wrong file system.
pub(super) async fn prepare(demands: Demands, deadline: &Deadline) -> Result<Arc<Volume>, Failure> {
    let demands = Arc::new(demands);
    let asked = Arc::clone(&demands);
    let folder = blocking(deadline, "open the directory", move || open(&asked)).await?;
    let what = format!("lock {}", folder.path().display());
    let lock = until(&deadline.clone(), LOCK, &what, async || {
        match folder.try_lock() {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(Failure::new(Kind::Unavailable, "another podinit holds it")
                .context(format!("lock {}", folder.path().display()))
                .hint("one invocation for each --dir")),
            Err(errno) => Err(refused(errno, format!("lock {}", folder.path().display()))),
        }
    })
    .await?;
    blocking(deadline, "prepare the directory", move || {
        check_names(&folder, demands.tops.iter().map(String::as_str))?;
        check_file_system(&folder, demands.require_tmpfs)?;
        clean(&folder)?;
        let owner = probe(&folder, &demands)?;
        Ok(Arc::new(Volume {
            folder,
            owner,
            _lock: lock,
        }))
    })
    .await
}

/// Looks at the directory without changing anything.
///
/// # Errors
/// As `prepare`.
pub(super) async fn inspect(demands: Demands, deadline: &Deadline) -> Result<(), Failure> {
    blocking(deadline, "look at the directory", move || {
        let dir = &demands.dir;
        let folder = match Folder::open(dir) {
            Err(Errno::ENOENT) => {
                let (parent, _) = parts(dir)?;
                let parent = Folder::open(parent).map_err(|errno| no_parent(parent, errno))?;
                return parent
                    .check_writable()
                    .map_err(|errno| not_writable(errno, dir));
            }
            other => other.map_err(|errno| not_opened(dir, errno))?,
        };
        check_names(&folder, demands.tops.iter().map(String::as_str))?;
        check_file_system(&folder, demands.require_tmpfs)?;
        folder
            .check_writable()
            .map_err(|errno| not_writable(errno, dir))
    })
    .await
}

/// Runs disk work on a thread of its own, since a disk may never answer. A signal waits for it: it
/// cleans up after itself when the run has to end.
pub(super) async fn blocking<T: Send + 'static>(
    deadline: &Deadline,
    attempt: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match deadline.in_time(tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Failure::caused_by(Kind::Bug, panic).context(attempt)),
        Err(_) => Err(Failure::new(
            Kind::Unavailable,
            "the disk had not answered when the deadline came",
        )
        .context(attempt)),
    }
}

fn parts(dir: &Path) -> Result<(&Path, &str), Failure> {
    let name = dir.file_name().and_then(OsStr::to_str);
    let parent = dir.parent().map(|parent| {
        if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        }
    });
    parent.zip(name).ok_or_else(|| {
        Failure::new(Kind::Usage, format!("{} cannot be made", dir.display()))
            .hint("name a directory by UTF-8 letters")
    })
}

fn open(demands: &Demands) -> Result<Folder, Failure> {
    let dir = &demands.dir;
    match Folder::open(dir) {
        Err(Errno::ENOENT) => {
            let (parent, name) = parts(dir)?;
            let parent = Folder::open(parent).map_err(|errno| no_parent(parent, errno))?;
            parent
                .make_folder(name, demands.dir_mode)
                .map_err(|failure| match failure.kind() {
                    Kind::Denied => failure.hint(WRITABLE),
                    _ => failure,
                })
        }
        other => other.map_err(|errno| not_opened(dir, errno)),
    }
}

fn no_parent(parent: &Path, errno: Errno) -> Failure {
    Failure::caused_by(Kind::Usage, errno)
        .context(format!(
            "open {}, in which --dir is to be made",
            parent.display()
        ))
        .hint("make it, or mount a volume there: only the last part of --dir is made")
}

fn not_opened(dir: &Path, errno: Errno) -> Failure {
    let attempt = format!("open --dir {}", dir.display());
    match errno {
        Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG => {
            Failure::caused_by(Kind::Usage, errno)
                .context(attempt)
                .hint("--dir has to be a directory")
        }
        _ => refused(errno, attempt).hint(WRITABLE),
    }
}

const WRITABLE: &str = "set the Pod's fsGroup, and mount the volume without readOnly";

fn not_writable(errno: Errno, dir: &Path) -> Failure {
    let failure = refused(errno, format!("write into {}", dir.display()));
    match failure.kind() {
        Kind::Denied => failure.hint(WRITABLE),
        _ => failure,
    }
}

/// Refuses names that something else has: they are not podinit's to replace.
///
/// # Errors
/// `Usage`, with the path.
pub(super) fn check_names<'a>(
    folder: &Folder,
    tops: impl IntoIterator<Item = &'a str>,
) -> Result<(), Failure> {
    let mut wanted: Vec<&str> = tops.into_iter().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let look = |name: &str| {
        let path = folder.path().join(name).display().to_string();
        let entry = folder.look(OsStr::new(name));
        entry
            .map(|entry| (entry, path.clone()))
            .map_err(|errno| refused(errno, format!("look at {path}")))
    };
    let in_the_way = |path: &str, what: &str| {
        Err(Failure::new(Kind::Usage, format!("{path} {what}"))
            .hint("remove it, or choose another --dir: podinit replaces only what it has made"))
    };
    if let (Some(entry), path) = look(DATA)?
        && !publish::is_own_data(&entry)
    {
        return in_the_way(&path, "is not a link that podinit has made");
    }
    for name in wanted {
        if let (Some(entry), path) = look(name)?
            && !publish::is_own_link(name, &entry)
        {
            return in_the_way(&path, "exists already and is not podinit's own link");
        }
    }
    Ok(())
}

fn check_file_system(folder: &Folder, is_required: bool) -> Result<(), Failure> {
    let path = folder.path().display();
    let kind = folder
        .file_system()
        .map_err(|errno| refused(errno, format!("find the file system of {path}")))?;
    if kind == TMPFS_MAGIC || kind == RAMFS_MAGIC {
        return Ok(());
    }
    if is_required {
        return Err(Failure::new(
            Kind::Local,
            format!(
                "{path} is not on tmpfs, but on a file system of type 0x{:x}",
                kind.0
            ),
        )
        .hint("use a volume with emptyDir: {medium: Memory}"));
    }
    warn!(
        "{path} is not on tmpfs: the secrets reach a disk. hint: use emptyDir: {{medium: Memory}}"
    );
    Ok(())
}

/// Removes what a run that was killed has left.
fn clean(folder: &Folder) -> Result<(), Failure> {
    let list = |errno| refused(errno, format!("list {}", folder.path().display()));
    folder.remove(OsStr::new(SWAP)).map_err(hinted)?;
    let data = match folder.look(OsStr::new(DATA)).map_err(list)? {
        Some(Entry::Link(target)) => Some(target),
        Some(Entry::Folder | Entry::Other) | None => None,
    };
    for name in folder.names().map_err(list)? {
        let Some(entry) = folder.look(&name).map_err(list)? else {
            continue;
        };
        let text = name.to_string_lossy();
        let is_old = entry == Entry::Folder
            && publish::is_timestamp(&text)
            && data.as_deref() != Some(name.as_os_str());
        let is_dangling = publish::is_own_link(&text, &entry)
            && !publish::is_there(folder, data.as_deref(), &text);
        if is_old || is_dangling {
            folder.remove(&name).map_err(hinted)?;
        }
    }
    Ok(())
}

fn hinted(failure: Failure) -> Failure {
    match failure.kind() {
        Kind::Denied => failure.hint(WRITABLE),
        _ => failure,
    }
}

/// Tries each mode with the owner that is asked for; the name is one that the next run would remove.
fn probe(folder: &Folder, demands: &Demands) -> Result<(u32, u32), Failure> {
    let mut owner = None;
    for mode in &demands.modes {
        let attributes = Attributes {
            mode: *mode,
            owner: demands.owner,
        };
        let made = folder.probe(SWAP, attributes).map_err(|errno| {
            let path = folder.path();
            match demands.owner {
                Some((user, group)) if errno == Errno::EPERM => refused(
                    errno,
                    format!("give a file in {} to {user}:{group}", path.display()),
                )
                .hint(
                    "add the capability CAP_CHOWN, or leave --owner out and set the Pod's fsGroup",
                ),
                _ => not_writable(errno, path),
            }
        })?;
        owner = Some(made);
    }
    owner.ok_or_else(|| Failure::new(Kind::Bug, "no mode to try"))
}
