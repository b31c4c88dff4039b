//! podinit prepares the node and the shared volumes before a Pod's app starts.

mod base;
mod cli;
mod commands;
mod conclude;

use std::cell::OnceCell;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;

use base::deadline::Deadline;
use base::environment::Environment;
use base::failure::{Failure, Kind};
use base::signals::{self, Blocked};
use base::{http, log};
use cli::Cli;
use commands::Run;
use conclude::Ending;

/// How long a step that must not be cut in half may hold up the exit after a signal.
const GRACE: Duration = Duration::from_millis(150);

fn main() -> ExitCode {
    // First of all: PID 1 loses the signals that nobody has asked for.
    let blocked = signals::block();
    base::secret::forbid_core_dumps();
    let environment = Environment::capture();
    let cli = match cli::parse(std::env::args_os(), environment.pairs()) {
        Ok(cli) => cli,
        Err(refusal) => return conclude::refused(refusal),
    };
    http::install_provider();
    log::start(cli.global.log_format, cli.global.threshold());
    let (global, command) = (cli.global.clone(), cli.command.name());
    conclude::report_panics(global.clone(), command);
    let ending = blocked
        .and_then(|blocked| supervise(blocked, cli, environment))
        .unwrap_or_else(|failure| Ending::Finished(Err(failure)));
    conclude::conclude(&global, command, ending)
}

/// Runs the command until it ends or a signal asks it to.
fn supervise(blocked: Blocked, cli: Cli, environment: Environment) -> Result<Ending, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::caused_by(Kind::Local, error).context("start the runtime"))?;
    let ending = runtime.block_on(async {
        let mut signals = blocked.listen()?;
        let (stop, stopped) = watch::channel::<Option<Signal>>(None);
        let limit = cli.global.timeout.unwrap_or(cli.command.default_limit());
        let run = Run {
            deadline: Deadline::new(limit, stopped),
            dry_run: cli.global.dry_run,
            output: cli.global.output,
            environment,
            grammar: cli::grammar(),
            successor: OnceCell::new(),
        };
        let work = async { conclude::show(cli.command.run(&run).await, &run.deadline).await };
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            signal = signals.next() => {
                stop.send_replace(Some(signal));
                let outcome = tokio::time::timeout(GRACE, &mut work).await.ok();
                Ok(Ending::Stopped(signal, outcome))
            }
            outcome = &mut work => Ok(Ending::of(outcome, run.successor.get())),
        }
    });
    // A thread stuck in the kernel must not hold up the exit.
    runtime.shutdown_background();
    ending
}
