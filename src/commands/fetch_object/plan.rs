//! `--dry-run`: what a run would do. Nothing is made, not even `.podinit`, and of each object at most one
//! byte is asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::delete::extras;
use super::destination::{STATE, Spot, denied};
use super::digest::Sha256;
use super::hall::{self, Way};
use super::listing;
use super::local::{Local, Wanted};
use super::offload::blocking;
use super::parents::is_writable;
use super::prefix;
use super::record::Record;
use super::report::Planned;
use super::request::{Choice, What};
use super::source::{Condition, Framing, Metadata, Reply, Span, Validator};
use super::space;
use super::state::base_of;
use super::survey::{Terms, survey};
use super::tree;
use super::work::{Named, Work};
use crate::base::failure::{Failure, Kind};
use crate::base::file::Folder;
use crate::base::retry::{Backoff, until};

/// How often the one byte is asked for again.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(200),
    max: Duration::from_secs(5),
};

/// What would become of one entry.
///
/// # Errors
/// As a run would fail.
pub(super) async fn plan(named: &Named<'_>, work: &Work<'_>) -> Result<Planned, Failure> {
    match named.entry.what {
        What::Prefix => plan_prefix(named, work).await,
        What::Object => plan_object(named, work).await,
        What::Archive(choice) => plan_archive(named, choice, work).await,
    }
}

fn planned(named: &Named<'_>, dest: &Path) -> Planned {
    Planned {
        source: named.entry.location.to_string(),
        dest: dest.display().to_string(),
        is_single: true,
        ..Planned::default()
    }
}

async fn plan_object(named: &Named<'_>, work: &Work<'_>) -> Result<Planned, Failure> {
    let digest = work.digest_of(named.entry)?;
    let name = named.entry.location.last_segment();
    let destination = named.entry.destination.clone();
    let (identity, entry) = (named.identity.clone(), named.entry.clone());
    let if_changed = work.request.options.if_changed;
    let deadline = work.deadline.clone();
    let (spot, local) = blocking(work.deadline, "look at DEST", move || {
        let spot = destination.file(&name)?;
        let wanted = Wanted {
            entry: &entry,
            identity: &identity,
            sha256: digest,
            if_changed,
            deadline: &deadline,
        };
        let local = match Folder::open(&spot.parent) {
            Err(_) => Local::Wrong,
            Ok(holder) => wanted.judge(&holder, &spot.name, read_record(&holder, &spot))?,
        };
        if !matches!(local, Local::Right(_)) {
            check_writable(&spot.parent)?;
        }
        Ok((spot, local))
    })
    .await?;
    let planned = planned(named, &spot.path());
    ask(named, work, planned, local, &spot.parent).await
}

fn read_record(holder: &Folder, spot: &Spot) -> Option<Record> {
    let mut name = base_of(&spot.name);
    name.push(".json");
    let state = holder.folder(STATE).ok()?;
    state.open_regular(&name).ok().and_then(Record::read)
}

