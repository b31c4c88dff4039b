//! Writes what has to be written, puts back what went half wrong, and proves the result.

use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::plan::{Decision, Rules, displayed};
use super::problem::Problem;
use super::proc::Reading;
use super::scope::Scope;
use super::survey::{Item, Node, as_bound};
use super::write::write_once;
use crate::base::deadline::{Deadline, Ended};
use crate::base::failure::Kind;
use crate::base::retry::pause;

/// After a bound was written, racing raisers get this long to write theirs.
const SETTLE: Duration = Duration::from_millis(100);

/// How often a value that somebody else changes is written again.
const ROUNDS: usize = 5;

/// After so many readings signals are looked at.
const BREATH: usize = 64;

/// Brings every item to the wanted state, as far as the kernel lets it.
///
/// # Errors
/// Says why the run had to end before it was proven; the items say how far it came.
pub(super) async fn apply(
    node: &Arc<Node>,
    items: &mut [Item],
    rules: Rules,
    deadline: &Deadline,
) -> Result<(), Ended> {
    if !items.iter().any(has_work) {
        // Nothing is written, so nothing can have changed another key: the first reading is proof.
        return Ok(());
    }
    let mut written = 0;
    let mut dependent = Vec::new();
    let mut wrote_bound = false;
    for (at, item) in items.iter_mut().enumerate() {
        if !has_work(item) {
            continue;
        }
        check(deadline)?;
        let is_written = write_item(node, item, rules, deadline).await;
        written += usize::from(is_written);
        wrote_bound |= is_written && item.is_bound();
        if item
            .problem
            .as_ref()
            .is_some_and(|problem| problem.may_depend_on_others)
        {
            dependent.push((at, written));
        }
    }
    // Keys can limit each other: with the others in place, the kernel may take what it refused.
    for (at, written_then) in dependent {
        if written > written_then {
            check(deadline)?;
            let item = &mut items[at];
            item.problem = None;
            node.examine(item, rules);
            wrote_bound |= write_item(node, item, rules, deadline).await && item.is_bound();
        }
    }
    let proof = verify(node, items, rules, deadline, wrote_bound).await;
    for item in items
        .iter()
        .filter(|item| item.is_written && item.problem.is_none())
    {
        advise(item, "went down");
    }
    proof
}

/// Reads everything again, also what needed no write: one key's write may change another.
async fn verify(
    node: &Arc<Node>,
    items: &mut [Item],
    rules: Rules,
    deadline: &Deadline,
    mut wrote_bound: bool,
) -> Result<(), Ended> {
    for round in 0..=ROUNDS {
        if wrote_bound {
            pause(deadline, SETTLE).await?;
        }
        wrote_bound = false;
        for (at, item) in items.iter_mut().enumerate() {
            if at % BREATH == 0 {
                tokio::task::yield_now().await;
                check(deadline)?;
            }
            if item.problem.is_some() {
                continue;
            }
            if matches!(item.decision, Some(Decision::Send(_))) {
                continue;
            }
            node.examine(item, rules);
            if !has_work(item) {
                continue;
            }
            if round == ROUNDS {
                item.problem = Some(stored_differently(item, rules));
                continue;
            }
            check(deadline)?;
            debug!("{} is not as wanted, written again", item.entry.key);
            wrote_bound |= write_item(node, item, rules, deadline).await && item.is_bound();
        }
        let is_proven = items.iter().all(|item| {
            item.problem.is_some() || !matches!(item.decision, Some(Decision::Write { .. }))
        });
        if is_proven && !wrote_bound {
            break;
        }
    }
    // What failed is shown with what is there now.
    for item in items.iter_mut().filter(|item| item.problem.is_some()) {
        if let (Some(facts), false) = (item.facts, item.entry.is_empty_glob)
            && let Ok(reading) = node.kernel.read(&item.entry.key, facts)
        {
            item.now = Some(reading);
        }
    }
    Ok(())
}

fn check(deadline: &Deadline) -> Result<(), Ended> {
    deadline.ended().map_or(Ok(()), Err)
}

