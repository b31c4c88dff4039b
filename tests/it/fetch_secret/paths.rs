//! Which API path a SECRET names, and which file.

use super::{Scene, told};

#[test]
fn case_09_a_key_is_taken_as_it_stands() {
    let scene = Scene::new();
    scene.put("secret/case09", r#"{"a=b?c#d":"under an odd key"}"#);
    scene.fs(["secret/case09#a=b?c#d"]).run().succeeds();
    scene.dir.holds(&[("a=b?c#d", b"under an odd key")]);
}

#[test]
fn case_10_a_path_may_hold_anything_encoded() {
    let scene = Scene::new();
    scene.put("secret/we%20ird%3F/x", r#"{"k":"under an odd path"}"#);
    let out = scene.fs(["v=secret/we%20ird%3F/x#k"]).run();
    out.succeeds();
    scene.dir.holds(&[("v", b"under an odd path")]);
    assert_eq!(scene.reads(), ["GET secret/data/we%20ird%3F/x"]);
}

#[test]
fn case_11_one_file_per_key() {
    let scene = Scene::new();
    let out = scene.fs(["secret/app"]).run();
    out.succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    assert_eq!(scene.dir.mode("password"), 0o440);
    assert_eq!(scene.dir.mode("user"), 0o440);
    assert_eq!(scene.dir.mode(&scene.dir.link("..data")), 0o755);
    assert_eq!(
        told(&out),
        [
            "password 5 bytes 0440 from secret/data/app version 1",
            "user 1 bytes 0440 from secret/data/app version 1",
        ]
    );
    assert_eq!(
        scene.log(),
        [
            "GET sys/internal/ui/mounts/secret/app",
            "GET secret/data/app",
        ]
    );
    let said = out.termination();
    assert!(said.contains("2 files"), "{said:?}");
}

#[test]
fn every_request_says_that_it_is_one() {
    let scene = Scene::new();
    scene.fs(["/secret/app"]).run().succeeds();
    for seen in scene.proxy.seen() {
        assert_eq!(seen.request.header("x-vault-request"), Some("true"));
        assert_eq!(seen.request.header("x-vault-namespace"), None);
    }
    assert_eq!(scene.reads(), ["GET secret/data/app"]);
}

#[test]
fn case_12_data_is_not_inserted_twice() {
    let scene = Scene::new();
    scene.fs(["secret/data/app"]).run().succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    assert_eq!(scene.reads(), ["GET secret/data/app"]);
}

#[test]
fn case_13_the_mount_decides_what_goes_over_the_wire() {
    let scene = Scene::new();
    let deep = r#"{"data":{"k":"deep down"}}"#;
    scene.server.post("deep/path/data/t", deep);
    scene.put("secret/datafoo/bar", r#"{"k":"not data"}"#);
    scene.server.post("kv1/data/x", r#"{"k":"of version one"}"#);
    for (path, read) in [
        ("deep/path/t", "GET deep/path/data/t"),
        ("deep/path/data/t", "GET deep/path/data/t"),
        ("secret/datafoo/bar", "GET secret/data/datafoo/bar"),
        ("secret/subkeys/app", "GET secret/subkeys/app"),
        ("kv1/data/x", "GET kv1/data/x"),
    ] {
        scene.proxy.forget();
        scene.fs([path]).run().succeeds();
        assert_eq!(scene.reads(), [read], "for {path}");
    }
    // Its `custom_metadata` is null, which is no file's content.
    scene.proxy.forget();
    scene.fs(["m.json=secret/metadata/app"]).run().succeeds();
    assert_eq!(scene.reads(), ["GET secret/metadata/app"]);
}

#[test]
fn a_secret_may_go_into_a_folder() {
    let scene = Scene::new();
    let out = scene
        .fs(["db/=secret/app", "deep/er/pw=secret/app#password"])
        .run();
    out.succeeds();
    scene.dir.holds(&[
        ("db/password", b"p<w&>"),
        ("db/user", b"u"),
        ("deep/er/pw", b"p<w&>"),
    ]);
    assert_eq!(scene.dir.mode("db"), 0o755);
    assert_eq!(scene.reads(), ["GET secret/data/app"]);
}
