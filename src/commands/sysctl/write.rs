//! One write of one setting, and putting back what the kernel took in part.

use super::plan::{Decision, Rules, displayed};
use super::problem::Problem;
use super::proc::{Cause, Facts, Kernel, Reading, Step, Trouble, put};
use super::setting::shown;
use super::survey::{Item, Node};
use super::value::{Nature, in_force, normal};

/// Writes the item's value. What came of it stands in the item; says whether it was written.
pub(super) fn write_once(node: &Node, item: &mut Item, rules: Rules) -> bool {
    match attempt(node, item, rules) {
        Ok(is_written) => {
            item.is_written |= is_written;
            is_written
        }
        Err(problem) => {
            item.problem = Some(problem);
            false
        }
    }
}

fn attempt(node: &Node, item: &mut Item, rules: Rules) -> Result<bool, Problem> {
    let Some(facts) = item.facts else {
        return Ok(false);
    };
    let file = node
        .kernel
        .open_for_writing(&item.entry.key, facts)
        .map_err(|trouble| node.explain(item, trouble, rules))?;
    // Somebody may have changed it since, or podinit by another key: only the value right before the
    // write tells what to write, and what to put back. The file is open already, so that as little
    // time as can be passes between the two.
    node.examine(item, rules);
    let (Some(Decision::Write { text, .. } | Decision::Send(text)), None) =
        (&item.decision, &item.problem)
    else {
        return Ok(false);
    };
    let is_list = Nature::of(&item.entry.key, "") == Nature::Ports;
    match put(&file, text.expose(), is_list) {
        Ok(()) => {
            item.is_lowered |= matches!(item.decision, Some(Decision::Write { lowers: true, .. }));
            if let Ok(reading) = node.kernel.read(&item.entry.key, facts) {
                item.now = Some(reading);
            }
            Ok(true)
        }
        Err(cause) => {
            let trouble = Trouble {
                step: Step::Write,
                cause,
                facts: Some(facts),
            };
            let mut problem = node.explain(item, trouble, rules);
            if let Cause::Short { taken, .. } = cause {
                let part = normal(text.expose().get(..taken).unwrap_or_default());
                let part = shown(&item.entry.key, &part);
                problem.reason = format!("rejected: the kernel took only {part}");
            }
            let aftermath = put_back(&node.kernel, item, facts, is_list);
            Err(Problem {
                detail: format!("{}{aftermath}", problem.detail),
                ..problem
            })
        }
    }
}

/// A refused value may have been stored in part: puts back what was there, and says what is there now.
fn put_back(kernel: &Kernel, item: &Item, facts: Facts, is_list: bool) -> String {
    let key = &item.entry.key;
    let Some(Reading::Value(before)) = &item.now else {
        return String::new();
    };
    let read = || match kernel.read(key, facts) {
        Ok(Reading::Value(bytes)) => Some(normal(bytes.expose())),
        Ok(Reading::WriteOnly | Reading::Unset) | Err(_) => None,
    };
    let old = normal(before.expose());
    let old_shown = item
        .now
        .as_ref()
        .and_then(|now| displayed(key, now))
        .unwrap_or_default();
    if read().as_ref() == Some(&old) {
        return format!(", {old_shown} is unchanged");
    }
    let text = match Nature::of(key, &old) {
        Nature::Choice => in_force(Nature::Choice, &old).as_bytes(),
        Nature::Text | Nature::Ports | Nature::Words | Nature::Address | Nature::Plain => before
            .expose()
            .strip_suffix(b"\n")
            .unwrap_or(before.expose()),
    };
    let restored: Result<(), Cause> = kernel
        .open_for_writing(key, facts)
        .map_err(|trouble| trouble.cause)
        .and_then(|file| put(&file, text, is_list));
    match read() {
        Some(now) if restored.is_ok() && now == old => format!(", {old_shown} is restored"),
        Some(now) => format!(", now {}, could not be restored", shown(key, &now)),
        None => ", now unreadable, could not be restored".to_string(),
    }
}
