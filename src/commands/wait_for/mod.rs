//! `podinit wait-for`: holds a Pod back until the servers that it needs are ready.

mod args;
mod attempt;
mod connect;
mod escape;
mod host;
mod json;
mod login;
mod news;
mod password;
mod protocol;
mod report;
mod request;
mod resolve;
mod schedule;
mod setup;
mod stage;
mod status;
mod talk;
mod target;
mod verdict;
mod watch;
mod web;

use tracing::{error, info, warn};

pub use self::args::Args;
use super::{Outcome, Run};
use crate::base::failure::{Failure, Kind};

/// Does what the arguments ask for.
pub(super) async fn run(args: Args, run: &Run) -> Outcome {
    work(args, run).await.unwrap_or_else(Outcome::from)
}

async fn work(args: Args, run: &Run) -> Result<Outcome, Failure> {
    let (output, environment) = (run.output, run.environment.clone());
    let reading = tokio::task::spawn_blocking(move || request::read(args, output, &environment));
    let request = match run.deadline.within(reading).await {
        Ok(read) => read.map_err(|panic| Failure::caused_by(Kind::Bug, panic))??,
        Err(_) => {
            return Err(
                Failure::new(Kind::Unavailable, "no answer from the file system")
                    .context("read the arguments' files")
                    .hint("is one of them a pipe, or on a volume that hangs?"),
            );
        }
    };
    for warning in &request.warnings {
        warn!("{warning}");
    }
    if request.is_unchecked {
        // So loud that -q does not hide it.
        error!("--insecure-skip-verify: certificates are not checked, anybody may answer");
    }
    if run.dry_run {
        return Ok(report::plan(&request, run.output, &run.deadline));
    }
    let ended = watch::watch(&request, &run.deadline).await;
    let outcome = report::outcome(ended, &request, run.output, &run.deadline);
    if let Ok(summary) = &outcome.ending {
        if request.is_unchecked {
            error!("{summary}");
        } else {
            info!("{summary}");
        }
        if let Some(successor) = request.successor {
            run.successor
                .set(successor)
                .map_err(|_| Failure::new(Kind::Bug, "two programs to become"))?;
        }
    }
    Ok(outcome)
}
