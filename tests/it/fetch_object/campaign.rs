//! Many runs at random places: bits flip, bodies end, processes die. Nothing wrong is ever published,
//! and the next run heals all.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::{Ends, OLD, Scene};
use crate::support::archive::{file, tar};
use crate::support::bucket::{Bucket, crc32c, crc64nvme};
use crate::support::pod::command;
use crate::support::tree::leftovers;
use crate::support::{Answer, MIB, Object, Origin, binary, machine_to_itself, noise, sha256};

/// How an object is guarded against a flipped bit.
const GUARDS: &[&str] = &["sha256", "crc64nvme", "crc32c", "gcs"];

#[test]
fn a_hundred_flipped_bits_are_refused() {
    let bytes = noise(100, 3 * MIB + 77);
    let digest = sha256(&bytes);
    let mut dice = fastrand::Rng::with_seed(100);
    for turn in 0..100 {
        let at = match turn {
            0 => 0,
            1 => bytes.len() - 1,
            _ => dice.usize(..bytes.len()),
        };
        let guard = GUARDS[turn % GUARDS.len()];
        let mut object = Object::new(bytes.clone())
            .checksum("crc64nvme", &crc64nvme(&bytes))
            .checksum("type", "FULL_OBJECT");
        if guard == "crc32c" {
            object.checksums.clear();
            object = object.checksum("crc32c", &crc32c(&bytes));
        }
        let good = object.clone();
        let flipped = object.flipped(at);
        let x =
            Origin::new(
                move |request, _| match (guard, request.target.contains("/storage/v1/")) {
                    (_, true) if !request.target.contains("alt=media") => Bucket {
                        objects: [("k".to_string(), good.clone())].into(),
                        ..Bucket::default()
                    }
                    .gcs(request),
                    (_, true) => Bucket {
                        objects: [("k".to_string(), flipped.clone())].into(),
                        ..Bucket::default()
                    }
                    .gcs(request),
                    _ => match &*request.method {
                        "HEAD" => good.whole(),
                        _ => flipped.answer(request),
                    },
                },
            );
        let scene = Scene::new();
        scene.old("x");
        let run = match guard {
            "sha256" => scene.fetch(&x.at("/k"), "x").with("--sha256", &digest),
            "gcs" => scene
                .fetch("gs://b/k", "x")
                .env("STORAGE_EMULATOR_HOST", x.url()),
            _ => scene.s3(&x.url(), "s3://b/k", "x"),
        };
        let parallel = ["1", "4"][turn / GUARDS.len() % 2];
        let out = run
            .args(["--parallel", parallel, "--part-size", "1MiB"])
            .run();
        assert_eq!(out.code, 65, "bit at {at} behind {guard}: {out:?}");
        scene.holds([("x", OLD)]);
    }
}

#[test]
fn two_hundred_truncated_bodies_are_refused_or_completed() {
    let bytes = noise(200, 2 * MIB + 5);
    let mut dice = fastrand::Rng::with_seed(200);
    let places: Vec<_> = (0..200)
        .map(|turn| match turn {
            0 => 0,
            1 => bytes.len() - 1,
            2 => MIB,
            _ => dice.usize(..bytes.len()),
        })
        .collect();
    let turns: Vec<_> = places.into_iter().enumerate().collect();
    // Most of each run is waiting for the next try.
    thread::scope(|threads| {
        for some in turns.chunks(50) {
            let bytes = &bytes;
            threads.spawn(move || {
                for (turn, at) in some {
                    is_cut(*turn, *at, bytes);
                }
            });
        }
    });
}

/// One run whose bodies end at this place: the first tries, or all of them.
fn is_cut(turn: usize, at: usize, bytes: &bytes::Bytes) {
    let object = Object::new(bytes.clone());
    let (ranges, reset, heals) = (
        turn.is_multiple_of(2),
        turn.is_multiple_of(3),
        !turn.is_multiple_of(5),
    );
    let tries = AtomicUsize::new(0);
    let x = Origin::new(move |request, _| {
        let answer = if ranges {
            object.answer(request)
        } else {
            object.whole()
        };
        if heals && tries.fetch_add(1, Ordering::SeqCst) > 0 {
            return answer;
        }
        let at = at.min(answer.body.len().saturating_sub(1));
        if reset {
            answer.reset_at(at)
        } else {
            answer.cut_at(at)
        }
    });
    let scene = Scene::new();
    let timeout = if heals { "40s" } else { "1s" };
    let run = scene
        .old("x")
        .fetch(&x.at("/x"), "x")
        .args(["--part-size", "1MiB"]);
    let out = run.timeout(timeout).may_leave_parts().run();
    if heals {
        assert_eq!(out.code, 0, "cut at {at}: {out:?}");
    }
    // Where every try brings some of it, the whole may well come together.
    if out.code == 0 {
        scene.holds([("x", bytes)]);
    } else {
        assert_eq!(out.code, 69, "cut at {at}: {out:?}");
        scene.holds([("x", OLD)]);
    }
}

