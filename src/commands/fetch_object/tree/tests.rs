use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::signal::Signal;
use tokio::sync::watch;

use super::*;

fn deadline() -> (watch::Sender<Option<Signal>>, Deadline) {
    let (stop, stopped) = watch::channel(None);
    (stop, Deadline::new("1m".parse().unwrap(), stopped))
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Two directories, as `new` and `old`.
fn pair(new: &[&str], old: &[&str]) -> (tempfile::TempDir, Folder, Folder) {
    let place = tempfile::tempdir().unwrap();
    for (root, names) in [("new", new), ("old", old)] {
        std::fs::create_dir(place.path().join(root)).unwrap();
        for name in names {
            write(&place.path().join(root).join(name), root);
        }
    }
    let open = |name| Folder::open(&place.path().join(name)).unwrap();
    let (new, old) = (open("new"), open("old"));
    (place, new, old)
}

fn files(root: &Folder) -> Vec<String> {
    let mut paths: Vec<String> = list(root)
        .unwrap()
        .into_iter()
        .filter(|(_, facts)| facts.shape != Shape::Folder)
        .map(|(path, _)| {
            let text = std::fs::read_to_string(root.path().join(&path)).unwrap_or_default();
            format!("{}={text}", path.display())
        })
        .collect();
    paths.sort();
    paths
}

#[test]
fn a_tree_is_merged_into_what_is_there() {
    let (_stop, deadline) = deadline();
    let (_place, new, old) = pair(&["a", "d/b", "e/f/g"], &["a", "d/c", "h", ".podinit/x"]);
    merge(&new, &old, &mut Folders::default(), &deadline).unwrap();
    assert_eq!(
        files(&old),
        ["a=new", "d/b=new", "d/c=old", "e/f/g=new", "h=old"]
    );
    assert!(files(&new).is_empty());
}

#[test]
fn nothing_takes_the_place_of_a_link_or_file_that_a_directory_needs() {
    let (_stop, deadline) = deadline();
    let (place, new, old) = pair(&["d/b"], &["x/y"]);
    std::os::unix::fs::symlink("x", place.path().join("old/d")).unwrap();
    let failure = merge(&new, &old, &mut Folders::default(), &deadline).unwrap_err();
    assert_eq!(failure.kind(), Kind::Local);
    assert_eq!(files(&old), ["d=", "x/y=old"]);
    let ways = |path: &str| check_ways(&old, [OsStr::new(path)].into_iter());
    assert_eq!(ways("d/b").unwrap_err().kind(), Kind::Local);
    assert_eq!(ways("x/y/z").unwrap_err().kind(), Kind::Local);
    assert_eq!(ways("x").unwrap_err().kind(), Kind::Local);
    assert!(ways("x/z").is_ok() && ways("d").is_ok() && ways("n/m").is_ok());
}

#[test]
fn what_stays_gets_a_second_name_and_directories_keep_their_modes() {
    let (_stop, deadline) = deadline();
    let (place, new, old) = pair(&["a", "d/b"], &["a", "d/c", "own/x", "gone"]);
    let closed = std::fs::Permissions::from_mode(0o750);
    std::fs::set_permissions(place.path().join("old/own"), closed).unwrap();
    let mut folders = Folders::default();
    let stays = |path: &OsStr| path != "gone";
    link_rest(&old, &new, &stays, &mut folders, &deadline).unwrap();
    assert_eq!(files(&new), ["a=new", "d/b=new", "d/c=old", "own/x=old"]);
    let attributes = Attributes {
        mode: 0o755,
        owner: None,
    };
    folders.dress(&new, attributes).unwrap();
    let mode = std::fs::metadata(place.path().join("new/own"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o750);
    swap(
        &Folder::open(place.path()).unwrap(),
        OsStr::new("new"),
        &Folder::open(place.path()).unwrap(),
        OsStr::new("old"),
    )
    .unwrap();
    assert!(place.path().join("old/d/b").exists());
}

#[test]
fn a_pruned_tree_has_what_is_kept_and_no_empty_directory() {
    let (_place, new, _) = pair(&["a", "d/b", "e/f"], &[]);
    prune(&new, &BTreeSet::from([OsString::from("d/b")])).unwrap();
    let left: Vec<OsString> = list(&new)
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(left, ["d", "d/b"]);
}

#[test]
fn directories_are_made_once_and_dressed_the_deepest_first() {
    let (place, new, _) = pair(&[], &[]);
    let mut folders = Folders::default();
    folders.make(&new, OsStr::new("a/b"), 0o550).unwrap();
    folders.make(&new, OsStr::new("a/c"), 0o550).unwrap();
    let attributes = Attributes {
        mode: 0o550,
        owner: None,
    };
    folders.dress(&new, attributes).unwrap();
    for path in ["a", "a/b", "a/c"] {
        let found = std::fs::metadata(place.path().join("new").join(path)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o550, "{path}");
    }
    assert_eq!(folders.made.len(), 3);
}
