//! `podinit sysctl`: kernel settings brought to the wanted state, and proven by reading back.

mod apply;
pub(super) mod argv;
mod diagnose;
mod key;
mod list;
mod load;
mod merge;
mod offload;
mod plan;
mod problem;
mod proc;
mod report;
mod request;
mod scope;
mod setting;
mod surroundings;
mod survey;
mod value;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use self::offload::{in_time, off_thread};
use self::plan::Rules;
use self::report::{Tense, render, summary, verdict};
pub use self::request::Args;
use self::request::{Mode, Request, Task, task};
use self::survey::{Item, Node, warn_of_equality, warn_of_octal};
use super::{Outcome, Run};
use crate::base::deadline::Ended;
use crate::base::failure::{Failure, Kind};
use crate::base::retry::{Backoff, until};

/// `--wait` looks this often.
const POLL: Duration = Duration::from_millis(250);

/// Does what the arguments ask for.
pub(super) async fn run(args: Args, run: &Run) -> Outcome {
    match task(args, &run.deadline).await {
        Err(failure) => Outcome::from(failure),
        Ok(Task::List(pattern)) => list_keys(pattern, run).await.unwrap_or_else(Outcome::from),
        Ok(Task::Settle(request, mode)) => settle(request, mode, run)
            .await
            .unwrap_or_else(Outcome::from),
    }
}

async fn list_keys(pattern: String, run: &Run) -> Result<Outcome, Failure> {
    let output = run.output;
    let work = move || list::list(&*Node::observe(Path::new("/sys"), false)?, &pattern, output);
    let (stdout, summary) = in_time(&run.deadline, "list keys", off_thread(work)).await?;
    Ok(Outcome {
        stdout,
        ending: Ok(summary),
    })
}

async fn settle(request: Request, mode: Mode, run: &Run) -> Result<Outcome, Failure> {
    let node = Node::observe(&request.sys_root, request.uses_sys())?;
    let rules = Rules {
        never_lower: request.never_lower,
        compare_only: mode != Mode::Set,
    };
    let request = Arc::new(request);
    let reading = survey(&node, &request, mode, rules);
    let mut items = in_time(&run.deadline, "read the settings", reading).await?;
    if items.is_empty() {
        info!("nothing to do: no key is left of what was said");
    }
    warn_of_octal(&items);
    match (mode, run.dry_run) {
        (Mode::Set, false) => {
            let ended = apply::apply(&node, &mut items, rules, &run.deadline)
                .await
                .err();
            if let Some(ended) = ended {
                apply::mark_unreached(&mut items, ended, rules);
            }
            let verdict = verdict(&items, Tense::Done, Kind::Unmet).and(proven(ended, run));
            outcome(&items, Tense::Done, verdict, run)
        }
        (Mode::Set, true) => {
            apply::rehearse(&node, &mut items, rules);
            let verdict = verdict(&items, Tense::Planned, Kind::Unmet);
            outcome(&items, Tense::Planned, verdict, run)
        }
        (Mode::Check, _) => {
            let verdict = verdict(&items, Tense::Compared, Kind::Unmet);
            outcome(&items, Tense::Compared, verdict, run)
        }
        (Mode::Wait, true) => {
            let verdict = verdict(&items, Tense::Compared, Kind::Unavailable);
            outcome(&items, Tense::Compared, verdict, run)
        }
        (Mode::Wait, false) => {
            warn_of_equality(&items);
            let waited = wait(&node, &request, rules, &mut items, run).await;
            outcome(&items, Tense::Compared, waited, run)
        }
    }
}

/// The state of all settings. What `--wait` can still see coming counts as not there yet.
async fn survey(
    node: &Arc<Node>,
    request: &Arc<Request>,
    mode: Mode,
    rules: Rules,
) -> Result<Vec<Item>, Failure> {
    let (node, request) = (Arc::clone(node), Arc::clone(request));
    let work = move || node.survey(&request, rules);
    let mut items = off_thread(work).await?;
    if mode == Mode::Wait {
        for problem in items.iter_mut().filter_map(|item| item.problem.as_mut()) {
            if problem.is_awaited {
                problem.kind = Kind::Unavailable;
            }
        }
    }
    Ok(items)
}

/// Looks until everything is as wanted; what can still come is waited for.
async fn wait(
    node: &Arc<Node>,
    request: &Arc<Request>,
    rules: Rules,
    items: &mut Vec<Item>,
    run: &Run,
) -> Result<(), Failure> {
    let backoff = Backoff {
        first: POLL,
        max: POLL,
    };
    let mut is_first = true;
    until(&run.deadline, backoff, "read the settings", async || {
        if !std::mem::take(&mut is_first) {
            *items = survey(node, request, Mode::Wait, rules).await?;
        }
        verdict(items, Tense::Compared, Kind::Unavailable)
    })
    .await
}

/// A run that had to end before the last reading has proven nothing.
fn proven(ended: Option<Ended>, run: &Run) -> Result<(), Failure> {
    let seconds = run.deadline.elapsed().as_secs_f64();
    match ended {
        None => Ok(()),
        Some(Ended::Late) => Err(Failure::new(
            Kind::Unavailable,
            format!("written, but not proven when the deadline came after {seconds:.1} s"),
        )
        .hint("give it more time with --timeout")),
        Some(Ended::Stopped) => Err(Failure::new(Kind::Unavailable, "written, but not proven")),
    }
}

fn outcome(
    items: &[Item],
    tense: Tense,
    verdict: Result<(), Failure>,
    run: &Run,
) -> Result<Outcome, Failure> {
    Ok(Outcome {
        stdout: render(items, tense, run.output)?,
        ending: verdict.map(|()| summary(items, tense, run.deadline.elapsed().as_secs_f64())),
    })
}
