//! Several targets in one run: all of them, any of them, and targets that should be gone.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::run::{Files, WRONG, never_ready};
use super::{AT_ONCE, LATE, closed, wait_for};
use crate::support::clock::after;
use crate::support::dns::{Answer, Dns, NXDOMAIN, SERVFAIL};
use crate::support::machine_to_itself;
use crate::support::scripted::{Scripted, reset};
use crate::support::wire::{Response, own_address};
use crate::support::{Proxy, Reply};

/// Refuses every password.
fn strict_redis() -> Scripted {
    Scripted::start(|visitor| {
        visitor.hear(4)?;
        visitor.say(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")?;
        visitor.stay()
    })
}

/// Answers every request with this status.
fn always(status: u16) -> Proxy {
    Proxy::alone(move |_, _| Reply::Say(Response::text(status, "text/plain", "as ever")))
}

#[test]
fn all_targets_must_be_ready() {
    let one = Scripted::silent();
    let address = own_address();
    let targets = [
        format!("tcp://{}", one.address()),
        format!("tcp://{address}"),
    ];
    let run = wait_for(&targets).spawn();
    let opened = after(Duration::from_millis(400), move || {
        TcpListener::bind(address).expect("the address is ours")
    });
    let out = run.finish();
    let (at, _listener) = opened.happened();
    out.succeeds();
    assert!(out.ended >= at, "{out:?}");
    // What was ready once is not asked again.
    assert_eq!(one.visits().len(), 1);
}

#[test]
fn a_final_error_ends_all_at_once() {
    let _turn = machine_to_itself();
    let strict = strict_redis();
    let out = wait_for([
        format!("tcp://{}", closed()),
        format!("redis://{}?password-env=PW", strict.address()),
    ])
    .env("PW", WRONG)
    .run();
    out.fails(77).within(AT_ONCE);
    out.says(&strict.address().to_string()).hints("PW");
    assert_eq!(strict.visits().len(), 1);
}

#[test]
fn case_27_any_of_them() {
    let _turn = machine_to_itself();
    let open = Scripted::silent();
    let out = wait_for(["--any"])
        .args([
            format!("tcp://{}", closed()),
            format!("tcp://{}", open.address()),
        ])
        .run();
    out.succeeds().within(AT_ONCE);
    let strict = strict_redis();
    let address = own_address();
    let run = wait_for(["--any"])
        .args([format!("redis://{}?password-env=PW", strict.address())])
        .args([format!("tcp://{address}")])
        .env("PW", WRONG)
        .spawn();
    let opened = after(Duration::from_secs(1), move || {
        TcpListener::bind(address).expect("the address is ours")
    });
    let out = run.finish();
    let (at, _listener) = opened.happened();
    out.succeeds().within_of(Duration::from_millis(1100), at);
    assert_eq!(strict.visits().len(), 1);
}

#[test]
fn case_28_none_is_left() {
    let _turn = machine_to_itself();
    let (denied, missing) = (always(403), always(404));
    let [denied, missing] = [&denied, &missing].map(Proxy::url);
    let fatal = ["--any", "--http-fatal", "403,404"];
    let out = wait_for(fatal).args([&denied, &missing]).run();
    out.fails(77).within(AT_ONCE);
    let out = wait_for(fatal).args([&missing, &denied]).run();
    out.fails(66).within(AT_ONCE);
    // As long as one can heal, nothing is lost.
    let out = wait_for(fatal)
        .args([&missing, &format!("tcp://{}", closed())])
        .args(["--timeout", "500ms"])
        .run();
    out.fails(69).says("refused");
}

#[test]
fn case_29_gone_already() {
    let _turn = machine_to_itself();
    let files = Files::new();
    for target in [
        format!("tcp://{}", closed()),
        format!("redis://{}", closed()),
        format!("file://{}", files.at("nope")),
        format!("unix://{}", files.at("nope")),
        format!("file://{}", files.at("no/such/folder")),
    ] {
        wait_for(["--gone", &target])
            .run()
            .succeeds()
            .within(AT_ONCE);
    }
}

#[test]
fn case_30_still_there() {
    let open = Scripted::silent();
    let out = wait_for(["--gone", "--timeout", "1s"])
        .args([format!("tcp://{}", open.address())])
        .run();
    out.fails(69).says("still there");
    let is_down = Arc::new(AtomicBool::new(false));
    let server = Proxy::alone({
        let is_down = Arc::clone(&is_down);
        move |_, _| {
            let status = if is_down.load(Ordering::Relaxed) {
                503
            } else {
                200
            };
            Reply::Say(Response::text(status, "text/plain", ""))
        }
    });
    let run = wait_for(["--gone", &server.url()]).spawn();
    let downed = after(Duration::from_secs(1), move || {
        is_down.store(true, Ordering::Relaxed);
    });
    let out = run.finish();
    out.succeeds()
        .within_of(Duration::from_millis(1500), downed.at());
}

#[test]
fn a_target_that_goes_away_is_noticed() {
    let server = Scripted::silent();
    let run = wait_for(["--gone", &format!("tcp://{}", server.address())]).spawn();
    server.wait_until(|visits| visits.len() >= 2);
    drop(server);
    run.finish().succeeds();
}

#[test]
fn what_proves_nothing_is_not_gone() {
    let silent = Scripted::silent();
    let resets = Scripted::start(reset);
    let closes = Scripted::start(|_| Ok(()));
    let loading = Scripted::start(|visitor| {
        visitor.hear(4)?;
        visitor.say(b"-LOADING Redis is loading the dataset in memory\r\n")?;
        visitor.stay()
    });
    let cannot = Dns::start(|_| Answer::code(SERVFAIL));
    let mute = Dns::start(|_| Answer::silence());
    let full = crate::support::backlog::Full::new();
    let files = Files::new();
    let there = files.put("there", "x");
    let socket = files.path("socket");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    let targets = [
        format!("redis://{}", silent.address()),
        format!("redis://{}", resets.address()),
        format!("redis://{}", closes.address()),
        format!("redis://{}", loading.address()),
        format!("https://{}", silent.address()),
        format!("https://{}", closes.address()),
        format!("http://{}", resets.address()),
        format!("dns://a.example?server={}", cannot.address()),
        format!("dns://a.example?server={}", mute.address()),
        format!("tcp://{}", full.address()),
        format!("file://{there}"),
        format!("unix://{}", socket.display()),
    ];
    let cases: Vec<_> = targets
        .iter()
        .map(|target| ["--gone", target.as_str()])
        .collect();
    let cases: Vec<_> = cases.iter().map(|case| (&case[..], "")).collect();
    never_ready(&cases);
}

#[test]
fn what_proves_absence_is_gone() {
    let none = Dns::start(|question| match &*question.name {
        "empty.example" => Answer::nothing(),
        _ => Answer::code(NXDOMAIN),
    });
    for name in ["empty.example", "none.example"] {
        let target = format!("dns://{name}?server={}", none.address());
        wait_for(["--gone", &target]).run().succeeds();
    }
    let says_404 = always(404);
    wait_for(["--gone", &says_404.url()]).run().succeeds();
    // Still there is who answers as asked.
    let out = wait_for([
        "--gone",
        "--http-status=404",
        "--timeout=400ms",
        &says_404.url(),
    ])
    .run();
    out.fails(69).says("still there");
    let text = Proxy::alone(|_, _| Reply::Say(Response::text(200, "text/plain", "old release")));
    wait_for(["--gone", "--http-body-regex=new release", &text.url()])
        .run()
        .succeeds();
}

#[test]
fn under_gone_no_answer_is_final() {
    let denied = always(403);
    let out = wait_for([
        "--gone",
        "--http-fatal=403",
        "--http-status=200-299,403",
        "--timeout=400ms",
    ])
    .args([denied.url()])
    .run();
    // The two lists exclude each other, so this is what cannot be asked for.
    out.fails(64);
    let strict = strict_redis();
    let out = wait_for(["--gone", "--timeout=500ms"])
        .args([format!("redis://{}?password-env=PW", strict.address())])
        .env("PW", WRONG)
        .run();
    out.fails(69).says("still there");
    for visit in strict.visits() {
        assert!(!visit.heard.starts_with(b"*"), "`--gone` never logs in");
    }
}

#[test]
fn the_deadline_counts_for_the_whole_run() {
    let _turn = machine_to_itself();
    let silent = Scripted::silent();
    let mut targets: Vec<_> = (0..10)
        .map(|_| format!("redis://{}", silent.address()))
        .collect();
    targets.extend((0..10).map(|_| format!("tcp://{}", closed())));
    let open = Scripted::silent();
    targets.push(format!("tcp://{}", open.address()));
    let out = wait_for(["--timeout", "1s"]).args(&targets).run();
    out.fails(69).says("20 of 21 targets not ready after 1s");
    let limit = Duration::from_secs(1);
    out.no_sooner_than(limit).within(limit + LATE);
}
