//! What archives are made for.

use super::super::samples::{Head, Tar, gz, zst};
use super::*;

#[test]
fn files_folders_and_links_come_out_as_archived() {
    let bytes = Tar::new()
        .entry(Head::new(b'5', b"./").mode(0o750).mtime(7), b"")
        .entry(Head::new(b'5', b"d/").mode(0o2500).mtime(11), b"")
        .entry(Head::new(b'0', b"d/run").mode(0o4755).mtime(0), b"#!")
        .file("implied/by/file", b"x")
        .link("lib.so", "lib.so.1")
        .link("d/up", "../lib.so.1")
        .hard_link("hard", "d/run")
        .entry(Head::new(b'7', b"contiguous"), b"c")
        .entry(Head::new(0, b"old"), b"o")
        .entry(Head::new(0, b"oldfolder/"), b"")
        .end();
    for bytes in [bytes.clone(), gz(&bytes), zst(&bytes)] {
        let target = Target::new();
        let unpacked = target.unpack(&bytes, &plan()).unwrap();
        assert_eq!((unpacked.entries, unpacked.bytes), (9, 5));
        assert_eq!(
            target.paths(),
            [
                "contiguous",
                "d",
                "d/run",
                "d/up",
                "hard",
                "implied",
                "implied/by",
                "implied/by/file",
                "lib.so",
                "old",
                "oldfolder"
            ]
        );
        assert_eq!((target.mode("d/run"), target.mtime("d/run")), (0o755, 0));
        assert_eq!((target.mode("d"), target.mtime("d")), (0o500, 11));
        assert_eq!((target.mode(""), target.mtime("")), (0o750, 7));
        assert_eq!(target.mode("implied/by"), 0o755);
        let link = std::fs::read_link(target.path("d/up")).unwrap();
        assert_eq!(link, Path::new("../lib.so.1"));
        assert_eq!(target.mtime("d/up"), 1_000_000_000);
        let inode = |path| std::fs::metadata(target.path(path)).unwrap().ino();
        assert_eq!(inode("hard"), inode("d/run"));
        assert_eq!(target.read("d/run"), b"#!");
    }
}

#[test]
fn names_are_long_and_any_bytes() {
    use std::os::unix::ffi::OsStrExt as _;
    let deep = ["d"; 150].join("/");
    let long = format!("{}/{}", "p".repeat(150), "n".repeat(149));
    let bytes = Tar::new()
        .entry(
            Head::new(b'L', b"././@LongLink"),
            format!("{long}\0").as_bytes(),
        )
        .file(&long[..100], b"gnu")
        .pax(&[("path", deep.as_bytes()), ("mtime", b"5.25")])
        .file("short", b"pax")
        .entry(Head::new(b'0', b"file").with(345, b"prefix/p"), b"ustar")
        .file("new\nline\\..\\x", b"odd")
        .entry(Head::new(b'0', b"\xff\xfe"), b"bytes")
        .file(&"x".repeat(100), b"full")
        .entry(
            Head::new(b'K', b"././@LongLink"),
            format!("{}\0", "t".repeat(200)).as_bytes(),
        )
        .link("long-target", "cut")
        .end();
    let target = Target::new();
    assert_eq!(target.unpack(&bytes, &plan()).unwrap().entries, 7);
    assert_eq!(target.read(&long), b"gnu");
    assert_eq!(target.read(&deep), b"pax");
    assert_eq!(target.mtime(&deep), 5);
    assert_eq!(target.read("prefix/p/file"), b"ustar");
    assert_eq!(target.read("new\nline\\..\\x"), b"odd");
    assert_eq!(target.read(&"x".repeat(100)), b"full");
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    assert_eq!(std::fs::read(target.path("").join(odd)).unwrap(), b"bytes");
    let link = std::fs::read_link(target.path("long-target")).unwrap();
    assert_eq!(link, Path::new(&"t".repeat(200)));
}

#[test]
fn the_last_of_two_equal_names_wins() {
    let bytes = Tar::new()
        .file("x", b"first and longer")
        .hard_link("kept", "x")
        .file("x", b"last")
        .file("becomes-link", b"1")
        .link("becomes-link", "x")
        .link("becomes-file", "x")
        .file("becomes-file", b"2")
        .file("becomes-folder", b"3")
        .folder("becomes-folder/")
        .folder("empty/")
        .file("empty", b"4")
        .entry(Head::new(b'5', b"twice/").mode(0o700), b"")
        .file("twice/f", b"5")
        .entry(Head::new(b'5', b"twice/").mode(0o711), b"")
        .link("target", "empty")
        .folder("target/")
        .hard_link("x", "x")
        .end();
    let target = Target::new();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!(target.read("x"), b"last");
    assert_eq!(target.read("kept"), b"first and longer");
    assert_eq!(
        std::fs::read_link(target.path("becomes-link")).unwrap(),
        Path::new("x")
    );
    assert_eq!(target.read("becomes-file"), b"2");
    assert!(
        std::fs::symlink_metadata(target.path("becomes-file"))
            .unwrap()
            .is_file()
    );
    assert!(target.path("becomes-folder").is_dir());
    assert_eq!(target.read("empty"), b"4");
    assert_eq!(target.mode("twice"), 0o711);
    assert!(
        std::fs::symlink_metadata(target.path("target"))
            .unwrap()
            .is_dir()
    );
}

