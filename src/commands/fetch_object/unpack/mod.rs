//! Archives become files: tar, gzip and zstd as they come, zip from a file. Synchronous: it runs on a
//! blocking thread. It knows no source and no final name: everything is made in an empty directory that
//! nobody looks at yet, or goes to a writer, and whoever publishes it does so after the last byte was
//! checked. Nothing an archive says leads out of that directory or costs more than the caps allow.
//!
//! The caller wraps the bytes in an `Input`, asks it what they are (`recognise`, without losing any), and
//! then calls `tree` or `single`; for a zip, it brings the whole object into a file first and calls
//! `zip::unpack`.

mod cap;
mod format;
mod gz;
mod input;
mod permission;
mod place;
mod settle;
mod staging;
mod tar;
mod zip;
mod zst;

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

pub(super) use self::cap::Cap;
pub(super) use self::format::Format;
pub(super) use self::input::{Input, carry};
pub(super) use self::settle::Unpacked;
use self::staging::Staging;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Folder, refused};
use crate::base::text::one_line;

/// Bytes that are read and written at once.
const BLOCK: usize = 1 << 20;

/// Asked between two blocks: whether to go on, or why not (a signal, the deadline).
pub(super) type Halt = Arc<dyn Fn() -> Result<(), Failure> + Send + Sync>;

/// How entries are to be made.
#[derive(Clone)]
pub(super) struct Plan {
    /// Leading segments of names that are dropped.
    pub strip: usize,
    /// `--mode`; without it, modes are those of the archive.
    pub mode: Option<u32>,
    /// `--owner`.
    pub owner: Option<(u32, u32)>,
    /// How many bytes may come out.
    pub cap: Cap,
    /// Whether to go on.
    pub halt: Halt,
}

/// Unpacks a tar, as it comes, into the empty directory `root`, and reads the archive to its true end.
/// Nothing made or not made is an error of its own here: `Unpacked::entries` may be 0.
///
/// # Errors
/// `Corrupt` for an archive that is damaged, hostile, too large or of another format; `Local` or `Denied`
/// from the disk; unchanged what the input or `Plan::halt` failed with. What was made stays.
pub(super) fn tree(
    input: Input<'_>,
    format: Format,
    root: &Folder,
    plan: &Plan,
) -> Result<Unpacked, Failure> {
    let staging = Staging::new(root, plan, input.archive());
    tar::unpack(&mut *opened(input, format)?, staging)
}

/// Unpacks a zip from the file that holds all of it into the empty directory `root`.
///
/// # Errors
/// As `tree`.
pub(super) fn zip(archive: &File, root: &Folder, plan: &Plan) -> Result<Unpacked, Failure> {
    zip::unpack(archive, root, plan)
}

/// Unpacks a gz or zst that holds one file into `out`, and returns how many bytes it has. `out` may fail
/// with a `Failure` that was put into an `io::Error` by `carry`; any other error of it is one of the disk.
///
/// # Errors
/// As `tree`.
pub(super) fn single(
    input: Input<'_>,
    format: Format,
    out: &mut dyn Write,
    plan: &Plan,
) -> Result<u64, Failure> {
    let mut meter = cap::Meter::new(plan.cap, input.archive());
    let mut decoder = opened(input, format)?;
    let mut block = vec![0; BLOCK];
    loop {
        let filled = input::fill(&mut *decoder, &mut block).map_err(input::damaged)?;
        if filled == 0 {
            return Ok(meter.bytes());
        }
        meter.add(filled)?;
        out.write_all(&block[..filled])
            .map_err(|error| input::uncarry(error, |error| unwritten(&error)))?;
    }
}

/// The mode that a file of an earlier run is to have now.
pub(super) fn kept_mode(now: u32, asked: Option<u32>) -> u32 {
    permission::of_file(Some(now), asked)
}

/// The bytes behind the compression that the format has.
fn opened<'a>(mut input: Input<'a>, format: Format) -> Result<Box<dyn Read + 'a>, Failure> {
    input.expect(format)?;
    Ok(match format {
        Format::Tar => Box::new(input),
        Format::TarGz | Format::Gz => Box::new(gz::Decoder::new(input)),
        Format::TarZst | Format::Zst => Box::new(zst::Decoder::new(input)?),
        Format::Zip => return Err(Failure::new(Kind::Bug, "a zip cannot be read as it comes")),
    })
}

fn unwritten(error: &std::io::Error) -> Failure {
    use nix::errno::Errno;
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    refused(errno, "write the unpacked bytes")
}

/// A failure of one entry, which is named in one line.
fn of_entry(name: &[u8], reason: impl Into<String>) -> Failure {
    let name = one_line(&String::from_utf8_lossy(name));
    Failure::new(Kind::Corrupt, reason).context(format!("entry `{name}`"))
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
