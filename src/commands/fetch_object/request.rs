//! Everything that the arguments ask for, once the files are read and all is checked together. Nothing
//! has been asked of any server, and DEST has not been looked at.

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use super::access::Access;
use super::args::{Args, Flags, IfChanged};
use super::destination::Destination;
use super::digest::Sha256;
use super::globs::Filter;
use super::list_file;
use super::location::Location;
use super::misuse;
use super::sums::{self, Digests};
use super::unpack::Format;
use crate::base::argument::BadArgument;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::size::Size;

/// A longer list is a mistake; bytes.
const MAX_LIST: u64 = 16 << 20;

/// Connections where the flag does not say.
const PARALLEL: u16 = 16;

/// Connections to one HTTP server where the flag does not say.
const PARALLEL_HTTP: u16 = 4;

/// Mode of the files where neither flag nor archive says.
const MODE: u32 = 0o644;

/// What `--unpack` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// By the content.
    Auto,
    /// This and no other.
    Format(Format),
}

/// What one SOURCE is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// One object, which becomes one file.
    Object,
    /// One object, which is unpacked.
    Archive(Choice),
    /// Every key that begins with the text.
    Prefix,
}

/// One SOURCE and its DEST.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its place in a list, from 1.
    pub(super) number: Option<usize>,
    pub(super) location: Location,
    pub(super) destination: Destination,
    pub(super) what: What,
    pub(super) sha256: Option<Sha256>,
    /// Without quotes.
    pub(super) etag: Option<String>,
    pub(super) mode: Option<u32>,
}

/// Where digests come from.
#[derive(Debug)]
pub(super) enum DigestsFrom {
    Nowhere,
    File(Digests),
    Url(Location),
}

/// What holds for every entry.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) max_size: Option<u64>,
    pub(super) if_changed: IfChanged,
    pub(super) strip: usize,
    pub(super) max_unpacked: Option<u64>,
    pub(super) filter: Filter,
    pub(super) delete: bool,
    pub(super) atomic: bool,
    pub(super) skip_unsafe: bool,
    pub(super) allow_empty: bool,
    pub(super) owner: Option<(u32, u32)>,
    pub(super) resumes: bool,
}

/// How connections are used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    /// Connections altogether.
    pub(super) parallel: u16,
    /// Connections to one HTTP server.
    pub(super) per_host: u16,
    pub(super) part_size: u64,
    pub(super) max_bandwidth: Option<u64>,
    pub(super) stall_timeout: Duration,
}

/// Everything that is asked for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) entries: Vec<Entry>,
    pub(super) digests: DigestsFrom,
    pub(super) options: Options,
    pub(super) tuning: Tuning,
    pub(super) access: Access,
}

impl Entry {
    /// The mode of plain files.
    pub(super) fn file_mode(&self) -> u32 {
        self.mode.unwrap_or(MODE)
    }
}

/// The mode of directories: `x` for each `r`.
pub(super) fn folder_mode(file_mode: u32) -> u32 {
    file_mode | (file_mode & 0o444) >> 2
}

pub(super) fn usage(reason: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure::new(Kind::Usage, reason).hint(hint)
}

fn refused(bad: BadArgument) -> Failure {
    usage(bad.reason, bad.hint)
}

/// Reads the files that the arguments name, and checks what the arguments say together.
///
/// # Errors
/// `Usage`.
pub(super) fn read(args: Args, environment: Environment) -> Result<Request, Failure> {
    let Args { flags, typed } = args;
    let entries = entries(&flags)?;
    misuse::check(&flags, &typed, &entries)?;
    let access = Access::read(&flags, environment)?;
    let Flags {
        source: _,
        dest: _,
        excess: _,
        list: _,
        sha256: _,
        sha256_file,
        etag: _,
        max_size,
        if_changed,
        unpack: _,
        strip_components,
        max_unpacked,
        include,
        exclude,
        delete,
        atomic,
        skip_unsafe,
        allow_empty,
        mode: _,
        owner,
        parallel,
        part_size: Size(part_size),
        max_bandwidth,
        stall_timeout,
        no_resume,
        endpoint_url: _,
        region: _,
        path_style: _,
        anonymous: _,
        request_payer: _,
        profile: _,
        sas_token_file: _,
        header_file: _,
        basic_auth_file: _,
        ca_file: _,
    } = flags;
    Ok(Request {
        entries,
        digests: match sha256_file {
            None => DigestsFrom::Nowhere,
            Some(from) => digests(Path::new(&from))?,
        },
        options: Options {
            max_size: max_size.map(|Size(bytes)| bytes),
            if_changed,
            strip: strip_components.unwrap_or(0),
            max_unpacked: max_unpacked.map(|Size(bytes)| bytes),
            filter: Filter { include, exclude },
            delete,
            atomic,
            skip_unsafe,
            allow_empty,
            owner,
            resumes: !no_resume,
        },
        tuning: Tuning {
            parallel: parallel.unwrap_or(PARALLEL),
            per_host: parallel.unwrap_or(PARALLEL_HTTP),
            part_size,
            max_bandwidth: max_bandwidth.map(|Size(bytes)| bytes),
            stall_timeout,
        },
        access,
    })
}

