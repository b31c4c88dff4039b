//! What came out of an archive, where it is there already: judged, and put right.

use std::ffi::{OsStr, OsString};

use std::path::PathBuf;
use std::sync::Arc;

use nix::errno::Errno;

use super::archive::{Goal, bare_name};
use super::args::IfChanged;
use super::destination::{STATE, denied};
use super::digest::Sha256;
use super::hall;
use super::local::{Local, Wanted, read};
use super::offload::blocking;
use super::places::open_dest;
use super::prefix;
use super::record::Record;
use super::state::{Item, State, base_of};
use super::survey::Terms;
use super::unpack::{Format, kept_mode};
use super::work::{Named, Work};
use crate::base::failure::Failure;
use crate::base::file::{Attributes, Folder};

/// What lies at DEST of what the archive gives.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) local: Local,
    /// The one file that it is, in the directory DEST.
    pub(super) lone: Option<OsString>,
    /// Where it is.
    pub(super) path: PathBuf,
}

/// What the work on the disk has to know, apart from the run.
pub(super) struct Setting {
    pub(super) goal: Arc<Goal>,
    pub(super) terms: Terms,
    names: Vec<OsString>,
    pub(super) strip: usize,
}

/// Gathers it.
pub(super) fn setting(named: &Named<'_>, work: &Work<'_>, goal: &Arc<Goal>) -> Setting {
    Setting {
        goal: Arc::clone(goal),
        terms: prefix::terms(named, work, goal.state()),
        names: [Format::Gz, Format::Zst]
            .map(|format| bare_name(&named.entry.location, format))
            .to_vec(),
        strip: work.request.options.strip,
    }
}

/// Removes what this run cannot use, and judges what lies at DEST.
///
/// # Errors
/// `Denied` or `Local`; `Unavailable` when the run has to end.
pub(super) async fn inspect(
    named: &Named<'_>,
    work: &Work<'_>,
    goal: &Arc<Goal>,
    sha256: Option<Sha256>,
) -> Result<Found, Failure> {
    let setting = setting(named, work, goal);
    let entry = named.entry.clone();
    blocking(work.deadline, "look at DEST", move || {
        let Setting {
            goal,
            terms,
            names,
            strip,
        } = setting;
        clear(goal.state(), &terms)?;
        let wanted = Wanted {
            entry: &entry,
            identity: &terms.identity,
            sha256,
            if_changed: terms.if_changed,
            deadline: &terms.deadline,
        };
        match &*goal {
            Goal::File(spot, state) => {
                let record = read_beside(&state.folder, &state.name(Item::Record));
                Ok(Found {
                    local: wanted.judge_tree(&state.holder, &spot.name, record, strip)?,
                    lone: None,
                    path: spot.path(),
                })
            }
            Goal::Hall(venue) => {
                let path = venue.hall.spot.path();
                match open_dest(venue)? {
                    None => Ok(Found {
                        local: Local::Wrong,
                        lone: None,
                        path,
                    }),
                    Some(dest) => judge_hall(&wanted, &dest, &names, strip),
                }
            }
        }
    })
    .await
}

/// Removes what this run cannot use: a part without a journal is that of a stream, which starts anew.
fn clear(state: &State, terms: &Terms) -> Result<(), Failure> {
    let kept: &[Item] = match (terms.resumes, terms.if_changed) {
        (true, IfChanged::Off) => &[Item::Part, Item::Journal],
        (true, IfChanged::Record | IfChanged::Verify) => &[Item::Part, Item::Journal, Item::Record],
        (false, IfChanged::Off) => &[],
        (false, IfChanged::Record | IfChanged::Verify) => &[Item::Record],
    };
    state.clear_except(kept)?;
    if !state.has(Item::Journal) {
        state.clear(Item::Part)?;
    }
    state.check_owner(terms.file.owner)
}

