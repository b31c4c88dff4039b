//! `file://`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use super::run::{Files, never_ready};
use super::{AT_ONCE, wait_for};
use crate::support::clock::after;
use crate::support::machine_to_itself;

#[test]
fn case_43_files() {
    let files = Files::new();
    let path = files.path("late");
    let run = wait_for([format!("file://{}", path.display())]).spawn();
    let made = after(Duration::from_secs(1), move || {
        fs::write(path, "").expect("a file");
    });
    let out = run.finish();
    out.succeeds()
        .within_of(Duration::from_millis(1500), made.at());

    wait_for([format!("file://{}", files.at(""))])
        .run()
        .succeeds();

    symlink(files.path("nowhere"), files.path("dangling")).expect("a link");
    never_ready(&[(&[&format!("file://{}", files.at("dangling"))], "dangling")]);
    fs::write(files.path("nowhere"), "").expect("a file");
    wait_for([format!("file://{}", files.at("dangling"))])
        .run()
        .succeeds();

    let small = files.put("small", "ten bytes.");
    let target = format!("file://{small}?min-size=1KiB");
    let run = wait_for([&target]).spawn();
    run.line_with("10");
    fs::write(&small, "x".repeat(2048)).expect("a file");
    run.finish().succeeds();
    wait_for([format!("file://{small}?min-size=2KiB")])
        .run()
        .succeeds();
    never_ready(&[(&[&format!("file://{small}?min-size=2049")], "2048")]);
}

#[test]
fn case_43_a_folder_of_somebody_else() {
    let _turn = machine_to_itself();
    let files = Files::new();
    fs::create_dir(files.path("private")).expect("a folder");
    fs::set_permissions(files.path("private"), Permissions::from_mode(0o700)).expect("chmod");
    let target = format!("file://{}", files.at("private/x"));
    let out = wait_for([&target]).uid(1234).run();
    out.fails(77)
        .says(&files.at("private"))
        .hints("fsGroup")
        .within(AT_ONCE);
    // Who may not look cannot prove that it is gone.
    let out = wait_for(["--gone", "--timeout=300ms", &target])
        .uid(1234)
        .run();
    assert_ne!(out.code, 0, "{out:?}");
}

#[test]
fn names_are_decoded() {
    let files = Files::new();
    files.put("a b+c", "");
    wait_for([format!("file://{}", files.at("a%20b+c"))])
        .run()
        .succeeds();
}
