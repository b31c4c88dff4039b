//! The directory at the end of a zip. The `zip` crate reads it entry by entry, so that memory stays flat,
//! and compares each entry with its local header. Judged here: that the directory is complete and ends
//! the file, that no two entries share bytes, and that nothing is encrypted or packed in a foreign way.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use zip::read::{ArchiveOffset, Config, ZipFile, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;
use zip::{CompressionMethod, HasZipMetadata as _, ZipReadOptions};

use super::super::cap::MAX_ENTRIES;
use super::super::{Halt, input, of_entry};
use super::end::{End, read_at, unreadable};
use super::window::Window;
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;

/// A central header without its name, extra fields and comment.
const CENTRAL: usize = 46;

/// The flags of encryption: of the content, strong, of the directory.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// The flag of a descriptor behind the content.
const DESCRIPTOR: u16 = 1 << 3;

/// The flag of content that is a patch.
const PATCH: u16 = 1 << 5;

/// What a descriptor may begin with.
const DESCRIPTOR_MAGIC: &[u8] = b"PK\x07\x08";

/// A directory that was found good.
pub(super) struct Directory<'a> {
    archive: &'a File,
    length: u64,
    config: Config,
    entries: ZipIterable<Window<'a>>,
}

/// Where the packed content of an entry lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) start: u64,
    pub(super) length: u64,
}

impl<'a> Directory<'a> {
    /// Reads the whole directory once and judges it.
    ///
    /// # Errors
    /// `Corrupt` for what is wrong with it, `Local` from the disk, and what `halt` says.
    pub(super) fn open(archive: &'a File, length: u64, halt: &Halt) -> Result<Self, Failure> {
        let end = End::find(archive, length)?;
        let window = Window::new(archive, length);
        let config = Config {
            archive_offset: ArchiveOffset::Known(end.offset()),
        };
        let entries = ZipIterable::try_new(window, config).map_err(damaged)?;
        if entries.len() as u64 > MAX_ENTRIES {
            let reason = "it has more than 1000000 entries";
            return Err(Failure::new(Kind::Corrupt, reason)
                .hint("split the archive: the cap on entries is fixed"));
        }
        let mut directory = Self {
            archive,
            length,
            config,
            entries: entries.enforce_header_consistency(true),
        };
        directory.check(end, halt)?;
        Ok(directory)
    }

    /// Shows every entry, in the order of the directory.
    ///
    /// # Errors
    /// What `show` returns; `Corrupt` for an entry that disagrees with its local header.
    pub(super) fn each(
        &mut self,
        mut show: impl FnMut(&ZipFile<'_, Window<'_>>, Packed) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut reader = Window::new(self.archive, self.length);
        let mut broken = None;
        for (index, entry) in self.entries.files().map_err(damaged)?.enumerate() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    broken = Some((index, error));
                    break;
                }
            };
            let name = entry.name_raw().to_vec();
            let (entry, packed) = located(entry, &mut reader)
                .map_err(|error| damaged(error).context(entry_name(&name)))?;
            show(&entry, packed)?;
        }
        match broken {
            Some((index, error)) => Err(self.disagreement(index, error)),
            None => Ok(()),
        }
    }

    /// Names the entry that the crate refused.
    fn disagreement(&mut self, index: usize, error: ZipError) -> Failure {
        let failure = damaged(error);
        let window = Window::new(self.archive, self.length);
        let lenient = ZipIterable::try_new(window, self.config);
        let name = lenient.ok().and_then(|mut lenient| {
            let entry = lenient.files().ok()?.nth(index)?.ok()?;
            Some(entry.name_raw().to_vec())
        });
        match name {
            Some(name) => failure.context(entry_name(&name)),
            None => failure.context(format!("entry {}", index + 1)),
        }
    }

    fn check(&mut self, end: End, halt: &Halt) -> Result<(), Failure> {
        let archive = self.archive;
        let mut last = None;
        let mut first = end.start;
        let mut taken: Vec<(u64, u64)> = Vec::with_capacity(self.entries.len());
        self.each(|entry, packed| {
            halt()?;
            let bad = |reason: &str| of_entry(entry.name_raw(), reason);
            first = first.min(entry.central_header_start());
            last = Some(entry.central_header_start());
            check_packing(entry).map_err(|reason| bad(&reason))?;
            let data_end = packed.start.saturating_add(packed.length);
            if data_end > first {
                return Err(bad("its content reaches into the directory"));
            }
            check_descriptor(archive, entry, data_end)?;
            taken.push((entry.header_start(), data_end));
            Ok(())
        })?;
        taken.sort_unstable();
        if taken.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Err(self.overlap(&taken));
        }
        let is_complete = match last {
            Some(last) => end.follows(archive, self.after(last)?)?,
            None => end.directory_length == 0,
        };
        if is_complete {
            return Ok(());
        }
        let reason = "its directory does not end where its end record says";
        Err(Failure::new(Kind::Corrupt, reason))
    }

    /// Where the central header at `start` ends.
    fn after(&self, start: u64) -> Result<u64, Failure> {
        let mut header = [0; CENTRAL];
        read_at(self.archive, &mut header, start)?;
        let short = |at: usize| u64::from(u16::from_le_bytes([header[at], header[at + 1]]));
        Ok(start + CENTRAL as u64 + short(28) + short(30) + short(32))
    }

    /// Names one of the entries that share bytes.
    fn overlap(&mut self, taken: &[(u64, u64)]) -> Failure {
        let second = taken.windows(2).find(|pair| pair[0].1 > pair[1].0);
        let start = second.map(|pair| pair[1].0);
        let mut failure = Failure::new(Kind::Corrupt, "two entries share bytes");
        // The directory was read without a failure before; what matters is known in any case.
        let _ = self.each(|entry, _| {
            if Some(entry.header_start()) == start {
                failure = of_entry(entry.name_raw(), "it shares bytes with another entry");
            }
            Ok(())
        });
        failure
    }
}

