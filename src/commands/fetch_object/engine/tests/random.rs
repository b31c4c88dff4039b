//! Any size, any part, any width, any faults: the right bytes or a failure, never wrong bytes.

use std::time::Duration;

use proptest::prelude::*;

use super::super::super::source::{Crc, Framing, Metadata};
use super::super::{Brought, to_stream};
use super::bench::Bench;
use super::store::{Asked, MIB, Plan, Store, etag, unavailable};
use crate::base::failure::{Failure, Kind};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    Cut(u16),
    Stall(u16),
    Short(u16),
    Long,
    Unready,
    Whole,
    NoRange,
    WrongStart,
    NoTotal,
    OtherTotal,
    OtherEtag,
    Changed,
    Chunked,
    Denied,
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        8 => Just(Fault::None),
        3 => any::<u16>().prop_map(Fault::Cut),
        1 => any::<u16>().prop_map(Fault::Stall),
        2 => any::<u16>().prop_map(Fault::Short),
        1 => Just(Fault::Long),
        2 => Just(Fault::Unready),
        1 => Just(Fault::Whole),
        1 => Just(Fault::NoRange),
        1 => Just(Fault::WrongStart),
        1 => Just(Fault::NoTotal),
        1 => Just(Fault::OtherTotal),
        1 => Just(Fault::OtherEtag),
        1 => Just(Fault::Changed),
        2 => Just(Fault::Chunked),
        1 => Just(Fault::Denied),
    ]
}

/// Bytes of an answer that should not be believed are false, so that believing them shows.
fn apply(fault: Fault, asked: &Asked, plan: &mut Plan) {
    let share = |share: u16, length: usize| length * usize::from(share) / usize::from(u16::MAX);
    let length = plan.body.len();
    let lie = |plan: &mut Plan, told: Option<String>| {
        plan.content_range = told;
        plan.body.fill(0xAA);
    };
    let told = plan.content_range.clone();
    match fault {
        Fault::None => {}
        Fault::Cut(at) => plan.cut = Some(share(at, length)),
        Fault::Stall(at) => plan.stall = Some(share(at, length)),
        Fault::Short(at) if told.is_some() => {
            let short = share(at, length).max(1);
            plan.body.truncate(short);
            let start = asked.start();
            let total = told
                .unwrap_or_default()
                .split('/')
                .next_back()
                .unwrap_or_default()
                .to_string();
            plan.content_range = Some(format!(
                "bytes {start}-{}/{total}",
                start + short as u64 - 1
            ));
        }
        Fault::Long if told.is_some() => {
            plan.framing = Some(Framing::Chunked);
            plan.body.fill(0xAA);
            plan.body.push(0);
        }
        Fault::Unready => plan.failure = Some(unavailable("503")),
        Fault::Whole => plan.is_whole = true,
        Fault::NoRange => lie(plan, None),
        Fault::WrongStart => lie(plan, Some(format!("bytes 1-{length}/{}", length + 1))),
        Fault::NoTotal => lie(
            plan,
            told.map(|told| format!("{}/*", told.split('/').next().unwrap_or_default())),
        ),
        Fault::OtherTotal => lie(plan, told.map(|told| format!("{told}0"))),
        Fault::OtherEtag => {
            plan.validator = etag(&format!("\"other {}\"", asked.number));
            if asked.start() > 0 {
                plan.body.fill(0xAA);
            }
        }
        Fault::Changed => plan.is_changed = true,
        Fault::Chunked => plan.framing = Some(Framing::Chunked),
        Fault::Denied => plan.failure = Some(Failure::new(Kind::Denied, "403")),
        Fault::Short(_) | Fault::Long => {}
    }
}

#[derive(Debug, Clone)]
struct Case {
    length: u64,
    part_size: u64,
    parallel: usize,
    faults: Vec<Fault>,
    has_head: bool,
    kills: Vec<u64>,
}

fn case() -> impl Strategy<Value = Case> {
    let length = prop_oneof![0..5_u64, MIB - 2..MIB + 2, 0..6 * MIB, 3 * MIB..3 * MIB + 1];
    let faults = proptest::collection::vec(fault(), 0..24);
    let kills = proptest::collection::vec(0..300_u64, 0..3);
    (
        length,
        MIB..4 * MIB,
        1..9_usize,
        faults,
        any::<bool>(),
        kills,
    )
        .prop_map(
            |(length, part_size, parallel, faults, has_head, kills)| Case {
                length,
                part_size,
                parallel,
                faults,
                has_head,
                kills,
            },
        )
}

fn bench(case: &Case, pace: Duration, stall: Duration) -> Bench {
    let mut store = Store::new(case.length);
    if case.has_head {
        store.metadata = Metadata::Beside;
        store.announce(Crc::Crc32c, 0);
    }
    let faults = case.faults.clone();
    let mut bench = Bench::new(store.script(move |asked, plan| {
        plan.pace = pace;
        let fault = faults.get(asked.number).copied().unwrap_or(Fault::None);
        apply(fault, asked, plan);
    }));
    bench.tuning.part_size = case.part_size;
    bench.tuning.parallel = case.parallel;
    bench.tuning.stall_timeout = stall;
    bench
}

fn run(is_paused: bool, work: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime
        .enable_all()
        .start_paused(is_paused)
        .build()
        .unwrap()
        .block_on(work);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_right_or_refused(case in case()) {
        run(true, async {
            let bench = bench(&case, Duration::from_millis(3), Duration::from_secs(2));
            for kill in &case.kills {
                let shared = bench.shared();
                shared.keeps_unfinished.set(true);
                let _ = tokio::time::timeout(Duration::from_millis(*kill), bench.bring(&shared)).await;
            }
            match bench.run().await {
                Ok(Brought::Fetched(fetched)) => bench.is_right(&fetched),
                Ok(Brought::Unchanged) => panic!("nothing was there"),
                Err(failure) => {
                    assert_ne!(failure.kind(), Kind::Bug, "{failure}");
                    assert!(bench.left().is_empty(), "{failure}");
                }
            }
        });
    }
}

proptest! {
    // In real time: a reader on its thread keeps paused time from passing.
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_is_right_or_refused(case in case()) {
        run(false, async {
            let bench = bench(&case, Duration::ZERO, Duration::from_millis(50));
            let consume = |mut reader| {
                let mut bytes = Vec::new();
                match std::io::Read::read_to_end(&mut reader, &mut bytes) {
                    Ok(_) => Ok(bytes),
                    Err(error) => Err(Failure::caused_by(Kind::Local, error)),
                }
            };
            match to_stream(&bench.job(), &bench.shared(), consume).await {
                Ok((_, made)) => assert!(made.unwrap() == **bench.store.bytes.borrow(), "wrong bytes"),
                Err(failure) => assert!(!matches!(failure.kind(), Kind::Bug | Kind::Local), "{failure}"),
            }
        });
    }
}
