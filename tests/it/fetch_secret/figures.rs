//! The specification's figures that a debug build and a busy machine do not change.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::Scene;
use crate::support::wire::{Response, own_address};
use crate::support::{OpenBao, Proxy, Reply, machine_to_itself};

const LATE: Duration = Duration::from_millis(250);
const STOPPED: Duration = Duration::from_millis(200);
const NOTICED: Duration = Duration::from_secs(1);

/// How often each limit is tried; the worst counts.
const TIMES: usize = 25;

#[test]
fn a_hundred_failing_runs_leave_no_token() {
    let server = OpenBao::start();
    let scene = Scene::on(&server);
    let before = server.tokens();
    let failures: [(&str, i32); 5] = [
        ("secret/nope", 66),
        ("x=secret/app#nokey", 66),
        ("nosuch/x", 77),
        ("x=secret/app?decode=hex#password", 65),
        ("tls/=pki_int/issue/web?common_name=a.other.com", 64),
    ];
    for _ in 0..20 {
        for (secret, code) in failures {
            scene.approle("app", [secret]).run().fails(code);
        }
    }
    let logins = scene.log();
    let logins = logins
        .iter()
        .filter(|line| *line == "POST auth/approle/login");
    assert_eq!(logins.count(), 100);
    assert_eq!(server.tokens(), before);
    scene.dir.is_empty();
}

#[test]
fn signals_and_deadlines_leave_no_token() {
    let _turn = machine_to_itself();
    let server = OpenBao::start();
    let proxy = Proxy::scripted(server.address(), |request, _| {
        if request.target.starts_with("/v1/secret/data/") {
            Reply::Silence
        } else {
            Reply::Pass
        }
    });
    let scene = Scene::before(&server, proxy);
    let before = server.tokens();
    for _ in 0..10 {
        let out = scene.approle("app", ["--timeout", "400ms", "secret/app"]);
        out.run().fails(69).says("secret/data/app");
        scene.proxy.forget();
        let run = scene.approle("app", ["secret/app"]).spawn();
        scene.wait_for_read();
        run.signal(Signal::SIGTERM);
        run.finish().ends_with(143);
    }
    assert_eq!(server.tokens(), before);
    scene.dir.is_empty();
}

