//! The arguments of `podinit wait-for`: each value is parsed here, once.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use http::{HeaderName, HeaderValue, Method};
use regex::bytes::Regex;

use super::json::JsonCheck;
use super::protocol;
use super::status::StatusList;
use super::target::Origin;
use crate::base::argument::BadArgument;
use crate::base::deadline::Limit;
use crate::base::text::one_line;

/// Where Kubernetes mounts the identity of a Pod.
const SERVICE_ACCOUNT_DIR: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Wait until servers are ready, or say which one is not and why
///
/// Each is asked in its own protocol: an open port is never taken for a ready server. All targets are
/// asked at the same time. With -- CMD podinit then becomes CMD.
#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE, after_long_help = after_long_help(), after_help = "See --help for the targets and examples.")]
pub struct Args {
    #[command(flatten)]
    pub(super) targets: Targets,
    /// The first ready target is enough
    #[arg(long, env = "PODINIT_ANY", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) any: bool,
    /// Wait until the targets are proven absent
    #[arg(long, env = "PODINIT_GONE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) gone: bool,
    /// So many ready answers in a row, for each target
    #[arg(long, env = "PODINIT_SUCCESSES", value_name = "N", default_value = "1", value_parser = value_parser!(u32).range(1..))]
    pub(super) successes: u32,
    /// Longest pause between two attempts; the first is 50ms
    #[arg(long, env = "PODINIT_INTERVAL", value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(super) interval: Duration,
    /// Limit of one attempt: name, connection, TLS, exchange
    #[arg(long, env = "PODINIT_ATTEMPT_TIMEOUT", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(super) attempt_timeout: Duration,
    /// Password of the one target that takes one; a final newline is dropped
    #[arg(
        long,
        env = "PODINIT_PASSWORD_FILE",
        value_name = "FILE",
        conflicts_with = "password_env"
    )]
    pub(super) password_file: Option<PathBuf>,
    /// Variable that holds the password of the one target that takes one
    #[arg(long, env = "PODINIT_PASSWORD_ENV", value_name = "NAME")]
    pub(super) password_env: Option<String>,
    /// Query for postgres and mysql targets; ready with at least one row
    #[arg(long, env = "PODINIT_SQL", value_name = "QUERY")]
    pub(super) sql: Option<String>,
    /// Statuses of a ready answer: codes and ranges [default: 200-399]
    #[arg(long, env = "PODINIT_HTTP_STATUS", value_name = "LIST")]
    pub(super) http_status: Option<StatusList>,
    /// Statuses that end the run at once
    #[arg(long, env = "PODINIT_HTTP_FATAL", value_name = "LIST")]
    pub(super) http_fatal: Option<StatusList>,
    /// Method of the request, which has no body [default: GET]
    #[arg(long, env = "PODINIT_HTTP_METHOD", value_name = "METHOD", value_parser = method)]
    pub(super) http_method: Option<Method>,
    /// Header of the request
    #[arg(long, env = "PODINIT_HTTP_HEADER", value_name = "NAME: VALUE", action = ArgAction::Append, value_parser = header)]
    pub(super) http_header: Vec<Header>,
    /// To be found somewhere in the body
    #[arg(long, env = "PODINIT_HTTP_BODY_REGEX", value_name = "REGEX", value_parser = body_regex)]
    pub(super) http_body_regex: Option<Regex>,
    /// What a JSON body has to hold, by RFC 6901 pointer; all given must hold
    #[arg(long, env = "PODINIT_HTTP_JSON", value_name = "POINTER=VALUE", action = ArgAction::Append)]
    pub(super) http_json: Vec<JsonCheck>,
    /// Authorities to trust, PEM, or a directory of such files; replaces the system's
    #[arg(long, env = "PODINIT_CA_FILE", value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Encrypt with whoever answers; never for k8s:// and s3://
    #[arg(long, env = "PODINIT_INSECURE_SKIP_VERIFY", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub(super) insecure_skip_verify: bool,
    /// Token and ca.crt for k8s:// targets
    #[arg(long, env = "PODINIT_SERVICE_ACCOUNT_DIR", value_name = "DIR", default_value = SERVICE_ACCOUNT_DIR)]
    pub(super) service_account_dir: PathBuf,
    /// What podinit becomes, once all is ready
    #[arg(value_name = "CMD", last = true)]
    pub(super) command: Vec<OsString>,
}

const USAGE: &str = "podinit wait-for [OPTIONS] <TARGET>... [-- CMD ARGS...]";

const EXAMPLES: &str = "\
Examples:
  podinit wait-for tcp://mail:25?expect=220 unix:///run/app.sock
  podinit wait-for --http-status 200,429 --http-json /status=ok https://api.example/health
  podinit wait-for 'dns://_pg._tcp.db.prod.svc.cluster.local?type=SRV' 'file:///data?min-size=1GiB'
  podinit wait-for --gone tcp://old-primary:5432
  podinit wait-for --any redis://cache-a redis://cache-b -- sh -c 'exec /app/server'