async fn plan_archive(
    named: &Named<'_>,
    choice: Choice,
    work: &Work<'_>,
) -> Result<Planned, Failure> {
    let digest = work.digest_of(named.entry)?;
    let destination = named.entry.destination.clone();
    let (identity, entry) = (named.identity.clone(), named.entry.clone());
    let options = &work.request.options;
    let (if_changed, strip, atomic) = (options.if_changed, options.strip, options.atomic);
    let deadline = work.deadline.clone();
    let lone = match choice {
        Choice::Format(format) if !format.is_tree() => {
            Some(super::archive::bare_name(&named.entry.location, format))
        }
        Choice::Format(_) | Choice::Auto => None,
    };
    let (path, local) = blocking(work.deadline, "look at DEST", move || {
        let wanted = Wanted {
            entry: &entry,
            identity: &identity,
            sha256: digest,
            if_changed,
            deadline: &deadline,
        };
        let lone = match lone {
            None if choice == Choice::Auto && destination.is_file()? => Some(".".into()),
            lone => lone,
        };
        if let Some(name) = lone {
            let spot = destination.file(&name)?;
            check_writable(&spot.parent)?;
            let local = match Folder::open(&spot.parent) {
                Err(_) => Local::Wrong,
                Ok(holder) => {
                    let record = read_record(&holder, &spot);
                    wanted.judge_tree(&holder, &spot.name, record, strip)?
                }
            };
            return Ok((spot.path(), local));
        }
        let hall = destination.folder()?;
        let way = hall::way(&hall, atomic)?;
        let path = hall.spot.path();
        check_writable(if way == Way::Whole {
            &hall.spot.parent
        } else {
            &path
        })?;
        let local = match Folder::open(&path) {
            Err(_) => Local::Wrong,
            Ok(dest) => {
                let record = hall::read_record(&dest);
                wanted.judge_tree(&dest, "".as_ref(), record, strip)?
            }
        };
        Ok((path, local))
    })
    .await?;
    let parent = path
        .parent()
        .map_or_else(|| path.clone(), Path::to_path_buf);
    ask(named, work, planned(named, &path), local, &parent).await
}

/// Asks for one byte, unless the record makes that needless.
async fn ask(
    named: &Named<'_>,
    work: &Work<'_>,
    mut planned: Planned,
    local: Local,
    parent: &Path,
) -> Result<Planned, Failure> {
    let have = match &local {
        Local::Right(_) => {
            planned.unchanged = 1;
            return Ok(planned);
        }
        Local::Ask(_, validator) => Some(validator),
        Local::Wrong => None,
    };
    let what = format!("ask for {}", named.entry.location);
    let told = until(work.deadline, AGAIN, &what, async || {
        ask_once(named, have).await
    })
    .await
    .map_err(|failure| failure.context(what.clone()))?;
    let Some((length, validator)) = told else {
        planned.unchanged = 1;
        return Ok(planned);
    };
    check_told(named, work, length, &validator).map_err(|failure| failure.context(what))?;
    planned.objects = 1;
    planned.bytes = length;
    if let Some(bytes) = length {
        let parent = existing(parent);
        blocking(work.deadline, "look at the free space", move || {
            check_room(&parent, bytes)
        })
        .await?;
    }
    Ok(planned)
}

/// The directory itself, or the nearest one above it that is there.
fn existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find(|path| path.is_dir())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn check_room(parent: &Path, bytes: u64) -> Result<(), Failure> {
    let explain = |errno| {
        denied(
            errno,
            format!("look at the free space of {}", parent.display()),
        )
    };
    let folder = Folder::open(parent).map_err(explain)?;
    space::check(folder.room().map_err(explain)?, bytes, 1, &folder)
}

fn check_writable(folder: &Path) -> Result<(), Failure> {
    if is_writable(folder) {
        return Ok(());
    }
    let there = existing(folder);
    let refused = Folder::open(&there).and_then(|folder| folder.check_writable());
    Err(denied(
        refused.err().unwrap_or(nix::errno::Errno::EACCES),
        format!("write into {}", there.display()),
    ))
}

/// Length and state; `None` if nothing has changed.
async fn ask_once(
    named: &Named<'_>,
    have: Option<&Validator>,
) -> Result<Option<(Option<u64>, Validator)>, Failure> {
    let object = named.object();
    let condition = have.map_or(Condition::Always, Condition::Other);
    if named.source.metadata() == Metadata::Before {
        let about = named.source.about(&object, condition).await?;
        return Ok(about
            .filter(|about| have.is_none_or(|have| have.generation != about.validator.generation))
            .map(|about| (about.length, about.validator)));
    }
    match named
        .source
        .get(&object, Span::Part(0..1), condition)
        .await?
    {
        Reply::Unchanged => Ok(None),
        Reply::Changed => Err(Failure::new(
            Kind::Unavailable,
            "it was replaced while it was asked for",
        )),
        Reply::OutOfRange => Ok(Some((Some(0), Validator::default()))),
        Reply::Answer(answer) => {
            let length = if answer.is_partial {
                let range = answer.content_range.as_deref();
                range
                    .and_then(|range| range.rsplit_once('/'))
                    .and_then(|(_, total)| total.parse().ok())
            } else {
                match answer.framing {
                    Framing::Length(length) => Some(length),
                    Framing::Chunked | Framing::Close => None,
                }
            };
            Ok(Some((length, answer.validator)))
        }
    }
}

