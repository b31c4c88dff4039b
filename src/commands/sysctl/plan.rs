//! What to do about one key, decided from what is asked and what was read. Pure.

use super::key::Key;
use super::merge::Wanted;
use super::proc::Reading;
use super::scope::is_always_written;
use super::setting::shown;
use super::value::{
    self, Comparison, Nature, choices, compare, in_force, integers, normal, offers,
};
use crate::base::secret::Secret;
use crate::base::text::counted;

/// What holds for all settings of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// `--never-lower`
    pub(super) never_lower: bool,
    /// Only compare: what is always written counts as satisfied or not like anything else.
    pub(super) compare_only: bool,
}

/// What to do.
#[derive(Debug, Clone)]
pub(super) enum Decision {
    /// The value is exactly what is asked.
    Already,
    /// Another value meets the bound, or `--never-lower` protects it.
    Kept,
    /// Write this text; `lowers` if a node-wide number goes down by an `=`.
    Write { text: Secret, lowers: bool },
    /// Write this text to a key that cannot be compared.
    Send(Secret),
    /// Nothing can be written; why, and the mend.
    Refused { reason: String, hint: String },
}

/// Decides about a key with the present `reading`.
pub(super) fn decide(
    key: &Key,
    wanted: &Wanted,
    reading: &Reading,
    is_node_wide: bool,
    rules: Rules,
) -> Decision {
    match wanted {
        Wanted::Exactly(text) => exactly(key, text, reading, is_node_wide, rules),
        Wanted::Between { lower, upper } => {
            between(key, lower.as_deref(), upper.as_deref(), reading)
        }
    }
}

fn exactly(
    key: &Key,
    text: &Secret,
    reading: &Reading,
    is_node_wide: bool,
    rules: Rules,
) -> Decision {
    let write = Decision::Write {
        text: text.clone(),
        lowers: false,
    };
    let present = match reading {
        Reading::WriteOnly if rules.compare_only => {
            return Decision::Refused {
                reason: "write-only: its value cannot be checked".to_string(),
                hint: "leave it out of --check and --wait".to_string(),
            };
        }
        Reading::WriteOnly => return Decision::Send(text.clone()),
        Reading::Unset => return write,
        Reading::Value(_) if is_always_written(key) && !rules.compare_only => {
            return Decision::Send(text.clone());
        }
        Reading::Value(bytes) => normal(bytes.expose()),
    };
    let wanted = normal(text.expose());
    let nature = Nature::of(key, &present);
    match compare(nature, &wanted, &present) {
        Comparison::Same => Decision::Already,
        Comparison::FieldCount { takes, given } => Decision::Refused {
            reason: format!("takes {}, {given} given", counted(takes, "number")),
            hint: format!("the present value is {}", shown(key, &present)),
        },
        Comparison::Different if nature == Nature::Choice && !offers(&present, &wanted) => {
            Decision::Refused {
                reason: format!(
                    "{} is none of its choices, {} is unchanged",
                    shown(key, &wanted),
                    in_force(nature, &present)
                ),
                hint: format!("one of {}", choices(&present)),
            }
        }
        Comparison::Different => {
            let (Some(goal), Some(now)) = (integers(&wanted), integers(&present)) else {
                return write;
            };
            let is_number = nature == Nature::Plain && goal.len() == now.len();
            let lowers =
                is_node_wide && is_number && goal.iter().zip(&now).any(|(goal, now)| goal < now);
            if !(lowers && rules.never_lower) {
                return Decision::Write {
                    text: text.clone(),
                    lowers,
                };
            }
            let kept: Vec<i128> = goal
                .iter()
                .zip(&now)
                .map(|(goal, now)| *goal.max(now))
                .collect();
            if kept == now {
                Decision::Kept
            } else {
                Decision::Write {
                    text: vector(&kept),
                    lowers: false,
                }
            }
        }
    }
}

