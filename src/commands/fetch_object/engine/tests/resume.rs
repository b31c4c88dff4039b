//! Runs that are killed, and what the next run makes of what they left.

use std::time::Duration;

use super::super::super::source::{Metadata, Span};
use super::bench::Bench;
use super::store::{MIB, Store, etag, random_bytes};

/// Drops a run after so many polls of its time, as a kill would, files and all.
async fn kill_after(bench: &Bench, time: Duration) -> bool {
    let shared = bench.shared();
    shared.keeps_unfinished.set(true);
    tokio::time::timeout(time, bench.bring(&shared))
        .await
        .is_err()
}

/// Each piece takes a millisecond.
fn slow(length: u64) -> Bench {
    Bench::new(Store::new(length).script(|_, plan| plan.pace = Duration::from_millis(1)))
}

#[tokio::test(start_paused = true)]
async fn a_killed_run_goes_on_where_it_was() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..40 {
        let bench = slow(12 * MIB + 5);
        let mut kills = 0;
        while kills < 10 && kill_after(&bench, Duration::from_millis(random.u64(1..60))).await {
            kills += 1;
        }
        bench.store.sent.set(0);
        let fetched = bench.fetched().await;
        assert_eq!(fetched.resumed + fetched.transferred, 12 * MIB + 5);
        assert!(fetched.resumed == 0 || fetched.resumed >= MIB);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_that_came_are_not_fetched_again() {
    let bench = slow(40 * MIB);
    for _ in 0..5 {
        kill_after(&bench, Duration::from_millis(40)).await;
    }
    bench.fetched().await;
    // Each kill costs what was on its way: a block for each connection.
    assert!(
        bench.store.sent.get() <= 40 * MIB + 6 * 4 * MIB,
        "{}",
        bench.store.sent.get()
    );
}

#[tokio::test]
async fn a_whole_part_costs_one_byte() {
    let bench = Bench::of(3 * MIB);
    bench.fetched().await;
    bench.store.sent.set(0);
    bench.store.asked.borrow_mut().clear();
    let fetched = bench.fetched().await;
    assert_eq!(fetched.resumed, 3 * MIB);
    assert_eq!(bench.spans(), [Span::Part(3 * MIB - 1..3 * MIB)]);
    assert!(bench.store.asked.borrow()[0].is_bound);
}

#[tokio::test]
async fn a_damaged_block_is_fetched_again_and_a_damaged_journal_is_nothing() {
    let bench = Bench::of(5 * MIB);
    bench.fetched().await;
    let (part, journal) = (
        bench.place.path().join("k.part"),
        bench.place.path().join("k.journal"),
    );
    let good = std::fs::read(&journal).unwrap();
    let damage = |at: usize| {
        let mut bytes = std::fs::read(&part).unwrap();
        bytes[at] ^= 1;
        overwrite(&part, &bytes);
    };
    damage(2_500_000);
    assert_eq!(bench.fetched().await.resumed, 4 * MIB);
    for bad in [
        good[..good.len() / 3].to_vec(),
        Vec::new(),
        vec![0; 5000],
        good[1..].to_vec(),
    ] {
        overwrite(&journal, &bad);
        assert_eq!(bench.fetched().await.resumed, 0);
    }
    // A torn record costs its block.
    overwrite(&journal, &good[..good.len() - 1]);
    assert_eq!(bench.fetched().await.resumed, 4 * MIB);
    // A part of another length is nothing.
    let bytes = std::fs::read(&part).unwrap();
    overwrite(&part, &bytes[..bytes.len() - 1]);
    assert_eq!(bench.fetched().await.resumed, 0);
    std::fs::remove_file(&part).unwrap();
    assert_eq!(bench.fetched().await.resumed, 0);
}

#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
fn overwrite(path: &std::path::Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_another_state_is_dropped() {
    for metadata in [Metadata::None, Metadata::Before, Metadata::Beside] {
        let mut store = Store::new(12 * MIB);
        store.metadata = metadata;
        let bench = Bench::new(store.script(|_, plan| plan.pace = Duration::from_millis(1)));
        assert!(kill_after(&bench, Duration::from_millis(25)).await);
        bench.store.replace(random_bytes(9 * MIB), etag("\"two\""));
        let fetched = bench.fetched().await;
        assert_eq!(fetched.resumed, 0);
        // A shorter object under the same ETag: no byte where the first is missing.
        let bench = slow(12 * MIB);
        assert!(kill_after(&bench, Duration::from_millis(25)).await);
        bench.store.replace(random_bytes(100), etag("\"one\""));
        assert_eq!(bench.fetched().await.resumed, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_no_ranges_any_more_is_obeyed() {
    let bench = slow(12 * MIB);
    assert!(kill_after(&bench, Duration::from_millis(25)).await);
    bench.store.set_script(|_, plan| plan.is_whole = true);
    bench.store.asked.borrow_mut().clear();
    assert_eq!(bench.fetched().await.resumed, 0);
    assert_eq!(bench.store.asked.borrow().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_weak_state_is_resumed_only_for_the_sake_of_a_digest() {
    let mut bench = slow(12 * MIB);
    bench.store.validator.borrow_mut().etag = None;
    assert!(kill_after(&bench, Duration::from_millis(25)).await);
    assert_eq!(bench.fetched().await.resumed, 0);
    let digest = |bytes: &[u8]| {
        ring::digest::digest(&ring::digest::SHA256, bytes)
            .as_ref()
            .try_into()
            .ok()
    };
    bench.pins.sha256 = digest(&bench.store.bytes.borrow());
    assert!(kill_after(&bench, Duration::from_millis(25)).await);
    assert!(bench.fetched().await.resumed > 0);
    // Other bytes with the same date and length: only the digest tells.
    std::fs::remove_file(bench.place.path().join("k.part")).unwrap();
    assert!(kill_after(&bench, Duration::from_millis(25)).await);
    let other = random_bytes(12 * MIB + 1)[1..].to_vec();
    bench.pins.sha256 = digest(&other);
    bench.store.bytes.replace(std::rc::Rc::new(other));
    assert_eq!(bench.fetched().await.resumed, 0);
}

#[tokio::test(start_paused = true)]
async fn another_source_or_pin_does_not_use_what_is_left() {
    let mut bench = slow(12 * MIB);
    assert!(kill_after(&bench, Duration::from_millis(25)).await);
    bench.pins.etag = Some("two".to_string());
    bench.store.replace(random_bytes(12 * MIB), etag("\"two\""));
    assert_eq!(bench.fetched().await.resumed, 0);
    bench.resumes = false;
    assert_eq!(bench.fetched().await.resumed, 0);
    assert_eq!(bench.left(), ["k.part"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_run_leaves_nothing_unless_it_is_told_to() {
    let bench = slow(12 * MIB);
    let shared = bench.shared();
    let killed = tokio::time::timeout(Duration::from_millis(25), bench.bring(&shared)).await;
    assert!(killed.is_err());
    assert_eq!(bench.left(), [""; 0]);
}
