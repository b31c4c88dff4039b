//! Cases 52, 54, 55 and 56: archives that good users have, and what becomes of them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{OLD, Scene};
use crate::support::archive::{
    file, folder, gnu_long, gz, hard_link, open_tar, pax, stored, symlink, tar, zip, zst,
};
use crate::support::certificates::run_in;
use crate::support::openbao::python;
use crate::support::tree::tree;
use crate::support::{MIB, Object, Origin, Outcome, noise, sha256};

/// An X with one object.
pub fn serving(bytes: impl Into<bytes::Bytes>) -> Origin {
    let object = Object::new(bytes);
    Origin::new(move |request, _| object.answer(request))
}

/// Unpacks some bytes into D/new.
pub fn unpacked(scene: &Scene, bytes: &[u8], flags: &[&str]) -> Outcome {
    let x = serving(bytes.to_vec());
    scene
        .fetch(&x.at("/archive"), "new")
        .args(["--unpack"])
        .args(flags)
        .run()
}

#[test]
fn good_members_are_all_right() {
    let long = format!("{}/{}", "d".repeat(150), "n".repeat(149));
    let long_101 = "n".repeat(101);
    let members = [
        file("setuid", b"s").mode(0o4755),
        file("script", b"#!").mode(0o755),
        gnu_long(b'L', &long_101),
        file("short", b"101"),
        pax(&[("path", &long)]),
        file("short", b"300"),
        file("implied/folders/f", b"i"),
        file("epoch", b"e").at(0),
        file("twice", b"first"),
        file("twice", b"second"),
        folder("lib"),
        file("lib/lib.so.1", b"so"),
        symlink("lib/lib.so", "lib.so.1"),
        symlink("lib/up", "../twice"),
        hard_link("hard", "lib/lib.so.1"),
        file("./dotted", b"d"),
        folder("./"),
        symlink("dangling", "not/there"),
    ];
    let scene = Scene::new();
    for bytes in [tar(&members), gz(&tar(&members)), zst(&tar(&members))] {
        let out = unpacked(&scene, &bytes, &["--if-changed", "off"]);
        out.succeeds();
        let at = |name: &str| scene.at("new").join(name);
        scene
            .has("new/twice", b"second")
            .has(&format!("new/{long}"), b"300")
            .has(&format!("new/{long_101}"), b"101");
        scene
            .has("new/implied/folders/f", b"i")
            .has("new/hard", b"so")
            .has("new/lib/lib.so", b"so")
            .has("new/dotted", b"d");
        scene.has("new/lib/up", b"second");
        assert_eq!(
            fs::read_link(at("lib/lib.so")).expect("a link"),
            Path::new("lib.so.1")
        );
        assert_eq!(
            fs::read_link(at("dangling")).expect("a link"),
            Path::new("not/there")
        );
        assert_eq!(
            (
                scene.mode("new/setuid"),
                scene.mode("new/script"),
                scene.mode("new/epoch")
            ),
            (0o755, 0o755, 0o644)
        );
        assert_eq!(fs::metadata(at("epoch")).expect("it is there").mtime(), 0);
        assert_eq!(
            fs::metadata(at("twice")).expect("it is there").mtime(),
            1_700_000_000
        );
        let inode = |name: &str| fs::metadata(at(name)).expect("it is there").ino();
        assert_eq!(inode("hard"), inode("lib/lib.so.1"));
        fs::remove_dir_all(scene.at("new")).expect("it is there");
    }
}

#[test]
fn modes_of_an_archive_can_be_overruled() {
    let members = [
        file("script", b"#!").mode(0o755),
        file("text", b"t").mode(0o666),
    ];
    let scene = Scene::new();
    unpacked(&scene, &tar(&members), &["--mode", "0440"]).succeeds();
    assert_eq!(
        (
            scene.mode("new/script"),
            scene.mode("new/text"),
            scene.mode("new")
        ),
        (0o550, 0o440, 0o550)
    );
}

