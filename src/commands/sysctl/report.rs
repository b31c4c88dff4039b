//! What became of each setting, in text and JSON, and how the run ended. Pure.

use serde::Serialize;

use super::plan::{Decision, asked, displayed};
use super::scope::Scope;
use super::survey::{Item, as_bound, is_higher};
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;
use crate::commands::Output;

/// Whether values were written, would be, or were only compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tense {
    Done,
    Planned,
    Compared,
}

/// What became of one setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Already,
    Kept,
    Set,
    Sent,
    WouldSet,
    WouldSend,
    Unmet,
    Skipped,
    Failed,
}

impl Action {
    fn of(item: &Item, tense: Tense) -> Self {
        if item.problem.is_some() {
            return if item.entry.optional {
                Self::Skipped
            } else {
                Self::Failed
            };
        }
        match (&item.decision, tense) {
            (Some(Decision::Send(_)), Tense::Done) => Self::Sent,
            (Some(Decision::Send(_)), Tense::Planned) => Self::WouldSend,
            (Some(Decision::Write { .. }), Tense::Planned) => Self::WouldSet,
            (Some(Decision::Write { .. } | Decision::Send(_)), Tense::Compared) => Self::Unmet,
            (Some(Decision::Write { .. }), Tense::Done) => Self::Set,
            (Some(_), Tense::Done) if item.is_written => Self::Set,
            (Some(Decision::Kept), _) => Self::Kept,
            (Some(Decision::Already), _) => Self::Already,
            (Some(Decision::Refused { .. }) | None, _) => Self::Failed,
        }
    }

