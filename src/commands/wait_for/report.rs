//! The result: what `main` prints and leaves in the termination log.

use std::time::Duration;

use serde_json::{Value, json};

use super::request::Request;
use super::verdict::{Goal, Standing};
use super::watch::{Ended, How, State};
use crate::base::deadline::{self, Deadline};
use crate::base::failure::{Failure, Kind};
use crate::base::text::counted;
use crate::commands::{Outcome, Output};

/// The result line names it, so that nobody forgets it.
const UNCHECKED: &str = "; certificates were not checked (--insecure-skip-verify)";

/// What the run has come to.
pub(super) fn outcome(
    ended: Ended,
    request: &Request,
    output: Output,
    deadline: &Deadline,
) -> Outcome {
    let elapsed = deadline.elapsed();
    let unchecked = if request.is_unchecked { UNCHECKED } else { "" };
    let is_met = matches!(ended.how, How::Met);
    let stdout = match output {
        Output::Text => Vec::new(),
        Output::Json => document(&ended.states, is_met, elapsed),
    };
    let ending = match ended.how {
        How::Met => Ok(success(&ended.states, request.goal, elapsed) + unchecked),
        How::Failed(failure) => Err(failed(&ended.states, failure, unchecked)),
        How::Cut => Err(cut(&ended.states, request, deadline).append(unchecked)),
    };
    Outcome { stdout, ending }
}

fn success(states: &[State], goal: Goal, elapsed: Duration) -> String {
    let word = match goal {
        Goal::Ready => "ready",
        Goal::Gone => "gone",
    };
    let met: Vec<&State> = states
        .iter()
        .filter(|state| state.standing == Standing::Met)
        .collect();
    let seconds = elapsed.as_secs_f64();
    match met.as_slice() {
        [one] => format!("{} is {word}, {seconds:.2} s", one.shown),
        all => format!("{} {word}, {seconds:.2} s", counted(all.len(), "target")),
    }
}

fn failed(states: &[State], failure: Failure, unchecked: &str) -> Failure {
    let shown = states
        .iter()
        .find(|state| {
            let cause = state.cause.as_ref().map(|cause| cause.text.as_str());
            state.standing == Standing::Failed && cause == Some(failure.to_string().as_str())
        })
        .map_or_else(String::new, |state| state.shown.clone());
    let has_hint = failure.mend().is_some();
    let failure = failure.context(shown);
    let failure = match unchecked {
        "" => failure,
        words => failure.append(words),
    };
    if has_hint {
        failure
    } else {
        failure.hint("look into the log of that server")
    }
}

/// Names every target that is not as wanted, with its last cause.
fn cut(states: &[State], request: &Request, deadline: &Deadline) -> Failure {
    let word = match request.goal {
        Goal::Ready => "ready",
        Goal::Gone => "gone",
    };
    let open: Vec<&State> = states
        .iter()
        .filter(|state| state.standing != Standing::Met)
        .collect();
    let lines: Vec<String> = open
        .iter()
        .map(|state| {
            let cause = state
                .cause
                .as_ref()
                .map_or("no answer yet", |cause| cause.text.as_str());
            format!("{}: {cause}", state.shown)
        })
        .collect();
    let hint = open
        .iter()
        .find_map(|state| state.cause.as_ref()?.hint.clone())
        .unwrap_or_else(|| "look at that server, or give it more time with --timeout".to_string());
    Failure::new(
        Kind::Unavailable,
        format!(
            "{} of {} targets not {word} after {}: {}",
            open.len(),
            states.len(),
            told(deadline),
            lines.join("; ")
        ),
    )
    .details(lines)
    .hint(hint)
}

/// The limit as it may have been written, or how long it has been.
fn told(deadline: &Deadline) -> String {
    match (deadline.ended(), deadline.limit()) {
        (Some(deadline::Ended::Late), Some(limit)) => humantime::format_duration(limit)
            .to_string()
            .replace(' ', ""),
        _ => format!("{:.1} s", deadline.elapsed().as_secs_f64()),
    }
}

fn document(states: &[State], is_met: bool, elapsed: Duration) -> Vec<u8> {
    let targets: Vec<Value> = states
        .iter()
        .map(|state| {
            let elapsed = match state.standing {
                Standing::Waiting => elapsed,
                Standing::Met | Standing::Failed => state.elapsed,
            };
            json!({
                "target": state.shown,
                "ready": state.standing == Standing::Met,
                "attempts": state.attempts,
                "elapsed_ms": millis(elapsed),
                "cause": state.cause.as_ref().map(|cause| cause.text.clone()),
            })
        })
        .collect();
    let document = json!({
        "ready": is_met,
        "elapsed_ms": millis(elapsed),
        "targets": targets,
    });
    format!("{document}\n").into_bytes()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What would be waited for.
pub(super) fn plan(request: &Request, output: Output, deadline: &Deadline) -> Outcome {
    let goal = match request.goal {
        Goal::Ready => "ready",
        Goal::Gone => "gone",
    };
    let limit = match deadline.limit() {
        Some(limit) => humantime::format_duration(limit)
            .to_string()
            .replace(' ', ""),
        None => "no limit".to_string(),
    };
    let attempt = humantime::format_duration(request.attempt_timeout)
        .to_string()
        .replace(' ', "");
    let stdout = match output {
        Output::Text => {
            let line = |watched: &super::request::Watched| {
                let what = match request.goal {
                    Goal::Ready => format!("ready when {}", watched.probe.proves()),
                    Goal::Gone => "gone when it is proven absent".to_string(),
                };
                format!(
                    "{}: {what}; each attempt {attempt}, in all {limit}\n",
                    watched.shown
                )
            };
            request
                .watched
                .iter()
                .map(line)
                .collect::<String>()
                .into_bytes()
        }
        Output::Json => {
            let targets: Vec<Value> = request
                .watched
                .iter()
                .map(|watched| json!({"target": watched.shown, "proves": watched.probe.proves()}))
                .collect();
            let document = json!({
                "goal": goal,
                "any": request.is_any_enough,
                "timeout_ms": deadline.limit().map(millis),
                "attempt_timeout_ms": millis(request.attempt_timeout),
                "targets": targets,
            });
            format!("{document}\n").into_bytes()
        }
    };
    Outcome {
        stdout,
        ending: Ok(format!(
            "would wait until {} {goal}",
            match (request.watched.len(), request.is_any_enough) {
                (1, _) => format!("{} is", request.watched[0].shown),
                (_, true) => "any target is".to_string(),
                (count, false) => format!("{count} targets are"),
            }
        )),
    }
}
