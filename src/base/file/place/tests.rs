use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn tree() -> (tempfile::TempDir, Folder) {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("a")).unwrap();
    std::fs::write(place.path().join("a/f"), "one").unwrap();
    std::fs::write(place.path().join("g"), "two").unwrap();
    std::os::unix::fs::symlink("a", place.path().join("l")).unwrap();
    let folder = Folder::open(place.path()).unwrap();
    (place, folder)
}

#[test]
fn facts_tell_what_lies_where_and_follow_nothing() {
    let (_place, folder) = tree();
    let shape = |path: &str| {
        folder
            .facts(OsStr::new(path))
            .map(|facts| facts.map(|f| f.shape))
    };
    assert_eq!(shape("a/f"), Ok(Some(Shape::File)));
    assert_eq!(shape("a"), Ok(Some(Shape::Folder)));
    assert_eq!(shape("l"), Ok(Some(Shape::Link)));
    assert_eq!(shape("x/y"), Ok(None));
    assert!(shape("l/f").is_err());
    assert!(shape("g/f").is_err());
    assert_eq!(folder.facts(OsStr::new("a/f")).unwrap().unwrap().size, 3);
}

#[test]
fn a_file_moves_with_its_number_and_in_place_of_another() {
    let (place, folder) = tree();
    let before = folder.facts(OsStr::new("a/f")).unwrap().unwrap();
    folder
        .move_to(OsStr::new("a/f"), &folder, OsStr::new("g"))
        .unwrap();
    let after = folder.facts(OsStr::new("g")).unwrap().unwrap();
    assert_eq!((before.inode, before.mtime), (after.inode, after.mtime));
    assert_eq!(std::fs::read(place.path().join("g")).unwrap(), b"one");
}

#[test]
fn directories_are_swapped_in_one_step() {
    let (place, folder) = tree();
    std::fs::create_dir(place.path().join("b")).unwrap();
    folder
        .exchange(OsStr::new("a"), &folder, OsStr::new("b"))
        .unwrap();
    assert!(place.path().join("b/f").exists());
    assert!(!place.path().join("a/f").exists());
}

#[test]
fn a_written_file_has_its_mode_and_leaves_nothing_when_it_fails() {
    let (place, folder) = tree();
    let (name, temporary) = (OsStr::new("r"), OsStr::new("r.tmp"));
    folder
        .replace(name, temporary, |out| out.write_all(b"x"), 0o640)
        .unwrap();
    let path = place.path().join("r");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    let failing = |_: &mut dyn std::io::Write| Err(std::io::Error::other("x"));
    assert!(folder.replace(name, temporary, failing, 0o640).is_err());
    assert!(!place.path().join("r.tmp").exists());
    assert_eq!(std::fs::read(path).unwrap(), b"x");
}

#[test]
fn room_and_mounts_are_told() {
    let (_place, folder) = tree();
    assert!(folder.room().unwrap().bytes.is_some());
    assert!(!folder.is_mount_point(OsStr::new("a")).unwrap());
    let root = Folder::open(std::path::Path::new("/")).unwrap();
    assert!(root.is_mount_point(OsStr::new("proc")).unwrap());
    assert!(!folder.is_empty_but_for(&["a"]).unwrap());
    assert!(folder.is_empty_but_for(&["a", "g", "l"]).unwrap());
}
