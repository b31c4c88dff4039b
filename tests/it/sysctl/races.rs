//! Several at once, and killed anywhere.

use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use super::S;
use crate::support::{Pod, binary, machine_to_itself};

/// Two raisers, started together.
const RAISE_ROUNDS: usize = 300;

/// Starts of raisers beside eight others.
const STARTS: usize = 1000;

/// Raisers at once: one and eight others.
const BESIDE: usize = 9;

/// Deaths at random moments.
const KILLS: usize = 500;

/// What a raiser asks for: above the starting point, below the largest integer.
const ASKED: RangeInclusive<u32> = 129..=65535;

/// Starts one raiser for each value at once in the pod, and returns the value that each of them
/// says it left behind.
#[track_caller]
fn raise_at_once(pod: &Pod, values: &[u32]) -> Vec<u32> {
    let podinit = binary().display();
    let start = |(number, value): (usize, &u32)| {
        format!(
            "'{podinit}' sysctl -q --output json 'net.core.somaxconn>={value}' > $out/{number} &"
        )
    };
    let starts: String = values.iter().enumerate().map(start).collect();
    let said = pod.sh(&format!(
        "out=$(mktemp -d); {starts} wait; for n in $(seq 0 {}); do cat $out/$n; done; rm -r $out",
        values.len() - 1
    ));
    let documents = serde_json::Deserializer::from_str(&said).into_iter::<Value>();
    let left: Vec<u32> = documents
        .map(|document| {
            let document = document.expect("a document from each raiser");
            let after = document["settings"][0]["after"]
                .as_str()
                .expect("a value after");
            assert!(document["settings"][0].get("error").is_none(), "{document}");
            after.parse().expect("a number")
        })
        .collect();
    assert_eq!(left.len(), values.len(), "one document a raiser: {said}");
    for (asked, left) in values.iter().zip(&left) {
        assert!(
            left >= asked,
            "asked for {asked} beside {values:?} and was content with {left}"
        );
    }
    left
}

/// Shares the rounds out over a few pods, for the settle of one leaves the processor to others.
fn in_several_pods(rounds: usize, round: impl Fn(&Pod) + Sync) {
    let left = Mutex::new(rounds);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let pod = Pod::new();
                loop {
                    {
                        let mut left = left.lock().expect("no round failed");
                        if *left == 0 {
                            break;
                        }
                        *left -= 1;
                    }
                    round(&pod);
                }
            });
        }
    });
}

/// Raises from `from` to each of the values at once; the highest must be what remains.
#[track_caller]
fn round(pod: &Pod, from: u32, values: &[u32]) {
    pod.set(S, &from.to_string());
    let left = raise_at_once(pod, values);
    let highest = values.iter().chain([&from]).max().expect("a value");
    assert_eq!(
        pod.read(S),
        highest.to_string(),
        "from {from}, asked {values:?}, left {left:?}"
    );
}

#[test]
fn two_raisers_at_once_end_on_the_higher_value() {
    let _turn = machine_to_itself();
    in_several_pods(RAISE_ROUNDS, |pod| {
        round(pod, 128, &[fastrand::u32(ASKED), fastrand::u32(ASKED)]);
    });
}

#[test]
fn nine_raisers_at_once_never_lower() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    for _ in 0..STARTS.div_ceil(BESIDE) {
        let values: Vec<_> = (0..BESIDE).map(|_| fastrand::u32(ASKED)).collect();
        // Half of the starting points are above most of what is asked for.
        round(&pod, fastrand::u32(ASKED), &values);
    }
}

#[test]
fn case_82_killed_anywhere_and_run_again() {
    let _turn = machine_to_itself();
    let pod = Pod::new();
    let podinit = binary().display();
    // The time a whole run takes here, so that the moments cover all of it and little more.
    let started = std::time::Instant::now();
    pod.sh(&format!(
        "for n in 1 2 3 4 5 6 7 8 9 10; do echo 4096 > /proc/sys/{S}; \
         '{podinit}' sysctl net.core.somaxconn=7 >/dev/null; done"
    ));
    let whole = started.elapsed().as_secs_f64() / 10.0;

    let delays: Vec<_> = (0..KILLS)
        .map(|_| format!("{:.6}", 0.0001 + fastrand::f64() * whole * 1.2))
        .collect();
    // `timeout` kills at the given moment, and then ends by the same signal itself.
    let said = pod.sh(&format!(
        "for delay in {delays}; do \
             echo 4096 > /proc/sys/{S}; \
             code=0; timeout --signal=KILL $delay '{podinit}' sysctl net.core.somaxconn=7 \
                 >/dev/null 2>&1 || code=$?; \
             between=$(cat /proc/sys/{S}); \
             again=0; '{podinit}' sysctl net.core.somaxconn=7 >/dev/null 2>&1 || again=$?; \
             echo $delay $code $between $again $(cat /proc/sys/{S}); \
         done",
        delays = delays.join(" ")
    ));
    assert_eq!(said.lines().count(), KILLS, "{said}");
    let mut killed = 0;
    for line in said.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [_, code, between, again, after] = words[..] else {
            panic!("five words: {line}")
        };
        assert!(["0", "137"].contains(&code), "{line}");
        assert!(["4096", "7"].contains(&between), "torn: {line}");
        assert!(code == "137" || between == "7", "said to be done: {line}");
        assert_eq!([again, after], ["0", "7"], "{line}");
        killed += usize::from(code == "137");
    }
    // Most of the moments must have been within the run, or nothing was tested.
    assert!(
        (KILLS / 4..KILLS).contains(&killed),
        "{killed} of {KILLS} were killed"
    );
}
