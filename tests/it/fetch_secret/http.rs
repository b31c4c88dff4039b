//! What stands between podinit and the server: prefixes, redirects, answers of somebody else.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Scene;
use crate::support::Reply;
use crate::support::wire::Response;

const BOTH: &[(&str, &[u8])] = &[("password", b"p<w&>"), ("user", b"u")];

#[test]
fn case_63_an_address_may_have_a_path() {
    let scene = Scene::scripted(|request, _| match request.target.strip_prefix("/vault") {
        Some(rest) => Reply::PassAs(rest.to_string()),
        None => Reply::Say(Response::json(404, r#"{"errors":[]}"#)),
    });
    for slash in ["", "/"] {
        let address = format!("{}/vault{slash}", scene.proxy.url());
        let out = scene
            .bare(["--addr", &address, "--auth", "token", "secret/app", "--dir"])
            .args([scene.dir.path()])
            .env("VAULT_TOKEN", &scene.token)
            .run();
        out.succeeds();
        scene.dir.holds(BOTH);
    }
    let log = scene.log();
    assert_eq!(log.len(), 4);
    for line in log {
        assert!(line.starts_with("GET /vault/v1/"), "{line}");
    }
}

/// An answer that sends the client elsewhere.
fn redirect(status: u16, to: &str) -> Reply {
    Reply::Say(Response::json(status, "").with("Location", to))
}

#[test]
fn case_64_redirects_stay_at_home_and_end() {
    // Each request is sent round once, under a target that tells the two apart.
    let scene = Scene::scripted(|request, _| match request.target.strip_suffix("?again=") {
        Some(target) => Reply::PassAs(target.to_string()),
        None => redirect(307, &format!("{}?again=", request.target)),
    });
    scene.fs(["secret/app"]).run().succeeds();
    scene.dir.holds(BOTH);
    assert_eq!(scene.log().len(), 4, "{:?}", scene.log());

    let scene = Scene::scripted(|request, _| redirect(307, &request.target));
    scene.fs(["secret/app"]).run().fails(64);
    assert_eq!(scene.log().len(), 2, "{:?}", scene.log());
    scene.dir.is_empty();

    let scene = Scene::scripted(|request, _| {
        redirect(
            301,
            &format!("https://vault.example:8200{}", request.target),
        )
    });
    let out = scene.fs(["secret/app"]).run();
    out.fails(64).hints("https://vault.example:8200");
    assert_eq!(scene.log().len(), 1);
    scene.dir.is_empty();
}

#[test]
fn credentials_never_cross_an_origin() {
    let elsewhere = crate::support::Proxy::alone(|_, _| Reply::Say(Response::json(200, "{}")));
    let to = elsewhere.url();
    let scene =
        Scene::scripted(move |request, _| redirect(307, &format!("{to}{}", request.target)));
    let out = scene.fs(["--timeout", "1s", "secret/app"]).run();
    out.fails(69).says(&elsewhere.url());
    let out = scene
        .approle("app", ["--timeout", "1s", "secret/app"])
        .run();
    out.fails(69).says(&elsewhere.url());
    assert_eq!(elsewhere.log(), [""; 0]);
}

#[test]
fn a_login_is_not_sent_again_as_something_else() {
    for status in [301, 302, 303] {
        let scene = Scene::scripted(move |request, _| {
            redirect(status, &format!("{}?again=", request.target))
        });
        let out = scene.approle("app", ["secret/app"]).run();
        out.fails(64);
        assert_eq!(scene.log(), ["POST auth/approle/login"], "after {status}");
    }
}

#[test]
fn case_65_an_answer_that_is_not_vaults() {
    let scene = Scene::scripted(|_, _| {
        let page = "<html><body>a-page-with-a-session-token</body></html>";
        Reply::Say(Response::text(200, "text/html; charset=utf-8", page))
    });
    scene.hide("a-page-with-a-session-token");
    let out = scene.fs(["secret/app"]).run();
    out.fails(65).says("text/html").hints("--addr");
    scene.dir.is_empty();

    let count = AtomicUsize::new(0);
    let scene = Scene::scripted(move |request, _| {
        if request.target != "/v1/secret/data/app" {
            return Reply::Pass;
        }
        count.fetch_add(1, Ordering::Relaxed);
        let filling = "much-too-much-".repeat((17 << 20) / 14);
        let body = format!("{{\"data\":{{\"data\":{{\"k\":\"{filling}\"}}}}}}");
        Reply::Say(Response::json(200, &body))
    });
    scene.hide("much-too-much-");
    let peak = scene.beside().join("peak");
    let script = format!("exec env time --quiet -f %M -o '{}' \"$@\"", peak.display());
    let out = scene.fs(["secret/app"]).through(&script).run();
    out.fails(65).says("16");
    scene.dir.is_empty();
    assert_eq!(
        scene.reads().len(),
        1,
        "a wrong answer is not asked for twice"
    );
    let peak = fs::read_to_string(peak).expect("the peak");
    let peak: u64 = peak.trim().parse().expect("a number of KiB");
    assert!(peak <= 48 << 10, "{peak} KiB");
}