/// Pins and caps, as far as one byte tells.
fn check_told(
    named: &Named<'_>,
    work: &Work<'_>,
    length: Option<u64>,
    validator: &Validator,
) -> Result<(), Failure> {
    let bare = |etag: &str| {
        let etag = etag.strip_prefix("W/").unwrap_or(etag);
        etag.trim_matches('"').to_string()
    };
    if let (Some(pin), Some(etag)) = (&named.entry.etag, &validator.etag)
        && bare(pin) != bare(etag)
    {
        return Err(Failure::new(
            Kind::Corrupt,
            format!("its etag is {etag}, and {pin} is asked for"),
        )
        .hint("the object or the pin is the wrong one"));
    }
    match (work.request.options.max_size, length) {
        (Some(cap), Some(length)) if length > cap => Err(Failure::new(
            Kind::Corrupt,
            format!("it has {length} bytes, and --max-size allows {cap}"),
        )
        .hint("raise --max-size if you trust the source")),
        (_, _) => Ok(()),
    }
}

async fn plan_prefix(named: &Named<'_>, work: &Work<'_>) -> Result<Planned, Failure> {
    let destination = named.entry.destination.clone();
    let atomic = work.request.options.atomic;
    let (hall, way) = blocking(work.deadline, "look at DEST", move || {
        let hall = destination.folder()?;
        let way = hall::way(&hall, atomic)?;
        let path = hall.spot.path();
        check_writable(if way == Way::Whole {
            &hall.spot.parent
        } else {
            &path
        })?;
        Ok((hall, way))
    })
    .await?;
    let selection = Arc::new(listing::list(named, work).await?);
    let pins: HashMap<String, Sha256> = prefix::pins(&selection, work)?;
    let terms: Terms = prefix::lasting_terms(named, work);
    let filter = work.request.options.filter.clone();
    let mut planned = Planned {
        is_single: false,
        ..planned(named, &hall.spot.path())
    };
    let path = hall.spot.path();
    let (tasks, unchanged, deleted) = blocking(work.deadline, "look at DEST", move || {
        let dest = Folder::open(&path).ok();
        if let Some(dest) = &dest
            && (way == Way::ByFile || (way == Way::Swap && !terms.deletes))
        {
            let paths = selection.files.keys().map(AsRef::as_ref);
            tree::check_ways(dest, paths)?;
        }
        let survey = survey(dest.as_ref(), None, &selection, &pins, &terms)?;
        let there = existing(&path);
        let folder = Folder::open(&there)
            .map_err(|errno| denied(errno, format!("open {}", there.display())))?;
        survey.check_room(&folder, None, &selection)?;
        let deleted = match &dest {
            Some(dest) if terms.deletes => extras(tree::list(dest)?, &selection, &filter),
            Some(_) | None => Vec::new(),
        };
        let deleted: Vec<String> = deleted
            .iter()
            .map(|extra| path.join(extra).display().to_string())
            .collect();
        Ok((survey.tasks, survey.kept.len() as u64, deleted))
    })
    .await?;
    planned.objects = tasks.len() as u64;
    planned.bytes = Some(tasks.iter().map(|task| task.listed.size).sum());
    planned.unchanged = unchanged;
    planned.deleted = deleted;
    Ok(planned)
}
