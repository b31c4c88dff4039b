//! Everything that the arguments ask for, once the files are read and all is checked together.

use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use hyper_util::client::proxy::matcher::Matcher;

use super::args::{Args, Header, Targets};
use super::password::{self, Source};
use super::protocol::Probe;
use super::setup::{HttpChecks, Setup, Tls};
use super::status::StatusList;
use super::target::{Origin, Target, parse};
use super::verdict::Goal;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::http::Roots;
use crate::base::successor::Successor;
use crate::commands::Output;

/// The header of Vault's token; names compare in lower case.
const VAULT_TOKEN: &str = "x-vault-token";

/// One server to wait for, and how to ask it.
pub(super) struct Watched {
    pub(super) shown: String,
    pub(super) probe: Box<dyn Probe>,
}

/// Everything that is asked for; nothing has been sent.
pub(super) struct Request {
    pub(super) watched: Vec<Watched>,
    pub(super) is_any_enough: bool,
    pub(super) goal: Goal,
    pub(super) successes: u32,
    pub(super) interval: Duration,
    pub(super) attempt_timeout: Duration,
    pub(super) successor: Option<Successor>,
    pub(super) is_unchecked: bool,
    /// What may surprise, to be logged once.
    pub(super) warnings: Vec<String>,
}

/// Reads the files that the arguments name, and checks what the arguments say together.
///
/// # Errors
/// `Usage`.
pub(super) fn read(
    args: Args,
    output: Output,
    environment: &Environment,
) -> Result<Request, Failure> {
    let Args {
        targets,
        any,
        gone,
        successes,
        interval,
        attempt_timeout,
        password_file,
        password_env,
        sql,
        http_status,
        http_fatal,
        http_method,
        http_header,
        http_body_regex,
        http_json,
        ca_file,
        insecure_skip_verify,
        service_account_dir,
        command,
    } = args;
    let goal = if gone { Goal::Gone } else { Goal::Ready };
    let targets = read_targets(&targets)?;
    let has_http_flag = http_status.is_some()
        || http_fatal.is_some()
        || http_method.is_some()
        || http_body_regex.is_some()
        || !http_header.is_empty()
        || !http_json.is_empty();
    check_use(&targets, has_http_flag, sql.as_deref(), goal)?;
    refuse_public_secrets(&http_header, environment)?;
    let http = HttpChecks {
        status: http_status.map_or_else(default_status, Ok)?,
        fatal: http_fatal,
        method: http_method.unwrap_or(Method::GET),
        headers: http_header,
        body_regex: http_body_regex,
        json: http_json,
    };
    check_http(&http)?;
    let source = match (password_file, password_env) {
        (Some(path), _) => Some(Source::File(path)),
        (None, Some(name)) => Some(Source::Variable(name)),
        (None, None) => None,
    };
    let mut passwords = password::assign(&targets, source, goal, environment)?;
    let tls = Tls::new(roots(ca_file), insecure_skip_verify)?;
    let proxies = proxies(environment);
    let warnings = RefCell::default();
    let mut setup = Setup {
        password: None,
        http: Arc::new(http),
        sql,
        goal,
        tls: Arc::new(tls),
        proxies: &proxies,
        service_account: &service_account_dir,
        environment,
        warnings: &warnings,
    };
    let mut watched = Vec::with_capacity(targets.len());
    for target in &targets {
        if !target.foreign.is_empty() {
            let keys = target.foreign.join(", ");
            setup.warn(format!(
                "{target}: {keys} means nothing to podinit, and is ignored"
            ));
        }
        setup.password = passwords.remove(0);
        watched.push(Watched {
            probe: (target.protocol.prepare)(target, &setup)?,
            shown: target.shown.clone(),
        });
    }
    drop(setup);
    Ok(Request {
        watched,
        is_any_enough: any,
        goal,
        successes,
        interval,
        attempt_timeout,
        successor: successor(command, output, environment)?,
        is_unchecked: insecure_skip_verify,
        warnings: warnings.into_inner(),
    })
}

fn default_status() -> Result<StatusList, Failure> {
    "200-399"
        .parse()
        .map_err(|error| Failure::caused_by(Kind::Bug, error))
}

fn roots(ca_file: Option<PathBuf>) -> Roots {
    ca_file.map_or(Roots::System, Roots::Path)
}

/// The proxies of the environment, by the names that curl reads.
fn proxies(environment: &Environment) -> Matcher {
    let first = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| environment.get(name));
        found
            .map(|value| value.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    Matcher::builder()
        .all(first(["ALL_PROXY", "all_proxy"]))
        .http(first(["HTTP_PROXY", "http_proxy"]))
        .https(first(["HTTPS_PROXY", "https_proxy"]))
        .no(first(["NO_PROXY", "no_proxy"]))
        .build()
}

