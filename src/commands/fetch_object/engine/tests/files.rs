//! Objects into part files: sizes, answers, sums, caps.

use super::super::super::source::{Checksum, Crc, Framing, Listed, Metadata, Span, Validator};
use super::super::Brought;
use super::bench::Bench;
use super::store::{MIB, Store, etag, unavailable};
use crate::base::failure::{Failure, Kind};

fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    ring::digest::digest(&ring::digest::SHA256, bytes)
        .as_ref()
        .try_into()
        .ok()
}

#[tokio::test]
async fn every_size_is_right_with_every_width() {
    for length in [1, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB + 77] {
        for parallel in [1, 2, 16] {
            let mut bench = Bench::of(length);
            bench.tuning.parallel = parallel;
            let fetched = bench.fetched().await;
            assert_eq!(fetched.transferred, length);
            assert_eq!(bench.store.sent.get(), length);
            assert_eq!(fetched.checked, ["length", "etag"]);
            assert_eq!(bench.left(), ["k.journal", "k.part"]);
        }
    }
}

#[tokio::test]
async fn the_first_request_is_a_range_and_all_others_are_bound_to_its_state() {
    let bench = Bench::of(3 * MIB);
    bench.fetched().await;
    let asked = bench.store.asked.borrow();
    assert_eq!(asked[0].span, Span::Part(0..MIB));
    let bound: Vec<bool> = asked.iter().map(|asked| asked.is_bound).collect();
    assert_eq!(bound, [false, true, true]);
    assert_eq!(bench.store.heads.get(), 0);
}

#[tokio::test]
async fn one_connection_or_a_short_object_of_a_list_takes_one_plain_get() {
    let mut bench = Bench::of(3 * MIB);
    bench.tuning.parallel = 1;
    bench.fetched().await;
    assert_eq!(bench.spans(), [Span::All]);
    let mut bench = Bench::of(MIB);
    bench.job = Box::new(|job| {
        job.listed = Some(Listed {
            key: "k".to_string(),
            size: MIB,
            validator: Validator::default(),
            checksums: Vec::new(),
        });
    });
    bench.fetched().await;
    assert_eq!(bench.spans(), [Span::All]);
}

#[tokio::test]
async fn an_empty_object_is_told_by_416_or_by_a_length_of_zero() {
    let bench = Bench::of(0);
    let fetched = bench.fetched().await;
    assert_eq!(bench.spans(), [Span::Part(0..MIB), Span::All]);
    assert_eq!(fetched.length, 0);
    let mut bench = Bench::of(0);
    bench.tuning.parallel = 1;
    bench.fetched().await;
}

#[tokio::test]
async fn a_200_is_the_download_itself() {
    let bench = Bench::new(Store::new(3 * MIB + 1).script(|_, plan| plan.is_whole = true));
    bench.fetched().await;
    assert_eq!(bench.store.asked.borrow().len(), 1);
    assert_eq!(bench.store.sent.get(), 3 * MIB + 1);
}

#[tokio::test]
async fn a_body_without_a_length_ends_where_its_chunks_end() {
    for length in [1, MIB, 2 * MIB + 5] {
        let bench = Bench::new(Store::new(length).script(|_, plan| {
            plan.is_whole = true;
            plan.framing = Some(Framing::Chunked);
        }));
        assert_eq!(bench.fetched().await.checked, ["length", "etag"]);
    }
}

#[tokio::test]
async fn an_end_by_close_proves_nothing_unless_the_digest_does() {
    let close = |_: &_, plan: &mut super::store::Plan| {
        plan.is_whole = true;
        plan.framing = Some(Framing::Close);
    };
    let bench = Bench::new(Store::new(MIB).script(close));
    let failure = bench.refused(Kind::Corrupt).await;
    assert!(failure.mend().unwrap().contains("--sha256"));
    let mut bench = Bench::new(Store::new(MIB).script(close));
    bench.pins.sha256 = sha256(&bench.store.bytes.borrow());
    bench.fetched().await;
}

