//! Cases 51, 53, 54 and 56: archives that are damaged or mean ill. Nothing of them is ever published,
//! and nothing outside of DEST is touched.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::Scene;
use super::archives::{serving, unpacked};
use crate::support::archive::{
    Entry, Member, file, folder, gnu_long, gz, hard_link, open_tar, pax, special, stored, symlink,
    tar, zip, zip_symlink, zst,
};
use crate::support::certificates::run_in;
use crate::support::tree::tree;
use crate::support::{MIB, noise};

/// These bytes are refused, and nothing of them is anywhere.
#[track_caller]
fn is_refused(what: &str, bytes: &[u8]) {
    let scene = Scene::new();
    let before = (
        fs::metadata("/etc/passwd").expect("it is there").nlink(),
        fs::metadata("/etc").expect("it is there").mtime(),
    );
    let out = unpacked(&scene, bytes, &[]);
    assert_eq!(out.code, 65, "{what}: {out:?}");
    out.fails(65);
    scene.is_bare();
    let names: Vec<_> = tree(&scene.beside("")).into_keys().collect();
    assert_eq!(names, [PathBuf::from("D")], "{what}: outside of D");
    let after = (
        fs::metadata("/etc/passwd").expect("it is there").nlink(),
        fs::metadata("/etc").expect("it is there").mtime(),
    );
    assert_eq!(before, after, "{what}");
}

/// Every way in which a member of a tar archive can be meant ill.
fn hostile_tars() -> Vec<(String, Vec<Member>)> {
    let mut all = hostile_names();
    all.extend(hostile_links());
    all.extend(hostile_kinds());
    all
}

/// Names that lead elsewhere.
fn hostile_names() -> Vec<(String, Vec<Member>)> {
    let mut all: Vec<(String, Vec<Member>)> = Vec::new();
    let names = [
        "../e",
        "/abs",
        "a/../../e",
        "a/../b",
        "..",
        "../",
        "./../e",
        "a/..",
        "a/./b",
        "a//b",
        "/",
        "//abs",
        ".podinit/x",
        ".podinit",
        "./.podinit/x",
        "....//../e",
        "/etc/cron.d/x",
    ];
    for name in names {
        all.push((format!("file {name:?}"), vec![file(name, b"evil")]));
        all.push((
            format!("folder {name:?}"),
            vec![folder(name), file("ok", b"ok")],
        ));
    }
    // `.` and `./` are the folder itself, and no evil; nothing else with dots is.
    let long = "../".repeat(60) + "e";
    all.push((
        "gnu long name".to_string(),
        vec![gnu_long(b'L', &long), file("ok", b"evil")],
    ));
    all.push((
        "pax path".to_string(),
        vec![pax(&[("path", "../../e")]), file("ok", b"evil")],
    ));
    all.push((
        "pax link".to_string(),
        vec![pax(&[("linkpath", "/etc/passwd")]), symlink("l", "ok")],
    ));
    all.push((
        "gnu long link".to_string(),
        vec![gnu_long(b'K', &long), symlink("l", "ok")],
    ));
    all.push((
        "name too long".to_string(),
        vec![gnu_long(b'L', &"n".repeat(256)), file("ok", b"evil")],
    ));
    all
}

/// Links that lead elsewhere, or through which something is written.
fn hostile_links() -> Vec<(String, Vec<Member>)> {
    let mut all: Vec<(String, Vec<Member>)> = Vec::new();
    for target in [
        "/etc",
        "/",
        "..",
        "../x",
        "a/../../x",
        "../../etc",
        "",
        "b/../..",
        "/proc/self/cwd",
    ] {
        all.push((format!("link to {target:?}"), vec![symlink("l", target)]));
        all.push((
            format!("through a link to {target:?}"),
            vec![symlink("l", target), file("l/x", b"evil")],
        ));
    }
    all.push((
        "deep link".to_string(),
        vec![symlink("a/b/l", "../../../x")],
    ));
    all.push((
        "dots after the start".to_string(),
        vec![folder("a"), symlink("a/l", "b/../../../x")],
    ));
    all.push((
        "through a link inside".to_string(),
        vec![folder("d"), symlink("l", "d"), file("l/x", b"evil")],
    ));
    all.push((
        "links that climb".to_string(),
        vec![
            folder("a"),
            symlink("a/u", ".."),
            symlink("a/v", "u/.."),
            file("a/v/x", b"evil"),
        ],
    ));
    for target in ["/etc/passwd", "../x", "a/../../x", "missing", "..", ""] {
        all.push((
            format!("hard link to {target:?}"),
            vec![hard_link("h", target)],
        ));
    }
    all.push((
        "hard link to a link".to_string(),
        vec![symlink("l", "ok"), hard_link("h", "l"), file("h", b"evil")],
    ));
    all.push((
        "hard link through a link".to_string(),
        vec![
            folder("d"),
            file("d/f", b"f"),
            symlink("l", "d"),
            hard_link("h", "l/f"),
        ],
    ));
    all.push((
        "hard link to a folder".to_string(),
        vec![folder("d"), hard_link("h", "d")],
    ));
    all
}