#[test]
fn segments_are_dropped_from_names_and_from_targets_of_hard_links() {
    let bytes = Tar::new()
        .folder("./")
        .folder("app/")
        .file("app/bin/run", b"run")
        .file("readme", b"left out")
        .hard_link("app/same", "./app/bin/run")
        .link("app/bin/up", "../same")
        .end();
    let target = Target::new();
    let plan = Plan { strip: 1, ..plan() };
    assert_eq!(target.unpack(&bytes, &plan).unwrap().entries, 3);
    assert_eq!(target.paths(), ["bin", "bin/run", "bin/up", "same"]);
    let none = Plan { strip: 9, ..plan };
    let target = Target::new();
    assert_eq!(target.unpack(&bytes, &none).unwrap().entries, 0);
    assert!(target.paths().is_empty());
}

#[test]
fn an_empty_archive_has_no_entries() {
    for bytes in [
        vec![0; 1024],
        vec![0; 10240],
        gz(&[0; 1024]),
        Tar::new().folder("./").end(),
    ] {
        let unpacked = Target::new().unpack(&bytes, &plan()).unwrap();
        assert_eq!((unpacked.entries, unpacked.bytes), (0, 0));
    }
}

#[test]
fn the_mode_asked_for_is_for_all() {
    let bytes = Tar::new()
        .entry(Head::new(b'5', b"d").mode(0o777), b"")
        .entry(Head::new(b'0', b"d/run").mode(0o755), b"")
        .entry(Head::new(b'0', b"d/data").mode(0o655), b"")
        .file("implied/f", b"")
        .end();
    let target = Target::new();
    let plan = Plan {
        mode: Some(0o440),
        ..plan()
    };
    target.unpack(&bytes, &plan).unwrap();
    for (path, mode) in [
        ("d", 0o550),
        ("d/run", 0o550),
        ("d/data", 0o440),
        ("implied", 0o550),
    ] {
        assert_eq!(target.mode(path), mode, "{path}");
    }
}

#[test]
fn a_setgid_directory_gives_its_group_and_bit_to_all_below() {
    let target = Target::new();
    let bits = std::fs::Permissions::from_mode(0o2755);
    std::fs::set_permissions(target.path(""), bits).unwrap();
    let bytes = Tar::new().folder("d/").file("i/f", b"").end();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!(target.mode("d"), 0o2755);
    assert_eq!(target.mode("i"), 0o2755);
    assert_eq!(target.mode("i/f"), 0o644);
}

#[test]
fn folders_are_settled_from_the_depth_that_is_asked_for() {
    let target = Target::new();
    let bytes = Tar::new()
        .entry(Head::new(b'5', b".").mode(0o500), b"")
        .entry(Head::new(b'5', b"a").mode(0o500), b"")
        .entry(Head::new(b'5', b"a/b").mode(0o500), b"")
        .end();
    let plan = plan();
    let mut reader = bytes.as_slice();
    let input = Input::new(&mut reader, Arc::clone(&plan.halt));
    let unpacked = tree(input, Format::Tar, &target.root(), &plan).unwrap();
    let modes = || [target.mode(""), target.mode("a"), target.mode("a/b")];
    assert_eq!(modes(), [0o755, 0o700, 0o700]);
    unpacked.settle(&target.root(), &(2..), &plan.halt).unwrap();
    assert_eq!(modes(), [0o755, 0o700, 0o500]);
    unpacked.settle(&target.root(), &(..2), &plan.halt).unwrap();
    assert_eq!(modes(), [0o500, 0o500, 0o500]);
}

#[test]
fn headers_for_all_members_may_carry_a_comment_and_a_time() {
    let records = samples::pax_records(&[("comment", b"0123abc"), ("mtime", b"9")]);
    let bytes = Tar::new()
        .entry(Head::new(b'g', b"pax_global_header"), &records)
        .file("a", b"")
        .pax(&[("mtime", b"-1")])
        .file("b", b"")
        .file("c", b"")
        .end();
    let target = Target::new();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!(["a", "b", "c"].map(|path| target.mtime(path)), [9, -1, 9]);
}

#[test]
fn one_file_comes_out_of_gz_and_zst() {
    let content = vec![b'x'; 3 << 20];
    for (bytes, format) in [
        (gz(&content), Format::Gz),
        (zst(&content), Format::Zst),
        ([gz(&content[..9]), gz(&content[9..])].concat(), Format::Gz),
    ] {
        let plan = plan();
        let mut reader = bytes.as_slice();
        let mut input = Input::new(&mut reader, Arc::clone(&plan.halt));
        assert_eq!(input.recognise().unwrap(), format);
        let mut out = Vec::new();
        let count = single(input, format, &mut out, &plan).unwrap();
        assert_eq!((count, out == content), (3 << 20, true));
    }
}
