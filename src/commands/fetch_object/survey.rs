//! What of a directory is right already, and what has to be fetched. It changes nothing on the disk.
//! Synchronous: it runs on a blocking thread.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use super::args::IfChanged;
use super::destination::denied;
use super::digest::Sha256;
use super::draft::{self, Draft};
use super::folders::above;
use super::hall;
use super::keys::Selection;
use super::local::{fits, read};
use super::location::hex;
use super::record::{Filed, Look, Made, Record};
use super::source::{Listed, Validator};
use super::space;
use super::state::{Item, State};
use crate::base::deadline::Deadline;
use crate::base::failure::Failure;
use crate::base::file::{Attributes, Facts, Folder, Shape};

/// What is asked of the files.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) identity: String,
    pub(super) if_changed: IfChanged,
    pub(super) resumes: bool,
    pub(super) deletes: bool,
    /// Whether `--mode` was given.
    pub(super) has_mode: bool,
    pub(super) file: Attributes,
    pub(super) folder: Attributes,
    pub(super) deadline: Deadline,
}

/// One object that has to be fetched.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub(super) path: String,
    pub(super) listed: Listed,
    pub(super) sha256: Option<Sha256>,
}

/// The names of an unfinished object in the directory of parts.
pub(super) fn part_names(path: &str) -> (OsString, OsString) {
    let sum = ring::digest::digest(&ring::digest::SHA256, path.as_bytes());
    let stem = hex(&sum.as_ref()[..16]);
    (
        format!("{stem}.part").into(),
        format!("{stem}.journal").into(),
    )
}

/// Whether the list says of an object what a record does.
fn is_same_state(listed: &Listed, filed: &Filed) -> bool {
    let Some(known) = &filed.validator else {
        return false;
    };
    let pairs: [fn(&Validator) -> &Option<String>; 3] = [
        |validator| &validator.generation,
        |validator| &validator.etag,
        |validator| &validator.last_modified,
    ];
    let strongest = pairs
        .iter()
        .find(|of| of(&listed.validator).is_some() || of(known).is_some());
    filed.size == listed.size && strongest.is_some_and(|of| of(&listed.validator) == of(known))
}

impl Terms {
    /// Judges one file: right as it is, in which case the record of it is handed back, or not.
    fn judge(
        &self,
        folder: &Folder,
        path: &OsStr,
        filed: &Filed,
        pin: Option<Sha256>,
        trusts: bool,
    ) -> Result<Option<Filed>, Failure> {
        let facts = folder.facts(path).ok().flatten();
        let look = filed.look(facts.as_ref(), self.if_changed);
        let pinned = filed.sha256.as_deref().and_then(|text| text.parse().ok());
        if let (Some(pin), Some(known)) = (pin, pinned)
            && pin != known
        {
            return Ok(None);
        }
        let Some(facts) = facts.filter(|_| look != Look::Other) else {
            return Ok(None);
        };
        let needs_digest = pin.is_some() && pinned.is_none();
        let mut filed = filed.clone().refreshed(&facts);
        if look == Look::Unsure || needs_digest || !trusts {
            let sums = read(folder, path, needs_digest, &self.deadline)?;
            if !fits(&filed, &sums) || (needs_digest && sums.sha256 != pin) {
                return Ok(None);
            }
            if let Some(digest) = sums.sha256 {
                filed.sha256 = Some(digest.to_string());
            }
        }
        Ok(Some(filed))
    }
}

/// What is known of the files before anything is fetched.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Right at DEST.
    pub(super) kept: BTreeMap<OsString, Filed>,
    /// Right in the tree that an earlier run has staged.
    pub(super) staged: BTreeMap<OsString, Filed>,
    /// To be fetched.
    pub(super) tasks: Vec<Task>,
    /// Directories that earlier runs have made.
    pub(super) folders: BTreeSet<OsString>,
    /// Whether the record says anything else than what is there.
    pub(super) is_dirty: bool,
}

