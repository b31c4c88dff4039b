use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;
use crate::base::file::Backlog;

fn open(folder: &tempfile::TempDir) -> Folder {
    Folder::open(folder.path()).unwrap()
}

fn path(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

#[test]
fn a_file_is_made_once_and_its_name_is_any_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let root = open(&folder);
    root.new_folder(path(b"d\xff"), 0o755).unwrap();
    let mut file = root.new_file(path(b"d\xff/n\xfe")).unwrap();
    file.write(b"abc").unwrap();
    file.write(b"def").unwrap();
    let attributes = Attributes {
        mode: 0o640,
        owner: None,
    };
    file.dress(attributes, Some(TimeSpec::new(-5, 7))).unwrap();
    assert_eq!(file.length(), 6);
    let mut backlog = Backlog::default();
    backlog.push(file).unwrap();
    backlog.drain().unwrap();
    let made = folder.path().join(path(b"d\xff/n\xfe"));
    assert_eq!(std::fs::read(&made).unwrap(), b"abcdef");
    let stat = std::fs::metadata(&made).unwrap();
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (-5, 7));
    assert_eq!(stat.mode() & 0o7777, 0o640);
    let again = root.new_file(path(b"d\xff/n\xfe"));
    assert_eq!(again.unwrap_err(), Errno::EEXIST);
    assert_eq!(root.new_file(path(b"no/x")).unwrap_err(), Errno::ENOENT);
}

#[test]
fn nothing_is_made_through_a_link_or_in_its_place() {
    let outside = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = open(&folder);
    std::os::unix::fs::symlink(outside.path(), folder.path().join("l")).unwrap();
    std::fs::write(folder.path().join("f"), "x").unwrap();
    let refused = [Errno::ELOOP, Errno::ENOTDIR];
    assert!(refused.contains(&root.new_file(path(b"l/x")).unwrap_err()));
    assert!(refused.contains(&root.new_folder(path(b"l/x"), 0o755).unwrap_err()));
    let link = root.new_link(path(b"l/x"), path(b"y"), None, None);
    assert!(refused.contains(&link.unwrap_err()));
    assert!(refused.contains(&root.new_hard_link(path(b"l/x"), path(b"f")).unwrap_err()));
    assert!(refused.contains(&root.remove_file(path(b"l/x")).unwrap_err()));
    assert!(refused.contains(&root.look_beneath(path(b"l/x")).unwrap_err()));
    assert_eq!(root.new_file(path(b"l")).unwrap_err(), Errno::EEXIST);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_link_gets_its_own_time_and_a_hard_link_is_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = open(&folder);
    std::fs::write(folder.path().join("f"), "x").unwrap();
    let before = std::fs::metadata(folder.path().join("f")).unwrap();
    let time = Some(TimeSpec::new(0, 0));
    root.new_link(path(b"l"), path(b"f"), None, time).unwrap();
    root.new_hard_link(path(b"h"), path(b"f")).unwrap();
    let link = std::fs::symlink_metadata(folder.path().join("l")).unwrap();
    assert_eq!(link.mtime(), 0);
    let hard = std::fs::metadata(folder.path().join("h")).unwrap();
    assert_eq!((hard.ino(), hard.mtime()), (before.ino(), before.mtime()));
}

#[test]
fn a_folder_keeps_its_inherited_setgid_bit() {
    let folder = tempfile::tempdir().unwrap();
    let root = open(&folder);
    std::fs::create_dir(folder.path().join("d")).unwrap();
    let bits = std::fs::Permissions::from_mode(0o2755);
    std::fs::set_permissions(folder.path().join("d"), bits).unwrap();
    let wanted = FolderAttributes {
        attributes: Attributes {
            mode: 0o550,
            owner: None,
        },
        mtime: Some(TimeSpec::new(9, 0)),
    };
    root.folder("d").unwrap().dress(wanted).unwrap();
    let stat = std::fs::metadata(folder.path().join("d")).unwrap();
    assert_eq!((stat.mode() & 0o7777, stat.mtime()), (0o2550, 9));
}

#[test]
fn a_walk_shows_everything_once_and_follows_no_link() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    std::fs::write(folder.path().join("a/b/c"), "xyz").unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("a/l")).unwrap();
    let mut seen = Vec::new();
    open(&folder)
        .walk(&mut |path: &Path, stat: &FileStat| {
            seen.push((path.display().to_string(), kind(stat) == SFlag::S_IFDIR));
            Ok(())
        })
        .unwrap();
    let expected = [("a", true), ("a/b", true), ("a/l", false), ("a/b/c", false)];
    assert_eq!(
        seen,
        expected.map(|(path, is_folder)| (path.to_string(), is_folder))
    );
}

#[test]
fn a_tree_of_any_names_modes_and_depth_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let root = open(&folder);
    root.new_folder(path(b"t"), 0o755).unwrap();
    root.new_folder(path(b"t/\xff"), 0o755).unwrap();
    root.new_file(path(b"t/\xff/\xfe")).unwrap();
    root.new_link(path(b"t/l"), path(b".."), None, None)
        .unwrap();
    let mut deep = b"t".to_vec();
    // Deeper than a process usually has descriptors.
    for _ in 0..1500 {
        deep.extend_from_slice(b"/d");
        root.new_folder(path(&deep), 0o755).unwrap();
    }
    let bits = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(folder.path().join("t"), bits).unwrap();
    assert_eq!(
        root.remove_while(path(b"t"), &|| false).unwrap_err(),
        Errno::EINTR
    );
    root.remove_while(path(b"t"), &|| true).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    root.remove_while(path(b"t"), &|| true).unwrap();
}
