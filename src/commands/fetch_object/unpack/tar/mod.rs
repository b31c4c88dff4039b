//! tar: headers of 512 bytes, each with its content. The `tar` crate knows the layout of a header; which
//! header belongs to which member, and how long it is, is decided here, since readers that disagree on it
//! can be shown different archives (RUSTSEC-2026-0068, GHSA-3cv2-h65g-fgmm).

mod extension;
mod header;

use std::io::{BufReader, Read};

use tar::Header;

use self::extension::Extension;
use self::header::{agreed_size, length, mtime, nature, number};
use super::input::{damaged, damaged_in, fill};
use super::settle::Unpacked;
use super::staging::{Member, Nature, Staging};
use super::{BLOCK, of_entry};
use crate::base::failure::{Failure, Kind};

pub(super) use self::header::{HEADER, is_header};

/// Bytes of one extended header. Names have 4 KiB at most, attributes 64 KiB each.
const MAX_EXTENSION: u64 = 1 << 20;

/// Bytes that are read at once for the sake of headers.
const READ_AHEAD: usize = 64 << 10;

/// Unpacks all members, and reads on to the end of the input.
///
/// # Errors
/// `Corrupt` for the archive, `Local` and `Denied` from the disk, and what the input fails with.
pub(super) fn unpack(input: &mut dyn Read, mut staging: Staging<'_>) -> Result<Unpacked, Failure> {
    let mut reader = Reader {
        input: BufReader::with_capacity(READ_AHEAD, input),
        global: Extension::default(),
    };
    let mut pending = Pending::default();
    while let Some(header) = reader.header()? {
        let header = Header::from_byte_slice(&header);
        let name = header.path_bytes().into_owned();
        let step = reader
            .judge(header, &pending)
            .map_err(|reason| of_entry(pending.name(&name), reason))?;
        match step {
            Step::Extended(kind, size) => {
                staging.count_extension(kind)?;
                let body = reader.extension(size)?;
                reader
                    .extend(kind, &body, &mut pending)
                    .map_err(|reason| of_entry(&name, reason))?;
            }
            Step::Member(member, size) => {
                reader.member(&mut staging, &member, size)?;
                pending = Pending::default();
            }
        }
    }
    if pending != Pending::default() {
        let reason = "it ends with an extended header that belongs to no member";
        return Err(Failure::new(Kind::Corrupt, reason));
    }
    reader.end(&staging)?;
    staging.finish()
}

impl Staging<'_> {
    /// Those for the next member are bounded by it; those for all that follow are not.
    fn count_extension(&mut self, kind: Extended) -> Result<(), Failure> {
        match kind {
            Extended::Global => self.count(),
            Extended::Records | Extended::LongName | Extended::LongTarget => Ok(()),
        }
    }
}

/// The kinds of extended headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extended {
    /// pax, for the next member.
    Records,
    /// pax, for all that follow.
    Global,
    /// GNU's long name of the next member.
    LongName,
    /// GNU's long target of the next member.
    LongTarget,
}

/// What the extended headers before a member say, each kind at most once.
#[derive(Debug, Default, PartialEq)]
struct Pending {
    records: Option<Extension>,
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl Pending {
    fn name<'a>(&'a self, other: &'a [u8]) -> &'a [u8] {
        let path = self
            .records
            .as_ref()
            .and_then(|records| records.path.as_deref());
        path.or(self.name.as_deref()).unwrap_or(other)
    }
}

/// What a header begins, with the length of what follows it.
enum Step {
    Extended(Extended, u64),
    Member(Member, u64),
}

struct Reader<R> {
    input: BufReader<R>,
    global: Extension,
}

impl<R: Read> Reader<R> {
    /// The next header, or `None` after the two blocks of zero bytes that end the archive.
    fn header(&mut self) -> Result<Option<[u8; HEADER]>, Failure> {
        let corrupt = |reason| Err(Failure::new(Kind::Corrupt, reason));
        let block = self.block()?;
        if is_header(&block) {
            return Ok(Some(block));
        }
        if block != [0; HEADER] {
            return corrupt("the archive is damaged: a header's checksum is wrong");
        }
        if self.block()? != [0; HEADER] {
            return corrupt("after its end there is more than zero bytes");
        }
        Ok(None)
    }

    fn block(&mut self) -> Result<[u8; HEADER], Failure> {
        let mut block = [0; HEADER];
        match fill(&mut self.input, &mut block).map_err(damaged)? {
            HEADER => Ok(block),
            0 => {
                let reason = "the archive is cut short: it has no end marker";
                Err(Failure::new(Kind::Corrupt, reason))
            }
            _ => Err(Failure::new(Kind::Corrupt, "the archive is cut short")),
        }
    }

    /// Decides what a header begins.
    fn judge(&self, header: &Header, pending: &Pending) -> Result<Step, &'static str> {
        let size = length(&header.as_old().size).ok_or("its length is malformed")?;
        let extended = match header.as_old().linkflag[0] {
            b'x' => Extended::Records,
            b'g' => Extended::Global,
            b'L' => Extended::LongName,
            b'K' => Extended::LongTarget,
            _ => return self.member_of(header, size, pending),
        };
        if size > MAX_EXTENSION {
            return Err("its extended header is larger than 1 MiB");
        }
        Ok(Step::Extended(extended, size))
    }

