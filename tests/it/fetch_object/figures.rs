//! The figures that hold in any build: memory, how soon it ends, how little a second run costs. How
//! fast it is beside other tools is measured by `make bench`.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Scene;
use super::scene::Fetch;
use crate::support::archive::{file, tar, zst};
use crate::support::bucket::Bucket;
use crate::support::origin::Asked;
use crate::support::{MIB, Nginx, Object, Origin, machine_to_itself, noise};

/// The most that a run may ever keep in memory, less the whole of the released executable, whose 8 MiB
/// count as its memory when they are used. The executable under test is many times larger.
const LIMIT_KIB: u64 = (64 - 8) * 1024;

/// The peak of a running process's memory, as the kernel counts it, without the executable's own pages.
fn peak_kib(pid: nix::unistd::Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let kib = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.expect("a size").trim().trim_end_matches(" kB");
        number.parse().expect("a number")
    };
    kib("VmHWM:") - kib("RssFile:")
}

/// The peak at the moment when the server has done this much, where it is held.
fn peak_of(run: Fetch<'_>, x: &Origin, is_so: impl Fn(&[Asked]) -> bool) -> u64 {
    let run = run.spawn();
    x.wait_until(is_so);
    let peak = peak_kib(run.running.pid());
    x.release();
    run.finish().succeeds();
    peak
}

/// The peak shortly before the end of so many bytes.
fn peak_at_the_end(run: Fetch<'_>, x: &Origin, all: u64) -> u64 {
    x.hold_after(all - 1);
    peak_of(run, x, |asked| {
        asked.iter().map(|one| one.sent).sum::<u64>() >= all - 1
    })
}

#[test]
fn memory_stays_flat_whatever_the_size() {
    let mut peaks = Vec::new();
    for size in [MIB, 64 * MIB, 256 * MIB] {
        let object = Object::new(noise(1, size));
        let x = Origin::new(move |request, _| object.answer(request));
        for parallel in ["1", "4", "16"] {
            let scene = Scene::new();
            x.forget();
            let run = scene.fetch(&x.at("/x"), "x").args(["--parallel", parallel]);
            let peak = peak_at_the_end(run, &x, size as u64);
            assert!(
                peak <= LIMIT_KIB,
                "{peak} KiB for {size} bytes and {parallel} connections"
            );
            peaks.push((size, peak));
        }
    }
    let most = |wanted: usize| {
        peaks
            .iter()
            .filter(|(size, _)| *size == wanted)
            .map(|(_, peak)| *peak)
            .max()
            .expect("measured")
    };
    let (medium, large) = (most(64 * MIB), most(256 * MIB));
    assert!(
        large <= medium / 10 * 11,
        "{large} KiB for 256 MiB, {medium} KiB for 64 MiB"
    );
}

#[test]
fn memory_stays_flat_with_a_digest_and_an_archive() {
    let content = noise(2, 128 * MIB);
    let object = Object::new(content.clone());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let run = scene
        .fetch(&x.at("/x"), "x")
        .with("--sha256", crate::support::sha256(&content));
    let peak = peak_at_the_end(run, &x, content.len() as u64);
    assert!(peak <= LIMIT_KIB, "{peak} KiB with a digest");
    let packed = zst(&tar(&[file("f", &content)]));
    let length = packed.len() as u64;
    let object = Object::new(packed);
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let peak = peak_at_the_end(
        scene.fetch(&x.at("/x"), "new").args(["--unpack"]),
        &x,
        length,
    );
    assert!(peak <= LIMIT_KIB, "{peak} KiB with an archive");
    // One stream without ranges and a slow disk: back-pressure, not a heap of bodies.
    let object = Object::new(noise(3, 128 * MIB));
    let x = Origin::new(move |_, _| object.whole());
    let scene = Scene::new();
    let run = scene
        .fetch(&x.at("/x"), "x")
        .injecting(&["pwrite64:delay_enter=5000"]);
    let peak = peak_at_the_end(run, &x, 128 * MIB as u64);
    assert!(peak <= LIMIT_KIB, "{peak} KiB before a slow disk");
}

#[test]
fn a_long_list_takes_little_memory() {
    const KEYS: usize = 20_000;
    let objects = (0..KEYS).map(|number| (format!("p/{number:08}"), ""));
    let bucket = Bucket::of(objects).pages_of(1000);
    let mut keys = Bucket::of([("p/large", noise(1, 8 * MIB))]);
    keys.objects.extend(bucket.objects);
    keys.page = 1000;
    // Slow enough to be looked at in the middle.
    let x = Origin::new(move |request, _| match &*request.target {
        target if target.contains("/p/large") => keys.s3(request).slow(8 << 20),
        _ => keys.s3(request),
    });
    let scene = Scene::new();
    let run = scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--include", "large"]);
    let peak = peak_of(run, &x, |asked| {
        asked
            .iter()
            .any(|one| one.request.target.contains("/p/large") && one.sent > 0)
    });
    let limit = LIMIT_KIB + KEYS as u64 * 300 / 1024;
    assert!(peak <= limit, "{peak} KiB for {KEYS} keys");
}

#[test]
fn a_run_with_nothing_to_do_is_quick() {
    let nginx = Nginx::start();
    nginx.put("x", &noise(1, 32 * MIB));
    let scene = Scene::new();
    let _turn = machine_to_itself();
    scene.fetch(&nginx.at("/x"), "x").run().succeeds();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let out = scene.fetch(&nginx.at("/x"), "x").run();
        out.succeeds();
        best = best.min(out.ended - out.started);
    }
    // The harness itself starts `timeout` and copies nothing; a build without optimisation is slower.
    assert!(best <= Duration::from_millis(150), "{best:?}");
}

#[test]
fn progress_is_told_every_ten_seconds_and_not_for_each_attempt() {
    let object = Object::new(noise(1, 24 * MIB));
    let x = Origin::new(move |request, _| object.answer(request).slow(250_000));
    let scene = Scene::new();
    let run = scene
        .fetch(&x.at("/x"), "x")
        .timeout("15s")
        .may_leave_parts();
    let out = run.run();
    out.fails(69);
    let told = out
        .stderr
        .lines()
        .filter(|line| line.split(' ').nth(1) == Some("info") && line.contains('%'));
    let told = told.count();
    assert!(
        (1..=2).contains(&told),
        "{told} lines of progress in 15 s: {out:?}"
    );
}

#[test]
fn the_end_is_in_time_at_many_moments() {
    let object = Object::new(noise(1, 48 * MIB));
    let x = Origin::new(move |request, _| object.answer(request).slow(24 << 20));
    let _turn = machine_to_itself();
    let mut dice = fastrand::Rng::with_seed(5);
    for turn in 0..20 {
        let scene = Scene::new();
        x.forget();
        let bytes = dice.u64(..40 * MIB as u64);
        let run = scene.old("x").fetch(&x.at("/x"), "x").spawn();
        x.wait_for_bytes(bytes);
        run.running.listens();
        let signal = [Signal::SIGTERM, Signal::SIGINT][turn % 2];
        let sent = run.signal(signal);
        let out = run.finish();
        out.ends_with(128 + signal as i32)
            .within_of(Duration::from_millis(200), sent);
        assert!(!scene.at(".podinit").exists(), "turn {turn}");
    }
}