/// Members that are no files, folders or links, or say wrong things of themselves.
fn hostile_kinds() -> Vec<(String, Vec<Member>)> {
    let mut all: Vec<(String, Vec<Member>)> = Vec::new();
    for (kind, name) in [
        (b'3', "character device"),
        (b'4', "block device"),
        (b'6', "fifo"),
        (b'S', "sparse"),
        (b'Z', "unknown kind"),
        (b'V', "volume"),
    ] {
        all.push((name.to_string(), vec![special("s", kind)]));
    }
    all.push((
        "pax sparse".to_string(),
        vec![
            pax(&[
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.realsize", "9"),
            ]),
            file("s", b"x"),
        ],
    ));
    all.push((
        "pax size that lies".to_string(),
        vec![pax(&[("size", "3")]), file("s", b"much more")],
    ));
    all.push((
        "pax NUL".to_string(),
        vec![pax(&[("path", "a\0b")]), file("s", b"x")],
    ));
    all
}

#[test]
fn no_hostile_tar_gets_anywhere() {
    let all = hostile_tars();
    assert!(all.len() >= 60, "only {}", all.len());
    for (what, mut members) in all {
        // Something good comes first, so that there is something to take back.
        members.insert(0, file("first", b"good"));
        is_refused(&what, &gz(&tar(&members)));
    }
}

#[test]
fn an_extended_header_never_changes_another() {
    // The size of a pax header says how long the next header is, and not the member: what hides in
    // the member's bytes must not be read as a header.
    let hidden = open_tar(&[file("hidden", b"evil")]);
    let mut host = file("host", &hidden);
    host.size = hidden.len() as u64;
    let members = [
        pax(&[("size", &hidden.len().to_string())]),
        gnu_long(b'L', "name"),
        host,
    ];
    let scene = Scene::new();
    let out = unpacked(&scene, &tar(&members), &[]);
    scene.lacks("new/hidden");
    if out.code == 0 {
        scene.holds([("new/name", &hidden)]);
    } else {
        out.fails(65);
        scene.is_bare();
    }
}

#[test]
fn damaged_archives_are_corrupt() {
    let members = [file("a", &noise(1, 100_000)), file("b", &noise(2, 100_000))];
    let whole = tar(&members);
    let packed = gz(&whole);
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 10 * 9].to_vec();
    is_refused("gz cut", &cut(&packed));
    is_refused("zst cut", &cut(&zst(&whole)));
    is_refused("tar cut", &cut(&whole));
    is_refused("no end", &open_tar(&members));
    is_refused("no end in gz", &gz(&open_tar(&members)));
    is_refused(
        "more after the end",
        &[whole.clone(), b"trailing".to_vec()].concat(),
    );
    is_refused(
        "a member after the end",
        &gz(&[whole.clone(), whole.clone()].concat()),
    );
    is_refused(
        "more after gz",
        &[packed.clone(), b"trailing".to_vec()].concat(),
    );
    let mut flipped = packed.clone();
    flipped[packed.len() / 2] ^= 1;
    is_refused("gz flipped", &flipped);
    let mut header = whole.clone();
    header[3] ^= 1;
    is_refused("header flipped", &header);
    is_refused(
        "size beyond the end",
        &tar(&[file("a", b"a").claiming(1 << 30)]),
    );
    is_refused("no archive", b"this is text");
    is_refused("xz", b"\xfd7zXZ\0\0\x04");
    let scene = Scene::new();
    unpacked(&scene, b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46", &[])
        .fails(65)
        .hints("zst");
    // More zeros after the end are how tar pads.
    let scene = Scene::new();
    unpacked(&scene, &gz(&[whole, vec![0; 10_240]].concat()), &[]).succeeds();
}

