use super::*;

fn read(text: &str) -> Destination {
    Destination::parse(text.as_ref()).unwrap()
}

#[test]
fn a_slash_at_the_end_means_a_directory() {
    assert_eq!(read("/a/b//").path(), Path::new("/a/b"));
    assert!(read("/a/").ends_in_slash && read("/").ends_in_slash);
    assert!(!read("/a").ends_in_slash);
    assert!(Destination::parse("".as_ref()).is_err());
    assert!(Destination::parse("a\0".as_ref()).is_err());
}

#[test]
fn a_file_goes_into_a_directory_or_to_its_own_name() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(at("file"), "").unwrap();
    std::fs::create_dir_all(at("folder/taken")).unwrap();
    std::os::unix::fs::symlink("folder", at("link")).unwrap();
    let spot = |dest: &str, name: &str| {
        read(&at(dest))
            .file(name.as_ref())
            .map(|spot| spot.path().display().to_string())
            .map_err(|failure| failure.kind())
    };
    for (dest, name, path) in [
        ("new", "n", "new"),
        ("new/", "n", "new/n"),
        ("folder", "n", "folder/n"),
        ("folder/", "n", "folder/n"),
        ("file", "n", "file"),
        ("link", "n", "link"),
        ("link/", "n", "link/n"),
        ("deep/er", "..", "deep/er"),
    ] {
        assert_eq!(spot(dest, name), Ok(at(path)), "{dest}");
    }
    for (dest, name) in [
        ("file/", "n"),
        ("new/", ""),
        ("new/", ".."),
        ("folder", ".podinit"),
        ("folder", "taken"),
        ("folder/taken/..", ".."),
        (".podinit", "n"),
        ("file/x", "n"),
        ("new/..", "n"),
    ] {
        assert_eq!(spot(dest, name), Err(Kind::Usage), "{dest} {name}");
    }
}

#[test]
fn a_directory_is_absent_empty_or_full_and_never_a_link() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name).display().to_string();
    std::fs::write(at("file"), "").unwrap();
    std::fs::create_dir_all(at("empty/.podinit")).unwrap();
    std::fs::create_dir_all(at("empty/lost+found")).unwrap();
    std::fs::create_dir_all(at("full/x")).unwrap();
    std::os::unix::fs::symlink("full", at("link")).unwrap();
    let state = |dest: &str| read(&at(dest)).folder().map(|hall| hall.state);
    let is_mount = false;
    assert_eq!(state("new").unwrap(), HallState::Absent);
    assert_eq!(state("empty").unwrap(), HallState::Empty { is_mount });
    assert_eq!(state("full/").unwrap(), HallState::Full { is_mount });
    assert_eq!(state("full/.").unwrap(), HallState::Full { is_mount });
    assert_eq!(state("link").unwrap_err().kind(), Kind::Local);
    assert_eq!(state("link/").unwrap_err().kind(), Kind::Local);
    assert_eq!(state("file").unwrap_err().kind(), Kind::Usage);
    assert_eq!(state("file/").unwrap_err().kind(), Kind::Usage);
    assert!(read("/proc").folder().unwrap().state.is_mount());
    assert!(read("/").folder().unwrap().state.is_mount());
    let spot = read(&at("full/.")).folder().unwrap().spot;
    assert_eq!(spot.name, "full");
}
