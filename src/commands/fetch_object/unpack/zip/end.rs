//! The record at the very end of a zip.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;

use crate::base::failure::{Failure, Kind};
use crate::base::file::refused;

/// The end record without its comment.
const LENGTH: usize = 22;

/// What the end record begins with.
const MAGIC: &[u8] = b"PK\x05\x06";

/// What the end record of zip64 begins with.
const MAGIC64: &[u8] = b"PK\x06\x06";

/// Length of the locator between the two.
const LOCATOR: usize = 20;

/// What that begins with.
const LOCATOR_MAGIC: &[u8] = b"PK\x06\x07";

/// The end record.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// Where it begins.
    pub(super) start: u64,
    /// The length of the directory, as it says.
    pub(super) directory_length: u32,
    /// Where the directory begins, as it says.
    directory_start: u32,
    /// Whether a locator of zip64 precedes it.
    is_zip64: bool,
}

impl End {
    /// Finds it; with its comment, it has to be the last thing in the file.
    ///
    /// # Errors
    /// `Corrupt` if it is not there, `Local` from the disk.
    pub(super) fn find(archive: &File, length: u64) -> Result<Self, Failure> {
        let most = (LOCATOR + LENGTH + usize::from(u16::MAX)) as u64;
        let start = length.saturating_sub(most);
        let mut tail = vec![0; usize::try_from(length - start).unwrap_or(0)];
        read_at(archive, &mut tail, start)?;
        let corrupt = |reason| Failure::new(Kind::Corrupt, reason);
        let at = (0..(tail.len() + 1).saturating_sub(LENGTH))
            .rev()
            .find(|at| tail[*at..].starts_with(MAGIC))
            .ok_or_else(|| corrupt("the archive is cut short, or no zip: it has no end record"))?;
        let comment = usize::from(u16::from_le_bytes([tail[at + 20], tail[at + 21]]));
        let rest = &tail[at + LENGTH..];
        if rest.len() < comment {
            return Err(corrupt("the archive is cut short"));
        }
        if rest[comment..].iter().any(|byte| *byte != 0) {
            return Err(corrupt("after its end there is more than zero bytes"));
        }
        let long = |offset: usize| {
            let field = tail[at + offset..].first_chunk().copied();
            u32::from_le_bytes(field.unwrap_or_default())
        };
        Ok(Self {
            start: start + at as u64,
            directory_length: long(12),
            directory_start: long(16),
            is_zip64: at
                .checked_sub(LOCATOR)
                .is_some_and(|locator| tail[locator..].starts_with(LOCATOR_MAGIC)),
        })
    }

    /// How many bytes precede the archive, as they do in one that unpacks itself. It is not searched for:
    /// the directory lies right before this record. zip64 is taken from the beginning of the file only.
    pub(super) fn offset(self) -> u64 {
        if self.is_zip64 {
            return 0;
        }
        let said = u64::from(self.directory_start) + u64::from(self.directory_length);
        self.start.saturating_sub(said)
    }

    /// Whether it comes right after `position`, or after the record of zip64 that is there.
    ///
    /// # Errors
    /// `Local` from the disk.
    pub(super) fn follows(self, archive: &File, position: u64) -> Result<bool, Failure> {
        if position >= self.start {
            return Ok(position == self.start);
        }
        let mut record = [0; 12];
        read_at(archive, &mut record, position)?;
        let [_, _, _, _, size @ ..] = record;
        let end = position
            .saturating_add(12)
            .saturating_add(u64::from_le_bytes(size))
            .saturating_add(LOCATOR as u64);
        Ok(record.starts_with(MAGIC64) && end == self.start)
    }
}

/// Reads bytes that have to be there.
///
/// # Errors
/// `Corrupt` if the file ends before, `Local` from the disk.
pub(super) fn read_at(archive: &File, block: &mut [u8], at: u64) -> Result<(), Failure> {
    archive.read_exact_at(block, at).map_err(|error| {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Failure::new(Kind::Corrupt, "the archive is cut short")
        } else {
            unreadable(&error)
        }
    })
}

/// A failure of the disk that holds the archive.
pub(super) fn unreadable(error: &io::Error) -> Failure {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    refused(errno, "read the fetched archive")
}
