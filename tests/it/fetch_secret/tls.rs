//! Certificates: whose word is taken, and one's own.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::json;

use super::Scene;
use super::scene::Fetch;
use crate::support::certificates::Identity;
use crate::support::{OpenBao, machine_to_itself};

/// `fs` against the listener with TLS.
fn secure<'t>(scene: &'t Scene<'_>) -> Fetch<'t> {
    scene
        .bare(["--addr", &scene.server.tls_url(), "secret/app", "--dir"])
        .args([scene.dir.path()])
}

const BOTH: &[(&str, &[u8])] = &[("password", b"p<w&>"), ("user", b"u")];

#[test]
fn case_47_a_login_by_client_certificate() {
    let identity = Identity::new();
    let server = OpenBao::with_tls(&identity);
    let scene = Scene::on(&server);
    let authority = fs::read_to_string(&identity.authority).expect("a PEM");
    server.post(
        "auth/cert/certs/app",
        &json!({"certificate": authority, "token_policies": ["all"]}).to_string(),
    );
    let with_certificate = || {
        secure(&scene)
            .args(["--auth", "cert", "--role", "app", "--ca-file"])
            .args([&identity.authority])
            .args(["--client-cert"])
            .args([&identity.client_certificate])
    };
    let out = with_certificate()
        .args(["--client-key"])
        .args([&identity.client_key]);
    out.run().succeeds();
    scene.dir.holds(BOTH);
    let out = with_certificate().run();
    out.fails(64).says("--client-key");
    let out = secure(&scene)
        .args(["--auth", "cert", "--ca-file"])
        .args([&identity.authority])
        .run();
    out.fails(64).says("--client-cert");
    // A variable of Vault's own name serves as well.
    let out = with_certificate().env("VAULT_CLIENT_KEY", identity.client_key.as_os_str());
    out.run().succeeds().prints("unchanged\n");
}

#[test]
fn case_61_an_authority_must_be_known() {
    let _turn = machine_to_itself();
    let identity = Identity::new();
    let server = OpenBao::with_tls(&identity);
    let scene = Scene::on(&server);
    let run = || {
        secure(&scene)
            .args(["--auth", "token"])
            .env("VAULT_TOKEN", &scene.token)
    };
    for skip in ["", "true"] {
        let out = run()
            .env("VAULT_SKIP_VERIFY", skip)
            .env("BAO_SKIP_VERIFY", skip)
            .run();
        out.fails(77)
            .hints("--ca-file")
            .within(Duration::from_secs(2));
        scene.dir.is_empty();
    }
    run()
        .args(["--ca-file"])
        .args([&identity.authority])
        .run()
        .succeeds();
    scene.dir.holds(BOTH);
    // A ConfigMap as the kubelet mounts it.
    let mounted = scene.beside().join("ca");
    let generation = mounted.join("..2026_11_22_18_36_12.123456");
    fs::create_dir_all(&generation).expect("a folder");
    fs::copy(&identity.authority, generation.join("ca.crt")).expect("a copy");
    symlink("..2026_11_22_18_36_12.123456", mounted.join("..data")).expect("a link");
    symlink("..data/ca.crt", mounted.join("ca.crt")).expect("a link");
    let out = run().env("VAULT_CAPATH", mounted.as_os_str()).run();
    out.succeeds().prints("unchanged\n");
    // The name in the certificate is checked, and can be told.
    let named = |name: &str| {
        run()
            .args(["--tls-server-name", name, "--ca-file"])
            .args([&identity.authority])
            .run()
    };
    named("vault.example").succeeds().prints("unchanged\n");
    named("other.example").fails(77).hints("--tls-server-name");
}

#[test]
fn case_62_an_image_with_nothing_but_the_binary() {
    let identity = Identity::new();
    let server = OpenBao::with_tls(&identity);
    let scene = Scene::on(&server);
    let root = scene.beside().join("root");
    fs::create_dir(&root).expect("a folder");
    let script = format!(
        "root='{root}'; mount -t tmpfs -o mode=755 none \"$root\"; mkdir \"$root/out\"; \
         mount --bind '{out}' \"$root/out\"; cp '{ca}' \"$root/ca.crt\"; \
         cp \"$1\" \"$root/podinit\"; shift; mount -o remount,ro,bind \"$root\"; \
         exec chroot --userspec=1234567:1234567 \"$root\" /podinit \"$@\"",
        root = root.display(),
        out = scene.dir.path().display(),
        ca = identity.authority.display(),
    );
    let out = scene
        .bare(["--addr", &server.tls_url(), "secret/app", "--dir", "/out"])
        .args(["--auth", "token"])
        .env("VAULT_TOKEN", &scene.token)
        .env("VAULT_CACERT", "/ca.crt")
        .through(&script)
        .run();
    out.succeeds();
    scene.dir.holds(BOTH);
}

#[test]
fn plain_and_secure_ports_are_not_mixed_up() {
    let identity = Identity::new();
    let server = OpenBao::with_tls(&identity);
    let scene = Scene::on(&server);
    let ask = |address: &str| {
        scene
            .bare(["--addr", address, "--auth", "token", "secret/app", "--dir"])
            .args([scene.dir.path()])
            .env("VAULT_TOKEN", &scene.token)
            .run()
    };
    let out = ask(&server.url().replace("http:", "https:"));
    out.fails(64).hints("http://");
    let out = ask(&server.tls_url().replace("https:", "http:"));
    out.fails(64).hints("https://");
    scene.dir.is_empty();
}
