use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const PLAIN: Attributes = Attributes {
    mode: 0o440,
    owner: None,
};

#[test]
fn a_file_is_written_whole_with_its_mode_and_nothing_is_left_beside_it() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    std::fs::write(place.path().join("a"), "old and longer").unwrap();
    folder.write("a", b"new", PLAIN).unwrap();
    folder.sync().unwrap();
    let stored = folder.read("a").unwrap();
    assert_eq!(
        (stored.bytes.as_slice(), stored.mode),
        (b"new".as_slice(), 0o440)
    );
    assert_eq!(folder.names().unwrap(), ["a"]);
}

#[test]
fn what_cannot_take_its_name_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    folder.make_folder("a", 0o755).unwrap();
    let failure = folder.write("a", b"new", PLAIN).unwrap_err();
    assert_eq!(failure.kind(), Kind::Local);
    assert_eq!(folder.names().unwrap(), ["a"]);
}

#[test]
fn a_new_directory_keeps_the_setgid_bit_of_its_parent() {
    let place = tempfile::tempdir().unwrap();
    let setgid = std::fs::Permissions::from_mode(0o2770);
    std::fs::set_permissions(place.path(), setgid).unwrap();
    let folder = Folder::open(place.path()).unwrap();
    folder.make_folder("a", 0o777).unwrap();
    let made = std::fs::metadata(place.path().join("a")).unwrap();
    assert_eq!(made.permissions().mode() & 0o7777, 0o2777);
}

#[test]
fn links_are_seen_and_removed_but_never_followed() {
    let place = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("keep"), "x").unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let tree = folder.make_folder("tree", 0o755).unwrap();
    symlink(other.path(), place.path().join("tree/out")).unwrap();
    assert_eq!(
        tree.look(OsStr::new("out")).unwrap(),
        Some(Entry::Link(other.path().into()))
    );
    assert!(folder.read("tree/out/keep").is_err());
    folder.remove(OsStr::new("tree")).unwrap();
    folder.remove(OsStr::new("tree")).unwrap();
    assert!(other.path().join("keep").exists());
    assert_eq!(folder.look(OsStr::new("tree")).unwrap(), None);
}

#[test]
fn one_lock_at_a_time() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    let other = Folder::open(place.path()).unwrap();
    let lock = folder.try_lock().unwrap();
    assert!(lock.is_some());
    assert!(other.try_lock().unwrap().is_none());
    drop(lock);
    assert!(other.try_lock().unwrap().is_some());
}

#[test]
fn a_probe_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::open(place.path()).unwrap();
    folder.probe("p", PLAIN).unwrap();
    assert!(folder.names().unwrap().is_empty());
}
