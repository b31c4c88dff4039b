//! The text of `--list`: YAML, which JSON is too. Pure; `request` reads the file.
//!
//! It may hold signed URLs, so no failure repeats any of it but the names of keys.

use serde_json::{Map, Value};

use super::args;
use super::digest::Sha256;
use super::location::{Location, Store, is_generation};
use super::request::Choice;
use crate::base::argument::BadArgument;
use crate::base::failure::{Failure, Kind};
use crate::base::text::{cut, nearest, one_line};

/// The keys of an entry, as `schemas/fetch-object-list.json` has them.
pub(super) const KEYS: [&str; 8] = [
    "source",
    "dest",
    "sha256",
    "etag",
    "version",
    "generation",
    "mode",
    "unpack",
];

/// A longer list is a mistake; entries.
const MAX_ENTRIES: usize = 100_000;

/// One entry.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) location: Location,
    pub(super) dest: String,
    pub(super) sha256: Option<Sha256>,
    pub(super) etag: Option<String>,
    pub(super) mode: Option<u32>,
    pub(super) unpack: Option<Choice>,
}

/// Reads the list.
///
/// # Errors
/// `Usage`, with the number of the entry.
pub(super) fn parse(text: &str) -> Result<Vec<Item>, Failure> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        // Whatever looks like a number has to be seen as one, so that it can be refused.
        legacy_octal_numbers: true,
        leading_zero_numbers_as_strings: false,
        underscored_numbers_as_strings: false,
    };
    let document: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(String::new, |place| {
            format!(" at line {}, column {}", place.line(), place.column())
        });
        Failure::new(Kind::Usage, format!("it is neither YAML nor JSON{place}")).hint(FORM)
    })?;
    let Value::Array(entries) = document else {
        return Err(Failure::new(Kind::Usage, "it is not a list").hint(FORM));
    };
    if entries.is_empty() || entries.len() > MAX_ENTRIES {
        return Err(Failure::new(
            Kind::Usage,
            format!("it has {} entries, not 1 to {MAX_ENTRIES}", entries.len()),
        )
        .hint(FORM));
    }
    entries
        .into_iter()
        .enumerate()
        .map(|(at, entry)| {
            item(entry).map_err(|refused| {
                Failure::new(Kind::Usage, refused.reason)
                    .context(format!("entry {}", at + 1))
                    .hint(refused.hint)
            })
        })
        .collect()
}

const FORM: &str =
    "a list of entries such as {source: \"s3://b/k\", dest: /data/k, mode: \"0440\"}";

fn item(entry: Value) -> Result<Item, BadArgument> {
    let Value::Object(mut fields) = entry else {
        return Err(args::bad("it is not a mapping of keys", FORM));
    };
    check_keys(&fields)?;
    let required = |fields: &mut Map<String, Value>, key: &str| {
        text(fields, key)?.ok_or_else(|| args::bad(format!("`{key}` is missing"), FORM))
    };
    let source = required(&mut fields, "source")?;
    let mut location: Location = source.parse()?;
    let dest = required(&mut fields, "dest")?;
    let version = text(&mut fields, "version")?;
    let generation = generation(&mut fields)?;
    pin(&mut location, version, generation)?;
    Ok(Item {
        location,
        dest,
        sha256: read(&mut fields, "sha256", args::sha256)?,
        etag: read(&mut fields, "etag", args::etag)?,
        mode: read(&mut fields, "mode", args::mode)?,
        unpack: unpack(&mut fields)?,
    })
}

fn check_keys(fields: &Map<String, Value>) -> Result<(), BadArgument> {
    let Some(unknown) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) else {
        return Ok(());
    };
    let shown = cut(&one_line(unknown), 40);
    Err(args::bad(
        format!("`{shown}` is no key of an entry"),
        match nearest(unknown, KEYS, 3) {
            Some(known) => format!("did you mean {known}"),
            None => format!("one of {}", KEYS.join(", ")),
        },
    ))
}

/// The text of a key; a number is none, since YAML has changed its digits already.
fn text(fields: &mut Map<String, Value>, key: &str) -> Result<Option<String>, BadArgument> {
    let what = match fields.remove(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text)),
        Some(Value::Number(_)) => "is a number to YAML",
        Some(Value::Bool(_)) => "is a truth value to YAML",
        Some(Value::Array(_) | Value::Object(_)) => "is not a text",
    };
    Err(args::bad(
        format!("`{key}` {what}"),
        format!("put quotes around it: {key}: \"…\""),
    ))
}

fn read<T>(
    fields: &mut Map<String, Value>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, BadArgument>,
) -> Result<Option<T>, BadArgument> {
    text(fields, key)?.map(|text| parse(&text)).transpose()
}

/// A generation is a number by nature.
fn generation(fields: &mut Map<String, Value>) -> Result<Option<String>, BadArgument> {
    if let Some(number) = fields.get("generation").and_then(Value::as_u64) {
        fields.remove("generation");
        return Ok(Some(number.to_string()));
    }
    let wrong = || args::bad("`generation` is not a number", "write its digits");
    match text(fields, "generation").map_err(|_| wrong())? {
        Some(text) if !is_generation(&text) => Err(wrong()),
        other => Ok(other),
    }
}

fn unpack(fields: &mut Map<String, Value>) -> Result<Option<Choice>, BadArgument> {
    match fields.get("unpack") {
        Some(Value::Bool(true)) => Ok(Some(Choice::Auto)),
        Some(Value::Bool(false)) => Ok(None),
        _ => read(fields, "unpack", args::unpack_format),
    }
}

fn pin(
    location: &mut Location,
    version: Option<String>,
    generation: Option<String>,
) -> Result<(), BadArgument> {
    let (pin, key) = match (version, generation) {
        (None, None) => return Ok(()),
        (Some(version), None) => (version, "version"),
        (None, Some(generation)) => (generation, "generation"),
        (Some(_), Some(_)) => {
            return Err(args::bad(
                "`version` and `generation` exclude each other",
                "version is for s3, generation for gs",
            ));
        }
    };
    let fits = match (&location.store, key) {
        (Store::S3 { .. }, "version") | (Store::Gcs { .. }, "generation") => true,
        (_, _) => false,
    };
    if !fits {
        return Err(args::bad(
            format!("`{key}` has no meaning for {}://", location.scheme()),
            "version is for s3, generation for gs",
        ));
    }
    if location.is_prefix() {
        return Err(args::bad(
            format!("`{key}` has no meaning for a prefix"),
            "it belongs to one object",
        ));
    }
    if location.version.is_some() || pin.is_empty() {
        return Err(args::bad(
            format!("`{key}` is empty, or stands in `source` too"),
            "write it once",
        ));
    }
    location.version = Some(pin);
    Ok(())
}

#[cfg(test)]
mod tests;
