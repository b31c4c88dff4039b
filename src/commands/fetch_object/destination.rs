//! DEST: as it is written, and what lies there. Its own last name is never followed if it is a link; links
//! on the way to it are the caller's word.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::location::check_name;
use crate::base::argument::BadArgument;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Folder, Shape, refused};
use crate::base::text::one_line;

/// The directory in which podinit keeps what is not published yet, and its records.
pub(super) const STATE: &str = ".podinit";

/// What does not make a directory full: podinit's own, and what every new ext4 has.
pub(super) const UNCOUNTED: [&str; 2] = [STATE, "lost+found"];

/// DEST as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// Without slashes at the end.
    path: PathBuf,
    /// Whether there was one: then it is a directory.
    ends_in_slash: bool,
}

/// The place of one file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    /// The directory that holds it; it may be missing.
    pub(super) parent: PathBuf,
    /// Its name there.
    pub(super) name: OsString,
}

impl Spot {
    /// The whole path.
    pub(super) fn path(&self) -> PathBuf {
        if self.name == "." {
            return self.parent.clone();
        }
        self.parent.join(&self.name)
    }
}

/// A directory that is to be filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hall {
    pub(super) spot: Spot,
    pub(super) state: HallState,
}

/// What a directory that is to be filled is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HallState {
    /// Not there.
    Absent,
    /// There, and empty.
    Empty {
        /// Something is mounted on it: it can be neither renamed nor swapped.
        is_mount: bool,
    },
    /// There, with something in it.
    Full {
        /// As above.
        is_mount: bool,
    },
}

impl HallState {
    /// Whether something is mounted on it.
    pub(super) fn is_mount(self) -> bool {
        match self {
            Self::Absent => false,
            Self::Empty { is_mount } | Self::Full { is_mount } => is_mount,
        }
    }
}

fn usage(reason: String, hint: &str) -> Failure {
    Failure::new(Kind::Usage, reason).hint(hint)
}

impl Destination {
    /// Reads it.
    ///
    /// # Errors
    /// What cannot be a path.
    pub(super) fn parse(text: &OsStr) -> Result<Self, BadArgument> {
        let bytes = text.as_bytes();
        let end = bytes.iter().rposition(|byte| *byte != b'/');
        if bytes.is_empty() || bytes.contains(&0) {
            return Err(BadArgument {
                reason: "DEST is empty, or holds a NUL".to_string(),
                hint: "say where to put it: a file or a directory".to_string(),
            });
        }
        let path = match end {
            None => OsStr::new("/"),
            Some(end) => OsStr::from_bytes(&bytes[..=end]),
        };
        Ok(Self {
            path: PathBuf::from(path),
            ends_in_slash: end.is_none_or(|end| end + 1 < bytes.len()),
        })
    }

    /// As it was written, without slashes at its end.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where a file named `name` goes: into DEST if it is a directory, else to DEST itself.
    ///
    /// # Errors
    /// `Usage` without a name that is needed, or if a directory has it already.
    pub(super) fn file(&self, name: &OsStr) -> Result<Spot, Failure> {
        let spot = match (self.own_spot(), self.look()?) {
            (_, Some(Shape::Folder)) => self.inside(name)?,
            (_, Some(Shape::Link)) if self.ends_in_slash && self.path.is_dir() => {
                self.inside(name)?
            }
            (_, None) if self.ends_in_slash => self.inside(name)?,
            (_, Some(_)) if self.ends_in_slash => {
                return Err(usage(
                    format!("{} is not a directory", self.path.display()),
                    "leave out the slash at its end, or name a directory",
                ));
            }
            (_, Some(Shape::Other)) => {
                return Err(usage(
                    format!("{} is neither a file nor a directory", self.path.display()),
                    "name a file or a directory",
                ));
            }
            (Some(spot), Some(Shape::File | Shape::Link) | None) => spot,
            (None, _) => return Err(self.nameless()),
        };
        check_name(spot.name.as_bytes()).map_err(|reason| {
            usage(
                format!("the file name of {} {reason}", spot.path().display()),
                "give DEST another name",
            )
        })?;
        if facts(&spot.path())? == Some(Shape::Folder) {
            return Err(usage(
                format!("{} is a directory", spot.path().display()),
                "one object becomes one file: remove the directory, or give DEST another name",
            ));
        }
        Ok(spot)
    }

    /// The directory to fill.
    ///
    /// # Errors
    /// `Usage` for a file, `Local` for a link.
    pub(super) fn folder(&self) -> Result<Hall, Failure> {
        let path = self.path.display();
        let shape = self.look()?;
        match shape {
            Some(Shape::Link) => {
                return Err(
                    Failure::new(Kind::Local, format!("{path} is a symbolic link"))
                        .hint("remove it, or name the directory to which it points"),
                );
            }
            Some(Shape::File | Shape::Other) => {
                return Err(usage(
                    format!("{path} is a file, and a directory is needed"),
                    "name a directory, or remove the file",
                ));
            }
            Some(Shape::Folder) | None => {}
        }
        let spot = self.real_spot(shape.is_some())?;
        let state = match shape {
            None => HallState::Absent,
            Some(_) => look_inside(&spot)?,
        };
        Ok(Hall { spot, state })
    }

