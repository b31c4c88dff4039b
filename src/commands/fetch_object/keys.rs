//! Which of the listed keys become which files, and which are unsafe. Pure.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::globs::Filter;
use super::name::{self, Flaw};
use super::source::Listed;
use crate::base::failure::{Failure, Kind};
use crate::base::text::{counted, one_line};

/// Unsafe keys that a failure names.
const SHOWN: usize = 5;

/// What the keys of a prefix become beneath DEST.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// Files, by their paths beneath DEST; in byte order.
    pub(super) files: BTreeMap<String, Listed>,
    /// Directories that have a key of their own.
    pub(super) folders: Vec<String>,
    /// Keys that no file may have, and why.
    pub(super) unsafe_keys: Vec<(String, String)>,
    /// Keys that the filters left out.
    pub(super) filtered: usize,
}

/// Sorts the keys: filters first, then safety, then clashes among what is left.
pub(super) fn select(prefix: &str, listed: Vec<Listed>, filter: &Filter) -> Selection {
    let mut selection = Selection::default();
    for object in listed {
        let Some(path) = object.key.strip_prefix(prefix) else {
            let key = object.key;
            selection
                .unsafe_keys
                .push((key, "does not begin with the prefix".to_string()));
            continue;
        };
        if path.is_empty() && object.size == 0 {
            // The prefix itself: some tools make an empty key for each directory.
            continue;
        }
        if !filter.takes(path) {
            selection.filtered += 1;
            continue;
        }
        let folder = path.strip_suffix('/').filter(|_| object.size == 0);
        match name::check(folder.unwrap_or(path).as_bytes()) {
            Err(flaw) => {
                let key = object.key.clone();
                selection.unsafe_keys.push((key, words(flaw).to_string()));
            }
            Ok(()) => match folder {
                Some(folder) => selection.folders.push(folder.to_string()),
                None => {
                    selection.files.insert(path.to_string(), object);
                }
            },
        }
    }
    selection.folders.sort_unstable();
    selection.folders.dedup();
    drop_clashes(&mut selection);
    selection
}

fn words(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::Absolute => "would begin with a slash",
        Flaw::Empty => "has an empty segment, or bytes in a key that ends in a slash",
        Flaw::Current | Flaw::Parent => "has a segment that stands for a directory",
        Flaw::Long => "has a segment longer than 255 bytes",
        Flaw::Nul => "holds a NUL",
        Flaw::Own => "lies in .podinit, which is podinit's own",
    }
}

/// Takes out the files whose name another key needs for a directory.
fn drop_clashes(selection: &mut Selection) {
    let mut clashing = Vec::new();
    for (path, object) in &selection.files {
        let inner = format!("{path}/");
        let from = (Bound::Included(inner.as_str()), Bound::Unbounded);
        let file = selection
            .files
            .range::<str, _>(from)
            .next()
            .filter(|(next, _)| next.starts_with(&inner))
            .map(|(next, _)| next.as_str());
        let first = |begin: &str| {
            let at = selection
                .folders
                .partition_point(|folder| folder.as_str() < begin);
            selection.folders.get(at).map(String::as_str)
        };
        let folder = first(path)
            .filter(|folder| folder == path)
            .or_else(|| first(&inner).filter(|folder| folder.starts_with(&inner)));
        if let Some(other) = file.or(folder) {
            let prefix = object.key.strip_suffix(path.as_str()).unwrap_or_default();
            let slash = if file.is_none() { "/" } else { "" };
            let other = one_line(&format!("{prefix}{other}{slash}"));
            clashing.push((path.clone(), format!("is the directory of `{other}`")));
        }
    }
    for (path, why) in clashing {
        if let Some(object) = selection.files.remove(&path) {
            selection.unsafe_keys.push((object.key, why));
        }
    }
}

impl Selection {
    /// Sum of the files' bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, object| sum.saturating_add(object.size))
    }

    /// Whether nothing is to be made.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    /// The unsafe keys as a failure.
    ///
    /// # Errors
    /// `Corrupt` if there is one.
    pub(super) fn refuse_unsafe(&self) -> Result<(), Failure> {
        match self.told_unsafe() {
            None => Ok(()),
            Some(told) => Err(Failure::new(Kind::Corrupt, told)
                .hint("rename them, leave them out with --exclude, or give --skip-unsafe")),
        }
    }

    /// How many keys are unsafe, and the first of them.
    pub(super) fn told_unsafe(&self) -> Option<String> {
        if self.unsafe_keys.is_empty() {
            return None;
        }
        let shown: Vec<String> = self
            .unsafe_keys
            .iter()
            .take(SHOWN)
            .map(|(key, why)| format!("`{}` {why}", one_line(key)))
            .collect();
        let rest = self.unsafe_keys.len().saturating_sub(SHOWN);
        let more = if rest == 0 {
            String::new()
        } else {
            format!("; and {rest} more")
        };
        let count = counted(self.unsafe_keys.len(), "unsafe key");
        Some(format!("{count}: {}{more}", shown.join("; ")))
    }
}

#[cfg(test)]
mod tests;
