//! Cases 45 and 46: the second run of what is right already.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::{Scene, big};
use crate::support::bucket::Bucket;
use crate::support::seaweedfs::path;
use crate::support::{MIB, Nginx, Object, Origin, Proxy, SeaweedFs, noise, sha256};

/// Inode and time of the last change.
fn identity(path: &Path) -> (u64, i64, i64) {
    let found = fs::metadata(path).expect("it is there");
    (found.ino(), found.mtime(), found.mtime_nsec())
}

/// Flips one byte of a file and puts its time back.
fn flip(path: &Path) {
    let modified = fs::metadata(path)
        .and_then(|found| found.modified())
        .expect("it is there");
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("it is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, 1000).expect("a byte");
    byte[0] ^= 1;
    file.write_all_at(&byte, 1000).expect("a byte");
    file.set_times(FileTimes::new().set_modified(modified))
        .expect("the time is put back");
}

/// One whole object of an X, fetched once.
fn fetched() -> (Origin, Scene) {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    x.forget();
    (x, scene)
}

#[test]
fn what_has_not_changed_costs_one_conditional_request() {
    let (x, scene) = fetched();
    let before = identity(&scene.at("x"));
    let out = scene.fetch(&x.at("/x"), "x").run();
    out.succeeds();
    assert!(
        out.stdout.starts_with(&format!("unchanged {}", x.at("/x"))),
        "{out:?}"
    );
    let asked = x.asked();
    assert_eq!(
        (asked.len(), asked[0].status, x.sent()),
        (1, 304, 0),
        "{:?}",
        x.log()
    );
    assert_eq!(identity(&scene.at("x")), before);
    let report = scene.fetch(&x.at("/x"), "x").report();
    assert_eq!(
        (&report["transferred"], &report["unchanged"]),
        (&0.into(), &1.into()),
        "{report}"
    );
}

#[test]
fn real_servers_answer_that_nothing_changed() {
    let nginx = Nginx::start();
    nginx.put("x", &big());
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.public_bucket();
    seaweed.put(&bucket, "x", &big());
    let scene = Scene::new();
    let proxy = Proxy::before(seaweed.host().parse().expect("an address"));
    let http = |name: &str| scene.fetch(&nginx.at("/x"), name);
    let source = format!("s3://{bucket}/x");
    let s3 = |name: &str| scene.s3(&proxy.url(), &source, name);
    http("ng").run().succeeds();
    s3("sw").run().succeeds();
    let before = [identity(&scene.at("ng")), identity(&scene.at("sw"))];
    nginx.forget();
    proxy.forget();
    http("ng").run().succeeds();
    s3("sw").run().succeeds();
    let served = nginx.served();
    assert_eq!((served.len(), served[0].status, nginx.sent()), (1, 304, 0));
    let seen = proxy.seen();
    assert_eq!(seen.len(), 1, "{:?}", proxy.log());
    assert_eq!(
        seen[0].response.as_ref().map(|answer| answer.status),
        Some(304)
    );
    assert_eq!(
        [identity(&scene.at("ng")), identity(&scene.at("sw"))],
        before
    );
}

#[test]
fn gcs_is_asked_for_its_metadata_once() {
    let bucket = Bucket::of([("x", big())]);
    let x = Origin::new(move |request, _| bucket.gcs(request));
    let scene = Scene::new();
    let run = || {
        scene
            .fetch("gs://b/x", "x")
            .env("STORAGE_EMULATOR_HOST", x.url())
    };
    run().run().succeeds();
    let before = identity(&scene.at("x"));
    x.forget();
    run().run().succeeds();
    assert_eq!(identity(&scene.at("x")), before);
    let log = x.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(!log[0].contains("alt=media"), "{log:?}");
}

#[test]
fn a_pinned_source_costs_no_request() {
    let (x, scene) = fetched();
    let pinned = || {
        scene
            .fetch(&x.at("/x"), "x")
            .with("--sha256", sha256(&big()))
    };
    // The record may hold no SHA-256 yet; from then on it does.
    pinned().run().succeeds();
    assert_eq!(x.sent(), 0, "{:?}", x.log());
    x.forget();
    let before = identity(&scene.at("x"));
    pinned().run().succeeds();
    assert_eq!(x.log(), [""; 0]);
    assert_eq!(identity(&scene.at("x")), before);
    let etag = Object::new(big()).etag.expect("it has one");
    scene
        .fetch(&x.at("/x"), "x")
        .with("--etag", etag)
        .run()
        .succeeds();
    assert_eq!(x.log(), [""; 0]);
}

#[test]
fn a_version_costs_no_request() {
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.public_bucket();
    seaweed.keep_versions(&bucket);
    let answer = seaweed.put(&bucket, "x", &big());
    let version = answer
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-amz-version-id"))
        .map(|(_, value)| value.clone())
        .expect("a version");
    let proxy = Proxy::before(seaweed.host().parse().expect("an address"));
    let scene = Scene::new();
    let source = format!("s3://{bucket}/x?versionId={version}");
    scene.s3(&proxy.url(), &source, "x").run().succeeds();
    proxy.forget();
    scene.s3(&proxy.url(), &source, "x").run().succeeds();
    assert_eq!(proxy.log(), [""; 0]);
    assert!(path(&bucket, "x").starts_with('/'));
    let bucket = Bucket::of([("x", big())]);
    let x = Origin::new(move |request, _| bucket.gcs(request));
    let run = || {
        scene
            .fetch("gs://b/x#1", "gs")
            .env("STORAGE_EMULATOR_HOST", x.url())
    };
    run().run().succeeds();
    x.forget();
    run().run().succeeds();
    assert_eq!(x.log(), [""; 0]);
}

#[test]
fn a_file_that_is_there_before_any_record_is_known_by_its_digest() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    fs::write(scene.at("x"), big()).expect("the file");
    let before = identity(&scene.at("x"));
    let run = || {
        scene
            .fetch(&x.at("/x"), "x")
            .with("--sha256", sha256(&big()))
    };
    run().run().succeeds();
    assert_eq!((x.log().len(), identity(&scene.at("x"))), (0, before));
    assert!(
        scene.at(".podinit/x.json").is_file(),
        "the record is written"
    );
    fs::write(scene.at("x"), "something else").expect("the file");
    run().run().succeeds();
    scene.holds([("x", big())]);
}

