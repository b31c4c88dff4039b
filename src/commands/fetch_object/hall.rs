//! A directory DEST: how it can be filled, where what is unfinished lies meanwhile, and its record.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;

use super::destination::{Destination, Hall, HallState, STATE, denied};
use super::folders::Folders;
use super::offload::blocking;
use super::parents::{is_writable, may_rename};
use super::record::Record;
use super::state::{Item, State, base_of};
use super::survey::Terms;
use super::tree;
use super::work::{Held, Work};
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Facts, Folder};

/// The record of a directory, in its own `.podinit`.
const RECORD: &str = "record.json";

/// That record while it is written.
const TEMPORARY: &str = "record.tmp";

/// What a later run can use of a directory.
pub(super) const KEPT: &[Item] = &[Item::Tree, Item::Parts, Item::Draft];

/// How a directory is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Built beside it, and renamed onto it: it is absent or empty.
    Whole,
    /// Built inside it, its top entries then renamed: it is empty and cannot be renamed.
    Inside,
    /// File by file: it has something in it.
    ByFile,
    /// Built beside it, with links to what stays, and swapped.
    Swap,
}

impl Way {
    /// Whether a whole tree is built before anything can be seen.
    pub(super) fn is_staged(self) -> bool {
        match self {
            Self::Whole | Self::Inside | Self::Swap => true,
            Self::ByFile => false,
        }
    }
}

/// A directory that is about to be filled, with its lock.
#[derive(Debug)]
pub(super) struct Venue {
    pub(super) hall: Hall,
    pub(super) way: Way,
    pub(super) state: Arc<State>,
}

/// Whether `.podinit` lies inside DEST.
fn is_inside(hall: &Hall) -> bool {
    match hall.state {
        HallState::Absent => false,
        HallState::Empty { is_mount } | HallState::Full { is_mount } => {
            is_mount || !is_writable(&hall.spot.parent) || !may_rename(&hall.spot.path())
        }
    }
}

/// How the directory is to be filled.
///
/// # Errors
/// `Usage` if it has to be swapped and something is mounted on it; `Denied` if it cannot be renamed.
pub(super) fn way(hall: &Hall, atomic: bool) -> Result<Way, Failure> {
    let inside = is_inside(hall);
    if atomic && inside {
        let path = hall.spot.path();
        let shown = path.display();
        if hall.state.is_mount() {
            return Err(Failure::new(
                Kind::Usage,
                format!(
                    "--atomic: {shown} is a mount point, which can be neither renamed nor swapped"
                ),
            )
            .hint(format!(
                "name a directory below the mount, such as {shown}/data"
            )));
        }
        return Err(Failure::new(
            Kind::Denied,
            format!("--atomic: {shown} can be neither renamed nor swapped by this user"),
        )
        .hint("set the Pod's fsGroup, or drop --atomic"));
    }
    Ok(match (hall.state, inside, atomic) {
        (HallState::Absent, _, _) | (HallState::Empty { .. }, false, _) => Way::Whole,
        (HallState::Empty { .. }, true, _) => Way::Inside,
        (HallState::Full { .. }, _, false) => Way::ByFile,
        (HallState::Full { .. }, _, true) => Way::Swap,
    })
}

/// Where `.podinit` lies, and how the names in it begin.
fn seat(hall: &Hall) -> (PathBuf, OsString) {
    if is_inside(hall) {
        (hall.spot.path(), OsString::new())
    } else {
        (hall.spot.parent.clone(), base_of(&hall.spot.name))
    }
}

/// Looks at the directory, takes its lock, and looks again.
///
/// # Errors
/// As `Destination::folder`, `way` and `State::lock`.
pub(super) async fn enter(
    destination: &Destination,
    work: &Work<'_>,
    held: &Held,
    kept: &'static [Item],
) -> Result<Venue, Failure> {
    let atomic = work.request.options.atomic;
    let look = || {
        let destination = destination.clone();
        blocking(work.deadline, "look at DEST", move || {
            let hall = destination.folder()?;
            let way = way(&hall, atomic)?;
            let seat = seat(&hall);
            Ok((hall, way, seat))
        })
    };
    loop {
        let (_, _, before) = look().await?;
        let state = State::lock(before.0.clone(), before.1.clone(), work.deadline).await?;
        held.hold(&state, kept);
        let (hall, way, now) = look().await?;
        if now == before {
            return Ok(Venue { hall, way, state });
        }
        held.hold(&state, &[]);
        state.leave();
    }
}

/// Reads the record of the directory, if there is one.
pub(super) fn read_record(folder: &Folder) -> Option<Record> {
    let state = folder.folder(STATE).ok()?;
    state
        .open_regular(OsStr::new(RECORD))
        .ok()
        .and_then(Record::read)
}

/// Writes the record into the directory's own `.podinit`, which is made.
///
/// # Errors
/// `Denied` or `Local`.
pub(super) fn write_record(folder: &Folder, record: &Record) -> Result<(), Failure> {
    let explain = |errno| {
        denied(
            errno,
            format!("write the record of {}", folder.path().display()),
        )
    };
    let name = OsStr::new(STATE);
    match folder.new_folder(name, 0o755) {
        Ok(()) => folder
            .dress_folder(
                name,
                Attributes {
                    mode: 0o755,
                    owner: None,
                },
            )
            .map_err(explain)?,
        Err(Errno::EEXIST) => {}
        Err(errno) => return Err(explain(errno)),
    }
    let state = folder.folder(name).map_err(explain)?;
    state
        .replace(
            OsStr::new(RECORD),
            OsStr::new(TEMPORARY),
            |out| record.write(out),
            0o644,
        )
        .map_err(explain)
}