#[tokio::test]
async fn short_ranges_are_completed() {
    let bench = Bench::new(Store::new(3 * MIB).script(|asked, plan| {
        if let Span::Part(range) = &asked.span {
            let short = (range.end - range.start).min(200_000);
            plan.body.truncate(usize::try_from(short).unwrap());
            plan.content_range = Some(format!(
                "bytes {}-{}/{}",
                range.start,
                range.start + short - 1,
                3 * MIB
            ));
        }
    }));
    bench.fetched().await;
    assert_eq!(bench.store.sent.get(), 3 * MIB);
}

#[tokio::test]
async fn the_sums_of_a_head_are_checked() {
    for kind in [Crc::Crc32, Crc::Crc32c, Crc::Crc64Nvme] {
        for flip in [0, 1] {
            let mut store = Store::new(3 * MIB + 9);
            store.metadata = Metadata::Beside;
            store.announce(kind, flip);
            let bench = Bench::new(store);
            if flip == 0 {
                let checked = bench.fetched().await.checked;
                assert_eq!(checked[..2], ["length", "etag"]);
                assert_eq!(checked.len(), 3, "{checked:?}");
                assert_eq!(bench.store.heads.get(), 1);
            } else {
                bench.refused(Kind::Corrupt).await;
            }
        }
    }
}

#[tokio::test]
async fn one_flipped_bit_is_noticed() {
    for at in [0_usize, 1_000_000, 3_145_727] {
        let mut store = Store::new(3 * MIB);
        store.metadata = Metadata::Beside;
        store.announce(Crc::Crc64Nvme, 0);
        let bench = Bench::new(store.script(move |asked, plan| {
            let start = usize::try_from(asked.start()).unwrap();
            if let Some(byte) = at.checked_sub(start).and_then(|at| plan.body.get_mut(at)) {
                *byte ^= 4;
            }
        }));
        bench.refused(Kind::Corrupt).await;
    }
}

