//! What a run says while it waits, and at its end.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use super::run::PASSWORD;
use super::{closed, plainly, wait_for};
use crate::support::scripted::Scripted;
use crate::support::wire::own_address;

#[test]
fn case_35_json_and_nothing_else() {
    let server = Scripted::silent();
    let (open, shut) = (
        format!("tcp://{}", server.address()),
        format!("tcp://{}", closed()),
    );
    let out = wait_for(["--output", "json", "--timeout", "700ms", &open, &shut]).run();
    out.ends_with(69);
    let document = out.json();
    assert_eq!(document["ready"], false);
    assert!(
        document["elapsed_ms"]
            .as_u64()
            .is_some_and(|ms| (700..1500).contains(&ms))
    );
    let targets = document["targets"].as_array().expect("targets");
    assert_eq!(targets.len(), 2);
    assert_eq!(targets[0]["target"], *open);
    assert_eq!(targets[0]["ready"], true);
    assert_eq!(targets[0]["attempts"], 1);
    assert!(targets[0]["elapsed_ms"].is_u64());
    assert_eq!(targets[1]["target"], *shut);
    assert_eq!(targets[1]["ready"], false);
    assert!(
        targets[1]["attempts"]
            .as_u64()
            .is_some_and(|count| count > 1)
    );
    let cause = targets[1]["cause"].as_str().expect("a cause");
    assert!(cause.contains("refused"), "{cause}");
    let out = wait_for(["--output", "json", &open]).run();
    out.succeeds();
    assert_eq!(out.json()["ready"], true);
    assert_eq!(out.json()["targets"][0]["cause"], Value::Null);
}

/// Three runs that take long, at the same time.
#[test]
fn case_36_a_long_wait_is_quiet_and_idle() {
    let silent = Scripted::start(|_| Ok(()));
    let shut = format!("tcp://{}", closed());
    let closes = format!("redis://{}", silent.address());
    let quiet = plainly(["--timeout", "25s", &shut]).spawn();
    let busy = plainly(["--timeout", "25s", &shut, &closes]).spawn();
    let (before, pid) = (ticks(busy.pid().as_raw()), busy.pid());
    // The second summary is due after 20 seconds.
    for _ in 0..2 {
        busy.line_with("2 of 2");
    }
    let used = ticks(pid.as_raw()) - before;
    let attempts = silent.visits().len();
    let out = quiet.finish();
    out.fails(69);
    out.prints("");
    assert!(out.stderr.lines().count() <= 5, "{out:?}");
    busy.finish().fails(69);
    // 0.2 s a minute are 6.7 ticks of 10 ms in 20 s; two targets may take twice of one.
    assert!(used <= 14, "{used} ticks of CPU time");
    assert!(attempts <= 80, "{attempts} attempts");
}

/// CPU time of a process in ticks of 10 ms.
fn ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
    let fields: Vec<_> = rest.split(' ').collect();
    let field = |at: usize| fields[at].parse::<u64>().expect("a number");
    field(11) + field(12)
}

#[test]
fn a_state_is_told_when_it_changes() {
    let address = own_address();
    let target = format!("tcp://{address}");
    let run = plainly([&target]).spawn();
    run.line_with("refused");
    let _listener = TcpListener::bind(address).expect("the address is ours");
    let out = run.finish();
    out.succeeds().prints("");
    let about: Vec<_> = out
        .stderr
        .lines()
        .filter(|line| line.contains(&target))
        .collect();
    assert!(about.len() >= 2 && about.len() <= 3, "{out:?}");
    out.logs_once("refused");
}

#[test]
fn a_target_is_told_without_what_may_be_secret() {
    let shut = closed();
    let (port, ip) = (shut.port(), shut.ip());
    let targets = format!(
        "postgres://app:{}@{ip}:{port}/orders?sslmode=disable&application_name=xyz \
         http://{ip}:{port}/path?token=abcdef redis://{ip}:{port}?password-env=PW \
         tcp://{ip}:{port}?expect=hello-there",
        super::run::PASSWORD_IN_URL,
    );
    let out = wait_for(["--timeout", "400ms"])
        .env("PODINIT_TARGETS", targets)
        .env("PW", PASSWORD)
        .run();
    out.fails(69);
    for hidden in ["app:", "app@", "abcdef", "xyz", "hello-there"] {
        out.never_shows(hidden);
    }
    for told in [
        format!("http://{ip}:{port}/path?…"),
        format!("tcp://{ip}:{port}?…"),
    ] {
        out.says(&told);
    }
    // The keys of ours that are no secret are shown.
    let out = wait_for(["--timeout", "300ms", "file:///nonexistent/x?min-size=1KiB"]).run();
    out.fails(69).says("file:///nonexistent/x?min-size=1KiB");
}

#[test]
fn the_first_line_of_a_termination_message_says_enough() {
    let targets: Vec<_> = (0..50)
        .map(|turn| format!("tcp://{}?expect=x{turn}", closed()))
        .collect();
    let out = wait_for(["--timeout", "300ms"]).args(&targets).run();
    out.fails(69).says("50 of 50 targets not ready after");
    let message = out.termination();
    let first = message.lines().next().expect("a message");
    assert!(first.len() <= 200 && message.len() <= 1024, "{message:?}");
    assert!(
        first.starts_with("podinit wait-for: unavailable (69): "),
        "{message:?}"
    );
    assert!(first.contains("refused"), "{message:?}");
}

#[test]
fn each_target_has_its_line_in_the_termination_message() {
    let silent = Scripted::silent();
    let (shut, mute) = (
        format!("tcp://{}", closed()),
        format!("redis://{}", silent.address()),
    );
    let out = wait_for(["--timeout", "500ms", &shut, &mute]).run();
    out.fails(69).says("2 of 2 targets not ready after 500ms");
    let message = out.termination();
    let lines: Vec<_> = message.lines().skip(1).collect();
    for (target, cause) in [(&shut, "refused"), (&mute, "no answer")] {
        assert!(
            lines
                .iter()
                .any(|line| line.contains(target.as_str()) && line.contains(cause)),
            "{message:?}"
        );
    }
}

#[test]
fn the_time_of_success_is_told() {
    let server = Scripted::silent();
    let out = plainly([format!("tcp://{}", server.address())]).run();
    out.succeeds().prints("").within(Duration::from_secs(5));
    assert!(out.last_line().contains("ready"), "{out:?}");
}
