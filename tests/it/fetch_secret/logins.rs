//! The six ways to log in, and how each is refused.

use std::time::Duration;

use super::Scene;
use crate::support::{Outcome, furniture, machine_to_itself, tokenreview};

/// A login by service-account token.
fn by_token(scene: &Scene<'_>, method: &str, role: &str, jwt: &str) -> Outcome {
    let file = scene.credential("jwt", &format!("{jwt}\n"));
    scene
        .login(["--auth", method, "--role", role, "secret/app", "--jwt-file"])
        .args([file])
        .run()
}

#[test]
fn kubernetes_and_jwt_log_in_with_a_projected_token() {
    let scene = Scene::new();
    let jwt = tokenreview::projected_token("app", "vault");
    for method in ["kubernetes", "jwt"] {
        scene.proxy.forget();
        by_token(&scene, method, "app", &jwt).succeeds();
        scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
        let login = format!("POST auth/{method}/login");
        assert_eq!(
            scene.log(),
            [
                &*login,
                "GET sys/internal/ui/mounts/secret/app",
                "GET secret/data/app",
                "POST auth/token/revoke-self",
            ]
        );
    }
}

#[test]
fn kubernetes_is_the_default_where_its_token_is() {
    let scene = Scene::new();
    let jwt = tokenreview::projected_token("app", "vault");
    let file = scene.credential("jwt", &jwt);
    let out = scene
        .login(["--role", "app", "secret/app", "--jwt-file"])
        .args([&file])
        .run();
    out.succeeds();
    assert_eq!(scene.log()[0], "POST auth/kubernetes/login");
    scene.proxy.forget();
    let out = scene.login(["secret/app", "--jwt-file"]).args([&file]);
    out.run().fails(64).says("--role");
    scene.asked_nothing();
}

#[test]
fn case_42_a_wrong_audience_fails_at_once_and_says_so() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let jwt = tokenreview::projected_token("app", "other");
    let out = by_token(&scene, "kubernetes", "app", &jwt);
    out.fails(77).says("audience").says("other");
    out.within(Duration::from_secs(2));
    assert_eq!(scene.log(), ["POST auth/kubernetes/login"]);
    scene.dir.is_empty();
    let out = by_token(&scene, "jwt", "app", &jwt);
    out.fails(77).says("audience").says("other");
    out.within(Duration::from_secs(2));
}

#[test]
fn case_43_the_servers_reason_is_passed_on() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let stranger = tokenreview::projected_token("stranger", "vault");
    let out = by_token(&scene, "kubernetes", "app", &stranger);
    out.fails(77).says("service account name not authorized");
    out.within(Duration::from_secs(2));
    let jwt = tokenreview::projected_token("app", "vault");
    let out = by_token(&scene, "kubernetes", "nope", &jwt);
    out.fails(77).says("invalid role name");
    out.says("auth/kubernetes").says("nope");
    out.within(Duration::from_secs(2));
    scene.dir.is_empty();
}

#[test]
fn a_bare_403_is_tried_for_fifteen_seconds_at_most() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let jwt = tokenreview::projected_token("app", "vault");
    let file = scene.credential("jwt", &jwt);
    let out = scene
        .login(["--auth", "kubernetes", "--role", "app", "secret/app"])
        .args(["--auth-path", "nowhere", "--timeout", "3s", "--jwt-file"])
        .args([file])
        .run();
    out.fails(77)
        .says("permission denied")
        .says("system:serviceaccount:apps:app");
    out.no_sooner_than(Duration::from_secs(2))
        .within(Duration::from_millis(3250));
    let tries = scene.log().len();
    assert!((3..=4).contains(&tries), "{tries} logins");
    out.hints("TokenReview");
}

