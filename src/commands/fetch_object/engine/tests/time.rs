//! Retries, silence, bandwidth, deadline and signals, in time that is paused.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::super::super::source::Span;
use super::bench::Bench;
use super::store::{MIB, Store, unavailable};
use crate::base::failure::Kind;

#[tokio::test(start_paused = true)]
async fn a_cut_range_goes_on_where_it_was_cut() {
    let mut firsts = std::collections::HashSet::new();
    let bench = Bench::new(Store::new(6 * MIB).script(move |asked, plan| {
        if firsts.insert(asked.start() / MIB) {
            plan.cut = Some(plan.body.len() / 2);
        }
    }));
    let fetched = bench.fetched().await;
    assert_eq!(
        (fetched.transferred, bench.store.sent.get()),
        (6 * MIB, 6 * MIB)
    );
    assert_eq!(bench.store.asked.borrow().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_cut_plain_body_goes_on_by_range_or_starts_again() {
    let mut bench = Bench::new(Store::new(3 * MIB).script(|asked, plan| {
        if asked.number == 0 {
            plan.cut = Some(1_500_000);
        }
    }));
    bench.tuning.parallel = 1;
    bench.fetched().await;
    assert_eq!(bench.spans(), [Span::All, Span::Part(1_500_000..3 * MIB)]);
    // Without ranges it is fetched from its start.
    let bench = Bench::new(Store::new(3 * MIB).script(|asked, plan| {
        plan.is_whole = true;
        if asked.number < 2 {
            plan.cut = Some(1_500_000);
        }
    }));
    let fetched = bench.fetched().await;
    assert_eq!(fetched.transferred, 3 * MIB + 3_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_the_server_asks_for_is_kept() {
    let bench = Bench::new(Store::new(6 * MIB).script(|asked, plan| {
        if asked.number % 3 == 2 {
            plan.failure = Some(unavailable("503").not_before(Duration::from_secs(2)));
        }
    }));
    let start = Instant::now();
    bench.fetched().await;
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert!(start.elapsed() <= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn silence_is_noticed_and_slowness_is_not_silence() {
    let mut bench = Bench::new(Store::new(4 * MIB).script(|asked, plan| {
        if asked.number == 1 {
            plan.stall = Some(1000);
        }
        if asked.number == 2 {
            plan.delay = Duration::from_secs(3600);
        }
    }));
    bench.tuning.stall_timeout = Duration::from_secs(2);
    let start = Instant::now();
    bench.fetched().await;
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
    assert!(
        start.elapsed() <= Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    let mut bench = Bench::new(Store::new(40 << 10).script(|_, plan| {
        plan.piece = 10 << 10;
        plan.pace = Duration::from_secs(1);
    }));
    bench.tuning.stall_timeout = Duration::from_secs(2);
    bench.fetched().await;
    assert_eq!(bench.store.asked.borrow().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn bandwidth_is_shared_by_all_connections() {
    for part_size in [MIB, 8 * MIB] {
        let mut bench = Bench::of(20 * MIB);
        bench.tuning.part_size = part_size;
        bench.tuning.max_bandwidth = Some(5 * MIB);
        let start = Instant::now();
        bench.fetched().await;
        let seconds = start.elapsed().as_secs_f64();
        assert!((3.6..=4.2).contains(&seconds), "{seconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_tells_the_last_cause_and_how_far_it_got() {
    let mut bench = Bench::new(Store::new(4 * MIB).script(|asked, plan| {
        if asked.start() >= 2 * MIB {
            plan.failure = Some(unavailable("500 Internal Server Error"));
        }
    }));
    bench.limit = "5s";
    let start = Instant::now();
    let failure = bench.run().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(failure.kind(), Kind::Unavailable);
    assert_eq!(
        failure.to_string(),
        "fetch x://b/k: not ready after 5.0 s, 50 % of 4194304 bytes done: 500 Internal Server Error"
    );
    assert!(failure.mend().unwrap().contains("rerun resumes"));
    assert_eq!(bench.left(), ["k.journal", "k.part"]);
    bench.store.set_script(|_, _| {});
    let fetched = bench.fetched().await;
    assert_eq!((fetched.resumed, fetched.transferred), (2 * MIB, 2 * MIB));
}

#[tokio::test(start_paused = true)]
async fn without_resume_the_deadline_leaves_nothing() {
    let mut bench = Bench::new(Store::new(4 * MIB).script(|asked, plan| {
        if asked.start() >= 2 * MIB {
            plan.stall = Some(10);
        }
    }));
    bench.limit = "5s";
    bench.resumes = false;
    let failure = bench.refused(Kind::Unavailable).await;
    assert!(
        failure.to_string().contains("nothing came for 5.0 s"),
        "{failure}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_endless_change_of_state_or_of_nothing_ends_at_the_deadline() {
    let mut bench =
        Bench::new(Store::new(MIB).script(|_, plan| plan.delay = Duration::from_hours(9)));
    bench.limit = "7s";
    bench.refused(Kind::Unavailable).await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_removes_what_is_unfinished() {
    let bench = Bench::new(Store::new(4 * MIB).script(|_, plan| {
        plan.pace = Duration::from_millis(100);
    }));
    let run = bench.run();
    let stop = async {
        tokio::time::advance(Duration::from_millis(350)).await;
        while bench.left().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.stop.send_replace(Some(Signal::SIGTERM));
    };
    let (result, ()) = tokio::join!(run, stop);
    assert_eq!(
        result.unwrap_err().to_string(),
        "fetch x://b/k: stopped by a signal"
    );
    assert_eq!(bench.left(), [""; 0]);
}