#[test]
fn leading_segments_are_stripped() {
    let members = [
        folder("top/"),
        file("top/a", b"a"),
        file("top/s/b", b"b"),
        file("alone", b"x"),
    ];
    let scene = Scene::new();
    unpacked(&scene, &tar(&members), &["--strip-components", "1"]).succeeds();
    scene.holds([("new/a", "a"), ("new/s/b", "b")]);
    let scene = Scene::new();
    unpacked(&scene, &tar(&members), &["--strip-components", "2"]).succeeds();
    scene.holds([("new/b", "b")]);
    let scene = Scene::new();
    unpacked(&scene, &tar(&members), &["--strip-components", "3"]).fails(66);
    scene.is_bare();
    // What is stripped is judged all the same.
    let scene = Scene::new();
    unpacked(
        &scene,
        &tar(&[file("../e", b"e"), file("t/a", b"a")]),
        &["--strip-components", "1"],
    )
    .fails(65);
    scene.is_bare();
}

#[test]
fn an_empty_archive_is_missing_unless_allowed() {
    for bytes in [tar(&[]), gz(&tar(&[])), zip(&[])] {
        let kind = if bytes.starts_with(b"PK") {
            "--unpack=zip"
        } else if bytes.starts_with(b"\x1f") {
            "--unpack=tar.gz"
        } else {
            "--unpack=tar"
        };
        let x = serving(bytes);
        let scene = Scene::new();
        let run = || scene.fetch(&x.at("/archive"), "new").args([kind]);
        run().run().fails(66);
        scene.is_bare();
        run().args(["--allow-empty"]).run().succeeds();
        assert!(scene.at("new").is_dir());
    }
}

#[test]
fn what_an_archive_is_shows_in_its_bytes() {
    let members = [file("a", b"a")];
    let packed = zst(&tar(&members));
    let x = serving(packed);
    let scene = Scene::new();
    scene
        .fetch(&x.at("/x.tar.gz"), "auto")
        .args(["--unpack"])
        .run()
        .succeeds();
    scene
        .fetch(&x.at("/x.tar.gz"), "named")
        .args(["--unpack=tar.zst"])
        .run()
        .succeeds();
    scene
        .fetch(&x.at("/x.tar.gz"), "wrong")
        .args(["--unpack=tar.gz"])
        .run()
        .fails(65);
    scene.holds([("auto/a", "a"), ("named/a", "a")]);
    // Members and frames may follow each other.
    let whole = tar(&[file("a", &noise(1, 5000)), file("b", b"b")]);
    let (one, two) = whole.split_at(3000);
    for (pieces, name) in [([gz(one), gz(two)], "gz"), ([zst(one), zst(two)], "zst")] {
        let scene = Scene::new();
        unpacked(&scene, &pieces.concat(), &[]).succeeds();
        scene.holds([("new/a", &noise(1, 5000)[..]), ("new/b", b"b")]);
        assert!(!name.is_empty());
    }
    // An empty frame and one that is to be skipped say nothing.
    let skipped = [
        b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec(),
        zst(&whole),
        zst(b""),
    ]
    .concat();
    let scene = Scene::new();
    let x = serving(skipped);
    scene
        .fetch(&x.at("/x"), "new")
        .args(["--unpack=tar.zst"])
        .run()
        .succeeds();
}

#[test]
fn gz_and_zst_alone_give_one_file() {
    let text = noise(9, 3 * MIB + 7);
    for (packed, suffix, kind) in [
        (gz(&text), "gz", "--unpack=gz"),
        (zst(&text), "zst", "--unpack=zst"),
    ] {
        let x = serving(packed);
        let scene = Scene::new();
        let url = x.at(&format!("/app.bin.{suffix}"));
        scene.fetch(&url, "").args([kind]).run().succeeds();
        scene
            .fetch(&url, "named")
            .args([kind, "--mode", "0755"])
            .run()
            .succeeds();
        scene
            .fetch(&url, "auto")
            .args(["--unpack"])
            .run()
            .succeeds();
        scene.holds([("app.bin", &text), ("named", &text), ("auto", &text)]);
        assert_eq!((scene.mode("named"), scene.mode("app.bin")), (0o755, 0o644));
    }
    let x = serving([gz(b"one "), gz(b"two")].concat());
    let scene = Scene::new();
    scene
        .fetch(&x.at("/x.gz"), "x")
        .args(["--unpack=gz"])
        .run()
        .succeeds();
    scene.holds([("x", "one two")]);
    let x = serving(gz(&text)[..1000].to_vec());
    scene.old("x");
    scene
        .fetch(&x.at("/x.gz"), "x")
        .args(["--unpack=gz"])
        .timeout("10s")
        .run()
        .fails(65);
    scene.has("x", OLD);
}