/// A directory: what is in it is a whole tree, or one file.
fn judge_hall(
    wanted: &Wanted<'_>,
    dest: &Folder,
    names: &[OsString],
    strip: usize,
) -> Result<Found, Failure> {
    hall::tidy_record(dest);
    let record = hall::read_record(dest);
    let path = dest.path().to_path_buf();
    let local = wanted.judge_tree(dest, OsStr::new(""), record, strip)?;
    if local == Local::Wrong
        && let Ok(beside) = dest.folder(STATE)
    {
        for name in names {
            let record = read_beside(&beside, &record_name(name));
            let local = wanted.judge_tree(dest, name, record, strip)?;
            if local != Local::Wrong {
                return Ok(Found {
                    local,
                    path: path.join(name),
                    lone: Some(name.clone()),
                });
            }
        }
    }
    Ok(Found {
        local,
        lone: None,
        path,
    })
}

fn read_beside(folder: &Folder, name: &OsStr) -> Option<Record> {
    folder.open_regular(name).ok().and_then(Record::read)
}

/// The name of a file's record.
fn record_name(name: &OsStr) -> OsString {
    let mut base = base_of(name);
    base.push(".json");
    base
}

/// Puts mode and owner right, where they are asked for.
///
/// # Errors
/// `Denied` or `Local`.
pub(super) async fn leave_as_it_is(
    named: &Named<'_>,
    work: &Work<'_>,
    goal: &Arc<Goal>,
    lone: Option<OsString>,
    record: &Record,
) -> Result<(), Failure> {
    let Setting { goal, terms, .. } = setting(named, work, goal);
    let (record, mode) = (record.clone(), named.entry.mode);
    blocking(work.deadline, "set mode and owner", move || {
        let (folder, lone) = match &*goal {
            Goal::File(spot, state) => (Some(state.holder.duplicate()?), Some(spot.name.clone())),
            Goal::Hall(venue) => (open_dest(venue)?, lone),
        };
        if let Some(folder) = folder {
            put_right(&folder, lone.as_deref(), &record, mode, &terms)?;
            rewrite(&folder, lone.as_deref(), &record)?;
        }
        goal.state().clear_except(&[Item::Record])
    })
    .await
}

/// Writes the record anew if it says something else by now, such as another inode.
fn rewrite(folder: &Folder, lone: Option<&OsStr>, record: &Record) -> Result<(), Failure> {
    match lone {
        None if hall::read_record(folder).as_ref() == Some(record) => Ok(()),
        None => hall::write_record(folder, record),
        Some(name) => write_beside(folder, name, record)
            .map_err(|errno| denied(errno, format!("write the record of {}", name.display()))),
    }
}

fn put_right(
    folder: &Folder,
    lone: Option<&OsStr>,
    record: &Record,
    mode: Option<u32>,
    terms: &Terms,
) -> Result<(), Failure> {
    if mode.is_none() && terms.file.owner.is_none() {
        return Ok(());
    }
    for filed in record.files.iter().filter(|filed| filed.link().is_none()) {
        let path = lone.map_or_else(|| filed.path(), OsStr::to_os_string);
        let explain = |errno| {
            let shown = folder.path().join(&path);
            denied(errno, format!("set mode and owner of {}", shown.display()))
        };
        let Some(facts) = folder.facts(&path).map_err(explain)? else {
            continue;
        };
        let attributes = Attributes {
            mode: kept_mode(facts.mode, mode),
            owner: terms.file.owner,
        };
        folder
            .dress_file(&path, attributes, false)
            .map_err(explain)?;
    }
    Ok(())
}

/// Writes the record of a file into the `.podinit` beside it.
///
/// # Errors
/// What the kernel says.
pub(super) fn write_beside(holder: &Folder, name: &OsStr, record: &Record) -> Result<(), Errno> {
    let folder = State::folder_in(holder)?;
    let mut temporary = base_of(name);
    temporary.push(".tmp");
    folder.replace(
        &record_name(name),
        &temporary,
        |out| record.write(out),
        0o644,
    )
}
