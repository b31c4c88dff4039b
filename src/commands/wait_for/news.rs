//! What is logged while targets are waited for: changes, and a summary now and then.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::verdict::{Cause, Goal, Standing};
use super::watch::State;
use crate::base::text::counted;

/// A cause that comes back within this is no news: a target may change between two of them.
const MEMORY: Duration = Duration::from_secs(10);

/// So many targets are named in a summary; the others are counted.
const NAMED: usize = 8;

/// What has been said, so that it is not said for every attempt.
#[derive(Debug, Default)]
pub(super) struct News(RefCell<HashMap<usize, Vec<(String, Instant)>>>);

impl News {
    /// Logs a cause unless it has been logged of late. From the second cause on, what is still going on
    /// is the summary's matter.
    pub(super) fn tell(&self, target: usize, shown: &str, cause: &Cause) {
        let mut all = self.0.borrow_mut();
        let said = all.entry(target).or_default();
        let is_last = said.last().is_some_and(|(text, _)| text == cause.key());
        if is_last {
            return;
        }
        let known = said.iter().position(|(text, _)| text == cause.key());
        let when = known.map(|at| said.remove(at).1);
        let is_recent = when.is_some_and(|when| when.elapsed() < MEMORY);
        let now = Instant::now();
        said.retain(|(_, when)| now.duration_since(*when) < MEMORY);
        let spoken = if is_recent { when.unwrap_or(now) } else { now };
        said.push((cause.key().to_string(), spoken));
        if !is_recent {
            info!("waiting: {shown}: {}", cause.text);
        }
    }
}

/// Says that a target has been decided.
pub(super) fn settled(state: &State, goal: Goal) {
    let State {
        shown,
        attempts,
        elapsed,
        ..
    } = state;
    let attempts = counted(*attempts, "attempt");
    let seconds = elapsed.as_secs_f64();
    match (state.standing, goal) {
        (Standing::Met, Goal::Ready) => info!("ready: {shown} after {seconds:.1} s, {attempts}"),
        (Standing::Met, Goal::Gone) => info!("gone: {shown} after {seconds:.1} s, {attempts}"),
        (Standing::Failed, _) => {
            let cause = state.cause.as_ref().map_or("", |cause| cause.text.as_str());
            warn!("failed: {shown}: {cause}");
        }
        (Standing::Waiting, _) => {}
    }
}

/// One line about all that are not decided.
pub(super) fn summary(states: &[State]) -> String {
    let waiting: Vec<&State> = states
        .iter()
        .filter(|state| state.standing == Standing::Waiting)
        .collect();
    let parts: Vec<String> = waiting
        .iter()
        .take(NAMED)
        .map(|state| {
            let cause = state
                .cause
                .as_ref()
                .map_or("no answer yet", |cause| cause.text.as_str());
            format!("{}: {cause}", state.shown)
        })
        .collect();
    let rest = match waiting.len().saturating_sub(NAMED) {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    format!(
        "waiting for {} of {}: {}{rest}",
        waiting.len(),
        counted(states.len(), "target"),
        parts.join("; ")
    )
}
