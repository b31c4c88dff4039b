//! Cases 34 to 36 and 38: many objects, filters, failures in the middle, one step for all.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{Ends, OLD, Scene};
use crate::support::bucket::{Bucket, crc64nvme, split};
use crate::support::{Answer, MIB, Object, Origin, SeaweedFs, noise};

/// So many small objects below `p/`, with their names as content.
fn many(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| {
            (
                format!("p/d{}/{number}", number % 7),
                format!("content of {number}"),
            )
        })
        .collect()
}

/// The same as files below a folder.
fn files<'c>(folder: &str, objects: &'c [(String, String)]) -> Vec<(String, &'c str)> {
    let name = |key: &String| format!("{folder}/{}", &key[2..]);
    objects
        .iter()
        .map(|(key, text)| (name(key), text.as_str()))
        .collect()
}

#[test]
fn all_pages_are_read() {
    let objects = many(2500);
    let mut bucket = Bucket::of(objects.clone()).pages_of(1000);
    bucket.empty_page_first = true;
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    scene.holds(files("new", &objects));
    let lists = x
        .log()
        .iter()
        .filter(|line| line.contains("list-type=2"))
        .count();
    assert_eq!(lists, 4);
    // All of the list comes before the first object.
    let log = x.log();
    let first = log
        .iter()
        .position(|line| !line.contains("list-type=2"))
        .expect("objects");
    assert!(
        log[first..]
            .iter()
            .all(|line| !line.contains("list-type=2")),
        "lists after objects"
    );
}

#[test]
fn all_pages_of_the_other_stores_are_read() {
    let objects = many(250);
    let bucket = Bucket::of(objects.clone()).pages_of(100);
    let (gcs, azure) = (bucket.clone(), bucket);
    let scene = Scene::new();
    let x = Origin::new(move |request, _| gcs.gcs(request));
    scene
        .fetch("gs://b/p/", "gs")
        .env("STORAGE_EMULATOR_HOST", x.url())
        .run()
        .succeeds();
    let x = Origin::new(move |request, _| azure.azure(request));
    scene
        .fetch("az://a/c/p/", "az")
        .with("--endpoint-url", x.url())
        .run()
        .succeeds();
    let mut wanted = files("gs", &objects);
    wanted.extend(files("az", &objects));
    scene.holds(wanted);
}

#[test]
fn a_list_that_turns_in_a_circle_ends() {
    // The same token for ever.
    let x = Origin::new(|_, _| {
        Answer::text(
            200,
            "application/xml",
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken></ListBucketResult>",
        )
    });
    let scene = Scene::new();
    let out = scene.s3(&x.url(), "s3://b/p/", "new").timeout("5s").run();
    assert!([65, 69].contains(&out.code), "{out:?}");
    scene.is_bare();
}

#[test]
fn an_object_that_goes_between_list_and_get_is_missing() {
    let mut bucket = Bucket::of(many(20));
    bucket = bucket.clone().listing(
        bucket
            .objects
            .iter()
            .map(|(key, object)| (key.as_str(), object.len()))
            .collect::<Vec<_>>(),
    );
    bucket.objects.remove("p/d3/10");
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    let out = scene.s3(&x.url(), "s3://b/p/", "new").run();
    out.fails(66).says("p/d3/10");
    scene.is_bare();
}

/// Flags, and the files that they choose.
type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)]);

