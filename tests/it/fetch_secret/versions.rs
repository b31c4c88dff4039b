//! Versions, and what is not there.

use std::time::Duration;

use super::Scene;
use crate::support::machine_to_itself;

/// What cannot heal is told within this time.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn case_14_a_version_or_the_latest() {
    let scene = Scene::new();
    scene.put("secret/case14", r#"{"a":"secret1"}"#);
    scene.put("secret/case14", r#"{"a":"secret2"}"#);
    let out = scene.fs(["a=secret/case14?version=1#a"]).run();
    out.succeeds()
        .prints("a 7 bytes 0440 from secret/data/case14 version 1\n");
    scene.dir.holds(&[("a", b"secret1")]);
    let out = scene.fs(["a=secret/case14#a"]).run();
    out.succeeds()
        .prints("a 7 bytes 0440 from secret/data/case14 version 2\n");
    scene.dir.holds(&[("a", b"secret2")]);
    let out = scene
        .fs(["a=secret/case14?version=1#a", "b=secret/case14#a"])
        .run();
    out.succeeds();
    scene.dir.holds(&[("a", b"secret1"), ("b", b"secret2")]);
}

#[test]
fn case_15_no_such_version() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    scene.put("secret/case15", r#"{"a":"secret1"}"#);
    let out = scene.fs(["a=secret/case15?version=99#a"]).run();
    out.fails(66).says("version 99").says("secret/data/case15");
    out.within(AT_ONCE);
    scene.dir.is_empty();
}

#[test]
fn case_16_deleted_and_destroyed_are_told_apart() {
    let scene = Scene::new();
    scene.put("secret/case16", r#"{"a":"destroyed soon"}"#);
    scene.put("secret/case16", r#"{"a":"deleted soon"}"#);
    scene.server.call("DELETE", "secret/data/case16", "");
    let destroy = r#"{"versions":[1]}"#;
    scene.server.post("secret/destroy/case16", destroy);
    let known = scene.server.get("secret/metadata/case16");
    let time = known["data"]["versions"]["2"]["deletion_time"].as_str();
    let time = time.expect("a time");
    let out = scene.fs(["a=secret/case16#a"]).run();
    out.fails(66)
        .says("deleted")
        .says(&time[..10])
        .says(&time[11..19])
        .does_not_say("destroyed");
    let out = scene.fs(["a=secret/case16?version=1#a"]).run();
    out.fails(66).says("destroyed").does_not_say("deleted");
    scene.dir.is_empty();
}

#[test]
fn case_17_no_such_secret() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let out = scene.fs(["secret/nope"]).run();
    out.fails(66).says("secret/data/nope").within(AT_ONCE);
    scene.dir.is_empty();
    // One that is there does not come without the other.
    let out = scene.fs(["app/=secret/app", "no/=secret/nope"]).run();
    out.fails(66).says("secret/data/nope");
    scene.dir.is_empty();
}

#[test]
fn case_18_no_such_key() {
    let scene = Scene::new();
    let out = scene.fs(["secret/app#nokey"]).run();
    out.fails(66).says("nokey").says("password, user");
    scene.dir.is_empty();
}

#[test]
fn two_secrets_that_bring_one_name_are_refused() {
    let scene = Scene::new();
    scene.put("secret/namesake", r#"{"password":"of the namesake"}"#);
    let out = scene.fs(["secret/app", "secret/namesake"]).run();
    out.fails(64)
        .says("password")
        .says("/app")
        .says("/namesake")
        .hints("=");
    scene.dir.is_empty();
}