/// Removes the record of the directory; nothing there is fine.
pub(super) fn remove_record(folder: &Folder) {
    if let Ok(state) = folder.folder(STATE) {
        for name in [RECORD, TEMPORARY] {
            // What stays is a record that does not fit.
            let _ = state.remove_file(OsStr::new(name));
        }
        let _ = folder.remove_empty_folder(OsStr::new(STATE));
    }
}

/// Removes what a kill may have left of writing the record.
pub(super) fn tidy_record(folder: &Folder) {
    if let Ok(state) = folder.folder(STATE) {
        let _ = state.remove_file(OsStr::new(TEMPORARY));
    }
}

/// Whether the run has to end.
///
/// # Errors
/// `Unavailable` then.
pub(super) fn check(deadline: &Deadline) -> Result<(), Failure> {
    match deadline.ended() {
        None => Ok(()),
        Some(_) => Err(Failure::new(
            Kind::Unavailable,
            "the run had to end before all was published",
        )
        .hint("give it more time with --timeout; a second run goes on where this one ended")),
    }
}

/// Renames the staged tree onto DEST, which is absent or empty.
///
/// # Errors
/// `Denied` or `Local`.
pub(super) fn rename(venue: &Venue, folders: &mut Folders, terms: &Terms) -> Result<(), Failure> {
    let (state, spot) = (&venue.state, &venue.hall.spot);
    let path = spot.path();
    let explain = |errno| denied(errno, format!("publish {}", path.display()));
    let before = state.holder.facts(&spot.name).map_err(explain)?;
    let tree = state.name(Item::Tree);
    match state.folder.move_to(&tree, &state.holder, &spot.name) {
        Ok(()) => {}
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
            // Somebody has put something there meanwhile.
            let from = state.folder.folder(&tree).map_err(explain)?;
            let to = state.holder.folder(&spot.name).map_err(explain)?;
            tree::merge(&from, &to, folders, &terms.deadline)?;
            return to.sync();
        }
        Err(errno @ (Errno::EBUSY | Errno::EXDEV)) => {
            return Err(
                explain(errno).hint("something is mounted there: name a directory below the mount")
            );
        }
        Err(errno) => return Err(explain(errno)),
    }
    let attributes = match before {
        Some(old) if !terms.has_mode => Attributes {
            mode: old.mode,
            owner: terms.folder.owner,
        },
        Some(_) | None => terms.folder,
    };
    keep_owner(&state.holder, &spot.name, before, terms.folder.owner);
    state
        .holder
        .dress_folder(&spot.name, attributes)
        .map_err(explain)?;
    state.holder.sync()
}

/// Swaps the staged tree with DEST, whose mode and owner it gets.
///
/// # Errors
/// `Local` where that is not possible.
pub(super) fn swap(venue: &Venue) -> Result<(), Failure> {
    let (state, spot) = (&venue.state, &venue.hall.spot);
    let tree = state.name(Item::Tree);
    let explain = |errno| denied(errno, format!("publish {}", spot.path().display()));
    let before = state.holder.facts(&spot.name).map_err(explain)?;
    keep_owner(&state.folder, &tree, before, None);
    if let Some(old) = before {
        let attributes = Attributes {
            mode: old.mode | 0o200,
            owner: None,
        };
        state
            .folder
            .dress_folder(&tree, attributes)
            .map_err(explain)?;
    }
    tree::swap(&state.folder, &tree, &state.holder, &spot.name)?;
    if let Some(old) = before {
        let attributes = Attributes {
            mode: old.mode,
            owner: None,
        };
        state
            .holder
            .dress_folder(&spot.name, attributes)
            .map_err(explain)?;
    }
    state.holder.sync()
}

/// A directory that takes the place of another one gets its owner, as far as that is allowed.
fn keep_owner(holder: &Folder, name: &OsStr, before: Option<Facts>, asked: Option<(u32, u32)>) {
    if let (Some(old), None) = (before, asked)
        && let Ok(Some(now)) = holder.facts(name)
        && now.owner != old.owner
    {
        let attributes = Attributes {
            mode: now.mode,
            owner: Some(old.owner),
        };
        // Only root may give something away; for anybody else it is as it would be made.
        let _ = holder.dress_folder(name, attributes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fetch_object::destination::Spot;

    fn hall(parent: &std::path::Path, state: HallState) -> Hall {
        Hall {
            spot: Spot {
                parent: parent.to_path_buf(),
                name: "d".into(),
            },
            state,
        }
    }

    #[test]
    fn the_way_follows_from_what_lies_there() {
        let place = tempfile::tempdir().unwrap();
        let way = |state, atomic| way(&hall(place.path(), state), atomic).map_err(|f| f.kind());
        let (free, mount) = (false, true);
        assert_eq!(way(HallState::Absent, false), Ok(Way::Whole));
        assert_eq!(way(HallState::Absent, true), Ok(Way::Whole));
        assert_eq!(
            way(HallState::Empty { is_mount: free }, false),
            Ok(Way::Whole)
        );
        assert_eq!(
            way(HallState::Empty { is_mount: mount }, false),
            Ok(Way::Inside)
        );
        assert_eq!(
            way(HallState::Full { is_mount: free }, false),
            Ok(Way::ByFile)
        );
        assert_eq!(
            way(HallState::Full { is_mount: mount }, false),
            Ok(Way::ByFile)
        );
        assert_eq!(way(HallState::Full { is_mount: free }, true), Ok(Way::Swap));
        for state in [
            HallState::Empty { is_mount: mount },
            HallState::Full { is_mount: mount },
        ] {
            assert_eq!(way(state, true), Err(Kind::Usage));
        }
    }
}