#[test]
fn filters_choose_by_the_key_after_the_prefix() {
    let bucket = Bucket::of([("p/a.bin", "a"), ("p/s/b.bin", "b"), ("p/s/c.txt", "c")]);
    let x = Origin::new(move |request, _| bucket.s3(request));
    let (a, b, c) = (
        ("new/a.bin", "a"),
        ("new/s/b.bin", "b"),
        ("new/s/c.txt", "c"),
    );
    let cases: &[Case<'_>] = &[
        (&["--include", "*.bin"], &[a, b]),
        (&["--exclude", "s/*"], &[a]),
        (&["--include", "*.bin", "--exclude", "s/*"], &[a]),
        (&["--exclude", "s/*", "--include", "*.bin"], &[a]),
        (&["--include", "a.bin", "--include", "*.txt"], &[a, c]),
        (&["--include", "?/[b-c].*"], &[b, c]),
        (&["--include", "*.BIN", "--include", "a*"], &[a]),
        (&["--include", "a?bin"], &[a]),
        (&["--include", "s?b.bin"], &[b]),
        (&["--include", "*"], &[a, b, c]),
    ];
    for (flags, wanted) in cases {
        let scene = Scene::new();
        scene
            .s3(&x.url(), "s3://b/p/", "new")
            .args(*flags)
            .run()
            .succeeds();
        scene.holds(wanted.iter().copied());
    }
    let scene = Scene::new();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--include", "*.zip"])
        .run()
        .fails(66);
    scene.is_bare();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--include", "[a-"])
        .run()
        .fails(64);
    let run = scene.s3(&x.url(), "s3://b/p/", "new");
    run.env("PODINIT_INCLUDE", "a.bin\n*.txt").run().succeeds();
    scene.holds([a, c]);
}

/// A store of a hundred objects, one of which is forbidden while the switch is on.
fn forbidding(is_forbidden: &Arc<AtomicBool>) -> (Origin, Vec<(String, String)>) {
    let objects = many(100);
    let bucket = Bucket::of(objects.clone());
    let is_forbidden = Arc::clone(is_forbidden);
    let x = Origin::new(move |request, _| {
        if split(&request.target).0.ends_with("/50") && is_forbidden.load(Ordering::SeqCst) {
            Answer::s3_error(403, "AccessDenied")
        } else {
            bucket.s3(request)
        }
    });
    (x, objects)
}

#[test]
fn a_forbidden_object_of_many_leaves_nothing_of_a_new_folder() {
    let is_forbidden = Arc::new(AtomicBool::new(true));
    let (x, objects) = forbidding(&is_forbidden);
    let scene = Scene::new();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .run()
        .fails(77)
        .says("/50");
    scene.is_bare();
    is_forbidden.store(false, Ordering::SeqCst);
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    scene.holds(files("new", &objects));
}

#[test]
fn a_forbidden_object_of_many_leaves_whole_files_in_a_full_folder() {
    let is_forbidden = Arc::new(AtomicBool::new(true));
    let (x, objects) = forbidding(&is_forbidden);
    let scene = Scene::new();
    scene.old("new/own");
    let out = scene
        .s3(&x.url(), "s3://b/p/", "new")
        .may_leave_files()
        .run();
    out.fails(77).says("/50");
    let contents: BTreeMap<_, _> = files("new", &objects).into_iter().collect();
    let mut there = 0;
    for (name, text) in &contents {
        if let Ok(found) = fs::read(scene.at(name)) {
            assert_eq!(found, text.as_bytes(), "{name}");
            there += 1;
        }
    }
    scene.has("new/own", OLD);
    x.forget();
    is_forbidden.store(false, Ordering::SeqCst);
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    scene.has("new/own", OLD);
    let mut wanted = files("new", &objects);
    let old = std::str::from_utf8(OLD).expect("text");
    wanted.push(("new/own".to_string(), old));
    scene.holds(wanted);
    let gets = x
        .log()
        .iter()
        .filter(|line| !line.contains("list-type") && line.starts_with("GET"))
        .count();
    assert_eq!(gets, 100 - there, "only what is missing is fetched");
}

#[test]
fn delete_removes_what_the_source_lacks_and_nothing_else() {
    use std::os::unix::fs::symlink;
    let bucket = Bucket::of([("p/a", "a"), ("p/s/b", "b")]);
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    let kept = scene.file("kept", "outside");
    fs::create_dir(scene.beside("folder")).expect("a folder");
    fs::write(scene.beside("folder/inner"), "outside").expect("a file");
    for name in [
        "gone",
        "s/gone",
        "t/u/gone",
        "lost+found/kept",
        "logs/kept.log",
    ] {
        scene.old(&format!("new/{name}"));
    }
    symlink(&kept, scene.at("new/link")).expect("a link");
    symlink(scene.beside("folder"), scene.at("new/tree")).expect("a link");
    let run = || {
        scene
            .s3(&x.url(), "s3://b/p/", "new")
            .args(["--exclude", "logs/*"])
    };
    let plan = run().args(["--delete", "--dry-run"]).run();
    plan.succeeds();
    scene.has("new/gone", OLD);
    run().run().succeeds();
    scene.has("new/gone", OLD);
    let report = run().args(["--delete"]).report();
    assert_eq!(report["deleted"], 5, "{report}");
    scene.holds([
        ("new/a", &b"a"[..]),
        ("new/s/b", b"b"),
        ("new/lost+found/kept", OLD),
        ("new/logs/kept.log", OLD),
    ]);
    scene.lacks("new/link").lacks("new/tree");
    assert_eq!(fs::read(&kept).expect("it is there"), b"outside");
    assert_eq!(
        fs::read(scene.beside("folder/inner")).expect("it is there"),
        b"outside"
    );
}

#[test]
fn delete_waits_until_all_is_fetched() {
    let is_forbidden = Arc::new(AtomicBool::new(true));
    let (x, _) = forbidding(&is_forbidden);
    let scene = Scene::new();
    scene.old("new/own");
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--delete"])
        .may_leave_files()
        .run()
        .fails(77);
    scene.has("new/own", OLD);
}

/// What a reader finds below a folder, if it stays the same folder while he looks.
fn look(folder: &Path) -> Option<BTreeMap<String, Vec<u8>>> {
    use std::os::unix::fs::MetadataExt;
    let before = fs::metadata(folder).ok()?.ino();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).ok()? {
        let name = entry.ok()?.file_name().to_string_lossy().into_owned();
        if name != ".podinit" {
            found.insert(name.clone(), fs::read(folder.join(name)).ok()?);
        }
    }
    (fs::metadata(folder).ok()?.ino() == before).then_some(found)
}