fn entries(flags: &Flags) -> Result<Vec<Entry>, Failure> {
    if !flags.excess.is_empty() {
        return Err(usage(
            "there are more arguments than SOURCE and DEST",
            "one SOURCE a call, or --list; a value of --unpack needs `=`: --unpack=tar.gz",
        ));
    }
    match (&flags.list, &flags.source, &flags.dest) {
        (Some(list), None, None) => from_list(list, flags),
        (None, Some(location), Some(dest)) => Ok(vec![Entry {
            number: None,
            location: location.clone(),
            destination: Destination::parse(dest).map_err(refused)?,
            what: what(location, flags.unpack)?,
            sha256: flags.sha256,
            etag: flags.etag.clone(),
            mode: flags.mode,
        }]),
        (Some(_), _, _) => Err(usage(
            "--list and SOURCE exclude each other",
            "put the SOURCE into the list, or leave --list out",
        )),
        (None, Some(_), None) => Err(usage(
            "DEST is missing",
            "say where to put it: a file or a directory",
        )),
        (None, None, _) => Err(usage(
            "neither SOURCE nor --list is given",
            super::location::forms(),
        )),
    }
}

fn from_list(path: &Path, flags: &Flags) -> Result<Vec<Entry>, Failure> {
    let attempt = || format!("read the list {}", path.display());
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_LIST + 1).read_to_string(&mut text))
        .map_err(|error| {
            Failure::caused_by(Kind::Usage, error)
                .context(attempt())
                .hint("name a file that can be read; is its volume mounted?")
        })?;
    if text.len() as u64 > MAX_LIST {
        return Err(usage("it is longer than 16 MiB", "split the list").context(attempt()));
    }
    for (is_given, flag, key) in [
        (flags.sha256.is_some(), "--sha256", "sha256: in each entry"),
        (flags.etag.is_some(), "--etag", "etag: in each entry"),
        (
            flags.atomic,
            "--atomic",
            "a call of its own for each directory",
        ),
    ] {
        if is_given {
            return Err(usage(
                format!("{flag} cannot hold for a whole list"),
                format!("write {key}"),
            ));
        }
    }
    let items = list_file::parse(&text).map_err(|failure| failure.context(attempt()))?;
    items
        .into_iter()
        .enumerate()
        .map(|(at, item)| {
            let number = at + 1;
            let read = || {
                Ok(Entry {
                    number: Some(number),
                    what: what(&item.location, item.unpack.or(flags.unpack))?,
                    destination: Destination::parse(item.dest.as_ref()).map_err(refused)?,
                    location: item.location,
                    sha256: item.sha256,
                    etag: item.etag,
                    mode: item.mode.or(flags.mode),
                })
            };
            read().map_err(|failure: Failure| {
                failure
                    .context(format!("entry {number}"))
                    .context(attempt())
            })
        })
        .collect()
}

fn what(location: &Location, unpack: Option<Choice>) -> Result<What, Failure> {
    match (location.is_prefix(), unpack) {
        (true, None) => Ok(What::Prefix),
        (true, Some(_)) => Err(usage(
            format!("--unpack has no meaning for the prefix {location}"),
            "name one object: a SOURCE that does not end in /",
        )),
        (false, None) => Ok(What::Object),
        (false, Some(choice)) => Ok(What::Archive(choice)),
    }
}

fn digests(from: &Path) -> Result<DigestsFrom, Failure> {
    if let Some(text) = from.to_str()
        && text.contains("://")
    {
        let location: Location = text.parse().map_err(|bad: BadArgument| {
            usage(bad.reason.replace("SOURCE", "--sha256-file"), bad.hint)
        })?;
        if location.is_prefix() {
            return Err(usage("--sha256-file is a prefix", "name one object"));
        }
        return Ok(DigestsFrom::Url(location));
    }
    let attempt = || format!("read --sha256-file {}", from.display());
    let mut bytes = Vec::new();
    std::fs::File::open(from)
        .and_then(|file| {
            file.take(sums::MAX_BYTES as u64 + 1)
                .read_to_end(&mut bytes)
        })
        .map_err(|error| {
            Failure::caused_by(Kind::Usage, error)
                .context(attempt())
                .hint("name a file that can be read; is its volume mounted?")
        })?;
    if bytes.len() > sums::MAX_BYTES {
        return Err(
            usage("it is longer than 1 MiB", "it holds lines `HEX  NAME`").context(attempt()),
        );
    }
    let digests = sums::parse(&bytes).map_err(|failure| {
        let words = failure.to_string();
        usage(words, failure.mend().unwrap_or_default()).context(attempt())
    })?;
    Ok(DigestsFrom::File(digests))
}

impl Entry {
    /// The name by which digests are looked up.
    pub(super) fn digest_name(&self) -> Vec<u8> {
        self.location.last_segment().as_bytes().to_vec()
    }
}

#[cfg(test)]
mod tests;