fn read_targets(targets: &Targets) -> Result<Vec<Target>, Failure> {
    let origin = targets.origin.unwrap_or(Origin::Argument);
    let mut parsed = Vec::new();
    for word in &targets.words {
        let text = word.to_str().ok_or_else(|| {
            Failure::new(Kind::Usage, "a target is not UTF-8")
                .hint("write other bytes as percent escapes, such as %FF")
        })?;
        match origin {
            // A target in an argument is never split.
            Origin::Argument => parsed.push(parse(text, origin)?),
            Origin::Environment => {
                for text in text.split_whitespace() {
                    parsed.push(parse(text, origin)?);
                }
            }
        }
    }
    if parsed.is_empty() {
        return Err(Failure::new(Kind::Usage, "no TARGET given")
            .hint("say what to wait for, such as tcp://db:5432; see podinit wait-for --help"));
    }
    Ok(parsed)
}

/// Refuses flags that no target would use.
fn check_use(
    targets: &[Target],
    has_http_flag: bool,
    sql: Option<&str>,
    goal: Goal,
) -> Result<(), Failure> {
    let has = |names: &[&str]| {
        targets
            .iter()
            .any(|target| names.contains(&target.scheme.name))
    };
    if has_http_flag && !has(&["http", "https"]) {
        return Err(Failure::new(Kind::Usage, "no target uses the --http flags")
            .hint("they are for http:// and https:// targets"));
    }
    let Some(sql) = sql else {
        return Ok(());
    };
    if !has(&["postgres", "postgresql", "mysql", "mariadb"]) {
        return Err(Failure::new(Kind::Usage, "no target uses --sql")
            .hint("it is for postgres:// and mysql:// targets"));
    }
    if goal == Goal::Gone {
        return Err(Failure::new(
            Kind::Usage,
            "--gone never logs in, so --sql means nothing to it",
        )
        .hint("leave one of them out"));
    }
    if sql.trim().is_empty() {
        return Err(Failure::new(Kind::Usage, "--sql is empty").hint("such as --sql 'select 1'"));
    }
    Ok(())
}

/// A header in an argument is public; the lines of the variable are not.
fn refuse_public_secrets(headers: &[Header], environment: &Environment) -> Result<(), Failure> {
    let lines = environment
        .get("PODINIT_HTTP_HEADER")
        .unwrap_or_default()
        .to_string_lossy();
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let from_variable: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_string()))
        .collect();
    let is_from_variable = headers.len() == from_variable.len()
        && headers
            .iter()
            .zip(&from_variable)
            .all(|(header, (name, value))| {
                header.name.as_str() == name && header.value.as_bytes() == value.as_bytes()
            });
    let is_secret = |header: &&Header| {
        [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE].contains(&header.name)
            || header.name.as_str() == VAULT_TOKEN
    };
    match headers.iter().find(is_secret) {
        Some(header) if !is_from_variable => Err(Failure::new(
            Kind::Usage,
            format!(
                "--http-header {}: a secret in an argument is public",
                header.name
            ),
        )
        .hint("give it in the variable PODINIT_HTTP_HEADER, one header a line")),
        _ => Ok(()),
    }
}

fn check_http(http: &HttpChecks) -> Result<(), Failure> {
    if let Some(fatal) = &http.fatal
        && let Some(status) = http.status.shared_with(fatal)
    {
        return Err(Failure::new(
            Kind::Usage,
            format!(
                "status {status} is in --http-status ({}) and in --http-fatal",
                http.status
            ),
        )
        .hint("a status is ready or ends the wait: take it out of one list"));
    }
    if http.method == Method::HEAD && (http.body_regex.is_some() || !http.json.is_empty()) {
        return Err(
            Failure::new(Kind::Usage, "an answer to HEAD has no body to check")
                .hint("leave out --http-method HEAD, or the checks of the body"),
        );
    }
    Ok(())
}

fn successor(
    command: Vec<OsString>,
    output: Output,
    environment: &Environment,
) -> Result<Option<Successor>, Failure> {
    if command.is_empty() {
        return Ok(None);
    }
    if output == Output::Json {
        return Err(
            Failure::new(Kind::Usage, "--output json and -- CMD exclude each other")
                .hint("stdout belongs to CMD"),
        );
    }
    Successor::find(command, environment.get("PATH")).map(Some)
}

#[cfg(test)]
mod tests;