    fn member_of(
        &self,
        header: &Header,
        size: u64,
        pending: &Pending,
    ) -> Result<Step, &'static str> {
        let records = pending.records.clone().unwrap_or_default();
        if records.is_sparse {
            return Err("is a sparse file, which is not supported: repack it without --sparse");
        }
        let size = agreed_size(header, size, records.size)?;
        let own_name = || header.path_bytes().into_owned();
        let own_target = || header.link_name_bytes().unwrap_or_default().into_owned();
        let name = agreed(records.path, pending.name.clone())?.unwrap_or_else(own_name);
        let target = agreed(records.target, pending.target.clone())?.unwrap_or_else(own_target);
        let nature = nature(header.as_old().linkflag[0], &name, target)?;
        if size > 0 && nature != Nature::File {
            return Err("has content, and is no file");
        }
        let mode = number(&header.as_old().mode).ok_or("its mode is malformed")?;
        let own_mtime = mtime(&header.as_old().mtime).ok_or("its time is malformed")?;
        let member = Member {
            name,
            nature,
            // Only the low bits count.
            mode: Some(u32::try_from(mode & 0o7777).unwrap_or(0)),
            mtime: records.mtime.or(self.global.mtime).or(Some(own_mtime)),
        };
        Ok(Step::Member(member, size))
    }

    /// Takes what an extended header says.
    fn extend(
        &mut self,
        kind: Extended,
        body: &[u8],
        pending: &mut Pending,
    ) -> Result<(), &'static str> {
        let is_second = match kind {
            Extended::Records => {
                let records = extension::records(body)?;
                pending.records.replace(records).is_some()
            }
            Extended::LongName => pending.name.replace(text(body).to_vec()).is_some(),
            Extended::LongTarget => pending.target.replace(text(body).to_vec()).is_some(),
            Extended::Global => {
                let said = extension::records(body)?;
                let Extension {
                    path,
                    target,
                    size,
                    mtime,
                    is_sparse,
                } = said;
                if path.is_some() || target.is_some() || size.is_some() || is_sparse {
                    return Err("a header for all members names or measures one of them");
                }
                self.global.mtime = mtime.or(self.global.mtime);
                false
            }
        };
        if is_second {
            return Err("two extended headers of one kind precede one member");
        }
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, Failure> {
        let mut body = vec![0; usize::try_from(padded(size)).unwrap_or(usize::MAX)];
        if fill(&mut self.input, &mut body).map_err(damaged)? < body.len() {
            return Err(Failure::new(Kind::Corrupt, "the archive is cut short"));
        }
        body.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(body)
    }

    /// Makes one member, and goes to the next header.
    fn member(
        &mut self,
        staging: &mut Staging<'_>,
        member: &Member,
        size: u64,
    ) -> Result<(), Failure> {
        let mut left = size;
        staging.make(member, &mut |block| {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            exactly(&mut self.input, &member.name, &mut block[..want])?;
            left -= want as u64;
            Ok(want)
        })?;
        let padding = usize::try_from(padded(size) - size).unwrap_or(0);
        let mut rest = [0; HEADER];
        exactly(&mut self.input, &member.name, &mut rest[..padding])
    }

    /// After the end there may be zero bytes, which count as if they were unpacked.
    fn end(&mut self, staging: &Staging<'_>) -> Result<(), Failure> {
        let mut meter = staging.meter();
        let mut block = vec![0; BLOCK];
        loop {
            let count = fill(&mut self.input, &mut block).map_err(damaged)?;
            if count == 0 {
                return Ok(());
            }
            if block[..count].iter().any(|byte| *byte != 0) {
                let reason = "after its end there is more than zero bytes";
                return Err(Failure::new(Kind::Corrupt, reason));
            }
            meter.add(count)?;
        }
    }
}

/// Reads what has to be there of a member.
fn exactly(input: &mut dyn Read, name: &[u8], block: &mut [u8]) -> Result<(), Failure> {
    match fill(input, block).map_err(|error| damaged_in(name, error))? {
        count if count == block.len() => Ok(()),
        _ => Err(of_entry(name, "the archive is cut short")),
    }
}

/// One value from two extended headers, which must not disagree.
fn agreed(one: Option<Vec<u8>>, other: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, &'static str> {
    match (one, other) {
        (Some(one), Some(other)) if one != other => {
            Err("two extended headers contradict each other")
        }
        (one, other) => Ok(one.or(other)),
    }
}

/// A long name, without the NUL that ends it.
fn text(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0);
    &bytes[..end.map_or(0, |last| last + 1)]
}

/// Content with what fills its last block.
fn padded(size: u64) -> u64 {
    size.div_ceil(HEADER as u64).saturating_mul(HEADER as u64)
}
