//! What lies below a folder, for comparisons with what lay there before.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::object::sha256;

/// All about one entry that matters to a reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub inode: u64,
    pub modified: (i64, i64),
    pub mode: u32,
    pub owner: (u32, u32),
    pub size: u64,
    /// A file's SHA-256, a link's target, nothing for anything else.
    pub content: String,
}

/// Paths below a folder, and what lies there.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// Everything below a folder; nothing when there is no such folder.
pub fn tree(top: &Path) -> Tree {
    let mut found = Tree::new();
    walk(top, top, &mut found);
    found
}

fn walk(top: &Path, folder: &Path, found: &mut Tree) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry").path();
        // Somebody may be taking it away at this moment.
        let Ok(meta) = fs::symlink_metadata(&path) else {
            continue;
        };
        let content = if meta.is_symlink() {
            fs::read_link(&path).map_or(String::new(), |to| to.to_string_lossy().into_owned())
        } else if meta.is_file() {
            fs::read(&path).map_or(String::new(), |bytes| sha256(&bytes))
        } else {
            String::new()
        };
        let name = path.strip_prefix(top).expect("it lies below");
        found.insert(
            name.to_path_buf(),
            Entry {
                inode: meta.ino(),
                modified: (meta.mtime(), meta.mtime_nsec()),
                mode: meta.mode(),
                owner: (meta.uid(), meta.gid()),
                size: if meta.is_file() { meta.len() } else { 0 },
                content,
            },
        );
        if meta.is_dir() {
            walk(top, &path, found);
        }
    }
}

/// Whether a path is podinit's own place for what is not published, or lies in it.
pub fn is_state(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == ".podinit")
}

/// What a reader of the volume cares for: all but podinit's own place. Of folders the names only,
/// since making and removing that place touches them.
pub fn published(tree: &Tree) -> Tree {
    tree.iter()
        .filter(|(path, _)| !is_state(path))
        .map(|(path, entry)| {
            let mut entry = entry.clone();
            if entry.mode & nix::libc::S_IFMT == nix::libc::S_IFDIR {
                entry.modified = (0, 0);
            }
            (path.clone(), entry)
        })
        .collect()
}

/// What lies in podinit's own places and is no record of a whole file or folder.
pub fn leftovers(tree: &Tree) -> Vec<PathBuf> {
    tree.iter()
        .filter(|(path, entry)| {
            is_state(path)
                && !path.ends_with(".podinit")
                && !(entry.mode & nix::libc::S_IFMT == nix::libc::S_IFREG
                    && path.as_os_str().as_bytes().ends_with(b".json"))
        })
        .map(|(path, _)| path.clone())
        .collect()
}

#[test]
fn a_tree_tells_what_is_published_from_what_is_not() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("s/.podinit")).expect("folders");
    for name in ["x", "s/.podinit/x.json", "s/.podinit/x.part"] {
        fs::write(at(name), name).expect("a file");
    }
    let found = tree(folder.path());
    assert_eq!(found[Path::new("x")].content, sha256(b"x"));
    let names: Vec<_> = published(&found).into_keys().collect();
    assert_eq!(names, [Path::new("s"), Path::new("x")]);
    assert_eq!(leftovers(&found), [Path::new("s/.podinit/x.part")]);
}
