//! What the token may not do.

use super::Scene;

#[test]
fn case_54_a_policy_that_lacks_the_path() {
    let mut scene = Scene::new();
    scene.limited(
        "case54",
        r#"path "secret/data/other" { capabilities = ["read"] }"#,
    );
    let out = scene.fs(["secret/app"]).run();
    out.fails(77).says("secret/data/app").says("read");
    out.hints("path \"secret/data/app\"").hints("capabilities");
    scene.dir.is_empty();
    assert_eq!(scene.reads(), ["GET secret/data/app"]);
}

#[test]
fn case_55_a_mount_that_is_not_there_looks_like_one_that_is_forbidden() {
    let scene = Scene::new();
    let out = scene.fs(["nosuch/x"]).run();
    out.fails(77).says("nosuch/x");
    out.hints("mount").hints("policy");
    scene.dir.is_empty();
}

#[test]
fn a_token_that_is_none_is_denied_at_once() {
    let mut scene = Scene::new();
    scene.token = "s.NoSuchTokenAtAllAnywhere".to_string();
    scene.credential("token", &scene.token);
    let out = scene.fs(["secret/app"]).run();
    out.fails(77);
    assert_eq!(scene.log().len(), 1, "{:?}", scene.log());
}
