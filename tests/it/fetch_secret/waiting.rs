//! What can heal is waited for, until the deadline or a signal.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Scene;
use crate::support::wire::{Request, Response, own_address};
use crate::support::{OpenBao, Proxy, Reply, machine_to_itself};

/// A deadline of three seconds, and how late it may be.
const DEADLINE: Duration = Duration::from_secs(3);
const LATE: Duration = Duration::from_millis(250);

/// Answers the first `times` requests so; a question after the server's health is none.
fn at_first(times: usize, answer: Response) -> impl Fn(&Request, usize) -> Reply + Send + Sync {
    let count = AtomicUsize::new(0);
    move |request, _| {
        let is_health = request.target.starts_with("/v1/sys/health");
        if !is_health && count.fetch_add(1, Ordering::Relaxed) < times {
            Reply::Say(answer.clone())
        } else {
            Reply::Pass
        }
    }
}

#[test]
fn case_56_nothing_listens() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let address = format!("http://{}", own_address());
    let out = scene
        .bare(["--addr", &address, "--auth", "token", "secret/app"])
        .args(["--timeout", "3s", "--dir"])
        .args([scene.dir.path()])
        .env("VAULT_TOKEN", &scene.token)
        .run();
    out.fails(69).says("connection refused").says(&address);
    out.no_sooner_than(DEADLINE).within(DEADLINE + LATE);
    scene.dir.is_empty();
}

#[test]
fn case_57_sealed_and_never_initialised() {
    let _turn = machine_to_itself();
    let mut server = OpenBao::blank();
    {
        let scene = Scene::on(&server);
        let out = scene.fs(["--timeout", "3s", "secret/app"]).run();
        out.fails(69).says("not initialised");
        out.no_sooner_than(DEADLINE).within(DEADLINE + LATE);
        scene.dir.is_empty();
    }
    server.initialise();
    let scene = Scene::on(&server);
    let out = scene.fs(["--timeout", "3s", "secret/app"]).run();
    out.fails(69).says("sealed").hints("unseal");
    out.does_not_say("not initialised");
    out.no_sooner_than(DEADLINE).within(DEADLINE + LATE);
    scene.dir.is_empty();
    // The state is asked for without the token.
    let seen = scene.proxy.seen();
    let health: Vec<_> = seen
        .iter()
        .filter(|seen| seen.request.target.starts_with("/v1/sys/health"))
        .collect();
    assert!(!health.is_empty());
    for seen in health {
        assert_eq!(seen.request.header("x-vault-token"), None);
    }
}

#[test]
fn a_server_that_is_unsealed_is_noticed() {
    let server = OpenBao::start();
    let scene = Scene::on(&server);
    server.seal();
    let run = scene.fs(["secret/app"]).spawn();
    run.line_with("sealed");
    server.unseal();
    run.finish().succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
}

#[test]
fn case_58_answers_that_can_heal_are_tried_again() {
    let _turn = machine_to_itself();
    let errors = r#"{"errors":["not now"]}"#;
    for status in [412, 429, 472, 473, 500, 502, 503, 504] {
        let scene = Scene::scripted(at_first(2, Response::json(status, errors)));
        scene.fs(["secret/app"]).run().succeeds();
        scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    }
    let later = Response::json(429, errors).with("Retry-After", "1");
    let scene = Scene::scripted(at_first(1, later));
    let out = scene.fs(["secret/app"]).run();
    out.succeeds().no_sooner_than(Duration::from_secs(1));
    let seen = scene.proxy.seen();
    assert!(seen[1].at - seen[0].at >= Duration::from_secs(1));
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
}

#[test]
fn a_connection_that_is_cut_is_made_again() {
    let scene = Scene::scripted(|_, turn| match turn {
        0 | 2 => Reply::HangUp,
        _ => Reply::Pass,
    });
    scene.fs(["secret/app"]).run().succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
}

#[test]
fn case_59_silence_and_half_an_answer() {
    let _turn = machine_to_itself();
    let server = OpenBao::shared();
    let half = Response::json(200, r#"{"data":{"type":"kv","path":"secret/"}}"#);
    let silent = Proxy::alone(|_, _| Reply::Silence);
    let stalled = Proxy::alone(move |_, _| Reply::SayHead(half.clone()));
    for proxy in [silent, stalled] {
        let scene = Scene::before(server, proxy);
        let out = scene.fs(["--timeout", "3s", "secret/app"]).run();
        out.fails(69).says("secret/app");
        out.no_sooner_than(DEADLINE).within(DEADLINE + LATE);
        scene.dir.is_empty();
    }
}

#[test]
fn case_60_a_signal_ends_the_wait() {
    let _turn = machine_to_itself();
    let mut server = OpenBao::blank();
    server.initialise();
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let scene = Scene::on(&server);
        let run = scene.fs(["secret/app"]).spawn();
        run.line_with("sealed");
        let sent = run.signal(signal);
        let out = run.finish();
        out.ends_with(code)
            .within_of(Duration::from_millis(200), sent);
        scene.dir.is_empty();
    }
}

#[test]
fn a_signal_while_the_server_is_silent_leaves_nothing() {
    let _turn = machine_to_itself();
    let scene = Scene::scripted(|request, _| {
        if request.target == "/v1/secret/data/app" {
            Reply::Silence
        } else {
            Reply::Pass
        }
    });
    let run = scene.approle("app", ["secret/app"]).spawn();
    scene.wait_for_read();
    let sent = run.signal(Signal::SIGTERM);
    run.finish()
        .ends_with(143)
        .within_of(Duration::from_millis(200), sent);
    scene.dir.is_empty();
    let log = scene.log();
    assert_eq!(
        log.last().map(String::as_str),
        Some("POST auth/token/revoke-self")
    );
}