/// Every way in which a zip archive can be meant ill.
fn hostile_zips() -> Vec<(&'static str, Vec<Entry>)> {
    let change = |with: fn(&mut Entry)| {
        let mut entry = stored("a", b"content");
        with(&mut entry);
        vec![entry]
    };
    vec![
        ("climbing name", vec![stored("../e", b"evil")]),
        ("absolute name", vec![stored("/abs", b"evil")]),
        ("name in the middle", vec![stored("a/../../e", b"evil")]),
        ("own place", vec![stored(".podinit/x", b"evil")]),
        ("climbing link", vec![zip_symlink("l", "../x")]),
        ("absolute link", vec![zip_symlink("l", "/etc")]),
        (
            "through a link",
            vec![
                zip_symlink("l", "d"),
                stored("d/x", b"x"),
                stored("l/x", b"evil"),
            ],
        ),
        ("encrypted", change(|entry| entry.flags |= 1)),
        ("strongly encrypted", change(|entry| entry.flags |= 0x41)),
        ("wrong CRC", change(|entry| entry.crc ^= 1)),
        ("size that lies, shorter", change(|entry| entry.size = 3)),
        (
            "size that lies, longer",
            change(|entry| entry.size = 3_000_000),
        ),
        (
            "two names",
            change(|entry| entry.local_name = b"b".to_vec()),
        ),
        ("unknown method", change(|entry| entry.method = 99)),
        ("broken deflate", change(|entry| entry.method = 8)),
        ("a device", change(|entry| entry.mode = 0o020_666)),
        ("a fifo", change(|entry| entry.mode = 0o010_666)),
        ("overlapping", {
            let first = stored("a", &noise(1, 1000));
            let mut second = first.clone();
            second.name = b"b".to_vec();
            second.offset = Some(0);
            vec![first, second]
        }),
        (
            "offset beyond the end",
            change(|entry| entry.offset = Some(0x7fff_ffff)),
        ),
    ]
}

#[test]
fn no_hostile_zip_gets_anywhere() {
    for (what, mut entries) in hostile_zips() {
        is_refused(what, &zip(&entries));
        entries.insert(0, stored("first", b"good"));
        // Another entry before moves what an offset of 0 means.
        if what != "overlapping" {
            is_refused(what, &zip(&entries));
        }
    }
    let good = zip(&[stored("a", &noise(1, 10_000))]);
    is_refused("zip cut", &good[..good.len() - 30]);
    is_refused("no middle", &[&good[..20], &good[5000..]].concat());
}

#[test]
fn a_bomb_ends_at_the_cap() {
    let scene = Scene::new();
    run_in(
        &scene.beside(""),
        "truncate -s 2G zeros && tar cf - zeros | zstd -q -1 > bomb.tar.zst; truncate -s 300M zeros; tar cf - zeros | gzip -1 > bomb.tar.gz; rm zeros",
        &[],
    );
    let take = |name: &str| {
        let bytes = fs::read(scene.beside(name)).expect("the bomb");
        fs::remove_file(scene.beside(name)).expect("the bomb");
        bytes
    };
    let (zst_bomb, gz_bomb) = (take("bomb.tar.zst"), take("bomb.tar.gz"));
    unpacked(&scene, &gz_bomb, &["--max-unpacked", "100MiB"])
        .fails(65)
        .hints("--max-unpacked");
    scene.is_bare();
    // Without a flag the cap is the larger of 1 GiB and a hundred times the archive.
    assert!(zst_bomb.len() * 100 < 1 << 30);
    unpacked(&scene, &zst_bomb, &[])
        .fails(65)
        .hints("--max-unpacked");
    scene.is_bare();
    let x = serving(gz(&vec![0; 30 * MIB]));
    let run = || {
        scene
            .fetch(&x.at("/zeros.gz"), "zeros")
            .args(["--unpack=gz"])
    };
    run().args(["--max-unpacked", "29MiB"]).run().fails(65);
    scene.is_bare();
    run().args(["--max-unpacked", "30MiB"]).run().succeeds();
}

#[test]
fn a_million_entries_and_one_are_too_many() {
    let scene = Scene::new();
    // The same folder over and over strains no disk.
    fs::write(scene.beside("member"), open_tar(&[folder("d/")])).expect("a member");
    let script = "python3 -c 'import sys; m = open(\"member\", \"rb\").read(); [sys.stdout.buffer.write(m * 1000) for _ in range(1001)]; sys.stdout.buffer.write(bytes(1024))' | zstd -q -1 > many && rm member";
    run_in(&scene.beside(""), script, &[]);
    let bytes = fs::read(scene.beside("many")).expect("the archive");
    fs::remove_file(scene.beside("many")).expect("the archive");
    let out = unpacked(&scene, &bytes, &[]);
    out.fails(65);
    assert!(
        out.message().replace([',', '_'], "").contains("1000000"),
        "{out:?}"
    );
    scene.is_bare();
}

#[test]
fn a_window_that_takes_too_much_memory_is_refused() {
    // A frame whose header asks for a window of 256 MiB, followed by one raw block.
    let exponent: u8 = 28 - 10;
    let frame = [
        &b"\x28\xb5\x2f\xfd\x00"[..],
        &[exponent << 3],
        &[0x29, 0, 0],
        b"12345",
    ]
    .concat();
    let scene = Scene::new();
    let x = serving(frame);
    let out = scene
        .fetch(&x.at("/x.zst"), "x")
        .args(["--unpack=zst"])
        .run();
    out.fails(65).hints("--long");
    scene.is_bare();
}
