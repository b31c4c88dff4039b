//! `http://`: status, headers, body and JSON of the first answer.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::run::{BEARER, PASSWORD, never_ready};
use super::{AT_ONCE, wait_for};
use crate::support::clock::{after, until};
use crate::support::machine_to_itself;
use crate::support::small_servers::Small;
use crate::support::wire::Response;
use crate::support::{Proxy, Reply};

/// Answers every request so.
fn says(status: u16, body: &'static str) -> Proxy {
    Proxy::alone(move |_, _| Reply::Say(Response::text(status, "text/plain", body)))
}

/// The specification's document.
const DOCUMENT: &str = r#"{"user":{"name":"test"},"is_active":true,"n":3}"#;

#[test]
fn case_44_good_answers() {
    for status in [200, 204, 301, 399] {
        wait_for([says(status, "").url()]).run().succeeds();
    }
    let other = says(200, "");
    let elsewhere = format!("{}/elsewhere", other.url());
    let server = Proxy::alone(move |_, _| {
        let answer = Response::text(302, "text/plain", "");
        Reply::Say(answer.with("Location", &elsewhere))
    });
    wait_for([server.url()]).run().succeeds();
    assert_eq!(server.log(), ["GET /"]);
    assert_eq!(other.log(), [""; 0], "a redirect is not followed");
    // A real server, with a path and a query that are its own.
    let nginx = Small::nginx("server { listen LISTEN; location /ready { return 200 ok; } }");
    wait_for([format!(
        "http://{}/ready?type=x&expect=%2Bü&a=%zz",
        nginx.address()
    )])
    .run()
    .fails(64);
    wait_for([format!(
        "http://{}/ready?type=x&expect=%2B",
        nginx.address()
    )])
    .run()
    .succeeds();
    until("nginx's log", || {
        nginx
            .requests()
            .contains("/ready?type=x&expect=%2B")
            .then_some(())
    });
    wait_for([
        format!("http://{}/none", nginx.address()).as_str(),
        "--timeout=300ms",
    ])
    .run()
    .fails(69)
    .says("status 404");
}

#[test]
fn case_45_bad_answers() {
    let missing = says(404, "");
    let out = wait_for(["--timeout=500ms", &missing.url()]).run();
    out.fails(69)
        .says("status 404, want 200-399")
        .hints("--http-status");
    let down = AtomicUsize::new(0);
    let server = Proxy::alone(move |_, _| {
        let status = if down.fetch_add(1, Ordering::Relaxed) < 5 {
            503
        } else {
            200
        };
        Reply::Say(Response::text(status, "text/plain", ""))
    });
    wait_for([server.url()]).run().succeeds();
    assert_eq!(server.log().len(), 6);
    // Every attempt makes a new connection.
    assert_eq!(server.connections(), 6);
}

#[test]
fn case_46_wanted_statuses() {
    let (missing, fine) = (says(404, ""), says(200, ""));
    wait_for(["--http-status", "404", &missing.url()])
        .run()
        .succeeds();
    wait_for(["--http-status", "200, 404-405", &missing.url()])
        .run()
        .succeeds();
    never_ready(&[(
        &["--http-status", "201", &fine.url()],
        "status 200, want 201",
    )]);
}

#[test]
fn case_47_fatal_statuses() {
    let _turn = machine_to_itself();
    for (status, list, code) in [
        (401, "401", 77),
        (403, "403", 77),
        (407, "407", 77),
        (404, "404", 66),
        (410, "410", 66),
        (500, "500-599", 1),
        (418, "400-417,418", 1),
    ] {
        let server = says(status, "");
        let out = wait_for(["--http-fatal", list, &server.url()]).run();
        out.fails(code)
            .says(&format!("status {status}"))
            .within(AT_ONCE);
        assert_eq!(server.log().len(), 1);
    }
    never_ready(&[(&[&says(401, "").url()], "status 401")]);
}

