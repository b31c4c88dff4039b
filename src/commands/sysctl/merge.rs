//! All that was said of one key, added up: a later `=` replaces, bounds get stricter.

use std::collections::{HashMap, HashSet};

use super::key::{Key, Subject};
use super::setting::{Ask, Setting, Source};
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;

/// What a key shall be.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    Exactly(Secret),
    /// At least one of the two is there; vectors are compared field by field.
    Between {
        lower: Option<Vec<u64>>,
        upper: Option<Vec<u64>>,
    },
}

/// One key and what it shall be.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) wanted: Wanted,
    pub(super) optional: bool,
    pub(super) source: Source,
    /// The pattern that brought no key at all; the entry stands for it.
    pub(super) is_empty_glob: bool,
}

/// Turns settings into one entry per key. `existing` are the keys that globs may mean.
///
/// # Errors
/// `Usage` when a lower bound is above an upper one, or two bounds differ in their number of fields.
pub(super) fn merge(
    settings: &[(Source, Setting)],
    exclusions: &[Subject],
    existing: &[Key],
) -> Result<Vec<Entry>, Failure> {
    let explicit: HashSet<&Key> = settings
        .iter()
        .filter_map(|(_, setting)| match &setting.subject {
            Subject::One(key) => Some(key),
            Subject::Glob(..) => None,
        })
        .collect();
    let mut entries = Entries::default();
    for (source, setting) in settings {
        match &setting.subject {
            Subject::One(key) => entries.add(key, setting, source)?,
            Subject::Glob(pattern, _) => {
                let mut covered = existing
                    .iter()
                    .filter(|key| setting.subject.covers(key))
                    .peekable();
                if covered.peek().is_none() {
                    entries.places.push(Some(Entry {
                        is_empty_glob: true,
                        ..entry(pattern, setting, source)
                    }));
                }
                for key in covered {
                    let is_excluded = exclusions.iter().any(|exclusion| exclusion.covers(key));
                    if !is_excluded && !explicit.contains(key) {
                        entries.add(key, setting, source)?;
                    }
                }
            }
        }
    }
    Ok(entries.places.into_iter().flatten().collect())
}

/// Whether any setting needs the list of existing keys.
pub(super) fn has_globs(settings: &[(Source, Setting)]) -> bool {
    settings
        .iter()
        .any(|(_, setting)| matches!(setting.subject, Subject::Glob(..)))
}

fn entry(key: &Key, setting: &Setting, source: &Source) -> Entry {
    Entry {
        key: key.clone(),
        wanted: match &setting.ask {
            Ask::Exactly(value) => Wanted::Exactly(value.clone()),
            Ask::AtLeast(numbers) => Wanted::Between {
                lower: Some(numbers.clone()),
                upper: None,
            },
            Ask::AtMost(numbers) => Wanted::Between {
                lower: None,
                upper: Some(numbers.clone()),
            },
        },
        optional: setting.optional,
        source: source.clone(),
        is_empty_glob: false,
    }
}

/// The entries in their order. A place is empty once a later `=` has replaced what stood there.
#[derive(Default)]
struct Entries {
    places: Vec<Option<Entry>>,
    by_key: HashMap<Key, usize>,
}

impl Entries {
    fn add(&mut self, key: &Key, setting: &Setting, source: &Source) -> Result<(), Failure> {
        let mut new = entry(key, setting, source);
        let old = self.by_key.get(key).and_then(|at| self.places.get_mut(*at));
        if let Some(place) = old {
            if let (
                Some(old),
                Wanted::Between {
                    lower: new_lower,
                    upper: new_upper,
                },
            ) = (&*place, &new.wanted)
                && let Wanted::Between { lower, upper } = &old.wanted
            {
                let lower = strictest(key, lower.as_ref(), new_lower.as_ref(), u64::max)?;
                let upper = strictest(key, upper.as_ref(), new_upper.as_ref(), u64::min)?;
                check(key, lower.as_deref(), upper.as_deref())?;
                new.wanted = Wanted::Between { lower, upper };
                // Two bounds are one demand: it may be skipped only if each of them may.
                new.optional = new.optional && old.optional;
                *place = Some(new);
                return Ok(());
            }
            // What was said before is as if never said, its place in the order included.
            *place = None;
        }
        self.by_key.insert(key.clone(), self.places.len());
        self.places.push(Some(new));
        Ok(())
    }
}

