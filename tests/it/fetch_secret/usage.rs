//! Command lines that cannot be obeyed: refused before anything is touched or asked.

use super::Scene;
use crate::support::Outcome;

/// A usage error that left the volume empty and the server unasked.
#[track_caller]
fn refused(scene: &Scene<'_>, out: Outcome) -> Outcome {
    out.fails(64);
    scene.dir.is_empty();
    scene.asked_nothing();
    out
}

#[test]
fn case_01_a_secret_needs_all_its_parts() {
    let scene = Scene::new();
    refused(&scene, scene.fs([""; 0]).run());
    refused(&scene, scene.fs(["=secret/app"]).run()).says("=secret/app");
    refused(&scene, scene.fs(["secret/app#"]).run())
        .says("secret/app")
        .says("KEY");
    refused(&scene, scene.fs(["x="]).run()).says("x=");
    refused(&scene, scene.fs(["x=#password"]).run())
        .says("x=")
        .says("PATH");
}

#[test]
fn case_02_a_file_stays_in_the_volume() {
    let scene = Scene::new();
    for (file, segment) in [
        ("../x", ".."),
        ("/x", "/x"),
        ("a//b", "a//b"),
        ("..x", "..x"),
        ("a/./b", "a/./b"),
        ("a/..b/c", "..b"),
    ] {
        let out = scene.fs([format!("{file}=secret/app#k")]).run();
        refused(&scene, out).says(segment);
    }
    let long = "n".repeat(256);
    refused(&scene, scene.fs([format!("{long}=secret/app#k")]).run());
    refused(&scene, scene.fs(["a\u{1}b=secret/app#k"]).run());
}

#[test]
fn a_path_has_whole_segments() {
    let scene = Scene::new();
    for path in [
        "secret//app",
        "secret/./app",
        "secret/../sys/raw",
        "secret/app/",
        "secret/a%2",
        "secret/a%zz",
        "secret/a%2e%2e/..",
        "secret/a%0ab",
        "/",
    ] {
        refused(&scene, scene.fs([format!("x={path}#k")]).run());
    }
}

#[test]
fn case_03_an_extension_must_be_a_format() {
    let scene = Scene::new();
    let out = refused(&scene, scene.fs(["app.toml=secret/app"]).run());
    for word in [
        "json",
        "yaml",
        "env",
        "k8s-env",
        "properties",
        "raw",
        "--format",
    ] {
        out.hints(word);
    }
}

#[test]
fn case_04_parameters_have_names_and_sense() {
    let scene = Scene::new();
    for parameters in [
        "version=0",
        "version=abc",
        "version=-1",
        "mode=0999",
        "mode=1777",
        "mode=",
        "decode=rot13",
        "a=1&a=2",
        "version=1&version=1",
        "a",
        "=1",
        "a=%4",
    ] {
        refused(
            &scene,
            scene.fs([format!("x=secret/app?{parameters}#k")]).run(),
        );
    }
}

#[test]
fn case_05_two_outputs_have_two_names() {
    let scene = Scene::new();
    for secrets in [
        ["twin=secret/app#x", "twin=secret/app#y"],
        ["twin=secret/app#x", "twin/b=secret/app#y"],
        ["twin/b=secret/app#x", "twin=secret/app#y"],
        ["twin.json=secret/app", "twin.json=secret/other"],
    ] {
        refused(&scene, scene.fs(secrets).run()).says("twin");
    }
    let template = scene.file("t.j2", "nothing");
    let template = format!("{}:twin", template.display());
    let out = scene.fs(["twin=secret/app#x", "--template", &template]);
    refused(&scene, out.run()).says("twin");
}

#[test]
fn case_06_a_flag_belongs_to_one_login() {
    let scene = Scene::new();
    let role = scene.file("r", "role");
    let secret = scene.credential("s", "a-secret-id-of-nobody");
    let out = scene
        .fs(["secret/app", "--role-id-file"])
        .args([&role])
        .args(["--secret-id-file"])
        .args([&secret])
        .args(["--auth", "approle"])
        .run();
    // `--auth` is given twice, and so is a usage error of its own; the flags alone come below.
    out.ends_with(64);
    let token = scene.credential("t", "s.of-the-wrong-method");
    let out = scene
        .login(["--auth", "approle", "secret/app", "--role-id-file"])
        .args([&role])
        .args(["--secret-id-file"])
        .args([&secret])
        .args(["--token-file"])
        .args([&token])
        .run();
    refused(&scene, out).says("--token-file").says("approle");
    let out = scene.fs(["secret/app", "--username", "app"]).run();
    refused(&scene, out).says("--username").says("token");
}

#[test]
fn case_07_an_address_is_a_url_without_credentials() {
    let scene = Scene::new();
    scene.hide("hunter2");
    for address in [
        "https://u:hunter2@h",
        "https://hunter2@h",
        "h:8200",
        "https://h/?x=1",
        "https://h/#hunter2",
        "ftp://h",
        "https://",
    ] {
        let out = scene
            .bare(["--addr", address, "--auth", "token", "secret/app", "--dir"])
            .args([scene.dir.path()])
            .env("VAULT_TOKEN", &scene.token)
            .run();
        refused(&scene, out);
    }
}

#[test]
fn case_08_what_no_output_uses_is_refused() {
    let scene = Scene::new();
    let out = scene.fs(["--format", "env", "secret/app#k"]).run();
    refused(&scene, out).says("--format");
    let out = scene.fs(["app.json=secret/app?decode=hex"]).run();
    refused(&scene, out).says("decode");
    let out = scene.fs(["--decode", "hex", "app.json=secret/app"]).run();
    refused(&scene, out).says("--decode");
}

#[test]
fn keeping_and_revoking_the_token_exclude_each_other() {
    let scene = Scene::new();
    let out = scene.fs(["--keep-token", "--revoke", "always", "secret/app"]);
    refused(&scene, out.run());
}

#[test]
fn case_44_no_login_is_possible() {
    let scene = Scene::new();
    let out = scene.login(["secret/app"]).run();
    refused(&scene, out)
        .says("/var/run/secrets/kubernetes.io/serviceaccount/token")
        .hints("automountServiceAccountToken")
        .hints("--auth")
        .hints("--token-file");
}

#[test]
fn case_48_a_token_is_one_printable_line() {
    let scene = Scene::new();
    for (name, text) in [("two lines", "s.abc\ndef"), ("a control", "s.abc\u{7}def")] {
        scene.hide("s.abc");
        let file = scene.credential(name, text);
        let out = scene
            .login(["--auth", "token", "secret/app", "--token-file"])
            .args([&file])
            .run();
        refused(&scene, out).says(&file.display().to_string());
    }
    for text in ["", " \n"] {
        let file = scene.file("empty", text);
        let out = scene
            .login(["--auth", "token", "secret/app", "--token-file"])
            .args([&file])
            .run();
        refused(&scene, out).says("empty");
    }
}
