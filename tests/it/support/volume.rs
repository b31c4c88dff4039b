//! The folder that podinit writes into, as a reader in another container would find it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder of its own, empty at first.
pub struct Volume {
    path: PathBuf,
    _parent: TempDir,
}

/// Everything about one entry that an untouched folder keeps: path below the folder, inode, time
/// of the last change, mode, owner, and what it holds or points to.
pub type Entry = (String, u64, (i64, i64), u32, (u32, u32), Vec<u8>);

impl Volume {
    /// In memory, where secrets belong.
    pub fn in_memory() -> Self {
        Self::below("/dev/shm")
    }

    /// On the disk that the tests were built on.
    pub fn on_disk() -> Self {
        Self::below(env!("CARGO_TARGET_TMPDIR"))
    }

    fn below(place: &str) -> Self {
        let parent = tempfile::tempdir_in(place).expect("a temporary directory");
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).expect("chmod");
        let path = parent.path().join("secrets");
        fs::create_dir(&path).expect("the volume");
        fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("chmod");
        Self {
            path,
            _parent: parent,
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names at its top, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.path)
            .expect("the volume is readable")
            .map(|entry| entry.expect("an entry").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// A file's bytes, as a reader gets them.
    #[track_caller]
    pub fn bytes(&self, file: &str) -> Vec<u8> {
        let read = fs::read(self.at(file));
        read.unwrap_or_else(|error| panic!("{file}: {error}; there are {:?}", self.names()))
    }

    /// The same as text.
    #[track_caller]
    pub fn text(&self, file: &str) -> String {
        String::from_utf8(self.bytes(file)).expect("UTF-8 in the file")
    }

    /// A file's mode, without its type.
    #[track_caller]
    pub fn mode(&self, file: &str) -> u32 {
        let found = fs::metadata(self.at(file)).expect("the file is there");
        found.permissions().mode() & 0o7777
    }

    /// Where a link points.
    #[track_caller]
    pub fn link(&self, name: &str) -> String {
        let target = fs::read_link(self.at(name));
        let target = target.unwrap_or_else(|error| panic!("{name} is no link: {error}"));
        target.to_string_lossy().into_owned()
    }

    /// All there is, for a comparison with what there is later.
    pub fn snapshot(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        walk(&self.path, &self.path, &mut entries);
        entries.sort();
        entries
    }

    /// Nothing at all is in it.
    #[track_caller]
    pub fn is_empty(&self) -> &Self {
        assert_eq!(self.names(), [""; 0], "in the volume");
        self
    }

    /// Exactly these files with these bytes are published in it, and nothing is left over.
    #[track_caller]
    pub fn holds(&self, files: &[(&str, &[u8])]) -> &Self {
        self.holds_beside(&[], files)
    }

    /// The same, and these entries at the top that are not podinit's.
    #[track_caller]
    pub fn holds_beside(&self, others: &[&str], files: &[(&str, &[u8])]) -> &Self {
        let generation = self.link("..data");
        assert!(is_generation(&generation), "..data -> {generation}");
        let mut wanted: Vec<String> = files
            .iter()
            .map(|(name, _)| name.split('/').next().unwrap_or(name).to_string())
            .chain(others.iter().map(ToString::to_string))
            .chain(["..data".to_string(), generation.clone()])
            .collect();
        wanted.sort();
        wanted.dedup();
        assert_eq!(self.names(), wanted, "at the top of the volume");
        for (name, _) in files {
            let top = name.split('/').next().unwrap_or(name);
            assert_eq!(self.link(top), format!("..data/{top}"));
        }
        let mut found = Vec::new();
        let inner = self.at(&generation);
        walk(&inner, &inner, &mut found);
        let found: BTreeMap<String, Vec<u8>> = found
            .into_iter()
            .filter(|entry| entry.3 & 0o170_000 == 0o100_000)
            .map(|entry| (entry.0, entry.5))
            .collect();
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        let mut expected: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        expected.sort_unstable();
        assert_eq!(names, expected, "files in {generation}");
        for (name, bytes) in files {
            assert_eq!(
                String::from_utf8_lossy(&found[*name]),
                String::from_utf8_lossy(bytes),
                "{name}"
            );
            assert_eq!(found[*name], *bytes, "{name}");
        }
        self
    }
}

/// Whether a name is one of podinit's own folders: `..YYYY_MM_DD_HH_MM_SS.<digits>`.
fn is_generation(name: &str) -> bool {
    let Some((date, digits)) = name
        .strip_prefix("..")
        .and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    let shape: String = date
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    shape == "0000_00_00_00_00_00"
        && !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn walk(top: &Path, folder: &Path, entries: &mut Vec<Entry>) {
    for entry in fs::read_dir(folder).expect("a folder is readable") {
        let path = entry.expect("an entry").path();
        let found = fs::symlink_metadata(&path).expect("it is there");
        let content = if found.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            target.to_string_lossy().into_owned().into_bytes()
        } else if found.is_file() {
            fs::read(&path).expect("a file is readable")
        } else {
            Vec::new()
        };
        let name = path.strip_prefix(top).expect("it lies below");
        entries.push((
            name.to_string_lossy().into_owned(),
            found.ino(),
            (found.mtime(), found.mtime_nsec()),
            found.mode(),
            (found.uid(), found.gid()),
            content,
        ));
        if found.is_dir() {
            walk(top, &path, entries);
        }
    }
}

#[test]
fn a_generation_is_told_from_other_names() {
    assert!(is_generation("..2026_11_22_18_36_12.123456"));
    for other in [
        "..data",
        "..2026_11_22_18_36_12.",
        "..2026_11_22.1",
        "2026",
        "..1x",
    ] {
        assert!(!is_generation(other), "{other}");
    }
}