fn strictest(
    key: &Key,
    old: Option<&Vec<u64>>,
    new: Option<&Vec<u64>>,
    stricter: fn(u64, u64) -> u64,
) -> Result<Option<Vec<u64>>, Failure> {
    let (Some(old), Some(new)) = (old, new) else {
        return Ok(old.or(new).cloned());
    };
    same_length(key, old, new)?;
    Ok(Some(
        old.iter().zip(new).map(|(a, b)| stricter(*a, *b)).collect(),
    ))
}

fn check(key: &Key, lower: Option<&[u64]>, upper: Option<&[u64]>) -> Result<(), Failure> {
    let (Some(lower), Some(upper)) = (lower, upper) else {
        return Ok(());
    };
    same_length(key, lower, upper)?;
    match lower.iter().zip(upper).find(|(lower, upper)| lower > upper) {
        None => Ok(()),
        Some((lower, upper)) => Err(Failure::new(
            Kind::Usage,
            format!("{key}: asked for at least {lower} and at most {upper}"),
        )
        .hint("drop one of the two bounds")),
    }
}

fn same_length(key: &Key, one: &[u64], other: &[u64]) -> Result<(), Failure> {
    if one.len() == other.len() {
        return Ok(());
    }
    let reason = format!(
        "{key}: one bound has {} numbers, another {}",
        one.len(),
        other.len()
    );
    Err(Failure::new(Kind::Usage, reason).hint("say the same number of fields in each"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `existing` are the keys there are; each of `texts` is a SETTING.
    fn merged(texts: &[&str], exclusions: &[&str]) -> Result<Vec<String>, String> {
        let settings: Vec<(Source, Setting)> = texts
            .iter()
            .map(|text| (Source::Argument, text.parse().unwrap()))
            .collect();
        let exclusions: Vec<Subject> = exclusions
            .iter()
            .map(|text| Subject::parse(text).unwrap())
            .collect();
        let existing: Vec<Key> = ["c.a.f", "c.b.f"]
            .map(|text| Key::parse(text).unwrap())
            .to_vec();
        merge(&settings, &exclusions, &existing)
            .map_err(|failure| failure.to_string())
            .map(|entries| entries.iter().map(shown).collect())
    }

    fn shown(entry: &Entry) -> String {
        let dash = if entry.optional { "-" } else { "" };
        let empty = if entry.is_empty_glob { " (none)" } else { "" };
        let wanted = match &entry.wanted {
            Wanted::Exactly(value) => format!("={}", String::from_utf8_lossy(value.expose())),
            Wanted::Between { lower, upper } => format!(" {lower:?} {upper:?}"),
        };
        format!("{dash}{}{wanted}{empty}", entry.key)
    }

    #[test]
    fn the_last_equal_replaces_and_takes_its_place() {
        assert_eq!(merged(&["a=1", "b=2", "a=3"], &[]).unwrap(), ["b=2", "a=3"]);
        assert_eq!(merged(&["a>=1", "a=3"], &[]).unwrap(), ["a=3"]);
        assert_eq!(
            merged(&["a=3", "-a>=1"], &[]).unwrap(),
            ["-a Some([1]) None"]
        );
    }

    #[test]
    fn bounds_add_up_to_the_strictest() {
        assert_eq!(
            merged(&["a>=1 9", "-a>=5 2", "a<=9 9", "a<=8 20"], &[]).unwrap(),
            ["a Some([5, 9]) Some([8, 9])"]
        );
        assert_eq!(
            merged(&["-a>=1", "-a<=2"], &[]).unwrap(),
            ["-a Some([1]) Some([2])"]
        );
        assert!(
            merged(&["a>=5", "a<=4"], &[])
                .unwrap_err()
                .contains("at least 5 and at most 4")
        );
        assert!(merged(&["a>=5", "a>=4 3"], &[]).is_err());
    }

    #[test]
    fn an_explicit_key_beats_every_glob_and_an_exclusion_takes_keys_out() {
        assert_eq!(
            merged(&["c.a.f=1", "c.*.f=2"], &[]).unwrap(),
            ["c.a.f=1", "c.b.f=2"]
        );
        assert_eq!(merged(&["c.*.f=2"], &["c.a.*"]).unwrap(), ["c.b.f=2"]);
        assert_eq!(merged(&["c.*.f=2"], &["c.*.f"]).unwrap(), [""; 0]);
        assert_eq!(merged(&["-c.*.x=2"], &[]).unwrap(), ["-c.*.x=2 (none)"]);
        assert_eq!(
            merged(&["c.*.f=2", "c.?.f=3"], &[]).unwrap(),
            ["c.a.f=3", "c.b.f=3"]
        );
    }
}