In a Pod:
  initContainers:
  - name: dependencies
    image: ghcr.io/podinit/podinit:0.1.0
    args: [wait-for, --timeout=3m, \"postgres://app@db/app?password-file=/secrets/db\",
           \"redis://cache\", \"http://auth:8080/ready\", \"k8s://prod/jobs/seed?missing=ok\"]
    securityContext: {runAsNonRoot: true, runAsUser: 65532,
                      allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    volumeMounts:
    - {name: db, mountPath: /secrets, readOnly: true}
  volumes:
  - {name: db, secret: {secretName: db}}";

const RULES: &str = "\
A password never stands in an argument: give it with --password-file or --password-env, on one
target with ?password-file= or ?password-env=, or put the whole target into PODINIT_TARGETS.
Options of http and https targets are the --http flags, which hold for all of them; every other
target has its own in its query.";

fn after_long_help() -> String {
    let mut text = format!("{EXAMPLES}\n\nTargets, and when they are ready:\n");
    for protocol in protocol::PROTOCOLS {
        text.push_str(&format!("  {:<38} {}\n", protocol.example, protocol.about));
    }
    text.push_str(&format!("\n{RULES}"));
    text
}

/// The targets, and where they came from: arguments are public, the environment is not.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets {
    pub(super) words: Vec<OsString>,
    pub(super) origin: Option<Origin>,
}

const TARGETS: &str = "targets";

impl clap::Args for Targets {
    fn augment_args(command: Command) -> Command {
        command.arg(
            Arg::new(TARGETS)
                .value_name("TARGET")
                .help("Servers to wait for; in the variable, separated by white space")
                .env("PODINIT_TARGETS")
                .num_args(0..)
                .value_parser(value_parser!(OsString)),
        )
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Targets {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let words = matches.get_many(TARGETS).unwrap_or_default();
        let origin = matches.value_source(TARGETS).map(|source| match source {
            ValueSource::EnvVariable => Origin::Environment,
            _ => Origin::Argument,
        });
        Ok(Self {
            words: words.cloned().collect(),
            origin,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A header of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
}

fn bad(reason: impl Into<String>, hint: impl Into<String>) -> BadArgument {
    BadArgument {
        reason: reason.into(),
        hint: hint.into(),
    }
}

fn duration(text: &str) -> Result<Duration, BadArgument> {
    let limit = text.parse::<Limit>().ok().and_then(|Limit(limit)| limit);
    limit.ok_or_else(|| {
        bad(
            format!("`{}` is no duration above zero", one_line(text)),
            "write it like 500ms, 30s, 5m or 1h30m",
        )
    })
}

fn method(text: &str) -> Result<Method, BadArgument> {
    Method::from_bytes(text.as_bytes()).map_err(|_| {
        bad(
            format!("`{}` is no HTTP method", one_line(text)),
            "such as GET, HEAD or OPTIONS",
        )
    })
}

/// Never repeats the value, which may be a secret.
fn header(text: &str) -> Result<Header, BadArgument> {
    const HINT: &str = "write 'Name: value'; everything after the first colon is the value";
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| bad("--http-header without a colon", HINT))?;
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| bad("--http-header has a name that is none", HINT))?;
    let mut value = HeaderValue::from_str(value.trim())
        .or_else(|_| HeaderValue::from_bytes(value.trim().as_bytes()))
        .map_err(|_| {
            bad(
                format!("--http-header {name} has a value that is none"),
                HINT,
            )
        })?;
    value.set_sensitive(true);
    Ok(Header { name, value })
}

fn body_regex(text: &str) -> Result<Regex, BadArgument> {
    Regex::new(text).map_err(|error| {
        // The last line says what is wrong; those above point at it in several lines.
        let words = error.to_string();
        let last = words
            .lines()
            .last()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        bad(
            format!("--http-body-regex `{}`: {}", one_line(text), one_line(last)),
            "the syntax is that of docs.rs/regex",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_above_zero() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        for wrong in ["0", "0s", "", "-1s", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_is_split_at_its_first_colon_and_never_repeated() {
        let read = header("X-Test:  a:b:c ").unwrap();
        assert_eq!(
            (read.name.as_str(), read.value.to_str().unwrap()),
            ("x-test", "a:b:c")
        );
        assert!(!format!("{read:?}").contains("a:b:c"));
        for wrong in [
            "hunter2",
            "bad name: hunter2",
            "X: hun\nhunter2",
            ": hunter2",
        ] {
            assert!(
                header(wrong).is_err_and(|error| !error.reason.contains("hunter2")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn methods_and_patterns_are_checked() {
        assert_eq!(method("PURGE").unwrap().as_str(), "PURGE");
        assert!(method("").is_err() && method("A B").is_err());
        assert!(body_regex("all.+ready").is_ok());
        assert!(!body_regex("[").unwrap_err().reason.contains('\n'));
    }
}
