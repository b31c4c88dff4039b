//! Cases 47 to 49: modes, owners, and the limits that a caller sets.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::Duration;

use super::{OLD, Scene, big};
use crate::support::bucket::Bucket;
use crate::support::{Answer, MIB, Object, Origin, machine_to_itself, noise};

fn store() -> Origin {
    let bucket = Bucket::of([("k", "text"), ("p/a", "a"), ("p/s/b", "b")]);
    Origin::new(move |request, _| bucket.s3(request))
}

#[test]
fn the_mode_is_the_one_asked_for_whatever_the_umask() {
    let x = store();
    let scene = Scene::new();
    let run = |source: &str, dest: &str| scene.s3(&x.url(), source, dest).umask("077");
    run("s3://b/k", "default").run().succeeds();
    run("s3://b/k", "asked")
        .args(["--mode", "0440"])
        .run()
        .succeeds();
    run("s3://b/p/", "folder").run().succeeds();
    run("s3://b/p/", "modest")
        .args(["--mode", "440"])
        .run()
        .succeeds();
    assert_eq!((scene.mode("default"), scene.mode("asked")), (0o644, 0o440));
    assert_eq!(
        (
            scene.mode("folder"),
            scene.mode("folder/s"),
            scene.mode("folder/s/b")
        ),
        (0o755, 0o755, 0o644)
    );
    assert_eq!(
        (
            scene.mode("modest"),
            scene.mode("modest/s"),
            scene.mode("modest/s/b")
        ),
        (0o550, 0o550, 0o440)
    );
}

#[test]
fn a_file_in_a_setgid_folder_keeps_its_group() {
    let x = store();
    let scene = Scene::new();
    chown(scene.dir(), Some(1000), Some(4321)).expect("chown");
    fs::set_permissions(scene.dir(), Permissions::from_mode(0o2775)).expect("chmod");
    scene
        .s3(&x.url(), "s3://b/k", "x")
        .uid(1000)
        .run()
        .succeeds();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .uid(1000)
        .run()
        .succeeds();
    for name in ["x", "new", "new/s", "new/s/b"] {
        let found = fs::metadata(scene.at(name)).expect("it is there");
        assert_eq!((found.uid(), found.gid()), (1000, 4321), "{name}");
    }
    assert_eq!((scene.mode("new"), scene.mode("new/s")), (0o2755, 0o2755));
    // Read-only folders are renamed and replaced all the same.
    for _ in 0..2 {
        let run = scene
            .s3(&x.url(), "s3://b/p/", "ro")
            .uid(1000)
            .args(["--mode", "0440"]);
        run.args(["--if-changed", "off"])
            .may_leave_files()
            .run()
            .succeeds();
        assert_eq!(
            (scene.mode("ro") & 0o777, scene.mode("ro/s/b")),
            (0o550, 0o440)
        );
    }
}

#[test]
fn an_owner_needs_the_capability() {
    let x = store();
    let scene = Scene::new();
    scene
        .s3(&x.url(), "s3://b/k", "x")
        .args(["--owner", "1:1"])
        .run()
        .succeeds();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--owner", "1:2"])
        .run()
        .succeeds();
    let owner = |name: &str| {
        let found = fs::metadata(scene.at(name)).expect("it is there");
        (found.uid(), found.gid())
    };
    assert_eq!(
        (owner("x"), owner("new"), owner("new/s"), owner("new/s/b")),
        ((1, 1), (1, 2), (1, 2), (1, 2))
    );
    let run = scene.s3(&x.url(), "s3://b/k", "y").args(["--owner", "1:1"]);
    run.without_capability("chown")
        .run()
        .fails(77)
        .hints("--owner");
    scene.lacks("y");
}

#[test]
fn the_record_and_parts_are_not_for_everyone() {
    let object = Object::random(1, 16 * MIB);
    let x = Origin::new(move |request, _| object.answer(request));
    x.hold_after(8 * MIB as u64);
    let scene = Scene::new();
    let run = scene.fetch(&x.at("/x"), "x").spawn();
    x.wait_for_bytes(8 * MIB as u64);
    assert_eq!(scene.mode(".podinit"), 0o755);
    assert_eq!(scene.mode(".podinit/x.part"), 0o600);
    x.release();
    run.finish().succeeds();
    assert_eq!(scene.mode("x"), 0o644);
    scene.lacks(".podinit/x.part").lacks(".podinit/x.journal");
}

#[test]
fn the_bandwidth_is_kept() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let _turn = machine_to_itself();
    for part in ["1MiB", "64MiB"] {
        let scene = Scene::new();
        let run =
            scene
                .fetch(&x.at("/x"), "x")
                .args(["--max-bandwidth", "5MiB", "--part-size", part]);
        let out = run.run();
        out.succeeds();
        out.no_sooner_than(Duration::from_millis(3600))
            .within(Duration::from_secs(5));
        scene.holds([("x", big())]);
    }
}

#[test]
fn what_is_too_large_is_refused_before_it_is_fetched() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    scene.old("x");
    let out = scene
        .fetch(&x.at("/x"), "x")
        .args(["--max-size", "10MiB"])
        .run();
    out.fails(65)
        .says(&big().len().to_string())
        .within(Duration::from_secs(1));
    assert!(x.sent() <= 8 * MIB as u64, "{} bytes", x.sent());
    let bucket = Bucket::of((0..3).map(|n| (format!("p/{n}"), noise(n, 4 * MIB))));
    let x = Origin::new(move |request, _| bucket.s3(request));
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--max-size", "10MiB"])
        .run()
        .fails(65);
    assert!(
        x.log().iter().all(|line| line.contains("list-type")),
        "{:?}",
        x.log()
    );
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--max-size", "12MiB"])
        .run()
        .succeeds();
}

#[test]
fn what_is_too_large_without_saying_so_is_cut_off() {
    for framing in [Answer::chunked, Answer::until_close] {
        let object = Object::new(big());
        let x = Origin::new(move |_, _| framing(object.whole()));
        let scene = Scene::new();
        let run = scene.old("x").fetch(&x.at("/x"), "x");
        let digest = crate::support::sha256(&big());
        run.args(["--max-size", "10MiB", "--sha256", &digest])
            .run()
            .fails(65);
        scene.has("x", OLD);
        assert!(x.sent() <= 14 * MIB as u64, "{} bytes", x.sent());
    }
    // Exactly as much as is allowed is allowed.
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    scene
        .fetch(&x.at("/x"), "x")
        .args(["--max-size", "20MiB"])
        .run()
        .succeeds();
}
