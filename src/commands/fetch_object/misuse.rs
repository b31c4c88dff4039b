//! Flags that nothing would obey, and pins that cannot hold. Pure.

use super::args::Flags;
use super::request::{Choice, Entry, What, usage};
use super::source::SCHEMES;
use crate::base::failure::Failure;

/// Refuses flags that nothing would obey.
///
/// # Errors
/// `Usage`.
pub(super) fn check(flags: &Flags, typed: &[String], entries: &[Entry]) -> Result<(), Failure> {
    for entry in entries {
        check_pins(entry).map_err(|failure| match entry.number {
            Some(number) => failure.context(format!("entry {number}")),
            None => failure,
        })?;
    }
    if flags.sha256.is_some() && flags.sha256_file.is_some() {
        return Err(usage(
            "--sha256 and --sha256-file exclude each other",
            "give one of them",
        ));
    }
    check_schemes(typed, entries)?;
    let has = |is_wanted: &dyn Fn(What) -> bool| entries.iter().any(|entry| is_wanted(entry.what));
    let has_prefix = has(&|what| what == What::Prefix);
    for (is_given, flag) in [
        (!flags.include.is_empty(), "--include"),
        (!flags.exclude.is_empty(), "--exclude"),
        (flags.delete, "--delete"),
        (flags.skip_unsafe, "--skip-unsafe"),
    ] {
        if is_given && !has_prefix {
            return Err(usage(
                format!("{flag} is for a prefix"),
                "a prefix is an s3, gs or az SOURCE that ends in /",
            ));
        }
    }
    let has_archive = has(&|what| matches!(what, What::Archive(_)));
    for (is_given, flag) in [
        (flags.strip_components.is_some(), "--strip-components"),
        (flags.max_unpacked.is_some(), "--max-unpacked"),
    ] {
        if is_given && !has_archive {
            return Err(usage(
                format!("{flag} is for what is unpacked"),
                "add --unpack",
            ));
        }
    }
    let fills_folder = has(&|what| match what {
        What::Object => false,
        What::Prefix | What::Archive(Choice::Auto) => true,
        What::Archive(Choice::Format(format)) => format.is_tree(),
    });
    if flags.atomic && !fills_folder {
        return Err(usage(
            "--atomic is for a directory",
            "leave it out: one file always appears in one step",
        ));
    }
    Ok(())
}

fn check_pins(entry: &Entry) -> Result<(), Failure> {
    let pinned = [
        (entry.sha256.is_some(), "sha256"),
        (entry.etag.is_some(), "etag"),
    ];
    for (is_given, pin) in pinned {
        if is_given && entry.what == What::Prefix {
            return Err(usage(
                format!("{pin} has no meaning for the prefix {}", entry.location),
                "pin the objects one by one in a --list, or give --sha256-file",
            ));
        }
    }
    if entry.etag.is_some() && entry.location.scheme() == "gs" {
        return Err(usage(
            "an etag says nothing of an object of gs",
            "pin the generation: gs://BUCKET/OBJECT#GENERATION",
        ));
    }
    Ok(())
}

/// Refuses typed flags that belong to schemes which no SOURCE has.
fn check_schemes(typed: &[String], entries: &[Entry]) -> Result<(), Failure> {
    for id in typed {
        let flag = id.replace('_', "-");
        let owners: Vec<&str> = SCHEMES
            .iter()
            .filter(|scheme| scheme.flags.contains(&flag.as_str()))
            .map(|scheme| scheme.name)
            .collect();
        let is_used = entries
            .iter()
            .any(|entry| owners.contains(&entry.location.scheme()));
        if !owners.is_empty() && !is_used {
            return Err(usage(
                format!("--{flag} has no meaning for this SOURCE"),
                format!("it is for {}", owners.join(", ")),
            ));
        }
    }
    Ok(())
}
