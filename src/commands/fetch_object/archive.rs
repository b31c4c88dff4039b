//! One object that is unpacked. A stream is unpacked as it comes; a zip is brought whole first.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::destination::{Spot, denied};
use super::digest::Sha256;
use super::engine::{self, Brought, Fetched, Job, Pins, Reader, Slot};
use super::hall::{self, Venue};
use super::local::Local;
use super::location::Location;
use super::object::{self, unasked};
use super::offload::blocking;
use super::places::open_item;
use super::report::{Done, told};
use super::request::Choice;
use super::state::{Item, State, base_of};
use super::unpack::{self, Cap, Format, Halt, Input, Plan, Unpacked};
use super::unpacked;
use super::unpacked_publish::{Output, publish_single, publish_tree};
use super::work::{Held, Named, Work};
use crate::base::failure::{Failure, Kind};

/// What a later run can use: a stream starts anew, a zip goes on.
const KEPT: &[Item] = &[Item::Part, Item::Journal, Item::Record];

/// Where the content goes: a file, or what is a directory or may become one.
#[derive(Debug)]
pub(super) enum Goal {
    /// A file of this name.
    File(Spot, Arc<State>),
    /// The directory itself, or a file in its place or in it.
    Hall(Venue),
}

impl Goal {
    pub(super) fn state(&self) -> &Arc<State> {
        match self {
            Self::File(_, state) => state,
            Self::Hall(venue) => &venue.state,
        }
    }
}

/// What the bytes turned out to be.
#[derive(Debug)]
enum Content {
    Tree(Format, Unpacked),
    Single(Format, Output),
}

