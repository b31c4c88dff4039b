//! The arguments of `podinit fetch-object`: each value is parsed here, once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, FromArgMatches};

use super::digest::Sha256;
use super::globs::Glob;
use super::help;
use super::location::Location;
use super::request::Choice;
use super::source::PathStyle;
use super::unpack::Format;
use crate::base::argument::{BadArgument, owner, read_mode};
use crate::base::deadline::Limit;
use crate::base::size::{self, Size};
use crate::base::text::one_line;
use crate::commands::Twins;

/// The least and the greatest number of connections.
const PARALLEL: std::ops::RangeInclusive<u16> = 1..=256;

/// The least and the greatest length of one range.
const PART_SIZE: std::ops::RangeInclusive<Size> = Size(1 << 20)..=Size(1 << 30);

/// When a DEST that is right already is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum IfChanged {
    /// If the source is as recorded, and inode, time and size of the files are.
    Record,
    /// The same, and the local bytes are read too.
    Verify,
    /// Never; and no record is left.
    Off,
}

/// The flags, and which of them stand on the command line itself.
#[derive(Debug)]
pub struct Args {
    /// The values.
    pub(super) flags: Flags,
    /// The ids of the flags that were typed: a variable may be meant for another command.
    pub(super) typed: Vec<String>,
}