#[test]
fn requests_are_a_login_a_mount_a_secret_each_and_a_revoke() {
    let scene = Scene::new();
    for turn in 0..18 {
        scene.put(&format!("secret/many/{turn:02}"), r#"{"k":"one of many"}"#);
    }
    scene
        .server
        .post("kv1/many", r#"{"k":"one of many","l":"the same"}"#);
    let mut secrets: Vec<_> = (0..18)
        .map(|turn| format!("f{turn:02}=secret/many/{turn:02}#k"))
        .collect();
    secrets.extend(["a=kv1/many#k", "b=kv1/many#l", "c/=kv1/many"].map(String::from));
    scene.approle("app", &secrets).run().succeeds();
    let log = scene.log();
    let count = |part: &str| log.iter().filter(|line| line.contains(part)).count();
    assert_eq!(count("POST auth/approle/login"), 1);
    assert_eq!(count("sys/internal/ui/mounts/"), 2);
    assert_eq!(count("GET secret/data/many/"), 18);
    assert_eq!(count("GET kv1/many"), 1);
    assert_eq!(count("POST auth/token/revoke-self"), 1);
    assert_eq!(log.len(), 23, "{log:#?}");
    scene.proxy.forget();
    // One secret after the other needs one connection.
    scene.approle("app", ["secret/app"]).run().succeeds();
    assert_eq!(scene.log().len(), 4);
    assert_eq!(scene.proxy.connections(), 1);
}

#[test]
fn static_secrets_are_read_eight_at_a_time() {
    let _turn = machine_to_itself();
    let scene = Scene::scripted(|_, _| Reply::Late(Duration::from_millis(100)));
    for turn in 0..16 {
        scene.put(&format!("secret/eight/{turn}"), r#"{"k":"one of eight"}"#);
    }
    let secrets: Vec<_> = (0..16)
        .map(|turn| format!("f{turn}=secret/eight/{turn}#k"))
        .collect();
    let out = scene.fs(&secrets).run();
    // One question for the mount and two rounds of eight; in turn it would be 1.7 s.
    out.succeeds()
        .no_sooner_than(Duration::from_millis(300))
        .within(Duration::from_millis(900));
    let seen = scene.proxy.seen();
    let reads: Vec<_> = seen
        .iter()
        .filter(|seen| seen.request.target.contains("data"))
        .collect();
    for window in reads.windows(9) {
        let apart = window[8].at - window[0].at;
        assert!(apart >= Duration::from_millis(50), "nine at once");
    }
}

#[test]
fn the_deadline_is_kept() {
    let _turn = machine_to_itself();
    let deadline = Duration::from_millis(300);
    let server = OpenBao::shared();
    let silent = Scene::before(server, Proxy::alone(|_, _| Reply::Silence));
    let sealed = Scene::before(
        server,
        Proxy::alone(|_, _| Reply::Say(Response::json(503, r#"{"errors":["Vault is sealed"]}"#))),
    );
    let nobody = format!("http://{}", own_address());
    for _ in 0..TIMES {
        for scene in [&silent, &sealed] {
            let out = scene.fs(["--timeout", "300ms", "secret/app"]).run();
            out.fails(69)
                .no_sooner_than(deadline)
                .within(deadline + LATE);
        }
        let out = silent
            .bare(["--addr", &nobody, "--timeout", "300ms", "secret/app"])
            .args(["--auth", "token", "--dir"])
            .args([silent.dir.path()])
            .env("VAULT_TOKEN", &silent.token)
            .run();
        out.fails(69)
            .no_sooner_than(deadline)
            .within(deadline + LATE);
    }
    silent.dir.is_empty();
    sealed.dir.is_empty();
}

#[test]
fn a_signal_is_obeyed_wherever_it_comes() {
    let _turn = machine_to_itself();
    let mut dice = fastrand::Rng::with_seed(11);
    for _ in 0..TIMES {
        let stop = dice.usize(0..4);
        let scene = Scene::scripted(move |_, turn| {
            if turn < stop {
                Reply::Pass
            } else {
                Reply::Silence
            }
        });
        let run = scene.approle("app", ["secret/app"]).spawn();
        scene.proxy.wait_until(|seen| seen.len() > stop);
        let sent = run.signal(Signal::SIGTERM);
        let out = run.finish();
        // Once the files are published only the revoke is left, and the run is as good as done.
        assert!(out.code == 143 || stop == 3 && out.code == 0, "{out:?}");
        out.within_of(STOPPED, sent);
    }
}

#[test]
fn a_server_that_came_up_is_noticed() {
    let _turn = machine_to_itself();
    for refusals in [1, 3, 5, 6] {
        let count = AtomicUsize::new(0);
        let scene = Scene::scripted(move |request, _| {
            let is_health = request.target.starts_with("/v1/sys/health");
            if is_health || count.fetch_add(1, Ordering::Relaxed) >= refusals {
                Reply::Pass
            } else {
                Reply::Say(Response::json(503, r#"{"errors":["Vault is sealed"]}"#))
            }
        });
        scene.fs(["secret/app"]).run().succeeds();
        let seen = scene.proxy.seen();
        // The worst moment to come up is right after having been asked.
        let tries: Vec<Instant> = seen
            .iter()
            .filter(|seen| !seen.request.target.starts_with("/v1/sys/health"))
            .map(|seen| seen.at)
            .collect();
        let noticed = tries[refusals] - tries[refusals - 1];
        assert!(noticed <= NOTICED, "noticed after {noticed:?}");
    }
}

#[test]
fn a_port_that_opens_is_noticed() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let address = own_address();
    let run = scene
        .bare(["--addr", &format!("http://{address}"), "--auth", "token"])
        .args(["secret/app", "--dir"])
        .args([scene.dir.path()])
        .env("VAULT_TOKEN", &scene.token)
        .spawn();
    run.line_with("refused");
    let listener = std::net::TcpListener::bind(address).expect("the address is ours");
    let opened = Instant::now();
    let late = Proxy::on(listener, Some(scene.server.address()), |_, _| Reply::Pass);
    let out = run.finish();
    out.succeeds().within_of(NOTICED, opened);
    assert_eq!(late.log().len(), 2);
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
}