#[test]
fn an_atomic_folder_is_swapped_in_one_step() {
    let set = |turn: usize| -> BTreeMap<String, Vec<u8>> {
        (0..50)
            .map(|number| {
                (
                    format!("f{number}"),
                    format!("{turn}:{number}").into_bytes(),
                )
            })
            .collect()
    };
    let turn = Arc::new(AtomicUsize::new(1));
    let x = {
        let turn = Arc::clone(&turn);
        Origin::new(move |request, _| {
            let objects = set(turn.load(Ordering::SeqCst));
            Bucket::of(
                objects
                    .into_iter()
                    .map(|(name, text)| (format!("p/{name}"), text)),
            )
            .s3(request)
        })
    };
    let scene = Scene::new();
    let folder = scene.at("new");
    fs::create_dir(&folder).expect("DEST");
    for (name, text) in set(0) {
        fs::write(folder.join(name), text).expect("a file");
    }
    scene.old("new/own");
    let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|threads| {
        let reader = threads.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let Some(mut found) = look(&folder) else {
                    continue;
                };
                found.remove("own");
                let one = (0..=4).find(|turn| found == set(*turn));
                assert!(one.is_some(), "a mixed set: {found:?}");
                looks.fetch_add(1, Ordering::SeqCst);
            }
        });
        let ends = Ends(&over);
        for next in 1..=4 {
            turn.store(next, Ordering::SeqCst);
            let flags: &[&str] = if next == 4 {
                &["--atomic", "--delete"]
            } else {
                &["--atomic"]
            };
            let out = scene.s3(&x.url(), "s3://b/p/", "new").args(flags).run();
            out.succeeds();
            let mut found = look(&folder).expect("nobody changes it now");
            assert_eq!(
                found.remove("own").is_some(),
                next < 4,
                "a file of the user's own"
            );
            assert_eq!(found, set(next));
        }
        drop(ends);
        reader.join().expect("no mixed set");
    });
    assert!(looks.into_inner() > 10, "the reader hardly looked");
}