/// Looks at what is there; changes nothing.
///
/// # Errors
/// `Local` for what is in the way, `Denied`; `Unavailable` when the run has to end.
pub(super) fn survey(
    dest: Option<&Folder>,
    state: Option<&State>,
    selection: &Selection,
    pins: &HashMap<String, Sha256>,
    terms: &Terms,
) -> Result<Survey, Failure> {
    let record = dest
        .filter(|_| terms.if_changed != IfChanged::Off)
        .and_then(hall::read_record)
        .filter(|record| record.source == terms.identity && record.made == Made::Prefix);
    let mut survey = Survey {
        folders: record.iter().flat_map(Record::folders).collect(),
        ..Survey::default()
    };
    let recorded: HashMap<Vec<u8>, Filed> = record
        .into_iter()
        .flat_map(|record| record.files)
        .map(|filed| (filed.path().into_encoded_bytes(), filed))
        .collect();
    let drafted = state.map_or_else(HashMap::new, |state| {
        draft::read(&state.folder, &state.name(Item::Draft), &terms.identity)
    });
    let staged = state.and_then(|state| state.folder.folder(&state.name(Item::Tree)).ok());
    for (path, listed) in &selection.files {
        hall::check(&terms.deadline)?;
        let pin = pins.get(path).copied();
        let name = OsStr::new(path);
        let known = |files: &HashMap<Vec<u8>, Filed>| {
            let filed = files.get(name.as_bytes())?;
            is_same_state(listed, filed).then(|| filed.clone())
        };
        let (old, new) = (known(&recorded), known(&drafted));
        let mut right = None;
        for filed in [&new, &old].into_iter().flatten() {
            if let (Some(dest), None) = (dest, &right) {
                right = terms.judge(dest, name, filed, pin, true)?;
            }
        }
        if let Some(filed) = right {
            survey.is_dirty |= recorded.get(name.as_bytes()) != Some(&filed);
            survey.kept.insert(name.to_os_string(), filed);
            continue;
        }
        survey.is_dirty = true;
        let left = match (&staged, &new) {
            // What was not synced may be gone after a crash of the node: it is always read.
            (Some(staged), Some(filed)) => terms.judge(staged, name, filed, pin, false)?,
            (_, _) => None,
        };
        match left {
            Some(filed) => drop(survey.staged.insert(name.to_os_string(), filed)),
            None => survey.tasks.push(Task {
                path: path.clone(),
                listed: listed.clone(),
                sha256: pin,
            }),
        }
    }
    survey.is_dirty |= recorded.len() != survey.kept.len();
    Ok(survey)
}

impl Survey {
    /// Checks that what is still to come fits, less what is there of it.
    ///
    /// # Errors
    /// `Local`.
    pub(super) fn check_room(
        &self,
        folder: &Folder,
        parts: Option<&Folder>,
        selection: &Selection,
    ) -> Result<(), Failure> {
        let stored = |path: &str| {
            let (part, _) = part_names(path);
            let facts = parts?.facts(&part).ok()??;
            Some(facts.stored)
        };
        let needed = |task: &Task| {
            let there = stored(&task.path).unwrap_or(0);
            task.listed.size.saturating_sub(there)
        };
        let bytes = self.tasks.iter().map(needed).fold(0, u64::saturating_add);
        let folders: BTreeSet<&OsStr> = self
            .tasks
            .iter()
            .flat_map(|task| above(OsStr::new(&task.path)))
            .chain(selection.folders.iter().map(OsStr::new))
            .collect();
        let files = (self.tasks.len() + folders.len()) as u64;
        if self.tasks.is_empty() {
            return Ok(());
        }
        let room = folder.room().map_err(|errno| {
            denied(
                errno,
                format!("look at the free space of {}", folder.path().display()),
            )
        })?;
        space::check(room, bytes, files, folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(etag: Option<&str>, last_modified: Option<&str>) -> Listed {
        Listed {
            key: "p/a".to_string(),
            size: 3,
            validator: Validator {
                etag: etag.map(str::to_string),
                last_modified: last_modified.map(str::to_string),
                ..Validator::default()
            },
            checksums: Vec::new(),
        }
    }

    fn filed(of: &Listed) -> Filed {
        let facts = Facts {
            shape: Shape::File,
            inode: 7,
            device: 1,
            mtime: (1, 2),
            size: of.size,
            stored: 0,
            mode: 0o644,
            owner: (0, 0),
        };
        Filed::new(OsStr::new("a"), &facts, Some(1)).of_state(&of.validator)
    }

    #[test]
    fn the_strongest_of_what_is_known_decides() {
        let one = listed(Some("\"1\""), Some("today"));
        assert!(is_same_state(&one, &filed(&one)));
        let touched = listed(Some("\"1\""), Some("tomorrow"));
        assert!(is_same_state(&touched, &filed(&one)));
        let other = listed(Some("\"2\""), Some("today"));
        assert!(!is_same_state(&other, &filed(&one)));
        let bare = listed(None, Some("today"));
        assert!(!is_same_state(&bare, &filed(&one)));
        assert!(is_same_state(&bare, &filed(&bare)));
        let nothing = listed(None, None);
        assert!(!is_same_state(&nothing, &filed(&nothing)));
        let longer = Listed {
            size: 4,
            ..one.clone()
        };
        assert!(!is_same_state(&longer, &filed(&one)));
    }

    #[test]
    fn the_names_of_parts_are_those_of_their_keys() {
        assert_eq!(part_names("a"), part_names("a"));
        assert_ne!(part_names("a").0, part_names("b").0);
    }
}
