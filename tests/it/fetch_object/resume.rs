//! Cases 39 to 43: what a run that was killed, stopped or timed out leaves, and what the next one
//! makes of it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Ends, OLD, Scene};
use crate::support::tree::leftovers;
use crate::support::{MIB, Object, Origin, machine_to_itself, noise, sha256};

/// Large enough to be caught in its middle.
const SIZE: usize = 64 * MIB;

/// What may come twice: a block that is not whole for each of four connections, and as much again on
/// its way to the disk.
const TWICE: u64 = 8 * MIB as u64;

/// An X with one object, which stops after so many bytes.
fn holding(object: &Object, bytes: usize) -> Origin {
    let object = object.clone();
    let x = Origin::new(move |request, _| object.answer(request));
    x.hold_after(bytes as u64);
    x
}

/// Kills a run once so many bytes have gone out, and some more for what was on its way.
fn kill_after(scene: &Scene, x: &Origin, bytes: usize) {
    x.hold_after(bytes as u64);
    let before = x.asked().iter().map(|one| one.sent).sum::<u64>();
    let run = scene.fetch(&x.at("/x"), "x").spawn();
    x.wait_for_bytes(before + bytes as u64);
    run.kill();
    x.release();
    x.wait_until_left();
}

/// Waits until a part file's journal tells of so many blocks, by its length.
fn journalled(scene: &Scene) -> bool {
    let left = leftovers(&scene.tree());
    let is = |ending: &str| {
        left.iter()
            .any(|path| path.to_string_lossy().ends_with(ending))
    };
    is(".part") && is(".journal")
}

/// Bytes that a folder takes on its disk.
fn disk_use(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => disk_use(&entry.path()),
            Ok(meta) => meta.blocks() * 512,
            Err(_) => 0,
        })
        .sum()
}

#[test]
fn a_killed_run_is_taken_up_where_it_was() {
    let object = Object::random(39, SIZE);
    let x = holding(&object, 0);
    let scene = Scene::new();
    scene.old("x");
    let sixty = SIZE / 10 * 6;
    kill_after(&scene, &x, sixty);
    scene.has("x", OLD);
    assert!(journalled(&scene), "{:?}", leftovers(&scene.tree()));
    x.forget();
    let report = scene.fetch(&x.at("/x"), "x").report();
    scene.holds([("x", &object.bytes)]);
    let missing = (SIZE - sixty) as u64;
    assert!(
        x.sent() <= missing + TWICE,
        "{} bytes again, {missing} were missing",
        x.sent()
    );
    let resumed = report["resumed"].as_u64().expect("a number");
    assert_eq!(
        resumed + report["transferred"].as_u64().expect("a number"),
        SIZE as u64,
        "{report}"
    );
    assert!(resumed + TWICE >= sixty as u64, "{report}");
    // The first request of the second run is bound to the object's state.
    let first = &x.asked()[0].request;
    assert!(
        first
            .header("if-match")
            .or(first.header("if-range"))
            .is_some(),
        "{first:?}"
    );
}

#[test]
fn ten_kills_in_a_row_lose_little_and_never_take_more_room() {
    let object = Object::random(40, SIZE);
    let x = holding(&object, 0);
    let scene = Scene::new();
    let most = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(disk_use(scene.dir()), Ordering::Relaxed);
                thread::yield_now();
            }
        });
        let _ends = Ends(&over);
        for _ in 0..10 {
            kill_after(&scene, &x, SIZE / 20);
        }
        let sent = x.sent();
        let run = scene.fetch(&x.at("/x"), "x").run();
        run.succeeds();
        let again = x.sent() - sent;
        let missing = (SIZE - 10 * (SIZE / 20)) as u64;
        assert!(
            again <= missing + 10 * TWICE,
            "{again} bytes, {missing} were missing"
        );
    });
    scene.holds([("x", &object.bytes)]);
    let limit = SIZE as u64 / 100 * 102;
    let most = most.into_inner();
    assert!(most <= limit, "{most} bytes on the disk, more than {limit}");
}

#[test]
fn blocks_that_were_lost_on_the_disk_are_fetched_again() {
    let object = Object::random(41, SIZE);
    let x = holding(&object, 0);
    let scene = Scene::new();
    kill_after(&scene, &x, SIZE / 10 * 6);
    let part = leftovers(&scene.tree())
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".part"))
        .expect("a part file");
    let file = OpenOptions::new()
        .write(true)
        .open(scene.beside("").join(part))
        .expect("it is there");
    for at in [0, 5 * MIB + 1000, 17 * MIB] {
        file.write_all_at(&vec![0; MIB], at as u64)
            .expect("a hole in the part file");
    }
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", &object.bytes)]);
}

