//! zip: entries by the directory at the end, each stored, by deflate or by zstd, checked by length and CRC.

mod directory;
mod end;
mod window;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use crc_fast::{CrcAlgorithm, Digest};
use flate2::bufread::DeflateDecoder;
use nix::sys::time::TimeSpec;
use zip::read::ZipFile;
use zip::{CompressionMethod, DateTime, ExtraField, HasZipMetadata as _};

use self::directory::{Directory, Packed};
use self::end::unreadable;
use self::window::Window;
use super::input::{carry, damaged_in, fill};
use super::settle::Unpacked;
use super::staging::{Member, Nature, Staging};
use super::{Plan, of_entry, zst};
use crate::base::failure::Failure;
use crate::base::file::Folder;

/// Packed bytes that are read at once.
const READ_AHEAD: usize = 256 << 10;

/// The longest target of a link that is worth reading: no path is longer.
const MAX_TARGET: u64 = 4095;

/// The bits of a mode that say what an entry is, and their values.
const TYPE: u32 = 0o170_000;
const TYPE_FILE: u32 = 0o100_000;
const TYPE_FOLDER: u32 = 0o040_000;
const TYPE_LINK: u32 = 0o120_000;

/// Unpacks all entries of the zip in `archive` into the empty directory `root`.
///
/// # Errors
/// `Corrupt` for the archive, `Local` and `Denied` from the disk, and what `Plan::halt` says.
pub(super) fn unpack(archive: &File, root: &Folder, plan: &Plan) -> Result<Unpacked, Failure> {
    let length = archive
        .metadata()
        .map_err(|error| unreadable(&error))?
        .len();
    let mut directory = Directory::open(archive, length, &plan.halt)?;
    let mut staging = Staging::new(root, plan, Rc::new(Cell::new(length)));
    directory.each(|entry, packed| {
        let mut content = Content::new(archive, entry, packed)?;
        let mut member = described(entry)?;
        if let Nature::Link(target) = &mut member.nature {
            *target = content.whole()?;
        }
        staging.make(&member, &mut |block| content.read(block))
    })?;
    staging.finish()
}

fn described(entry: &ZipFile<'_, Window<'_>>) -> Result<Member, Failure> {
    let name = entry.name_raw().to_vec();
    let mode = unix_mode(entry);
    let bad = |reason: &str| Err(of_entry(&name, reason));
    let nature = match mode.map_or(0, |mode| mode & TYPE) {
        TYPE_FOLDER => Nature::Folder,
        _ if name.ends_with(b"/") => Nature::Folder,
        TYPE_FILE | 0 => Nature::File,
        TYPE_LINK if entry.size() > MAX_TARGET => {
            return bad("its target is longer than 4095 bytes");
        }
        TYPE_LINK => Nature::Link(Vec::new()),
        _ => return bad("is neither file, directory nor link"),
    };
    if nature == Nature::Folder && entry.size() > 0 {
        return bad("has content, and is a directory");
    }
    Ok(Member {
        mtime: mtime(entry),
        name,
        nature,
        mode,
    })
}

/// The mode that a Unix has written; archives of DOS have none.
fn unix_mode(entry: &ZipFile<'_, Window<'_>>) -> Option<u32> {
    if entry.system() == zip::System::Dos {
        return None;
    }
    Some(entry.get_metadata().external_attributes >> 16).filter(|mode| *mode != 0)
}

/// Seconds since 1970 where the archive has them, else the date of DOS, which knows no time zone.
fn mtime(entry: &ZipFile<'_, Window<'_>>) -> Option<TimeSpec> {
    let exact = entry.extra_data_fields().find_map(|field| match field {
        ExtraField::ExtendedTimestamp(times) => times.mod_time(),
        _ => None,
    });
    let seconds = exact.map(i64::from);
    let seconds = seconds.or_else(|| seconds_of(entry.last_modified()?))?;
    Some(TimeSpec::new(seconds, 0))
}

fn seconds_of(date: DateTime) -> Option<i64> {
    let text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        date.month(),
        date.day(),
        date.hour(),
        date.minute(),
        date.second()
    );
    let time = humantime::parse_rfc3339(&text).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// Some bytes of the archive.
struct Stretch<'a> {
    archive: &'a File,
    packed: Packed,
}

impl Read for Stretch<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.packed.length).unwrap_or(usize::MAX);
        let want = left.min(into.len());
        let count = self
            .archive
            .read_at(&mut into[..want], self.packed.start)
            .map_err(|error| carry(unreadable(&error)))?;
        self.packed.start += count as u64;
        self.packed.length -= count as u64;
        Ok(count)
    }
}

/// How an entry is packed.
enum Decoder<'a> {
    Stored(BufReader<Stretch<'a>>),
    Deflated(DeflateDecoder<BufReader<Stretch<'a>>>),
    Zstd(zst::Decoder<BufReader<Stretch<'a>>>),
}

/// The content of one entry, which is compared with what the directory says when it ends.
struct Content<'a> {
    name: Vec<u8>,
    decoder: Decoder<'a>,
    digest: Digest,
    count: u64,
    size: u64,
    crc: u32,
}

impl<'a> Content<'a> {
    fn new(
        archive: &'a File,
        entry: &ZipFile<'_, Window<'_>>,
        packed: Packed,
    ) -> Result<Self, Failure> {
        let room = usize::try_from(packed.length).unwrap_or(usize::MAX);
        let room = room.clamp(1, READ_AHEAD);
        let input = BufReader::with_capacity(room, Stretch { archive, packed });
        let decoder = match entry.compression() {
            CompressionMethod::Deflated => Decoder::Deflated(DeflateDecoder::new(input)),
            CompressionMethod::Zstd => Decoder::Zstd(zst::Decoder::new(input)?),
            // The directory was refused if it had others.
            _ => Decoder::Stored(input),
        };
        Ok(Self {
            name: entry.name_raw().to_vec(),
            decoder,
            digest: Digest::new(CrcAlgorithm::Crc32IsoHdlc),
            count: 0,
            size: entry.size(),
            crc: entry.crc32(),
        })
    }

    /// The next piece; 0 bytes are the end, and only if everything fits.
    fn read(&mut self, block: &mut [u8]) -> Result<usize, Failure> {
        let decoder: &mut dyn Read = match &mut self.decoder {
            Decoder::Stored(input) => input,
            Decoder::Deflated(decoder) => decoder,
            Decoder::Zstd(decoder) => decoder,
        };
        let count = fill(decoder, block).map_err(|error| damaged_in(&self.name, error))?;
        if count == 0 {
            return self.check().map(|()| 0);
        }
        self.count += count as u64;
        if self.count > self.size {
            return Err(of_entry(&self.name, "is longer than the directory says"));
        }
        self.digest.update(&block[..count]);
        Ok(count)
    }

    fn check(&mut self) -> Result<(), Failure> {
        let input = match &mut self.decoder {
            Decoder::Stored(input) => input,
            Decoder::Deflated(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.input_mut(),
        };
        let rest = input
            .fill_buf()
            .map_err(|error| damaged_in(&self.name, error))?;
        let reason = if self.count < self.size {
            "is shorter than the directory says"
        } else if !rest.is_empty() {
            "its packed content is longer than the directory says"
        } else if self.digest.finalize() != u64::from(self.crc) {
            "its CRC is not that of the directory"
        } else {
            return Ok(());
        };
        Err(of_entry(&self.name, reason))
    }

    /// All of it, when it is short.
    fn whole(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        let mut block = [0; 1024];
        loop {
            let count = self.read(&mut block)?;
            if count == 0 {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&block[..count]);
        }
    }
}
