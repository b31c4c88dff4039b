//! The directories that are needed while DEST is filled.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use nix::errno::Errno;

use super::destination::{HallState, denied};
use super::hall::{self, Venue, Way};
use super::record::Filed;
use super::state::{Item, State};
use super::survey::{Task, part_names};
use super::tree;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Facts, Folder, Shape};

pub(super) fn is_folder(root: &Folder, path: &OsStr) -> bool {
    matches!(
        root.facts(path),
        Ok(Some(Facts {
            shape: Shape::Folder,
            ..
        }))
    )
}

pub(super) fn sync(root: &Folder) -> Result<(), Failure> {
    root.sync_all()
        .map_err(|errno| denied(errno, format!("sync {}", root.path().display())))
}

/// DEST as a directory, if it is there.
pub(super) fn open_dest(venue: &Venue) -> Result<Option<Folder>, Failure> {
    if venue.hall.state == HallState::Absent {
        return Ok(None);
    }
    let spot = &venue.hall.spot;
    let opened = Folder::open(&spot.parent).and_then(|parent| parent.folder(&spot.name));
    opened
        .map(Some)
        .map_err(|errno| denied(errno, format!("open {}", spot.path().display())))
}

/// The directory that finished files go to; a staged tree has nothing in it but what is right.
pub(super) fn open_root(
    venue: &Venue,
    staged: &BTreeMap<OsString, Filed>,
) -> Result<Folder, Failure> {
    if venue.way == Way::ByFile {
        return open_dest(venue)?
            .ok_or_else(|| Failure::new(Kind::Bug, "a directory that is not there has files"));
    }
    let tree = open_item(&venue.state, Item::Tree)?;
    hall::remove_record(&tree);
    tree::prune(&tree, &staged.keys().cloned().collect())?;
    Ok(tree)
}

/// Opens or makes a directory in `.podinit`.
pub(super) fn open_item(state: &State, item: Item) -> Result<Folder, Failure> {
    let explain = |errno| {
        denied(
            errno,
            format!("make the directory {}", state.path(item).display()),
        )
    };
    let name = state.name(item);
    // A tree gets the mode that it most often is to have: changing it later may cost the setgid bit.
    let mode = if item == Item::Tree { 0o755 } else { 0o700 };
    match state.folder.new_folder(&name, mode) {
        Ok(()) | Err(Errno::EEXIST) => state.folder.folder(&name).map_err(explain),
        Err(errno) => Err(explain(errno)),
    }
}

/// The directory of unfinished objects, with nothing in it but what may be resumed.
pub(super) fn open_parts(state: &State, tasks: &[Task]) -> Result<Option<Arc<Folder>>, Failure> {
    if tasks.is_empty() {
        state.clear(Item::Parts)?;
        return Ok(None);
    }
    let parts = open_item(state, Item::Parts)?;
    let wanted: BTreeSet<OsString> = tasks
        .iter()
        .flat_map(|task| {
            let (part, journal) = part_names(&task.path);
            [part, journal]
        })
        .collect();
    tree::prune(&parts, &wanted)?;
    Ok(Some(Arc::new(parts)))
}