fn has_work(item: &Item) -> bool {
    item.problem.is_none()
        && matches!(
            item.decision,
            Some(Decision::Write { .. } | Decision::Send(_))
        )
}

/// What an operator should know of a setting that was written, or would be.
fn advise(item: &Item, verb: &str) {
    let key = &item.entry.key;
    if item.is_lowered {
        let reading = |reading: &Option<Reading>| {
            let shown = reading.as_ref().and_then(|reading| displayed(key, reading));
            shown.unwrap_or_default()
        };
        let bound = as_bound(key, &item.entry.wanted);
        let from = reading(&item.before);
        let to = bound.rsplit(">=").next().unwrap_or_default();
        warn!(
            "{key} {verb} from {from} to {to}. hint: write {bound} to never lower it, or pass --never-lower"
        );
    }
    if item.scope == Scope::Pid {
        warn!(
            "{key} ends with this container's pid namespace, unless the Pod has shareProcessNamespace: true"
        );
    }
    if item.is_safe && item.scope != Scope::Node {
        info!(
            "{key} is a safe sysctl: the Pod's securityContext.sysctls can set it without an init container"
        );
    }
}

/// Writes one item on a thread of its own: the kernel may keep a write busy beyond the deadline. A
/// signal waits for it, so that a value is never left half put back. Says whether it was written.
async fn write_item(node: &Arc<Node>, item: &mut Item, rules: Rules, deadline: &Deadline) -> bool {
    if !has_work(item) {
        return false;
    }
    let (node, mut copy) = (Arc::clone(node), item.clone());
    let work = tokio::task::spawn_blocking(move || {
        let is_written = write_once(&node, &mut copy, rules);
        (copy, is_written)
    });
    match deadline.in_time(work).await {
        Ok(Ok((done, is_written))) => {
            *item = done;
            is_written
        }
        Ok(Err(panic)) => {
            item.problem = Some(Problem::new(Kind::Bug, panic.to_string()));
            false
        }
        Err(_) => {
            item.problem = Some(still_busy(item, rules));
            false
        }
    }
}

fn still_busy(item: &Item, rules: Rules) -> Problem {
    let reason = "still being written when the deadline came";
    Problem::new(Kind::Unavailable, reason)
        .during(&[&item.attempt(rules), &format!("write {}", item.path)])
        .hint("the kernel works on it: give it more time with --timeout")
}

fn stored_differently(item: &Item, rules: Rules) -> Problem {
    let wanted = super::plan::asked(&item.entry.key, &item.entry.wanted);
    let present = item.present().unwrap_or_else(|| "nothing".to_string());
    Problem::new(
        Kind::Local,
        format!(
            "wanted {}, the kernel has {present}",
            wanted.trim_start_matches("= ")
        ),
    )
    .during(&[&item.attempt(rules), &format!("write {}", item.path)])
    .hint("the kernel stored it otherwise, or another program keeps putting it back")
}

/// Opens each target for writing and closes it: what `--dry-run` can know of a write.
pub(super) fn rehearse(node: &Node, items: &mut [Item], rules: Rules) {
    for item in items.iter_mut().filter(|item| has_work(item)) {
        let Some(facts) = item.facts else { continue };
        if let Err(trouble) = node.kernel.open_for_writing(&item.entry.key, facts) {
            item.problem = Some(node.explain(item, trouble, rules));
        } else {
            item.is_lowered = matches!(item.decision, Some(Decision::Write { lowers: true, .. }));
            advise(item, "would go down");
        }
    }
}

/// Marks what the end of the run left undone.
pub(super) fn mark_unreached(items: &mut [Item], ended: Ended, rules: Rules) {
    let reason = match ended {
        Ended::Late => "not reached before the deadline",
        Ended::Stopped => "not reached before the signal",
    };
    for item in items
        .iter_mut()
        .filter(|item| has_work(item) && !item.is_written)
    {
        let problem = Problem::new(Kind::Unavailable, reason).during(&[&item.attempt(rules)]);
        item.problem = Some(problem.hint("give it more time with --timeout"));
    }
}
