//! `podinit sysctl`: kernel settings brought to the wanted state, and proven by reading back.

mod apply;
pub(super) mod argv;
mod diagnose;
mod key;
mod list;
mod load;
mod merge;
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

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::plan::Rules;
use self::proc::Kernel;
use self::report::{Tense, render, summary, verdict};
pub use self::request::Args;
use self::request::{Mode, Request, Task, task};
use self::surroundings::Surroundings;
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
        Ok(Task::List(pattern)) => list_keys(&pattern, run).unwrap_or_else(Outcome::from),
        Ok(Task::Settle(request, mode)) => settle(&request, mode, run)
            .await
            .unwrap_or_else(Outcome::from),
    }
}

fn observe(sys_root: &Path, uses_sys: bool) -> Result<Arc<Node>, Failure> {
    let kernel = Kernel::open(sys_root, uses_sys)?;
    Ok(Arc::new(Node {
        kernel,
        surroundings: Surroundings::observe(),
    }))
}

fn list_keys(pattern: &str, run: &Run) -> Result<Outcome, Failure> {
    let node = observe(Path::new("/sys"), false)?;
    let (stdout, summary) = list::list(&node, pattern, run.output)?;
    Ok(Outcome {
        stdout,
        ending: Ok(summary),
    })
}

async fn settle(request: &Request, mode: Mode, run: &Run) -> Result<Outcome, Failure> {
    let node = observe(&request.sys_root, request.uses_sys())?;
    let rules = Rules {
        never_lower: request.never_lower,
        compare_only: mode != Mode::Set,
    };
    let mut items = node.survey(request, rules)?;
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
            let waited = wait(&node, request, rules, &mut items, run).await;
            outcome(&items, Tense::Compared, waited, run)
        }
    }
}

/// Looks until everything is as wanted; what can still come is waited for.
async fn wait(
    node: &Node,
    request: &Request,
    rules: Rules,
    items: &mut Vec<Item>,
    run: &Run,
) -> Result<(), Failure> {
    let backoff = Backoff {
        first: POLL,
        max: POLL,
    };
    let mut is_first = true;
    until(&run.deadline, backoff, async || {
        if !std::mem::take(&mut is_first) {
            *items = node.survey(request, rules)?;
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
