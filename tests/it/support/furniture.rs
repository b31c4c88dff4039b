//! What every furnished OpenBao server of the tests holds.
//!
//! - KV 2 at `secret/` and `deep/path/`, KV 1 at `kv1/`; `secret/app` is the specification's secret
//! - `pki/` (a root) and `pki_int/` (signed by it; role `web` for names below `example`)
//! - `ssh/` with the role `otp`, whose credentials have leases
//! - the logins approle (`app`, `batch`, `bare`), userpass (`app`), kubernetes and jwt (`app`)
//! - the policy `all`, and the namespace `team1` with a `secret/` of its own

use std::sync::OnceLock;

use serde_json::{Value, json};

use super::jwt;
use super::openbao::OpenBao;
use super::proxy::Proxy;
use super::tokenreview;

/// What T and every login of the tests may do.
pub const ALL: &str = r#"path "*" { capabilities = ["create", "read", "update", "list"] }"#;

/// The secret that most cases read.
pub const APP: &str = r#"{"password":"p<w&>","user":"u"}"#;

/// The password of the user `app`.
pub const PASSWORD: &str = "pw ";

/// The endpoint that all servers' kubernetes logins ask; it lives as long as the tests.
fn reviewer() -> &'static Proxy {
    static REVIEWER: OnceLock<Proxy> = OnceLock::new();
    REVIEWER.get_or_init(tokenreview::vouching)
}

/// Puts it all there.
pub fn furnish(server: &OpenBao) {
    let post = |path: &str, body: Value| server.post(path, &body.to_string());
    server.policy("all", ALL);
    for (path, version) in [("secret", "2"), ("deep/path", "2"), ("kv1", "1")] {
        post(
            &format!("sys/mounts/{path}"),
            json!({"type": "kv", "options": {"version": version}}),
        );
    }
    server.put("secret/app", APP);
    let authority = authorities(server);
    logins(server, &authority);
    post("sys/mounts/ssh", json!({"type": "ssh"}));
    post(
        "ssh/roles/otp",
        json!({"key_type": "otp", "default_user": "ubuntu", "cidr_list": "10.0.0.0/8"}),
    );
    post("sys/namespaces/team1", json!({}));
    post(
        "team1/sys/mounts/secret",
        json!({"type": "kv", "options": {"version": "2"}}),
    );
    server.post(
        "team1/secret/data/app",
        r#"{"data":{"password":"of team one","user":"team1"}}"#,
    );
}

fn logins(server: &OpenBao, authority: &str) {
    let post = |path: &str, body: Value| server.post(path, &body.to_string());
    for method in ["approle", "userpass", "kubernetes", "jwt", "cert"] {
        post(&format!("sys/auth/{method}"), json!({"type": method}));
    }
    let role = "auth/approle/role";
    post(&format!("{role}/app"), json!({"token_policies": ["all"]}));
    post(
        &format!("{role}/batch"),
        json!({"token_policies": ["all"], "token_type": "batch"}),
    );
    // Reads one secret and has no default policy, which is what lets a token revoke itself.
    server.policy(
        "bare",
        r#"path "secret/data/app" { capabilities = ["read"] }"#,
    );
    post(
        &format!("{role}/bare"),
        json!({"token_policies": ["bare"], "token_no_default_policy": true, "token_ttl": "10m"}),
    );
    post(
        "auth/userpass/users/app",
        json!({"password": PASSWORD, "token_policies": ["all"]}),
    );
    post(
        "auth/kubernetes/config",
        json!({
            "kubernetes_host": reviewer().url(),
            "token_reviewer_jwt": tokenreview::projected_token("reviewer", "kubernetes"),
            // Unused without TLS, but the server will not do without one.
            "kubernetes_ca_cert": authority,
            "disable_local_ca_jwt": true,
            "disable_iss_validation": true,
        }),
    );
    post(
        "auth/kubernetes/role/app",
        json!({
            "bound_service_account_names": ["app"],
            "bound_service_account_namespaces": ["apps"],
            "audience": "vault",
            "token_policies": ["all"],
        }),
    );
    post(
        "auth/jwt/config",
        json!({"jwt_validation_pubkeys": [jwt::public_key()]}),
    );
    post(
        "auth/jwt/role/app",
        json!({
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["vault"],
            "token_policies": ["all"],
        }),
    );
}

/// A root, and below it an authority that issues for `example`; tells the root's certificate.
fn authorities(server: &OpenBao) -> String {
    let post = |path: &str, body: Value| server.post(path, &body.to_string());
    for mount in ["pki", "pki_int"] {
        post(&format!("sys/mounts/{mount}"), json!({"type": "pki"}));
    }
    let root = post(
        "pki/root/generate/internal",
        json!({"common_name": "the root", "key_type": "ec", "key_bits": 256}),
    );
    let asked = post(
        "pki_int/intermediate/generate/internal",
        json!({"common_name": "the issuer", "key_type": "ec", "key_bits": 256}),
    );
    let signed = post(
        "pki/root/sign-intermediate",
        json!({"csr": asked["data"]["csr"], "common_name": "the issuer"}),
    );
    let chain = format!(
        "{}\n{}\n",
        signed["data"]["certificate"].as_str().expect("a PEM"),
        signed["data"]["issuing_ca"].as_str().expect("a PEM"),
    );
    post(
        "pki_int/intermediate/set-signed",
        json!({"certificate": chain}),
    );
    post(
        "pki_int/roles/web",
        json!({
            "allowed_domains": ["example"],
            "allow_subdomains": true,
            "key_type": "ec",
            "key_bits": 256,
            "max_ttl": "24h",
        }),
    );
    let root = root["data"]["certificate"].as_str();
    root.expect("a PEM").to_string()
}

/// The role ID and a new secret ID of an approle role.
pub fn approle(server: &OpenBao, role: &str) -> (String, String) {
    let role = format!("auth/approle/role/{role}");
    let id = server.get(&format!("{role}/role-id"));
    let secret = server.post(&format!("{role}/secret-id"), "{}");
    let text = |value: &Value| value.as_str().expect("an ID").to_string();
    (
        text(&id["data"]["role_id"]),
        text(&secret["data"]["secret_id"]),
    )
}

#[test]
fn a_furnished_server_vouches_issues_and_counts() {
    let server = OpenBao::start();
    let before = server.tokens();
    let jwt = tokenreview::projected_token("app", "vault");
    for method in ["kubernetes", "jwt"] {
        let body = json!({"role": "app", "jwt": jwt}).to_string();
        let made = server.post(&format!("auth/{method}/login"), &body);
        assert_eq!(made["auth"]["policies"], json!(["all", "default"]));
    }
    let (role_id, secret_id) = approle(&server, "app");
    let body = json!({"role_id": role_id, "secret_id": secret_id}).to_string();
    server.post("auth/approle/login", &body);
    server.post(
        "auth/userpass/login/app",
        &json!({"password": PASSWORD}).to_string(),
    );
    assert_eq!(server.tokens(), before + 4);
    let issued = server.post("pki_int/issue/web", r#"{"common_name":"a.example"}"#);
    let chain = issued["data"]["ca_chain"].as_array().expect("a chain");
    assert_eq!(chain.len(), 2);
    let otp = server.post("ssh/creds/otp", r#"{"ip":"10.1.2.3"}"#);
    assert_ne!(otp["lease_id"], "");
    assert_eq!(
        server.get("team1/secret/data/app")["data"]["data"]["user"],
        "team1"
    );
}
