//! How many bytes may come out of an archive. Bytes are counted as they come out, never as declared.

use std::cell::Cell;
use std::rc::Rc;

use crate::base::failure::{Failure, Kind};

/// Entries of one archive, whatever they are.
pub(super) const MAX_ENTRIES: u64 = 1_000_000;

/// What an archive of any size may unpack to.
const LEAST_CAP: u64 = 1 << 30;

/// How much larger than the archive its content may be.
const RATIO: u64 = 100;

/// How many bytes may come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Cap {
    /// `--max-unpacked`.
    Bytes(u64),
    /// 100 times the archive, at least 1 GiB. Where its length is not known yet, what was read of it
    /// counts.
    Relative {
        /// The archive's length in bytes, if it was announced.
        length: Option<u64>,
    },
}

impl Cap {
    fn limit(self, read: u64) -> u64 {
        match self {
            Self::Bytes(limit) => limit,
            Self::Relative { length } => {
                RATIO.saturating_mul(length.unwrap_or(read)).max(LEAST_CAP)
            }
        }
    }
}

/// Counts what comes out.
#[derive(Debug)]
pub(super) struct Meter {
    cap: Cap,
    read: Rc<Cell<u64>>,
    bytes: u64,
}

impl Meter {
    /// Counts from zero; `read` says how much of the archive was read.
    pub(super) fn new(cap: Cap, read: Rc<Cell<u64>>) -> Self {
        Self {
            cap,
            read,
            bytes: 0,
        }
    }

    /// A new count under the same cap.
    pub(super) fn again(&self) -> Self {
        Self::new(self.cap, Rc::clone(&self.read))
    }

    /// What was counted.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Counts bytes, before they are written.
    ///
    /// # Errors
    /// `Corrupt` when they are too many.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let limit = self.cap.limit(self.read.get());
        if self.bytes <= limit {
            return Ok(());
        }
        let which = match self.cap {
            Cap::Bytes(_) => "--max-unpacked",
            Cap::Relative { .. } => "100 times the archive, at least 1 GiB",
        };
        let reason = format!("it unpacks to more than {limit} bytes ({which})");
        Err(Failure::new(Kind::Corrupt, reason)
            .hint("raise --max-unpacked if you trust the source"))
    }
}

/// Counts one more entry.
///
/// # Errors
/// `Corrupt` when they are too many.
pub(super) fn count_entry(entries: &mut u64) -> Result<(), Failure> {
    *entries += 1;
    if *entries <= MAX_ENTRIES {
        return Ok(());
    }
    Err(
        Failure::new(Kind::Corrupt, "it has more than 1000000 entries")
            .hint("split the archive: the cap on entries is fixed"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_follows_the_archive_but_not_below_a_gibibyte() {
        let mib = 1 << 20;
        let known = |length| Cap::Relative {
            length: Some(length),
        };
        assert_eq!(known(0).limit(50 * mib), 1 << 30);
        assert_eq!(known(20 * mib).limit(0), 2000 * mib);
        assert_eq!(known(u64::MAX).limit(0), u64::MAX);
        assert_eq!(Cap::Relative { length: None }.limit(20 * mib), 2000 * mib);
        assert_eq!(Cap::Bytes(7).limit(u64::MAX), 7);
    }

    #[test]
    fn the_last_byte_within_the_cap_is_fine() {
        let mut meter = Meter::new(Cap::Bytes(10), Rc::default());
        meter.add(4).unwrap();
        meter.add(6).unwrap();
        let failure = meter.add(1).unwrap_err();
        assert_eq!(failure.kind(), Kind::Corrupt);
        assert_eq!(
            failure.to_string(),
            "it unpacks to more than 10 bytes (--max-unpacked)"
        );
        meter.again().add(10).unwrap();
    }

    #[test]
    fn a_million_entries_are_fine_and_one_more_is_not() {
        let mut entries = MAX_ENTRIES - 1;
        count_entry(&mut entries).unwrap();
        let failure = count_entry(&mut entries).unwrap_err();
        assert_eq!(failure.kind(), Kind::Corrupt);
    }
}
