//! What came out of an archive gets its place, and is recorded.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::archive::{Goal, bare_name};
use super::args::IfChanged;
use super::destination::denied;
use super::digest::Sha256;
use super::engine::Fetched;
use super::folders::Folders;
use super::hall::{self, Way};
use super::local::read;
use super::offload::blocking;
use super::parents::make_folders;
use super::places::{open_dest, open_item};
use super::record::{Filed, Record, unpacked};
use super::state::Item;
use super::tree;
use super::unpack::{Format, Halt, Unpacked};
use super::unpacked::{Setting, setting, write_beside};
use super::work::{Named, Work};
use crate::base::deadline::Deadline;
use crate::base::failure::Failure;
use crate::base::file::{Entry, Folder, NewFile, Shape};

/// The one file that comes out of a gz or zst, and its sum.
pub(super) struct Output {
    file: NewFile,
    crc64: crc_fast::Digest,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Output({} bytes)", self.file.length())
    }
}

impl Output {
    pub(super) fn new(file: NewFile) -> Self {
        Self {
            file,
            crc64: crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc64Nvme),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)?;
        self.crc64.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn record_of(
    identity: &str,
    fetched: &Fetched,
    format: Format,
    strip: usize,
    files: Vec<Filed>,
) -> Record {
    let mut record = Record::new(identity, unpacked(format, strip), files);
    record.validator = fetched.validator.clone();
    record.length = fetched.length;
    record.crc64 = Some(fetched.crc64);
    record.sha256 = fetched.sha256.map(|bytes| Sha256(bytes).to_string());
    record
}

/// Brings a staged tree to its place.
///
/// # Errors
/// `Denied` or `Local`; `Unavailable` when the run has to end.
pub(super) async fn publish_tree(
    named: &Named<'_>,
    work: &Work<'_>,
    goal: &Arc<Goal>,
    fetched: &Fetched,
    format: Format,
    unpacked: Unpacked,
) -> Result<(), Failure> {
    let Setting {
        goal, terms, strip, ..
    } = setting(named, work, goal);
    let fetched = fetched.clone();
    let attempt = format!("publish {}", named.entry.destination.path().display());
    blocking(work.deadline, &attempt, move || {
        let Goal::Hall(venue) = &*goal else {
            return Ok(());
        };
        let deadline = terms.deadline.clone();
        let halt: Halt = {
            let deadline = deadline.clone();
            Arc::new(move || hall::check(&deadline))
        };
        halt()?;
        let state = &venue.state;
        let root = open_item(state, Item::Tree)?;
        let leaves_record = terms.if_changed != IfChanged::Off;
        let files = if leaves_record {
            survey(&root, &deadline)?
        } else {
            Vec::new()
        };
        let record = record_of(&terms.identity, &fetched, format, strip, files);
        let mut folders = Folders::default();
        let dest = open_dest(venue)?;
        match (venue.way, &dest) {
            (Way::Swap, Some(dest)) => {
                // Before the directories get modes that podinit itself may not pass.
                tree::link_rest(dest, &root, &|_| true, &mut folders, &deadline)?;
                if leaves_record {
                    hall::write_record(&root, &record)?;
                }
                unpacked.settle(&root, &(1..), &halt)?;
                folders.dress(&root, terms.folder)?;
                hall::swap(venue)?;
            }
            (Way::ByFile | Way::Inside, Some(dest)) => {
                tree::merge(&root, dest, &mut folders, &deadline)?;
                unpacked.settle(dest, &(1..), &halt)?;
                folders.dress(dest, terms.folder)?;
                dest.sync()?;
                if leaves_record {
                    hall::write_record(dest, &record)?;
                } else {
                    hall::remove_record(dest);
                }
            }
            (_, _) => {
                if leaves_record {
                    hall::write_record(&root, &record)?;
                }
                unpacked.settle(&root, &(1..), &halt)?;
                root.sync()?;
                hall::rename(venue, &mut folders, &terms)?;
                if let Ok(dest) = venue.state.holder.folder(&venue.hall.spot.name) {
                    unpacked.settle(&dest, &(..1), &halt)?;
                }
            }
        }
        state.clear_except(&[])
    })
    .await
}

/// Everything in a tree, as a record has it.
fn survey(root: &Folder, deadline: &Deadline) -> Result<Vec<Filed>, Failure> {
    let mut files = Vec::new();
    for (path, facts) in tree::list(root)? {
        match facts.shape {
            Shape::File => {
                let sums = read(root, &path, false, deadline)?;
                files.push(Filed::new(&path, &facts, Some(sums.crc64)));
            }
            Shape::Link => {
                if let Ok(Some(Entry::Link(target))) = root.look_beneath(&path) {
                    files.push(Filed::of_link(&path, &facts, &target));
                }
            }
            Shape::Folder | Shape::Other => {}
        }
    }
    Ok(files)
}

/// Brings the one file of a gz or zst to its place, and says where that is.
///
/// # Errors
/// `Usage` without a name that is needed; `Denied` or `Local`.
pub(super) async fn publish_single(
    named: &Named<'_>,
    work: &Work<'_>,
    goal: &Arc<Goal>,
    fetched: &Fetched,
    format: Format,
    output: Output,
) -> Result<PathBuf, Failure> {
    let Setting {
        goal, terms, strip, ..
    } = setting(named, work, goal);
    let name = bare_name(&named.entry.location, format);
    let (destination, fetched) = (named.entry.destination.clone(), fetched.clone());
    let attempt = format!("publish {}", destination.path().display());
    blocking(work.deadline, &attempt, move || {
        let spot = match &*goal {
            Goal::File(spot, _) => spot.clone(),
            Goal::Hall(_) => destination.file(&name)?,
        };
        let Output { file, crc64 } = output;
        drop(file);
        let state = goal.state();
        let path = spot.path();
        let explain = |errno| denied(errno, format!("publish {}", path.display()));
        let part = state.name(Item::Part);
        let facts = state
            .folder
            .dress_file(&part, terms.file, true)
            .map_err(explain)?;
        make_folders(&spot.parent)?;
        let holder = Folder::open(&spot.parent).map_err(explain)?;
        if terms.if_changed != IfChanged::Off {
            let filed = Filed::new(OsStr::new(""), &facts, Some(crc64.finalize()));
            let record = record_of(&terms.identity, &fetched, format, strip, vec![filed]);
            write_beside(&holder, &spot.name, &record).map_err(explain)?;
        }
        state
            .folder
            .move_to(&part, &holder, &spot.name)
            .map_err(explain)?;
        holder.sync()?;
        state.clear(Item::Journal)?;
        Ok(path)
    })
    .await
}