#[tokio::test]
async fn a_sum_counts_only_if_it_is_of_the_whole_and_of_this_state() {
    let mut store = Store::new(2 * MIB);
    store.metadata = Metadata::Beside;
    store.checksums.borrow_mut().push(Checksum {
        kind: Crc::Crc32c,
        value: None,
    });
    let fetched = Bench::new(store).fetched().await;
    assert_eq!(fetched.checked, ["length", "etag"]);
    assert_eq!(fetched.unchecked.as_deref(), Some("composite"));

    let mut store = Store::new(2 * MIB);
    store.metadata = Metadata::Beside;
    store.head.replace(Some(Failure::new(Kind::Denied, "403")));
    let fetched = Bench::new(store).fetched().await;
    assert_eq!(fetched.unchecked.as_deref(), Some("403"));

    let mut store = Store::new(2 * MIB);
    store.metadata = Metadata::Beside;
    store.announce(Crc::Crc32c, 1);
    let first = etag("\"of the body\"");
    let bench = Bench::new(store.script(move |_, plan| plan.validator = first.clone()));
    // The HEAD is of `"one"`: its wrong sum is of another state. The bound ranges are answered by 412.
    bench.store.set_script(|_, plan| {
        plan.validator = etag("\"of the body\"");
        plan.is_changed = false;
    });
    assert_eq!(bench.fetched().await.checked, ["length", "etag"]);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_not_ready_is_asked_again_while_bytes_come() {
    let mut store = Store::new(4 * MIB);
    store.metadata = Metadata::Beside;
    store.announce(Crc::Crc32c, 0);
    store.head.replace(Some(unavailable("503")));
    let bench =
        Bench::new(store.script(|_, plan| plan.pace = std::time::Duration::from_millis(50)));
    let fetched = bench.fetched().await;
    assert_eq!(fetched.unchecked, None);
    assert_eq!(fetched.checked, ["length", "etag", "crc32c"]);
    assert_eq!(bench.store.heads.get(), 2);
}

#[tokio::test]
async fn metadata_that_comes_first_binds_the_ranges() {
    let mut store = Store::new(3 * MIB);
    store.metadata = Metadata::Before;
    store.validator.borrow_mut().generation = Some("7".to_string());
    store.announce(Crc::Crc32c, 0);
    let bench = Bench::new(store);
    assert_eq!(
        bench.fetched().await.checked,
        ["length", "generation", "crc32c"]
    );
    assert!(
        bench
            .store
            .asked
            .borrow()
            .iter()
            .all(|asked| asked.is_bound)
    );
    let mut store = Store::new(0);
    store.metadata = Metadata::Before;
    let bench = Bench::new(store);
    bench.fetched().await;
    assert_eq!(bench.spans(), []);
}

#[tokio::test]
async fn the_digest_is_checked_over_bytes_that_came_in_any_order() {
    for wrong in [false, true] {
        let mut bench = Bench::new(Store::new(5 * MIB + 3).script(|asked, plan| {
            // The first parts are the slowest.
            plan.piece = 10_000 + usize::try_from(asked.start() / 4).unwrap();
        }));
        let mut digest = sha256(&bench.store.bytes.borrow());
        if wrong {
            digest.as_mut().unwrap()[31] ^= 1;
        }
        bench.pins.sha256 = digest;
        if wrong {
            let failure = bench.refused(Kind::Corrupt).await;
            assert!(failure.to_string().contains("sha256 is "), "{failure}");
        } else {
            let fetched = bench.fetched().await;
            assert_eq!(fetched.sha256, digest);
            assert_eq!(fetched.checked.last(), Some(&"sha256"));
        }
    }
}

#[tokio::test]
async fn what_the_caller_has_is_not_fetched() {
    let mut bench = Bench::of(3 * MIB);
    bench.job = Box::new(|job| job.have = Some(etag("\"one\"")));
    assert!(matches!(bench.run().await.unwrap(), Brought::Unchanged));
    assert_eq!((bench.store.sent.get(), bench.store.heads.get()), (0, 0));
    assert_eq!(bench.left(), [""; 0]);
    bench.store.replace(vec![1; 5], etag("\"two\""));
    assert_eq!(bench.fetched().await.length, 5);
    let mut store = Store::new(3 * MIB);
    store.metadata = Metadata::Before;
    let mut bench = Bench::new(store);
    bench.job = Box::new(|job| job.have = Some(etag("\"one\"")));
    assert!(matches!(bench.run().await.unwrap(), Brought::Unchanged));
    assert_eq!(bench.spans(), []);
}

#[tokio::test]
async fn caps_and_pins_are_checked_before_the_body() {
    let mut bench = Bench::of(8 * MIB);
    bench.job = Box::new(|job| job.max_size = Some(8 * MIB - 1));
    bench.refused(Kind::Corrupt).await;
    assert_eq!(bench.store.sent.get(), 0);
    bench.job = Box::new(|job| job.max_size = Some(8 * MIB));
    bench.fetched().await;
    let mut bench = Bench::of(8 * MIB);
    bench.pins.etag = Some("other".to_string());
    let failure = bench.refused(Kind::Corrupt).await;
    assert!(failure.to_string().contains("other") && failure.to_string().contains("one"));
    bench.pins.etag = Some("one".to_string());
    bench.fetched().await;
    let mut bench = Bench::new(Store::new(8 * MIB).script(|_, plan| {
        plan.is_whole = true;
        plan.framing = Some(Framing::Chunked);
    }));
    bench.job = Box::new(|job| job.max_size = Some(MIB));
    bench.refused(Kind::Corrupt).await;
    assert!(bench.store.sent.get() < 2 * MIB);
}

#[tokio::test]
async fn what_cannot_heal_ends_at_once() {
    for kind in [Kind::Denied, Kind::Missing, Kind::Corrupt, Kind::Usage] {
        for number in [0, 2] {
            let bench = Bench::new(Store::new(4 * MIB).script(move |asked, plan| {
                if asked.number == number {
                    plan.failure = Some(Failure::new(kind, "no"));
                }
            }));
            let failure = bench.refused(kind).await;
            assert_eq!(failure.to_string(), "fetch x://b/k: no");
        }
    }
}

#[tokio::test]
async fn a_plain_get_has_a_plain_answer() {
    let mut bench = Bench::new(Store::new(MIB).script(|_, plan| plan.is_whole = false));
    bench.tuning.parallel = 1;
    bench.refused(Kind::Corrupt).await;
}
