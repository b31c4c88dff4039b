//! The login's token: given back, unless something depends on it.

use serde_json::Value;

use super::{Scene, warning, warnings};

/// The request that gives a token back.
const REVOKE: &str = "POST auth/token/revoke-self";

/// A member of an answer that a run got, from the first that has it.
fn got(scene: &Scene<'_>, pointer: &str) -> String {
    scene
        .proxy
        .seen()
        .iter()
        .filter_map(|seen| seen.response.as_ref())
        .filter_map(|answer| serde_json::from_slice::<Value>(&answer.body).ok())
        .filter_map(|answer| answer.pointer(pointer)?.as_str().map(str::to_string))
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| panic!("no {pointer} in any answer"))
}

/// The token that a login brought.
fn token(scene: &Scene<'_>) -> String {
    got(scene, "/auth/client_token")
}

#[test]
fn the_logins_token_is_revoked_after_success_and_after_failure() {
    let scene = Scene::new();
    let out = scene
        .approle("app", ["--output", "json", "secret/app"])
        .run();
    out.succeeds();
    assert_eq!(out.json()["token"], "revoked");
    assert_eq!(scene.log().last().map(String::as_str), Some(REVOKE));
    assert!(!scene.server.is_alive(&token(&scene)));
    scene.proxy.forget();
    scene.approle("app", ["secret/nope"]).run().fails(66);
    assert_eq!(scene.log().last().map(String::as_str), Some(REVOKE));
    assert!(!scene.server.is_alive(&token(&scene)));
}

#[test]
fn a_given_token_is_revoked_only_when_asked_always() {
    let scene = Scene::new();
    let out = scene.fs(["--output", "json", "secret/app"]).run();
    out.succeeds();
    assert_eq!(out.json()["token"], "given");
    assert!(scene.server.is_alive(&scene.token));
    scene.fs(["secret/nope"]).run().fails(66);
    assert!(scene.server.is_alive(&scene.token));
    let out = scene.fs(["--revoke", "always", "secret/app"]).run();
    out.succeeds();
    assert!(!scene.server.is_alive(&scene.token));
}

#[test]
fn case_50_a_batch_token_cannot_be_revoked() {
    let scene = Scene::new();
    let out = scene.approle("batch", ["secret/app"]).run();
    out.succeeds();
    assert_eq!(warnings(&out), [""; 0]);
    assert_eq!(
        scene.log(),
        [
            "POST auth/approle/login",
            "GET sys/internal/ui/mounts/secret/app",
            "GET secret/data/app",
        ]
    );
}

#[test]
fn case_51_a_refused_revoke_is_a_warning() {
    let scene = Scene::new();
    let out = scene.approle("bare", ["secret/app"]).run();
    out.succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    let warned = warning(&out);
    assert!(warned.contains("revoke"), "{warned}");
    // The role gives its tokens ten minutes.
    assert!(
        ["10m", "9m59s", "9m 59s", "600", "599"]
            .iter()
            .any(|life| warned.contains(life)),
        "{warned}"
    );
    assert_eq!(scene.log().last().map(String::as_str), Some(REVOKE));
}

#[test]
fn case_53_never_keeps_the_token_and_always_kills_what_it_made() {
    let scene = Scene::new();
    for flags in [["--revoke=never"], ["--keep-token"]] {
        scene.proxy.forget();
        let out = scene.approle("app", flags).args(["secret/app"]).run();
        out.succeeds();
        assert!(!scene.log().contains(&REVOKE.to_string()));
        assert!(scene.server.is_alive(&token(&scene)));
    }
    let scene = Scene::new();
    let otp = "otp/=ssh/creds/otp?ip=10.1.2.3";
    let out = scene.approle("app", ["--revoke", "always", otp]).run();
    out.succeeds();
    assert_eq!(scene.dir.text("otp/ip"), "10.1.2.3");
    assert!(!scene.server.is_alive(&token(&scene)));
    assert!(!has_lease(&scene));
    assert!(warning(&out).contains("ssh/creds/otp"), "{out:?}");
}

#[test]
fn a_lease_keeps_its_token_alive() {
    let scene = Scene::new();
    let otp = "otp/=ssh/creds/otp?ip=10.1.2.3";
    let out = scene
        .approle("app", ["--output", "json", otp, "secret/app"])
        .run();
    out.succeeds();
    let told = out.json();
    assert_eq!(told["token"], "kept");
    assert_eq!(told["leases"][0]["path"], "ssh/creds/otp");
    assert_eq!(told["leases"].as_array().map(Vec::len), Some(1));
    assert!(
        told["leases"][0]["ends_in"]
            .as_u64()
            .is_some_and(|left| left > 0)
    );
    assert!(scene.server.is_alive(&token(&scene)));
    assert!(has_lease(&scene));
    assert!(!scene.log().contains(&REVOKE.to_string()));
    assert_eq!(told["dir"], scene.dir.path().display().to_string());
    // What was minted for a run that then fails dies with it.
    scene.proxy.forget();
    let out = scene.approle("app", [otp, "x=secret/app#nokey"]).run();
    out.fails(66);
    assert!(!scene.server.is_alive(&token(&scene)));
}

/// Whether the lease that a run obtained is still there.
fn has_lease(scene: &Scene<'_>) -> bool {
    let lease = got(scene, "/lease_id");
    let body = serde_json::json!({ "lease_id": lease }).to_string();
    let answer = scene.server.call("PUT", "sys/leases/lookup", &body);
    answer.status == 200
}

#[test]
fn the_whole_result_is_one_json_document() {
    let scene = Scene::new();
    let out = scene
        .fs(["--output", "json", "pw=secret/app#password"])
        .run();
    out.succeeds();
    assert_eq!(
        out.json(),
        serde_json::json!({
            "changed": true,
            "dir": scene.dir.path().display().to_string(),
            "files": [{
                "file": "pw",
                "bytes": 5,
                "mode": "0440",
                "from": "secret/data/app",
                "version": 1,
            }],
            "leases": [],
            "token": "given",
        })
    );
}
