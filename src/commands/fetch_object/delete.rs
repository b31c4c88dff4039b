//! `--delete`: what lies in DEST and the source lacks. Pure.

use std::ffi::{OsStr, OsString};

use super::globs::Filter;
use super::keys::Selection;
use crate::base::file::{Facts, Shape};

/// Whether a file or link at this path is to go. What the filters leave out is somebody else's, and when
/// the source has nothing at all, something is wrong with it.
pub(super) fn is_extra(path: &OsStr, selection: &Selection, filter: &Filter) -> bool {
    let text = path.to_string_lossy();
    let is_wanted = path
        .to_str()
        .is_some_and(|path| selection.files.contains_key(path));
    !selection.is_empty() && !is_wanted && filter.takes(&text)
}

/// The files and links of a directory that are to go; directories stay.
pub(super) fn extras(
    found: Vec<(OsString, Facts)>,
    selection: &Selection,
    filter: &Filter,
) -> Vec<OsString> {
    found
        .into_iter()
        .filter(|(path, facts)| {
            let can_go = matches!(facts.shape, Shape::File | Shape::Link);
            can_go && is_extra(path, selection, filter)
        })
        .map(|(path, _)| path)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fetch_object::globs::Glob;
    use crate::commands::fetch_object::keys::select;
    use crate::commands::fetch_object::source::{Listed, Validator};

    fn facts(shape: Shape) -> Facts {
        Facts {
            shape,
            inode: 1,
            device: 1,
            mtime: (0, 0),
            size: 0,
            stored: 0,
            mode: 0,
            owner: (0, 0),
        }
    }

    fn gone(keys: &[&str], exclude: &[&str]) -> Vec<OsString> {
        let listed = keys
            .iter()
            .map(|key| Listed {
                key: (*key).to_string(),
                size: 1,
                validator: Validator::default(),
                checksums: Vec::new(),
            })
            .collect();
        let filter = Filter {
            include: Vec::new(),
            exclude: exclude
                .iter()
                .map(|glob| Glob::new(glob).unwrap())
                .collect(),
        };
        let selection = select("", listed, &filter);
        let found = [
            ("a", Shape::File),
            ("b", Shape::File),
            ("d", Shape::Folder),
            ("d/x", Shape::File),
            ("l", Shape::Link),
            ("p", Shape::Other),
        ];
        let found = found.map(|(path, shape)| (OsString::from(path), facts(shape)));
        extras(found.into(), &selection, &filter)
    }

    #[test]
    fn files_and_links_that_the_source_lacks_go() {
        assert_eq!(gone(&["a"], &[]), ["b", "d/x", "l"]);
        assert_eq!(gone(&["a"], &["d/*"]), ["b", "l"]);
        assert_eq!(gone(&[], &[]), [""; 0]);
        assert_eq!(gone(&["z"], &["*"]), [""; 0]);
    }
}
