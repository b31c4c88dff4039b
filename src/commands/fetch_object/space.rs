//! Free space, before the first byte: what is still to come for all objects of a run together.

use std::cell::RefCell;
use std::ffi::OsString;
use std::sync::{Arc, Weak};

use super::destination::denied;
use super::state::State;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Folder, Room};

/// What one unfinished file has been promised.
#[derive(Debug)]
struct Claim {
    device: u64,
    bytes: u64,
    state: Weak<State>,
    part: OsString,
}

/// The promises of a run.
#[derive(Debug, Default)]
pub(super) struct Space(RefCell<Vec<Claim>>);

impl Space {
    /// Checks that `bytes` more fit where `state` lies, and remembers them for its part file.
    ///
    /// # Errors
    /// `Local`, with what is needed and what is free.
    pub(super) fn claim(
        &self,
        state: &Arc<State>,
        part: OsString,
        bytes: u64,
    ) -> Result<(), Failure> {
        let explain = |errno| {
            denied(
                errno,
                format!(
                    "look at the free space of {}",
                    state.folder.path().display()
                ),
            )
        };
        let device = state.folder.own_facts().map_err(explain)?.device;
        let room = state.folder.room().map_err(explain)?;
        let mut claims = self.0.borrow_mut();
        claims.retain(|claim| claim.is_open() && (claim.part != part || claim.device != device));
        let others = claims
            .iter()
            .filter(|claim| claim.device == device)
            .map(Claim::outstanding)
            .fold(0, u64::saturating_add);
        check(room, bytes.saturating_add(others), 1, &state.folder)?;
        claims.push(Claim {
            device,
            bytes,
            state: Arc::downgrade(state),
            part,
        });
        Ok(())
    }
}

impl Claim {
    /// Whether its entry is still at work.
    fn is_open(&self) -> bool {
        self.state.strong_count() > 0
    }

    /// What the disk does not know of yet.
    fn outstanding(&self) -> u64 {
        let stored = self.state.upgrade().and_then(|state| {
            let facts = state.folder.facts(&self.part).ok()??;
            Some(facts.stored)
        });
        self.bytes.saturating_sub(stored.unwrap_or(0))
    }
}

/// Checks that so many bytes and files fit.
///
/// # Errors
/// `Local`, with what is needed and what is free.
pub(super) fn check(room: Room, bytes: u64, files: u64, folder: &Folder) -> Result<(), Failure> {
    let short = |what: &str, needed: u64, free: u64| {
        Err(Failure::new(
            Kind::Local,
            format!(
                "{needed} {what} are needed in {}, and {free} are free",
                folder.path().display()
            ),
        )
        .hint("give the volume more room: its size, or the emptyDir's sizeLimit"))
    };
    match (room.bytes, room.inodes) {
        (Some(free), _) if free < bytes => short("bytes", bytes, free),
        (_, Some(free)) if free < files => short("inodes", files, free),
        (_, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_numbers() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let room = |bytes, inodes| Room { bytes, inodes };
        assert!(check(room(Some(10), Some(1)), 10, 1, &folder).is_ok());
        assert!(check(room(None, None), u64::MAX, u64::MAX, &folder).is_ok());
        let failure = check(room(Some(10), None), 11, 1, &folder).unwrap_err();
        assert_eq!(failure.kind(), Kind::Local);
        assert!(failure.to_string().starts_with("11 bytes are needed"));
        let failure = check(room(Some(10), Some(0)), 1, 1, &folder).unwrap_err();
        assert!(failure.to_string().starts_with("1 inodes are needed"));
    }
}