#[test]
fn a_silent_truncation_is_told_from_the_whole() {
    // The proxy's classic: the body ends, and the head that promised more is forgotten.
    for at in [0, 1, MIB, 5 * MIB] {
        let object = Object::random(1, 6 * MIB);
        let x = Origin::new(move |request, _| {
            let answer = object.answer(request);
            let at = at.min(answer.body.len() - 1);
            let body = answer.body.slice(..at);
            answer.body(body).until_close()
        });
        let scene = Scene::new();
        let out = scene
            .old("x")
            .fetch(&x.at("/x"), "x")
            .timeout("3s")
            .may_leave_parts()
            .run();
        assert!([65, 69].contains(&out.code), "cut at {at}: {out:?}");
        scene.holds([("x", OLD)]);
    }
}

/// How many runs of each kind are killed.
const KILLS: usize = 100;

/// A kind of download, for the campaign.
struct Kind {
    x: Origin,
    args: Vec<String>,
    /// What the reader may see at DEST, turn by turn; nothing is always allowed at first.
    dest: &'static str,
    files: Vec<(&'static str, Vec<bytes::Bytes>)>,
    turn: Arc<AtomicUsize>,
    /// Whether what was fetched before the kill counts in the next run.
    resumes: bool,
    size: u64,
}

/// Kills runs at random moments while somebody reads; after each, one rerun heals all.
fn survive(kind: &Kind) {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let dest = scene.at(kind.dest);
    let args = || {
        let mut args: Vec<_> = kind.args.clone();
        args.push(dest.display().to_string());
        args
    };
    let check = |turn: usize| {
        for (name, turns) in &kind.files {
            let path = if name.is_empty() {
                dest.clone()
            } else {
                dest.join(name)
            };
            let found =
                fs::read(&path).unwrap_or_else(|error| panic!("turn {turn}: {name}: {error}"));
            assert!(
                found == turns[turn % turns.len()],
                "turn {turn}: wrong bytes in {name}"
            );
        }
        let left = leftovers(&scene.tree());
        assert!(left.is_empty(), "turn {turn}: left over: {left:?}");
    };
    let began = Instant::now();
    scene.bare(args()).run().succeeds();
    let whole = began.elapsed().as_secs_f64();
    check(0);
    let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut dice = fastrand::Rng::with_seed(300);
    let (mut killed, mut again, mut missing) = (0, 0, 0);
    thread::scope(|threads| {
        let reader = threads.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                for (name, turns) in &kind.files {
                    let path = if name.is_empty() {
                        dest.clone()
                    } else {
                        dest.join(name)
                    };
                    if let Ok(found) = fs::read(path) {
                        assert!(
                            turns.iter().any(|bytes| **bytes == found[..]),
                            "a torn {name}: {} bytes",
                            found.len()
                        );
                        looks.fetch_add(1, Ordering::SeqCst);
                    }
                }
            }
        });
        let _ends = Ends(&over);
        for turn in 1..=KILLS {
            if reader.is_finished() {
                break;
            }
            kind.turn.store(turn, Ordering::SeqCst);
            kind.x.forget();
            let moment = format!("{:.4}", dice.f64() * whole);
            let status = command(["timeout", "-s", "KILL", &moment])
                .arg(binary())
                .args(["fetch-object", "-q"])
                .args(args())
                .env("PODINIT_TERMINATION_LOG", "/dev/null")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("timeout starts");
            killed += usize::from(!status.success());
            kind.x.wait_until_left();
            let before = kind.x.sent();
            kind.x.forget();
            scene.bare(args()).run().succeeds();
            check(turn);
            if !status.success() {
                again += kind.x.sent();
                missing += kind.size.saturating_sub(before);
            }
        }
    });
    assert!(killed >= KILLS / 4, "only {killed} runs were killed");
    assert!(looks.into_inner() > 100, "the reader hardly looked");
    if kind.resumes {
        // For each of four connections a block that was not whole, and one on its way to the disk.
        let allowed = missing + killed as u64 * 8 * MIB as u64;
        assert!(
            again <= allowed,
            "{again} bytes again, {missing} were missing"
        );
        assert!(
            again < killed as u64 * kind.size,
            "nothing was ever taken up"
        );
    }
}

/// The content of a name in each of two turns.
fn two(seed: u64, size: usize) -> Vec<bytes::Bytes> {
    vec![noise(seed, size), noise(seed + 1, size)]
}

#[test]
fn a_hundred_killed_downloads_of_an_object_are_healed() {
    let turns = two(1, 16 * MIB);
    let turn = Arc::new(AtomicUsize::new(0));
    let x = {
        let objects: Vec<_> = turns
            .iter()
            .map(|bytes| Object::new(bytes.clone()))
            .collect();
        let turn = Arc::clone(&turn);
        Origin::new(move |request, _| {
            objects[turn.load(Ordering::SeqCst) % 2]
                .answer(request)
                .slow(16 << 20)
        })
    };
    survive(&Kind {
        args: ["--part-size=1MiB", &x.at("/x")]
            .map(str::to_string)
            .to_vec(),
        x,
        dest: "x",
        files: vec![("", turns)],
        turn,
        resumes: true,
        size: 16 * MIB as u64,
    });
}