#[test]
fn a_prefix_costs_its_list() {
    let bucket = Bucket::of([("p/a", "a"), ("p/s/b", "b")]);
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    let before = identity(&scene.at("new/s/b"));
    x.forget();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    assert_eq!(identity(&scene.at("new/s/b")), before);
    let log = x.log();
    assert!(log.len() == 1 && log[0].contains("list-type=2"), "{log:?}");
    // One file is gone: it alone comes again.
    fs::remove_file(scene.at("new/a")).expect("it is there");
    x.forget();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    scene.holds([("new/a", "a"), ("new/s/b", "b")]);
    let log = x.log();
    assert!(
        log.len() == 2 && log.iter().any(|line| line.contains("/p/a")),
        "{log:?}"
    );
    assert_eq!(identity(&scene.at("new/s/b")), before);
}

#[test]
fn an_unpacked_archive_is_known_again() {
    use crate::support::archive::{file, gz, tar};
    let packed = gz(&tar(&[file("a", b"a"), file("s/b", b"b")]));
    let x = Origin::new(move |request, _| Object::new(packed.clone()).answer(request));
    let scene = Scene::new();
    let run = || scene.fetch(&x.at("/x.tar.gz"), "new").args(["--unpack"]);
    run().run().succeeds();
    let before = identity(&scene.at("new/a"));
    x.forget();
    run().run().succeeds();
    assert_eq!((identity(&scene.at("new/a")), x.sent()), (before, 0));
    // A file that was changed afterwards is put right.
    fs::write(scene.at("new/s/b"), "changed!").expect("it is there");
    run().run().succeeds();
    scene.holds([("new/a", "a"), ("new/s/b", "b")]);
}

#[test]
fn a_flipped_byte_is_seen_only_by_looking() {
    let (x, scene) = fetched();
    let before = identity(&scene.at("x"));
    flip(&scene.at("x"));
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    assert_eq!((identity(&scene.at("x")), x.sent()), (before, 0));
    let report = scene
        .fetch(&x.at("/x"), "x")
        .args(["--if-changed", "verify"])
        .report();
    assert!(
        report["transferred"].as_u64().expect("a number") > 0,
        "{report}"
    );
    scene.holds([("x", big())]);
    x.forget();
    scene
        .fetch(&x.at("/x"), "x")
        .args(["--if-changed", "verify"])
        .run()
        .succeeds();
    assert_eq!(x.sent(), 0);
}

#[test]
fn a_copied_file_is_known_by_its_content() {
    let (x, scene) = fetched();
    fs::copy(scene.at("x"), scene.at("copy")).expect("a copy");
    fs::rename(scene.at("copy"), scene.at("x")).expect("in its place");
    let report = scene.fetch(&x.at("/x"), "x").report();
    assert_eq!(
        (&report["transferred"], x.sent()),
        (&0.into(), 0),
        "{report}"
    );
    // The same size with other bytes is not.
    fs::write(scene.at("x"), noise(77, 20 * MIB)).expect("the file");
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
}

#[test]
fn off_always_fetches_and_leaves_no_record() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    for _ in 0..2 {
        x.forget();
        scene
            .fetch(&x.at("/x"), "x")
            .args(["--if-changed", "off"])
            .run()
            .succeeds();
        assert_eq!(x.sent(), big().len() as u64);
        assert!(!scene.at(".podinit").exists());
    }
}

#[test]
fn a_damaged_record_is_no_record() {
    for text in ["", "{", "[]", "{\"source\":7}", "null"] {
        let (x, scene) = fetched();
        fs::write(scene.at(".podinit/x.json"), text).expect("the record");
        scene.fetch(&x.at("/x"), "x").run().succeeds();
        scene.holds([("x", big())]);
    }
}

#[test]
fn another_source_for_the_same_dest_is_fetched() {
    let (x, scene) = fetched();
    let other = noise(3, MIB);
    let y = {
        let object = Object::new(other.clone());
        Origin::new(move |request, _| object.answer(request))
    };
    scene.fetch(&y.at("/x"), "x").run().succeeds();
    scene.holds([("x", &other)]);
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
}

#[test]
fn mode_and_owner_are_put_right_without_fetching() {
    let (x, scene) = fetched();
    let run = scene
        .fetch(&x.at("/x"), "x")
        .args(["--mode", "0400", "--owner", "1234:5678"]);
    run.run().succeeds();
    assert_eq!((scene.mode("x"), x.sent()), (0o400, 0));
    let found = fs::metadata(scene.at("x")).expect("it is there");
    assert_eq!((found.uid(), found.gid()), (1234, 5678));
}