fn between(key: &Key, lower: Option<&[u64]>, upper: Option<&[u64]>, reading: &Reading) -> Decision {
    let refused = |reason: String| {
        let fields: Vec<String> = lower
            .or(upper)
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect();
        Decision::Refused {
            reason,
            hint: format!(
                "a bound needs numbers to compare with; write {key}={}",
                fields.join(" ")
            ),
        }
    };
    let present = match reading {
        Reading::WriteOnly => return refused("write-only, so no bound can be kept".to_string()),
        Reading::Unset => return refused("unset, so no bound can be kept".to_string()),
        Reading::Value(bytes) => normal(bytes.expose()),
    };
    let now = match (Nature::of(key, &present), integers(&present)) {
        (Nature::Plain, Some(now)) if !now.is_empty() => now,
        _ if present.is_empty() => return refused("empty, so no bound can be kept".to_string()),
        _ => return refused(format!("{} is not a number", shown(key, &present))),
    };
    if now.iter().any(|field| *field < 0) {
        return refused(format!("{present} is negative, which often means no limit"));
    }
    let given = lower.or(upper).unwrap_or_default().len();
    if given != now.len() {
        return Decision::Refused {
            reason: format!("takes {}, {given} given", counted(now.len(), "number")),
            hint: format!("say one bound for each field; the present value is {present}"),
        };
    }
    let field = |bounds: Option<&[u64]>, at: usize| {
        bounds
            .and_then(|bounds| bounds.get(at))
            .map(|bound| i128::from(*bound))
    };
    let goal: Vec<i128> = now
        .iter()
        .enumerate()
        .map(|(at, now)| {
            let raised = field(lower, at).map_or(*now, |lower| lower.max(*now));
            field(upper, at).map_or(raised, |upper| upper.min(raised))
        })
        .collect();
    if goal != now {
        return Decision::Write {
            text: vector(&goal),
            lowers: false,
        };
    }
    let is = |bounds: Option<&[u64]>| {
        bounds.is_some_and(|bounds| {
            bounds
                .iter()
                .map(|bound| i128::from(*bound))
                .eq(now.iter().copied())
        })
    };
    if is(lower) || is(upper) {
        Decision::Already
    } else {
        Decision::Kept
    }
}

fn vector(numbers: &[i128]) -> Secret {
    let fields: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Secret::new(fields.join(" "))
}

/// What is asked, with its operator: `= 7`, `>= 1024, <= 2048`.
pub(super) fn asked(key: &Key, wanted: &Wanted) -> String {
    let numbers = |bound: &[u64]| {
        bound
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    };
    match wanted {
        Wanted::Exactly(text) => format!("= {}", shown(key, &normal(text.expose()))),
        Wanted::Between { lower, upper } => [(">=", lower), ("<=", upper)]
            .into_iter()
            .filter_map(|(sign, bound)| {
                bound
                    .as_deref()
                    .map(|bound| format!("{sign} {}", numbers(bound)))
            })
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// A reading as it is shown: of a choice, the word in force.
pub(super) fn displayed(key: &Key, reading: &Reading) -> Option<String> {
    match reading {
        Reading::Value(bytes) => {
            let present = normal(bytes.expose());
            Some(shown(key, in_force(Nature::of(key, &present), &present)))
        }
        Reading::WriteOnly | Reading::Unset => None,
    }
}

/// Hints about a value that the kernel rejected.
pub(super) fn rejected_hint(key: &Key, wanted: &Wanted, reading: &Reading) -> String {
    let present = match reading {
        Reading::Value(bytes) => normal(bytes.expose()),
        Reading::WriteOnly | Reading::Unset => String::new(),
    };
    let text = match wanted {
        Wanted::Exactly(text) => String::from_utf8_lossy(text.expose()).into_owned(),
        Wanted::Between { .. } => String::new(),
    };
    let is_quoted = text.len() > 1
        && ['"', '\'']
            .iter()
            .any(|quote| text.starts_with(*quote) && text.ends_with(*quote));
    if is_quoted {
        "remove the quotes: they reached the kernel as part of the value".to_string()
    } else {
        match integers(&present) {
            Some(fields) if !fields.is_empty() => format!(
                "the kernel expects {} in its range, like the present {}",
                counted(fields.len(), "number"),
                shown(key, &present)
            ),
            Some(_) | None => {
                "the kernel's documentation of this key names the values it takes".to_string()
            }
        }
    }
}

/// Whether a wanted value holds a number that the kernel reads as octal.
pub(super) fn is_octal(key: &Key, wanted: &Wanted, reading: &Reading) -> bool {
    let (Wanted::Exactly(text), Reading::Value(bytes)) = (wanted, reading) else {
        return false;
    };
    let (wanted, present) = (normal(text.expose()), normal(bytes.expose()));
    Nature::of(key, &present) == Nature::Plain
        && integers(&wanted).is_some()
        && integers(&present).is_some()
        && value::has_octal(&wanted)
}

#[cfg(test)]
mod tests;
