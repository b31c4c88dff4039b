//! Trying again: the pauses, the deadline, signals.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::run::{Files, says_one_of};
use super::{LATE, closed, wait_for};
use crate::support::clock::after;
use crate::support::machine_to_itself;
use crate::support::scripted::{Leave, Scripted};
use crate::support::wire::own_address;

/// The specification's bar on a port that opens.
const NOTICED: Duration = Duration::from_millis(1100);

#[test]
fn case_21_an_open_port() {
    let server = Scripted::silent();
    wait_for([format!("tcp://{}", server.address())])
        .run()
        .succeeds();
    let visits = server.all_over();
    assert_eq!(visits.len(), 1);
    assert!(visits[0].heard.is_empty());
    assert_eq!(visits[0].left, Some(Leave::Closed));
}

#[test]
fn what_was_sent_already_is_read_before_leaving() {
    // A banner left unread would turn the FIN into a RST.
    let server = Scripted::start(|visitor| {
        visitor.say(&[b'x'; 4000])?;
        visitor.stay()
    });
    for turn in 0..10 {
        wait_for([format!("tcp://{}?expect=xxx", server.address())])
            .run()
            .succeeds();
        assert_eq!(server.all_over()[turn].left, Some(Leave::Closed));
    }
}

#[test]
fn case_22_a_closed_port() {
    let _turn = machine_to_itself();
    let address = closed();
    let out = wait_for(["--timeout", "2s", &format!("tcp://{address}")]).run();
    out.fails(69)
        .says("connection refused")
        .says(&address.to_string());
    out.hints("Service");
    let limit = Duration::from_secs(2);
    out.no_sooner_than(limit).within(limit + LATE);
}

#[test]
fn case_23_a_port_that_opens() {
    let _turn = machine_to_itself();
    let opens_after = |delay: u64, args: &[&str]| {
        let address = own_address();
        let run = wait_for(args).args([format!("tcp://{address}")]).spawn();
        let opened = after(Duration::from_millis(delay), move || {
            TcpListener::bind(address).expect("the address is ours")
        });
        (run, opened)
    };
    let both = [
        opens_after(1500, &[]),
        opens_after(3000, &["--timeout", "0"]),
    ];
    for (run, opened) in both {
        let out = run.finish();
        let (at, _listener) = opened.happened();
        out.succeeds().within_of(NOTICED, at);
    }
}

#[test]
fn case_25_a_server_that_closes_at_once() {
    let _turn = machine_to_itself();
    let server = Scripted::start(|_| Ok(()));
    let out = wait_for(["--timeout", "10s", &format!("redis://{}", server.address())]).run();
    out.fails(69);
    says_one_of(&out, &["closed", "reset"]);
    let visits = server.visits();
    assert!((14..=17).contains(&visits.len()), "{} visits", visits.len());
    for pair in visits.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap <= NOTICED, "a gap of {gap:?}");
    }
    // The first pauses double from 50 ms, each shortened by a fifth at most.
    for (turn, pause) in [50, 100, 200, 400, 800].into_iter().enumerate() {
        let gap = visits[turn + 1].at - visits[turn].at;
        let least = Duration::from_millis(pause * 4 / 5);
        assert!(gap >= least, "pause {turn} was {gap:?}");
    }
}

#[test]
fn case_26_a_silent_server() {
    let _turn = machine_to_itself();
    let server = Scripted::silent();
    let out = wait_for(["--timeout", "1s", "--attempt-timeout", "30s"])
        .args([format!("redis://{}", server.address())])
        .run();
    out.fails(69).says("no answer");
    let limit = Duration::from_secs(1);
    out.no_sooner_than(limit).within(limit + LATE);
    assert_eq!(server.visits().len(), 1);
}

#[test]
fn an_attempt_has_a_limit_of_its_own() {
    let server = Scripted::start(|visitor| {
        if visitor.turn() == 0 {
            visitor.stay()
        } else {
            visitor.say(b"+PONG\r\n")?;
            visitor.stay()
        }
    });
    let out = wait_for(["--attempt-timeout", "300ms"])
        .args([format!("redis://{}", server.address())])
        .run();
    out.succeeds().no_sooner_than(Duration::from_millis(300));
    assert_eq!(server.visits().len(), 2);
}

#[test]
fn an_interval_is_the_longest_pause() {
    let server = Scripted::start(|_| Ok(()));
    let out = wait_for(["--timeout", "1s", "--interval", "60ms"])
        .args([format!("redis://{}", server.address())])
        .run();
    out.fails(69);
    let visits = server.visits().len();
    assert!((12..=24).contains(&visits), "{visits} visits");
}