#[test]
fn a_stream_is_never_on_disk_as_an_archive() {
    let content = noise(55, 48 * MIB);
    let packed = zst(&tar(&[file("data", &content)]));
    let digest = sha256(&packed);
    let object = Object::new(packed.clone());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let run = || scene.fetch(&x.at("/x.tar.zst"), "new").args(["--unpack"]);
    // In the middle nothing of it is published, and the disk holds content, not archive.
    x.hold_after(packed.len() as u64 / 2);
    let killed = run().spawn();
    x.wait_for_bytes(packed.len() as u64 / 2);
    scene.lacks("new");
    let held: u64 = scene.tree().values().map(|entry| entry.size).sum();
    assert!(
        held <= content.len() as u64 / 100 * 101,
        "{held} bytes on the disk"
    );
    assert!(
        scene
            .tree()
            .keys()
            .all(|path| !path.to_string_lossy().ends_with(".part")),
        "an archive on the disk"
    );
    killed.kill();
    x.release();
    scene.lacks("new");
    run().run().succeeds();
    scene.holds([("new/data", &content)]);
    fs::remove_dir_all(scene.at("new")).expect("it is there");
    let out = run().with("--sha256", "0".repeat(64)).run();
    out.fails(65);
    scene.is_bare();
    run().with("--sha256", digest).run().succeeds();
    scene.holds([("new/data", &content)]);
}

#[test]
fn an_object_that_changes_under_an_archive_gives_one_of_both() {
    let content = |seed| noise(seed, 24 * MIB);
    let pack = |seed| Object::new(tar(&[file("data", &content(seed))]));
    let (first, second) = (pack(1), pack(2));
    let x = Origin::new(move |request, turn| match turn {
        0 => first.answer(request),
        _ => second.answer(request),
    });
    let scene = Scene::new();
    scene
        .fetch(&x.at("/x.tar"), "new")
        .args(["--unpack"])
        .run()
        .succeeds();
    scene.holds([("new/data", content(2))]);
}

#[test]
fn good_zips_are_right() {
    let scene = Scene::new();
    let script = r#"
import zipfile
for name, kind in (("stored", zipfile.ZIP_STORED), ("deflate", zipfile.ZIP_DEFLATED)):
    with zipfile.ZipFile(name + ".zip", "w", kind) as z:
        z.writestr("a.txt", "text " * 1000)
        z.writestr("s/empty", "")
        z.writestr("s/", "")
        i = zipfile.ZipInfo("run"); i.external_attr = 0o100755 << 16; i.create_system = 3
        z.writestr(i, '#!')
        with z.open("big64", "w", force_zip64=True) as f: f.write(b"64" * 1000)
with zipfile.ZipFile("link.zip", "w") as z:
    z.writestr("target", "t")
    i = zipfile.ZipInfo("l"); i.external_attr = 0o120777 << 16; i.create_system = 3
    z.writestr(i, "target")
"#;
    let path = scene.file("make.py", script);
    let python = python();
    run_in(
        &scene.beside(""),
        "\"$1\" \"$2\"",
        &[&python.display().to_string(), &path.display().to_string()],
    );
    for name in ["stored", "deflate"] {
        let bytes = fs::read(scene.beside(&format!("{name}.zip"))).expect("the archive");
        let x = serving(bytes);
        scene
            .fetch(&x.at("/x.zip"), name)
            .args(["--unpack"])
            .run()
            .succeeds();
        scene.has(&format!("{name}/a.txt"), "text ".repeat(1000).as_bytes());
        scene
            .has(&format!("{name}/big64"), "64".repeat(1000).as_bytes())
            .has(&format!("{name}/s/empty"), b"");
        assert_eq!(scene.mode(&format!("{name}/run")), 0o755);
    }
    let x = serving(fs::read(scene.beside("link.zip")).expect("the archive"));
    scene
        .fetch(&x.at("/x.zip"), "link")
        .args(["--unpack=zip"])
        .run()
        .succeeds();
    scene.has("link/l", b"t");
    assert_eq!(
        fs::read_link(scene.at("link/l")).expect("a link"),
        Path::new("target")
    );
    // zstd in a zip, which Python does not write.
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Zstd);
    writer.start_file("z", options).expect("memory");
    writer.write_all(&vec![7; 100_000]).expect("memory");
    let bytes = writer.finish().expect("memory").into_inner();
    unpacked(&scene, &bytes, &[]).succeeds();
    scene.has("new/z", &vec![7; 100_000]);
}

