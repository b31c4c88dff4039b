//! The end of a run: result on stdout, last line on stderr, termination message, exit code.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use tracing::{debug, error, warn};

use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::stream::write_within;
use crate::base::successor::Successor;
use crate::base::{log, termination};
use crate::cli::{Global, Refusal};
use crate::commands::Outcome;

/// How the run ended; the result has been shown.
#[derive(Debug)]
pub enum Ending {
    /// The command came to its own end: its summary, or why it failed.
    Finished(Result<String, Failure>),
    /// It has succeeded, and another program takes its place.
    HandedOver(Successor),
    /// A signal ended it; with what the command had to say, if it said it in time.
    Stopped(Signal, Option<Result<String, Failure>>),
}

impl Ending {
    /// The command's own end, or the program that follows its success.
    pub fn of(outcome: Result<String, Failure>, successor: Option<&Successor>) -> Self {
        match (outcome, successor) {
            (Ok(_), Some(successor)) => Self::HandedOver(successor.clone()),
            (outcome, _) => Self::Finished(outcome),
        }
    }
}

/// Time for the result when the deadline has come already: within the 250 ms that a run may be late.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Time for help and version, which know no deadline.
const TELLING: Duration = Duration::from_secs(10);

/// Writes the result, on a thread of its own: the deadline and signals hold for a reader too that does
/// not read. That the command itself failed outranks that its result could not be written.
pub async fn show(outcome: Outcome, deadline: &Deadline) -> Result<String, Failure> {
    let Outcome { stdout, ending } = outcome;
    let limit = deadline.left_or(LAST_WORDS);
    let printing = tokio::task::spawn_blocking(move || print(&stdout, limit));
    let printed = printing
        .await
        .unwrap_or_else(|panic| Err(Failure::caused_by(Kind::Bug, panic)));
    ending.and_then(|summary| printed.map(|()| summary))
}

/// Reports how the run ended, once and everywhere.
pub fn conclude(global: &Global, command: &str, ending: Ending) -> ExitCode {
    match ending {
        Ending::Finished(Ok(summary)) => {
            leave_message(&global.termination_log, &summary);
            ExitCode::SUCCESS
        }
        Ending::Finished(Err(failure)) => fail(&global.termination_log, Some(command), &failure),
        // A message would be shown as the successor's own.
        Ending::HandedOver(successor) => {
            fail(&global.termination_log, Some(command), &successor.replace())
        }
        Ending::Stopped(signal, outcome) => {
            let code = 128 + signal as u8;
            let mut verdict = format!("podinit {command}: stopped ({code}) by {signal}");
            // What was done is worth telling, but the signal decides how the run ended.
            if let Some(Err(cause)) = outcome {
                verdict.push_str(&format!(": {cause}"));
            }
            leave_message(
                &global.termination_log,
                &termination::compose(&verdict, &[], None),
            );
            error!(code, "{verdict}");
            ExitCode::from(code)
        }
    }
}

/// Reports that there was nothing to run.
pub fn refused(refusal: Refusal) -> ExitCode {
    let (global, command, failure) = match refusal {
        Refusal::Told(text) => {
            return match print(text.as_bytes(), TELLING) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => ExitCode::from(failure.kind().exit_code()),
            };
        }
        Refusal::Failed {
            global,
            command,
            failure,
        } => (global, command, failure),
    };
    let format = global
        .as_ref()
        .map_or(log::Format::Text, |global| global.log_format);
    log::start(format, log::Threshold::Error);
    let path = global.map_or(termination::DEFAULT_PATH.into(), |global| {
        global.termination_log
    });
    fail(&path, command.as_deref(), &failure)
}

/// Turns a panic into exit code 70. Release builds abort right after the hook, so it has to exit.
pub fn report_panics(global: Global, command: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let failure = Failure::new(Kind::Bug, format!("panic at {place}"))
            .hint("a fault of podinit's own: please report it with the command line");
        fail(&global.termination_log, Some(command), &failure);
        leave(failure.kind());
    }));
}

#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "after a panic there is no caller to return a code to"
)]
fn leave(kind: Kind) -> ! {
    std::process::exit(kind.exit_code().into())
}

fn fail(termination_log: &Path, command: Option<&str>, failure: &Failure) -> ExitCode {
    let program = command.map_or("podinit".to_string(), |command| {
        format!("podinit {command}")
    });
    let verdict = termination::verdict(&program, failure);
    let code = failure.kind().exit_code();
    leave_message(
        termination_log,
        &termination::compose(&verdict, failure.lines(), failure.mend()),
    );
    // Last of all, so that the end of the log tells the end of the run.
    error!(
        kind = failure.kind().name(),
        code,
        hint = failure.mend(),
        "{}",
        termination::full_line(&verdict, failure.mend())
    );
    ExitCode::from(code)
}

/// Writes to stdout. A reader that has left early has seen what it wanted.
fn print(bytes: &[u8], limit: Duration) -> Result<(), Failure> {
    let failed = |failure: Failure| failure.context("write the result to stdout");
    match write_within(&mut std::io::stdout().lock(), bytes, limit) {
        Err(error) if error.kind() == ErrorKind::TimedOut => {
            Err(failed(Failure::new(Kind::Unavailable, "nobody reads it"))
                .hint("is the reader of the pipe still running?"))
        }
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(failed(Failure::caused_by(Kind::Local, error)))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Outside a Pod there is no such file, and that is fine; a path somebody chose should exist.
fn leave_message(path: &Path, message: &str) {
    match termination::write(path, message) {
        Ok(()) => {}
        Err(errno) if path == Path::new(termination::DEFAULT_PATH) || errno == Errno::ENOENT => {
            debug!(
                "no termination message in {}: {}",
                path.display(),
                errno.desc()
            );
        }
        Err(errno) => warn!(
            "no termination message in {}: {}",
            path.display(),
            errno.desc()
        ),
    }
}
