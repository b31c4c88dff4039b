//! Publication: modes, what stays, what goes, and what is never touched.

use std::fs;
use std::os::unix::fs::symlink;

use super::{Scene, warning, warnings};

#[test]
fn case_34_modes_do_not_depend_on_the_umask() {
    let scene = Scene::new();
    let secrets = ["p=secret/app?mode=0400#password", "u=secret/app#user"];
    for umask in ["000", "077"] {
        let out = scene
            .fs(["--mode", "0640"])
            .args(secrets)
            .through(&format!("umask {umask}; exec \"$@\""))
            .run();
        out.succeeds();
        scene.dir.holds(&[("p", b"p<w&>"), ("u", b"u")]);
        assert_eq!(scene.dir.mode("p"), 0o400, "under {umask}");
        assert_eq!(scene.dir.mode("u"), 0o640, "under {umask}");
        assert_eq!(scene.dir.mode("..data"), 0o755, "under {umask}");
        // From nothing again, so that the second umask has its say.
        for name in scene.dir.names() {
            let path = scene.dir.at(&name);
            let gone = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
            gone.expect("the volume is emptied");
        }
    }
}

#[test]
fn case_35_what_is_right_already_is_not_touched() {
    let scene = Scene::new();
    scene.fs(["secret/app"]).run().succeeds();
    let before = scene.dir.snapshot();
    let out = scene.fs(["secret/app"]).run();
    out.succeeds().prints("unchanged\n");
    assert_eq!(scene.dir.snapshot(), before);
    let out = scene.fs(["--output", "json", "secret/app"]).run();
    out.succeeds();
    assert_eq!(out.json()["changed"], false);
    assert_eq!(scene.dir.snapshot(), before);
    // Another mode is another result.
    scene.fs(["--mode", "0400", "secret/app"]).run().succeeds();
    assert_ne!(scene.dir.snapshot(), before);
    assert_eq!(scene.dir.mode("user"), 0o400);
}

#[test]
fn case_36_what_is_no_longer_wanted_goes() {
    let scene = Scene::new();
    scene.put("secret/case36", r#"{"password":"p-of-36","user":"u"}"#);
    scene.fs(["secret/case36"]).run().succeeds();
    scene.dir.holds(&[("password", b"p-of-36"), ("user", b"u")]);
    scene.put("secret/case36", r#"{"password":"p-of-36"}"#);
    let out = scene.fs(["secret/case36"]).run();
    out.succeeds();
    assert!(warning(&out).contains("user"), "{out:?}");
    scene.dir.holds(&[("password", b"p-of-36")]);
}

#[test]
fn case_37_what_is_not_podinits_is_not_replaced() {
    let scene = Scene::new();
    fs::write(scene.dir.at("password"), "mine").expect("a file");
    let before = scene.dir.snapshot();
    let out = scene.fs(["secret/app#password"]).run();
    out.fails(64)
        .says(&scene.dir.at("password").display().to_string())
        .hints("--dir");
    scene.asked_nothing();
    assert_eq!(scene.dir.snapshot(), before);
    fs::remove_file(scene.dir.at("password")).expect("it goes");

    symlink("/etc/hostname", scene.dir.at("password")).expect("a link");
    let hostname = fs::read("/etc/hostname").expect("/etc/hostname");
    let before = scene.dir.snapshot();
    scene.fs(["secret/app#password"]).run().fails(64);
    scene.asked_nothing();
    assert_eq!(scene.dir.snapshot(), before);
    // Here the name is the server's, so the server had to be asked.
    scene.fs(["secret/app"]).run().fails(64).says("password");
    assert_eq!(scene.dir.snapshot(), before);
    assert_eq!(fs::read("/etc/hostname").expect("/etc/hostname"), hostname);
}

#[test]
fn case_38_leftovers_go_and_strangers_stay() {
    let scene = Scene::new();
    let old = scene.dir.at("..2020_01_01_00_00_00.1");
    fs::create_dir(&old).expect("a folder");
    fs::write(old.join("password"), "half of one").expect("a file");
    symlink("..2020_01_01_00_00_00.1", scene.dir.at("..data_tmp")).expect("a link");
    symlink("..data/gone", scene.dir.at("gone")).expect("a link");
    fs::write(scene.dir.at("mine.txt"), "mine").expect("a file");
    fs::create_dir(scene.dir.at("..mine")).expect("a folder");
    symlink("nowhere", scene.dir.at("dangling")).expect("a link");
    scene.fs(["secret/app"]).run().succeeds();
    scene.dir.holds_beside(
        &["..mine", "dangling", "mine.txt"],
        &[("password", b"p<w&>"), ("user", b"u")],
    );
    assert_eq!(scene.dir.text("mine.txt"), "mine");
    assert_eq!(scene.dir.link("dangling"), "nowhere");
}

#[test]
fn two_runs_at_once_take_turns() {
    let scene = Scene::new();
    let runs: Vec<_> = (0..6)
        .map(|turn| {
            let secret = if turn % 2 == 0 {
                "secret/app"
            } else {
                "n/=secret/app"
            };
            scene.fs([secret]).spawn()
        })
        .collect();
    for run in runs {
        run.finish().succeeds();
    }
    let out = scene.fs(["secret/app"]).run();
    out.succeeds();
    scene.dir.holds(&[("password", b"p<w&>"), ("user", b"u")]);
    assert!(warnings(&out).len() <= 1, "{out:?}");
}
