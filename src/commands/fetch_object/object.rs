//! One object that becomes one file.

use std::ffi::OsStr;
use std::sync::Arc;

use super::args::IfChanged;
use super::destination::{Spot, denied};
use super::digest::Sha256;
use super::engine::{self, Brought, Fetched, Job, Pins, Slot};
use super::local::{Local, Wanted};
use super::offload::blocking;
use super::record::{Filed, Made, Record};
use super::report::{Done, told};
use super::state::{Item, State, base_of};
use super::work::{Held, Named, Work};
use crate::base::failure::Failure;
use crate::base::file::Attributes;

/// What a later run can use of a single object.
pub(super) const KEPT: &[Item] = &[Item::Part, Item::Journal, Item::Record];

/// Fetches the object, unless it is there already.
///
/// # Errors
/// Those of the source, of the download and of the disk.
pub(super) async fn fetch(
    named: &Named<'_>,
    work: &Work<'_>,
    held: &Held,
) -> Result<Done, Failure> {
    let name = named.entry.location.last_segment();
    let digest = work.digest_of(named.entry)?;
    let look = || {
        let (destination, name) = (named.entry.destination.clone(), name.clone());
        blocking(work.deadline, "look at DEST", move || {
            destination.file(&name)
        })
    };
    let (spot, state) = loop {
        let spot = look().await?;
        let state = State::lock(spot.parent.clone(), base_of(&spot.name), work.deadline).await?;
        held.hold(&state, KEPT);
        // Whoever had the lock before may have changed what lies there.
        if look().await? == spot {
            break (spot, state);
        }
        held.hold(&state, &[]);
        state.leave();
    };
    fetch_to(named, work, &spot, &state, digest).await
}

async fn fetch_to(
    named: &Named<'_>,
    work: &Work<'_>,
    spot: &Spot,
    state: &Arc<State>,
    digest: Option<Sha256>,
) -> Result<Done, Failure> {
    let options = &work.request.options;
    let resumes = options.resumes && state.is_lasting();
    let local = inspect(named, work, spot, state, digest).await?;
    let mut done = Done {
        source: named.entry.location.to_string(),
        dest: spot.path().display().to_string(),
        objects: 1,
        is_single: true,
        ..Done::default()
    };
    let record = match local {
        Local::Right(record) => {
            leave_as_it_is(named, work, spot, state, &record).await?;
            return Ok(unchanged(done, &record));
        }
        Local::Ask(record, _) => Some(record),
        Local::Wrong => None,
    };
    let job = Job {
        source: named.source.clone(),
        object: named.object(),
        pins: Pins {
            sha256: digest.map(|Sha256(bytes)| bytes),
            etag: named.entry.etag.clone(),
        },
        listed: None,
        max_size: options.max_size,
        have: record.as_ref().map(|record| record.validator.clone()),
        host: work.host(&named.entry.location),
    };
    let (part, journal) = (state.name(Item::Part), state.name(Item::Journal));
    let room = |bytes: u64| work.space.claim(state, part.clone(), bytes);
    let unfinished = Slot {
        folder: &state.folder,
        part: &part,
        journal: &journal,
        identity: &named.identity,
        resumes,
        room: &room,
    };
    match (
        engine::to_file(&job, &unfinished, work.shared).await?,
        record,
    ) {
        (Brought::Unchanged, Some(record)) => {
            leave_as_it_is(named, work, spot, state, &record).await?;
            Ok(unchanged(done, &record))
        }
        (Brought::Unchanged, None) => Err(unasked()),
        (Brought::Fetched(fetched), _) => {
            publish(named, work, spot, state, &fetched).await?;
            done.bytes = fetched.length;
            done.transferred = fetched.transferred;
            done.resumed = fetched.resumed;
            done.validator = told(&fetched.validator);
            done.checked = fetched.checked;
            done.unchecked = fetched.unchecked;
            Ok(done)
        }
    }
}

/// Nothing was said that could have been confirmed.
pub(super) fn unasked() -> Failure {
    Failure::new(
        crate::base::failure::Kind::Corrupt,
        "the server says `not modified` to a request without a condition",
    )
}