/// Fetches and unpacks the object, unless what is in it is there already.
///
/// # Errors
/// Those of the source, of the download, of the archive and of the disk.
pub(super) async fn fetch(
    named: &Named<'_>,
    choice: Choice,
    work: &Work<'_>,
    held: &Held,
) -> Result<Done, Failure> {
    let digest = work.digest_of(named.entry)?;
    let goal = Arc::new(enter(named, choice, work, held).await?);
    let mut done = Done {
        source: named.entry.location.to_string(),
        objects: 1,
        is_single: true,
        ..Done::default()
    };
    let found = unpacked::inspect(named, work, &goal, digest).await?;
    done.dest = found.path.display().to_string();
    let record = match found.local {
        Local::Right(record) => {
            unpacked::leave_as_it_is(named, work, &goal, found.lone, &record).await?;
            return Ok(object::unchanged(done, &record));
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
        max_size: work.request.options.max_size,
        have: record.as_ref().map(|record| record.validator.clone()),
        host: work.host(&named.entry.location),
    };
    let brought = bring(named, choice, work, &goal, &job).await?;
    let Some((fetched, content)) = brought else {
        let record = record.ok_or_else(unasked)?;
        unpacked::leave_as_it_is(named, work, &goal, found.lone, &record).await?;
        return Ok(object::unchanged(done, &record));
    };
    done.bytes = fetched.length;
    done.transferred = fetched.transferred;
    done.resumed = fetched.resumed;
    done.validator = told(&fetched.validator);
    done.dest = match content {
        Content::Tree(format, tree) => {
            if tree.entries == 0 && !work.request.options.allow_empty {
                return Err(nothing_in_it(named, work));
            }
            let Goal::Hall(venue) = &*goal else {
                return Err(not_a_folder(named, format));
            };
            let path = venue.hall.spot.path();
            publish_tree(named, work, &goal, &fetched, format, tree).await?;
            path
        }
        Content::Single(format, output) => {
            publish_single(named, work, &goal, &fetched, format, output).await?
        }
    }
    .display()
    .to_string();
    done.checked = fetched.checked;
    done.unchecked = fetched.unchecked;
    Ok(done)
}

fn nothing_in_it(named: &Named<'_>, work: &Work<'_>) -> Failure {
    let reason = if work.request.options.strip > 0 {
        "--strip-components leaves nothing of the archive"
    } else {
        "the archive is empty"
    };
    Failure::new(Kind::Missing, reason)
        .context(format!("unpack {}", named.entry.location))
        .hint("check the archive, or give --allow-empty if that is fine")
}

fn not_a_folder(named: &Named<'_>, format: Format) -> Failure {
    Failure::new(
        Kind::Usage,
        format!(
            "{} is a file, and a {} needs a directory",
            named.entry.destination.path().display(),
            format.name()
        ),
    )
    .hint("name a directory, or remove the file")
}

/// The name of the file that a gz or zst becomes.
pub(super) fn bare_name(location: &Location, format: Format) -> OsString {
    let name = location.last_segment();
    OsString::from_vec(format.bare_name(name.as_bytes()).to_vec())
}

/// Takes the lock of DEST, which is a file if that is sure.
async fn enter(
    named: &Named<'_>,
    choice: Choice,
    work: &Work<'_>,
    held: &Held,
) -> Result<Goal, Failure> {
    let destination = &named.entry.destination;
    let name = match choice {
        Choice::Format(format) if !format.is_tree() => {
            Some(bare_name(&named.entry.location, format))
        }
        Choice::Format(_) => None,
        Choice::Auto => {
            let own = destination.clone();
            let is_file = move || own.is_file();
            let is_file = blocking(work.deadline, "look at DEST", is_file).await?;
            // Its own name: a file that is there is replaced by what is unpacked.
            is_file.then(|| OsString::from("."))
        }
    };
    let Some(name) = name else {
        return hall::enter(destination, work, held, KEPT)
            .await
            .map(Goal::Hall);
    };
    let look = || {
        let (destination, name) = (destination.clone(), name.clone());
        blocking(work.deadline, "look at DEST", move || {
            destination.file(&name)
        })
    };
    loop {
        let spot = look().await?;
        let state = State::lock(spot.parent.clone(), base_of(&spot.name), work.deadline).await?;
        held.hold(&state, KEPT);
        if look().await? == spot {
            return Ok(Goal::File(spot, state));
        }
        held.hold(&state, &[]);
        state.leave();
    }
}

/// Brings the bytes and unpacks them; `None` if they have not changed.
async fn bring(
    named: &Named<'_>,
    choice: Choice,
    work: &Work<'_>,
    goal: &Arc<Goal>,
    job: &Job,
) -> Result<Option<(Fetched, Content)>, Failure> {
    let state = goal.state();
    // What an earlier run has left can only be a zip.
    let is_whole = match choice {
        Choice::Format(format) => !format.is_streamed(),
        Choice::Auto => state.has(Item::Journal),
    };
    if is_whole {
        return bring_whole(named, choice, work, goal, job).await;
    }
    let is_zip = Arc::new(AtomicBool::new(false));
    let consume = {
        let (is_zip, state) = (Arc::clone(&is_zip), Arc::clone(state));
        let plan = plan(named, work, None);
        move |mut reader: Reader| {
            let halt = Arc::clone(&plan.halt);
            let mut input = Input::new(&mut reader, halt);
            let format = match choice {
                Choice::Format(format) => format,
                Choice::Auto => input.recognise()?,
            };
            if !format.is_streamed() {
                is_zip.store(true, Ordering::Relaxed);
                return Err(Failure::new(Kind::Bug, "a zip needs its end first"));
            }
            unpack_stream(input, format, &state, &plan)
        }
    };
    match engine::to_stream(job, work.shared, consume).await {
        Err(_) if is_zip.load(Ordering::Relaxed) => {
            bring_whole(named, choice, work, goal, job).await
        }
        Err(failure) => Err(failure),
        Ok((Brought::Fetched(fetched), Some(content))) => Ok(Some((fetched, content))),
        Ok((Brought::Unchanged, _)) => Ok(None),
        Ok((Brought::Fetched(_), None)) => Err(Failure::new(Kind::Bug, "nobody read the archive")),
    }
}

fn plan(named: &Named<'_>, work: &Work<'_>, length: Option<u64>) -> Plan {
    let options = &work.request.options;
    let deadline = work.deadline.clone();
    let halt: Halt = Arc::new(move || hall::check(&deadline));
    Plan {
        strip: options.strip,
        mode: named.entry.mode,
        owner: options.owner,
        cap: match options.max_unpacked {
            Some(bytes) => Cap::Bytes(bytes),
            None => Cap::Relative { length },
        },
        halt,
    }
}

/// Unpacks what comes into a fresh tree, or a fresh part file.
fn unpack_stream(
    input: Input<'_>,
    format: Format,
    state: &State,
    plan: &Plan,
) -> Result<Content, Failure> {
    if format.is_tree() {
        state.clear(Item::Tree)?;
        let root = open_item(state, Item::Tree)?;
        return unpack::tree(input, format, &root, plan).map(|tree| Content::Tree(format, tree));
    }
    state.clear(Item::Part)?;
    let name = state.name(Item::Part);
    let file = state
        .folder
        .new_file(&name)
        .map_err(|errno| denied(errno, format!("make {}", state.path(Item::Part).display())))?;
    let mut output = Output::new(file);
    unpack::single(input, format, &mut output, plan)?;
    Ok(Content::Single(format, output))
}

/// Brings the whole archive into a part file, and unpacks that.
async fn bring_whole(
    named: &Named<'_>,
    choice: Choice,
    work: &Work<'_>,
    goal: &Arc<Goal>,
    job: &Job,
) -> Result<Option<(Fetched, Content)>, Failure> {
    let state = goal.state();
    let (part, journal) = (state.name(Item::Part), state.name(Item::Journal));
    let room = |bytes: u64| work.space.claim(state, part.clone(), bytes);
    let slot = Slot {
        folder: &state.folder,
        part: &part,
        journal: &journal,
        identity: &named.identity,
        resumes: work.request.options.resumes && state.is_lasting(),
        room: &room,
    };
    let fetched = match engine::to_file(job, &slot, work.shared).await? {
        Brought::Unchanged => return Ok(None),
        Brought::Fetched(fetched) => fetched,
    };
    let plan = plan(named, work, Some(fetched.length));
    let attempt = format!("unpack {}", named.entry.location);
    let state = Arc::clone(state);
    let content = blocking(work.deadline, &attempt.clone(), move || {
        unpack_file(choice, &state, &part, &plan).map_err(|failure| failure.context(attempt))
    })
    .await?;
    Ok(Some((fetched, content)))
}

fn unpack_file(
    choice: Choice,
    state: &State,
    part: &OsStr,
    plan: &Plan,
) -> Result<Content, Failure> {
    let failed = |errno| denied(errno, format!("read {}", state.path(Item::Part).display()));
    let mut file = state.folder.open_regular(part).map_err(failed)?;
    let format = match choice {
        Choice::Format(format) => format,
        Choice::Auto => Input::new(&mut file, Arc::clone(&plan.halt)).recognise()?,
    };
    let file = state.folder.open_regular(part).map_err(failed)?;
    if !format.is_streamed() {
        state.clear(Item::Tree)?;
        let root = open_item(state, Item::Tree)?;
        return unpack::zip(&file, &root, plan).map(|tree| Content::Tree(format, tree));
    }
    // The object has become another one since an earlier run found a zip.
    let mut file = file;
    state.clear(Item::Journal)?;
    state
        .folder
        .remove_file(part)
        .map_err(|errno| denied(errno, format!("remove {}", part.display())))?;
    unpack_stream(
        Input::new(&mut file, Arc::clone(&plan.halt)),
        format,
        state,
        plan,
    )
}
