//! The end of a run: result on stdout, last line on stderr, termination message, exit code.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use tracing::{debug, error, warn};

use crate::base::failure::{Failure, Kind};
use crate::base::{log, termination};
use crate::cli::{Global, Refusal};
use crate::commands::Outcome;

/// How the run ended.
#[derive(Debug)]
pub enum Ending {
    /// The command came to its own end.
    Finished(Outcome),
    /// A signal ended it; with what the command had to say, if it said it in time.
    Stopped(Signal, Option<Outcome>),
}

/// Reports how the run ended, once and everywhere.
pub fn conclude(global: &Global, command: &str, ending: Ending) -> ExitCode {
    match ending {
        Ending::Finished(Outcome { stdout, ending }) => match print(&stdout).and(ending) {
            Ok(summary) => {
                leave_message(&global.termination_log, &summary);
                ExitCode::SUCCESS
            }
            Err(failure) => fail(&global.termination_log, Some(command), &failure),
        },
        Ending::Stopped(signal, outcome) => {
            let code = 128 + signal as u8;
            let mut verdict = format!("podinit {command}: stopped ({code}) by {signal}");
            if let Some(Outcome { stdout, ending }) = outcome {
                // What was done is worth showing, but the signal decides how the run ended.
                let printed = print(&stdout).err();
                if let Some(cause) = printed.or(ending.err()) {
                    verdict.push_str(&format!(": {cause}"));
                }
            }
            error!(code, "{verdict}");
            leave_message(
                &global.termination_log,
                &termination::compose(&verdict, None),
            );
            ExitCode::from(code)
        }
    }
}

/// Reports that there was nothing to run.
pub fn refused(refusal: Refusal) -> ExitCode {
    let (global, command, failure) = match refusal {
        Refusal::Told(text) => {
            return match print(text.as_bytes()) {
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
    error!(
        kind = failure.kind().name(),
        code,
        hint = failure.mend(),
        "{}",
        termination::full_line(&verdict, failure.mend())
    );
    leave_message(
        termination_log,
        &termination::compose(&verdict, failure.mend()),
    );
    ExitCode::from(code)
}

/// Writes the result. A reader that has left early has seen what it wanted.
fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::caused_by(Kind::Local, error).context("write the result to stdout"))
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