#[test]
fn a_hundred_killed_downloads_of_a_prefix_are_healed() {
    let names = ["a", "b", "s/c", "s/d"];
    let files: Vec<_> = names
        .iter()
        .zip(0_u64..)
        .map(|(name, seed)| (*name, two(10 * seed, MIB)))
        .collect();
    let turn = Arc::new(AtomicUsize::new(0));
    let x = {
        let (files, turn) = (files.clone(), Arc::clone(&turn));
        Origin::new(move |request, _| {
            let turn = turn.load(Ordering::SeqCst) % 2;
            let objects = files
                .iter()
                .map(|(name, turns)| (format!("p/{name}"), turns[turn].clone()));
            let answer = Bucket::of(objects).s3(request);
            if request.target.contains("list-type") {
                answer
            } else {
                answer.slow(8 << 20)
            }
        })
    };
    survive(&Kind {
        args: ["--anonymous", "--endpoint-url", &x.url(), "s3://b/p/"]
            .map(str::to_string)
            .to_vec(),
        x,
        dest: "new",
        files,
        turn,
        resumes: false,
        size: 4 * MIB as u64,
    });
}

#[test]
fn a_hundred_killed_unpackings_are_healed() {
    let names = ["a", "b", "s/c"];
    let files: Vec<_> = names
        .iter()
        .zip(0_u64..)
        .map(|(name, seed)| (*name, two(100 + 10 * seed, MIB)))
        .collect();
    let turn = Arc::new(AtomicUsize::new(0));
    let x = {
        let pack = |turn: usize| {
            let members: Vec<_> = files
                .iter()
                .map(|(name, turns)| file(name, &turns[turn]))
                .collect();
            Object::new(tar(&members))
        };
        let objects = [pack(0), pack(1)];
        let turn = Arc::clone(&turn);
        Origin::new(move |request, _| {
            objects[turn.load(Ordering::SeqCst) % 2]
                .answer(request)
                .slow(16 << 20)
        })
    };
    survive(&Kind {
        args: ["--unpack", &x.at("/x.tar")].map(str::to_string).to_vec(),
        x,
        dest: "new",
        files,
        turn,
        resumes: false,
        size: 3 * MIB as u64,
    });
}

#[test]
fn no_fault_of_a_server_gets_wrong_bytes_published() {
    // The faults of cases 5 to 12, alone and together, for an object, a prefix and an archive. Whatever
    // the exit code is, a reader finds the right bytes or the old ones.
    let right = noise(7, 3 * MIB + 11);
    let packed = tar(&[file("f", &right)]);
    let mut dice = fastrand::Rng::with_seed(42);
    let mut fetched = 0;
    for turn in 0..60 {
        let bytes: bytes::Bytes = if turn % 3 == 2 {
            packed.clone().into()
        } else {
            right.clone()
        };
        let object = Object::new(bytes);
        let other = Object::random(8, object.len());
        let faults: Vec<u8> = (0..64).map(|_| dice.u8(..)).collect();
        let sum = crc64nvme(&object.bytes);
        let x = Origin::new(move |request, number| {
            if request.target.contains("list-type") {
                return Bucket::default()
                    .listing([("p/f", object.len())])
                    .s3(request);
            }
            if request.method == "HEAD" {
                return object.clone().checksum("crc64nvme", &sum).whole();
            }
            let answer = object.answer(request);
            let half = answer.body.len() / 2;
            match faults.get(number).copied().unwrap_or(255) % 20 {
                0 => answer.cut_at(half),
                1 => answer.reset_at(half),
                2 => object.whole(),
                3 => answer.without("Content-Range"),
                4 => answer.instead("Content-Range", &format!("bytes 0-9/{}", object.len())),
                5 => other.answer(&crate::support::wire::Request {
                    headers: request
                        .headers
                        .iter()
                        .filter(|(name, _)| !name.eq_ignore_ascii_case("if-match"))
                        .cloned()
                        .collect(),
                    ..request.clone()
                }),
                6 => Answer::new(503),
                7 => Answer::hang_up(),
                8 => answer.instead("ETag", "\"another\""),
                9 => answer.chunked(),
                10 => {
                    let body = answer.body.slice(..half);
                    answer.body(body)
                }
                _ => answer,
            }
        });
        let scene = Scene::new();
        let endpoint = x.url();
        let (run, name) = match turn % 3 {
            0 => (scene.s3(&endpoint, "s3://b/f", "f"), "f"),
            1 => (scene.s3(&endpoint, "s3://b/p/", "new"), "new/f"),
            _ => (
                scene
                    .s3(&endpoint, "s3://b/f", "new")
                    .args(["--unpack=tar"]),
                "new/f",
            ),
        };
        let run = run
            .args(["--part-size", "1MiB"])
            .timeout("10s")
            .may_leave_files();
        let out = run.run();
        if out.code == 0 {
            scene.has(name, &right);
            fetched += 1;
        } else {
            assert!([65, 69].contains(&out.code), "{out:?}");
            assert!(!Path::new(&scene.at(name)).exists(), "{out:?}");
        }
    }
    assert!(fetched > 5, "hardly anything was fetched");
}
