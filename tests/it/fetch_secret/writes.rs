//! Parameters that would write, limits of the server, and looking without reading.

use std::time::Duration;

use serde_json::Value;

use super::{Scene, warnings};
use crate::support::OpenBao;

/// Requests that could change something.
fn writes(scene: &Scene<'_>) -> Vec<String> {
    let mut log = scene.log();
    log.retain(|line| !line.starts_with("GET "));
    log
}

#[test]
fn case_68_a_mistyped_parameter_never_overwrites_a_secret() {
    let scene = Scene::new();
    scene.put("secret/case68", r#"{"a":"still here"}"#);
    scene.server.post("kv1/case68", r#"{"a":"here as well"}"#);
    let shown = || {
        let [two, one] = ["secret/data/case68", "kv1/case68"].map(|path| scene.server.get(path));
        [two["data"].clone(), one["data"].clone()]
    };
    let before: [Value; 2] = shown();
    for (secret, hint) in [
        ("secret/case68?foo=b", ""),
        ("kv1/case68?vesion=3", "version="),
        ("secret/case68?", ""),
    ] {
        let out = scene.fs([secret]).run();
        out.fails(64).says("case68").hints(hint);
    }
    let out = scene.fs(["a=kv1/case68?version=2#a"]).run();
    out.fails(64).says("version").says("kv1/");
    assert_eq!(shown(), before);
    assert_eq!(writes(&scene), [""; 0]);
    scene.dir.is_empty();
}

#[test]
fn case_69_a_rate_limit_is_waited_out() {
    let server = OpenBao::start();
    let scene = Scene::on(&server);
    scene.put("secret/second", r#"{"k":"of the second"}"#);
    server.post(
        "sys/quotas/rate-limit/slow",
        r#"{"rate":1,"interval":"3s","path":"secret/"}"#,
    );
    let out = scene
        .fs(["a=secret/app#password", "b=secret/second#k"])
        .run();
    out.succeeds().no_sooner_than(Duration::from_secs(1));
    scene.dir.holds(&[("a", b"p<w&>"), ("b", b"of the second")]);
    assert!(scene.reads().len() > 2, "the limit was never met");
}

#[test]
fn case_70_a_dry_run_asks_for_rights_and_reads_nothing() {
    let mut scene = Scene::new();
    let out = scene.fs(["--dry-run", "secret/app", "kv1/x#k"]).run();
    out.succeeds();
    assert!(out.stdout.contains("secret/data/app"), "{out:?}");
    assert_eq!(warnings(&out), [""; 0]);
    scene.dir.is_empty();
    assert_eq!(scene.reads(), [""; 0]);
    assert!(
        writes(&scene)
            .iter()
            .all(|line| line == "POST sys/capabilities-self"),
        "{:?}",
        scene.log()
    );
    assert!(!writes(&scene).is_empty());
    let before = scene.dir.snapshot();
    scene.limited(
        "case70",
        r#"path "secret/data/other" { capabilities = ["read"] }
           path "sys/capabilities-self" { capabilities = ["update"] }"#,
    );
    let out = scene.fs(["--dry-run", "secret/app"]).run();
    out.fails(77).says("secret/data/app").says("read");
    assert_eq!(scene.reads(), [""; 0]);
    assert_eq!(scene.dir.snapshot(), before);
}

#[test]
fn a_dry_run_that_may_not_ask_says_so() {
    let mut scene = Scene::new();
    scene.limited(
        "unasked",
        r#"path "secret/data/app" { capabilities = ["read"] }"#,
    );
    let out = scene.fs(["--dry-run", "secret/app"]).run();
    out.succeeds();
    assert!(super::warning(&out).contains("unchecked"), "{out:?}");
    assert_eq!(scene.reads(), [""; 0]);
    scene.dir.is_empty();
}

#[test]
fn a_dry_run_mints_nothing_and_gives_its_token_back() {
    let scene = Scene::new();
    let out = scene
        .approle("app", ["--dry-run", "otp/=ssh/creds/otp?ip=10.1.2.3"])
        .run();
    out.succeeds();
    assert_eq!(scene.reads(), [""; 0]);
    let log = scene.log();
    assert_eq!(
        log.first().map(String::as_str),
        Some("POST auth/approle/login")
    );
    assert_eq!(
        log.last().map(String::as_str),
        Some("POST auth/token/revoke-self")
    );
    scene.dir.is_empty();
}