#[test]
fn names_in_a_zip_are_bytes() {
    let scene = Scene::new();
    let mut entries = [
        stored("a\\..\\b", b"back"),
        stored("é", b"utf"),
        stored("-rf", b"dash"),
    ];
    // The flag that says that the name is UTF-8.
    entries[1].flags |= 0x800;
    let out = unpacked(&scene, &zip(&entries), &[]);
    out.succeeds();
    scene.holds([
        ("new/a\\..\\b", "back"),
        ("new/é", "utf"),
        ("new/-rf", "dash"),
    ]);
}

#[test]
fn archives_that_good_users_make_are_right() {
    let scene = Scene::new();
    let long = "directory-with-a-long-name/".repeat(12);
    let script = format!(
        "mkdir -p src/'{long}' src/empty src/s && echo one > src/s/one && echo deep > src/'{long}'/deep \
         && ln -s s/one src/link && ln src/s/one src/hard && printf '#!' > src/run && chmod 755 src/run \
         && echo é > 'src/é 漢' && printf '' > src/zero && head -c 300000 /dev/urandom > src/random \
         && touch -d @1600000000 src/random \
         && tar --format=gnu -C src -czf gnu.tgz . && tar --format=pax -C src -cf - . | zstd -q -T1 > pax.tzst \
         && tar --format=posix --sort=name -C src -cf posix.tar . && bsdtar --format pax -C src -cf bsd.tar . \
         && bsdtar --format gnutar -C src -czf bsdgnu.tgz . && bsdtar --format zip -C src -cf bsd.zip . \
         && zstd -q --long=27 -19 -T1 posix.tar -o long.tzst"
    );
    run_in(&scene.beside(""), &script, &[]);
    let wanted = |name: &str| fs::read(scene.beside("src").join(name)).expect("it is there");
    for archive in [
        "gnu.tgz",
        "pax.tzst",
        "posix.tar",
        "bsd.tar",
        "bsdgnu.tgz",
        "bsd.zip",
        "long.tzst",
    ] {
        let x = serving(fs::read(scene.beside(archive)).expect("the archive"));
        let dest = format!("out-{archive}");
        scene
            .fetch(&x.at(&format!("/{archive}")), &dest)
            .args(["--unpack"])
            .run()
            .succeeds();
        let deep = format!("{long}deep");
        for name in [
            "s/one", &deep, "link", "hard", "run", "é 漢", "zero", "random",
        ] {
            scene.has(&format!("{dest}/{name}"), &wanted(name));
        }
        assert_eq!(scene.mode(&format!("{dest}/run")), 0o755, "{archive}");
        assert!(scene.at(&dest).join("empty").is_dir(), "{archive}");
        let link = fs::read_link(scene.at(&dest).join("link")).expect("a link");
        assert_eq!(link, Path::new("s/one"), "{archive}");
        let time = fs::metadata(scene.at(&dest).join("random"))
            .expect("it is there")
            .mtime();
        assert_eq!(time, 1_600_000_000, "{archive}");
    }
}

#[test]
fn unpacking_into_a_folder_that_is_not_empty_keeps_the_rest() {
    let scene = Scene::new();
    scene.old("new/own").old("new/a");
    unpacked(&scene, &tar(&[file("a", b"a"), file("s/b", b"b")]), &[]).succeeds();
    scene.holds([("new/own", OLD), ("new/a", b"a"), ("new/s/b", b"b")]);
    // Nothing is replaced by an archive that turns out to be damaged at its end.
    let scene = Scene::new();
    scene.old("new/own").old("new/a");
    let cut = open_tar(&[file("a", b"a"), file("s/b", b"b")]);
    unpacked(&scene, &cut, &[]).fails(65);
    scene.holds([("new/own", OLD), ("new/a", OLD)]);
    // Nor through a link that lies in the way.
    fs::create_dir(scene.beside("outside")).expect("a folder");
    std::os::unix::fs::symlink(scene.beside("outside"), scene.at("new/s")).expect("a link");
    let x = serving(tar(&[file("a", b"a"), file("s/b", b"b")]));
    scene
        .fetch(&x.at("/x"), "new")
        .args(["--unpack"])
        .may_leave_files()
        .run()
        .fails(74);
    assert!(tree(&scene.beside("outside")).is_empty());
}
