//! `--list`: names and values, fit to be read back with `--load -`.

use serde::Serialize;

use super::key::{Key, Subject};
use super::proc::{Kernel, Reading};
use super::report::json;
use super::scope::{Scope, is_hidden, is_never_listed};
use super::survey::Node;
use super::value::normal;
use crate::base::failure::{Failure, Kind};
use crate::base::text::{counted, nearest, one_line};
use crate::commands::Output;

#[derive(Debug, Serialize)]
struct Document {
    keys: Vec<Record>,
}

#[derive(Debug, Serialize)]
struct Record {
    key: String,
    path: String,
    /// Absent if the key is write-only, unreadable, hidden, or has an effect when read.
    value: Option<String>,
    /// Octal permission bits.
    mode: String,
    scope: Scope,
}

/// The listing, and its summary.
///
/// # Errors
/// `Usage` for a pattern that cannot be one, `Missing` if it matches nothing.
pub(super) fn list(
    node: &Node,
    pattern: &str,
    output: Output,
) -> Result<(Vec<u8>, String), Failure> {
    let keys = Kernel::keys();
    let chosen: Vec<&Key> = if pattern.is_empty() {
        keys.iter().collect()
    } else {
        matching(&keys, pattern)?
    };
    let records: Vec<Record> = chosen
        .into_iter()
        .filter_map(|key| record(node, key))
        .collect();
    let summary = format!("{} listed", counted(records.len(), "key"));
    let bytes = match output {
        Output::Json => json(&Document { keys: records })?,
        Output::Text => records
            .iter()
            .filter_map(|record| {
                Some(format!(
                    "{} = {}\n",
                    record.key,
                    one_line(record.value.as_ref()?)
                ))
            })
            .collect::<String>()
            .into_bytes(),
    };
    Ok((bytes, summary))
}

/// The keys that a glob covers; else the key of that name, or all keys below it.
fn matching<'a>(keys: &'a [Key], pattern: &str) -> Result<Vec<&'a Key>, Failure> {
    let subject = Subject::parse(pattern.trim()).map_err(|bad| {
        Failure::new(Kind::Usage, bad.reason)
            .hint(bad.hint)
            .context("--list")
    })?;
    let chosen: Vec<&Key> = keys
        .iter()
        .filter(|key| match &subject {
            Subject::One(group) => key.is_below(group),
            Subject::Glob(..) => subject.covers(key),
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let hint = match nearest(pattern, names.iter().map(String::as_str), 3) {
            Some(name) => format!("did you mean {name}"),
            None => "--list alone shows all keys; quote a pattern with * or ?".to_string(),
        };
        let reason = format!("no key matches `{}`", one_line(pattern));
        return Err(Failure::new(Kind::Missing, reason)
            .context("list keys")
            .hint(hint));
    }
    Ok(chosen)
}

/// Nothing if the key has gone since the walk.
fn record(node: &Node, key: &Key) -> Option<Record> {
    let facts = node.kernel.look(key).ok()?;
    let is_shown = !is_hidden(key) && !is_never_listed(key);
    let value = is_shown
        .then(|| node.kernel.read(key, facts).ok())
        .flatten();
    Some(Record {
        key: key.to_string(),
        path: node.kernel.path(key),
        value: match value {
            Some(Reading::Value(bytes)) => Some(normal(bytes.expose())),
            Some(Reading::WriteOnly | Reading::Unset) | None => None,
        },
        mode: format!("{:04o}", facts.mode),
        scope: Scope::of(key, &node.surroundings),
    })
}
