//! Everything under a prefix into a directory.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::destination::denied;
use super::digest::Sha256;
use super::engine::{self, Brought, Fetched, Job, Pins, Slot};
use super::filling::Filling;
use super::hall;
use super::keys::Selection;
use super::listing;
use super::object::unasked;
use super::offload::blocking;
use super::record::Filed;
use super::report::Done;
use super::request::folder_mode;
use super::source::Object;
use super::state::State;
use super::survey::{Task, Terms, part_names};
use super::work::{Held, Named, Work};
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Folder};

/// The directory, shared with the threads that write into it.
type Shared = Arc<Mutex<Filling>>;

/// What each object has to know of the directory. The lock is for threads only: the one that heeds signals
/// must never wait for a disk.
struct Place {
    parts: Option<Arc<Folder>>,
    /// Whether each file is brought to the disk by itself.
    syncs: bool,
    file: Attributes,
}

/// Fetches what is missing, and publishes all of it.
///
/// # Errors
/// Those of the source, of the downloads and of the disk.
pub(super) async fn fetch(
    named: &Named<'_>,
    work: &Work<'_>,
    held: &Held,
) -> Result<Done, Failure> {
    let venue = hall::enter(&named.entry.destination, work, held, hall::KEPT).await?;
    let selection = Arc::new(listing::list(named, work).await?);
    let pins = pins(&selection, work)?;
    let terms = terms(named, work, &venue.state);
    let venue = Arc::new(venue);
    let (filling, tasks) = {
        let (venue, selection) = (Arc::clone(&venue), Arc::clone(&selection));
        blocking(work.deadline, "look at DEST", move || {
            Filling::begin(&venue, &selection, &pins, terms)
        })
        .await?
    };
    let objects = selection.files.len() as u64;
    let mut done = Done {
        source: named.entry.location.to_string(),
        dest: venue.hall.spot.path().display().to_string(),
        objects,
        bytes: selection.bytes(),
        unchanged: objects - tasks.len() as u64,
        resumed: filling.resumed,
        ..Done::default()
    };
    let place = Place {
        parts: filling.parts.clone(),
        syncs: filling.syncs_files(),
        file: filling.file(),
    };
    let filling = Arc::new(Mutex::new(filling));
    let at_last = Arc::clone(&filling);
    held.at_last(move |keeps| lock(&at_last).abandon(keeps));
    fetch_tasks(named, work, &filling, &place, tasks, &mut done).await?;
    let filter = work.request.options.filter.clone();
    let attempt = format!("publish {}", done.dest);
    done.deleted = blocking(work.deadline, &attempt, move || {
        lock(&filling).publish(&venue, &selection, &filter)
    })
    .await?;
    Ok(done)
}

fn lock(filling: &Shared) -> std::sync::MutexGuard<'_, Filling> {
    // A thread that has panicked ends the run in any case.
    filling.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The digests of all files, which have to be there before the first one is fetched.
///
/// # Errors
/// `Missing` if one is not in the file of digests.
pub(super) fn pins(
    selection: &Selection,
    work: &Work<'_>,
) -> Result<HashMap<String, Sha256>, Failure> {
    let is_only = selection.files.len() == 1;
    let mut pins = HashMap::new();
    for path in selection.files.keys() {
        if let Some(digest) = work.digest(None, path.as_bytes(), is_only)? {
            pins.insert(path.clone(), digest);
        }
    }
    Ok(pins)
}

/// What is asked of the files of an entry.
pub(super) fn terms(named: &Named<'_>, work: &Work<'_>, state: &State) -> Terms {
    let terms = lasting_terms(named, work);
    Terms {
        resumes: terms.resumes && state.is_lasting(),
        ..terms
    }
}

/// The same, where nothing is locked.
pub(super) fn lasting_terms(named: &Named<'_>, work: &Work<'_>) -> Terms {
    let options = &work.request.options;
    let mode = named.entry.file_mode();
    Terms {
        identity: named.identity.clone(),
        if_changed: options.if_changed,
        resumes: options.resumes,
        deletes: options.delete,
        has_mode: named.entry.mode.is_some(),
        file: Attributes {
            mode,
            owner: options.owner,
        },
        folder: Attributes {
            mode: folder_mode(mode),
            owner: options.owner,
        },
        deadline: work.deadline.clone(),
    }
}

/// Fetches the objects, several at a time; the first failure ends all.
async fn fetch_tasks(
    named: &Named<'_>,
    work: &Work<'_>,
    filling: &Shared,
    place: &Place,
    tasks: Vec<Task>,
    done: &mut Done,
) -> Result<(), Failure> {
    let most = usize::from(work.request.tuning.parallel);
    let mut tasks = tasks.into_iter();
    let mut running = FuturesUnordered::new();
    let mut is_first = true;
    loop {
        while running.len() < most {
            let Some(task) = tasks.next() else { break };
            running.push(fetch_one(named, work, filling, place, task));
        }
        let Some(fetched) = running.next().await else {
            return Ok(());
        };
        let fetched = fetched?;
        done.transferred += fetched.transferred;
        done.resumed += fetched.resumed;
        // Only what holds for each of them is told of all.
        if is_first {
            done.checked = fetched.checked;
        } else {
            done.checked.retain(|check| fetched.checked.contains(check));
        }
        if done.unchecked.is_none() {
            done.unchecked = fetched.unchecked;
        }
        is_first = false;
    }
}

async fn fetch_one(
    named: &Named<'_>,
    work: &Work<'_>,
    filling: &Shared,
    place: &Place,
    task: Task,
) -> Result<Fetched, Failure> {
    let (syncs, attributes) = (place.syncs, place.file);
    let parts = place
        .parts
        .clone()
        .ok_or_else(|| Failure::new(Kind::Bug, "there is no place for parts"))?;
    let job = Job {
        source: named.source.clone(),
        object: Object {
            key: task.listed.key.clone(),
            version: None,
        },
        pins: Pins {
            sha256: task.sha256.map(|Sha256(bytes)| bytes),
            etag: None,
        },
        listed: Some(task.listed.clone()),
        max_size: None,
        have: None,
        host: None,
    };
    let (part, journal) = part_names(&task.path);
    let identity = format!("{}{}", named.identity, task.path);
    // All of it was checked at once.
    let room = |_: u64| Ok(());
    let slot = Slot {
        folder: &parts,
        part: &part,
        journal: &journal,
        identity: &identity,
        resumes: work.request.options.resumes,
        room: &room,
    };
    let fetched = match engine::to_file(&job, &slot, work.shared).await? {
        Brought::Fetched(fetched) => fetched,
        Brought::Unchanged => return Err(unasked()),
    };
    let (filling, crc64) = (Arc::clone(filling), fetched.crc64);
    let (folder, attempt) = (Arc::clone(&parts), format!("publish {}", task.path));
    blocking(work.deadline, "publish a file", move || {
        let facts = folder
            .dress_file(&part, attributes, syncs)
            .map_err(|errno| denied(errno, attempt))?;
        let mut filed = Filed::new(OsStr::new(&task.path), &facts, Some(crc64))
            .of_state(&task.listed.validator);
        filed.sha256 = task.sha256.map(|digest| digest.to_string());
        lock(&filling).add(&task, filed)
    })
    .await?;
    Ok(fetched)
}
