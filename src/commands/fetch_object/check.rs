//! What can be wrong with the DESTs of a run, before any request.

use std::path::{Path, PathBuf};

use super::archive::bare_name;
use super::hall;
use super::request::{Choice, Entry, What};
use crate::base::failure::{Failure, Kind};

/// One DEST, as far as it is known before the request.
#[derive(Debug, Clone)]
struct Place {
    path: PathBuf,
    is_file: bool,
    label: String,
}

/// Looks at every DEST, and refuses those that are in each other's way.
///
/// # Errors
/// `Usage`; `Local` for a link where a directory is needed.
pub(super) fn check(entries: &[Entry], atomic: bool) -> Result<(), Failure> {
    let mut places = Vec::with_capacity(entries.len());
    for entry in entries {
        let place = look(entry, atomic).map_err(|failure| match entry.number {
            Some(number) => failure.context(format!("entry {number}")),
            None => failure,
        })?;
        places.push(place);
    }
    match clash(&places) {
        None => Ok(()),
        Some((one, other)) => Err(Failure::new(
            Kind::Usage,
            format!(
                "{} and {} have the same dest {}, or one within the other",
                one.label,
                other.label,
                one.path.display()
            ),
        )
        .hint("give each entry a dest of its own")),
    }
}

fn look(entry: &Entry, atomic: bool) -> Result<Place, Failure> {
    let destination = &entry.destination;
    let file = |name| destination.file(name).map(|spot| (spot.path(), true));
    let folder = || {
        let hall = destination.folder()?;
        hall::way(&hall, atomic)?;
        Ok((hall.spot.path(), false))
    };
    let (path, is_file) = match entry.what {
        What::Object => file(&entry.location.last_segment())?,
        What::Prefix => folder()?,
        What::Archive(Choice::Format(format)) if format.is_tree() => folder()?,
        What::Archive(Choice::Format(format)) => file(&bare_name(&entry.location, format))?,
        // A file or a directory: only the content tells.
        What::Archive(Choice::Auto) if destination.is_file()? => (destination.path().into(), true),
        What::Archive(Choice::Auto) => folder()?,
    };
    Ok(Place {
        path: real(&path),
        is_file,
        label: match entry.number {
            Some(number) => format!("entry {number}"),
            None => "SOURCE".to_string(),
        },
    })
}

/// The path without links and dots, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut there = path;
    loop {
        let here = if there.as_os_str().is_empty() {
            Path::new(".")
        } else {
            there
        };
        // The last name is not followed: a link there is replaced.
        if !rest.is_empty()
            && let Ok(real) = std::fs::canonicalize(here)
        {
            return rest.iter().rev().fold(real, |path, name| path.join(name));
        }
        match (there.file_name(), there.parent()) {
            (Some(name), Some(parent)) => {
                rest.push(name);
                there = parent;
            }
            (_, _) => return path.to_path_buf(),
        }
    }
}

/// Two DESTs that are the same, or a file within another file.
fn clash(places: &[Place]) -> Option<(&Place, &Place)> {
    let mut sorted: Vec<&Place> = places.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    // Paths are compared part by part, so whatever lies within one follows it at once.
    for (at, one) in sorted.iter().enumerate() {
        for other in &sorted[at + 1..] {
            if !other.path.starts_with(&one.path) {
                break;
            }
            if one.path == other.path || one.is_file {
                return Some((one, other));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clashes(places: &[(&str, bool)]) -> bool {
        let places: Vec<Place> = places
            .iter()
            .map(|(path, is_file)| Place {
                path: path.into(),
                is_file: *is_file,
                label: String::new(),
            })
            .collect();
        clash(&places).is_some()
    }

    #[test]
    fn equal_and_nested_files_clash() {
        assert!(clashes(&[("/a", true), ("/b", true), ("/a", true)]));
        assert!(clashes(&[("/a", true), ("/a-b", true), ("/a/b", true)]));
        assert!(clashes(&[("/a/b/c", true), ("/a", true)]));
        assert!(clashes(&[("/a", false), ("/a", false)]));
        assert!(!clashes(&[("/a", false), ("/a/b", true)]));
        assert!(!clashes(&[("/a", true), ("/ab", true), ("/b/a", true)]));
    }

    #[test]
    fn a_path_is_known_in_every_spelling() {
        let place = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(place.path()).unwrap();
        let spelled = root.join("./x/.").join("y");
        assert_eq!(real(&root.join("x/y")), real(&spelled));
        let name = root.file_name().unwrap();
        assert_eq!(real(&root.join("..").join(name).join("z")), root.join("z"));
    }
}