#[test]
fn case_31_signals_end_the_wait() {
    let _turn = machine_to_itself();
    let target = format!("tcp://{}", closed());
    let open = Scripted::silent();
    let ready = format!("tcp://{}", open.address());
    for (turn, (signal, code)) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)]
        .into_iter()
        .enumerate()
    {
        let run = wait_for([&target, &ready]).spawn();
        run.line_with("refused");
        open.wait_until(|visits| visits.len() > turn && visits[turn].over.is_some());
        let sent = run.signal(signal);
        let out = run.finish();
        out.ends_with(code)
            .within_of(Duration::from_millis(200), sent);
        let last = out.last_line();
        assert!(last.contains(&target), "{out:?}");
        assert!(!last.contains(&ready), "{out:?}");
        assert!(out.termination().contains(&target), "{out:?}");
    }
}

#[test]
fn signals_end_an_attempt_half_way() {
    let _turn = machine_to_itself();
    let silent = Scripted::silent();
    for scheme in [
        "redis", "postgres", "http", "https", "grpc", "amqp", "kafka", "mongodb",
    ] {
        let before = silent.visits().len();
        let target = format!("{scheme}://{}", silent.address());
        let run = wait_for([target.as_str()]).pid1().spawn();
        silent.wait_until(|visits| visits.len() > before);
        let sent = run.signal(Signal::SIGTERM);
        let out = run.finish();
        out.ends_with(143)
            .within_of(Duration::from_millis(200), sent);
    }
}

#[test]
fn case_37_successes_in_a_row() {
    let _turn = machine_to_itself();
    let server = Scripted::silent();
    let out = wait_for(["--successes", "2", &format!("tcp://{}", server.address())]).run();
    out.succeeds();
    let visits = server.visits();
    assert_eq!(visits.len(), 2);
    let gap = visits[1].at - visits[0].at;
    let (low, high) = (Duration::from_millis(800), Duration::from_millis(1100));
    assert!(gap >= low && gap <= high, "{gap:?}");
}

#[test]
fn a_failure_starts_the_count_again() {
    // Ready twice, not ready once, then ready for good: three in a row end with the sixth.
    let server = Scripted::start(|visitor| {
        visitor.hear_until(b"PING\r\n")?;
        if visitor.turn() == 2 {
            visitor.say(b"-LOADING Redis is loading the dataset in memory\r\n")?;
        } else {
            visitor.say(b"+PONG\r\n")?;
        }
        visitor.stay()
    });
    let out = wait_for(["--successes", "3", "--interval", "50ms"])
        .args([format!("redis://{}", server.address())])
        .run();
    out.succeeds();
    assert_eq!(server.visits().len(), 6);
}

#[test]
fn a_cause_is_the_last_one() {
    // Refused first, then open and not ready: the refusal is history.
    let address = own_address();
    let run = wait_for(["--timeout", "2s", &format!("redis://{address}")]).spawn();
    run.line_with("refused");
    let server = Scripted::at(address, |visitor| {
        visitor.hear_until(b"\r\n")?;
        visitor.say(b"-LOADING Redis is loading the dataset in memory\r\n")?;
        visitor.stay()
    });
    let out = run.finish();
    out.fails(69).says("LOADING").does_not_say("refused");
    assert!(!server.visits().is_empty());
}

#[test]
fn a_dropped_packet_costs_a_second_at_most() {
    let _turn = machine_to_itself();
    let listener = crate::support::backlog::Full::new();
    let address = listener.address();
    let run = wait_for(["--attempt-timeout", "30s", &format!("tcp://{address}")]).spawn();
    let opened = after(Duration::from_millis(1700), move || {
        let at = Instant::now();
        (at, listener.accept_all())
    });
    let out = run.finish();
    let (_, (at, _kept)) = opened.happened();
    out.succeeds().within_of(NOTICED, at);
}

#[test]
fn silence_while_connecting_is_told_as_that() {
    let listener = crate::support::backlog::Full::new();
    let address = listener.address();
    let out = wait_for(["--timeout", "1s", &format!("tcp://{address}")]).run();
    out.fails(69)
        .says("no answer")
        .says(&address.ip().to_string());
    says_one_of(&out, &["no answer from"]);
    out.hints("NetworkPolicy");
}

#[test]
fn a_file_is_not_made_by_waiting() {
    let files = Files::new();
    let target = format!("file://{}", files.at("never"));
    wait_for(["--timeout", "300ms", &target]).run().fails(69);
    assert!(!files.path("never").exists());
}