/// Fetch objects from S3, GCS, Azure or HTTP into a volume, whole and checked
///
/// An object, everything under a prefix, or a list of them: checked against what the store says of them,
/// published in one step, resumed after a kill, and not fetched again when nothing has changed.
#[derive(Debug, clap::Args)]
#[command(override_usage = help::USAGE, after_long_help = help::after_long_help(), after_help = "See --help for examples.")]
pub(super) struct Flags {
    /// What to fetch: s3://, gs://, az://, http:// or https://; a prefix ends in /
    #[arg(value_name = "SOURCE")]
    pub(super) source: Option<Location>,
    /// Where to: a file; a directory for a prefix, for an archive, or if it ends in /
    #[arg(value_name = "DEST")]
    pub(super) dest: Option<OsString>,
    /// Words that are too many, which may be signed URLs: they are refused without being repeated
    #[arg(hide = true, value_name = "EXCESS")]
    pub(super) excess: Vec<OsString>,
    /// YAML or JSON list of objects, each with source, dest, and what it has to be
    #[arg(long, env = "PODINIT_LIST", value_name = "FILE")]
    pub(super) list: Option<PathBuf>,
    /// SHA-256 of the object as it is stored
    #[arg(long, env = "PODINIT_SHA256", value_name = "HEX", value_parser = sha256)]
    pub(super) sha256: Option<Sha256>,
    /// Lines `HEX  NAME`, or one bare HEX; every object must be in it
    #[arg(long, env = "PODINIT_SHA256_FILE", value_name = "URL|FILE")]
    pub(super) sha256_file: Option<OsString>,
    /// `ETag` that the object must have
    #[arg(long, env = "PODINIT_ETAG", value_name = "ETAG", value_parser = etag)]
    pub(super) etag: Option<String>,
    /// Most bytes of one SOURCE, such as 10GiB
    #[arg(long, env = "PODINIT_MAX_SIZE", value_name = "SIZE", value_parser = max_size)]
    pub(super) max_size: Option<Size>,
    /// When a DEST that is right already is left alone; off leaves no record
    #[arg(
        long,
        env = "PODINIT_IF_CHANGED",
        value_name = "WAY",
        default_value = "record"
    )]
    pub(super) if_changed: IfChanged,
    /// Unpack it; auto goes by its content
    #[arg(long, env = "PODINIT_UNPACK", value_name = "FORMAT", num_args = 0..=1, require_equals = true,
          default_missing_value = "auto", value_parser = unpack_format, help = help::unpack())]
    pub(super) unpack: Option<Choice>,
    /// Leading path segments of an archive's entries that are dropped
    #[arg(long, env = "PODINIT_STRIP_COMPONENTS", value_name = "N")]
    pub(super) strip_components: Option<usize>,
    /// Most bytes that may be unpacked [default: 100 times the archive, at least 1GiB]
    #[arg(long, env = "PODINIT_MAX_UNPACKED", value_name = "SIZE", value_parser = max_unpacked)]
    pub(super) max_unpacked: Option<Size>,
    /// Of a prefix, only what matches behind it: * and ? match / too
    #[arg(long, env = "PODINIT_INCLUDE", value_name = "GLOB", action = ArgAction::Append, value_parser = include)]
    pub(super) include: Vec<Glob>,
    /// Of a prefix, not what matches behind it
    #[arg(long, env = "PODINIT_EXCLUDE", value_name = "GLOB", action = ArgAction::Append, value_parser = exclude)]
    pub(super) exclude: Vec<Glob>,
    /// Of a prefix: remove files in DEST that the source lacks, at the end
    #[arg(long, env = "PODINIT_DELETE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) delete: bool,
    /// All or nothing, also for a directory that is not empty; an empty one is always filled so
    #[arg(long, env = "PODINIT_ATOMIC", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) atomic: bool,
    /// Leave unsafe keys out with a warning instead of failing
    #[arg(long, env = "PODINIT_SKIP_UNSAFE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) skip_unsafe: bool,
    /// Nothing under a prefix, or in an archive, is success
    #[arg(long, env = "PODINIT_ALLOW_EMPTY", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) allow_empty: bool,
    /// Mode of the files, at most 0777; directories get x for each r [default: 0644; unpacked: as archived]
    #[arg(long, env = "PODINIT_MODE", value_name = "OCTAL", value_parser = mode)]
    pub(super) mode: Option<u32>,
    /// Owner of files and directories, as numbers [default: unchanged]
    #[arg(long, env = "PODINIT_OWNER", value_name = "UID:GID", value_parser = owner)]
    pub(super) owner: Option<(u32, u32)>,
    /// Connections, shared by all ranges and objects [default: 16; http: 4 per host]
    #[arg(long, env = "PODINIT_PARALLEL", value_name = "N", value_parser = parallel)]
    pub(super) parallel: Option<u16>,
    /// Length of one range, 1MiB to 1GiB
    #[arg(long, env = "PODINIT_PART_SIZE", value_name = "SIZE", default_value = "8MiB", value_parser = part_size)]
    pub(super) part_size: Size,
    /// Most bytes a second, all connections together
    #[arg(long, env = "PODINIT_MAX_BANDWIDTH", value_name = "SIZE", value_parser = max_bandwidth)]
    pub(super) max_bandwidth: Option<Size>,
    /// A connection that brings nothing for so long is dropped, and its range asked for again
    #[arg(long, env = "PODINIT_STALL_TIMEOUT", value_name = "DURATION", default_value = "20s", value_parser = stall_timeout)]
    pub(super) stall_timeout: Duration,
    /// Leave nothing to resume from, and use nothing that is left
    #[arg(long, env = "PODINIT_NO_RESUME", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) no_resume: bool,
    /// s3, gs, az: the endpoint instead of the provider's [env, s3 only: `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ENDPOINT_URL`; gs only: `STORAGE_EMULATOR_HOST`, anonymous]
    #[arg(long, env = "PODINIT_ENDPOINT_URL", value_name = "URL", value_parser = endpoint)]
    pub(super) endpoint_url: Option<String>,
    /// s3: the region [default: the profile's, else us-east-1]
    #[arg(long, env = "PODINIT_REGION", value_name = "REGION", value_parser = region)]
    pub(super) region: Option<String>,
    /// s3: whether the bucket stands in the path or in the host; auto: in the path with an endpoint, or
    /// if its name has a dot
    #[arg(
        long,
        env = "PODINIT_PATH_STYLE",
        value_name = "WHEN",
        default_value = "auto"
    )]
    pub(super) path_style: PathStyle,
    /// s3, gs: send no credentials
    #[arg(long, env = "PODINIT_ANONYMOUS", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) anonymous: bool,
    /// s3: pay for the requests
    #[arg(long, env = "PODINIT_REQUEST_PAYER", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) request_payer: bool,
    /// s3: profile of the AWS files
    #[arg(long, env = "PODINIT_PROFILE", value_name = "NAME")]
    pub(super) profile: Option<String>,
    /// az: file with a SAS token [default: the variable `AZURE_STORAGE_SAS_TOKEN`, else anonymous]
    #[arg(long, env = "PODINIT_SAS_TOKEN_FILE", value_name = "FILE")]
    pub(super) sas_token_file: Option<PathBuf>,
    /// http: file with lines `Name: value`, sent to the origin of SOURCE only
    #[arg(long, env = "PODINIT_HEADER_FILE", value_name = "FILE")]
    pub(super) header_file: Option<PathBuf>,
    /// http: file with one line `user:password`, sent to the origin of SOURCE only
    #[arg(long, env = "PODINIT_BASIC_AUTH_FILE", value_name = "FILE")]
    pub(super) basic_auth_file: Option<PathBuf>,
    /// Authorities to trust, PEM; replaces the system's
    #[arg(long, env = "PODINIT_CA_FILE", value_name = "FILE", action = ArgAction::Append)]
    pub(super) ca_file: Vec<PathBuf>,
}

