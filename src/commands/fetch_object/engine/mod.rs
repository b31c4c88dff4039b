//! The one ranged download: parts pinned by a validator, every answer judged, blocks written at their
//! place with their CRC in a journal, whole-object checksums from block CRCs. It knows no backend and no
//! final name: it fills a part file (`to_file`), or feeds an ordered stream (`to_stream`).
//!
//! Nothing here is tried again beyond what it says: a failure that is not `Unavailable` ends the object at
//! once; `Unavailable` comes only at the deadline, or when the object changed twice.

mod beside;
mod course;
mod disk;
mod fetch;
mod file;
mod hash;
mod journal;
mod judge;
mod ledger;
mod open;
mod patience;
mod place;
mod pool;
mod pour;
mod ranges;
mod report;
mod shared;
mod sink;
mod split;
mod stream;
mod sums;
mod throttle;
mod verdict;
mod whole;
mod window;

#[cfg(test)]
mod tests;

use std::fmt;
use std::rc::Rc;

use super::source::{Listed, Object, Source, Validator};
use crate::base::failure::Failure;
use crate::base::file::Folder;

pub use self::file::to_file;
pub use self::shared::{Connections, Shared, Tuning};
pub use self::stream::to_stream;
pub use self::window::Reader;

/// What one object has to be.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    /// SHA-256 of the stored bytes.
    pub sha256: Option<[u8; 32]>,
    /// The `ETag`, with or without quotes.
    pub etag: Option<String>,
}

/// One object to be brought.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where it comes from.
    pub source: Rc<dyn Source>,
    /// Which it is.
    pub object: Object,
    /// What it has to be.
    pub pins: Pins,
    /// What a list has said of it: then an object no longer than a part is one plain GET.
    pub listed: Option<Listed>,
    /// Cap on its bytes.
    pub max_size: Option<u64>,
    /// What the caller has already, whole and right: the first request is conditional, and a 304 (gs: the
    /// same generation) ends the job as `Brought::Unchanged` with nothing beside it.
    pub have: Option<Validator>,
    /// The connections to its host, beside those of the run (http: 4 unless `--parallel` is given; the same
    /// `Rc` for all objects of one host).
    pub host: Option<Rc<Connections>>,
}

/// Where the bytes of a file go while they are not whole: two names in one folder on the file system of
/// the destination. The engine creates, resumes and removes them; whoever publishes renames the part
/// (owner, mode, fsync are the publisher's) **and removes the journal after the rename**: were it gone
/// before, a kill in between would cost the whole download. Both are 0600.
pub struct Slot<'a> {
    /// Where both names are.
    pub folder: &'a Folder,
    /// `NAME.part`.
    pub part: &'a std::ffi::OsStr,
    /// `NAME.journal`.
    pub journal: &'a std::ffi::OsStr,
    /// What identifies the source in the journal's header (no query of a signed URL, no secret).
    pub identity: &'a str,
    /// `--no-resume` is `false`: leave nothing, use nothing.
    pub resumes: bool,
    /// Called with the bytes still to be written, once the length is known and before the first byte is
    /// (without a length: with 0): free space, inodes.
    pub room: &'a dyn Fn(u64) -> Result<(), Failure>,
}

impl fmt::Debug for Slot<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Slot")
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

/// How a job ended well.
#[derive(Debug)]
pub enum Brought {
    /// It is there, whole and checked.
    Fetched(Fetched),
    /// The caller has it already.
    Unchanged,
}

/// What was brought.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its bytes.
    pub length: u64,
    /// Its state.
    pub validator: Validator,
    /// CRC-64/NVME of the bytes, for the record.
    pub crc64: u64,
    /// SHA-256, if it was asked for.
    pub sha256: Option<[u8; 32]>,
    /// What was checked, in the order of the report: `length`, `generation` or `etag`, `crc32`, `crc32c`,
    /// `crc64nvme`, `sha256`.
    pub checked: Vec<&'static str>,
    /// Why no CRC of the whole could be checked, where the store should have told one (`composite`).
    pub unchecked: Option<String>,
    /// Body bytes that came over the wire.
    pub transferred: u64,
    /// Bytes that an earlier run had left and that still fit.
    pub resumed: u64,
}