#[test]
fn a_damaged_journal_is_thrown_away_in_silence() {
    let object = Object::random(42, SIZE);
    for damage in ["short", "empty", "noise", "flipped", "longer"] {
        let x = holding(&object, 0);
        let scene = Scene::new();
        kill_after(&scene, &x, SIZE / 2);
        let journal = leftovers(&scene.tree())
            .into_iter()
            .find(|path| path.to_string_lossy().ends_with(".journal"))
            .expect("a journal");
        let path = scene.beside("").join(journal);
        let mut bytes = fs::read(&path).expect("it is there");
        let length = bytes.len();
        match damage {
            "short" => bytes.truncate(5),
            "empty" => bytes.clear(),
            "noise" => bytes = noise(1, length).to_vec(),
            "flipped" => bytes[length / 3] ^= 1,
            "longer" => bytes.extend(noise(2, 999)),
            _ => {}
        }
        fs::write(&path, bytes).expect("it is there");
        let out = scene.fetch(&x.at("/x"), "x").run();
        out.succeeds();
        assert!(super::warnings(&out).is_empty(), "{damage}: {out:?}");
        scene.holds([("x", &object.bytes)]);
    }
}

#[test]
fn parts_of_another_object_are_thrown_away() {
    let object = Object::random(43, SIZE);
    let other = Object::random(44, SIZE);
    let x = holding(&object, 0);
    let scene = Scene::new();
    kill_after(&scene, &x, SIZE / 2);
    // Another state of the same source, another source, other flags.
    let y = holding(&other, 0);
    y.release();
    scene.fetch(&y.at("/x"), "x").run().succeeds();
    scene.holds([("x", &other.bytes)]);
    assert_eq!(y.sent(), SIZE as u64);
}

#[test]
fn an_object_that_changed_in_between_is_fetched_whole() {
    let turn = Arc::new(AtomicUsize::new(0));
    let objects = [Object::random(45, SIZE), Object::random(46, SIZE)];
    let x = {
        let (turn, objects) = (Arc::clone(&turn), objects.clone());
        Origin::new(move |request, _| objects[turn.load(Ordering::SeqCst)].answer(request))
    };
    let scene = Scene::new();
    kill_after(&scene, &x, SIZE / 2);
    turn.store(1, Ordering::SeqCst);
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", &objects[1].bytes)]);
}

#[test]
fn a_sha256_pin_holds_over_a_resumed_run() {
    let object = Object::random(47, SIZE);
    let x = holding(&object, 0);
    let scene = Scene::new();
    kill_after(&scene, &x, SIZE / 2);
    x.forget();
    scene
        .fetch(&x.at("/x"), "x")
        .with("--sha256", sha256(&object.bytes))
        .run()
        .succeeds();
    scene.holds([("x", &object.bytes)]);
}

#[test]
fn an_object_without_a_strong_etag_is_not_resumed() {
    let object = Object::random(48, 32 * MIB).tagged(None);
    let x = holding(&object, 0);
    let scene = Scene::new();
    kill_after(&scene, &x, 16 * MIB);
    x.forget();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", &object.bytes)]);
    assert_eq!(x.sent(), 32 * MIB as u64);
}

/// A signal in the middle ends the run at once, and nothing is left.
fn is_stopped(signal: Signal, code: i32, first: bool) {
    let object = Object::random(49, 256 * MIB);
    let x = holding(&object, 128 * MIB);
    let scene = Scene::new();
    scene.old("x");
    let _turn = machine_to_itself();
    let run = scene.fetch(&x.at("/x"), "x");
    let run = if first { run.pid1() } else { run };
    let run = run.spawn();
    x.wait_for_bytes(128 * MIB as u64);
    let sent = run.signal(signal);
    let out = run.finish();
    out.ends_with(code)
        .within_of(Duration::from_millis(200), sent);
    scene.has("x", OLD);
    assert!(
        !scene.at(".podinit").exists(),
        "the place of what is not published is left"
    );
}

#[test]
fn sigterm_ends_it_within_200_ms() {
    is_stopped(Signal::SIGTERM, 143, false);
}

#[test]
fn sigterm_ends_it_as_pid_1() {
    is_stopped(Signal::SIGTERM, 143, true);
}

#[test]
fn sigint_ends_it_within_200_ms() {
    is_stopped(Signal::SIGINT, 130, false);
}

#[test]
fn sigterm_ends_an_unpacking_and_a_prefix() {
    use crate::support::archive::{file, gz, tar};
    use crate::support::bucket::Bucket;
    let packed = gz(&tar(&(0..16)
        .map(|n| file(&format!("f{n}"), &noise(n, MIB)))
        .collect::<Vec<_>>()));
    let half = packed.len() / 2;
    let archive = holding(&Object::new(packed), half);
    let bucket = Bucket::of((0..16).map(|n| (format!("p/{n}"), noise(n, MIB))));
    let prefix = Origin::new(move |request, _| bucket.s3(request));
    prefix.hold_after(8 * MIB as u64);
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let unpacking = scene
        .fetch(&archive.at("/x.tar.gz"), "new")
        .args(["--unpack"]);
    let filling = scene.s3(&prefix.url(), "s3://b/p/", "new");
    for (run, x, bytes) in [(unpacking, &archive, half), (filling, &prefix, 8 * MIB)] {
        let run = run.spawn();
        x.wait_for_bytes(bytes as u64);
        let sent = run.signal(Signal::SIGTERM);
        run.finish()
            .ends_with(143)
            .within_of(Duration::from_millis(200), sent);
        scene.is_bare();
    }
}