/// The variables of the stores' own clients. Those of an endpoint hold for one store only: `request`
/// reads them.
pub const TWINS: Twins = &[
    ("region", &["AWS_REGION", "AWS_DEFAULT_REGION"]),
    ("profile", &["AWS_PROFILE"]),
    ("ca_file", &["AWS_CA_BUNDLE", "SSL_CERT_FILE"]),
];

impl clap::Args for Args {
    fn augment_args(command: clap::Command) -> clap::Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Flags::augment_args_for_update(command)
    }
}

impl FromArgMatches for Args {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = matches
            .ids()
            .map(clap::Id::as_str)
            .filter(|id| matches.try_contains_id(id).is_ok())
            .filter(|id| matches.value_source(id) == Some(ValueSource::CommandLine))
            .map(str::to_string)
            .collect();
        Ok(Self {
            flags: Flags::from_arg_matches(matches)?,
            typed,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub(super) fn bad(reason: impl Into<String>, hint: impl Into<String>) -> BadArgument {
    BadArgument {
        reason: reason.into(),
        hint: hint.into(),
    }
}

/// Reads a SHA-256; also for the list.
pub(super) fn sha256(text: &str) -> Result<Sha256, BadArgument> {
    text.parse().map_err(|()| {
        bad(
            format!(
                "the sha256 `{}` is not 64 hexadecimal digits",
                one_line(text)
            ),
            "give the whole digest, as sha256sum prints it; `sha256:` may stand in front",
        )
    })
}

/// Reads an `ETag`, quotes or not; also for the list.
pub(super) fn etag(text: &str) -> Result<String, BadArgument> {
    let text = text.trim();
    let inner = text.strip_prefix('"').unwrap_or(text);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let is_tag = !inner.is_empty() && inner.bytes().all(|byte| byte >= b' ' && byte != 0x7f);
    if is_tag {
        return Ok(inner.to_string());
    }
    Err(bad(
        "the etag is empty, or holds control characters",
        "give it as the store shows it",
    ))
}

fn one_size(flag: &str, text: &str) -> Result<Size, BadArgument> {
    text.parse().map_err(|_| {
        bad(
            format!("{flag} `{}` is no size", one_line(text)),
            size::HINT,
        )
    })
}

fn max_size(text: &str) -> Result<Size, BadArgument> {
    one_size("--max-size", text)
}

fn max_unpacked(text: &str) -> Result<Size, BadArgument> {
    one_size("--max-unpacked", text)
}

fn max_bandwidth(text: &str) -> Result<Size, BadArgument> {
    match one_size("--max-bandwidth", text)? {
        Size(0) => Err(bad(
            "--max-bandwidth 0 would bring nothing",
            "leave it out for no limit",
        )),
        size => Ok(size),
    }
}

fn part_size(text: &str) -> Result<Size, BadArgument> {
    let size = one_size("--part-size", text)?;
    if PART_SIZE.contains(&size) {
        return Ok(size);
    }
    Err(bad(
        format!("--part-size `{}` is out of range", one_line(text)),
        "write a size from 1MiB to 1GiB",
    ))
}

fn parallel(text: &str) -> Result<u16, BadArgument> {
    text.parse()
        .ok()
        .filter(|number| PARALLEL.contains(number))
        .ok_or_else(|| {
            bad(
                format!("--parallel `{}` is out of range", one_line(text)),
                "write a number from 1 to 256",
            )
        })
}

fn stall_timeout(text: &str) -> Result<Duration, BadArgument> {
    match text.parse() {
        Ok(Limit(Some(limit))) => Ok(limit),
        Ok(Limit(None)) | Err(_) => Err(bad(
            format!("--stall-timeout `{}` is no duration", one_line(text)),
            "write a duration such as 500ms, 20s or 1m",
        )),
    }
}

fn include(text: &str) -> Result<Glob, BadArgument> {
    Glob::new(text).map_err(|reason| bad_glob("--include", text, &reason))
}

fn exclude(text: &str) -> Result<Glob, BadArgument> {
    Glob::new(text).map_err(|reason| bad_glob("--exclude", text, &reason))
}

fn bad_glob(flag: &str, text: &str, reason: &str) -> BadArgument {
    bad(
        format!("{flag} `{}` is no pattern: {reason}", one_line(text)),
        "*, ? and [a-z] are special; [*] is a star itself",
    )
}

/// Reads a mode; also for the list.
pub(super) fn mode(text: &str) -> Result<u32, BadArgument> {
    read_mode(text).map_err(|reason| {
        bad(
            format!("the mode `{}` {reason}", one_line(text)),
            "write octal digits, such as 0644",
        )
    })
}

/// Reads the name of a format; also for the list.
pub(super) fn unpack_format(text: &str) -> Result<Choice, BadArgument> {
    if text == "auto" {
        return Ok(Choice::Auto);
    }
    Format::named(text).map(Choice::Format).ok_or_else(|| {
        bad(
            format!("`{}` is no format that can be unpacked", one_line(text)),
            format!("one of {}", help::unpack_names()),
        )
    })
}

fn region(text: &str) -> Result<String, BadArgument> {
    let is_name = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_name {
        return Ok(text.to_string());
    }
    Err(bad(
        format!("--region `{}` is no region", one_line(text)),
        "write it as the store does: eu-central-1",
    ))
}

/// Never repeats the text, which may hold a password.
pub(super) fn endpoint(text: &str) -> Result<String, BadArgument> {
    const HINT: &str = "write http://HOST:PORT or https://HOST:PORT";
    let url = reqwest::Url::parse(text).map_err(|_| bad("the endpoint is not a URL", HINT))?;
    let wrong = if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        "the endpoint is neither http:// nor https:// and a host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "the endpoint holds a user or a password"
    } else if url.query().is_some() || url.fragment().is_some() {
        "the endpoint holds a query or a fragment"
    } else {
        return Ok(text.trim_end_matches('/').to_string());
    };
    Err(bad(wrong, HINT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_are_read_with_and_without_quotes() {
        for (text, tag) in [("abc", "abc"), ("\"abc\"", "abc"), (" \"a-3\" ", "a-3")] {
            assert_eq!(etag(text).unwrap(), tag, "{text}");
        }
        for wrong in ["", "\"\"", "a\nb"] {
            assert!(etag(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!(parallel("1").unwrap(), 1);
        assert_eq!(parallel("256").unwrap(), 256);
        for wrong in ["0", "257", "x", "-1", ""] {
            assert!(parallel(wrong).is_err(), "{wrong}");
        }
        assert_eq!(part_size("1MiB").unwrap(), Size(1 << 20));
        for wrong in ["1", "2GiB", "1048575"] {
            assert!(part_size(wrong).is_err(), "{wrong}");
        }
        assert!(stall_timeout("0").is_err());
        assert!(max_bandwidth("0").is_err());
        assert_eq!(max_size("0").unwrap(), Size(0));
    }

    #[test]
    fn an_endpoint_is_an_origin_and_a_path_and_never_repeated() {
        assert_eq!(endpoint("http://h:1/a/").unwrap(), "http://h:1/a");
        for wrong in ["h:1", "ftp://h", "http://u:hunter2@h", "http://h?hunter2"] {
            let refused = endpoint(wrong).unwrap_err();
            assert!(!refused.to_string().contains("hunter2"), "{wrong}");
        }
    }
}