#[test]
fn case_48_bodies() {
    let server = says(200, "the news: all systems ready\n");
    let url = server.url();
    wait_for(["--http-body-regex", "all.+ready", &url])
        .run()
        .succeeds();
    wait_for(["--http-body-regex", "^the", &url])
        .run()
        .succeeds();
    never_ready(&[
        (&["--http-body-regex", "FooBar", &url], "FooBar"),
        (&["--http-body-regex", "^all", &url], "body"),
    ]);
}

#[test]
fn case_49_documents() {
    let server = Proxy::alone(|_, _| Reply::Say(Response::json(200, DOCUMENT)));
    let url = server.url();
    for fit in [
        "/user/name=test",
        "/is_active=true",
        "/n=3",
        r#"/user={"name":"test"}"#,
    ] {
        wait_for(["--http-json", fit, &url]).run().succeeds();
    }
    let both = [
        "--http-json",
        "/n=3",
        "--http-json",
        "/is_active=true",
        "--http-body-regex=user",
    ];
    wait_for(both).args([&url]).run().succeeds();
    never_ready(&[
        (&["--http-json", "/test=x", &url], "no /test"),
        (&["--http-json", "/user/name=Test", &url], "/user/name"),
        (&["--http-json", "/is_active=false", &url], "/is_active"),
        (&["--http-json", "/n=3", "--http-json", "/n=4", &url], "/n"),
        (
            &["--http-json", "/n=3", &says(200, "no document").url()],
            "JSON",
        ),
    ]);
    let odd = Proxy::alone(|_, _| {
        Reply::Say(Response::json(
            200,
            r#"{"a/b":{"m~n":["x","y=z"]},"":"empty","t":"true"}"#,
        ))
    });
    for fit in ["/a~1b/m~0n/1=y=z", "/=empty", "/t=true"] {
        wait_for(["--http-json", fit, &odd.url()]).run().succeeds();
    }
}

#[test]
fn case_50_the_first_check_that_fails_is_the_cause() {
    let (down, up) = (says(500, "down"), says(200, "down"));
    let want = |server: &Proxy| {
        let out = wait_for([
            "--timeout=400ms",
            "--http-body-regex=all fine",
            &server.url(),
        ])
        .run();
        out.fails(69);
        out
    };
    want(&down).says("status 500").does_not_say("all fine");
    want(&up).says("all fine").does_not_say("status");
    let both = [
        "--timeout=400ms",
        "--http-body-regex=all fine",
        "--http-json=/a=b",
    ];
    let out = wait_for(both).args([up.url()]).run();
    out.fails(69).says("all fine").does_not_say("JSON");
}

#[test]
fn case_51_headers() {
    let server = says(200, "");
    let url = server.url();
    wait_for([
        "--http-header",
        "X-Test: a:b:c",
        "--http-header",
        "X-Other:  d  ",
        &url,
    ])
    .run()
    .succeeds();
    let seen = server.seen();
    assert_eq!(seen[0].request.header("x-test"), Some("a:b:c"));
    assert_eq!(seen[0].request.header("x-other"), Some("d"));
    server.forget();
    wait_for([&url])
        .env(
            "PODINIT_HTTP_HEADER",
            format!("Authorization: Bearer {BEARER}\nX-Two: 2"),
        )
        .run()
        .succeeds();
    let seen = server.seen();
    let bearer = format!("Bearer {BEARER}");
    assert_eq!(seen[0].request.header("authorization"), Some(&*bearer));
    assert_eq!(seen[0].request.header("x-two"), Some("2"));
    server.forget();
    // A host name of one's own replaces the address.
    wait_for(["--http-header", "Host: app.example", &url])
        .run()
        .succeeds();
    assert_eq!(server.seen()[0].request.header("host"), Some("app.example"));
}