    /// The word in the summary.
    const fn counted(self) -> &'static str {
        match self {
            Self::Already => "already right",
            Self::Kept => "kept",
            Self::Set => "set",
            Self::Sent => "sent",
            Self::WouldSet => "would be set",
            Self::WouldSend => "would be sent",
            Self::Unmet => "unmet",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// The order of the summary.
const COUNTED: [Action; 9] = [
    Action::Set,
    Action::Sent,
    Action::WouldSet,
    Action::WouldSend,
    Action::Already,
    Action::Kept,
    Action::Unmet,
    Action::Skipped,
    Action::Failed,
];

#[derive(Debug, Serialize)]
struct Document {
    changed: bool,
    settings: Vec<Record>,
}

#[derive(Debug, Serialize)]
struct Record {
    key: String,
    path: String,
    wanted: String,
    before: Option<String>,
    after: Option<String>,
    action: Action,
    scope: Scope,
    safe: bool,
    optional: bool,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRecord>,
}

#[derive(Debug, Serialize)]
struct ErrorRecord {
    kind: &'static str,
    code: u8,
    message: String,
    hint: Option<String>,
}

/// The result for stdout.
///
/// # Errors
/// `Bug`: a document of strings can always be written.
pub(super) fn render(items: &[Item], tense: Tense, output: Output) -> Result<Vec<u8>, Failure> {
    match output {
        Output::Text => Ok(items
            .iter()
            .map(|item| line(item, tense) + "\n")
            .collect::<String>()
            .into_bytes()),
        Output::Json => {
            let document = Document {
                changed: items.iter().any(|item| item.is_written),
                settings: items.iter().map(|item| record(item, tense)).collect(),
            };
            json(&document)
        }
    }
}

/// One JSON document and a line feed.
///
/// # Errors
/// `Bug`: what podinit shows can always be written.
pub(super) fn json(document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec(document).map_err(|error| {
        Failure::caused_by(Kind::Bug, error).context("write the result as JSON")
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn line(item: &Item, tense: Tense) -> String {
    let key = &item.entry.key;
    let scope = item.scope.words();
    let asked = asked(key, &item.entry.wanted);
    let value = asked.trim_start_matches("= ");
    let before = item
        .before
        .as_ref()
        .and_then(|reading| displayed(key, reading));
    let before = before.unwrap_or_else(|| "unset".to_string());
    let present = item.present().unwrap_or_else(|| "unset".to_string());
    match (Action::of(item, tense), &item.problem) {
        (Action::Already, _) => format!("{key}: already {present} ({scope})"),
        (Action::Kept, _) => format!("{key}: kept {present}, asked {asked} ({scope})"),
        (Action::Set, _) => format!("{key}: {before} -> {present} ({scope})"),
        (Action::Sent, _) => format!("{key}: sent {value} ({scope})"),
        (Action::WouldSet, _) => format!("{key}: would go {present} -> {} ({scope})", goal(item)),
        (Action::WouldSend, _) => format!("{key}: would send {value} ({scope})"),
        (Action::Unmet, _) => format!("{key}: is {present}, asked {asked} ({scope})"),
        (Action::Skipped, Some(problem)) => {
            format!("{key}: skipped, {}", one_line(&problem.reason))
        }
        (Action::Failed, Some(problem)) => {
            let failure = problem.failure();
            let hint = failure
                .mend()
                .map(|mend| format!(". hint: {mend}"))
                .unwrap_or_default();
            one_line(&format!(
                "{key}: failed ({}): {failure}{hint}",
                failure.kind().exit_code()
            ))
        }
        (Action::Skipped | Action::Failed, None) => format!("{key}: failed"),
    }
}

/// The value that a write would bring.
fn goal(item: &Item) -> String {
    match &item.decision {
        Some(Decision::Write { text, .. } | Decision::Send(text)) => {
            super::setting::shown(&item.entry.key, &super::value::normal(text.expose()))
        }
        Some(Decision::Already | Decision::Kept | Decision::Refused { .. }) | None => {
            item.present().unwrap_or_default()
        }
    }
}

fn record(item: &Item, tense: Tense) -> Record {
    let key = &item.entry.key;
    Record {
        key: key.to_string(),
        path: item.path.clone(),
        wanted: asked(key, &item.entry.wanted),
        before: item
            .before
            .as_ref()
            .and_then(|reading| displayed(key, reading)),
        after: item.present(),
        action: Action::of(item, tense),
        scope: item.scope,
        safe: item.is_safe,
        optional: item.entry.optional,
        source: item.entry.source.to_string(),
        error: item.problem.as_ref().map(|problem| {
            let failure = problem.failure();
            ErrorRecord {
                kind: failure.kind().name(),
                code: failure.kind().exit_code(),
                message: failure.to_string(),
                hint: failure.mend().map(str::to_string),
            }
        }),
    }
}

/// `2 set, 1 kept, 1 skipped, 0.004 s`
pub(super) fn summary(items: &[Item], tense: Tense, seconds: f64) -> String {
    let actions: Vec<Action> = items.iter().map(|item| Action::of(item, tense)).collect();
    let mut parts: Vec<String> = COUNTED
        .into_iter()
        .map(|action| {
            (
                actions.iter().filter(|other| **other == action).count(),
                action,
            )
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, action)| format!("{count} {}", action.counted()))
        .collect();
    if parts.is_empty() {
        parts.push("no settings".to_string());
    }
    format!("{}, {seconds:.3} s", parts.join(", "))
}

/// The failure of the run: that of the first setting which may not be skipped; a real one outranks a
/// state that is merely not as wanted. `unmet` is the kind of the latter.
pub(super) fn verdict(items: &[Item], tense: Tense, unmet: Kind) -> Result<(), Failure> {
    let mut failures = Vec::new();
    for item in items.iter().filter(|item| !item.entry.optional) {
        match (&item.problem, Action::of(item, tense)) {
            (Some(problem), _) => failures.push((problem.failure(), problem.kind == unmet)),
            (None, Action::Unmet) => failures.push((unmet_failure(item, unmet), true)),
            (None, _) => {}
        }
    }
    let more = failures.len().saturating_sub(1);
    let first = failures
        .iter()
        .position(|(_, is_unmet)| !is_unmet)
        .unwrap_or(0);
    if failures.is_empty() {
        return Ok(());
    }
    let (failure, _) = failures.swap_remove(first);
    Err(if more > 0 {
        failure.append(&format!(" (+{more} more failed)"))
    } else {
        failure
    })
}

fn unmet_failure(item: &Item, kind: Kind) -> Failure {
    let key = &item.entry.key;
    let asked = asked(key, &item.entry.wanted);
    let present = item.present().unwrap_or_else(|| "unset".to_string());
    let failure = Failure::new(kind, format!("{key} is {present}, asked {asked}"));
    let is_higher = item
        .now
        .as_ref()
        .is_some_and(|now| is_higher(key, &item.entry.wanted, now));
    if is_higher {
        failure.hint(format!(
            "a higher value is enough for most: write {}",
            as_bound(key, &item.entry.wanted)
        ))
    } else {
        failure.hint("run podinit sysctl without --check or --wait where it may write, or configure the node")
    }
}