/// An entry with its extra fields, and where its content lies.
fn located<'e, 'a>(
    entry: ZipFileEntry<'static>,
    reader: &'e mut Window<'a>,
) -> Result<(ZipFile<'e, Window<'a>>, Packed), ZipError> {
    let start = entry.get_metadata().data_start(reader)?;
    let packed = Packed {
        start,
        length: entry.compressed_size(),
    };
    let options = ZipReadOptions::new().ignore_encryption_flag(true);
    Ok((entry.with_reader(reader, options)?, packed))
}

fn check_packing(entry: &ZipFile<'_, Window<'_>>) -> Result<(), String> {
    let flags = entry.flags().as_u16();
    if flags & ENCRYPTED != 0 {
        return Err("is encrypted".to_string());
    }
    if flags & PATCH != 0 {
        return Err("is a patch, and no file".to_string());
    }
    match entry.compression() {
        CompressionMethod::Stored if entry.size() != entry.compressed_size() => {
            Err("is stored with two different lengths".to_string())
        }
        CompressionMethod::Stored | CompressionMethod::Deflated | CompressionMethod::Zstd => Ok(()),
        other => Err(format!(
            "is packed by {other}, which is not supported: repack it by deflate or zstd"
        )),
    }
}

/// A descriptor says once more what the central header says, with or without a signature, in 4 or 8 bytes
/// for each length.
fn check_descriptor(
    archive: &File,
    entry: &ZipFile<'_, Window<'_>>,
    start: u64,
) -> Result<(), Failure> {
    if entry.flags().as_u16() & DESCRIPTOR == 0 {
        return Ok(());
    }
    let mut found = [0; 24];
    let count = archive
        .read_at(&mut found, start)
        .map_err(|error| unreadable(&error))?;
    let crc = entry.crc32().to_le_bytes();
    let lengths = [entry.compressed_size(), entry.size()];
    let long: Vec<u8> = lengths
        .iter()
        .flat_map(|length| length.to_le_bytes())
        .collect();
    let short: Vec<u8> = lengths
        .iter()
        .flat_map(|length| length.to_le_bytes().into_iter().take(4))
        .collect();
    let fits = |magic: &[u8], lengths: &[u8]| {
        found[..count].starts_with(&[magic, crc.as_slice(), lengths].concat())
    };
    let is_small = lengths.iter().all(|length| u32::try_from(*length).is_ok());
    if [DESCRIPTOR_MAGIC, b""]
        .iter()
        .any(|magic| fits(magic, &long) || (is_small && fits(magic, &short)))
    {
        return Ok(());
    }
    let reason = "its descriptor disagrees with the directory";
    Err(of_entry(entry.name_raw(), reason))
}

fn entry_name(name: &[u8]) -> String {
    format!("entry `{}`", one_line(&String::from_utf8_lossy(name)))
}

/// What the crate's error says of the archive.
fn damaged(error: ZipError) -> Failure {
    match error {
        ZipError::Io(error) => input::damaged(error),
        ZipError::InvalidArchive(reason) => {
            Failure::new(Kind::Corrupt, format!("the archive is damaged: {reason}"))
        }
        other => Failure::new(Kind::Corrupt, format!("the archive is damaged: {other}")),
    }
}
