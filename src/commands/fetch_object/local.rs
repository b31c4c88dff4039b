//! What lies at DEST already, compared with what the last run has recorded and with what is pinned.

use std::ffi::OsStr;

use nix::errno::Errno;

use super::args::IfChanged;
use super::destination::denied;
use super::digest::{Sha256, Sums, sum};
use super::record::{Agreement, Filed, Look, Made, Record};
use super::request::Entry;
use super::source::Validator;
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Entry as Lies, Folder, Shape};

/// What one file at DEST is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Local {
    /// It is right, and nothing has to be asked: the record as it is to be from now on.
    Right(Box<Record>),
    /// It is right if the source is still in this state.
    Ask(Box<Record>, Validator),
    /// It has to be fetched.
    Wrong,
}

/// What is asked of a file at DEST.
pub(super) struct Wanted<'a> {
    pub(super) entry: &'a Entry,
    pub(super) identity: &'a str,
    pub(super) sha256: Option<Sha256>,
    pub(super) if_changed: IfChanged,
    pub(super) deadline: &'a Deadline,
}

impl Wanted<'_> {
    /// Judges the file `name` in `folder` by the record, if there is one.
    ///
    /// # Errors
    /// `Denied` or `Local`, if it cannot be looked at or read; `Unavailable` when the run has to end.
    pub(super) fn judge(
        &self,
        folder: &Folder,
        name: &OsStr,
        record: Option<Record>,
    ) -> Result<Local, Failure> {
        if self.if_changed == IfChanged::Off {
            return Ok(Local::Wrong);
        }
        let record = record.filter(|record| record.fits(self.identity, self.entry, 0));
        let path = folder.path().join(name);
        let facts = folder
            .facts(name)
            .map_err(|errno| denied(errno, format!("look at {}", path.display())))?;
        let Some(facts) = facts.filter(|facts| facts.shape == Shape::File) else {
            return Ok(Local::Wrong);
        };
        if let Some(mut record) = record
            && let [filed] = record.files.as_slice()
        {
            let mut sums = None;
            let is_right = match filed.look(Some(&facts), self.if_changed) {
                Look::Same => true,
                Look::Other => false,
                Look::Unsure => {
                    let read = sums.insert(self.read(folder, name)?);
                    fits(filed, read)
                }
            };
            if is_right {
                record.files = vec![filed.clone().refreshed(&facts)];
                return self.confirm(folder, name, record, sums);
            }
        }
        self.hash_alone(folder, name)
    }

    /// The bytes are as recorded: are they what is pinned, too?
    fn confirm(
        &self,
        folder: &Folder,
        name: &OsStr,
        mut record: Record,
        sums: Option<Sums>,
    ) -> Result<Local, Failure> {
        if let Some(pin) = self.sha256
            && record.sha256.is_none()
        {
            // It was not pinned when it was fetched.
            let sums = match sums {
                Some(sums) => sums,
                None => self.read(folder, name)?,
            };
            if sums.sha256 != Some(pin) {
                return Ok(Local::Wrong);
            }
            record.sha256 = Some(pin.to_string());
        }
        if record.is_pinned(self.entry, self.sha256) {
            return Ok(Local::Right(Box::new(record)));
        }
        if record.agrees(self.entry, self.sha256) == Agreement::Open && record.is_askable() {
            let validator = record.validator.clone();
            return Ok(Local::Ask(Box::new(record), validator));
        }
        Ok(Local::Wrong)
    }

    /// Judges everything that was unpacked, by the record: in `folder`, or the one file `lone` there.
    ///
    /// # Errors
    /// As `judge`.
    pub(super) fn judge_tree(
        &self,
        folder: &Folder,
        lone: &OsStr,
        record: Option<Record>,
        strip: usize,
    ) -> Result<Local, Failure> {
        let record = record
            .filter(|_| self.if_changed != IfChanged::Off)
            .filter(|record| record.fits(self.identity, self.entry, strip))
            .filter(|record| record.is_tree() == lone.is_empty());
        let Some(mut record) = record else {
            return Ok(Local::Wrong);
        };
        let mut files = Vec::with_capacity(record.files.len());
        for filed in std::mem::take(&mut record.files) {
            let path = if lone.is_empty() {
                filed.path()
            } else {
                lone.to_os_string()
            };
            let Some(facts) = folder.facts(&path).ok().flatten() else {
                return Ok(Local::Wrong);
            };
            let is_right = match (filed.look(Some(&facts), self.if_changed), filed.link()) {
                (Look::Other, _) => false,
                (Look::Same, _) => true,
                (Look::Unsure, Some(target)) => {
                    folder.look_beneath(&path) == Ok(Some(Lies::Link(target)))
                }
                (Look::Unsure, None) => fits(&filed, &read(folder, &path, false, self.deadline)?),
            };
            if !is_right {
                return Ok(Local::Wrong);
            }
            files.push(filed.refreshed(&facts));
        }
        record.files = files;
        if record.is_pinned(self.entry, self.sha256) {
            return Ok(Local::Right(Box::new(record)));
        }
        if record.agrees(self.entry, self.sha256) == Agreement::Open && record.is_askable() {
            let validator = record.validator.clone();
            return Ok(Local::Ask(Box::new(record), validator));
        }
        Ok(Local::Wrong)
    }

    /// Without a record, a digest can still tell.
    fn hash_alone(&self, folder: &Folder, name: &OsStr) -> Result<Local, Failure> {
        let (Some(pin), None) = (self.sha256, &self.entry.etag) else {
            return Ok(Local::Wrong);
        };
        let sums = self.read(folder, name)?;
        if sums.sha256 != Some(pin) {
            return Ok(Local::Wrong);
        }
        let facts = folder.facts(name).ok().flatten();
        let Some(facts) = facts else {
            return Ok(Local::Wrong);
        };
        let filed = Filed::new(OsStr::new(""), &facts, Some(sums.crc64));
        let mut record = Record::new(self.identity, Made::File, vec![filed]);
        record.length = sums.length;
        record.crc64 = Some(sums.crc64);
        record.sha256 = Some(pin.to_string());
        Ok(Local::Right(Box::new(record)))
    }

    fn read(&self, folder: &Folder, name: &OsStr) -> Result<Sums, Failure> {
        read(folder, name, self.sha256.is_some(), self.deadline)
    }
}

/// Whether what was read is what was recorded.
pub(super) fn fits(filed: &Filed, sums: &Sums) -> bool {
    filed.size == sums.length && filed.crc64 == Some(sums.crc64)
}

/// Reads a whole file for its sums.
///
/// # Errors
/// `Denied` or `Local`; `Unavailable` when the run has to end.
pub(super) fn read(
    folder: &Folder,
    name: &OsStr,
    with_sha256: bool,
    deadline: &Deadline,
) -> Result<Sums, Failure> {
    let attempt = || format!("read {}", folder.path().join(name).display());
    let file = folder
        .open_regular(name)
        .map_err(|errno| denied(errno, attempt()))?;
    sum(file, with_sha256, &|| deadline.ended().is_none()).map_err(|error| {
        match (deadline.ended(), error.raw_os_error()) {
            (Some(_), _) => {
                Failure::new(Kind::Unavailable, "the run had to end").context(attempt())
            }
            (None, number) => denied(number.map_or(Errno::EIO, Errno::from_raw), attempt()),
        }
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests;
