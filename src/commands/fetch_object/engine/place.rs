//! The two files of an unfinished object: made, found again, removed. What is found is believed only as far
//! as its bytes still have their CRC.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use super::Slot;
use super::disk::Log;
use super::journal::{self, Header, MAX_JOURNAL};
use super::ledger::Ledger;
use super::sums::{Running, Sums, Wanted};
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Folder, Part, refused};

/// What is read at once when a part file is proved.
const READ: usize = 256 << 10;

/// Where the two files are; for any thread.
#[derive(Debug)]
pub struct Place {
    folder: Folder,
    part: OsString,
    journal: OsString,
    is_given_up: AtomicBool,
}

/// What an earlier run has left, as far as it is good.
#[derive(Debug)]
pub struct Leftover {
    pub header: Header,
    pub part: Part,
    pub log: Log,
    pub ledger: Ledger,
}

impl Place {
    pub fn of(slot: &Slot<'_>) -> Result<Self, Failure> {
        Ok(Self {
            folder: slot.folder.duplicate()?,
            part: slot.part.to_os_string(),
            journal: slot.journal.to_os_string(),
            is_given_up: AtomicBool::new(false),
        })
    }

    /// Nobody waits any more for what is being read.
    pub fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Removes both files. The journal goes first: without a part it would claim what is not there.
    pub fn clear(&self) -> Result<(), Failure> {
        let journal = self.folder.remove_part(&self.journal);
        let part = self.folder.remove_part(&self.part);
        journal.and(part).map_err(|errno: Errno| {
            let shown = self.folder.path().join(&self.part);
            refused(errno, format!("remove {}", shown.display()))
        })
    }

    /// Makes both files anew, with the room that the object needs; without a header no journal.
    pub fn create(
        &self,
        length: Option<u64>,
        header: Option<&Header>,
    ) -> Result<(Part, Option<Log>), Failure> {
        let part = self.folder.create_part(&self.part)?;
        if let Some(length) = length {
            part.reserve(length)?;
        }
        let log = match header {
            None => None,
            Some(header) => {
                let (bytes, seal) = journal::encode(header)
                    .map_err(|error| Failure::caused_by(Kind::Bug, error))?;
                let file = self.folder.create_part(&self.journal)?;
                file.write_at(&bytes, 0)?;
                let end = bytes.len() as u64;
                Some(Log { file, end, seal })
            }
        };
        Ok((part, log))
    }

    /// Finds what an earlier run has left of the same source. Every block that claims to be there is read
    /// again. What does not fit is no failure: it is as if it were not there.
    pub fn find(&self, identity: &str, wanted: Wanted) -> Result<Option<Leftover>, Failure> {
        let Some((file, found)) = self.read_journal()? else {
            return Ok(None);
        };
        let Some(part) = self.folder.open_part(&self.part)? else {
            return Ok(None);
        };
        let header = found.header;
        if header.identity != identity || part.size()?.0 != header.length {
            return Ok(None);
        }
        file.set_length(found.used)?;
        let mut ledger = Ledger::new(Some(header.length));
        for (number, crc) in found.blocks {
            if self.is_given_up.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let range = ledger.range(number);
            let sums = prove(&part, range.start, range.end, wanted)?;
            if sums.crc64 == crc {
                ledger.mark(number, sums);
            }
        }
        let log = Log {
            file,
            end: found.used,
            seal: found.seal,
        };
        Ok(Some(Leftover {
            header,
            part,
            log,
            ledger,
        }))
    }

    fn read_journal(&self) -> Result<Option<(Part, journal::Found)>, Failure> {
        let Some(file) = self.folder.open_part(&self.journal)? else {
            return Ok(None);
        };
        let length = file.size()?.0;
        if length > MAX_JOURNAL {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        Ok(journal::decode(&bytes).map(|found| (file, found)))
    }
}

/// The sums of what lies between two offsets.
fn prove(part: &Part, start: u64, end: u64, wanted: Wanted) -> Result<Sums, Failure> {
    let mut bytes = vec![0; READ];
    let mut running = Running::new(wanted);
    let mut at = start;
    while at < end {
        let count = usize::try_from(end - at).unwrap_or(READ).min(READ);
        part.read_at(&mut bytes[..count], at)?;
        running.update(&bytes[..count]);
        at += count as u64;
    }
    Ok(running.sums())
}
