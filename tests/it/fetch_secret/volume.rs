//! The volume itself: looked at before the server is.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{Scene, warning, warnings};
use crate::support::volume::Volume;

#[test]
fn case_39_a_volume_that_cannot_be_written_costs_nothing() {
    let scene = Scene::new();
    let at = scene.dir.path().display().to_string();
    let read_only =
        format!("mount --bind '{at}' '{at}'; mount -o remount,bind,ro '{at}'; exec \"$@\"");
    let out = scene.fs(["secret/app"]).through(&read_only).run();
    out.fails(77).says(&at).hints("readOnly");
    scene.asked_nothing();
    let out = scene.fs(["secret/app", "--owner", "0:0"]).uid(1000).run();
    out.fails(77).hints("fsGroup");
    scene.asked_nothing();
    scene.dir.is_empty();
    fs::set_permissions(scene.dir.path(), Permissions::from_mode(0o755)).expect("chmod");
    let out = scene.fs(["secret/app"]).uid(1000).run();
    out.fails(77).says(&at).hints("fsGroup");
    scene.asked_nothing();
    scene.dir.is_empty();
}

#[test]
fn a_stranger_without_capabilities_writes_what_is_his() {
    let scene = Scene::new();
    scene.fs(["secret/app"]).uid(1_234_567).run().succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    let owner = fs::metadata(scene.dir.at("password")).expect("it is there");
    assert_eq!((owner.uid(), owner.gid()), (1_234_567, 1_234_567));
}

#[test]
fn an_owner_is_set_on_files_and_folders() {
    let scene = Scene::new();
    let out = scene.fs(["db/=secret/app", "--owner", "1000:2000"]).run();
    out.succeeds();
    scene
        .dir
        .holds(&[("db/password", b"p<w&>"), ("db/user", b"u")]);
    let owner = fs::metadata(scene.dir.at("db/password")).expect("it is there");
    assert_eq!((owner.uid(), owner.gid()), (1000, 2000));
    assert_eq!(owner.mode() & 0o7777, 0o440);
}

#[test]
fn a_set_group_id_is_inherited_and_kept() {
    let scene = Scene::new();
    std::os::unix::fs::chown(scene.dir.path(), None, Some(2000)).expect("chown");
    fs::set_permissions(scene.dir.path(), Permissions::from_mode(0o2777)).expect("chmod");
    let out = scene.fs(["db/=secret/app", "secret/app#user"]).run();
    out.succeeds();
    for folder in ["..data", "db"] {
        assert_eq!(scene.dir.mode(folder), 0o2755, "{folder}");
    }
    for file in ["user", "db/password"] {
        let found = fs::metadata(scene.dir.at(file)).expect("it is there");
        assert_eq!(found.gid(), 2000, "{file}");
        assert_eq!(found.mode() & 0o7777, 0o440, "{file}");
    }
}

#[test]
fn case_40_a_missing_volume_is_made_one_level_deep() {
    let scene = Scene::new();
    let made = scene.dir.at("made");
    let into = |dir: &std::path::Path| {
        scene
            .bare(["--addr", &scene.proxy.url(), "--auth", "token"])
            .args(["secret/app#password", "--dir-mode", "0750", "--dir"])
            .args([dir])
            .env("VAULT_TOKEN", &scene.token)
            .run()
    };
    into(&made).succeeds();
    let bits = fs::metadata(&made).expect("it was made").mode() & 0o7777;
    assert_eq!(bits, 0o750);
    assert_eq!(fs::read(made.join("password")).expect("a file"), b"p<w&>");
    scene.proxy.forget();
    let out = into(&scene.dir.at("no/such"));
    out.fails(64)
        .says(&scene.dir.at("no").display().to_string());
    scene.asked_nothing();
    assert_eq!(scene.dir.names(), ["made"]);
}

#[test]
fn case_41_secrets_belong_into_memory() {
    let mut scene = Scene::new();
    let out = scene.fs(["--require-tmpfs", "secret/app"]).run();
    out.succeeds();
    assert_eq!(warnings(&out), [""; 0]);
    scene.dir = Volume::on_disk();
    scene.proxy.forget();
    let out = scene.fs(["--require-tmpfs", "secret/app"]).run();
    out.fails(74)
        .says(&scene.dir.path().display().to_string())
        .hints("medium: Memory");
    scene.asked_nothing();
    scene.dir.is_empty();
    let out = scene.fs(["secret/app"]).run();
    out.succeeds();
    assert!(warning(&out).contains("tmpfs"), "{out:?}");
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
}