#[test]
fn a_failed_atomic_run_changes_nothing() {
    let is_forbidden = Arc::new(AtomicBool::new(true));
    let (x, objects) = forbidding(&is_forbidden);
    let scene = Scene::new();
    scene.old("new/own").old("new/d0/0");
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--atomic"])
        .run()
        .fails(77);
    scene.holds([("new/own", OLD), ("new/d0/0", OLD)]);
    is_forbidden.store(false, Ordering::SeqCst);
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--atomic"])
        .run()
        .succeeds();
    let mut wanted = files("new", &objects);
    wanted.push((
        "new/own".to_string(),
        std::str::from_utf8(OLD).expect("text"),
    ));
    scene.holds(wanted);
}

#[test]
fn a_new_folder_appears_in_one_step() {
    let objects: Vec<_> = (0..6)
        .map(|number| (format!("p/{number}"), noise(number, MIB)))
        .collect();
    let bucket = Bucket::of(objects.clone());
    let x = Origin::new(move |request, _| bucket.s3(request));
    x.hold_after(3 * MIB as u64);
    let scene = Scene::new();
    let run = scene.s3(&x.url(), "s3://b/p/", "new").spawn();
    x.wait_for_bytes(3 * MIB as u64);
    scene.lacks("new");
    x.release();
    run.finish().succeeds();
    scene.holds(
        objects
            .iter()
            .map(|(key, bytes)| (format!("new/{}", &key[2..]), bytes)),
    );
    assert!(scene.at("new/.podinit/record.json").is_file());
    assert!(
        !scene.at(".podinit").exists(),
        "the place beside DEST is empty and gone"
    );
}

#[test]
fn objects_of_a_prefix_are_checked_each() {
    let good =
        |text: &'static str| Object::new(text).checksum("crc64nvme", &crc64nvme(text.as_bytes()));
    let mut bucket = Bucket::default();
    bucket.objects.insert("p/a".to_string(), good("aaa"));
    bucket.objects.insert("p/b".to_string(), good("bbb"));
    let right = bucket.clone();
    let x = Origin::new(move |request, _| right.s3(request));
    let scene = Scene::new();
    let report = scene.s3(&x.url(), "s3://b/p/", "right").report();
    assert!(
        report["checked"].to_string().contains("crc64nvme"),
        "{report}"
    );
    assert_eq!(report["objects"], 2);
    // An object no longer than a part is one plain GET.
    assert!(
        x.asked().iter().all(|one| one.range().is_none()),
        "{:?}",
        x.log()
    );
    assert_eq!(x.count("HEAD"), 0, "{:?}", x.log());
    let flipped = bucket.objects["p/b"].clone().flipped(1);
    bucket.objects.insert("p/b".to_string(), flipped);
    let x = Origin::new(move |request, _| bucket.s3(request));
    scene
        .s3(&x.url(), "s3://b/p/", "wrong")
        .run()
        .fails(65)
        .says("p/b");
    scene.lacks("wrong");
}

#[test]
fn a_real_store_gives_a_whole_prefix() {
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.public_bucket();
    let objects = [
        ("p/small", noise(1, 4096)),
        ("p/s/large", noise(2, 18 * MIB)),
        ("p/s/é 漢+%41", noise(3, 5)),
    ];
    for (key, bytes) in &objects {
        seaweed.put(&bucket, key, bytes);
    }
    seaweed.put(&bucket, "p/empty", b"");
    let scene = Scene::new();
    let report = scene
        .s3(&seaweed.url(), &format!("s3://{bucket}/p/"), "new")
        .report();
    assert_eq!(report["objects"], 4, "{report}");
    let mut wanted: Vec<_> = objects
        .iter()
        .map(|(key, bytes)| (format!("new/{}", &key[2..]), bytes.to_vec()))
        .collect();
    wanted.push(("new/empty".to_string(), Vec::new()));
    scene.holds(wanted);
}