#[test]
fn case_52_methods() {
    let server = Proxy::alone(|request, _| {
        let status = if request.method == "HEAD" { 200 } else { 405 };
        Reply::Say(Response::text(status, "text/plain", ""))
    });
    wait_for(["--http-method", "HEAD", &server.url()])
        .run()
        .succeeds();
    assert_eq!(server.log(), ["HEAD /"]);
    never_ready(&[(&[&server.url()], "status 405")]);
    let posts = says(200, "");
    wait_for(["--http-method", "POST", &posts.url()])
        .run()
        .succeeds();
    assert!(posts.seen()[0].request.body.is_empty());
}

#[test]
fn case_53_a_body_without_end() {
    let peak_of = |body: String| {
        let server = Proxy::alone(move |_, _| Reply::Say(Response::text(200, "text/plain", &body)));
        let run = wait_for(["--interval=50ms", "--http-body-regex=needle", &server.url()]).spawn();
        server.wait_until(|seen| seen.len() >= 6);
        let status = fs::read_to_string(format!("/proc/{}/status", run.pid())).expect("it runs");
        run.signal(nix::sys::signal::Signal::SIGTERM);
        let out = run.finish();
        out.ends_with(143);
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .expect("a peak");
        let kib: u64 = peak
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .expect("a number");
        (kib, out)
    };
    let (small, _) = peak_of("x".to_string());
    let (large, out) = peak_of("x".repeat(5 << 20));
    assert!(out.stderr.contains("over 1 MiB"), "{out:?}");
    assert!(large < small + 4096, "{large} KiB beside {small} KiB");
    // What comes before the limit counts.
    let early = Proxy::alone(|_, _| {
        let body = format!("needle{}", "x".repeat(1 << 19));
        Reply::Say(Response::text(200, "text/plain", &body))
    });
    wait_for(["--http-body-regex=needle", &early.url()])
        .run()
        .succeeds();
    // Without a condition on the body nobody waits for it.
    let endless = Proxy::alone(|_, _| {
        Reply::SayHead(Response::text(200, "text/plain", &"x".repeat(5 << 20)))
    });
    wait_for([endless.url()])
        .run()
        .succeeds()
        .within(Duration::from_secs(3));
}

#[test]
fn a_basic_login() {
    use base64::Engine as _;
    let right = base64::engine::general_purpose::STANDARD.encode(format!("app:{PASSWORD}"));
    let server = Proxy::alone(move |request, _| {
        let is_known = request.header("authorization") == Some(&format!("Basic {right}"));
        let status = if is_known { 200 } else { 401 };
        Reply::Say(Response::text(status, "text/plain", ""))
    });
    let target = server.url().replace("://", "://app@");
    wait_for(["--password-env", "PW", &target])
        .env("PW", PASSWORD)
        .run()
        .succeeds();
    let own = server
        .url()
        .replace("://", &format!("://app:{}@", super::run::PASSWORD_IN_URL));
    wait_for([""; 0])
        .env("PODINIT_TARGETS", own)
        .run()
        .succeeds();
    never_ready(&[(&[&server.url()], "status 401")]);
}

#[test]
fn one_run_may_have_several() {
    let (one, two) = (says(200, "all fine"), says(200, "all fine"));
    wait_for(["--http-body-regex=fine", &one.url(), &two.url()])
        .run()
        .succeeds();
    assert_eq!((one.log().len(), two.log().len()), (1, 1));
}

#[test]
fn a_server_that_comes_back_is_noticed() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let run = wait_for([format!("http://{address}")]).spawn();
    run.line_with("refused");
    let later = after(Duration::from_millis(300), move || {
        let listener = std::net::TcpListener::bind(address).expect("nobody took it");
        Proxy::on(listener, None, |_, _| {
            Reply::Say(Response::text(200, "text/plain", ""))
        })
    });
    let out = run.finish();
    let (at, _server) = later.happened();
    out.succeeds().within_of(Duration::from_millis(1500), at);
}