#[test]
fn a_run_out_of_time_says_how_far_it_came_and_is_taken_up() {
    let object = Object::random(50, SIZE);
    let x = holding(&object, SIZE / 2);
    let scene = Scene::new();
    let _turn = machine_to_itself();
    let run = || {
        scene
            .fetch(&x.at("/x"), "x")
            .timeout("3s")
            .may_leave_parts()
    };
    scene.old("x");
    let out = run().run();
    out.fails(69)
        .within(Duration::from_millis(3250))
        .hints("--timeout");
    let said = out.message();
    assert!(
        ["50 %", "49 %", "48 %"]
            .iter()
            .any(|part| said.contains(part)),
        "{out:?}"
    );
    scene.has("x", OLD);
    x.release();
    x.forget();
    run().run().succeeds();
    scene.holds([("x", &object.bytes)]);
    assert!(x.sent() <= SIZE as u64 / 2 + TWICE, "{} bytes", x.sent());
}

#[test]
fn without_resume_nothing_is_left_to_go_on_from() {
    let object = Object::random(51, SIZE);
    let x = holding(&object, SIZE / 2);
    let scene = Scene::new();
    let run = || {
        scene
            .fetch(&x.at("/x"), "x")
            .timeout("3s")
            .args(["--no-resume"])
    };
    run().run().fails(69);
    scene.is_bare();
    x.release();
    x.forget();
    run().timeout("40s").run().succeeds();
    assert_eq!(x.sent(), SIZE as u64);
}

#[test]
fn without_resume_what_is_left_is_not_used() {
    let object = Object::random(52, SIZE);
    let x = holding(&object, 0);
    let scene = Scene::new();
    kill_after(&scene, &x, SIZE / 2);
    x.forget();
    scene
        .fetch(&x.at("/x"), "x")
        .args(["--no-resume"])
        .run()
        .succeeds();
    scene.holds([("x", &object.bytes)]);
    assert_eq!(x.sent(), SIZE as u64);
}

#[test]
fn a_reader_sees_only_whole_files() {
    let contents: Vec<_> = (0..21).map(|turn| noise(turn, 300_000)).collect();
    let hashes: Vec<_> = contents.iter().map(|bytes| sha256(bytes)).collect();
    let turn = Arc::new(AtomicUsize::new(0));
    let x = {
        let (turn, contents) = (Arc::clone(&turn), contents.clone());
        Origin::new(move |request, _| {
            let object = Object::new(contents[turn.load(Ordering::SeqCst)].clone());
            object.answer(request).late(Duration::from_millis(50))
        })
    };
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    let path = scene.at("x");
    let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                let before = turn.load(Ordering::SeqCst);
                let found = sha256(&fs::read(&path).expect("it is always there"));
                let after = turn.load(Ordering::SeqCst);
                let allowed = &hashes[before.saturating_sub(1)..=after];
                if !allowed.contains(&found) {
                    over.store(true, Ordering::SeqCst);
                    panic!("neither the old nor the new content");
                }
                looks.fetch_add(1, Ordering::SeqCst);
            }
        });
        let _ends = Ends(&over);
        for next in 1..21 {
            if over.load(Ordering::SeqCst) {
                break;
            }
            turn.store(next, Ordering::SeqCst);
            let run = scene.fetch(&x.at("/x"), "x").args(["--part-size", "1MiB"]);
            run.run().succeeds();
        }
    });
    assert!(looks.into_inner() > 100, "the reader hardly looked");
}

#[test]
fn two_runs_for_one_dest_take_turns() {
    let object = Object::random(53, 32 * MIB);
    let x = holding(&object, 8 * MIB);
    let scene = Scene::new();
    let first = scene.fetch(&x.at("/x"), "x").spawn();
    x.wait_for_bytes(8 * MIB as u64);
    // The second waits within its deadline, and says for whom.
    let second = scene
        .fetch(&x.at("/x"), "x")
        .timeout("2s")
        .may_leave_parts()
        .spawn();
    let out = second.running.finish();
    out.fails(69);
    let third = scene.fetch(&x.at("/x"), "x").spawn();
    third.running.listens();
    x.release();
    let outs = [first.running.finish(), third.running.finish()];
    for out in &outs {
        out.succeeds();
    }
    scene.holds([("x", &object.bytes)]);
    assert!(leftovers(&scene.tree()).is_empty());
    assert_eq!(
        x.sent(),
        32 * MIB as u64,
        "the third looks afresh and finds it done"
    );
}

#[test]
fn leftovers_of_an_older_run_are_removed() {
    let object = Object::random(54, SIZE);
    let x = holding(&object, 0);
    let scene = Scene::new();
    kill_after(&scene, &x, SIZE / 2);
    assert!(journalled(&scene));
    // The same DEST from now on is a small object of another source.
    let y = Origin::new(|request, _| Object::new("small").answer(request));
    scene.fetch(&y.at("/y"), "x").run().succeeds();
    scene.holds([("x", "small")]);
    assert!(leftovers(&scene.tree()).is_empty());
}