#[test]
fn case_45_approle_with_a_wrong_secret_id_and_a_trailing_newline() {
    let scene = Scene::new();
    let (role_id, secret_id) = furniture::approle(scene.server, "app");
    let role = scene.file("role-id", &format!("{role_id}\n"));
    let with = |secret_id: &str| {
        let file = scene.credential("secret-id", secret_id);
        scene
            .login(["--auth", "approle", "secret/app", "--role-id-file"])
            .args([&role])
            .args(["--secret-id-file"])
            .args([&file])
            .run()
    };
    let out = with("00000000-0000-4000-8000-000000000000");
    out.fails(77)
        .says("auth/approle")
        .says("invalid role or secret ID");
    assert_eq!(scene.log(), ["POST auth/approle/login"]);
    scene.dir.is_empty();
    with(&format!("{secret_id}\n")).succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
}

#[test]
fn case_46_a_password_keeps_its_spaces() {
    let scene = Scene::new();
    let with = |text: &str| {
        let file = scene.file("password", text);
        scene
            .login(["--auth", "userpass", "--username", "app", "secret/app"])
            .args(["--password-file"])
            .args([file])
            .run()
    };
    assert_eq!(furniture::PASSWORD, "pw ");
    with("pw \n").succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    assert_eq!(scene.log()[0], "POST auth/userpass/login/app");
    with("pw ").succeeds();
    for wrong in ["pw", "pw \n\n"] {
        with(wrong).fails(77);
    }
}

#[test]
fn case_49_bao_beats_vault_in_the_environment() {
    let scene = Scene::new();
    scene.hide("s.not-a-token");
    let out = scene
        .login(["--auth", "token", "secret/app"])
        .env("BAO_TOKEN", &scene.token)
        .env("VAULT_TOKEN", "s.not-a-token")
        .run();
    out.succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    // Set but empty is not set; the address comes from the environment as well.
    let out = scene
        .bare(["--auth", "token", "secret/app", "--dir"])
        .args([scene.dir.path()])
        .env("BAO_ADDR", "")
        .env("VAULT_ADDR", scene.proxy.url())
        .env("BAO_TOKEN", "")
        .env("VAULT_TOKEN", &scene.token)
        .run();
    out.succeeds().prints("unchanged\n");
    let home = scene.beside();
    scene.credential(".vault-token", &scene.token);
    let out = scene.login(["secret/app"]).env("HOME", home).run();
    out.succeeds().prints("unchanged\n");
}

#[test]
fn a_wrapped_secret_id_is_unwrapped_once_and_only_from_its_role() {
    let scene = Scene::new();
    let wrapped = |role: &str| {
        let seen = crate::support::wire::exchange(
            scene.server.address(),
            &crate::support::wire::Request::new(
                "POST",
                &format!("/v1/auth/approle/role/{role}/secret-id"),
            )
            .with("X-Vault-Token", scene.server.root())
            .with("X-Vault-Wrap-TTL", "60s"),
        );
        let made: serde_json::Value =
            serde_json::from_slice(&seen.expect("an answer").body).expect("JSON");
        let token = made["wrap_info"]["token"].as_str().expect("a token");
        scene.credential("wrapped", token);
    };
    let (role_id, _) = furniture::approle(scene.server, "app");
    let run = || {
        scene
            .login(["--auth", "approle", "--role", "app", "secret/app"])
            .args(["--secret-id-wrapped", "--role-id-file"])
            .args([scene.file("role-id", &role_id)])
            .args(["--secret-id-file"])
            .args([scene.beside().join("wrapped")])
            .run()
    };
    wrapped("app");
    run().succeeds();
    assert_eq!(
        scene.log()[..3],
        [
            "POST sys/wrapping/lookup",
            "POST sys/wrapping/unwrap",
            "POST auth/approle/login",
        ]
    );
    // The same token again is what an interception looks like.
    scene.proxy.forget();
    run().fails(77).says("interception");
    assert_eq!(scene.log(), ["POST sys/wrapping/lookup"]);
    wrapped("batch");
    scene.proxy.forget();
    run().fails(77).says("auth/approle/role/batch/secret-id");
    assert_eq!(scene.log(), ["POST sys/wrapping/lookup"]);
}