    /// Whether DEST is a file, or a link that a file would replace.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub(super) fn is_file(&self) -> Result<bool, Failure> {
        let shape = self.look()?;
        Ok(!self.ends_in_slash && matches!(shape, Some(Shape::File | Shape::Link)))
    }

    fn look(&self) -> Result<Option<Shape>, Failure> {
        facts(&self.path)
    }

    fn inside(&self, name: &OsStr) -> Result<Spot, Failure> {
        check_name(name.as_bytes()).map_err(|reason| {
            let shown = one_line(&name.to_string_lossy());
            usage(
                format!("the name `{shown}` that SOURCE gives the file {reason}"),
                "say in DEST what the file is called",
            )
        })?;
        Ok(Spot {
            parent: self.path.clone(),
            name: name.to_os_string(),
        })
    }

    /// Parent and name, as far as they can be told from the text.
    fn own_spot(&self) -> Option<Spot> {
        let name = self.path.file_name()?;
        // `a/.` has the name `a` to the library.
        if self.path.as_os_str().as_bytes().ends_with(b"/.") {
            return None;
        }
        Some(Spot {
            parent: match self.path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
                Some(_) | None => PathBuf::from("."),
            },
            name: name.to_os_string(),
        })
    }

    /// The same, for a directory that may be written as `.`, `..` or `/`.
    fn real_spot(&self, exists: bool) -> Result<Spot, Failure> {
        if let Some(spot) = self.own_spot() {
            if check_name(spot.name.as_bytes()).is_err() {
                return Err(self.nameless());
            }
            return Ok(spot);
        }
        if !exists {
            return Err(self.nameless());
        }
        let real = std::fs::canonicalize(&self.path).map_err(|error| {
            Failure::caused_by(Kind::Local, error).context(format!("find {}", self.path.display()))
        })?;
        Ok(match (real.parent(), real.file_name()) {
            (Some(parent), Some(name)) => Spot {
                parent: parent.to_path_buf(),
                name: name.to_os_string(),
            },
            (_, _) => Spot {
                parent: real,
                name: OsString::from("."),
            },
        })
    }

    fn nameless(&self) -> Failure {
        usage(
            format!("DEST {} has no name of its own", self.path.display()),
            "name a file or a directory that is not podinit's own .podinit",
        )
    }
}

/// What lies at the path, if anything; its last name is not followed.
fn facts(path: &Path) -> Result<Option<Shape>, Failure> {
    let attempt = || format!("look at {}", path.display());
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(match found.file_type() {
            kind if kind.is_symlink() => Shape::Link,
            kind if kind.is_dir() => Shape::Folder,
            kind if kind.is_file() => Shape::File,
            _ => Shape::Other,
        })),
        Err(error) => match error.raw_os_error().map_or(Errno::EIO, Errno::from_raw) {
            Errno::ENOENT => Ok(None),
            errno @ (Errno::ENOTDIR | Errno::ENAMETOOLONG | Errno::ELOOP) => {
                Err(Failure::caused_by(Kind::Usage, errno)
                    .context(attempt())
                    .hint("every part of DEST but the last has to be a directory"))
            }
            errno => Err(denied(errno, attempt())),
        },
    }
}

/// A refusal at DEST, with the mend that a Pod needs.
pub(super) fn denied(errno: Errno, attempt: impl Into<String>) -> Failure {
    let failure = refused(errno, attempt);
    match errno {
        Errno::EACCES | Errno::EPERM | Errno::EROFS => {
            failure.hint("set the Pod's fsGroup, and mount the volume without readOnly")
        }
        Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG => {
            failure.hint("give the volume more room: its size, or the emptyDir's sizeLimit")
        }
        _ => failure,
    }
}

fn look_inside(spot: &Spot) -> Result<HallState, Failure> {
    let path = spot.path();
    let explain = |errno| denied(errno, format!("look into {}", path.display()));
    let is_mount = if spot.name == "." {
        true
    } else {
        Folder::open(&spot.parent)
            .and_then(|parent| parent.is_mount_point(&spot.name))
            .map_err(explain)?
    };
    let folder = Folder::open(&path).map_err(explain)?;
    let is_empty = folder.is_empty_but_for(&UNCOUNTED).map_err(explain)?;
    Ok(if is_empty {
        HallState::Empty { is_mount }
    } else {
        HallState::Full { is_mount }
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests;