pub(super) fn unchanged(mut done: Done, record: &Record) -> Done {
    done.bytes = record.length;
    done.unchanged = 1;
    done.validator = told(&record.validator);
    done
}

/// Removes what this run cannot use, and judges what lies at DEST.
async fn inspect(
    named: &Named<'_>,
    work: &Work<'_>,
    spot: &Spot,
    state: &Arc<State>,
    sha256: Option<Sha256>,
) -> Result<Local, Failure> {
    let options = &work.request.options;
    let (if_changed, owner) = (options.if_changed, options.owner);
    let kept: &[Item] = match (options.resumes, if_changed) {
        (_, IfChanged::Off) if !options.resumes => &[],
        (true, IfChanged::Off) => &[Item::Part, Item::Journal],
        (true, IfChanged::Record | IfChanged::Verify) => KEPT,
        (false, _) => &[Item::Record],
    };
    let (state, name) = (Arc::clone(state), spot.name.clone());
    let (identity, deadline) = (named.identity.clone(), work.deadline.clone());
    let entry = named.entry.clone();
    blocking(work.deadline, "look at DEST", move || {
        state.clear_except(kept)?;
        state.check_owner(owner)?;
        let record = state
            .folder
            .open_regular(&state.name(Item::Record))
            .ok()
            .and_then(Record::read);
        let wanted = Wanted {
            entry: &entry,
            identity: &identity,
            sha256,
            if_changed,
            deadline: &deadline,
        };
        wanted.judge(&state.holder, &name, record)
    })
    .await
}

fn attributes(named: &Named<'_>, work: &Work<'_>) -> Attributes {
    Attributes {
        mode: named.entry.file_mode(),
        owner: work.request.options.owner,
    }
}

/// Puts mode and owner right, and removes what an earlier run has left.
async fn leave_as_it_is(
    named: &Named<'_>,
    work: &Work<'_>,
    spot: &Spot,
    state: &Arc<State>,
    record: &Record,
) -> Result<(), Failure> {
    let attributes = attributes(named, work);
    let (state, name, record) = (Arc::clone(state), spot.name.clone(), record.clone());
    let attempt = format!("set mode and owner of {}", spot.path().display());
    blocking(work.deadline, &attempt.clone(), move || {
        state
            .holder
            .dress_file(&name, attributes, false)
            .map_err(|errno| denied(errno, attempt))?;
        write_record(&state, &record)
    })
    .await
}

/// Gives the part file its owner, mode and name.
async fn publish(
    named: &Named<'_>,
    work: &Work<'_>,
    spot: &Spot,
    state: &Arc<State>,
    fetched: &Fetched,
) -> Result<(), Failure> {
    let attributes = attributes(named, work);
    let leaves_record = work.request.options.if_changed != IfChanged::Off;
    let mut record = Record::new(&named.identity, Made::File, Vec::new());
    record.validator = fetched.validator.clone();
    record.length = fetched.length;
    record.crc64 = Some(fetched.crc64);
    record.sha256 = fetched.sha256.map(|bytes| Sha256(bytes).to_string());
    let (state, name) = (Arc::clone(state), spot.name.clone());
    let attempt = format!("publish {}", spot.path().display());
    blocking(work.deadline, &attempt.clone(), move || {
        let explain = |errno| denied(errno, attempt.clone());
        let part = state.name(Item::Part);
        let facts = state
            .folder
            .dress_file(&part, attributes, true)
            .map_err(explain)?;
        if leaves_record {
            record.files = vec![Filed::new(OsStr::new(""), &facts, record.crc64)];
            write_record(&state, &record)?;
        }
        state
            .folder
            .move_to(&part, &state.holder, &name)
            .map_err(explain)?;
        state.holder.sync()?;
        // Were it removed before, a kill in between would cost the whole download.
        state.clear(Item::Journal)
    })
    .await
}

/// Writes the record of a single file beside it.
pub(super) fn write_record(state: &State, record: &Record) -> Result<(), Failure> {
    state
        .folder
        .replace(
            &state.name(Item::Record),
            &state.name(Item::Temporary),
            |out| record.write(out),
            0o644,
        )
        .map_err(|errno| {
            denied(
                errno,
                format!("write {}", state.path(Item::Record).display()),
            )
        })
}
