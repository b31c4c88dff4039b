//! Objects as ordered streams. In real time: a reader on its thread keeps paused time from passing.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::super::source::{Crc, Framing, Metadata};
use super::super::{Brought, Reader, to_stream};
use super::bench::Bench;
use super::store::{MIB, Store, etag, random_bytes, unavailable};
use crate::base::failure::{Failure, Kind};

fn read_all(mut reader: Reader) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    match reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Failure::caused_by(Kind::Corrupt, error)),
    }
}

async fn is_right(bench: &Bench) -> super::super::Fetched {
    let (brought, made) = to_stream(&bench.job(), &bench.shared(), read_all)
        .await
        .unwrap();
    assert!(made.unwrap() == **bench.store.bytes.borrow(), "wrong bytes");
    match brought {
        Brought::Fetched(fetched) => fetched,
        Brought::Unchanged => panic!("unchanged"),
    }
}

#[tokio::test]
async fn bytes_come_in_order_from_any_number_of_connections() {
    for length in [0, 1, MIB, 9 * MIB + 3, 70 * MIB] {
        for parallel in [1, 4, 16] {
            let mut store = Store::new(length);
            store.metadata = Metadata::Beside;
            store.announce(Crc::Crc32c, 0);
            let mut bench = Bench::new(store);
            bench.tuning.parallel = parallel;
            bench.tuning.part_size = 8 * MIB;
            let fetched = is_right(&bench).await;
            assert!(fetched.checked.contains(&"crc32c"));
            assert_eq!(fetched.transferred, length);
        }
    }
}

#[tokio::test]
async fn faults_on_the_way_do_not_show() {
    let mut bench = Bench::new(
        Store::new(40 * MIB).script(|asked, plan| match asked.number % 5 {
            1 => plan.cut = Some(plan.body.len() / 3),
            2 => plan.failure = Some(unavailable("503")),
            3 => plan.stall = Some(7),
            _ => {}
        }),
    );
    bench.tuning.stall_timeout = Duration::from_millis(200);
    is_right(&bench).await;
}

#[tokio::test]
async fn a_change_or_a_lie_starts_the_consumer_again() {
    let bench = Bench::of(9 * MIB);
    let store = std::rc::Rc::downgrade(&bench.store);
    bench.store.set_script(move |asked, _| {
        if asked.number == 5 {
            store
                .upgrade()
                .unwrap()
                .replace(random_bytes(8 * MIB), etag("\"two\""));
        }
    });
    is_right(&bench).await;
    let bench = Bench::new(Store::new(9 * MIB).script(|asked, plan| {
        if asked.start() >= 5 * MIB {
            plan.framing = Some(Framing::Chunked);
            plan.body.push(1);
        }
    }));
    is_right(&bench).await;
    let bench = Bench::new(Store::new(9 * MIB).script(|asked, plan| {
        plan.is_whole = true;
        plan.cut = (asked.number < 2).then_some(3_000_000);
    }));
    is_right(&bench).await;
}

#[tokio::test]
async fn wrong_bytes_are_refused_after_the_last() {
    let store = Store::new(3 * MIB);
    store.announce(Crc::Crc64Nvme, 1);
    let mut bench = Bench::new(store);
    bench.tuning.parallel = 1;
    let failure = to_stream(&bench.job(), &bench.shared(), read_all)
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), Kind::Corrupt);
    let mut bench = Bench::of(3 * MIB);
    bench.pins.sha256 = Some([0; 32]);
    let failure = to_stream(&bench.job(), &bench.shared(), read_all)
        .await
        .unwrap_err();
    assert!(failure.to_string().contains("sha256"), "{failure}");
}

#[tokio::test]
async fn what_the_consumer_leaves_is_read_for_the_checks() {
    let store = Store::new(40 * MIB);
    store.announce(Crc::Crc64Nvme, 1);
    let mut bench = Bench::new(store);
    bench.tuning.parallel = 1;
    let failure = to_stream(&bench.job(), &bench.shared(), |_| Ok(()))
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), Kind::Corrupt);
    assert_eq!(bench.store.sent.get(), 40 * MIB);
}

#[tokio::test]
async fn a_consumer_that_fails_ends_the_download() {
    let bench = Bench::of(70 * MIB);
    let consume = |_| Err::<(), _>(Failure::new(Kind::Corrupt, "a device"));
    let failure = to_stream(&bench.job(), &bench.shared(), consume)
        .await
        .unwrap_err();
    assert_eq!(failure.to_string(), "fetch x://b/k: a device");
    assert!(bench.store.sent.get() < 70 * MIB);
}

#[tokio::test]
async fn the_failure_of_the_download_outranks_that_of_the_broken_stream() {
    let bench = Bench::new(Store::new(9 * MIB).script(|asked, plan| {
        if asked.number == 4 {
            plan.failure = Some(Failure::new(Kind::Denied, "403"));
        }
    }));
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let consume = move |reader| {
        let result = read_all(reader);
        count.fetch_add(1, Ordering::SeqCst);
        result
    };
    let failure = to_stream(&bench.job(), &bench.shared(), consume)
        .await
        .unwrap_err();
    assert_eq!(failure.to_string(), "fetch x://b/k: 403");
    // It was at rest before the failure was told.
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stream_ends_at_the_deadline() {
    let mut bench = Bench::new(Store::new(9 * MIB).script(|asked, plan| {
        plan.stall = (asked.start() >= 4 * MIB).then_some(5);
    }));
    bench.limit = "1s";
    let failure = to_stream(&bench.job(), &bench.shared(), read_all)
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), Kind::Unavailable);
    assert!(failure.to_string().contains("44 %"), "{failure}");
}
