//! Cases 1 to 4: what cannot be meant is refused before any request, and which name a file gets.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Stdio;

use super::{OLD, Scene, refused};
use crate::support::bucket::Bucket;
use crate::support::pod::command;
use crate::support::{Answer, Nginx, Object, Origin, Podinit, binary};

/// Refused as a usage error, without a connection to anyone.
#[track_caller]
fn is_refused(args: &[&str]) {
    let scene = Scene::new();
    let args: Vec<_> = args
        .iter()
        .map(|arg| match arg.strip_prefix("D/") {
            Some(name) => format!("{}/{name}", scene.dir().display()),
            None => (*arg).to_string(),
        })
        .collect();
    scene.bare(&args).run().fails(64);
    scene.is_bare();
}

#[test]
fn a_source_that_is_none_is_refused() {
    for source in [
        "ftp://h/x",
        "s3:///k",
        "s3://",
        "gs:///o",
        "az://a/c",
        "x",
        "http://",
        "az://a//b",
    ] {
        is_refused(&[source, "D/x"]);
    }
    is_refused(&["s3://b", "D/"]);
    is_refused(&["gs://b", "D/"]);
}

#[test]
fn a_password_in_a_url_is_refused_and_never_shown() {
    let scene = Scene::new();
    scene.hide("hunter2").old("x");
    for source in [
        "https://u:hunter2@h/x",
        "http://hunter2@h/x",
        "http://:hunter2@h/x",
    ] {
        scene.fetch(source, "x").run().fails(64);
    }
    scene.has("x", OLD);
}

#[test]
fn a_flag_that_the_source_cannot_obey_is_refused() {
    let hex = "a".repeat(64);
    for args in [
        &["--sha256", "abc", "https://h/x", "D/x"][..],
        &["--sha256", &hex[1..], "https://h/x", "D/x"],
        &["--sha256", &hex, "s3://b/p/", "D/"],
        &["--etag", "x", "s3://b/p/", "D/"],
        &["--unpack", "s3://b/p/", "D/"],
        &["--etag", "x", "gs://b/o", "D/o"],
        &["--unpack=tar.xz", "https://h/x", "D/x"],
        &["--unpack=rar", "https://h/x", "D/x"],
        &["--region", "r", "https://h/x", "D/x"],
        &["--request-payer", "gs://b/o", "D/x"],
        &["--anonymous", "https://h/x", "D/x"],
        &["--path-style", "always", "gs://b/o", "D/x"],
        &["--profile", "p", "az://a/c/b", "D/x"],
        &["--endpoint-url", "http://e", "https://h/x", "D/x"],
        &["--delete", "s3://b/k", "D/k"],
        &["--include", "*", "s3://b/k", "D/k"],
        &["--exclude", "*", "gs://b/k", "D/k"],
        &["--skip-unsafe", "s3://b/k", "D/k"],
        &["--atomic", "s3://b/k", "D/k"],
        &["--strip-components", "1", "https://h/x", "D/x"],
        &["--max-unpacked", "1GiB", "https://h/x", "D/x"],
    ] {
        is_refused(args);
    }
}

#[test]
fn a_value_out_of_its_bounds_is_refused() {
    for (flag, value) in [
        ("--mode", "1777"),
        ("--mode", "0888"),
        ("--mode", "rw"),
        ("--owner", "root:root"),
        ("--owner", "1"),
        ("--parallel", "0"),
        ("--parallel", "257"),
        ("--part-size", "1023KiB"),
        ("--part-size", "2GiB"),
        ("--max-size", "ten"),
        ("--max-bandwidth", "-1"),
        ("--stall-timeout", "soon"),
        ("--if-changed", "maybe"),
    ] {
        is_refused(&[flag, value, "https://h/x", "D/x"]);
    }
    is_refused(&["--if-changed=maybe", "https://h/x", "D/x"]);
    is_refused(&["https://h/x"]);
    is_refused(&[]);
    is_refused(&["--list", "no-such-file", "https://h/x", "D/x"]);
}

#[test]
fn an_optional_value_needs_its_equals_sign() {
    let scene = Scene::new();
    let x = Origin::new(|request, _| Object::new("text").answer(request));
    // Were `--unpack` to eat the next word, SOURCE would be missing: 64.
    let out = scene
        .bare([
            "--unpack".as_ref(),
            x.at("/x").as_ref(),
            scene.at("x").as_os_str(),
        ])
        .run();
    out.fails(65);
    assert!(x.count("GET") > 0);
}

#[test]
fn a_variable_for_another_scheme_is_no_error() {
    let scene = Scene::new();
    let x = Origin::new(|request, _| Object::new("text").answer(request));
    let run = scene.fetch(&x.at("/x"), "x");
    run.env("PODINIT_REGION", "eu-west-1")
        .env("AWS_PROFILE", "nobody")
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .run()
        .succeeds();
    scene.holds([("x", "text")]);
}

#[test]
fn a_file_gets_the_name_in_the_url() {
    let scene = Scene::new();
    let nginx =
        Nginx::scripted("add_header Content-Disposition 'attachment; filename=\"../evil\"';");
    for path in ["a/m.bin", "a b", "x%y"] {
        nginx.put(path, path.as_bytes());
    }
    for url in ["/a/m.bin?x=1", "/a%20b", "/x%25y", "/a/m.bin#fragment"] {
        scene.fetch(&nginx.at(url), "").run().succeeds();
    }
    scene.holds([("m.bin", "a/m.bin"), ("a b", "a b"), ("x%y", "x%y")]);
    assert!(
        nginx
            .served()
            .iter()
            .any(|one| one.target == "/a/m.bin?x=1")
    );
    assert!(
        nginx
            .served()
            .iter()
            .all(|one| !one.target.contains("fragment"))
    );
}

#[test]
fn a_url_without_a_usable_name_is_refused() {
    let nginx = Nginx::start();
    let long = format!("/{}", "n".repeat(256));
    for path in [
        "",
        "/",
        "/a/",
        "/%2e%2e%2fpw",
        "/x%2Fy",
        "/%2e",
        "/..%2f",
        "/%2e%2e",
        "/x%00y",
        "/.podinit",
        &long,
    ] {
        let scene = Scene::new();
        scene.fetch(&nginx.at(path), "").run().fails(64);
        scene.is_bare();
    }
    assert_eq!(nginx.served().len(), 0);
    // With a name of its own in DEST the URL needs none.
    let scene = Scene::new();
    nginx.put("index", b"top");
    let nginx = Nginx::scripted("location = / { return 200 top; }");
    scene.fetch(&nginx.at("/"), "x").run().succeeds();
    scene.holds([("x", "top")]);
}

#[test]
fn a_redirect_names_nothing() {
    let scene = Scene::new();
    let x = Origin::new(|request, _| match &*request.target {
        "/given" => Answer::redirect(302, "/other/evil"),
        _ => Object::new("text").answer(request),
    });
    scene.fetch(&x.at("/given"), "").run().succeeds();
    scene.holds([("given", "text")]);
}

#[test]
fn dest_says_whether_it_is_a_folder() {
    let x = Origin::new(|request, _| Bucket::of([("k", "text"), ("p/a", "a")]).s3(request));
    let scene = Scene::new();
    scene.old("x");
    // A prefix fills a folder; a slash names one; neither is a file.
    scene.s3(&x.url(), "s3://b/p/", "x").run().fails(64);
    scene.s3(&x.url(), "s3://b/k", "x/").run().fails(64);
    assert_eq!(x.log(), [""; 0]);
    scene.has("x", OLD);
    // A folder takes the file under its name; parents are made.
    scene.s3(&x.url(), "s3://b/k", "").run().succeeds();
    scene
        .s3(&x.url(), "s3://b/k", "new/folder/")
        .run()
        .succeeds();
    scene.s3(&x.url(), "s3://b/k", "y/z").run().succeeds();
    let text = "text".as_bytes();
    scene.holds([
        ("x", OLD),
        ("k", text),
        ("new/folder/k", text),
        ("y/z", text),
    ]);
}

#[test]
fn dest_as_a_link_is_replaced_or_refused() {
    use std::os::unix::fs::symlink;
    let x = Origin::new(|request, _| Bucket::of([("k", "text"), ("p/a", "a")]).s3(request));
    let scene = Scene::new();
    let target = scene.file("target", "untouched");
    symlink(&target, scene.at("x")).expect("a link");
    scene.s3(&x.url(), "s3://b/k", "x").run().succeeds();
    scene.holds([("x", "text")]);
    let found = std::fs::read_to_string(&target).expect("it is there");
    assert_eq!(found, "untouched");
    // A folder that is a link is refused, a link above it is the caller's word.
    std::fs::create_dir(scene.beside("real")).expect("a folder");
    symlink(scene.beside("real"), scene.at("link")).expect("a link");
    let out = scene.s3(&x.url(), "s3://b/p/", "link").run();
    assert!([64, 74].contains(&out.code), "{out:?}");
    scene.s3(&x.url(), "s3://b/p/", "link/sub").run().succeeds();
    assert_eq!(
        std::fs::read(scene.beside("real/sub/a")).expect("it is there"),
        b"a"
    );
}

#[test]
fn a_key_is_taken_byte_for_byte() {
    let x = Origin::new(|request, _| {
        Bucket::of([
            ("a%41", "percent"),
            ("q?x=1", "question"),
            ("h#frag", "hash"),
            ("s p+", "space"),
        ])
        .s3(request)
    });
    let scene = Scene::new();
    for key in ["a%41", "q?x=1", "h#frag", "s p+"] {
        scene
            .s3(&x.url(), &format!("s3://b/{key}"), "")
            .run()
            .succeeds();
    }
    scene.holds([
        ("a%41", "percent"),
        ("q?x=1", "question"),
        ("h#frag", "hash"),
        ("s p+", "space"),
    ]);
}

#[test]
fn arguments_that_are_no_text_are_refused_or_taken() {
    let scene = Scene::new();
    let x = Origin::new(|request, _| Object::new("text").answer(request));
    let mut dest = scene.dir().as_os_str().to_os_string();
    dest.push(OsString::from_vec(b"/caf\xe9".to_vec()));
    // A path may be any bytes.
    scene
        .bare([x.at("/x").into(), dest.clone()])
        .run()
        .succeeds();
    assert_eq!(std::fs::read(dest).expect("it is there"), b"text");
}

#[test]
fn help_tells_of_every_flag_and_variable() {
    let help = Podinit::new(["fetch-object", "--help"]).run();
    help.succeeds();
    for flag in [
        "list",
        "sha256",
        "sha256-file",
        "etag",
        "max-size",
        "if-changed",
        "unpack",
        "strip-components",
        "max-unpacked",
        "include",
        "exclude",
        "delete",
        "atomic",
        "skip-unsafe",
        "allow-empty",
        "mode",
        "owner",
        "parallel",
        "part-size",
        "max-bandwidth",
        "stall-timeout",
        "no-resume",
        "endpoint-url",
        "region",
        "path-style",
        "anonymous",
        "request-payer",
        "profile",
        "sas-token-file",
        "header-file",
        "basic-auth-file",
        "ca-file",
    ] {
        assert!(
            help.stdout.contains(&format!("--{flag}")),
            "no --{flag} in the help"
        );
        let variable = format!("PODINIT_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.stdout.contains(&variable), "no {variable} in the help");
    }
    // Nothing of it depends on a terminal or a home.
    let bare = command([binary()])
        .args(["fetch-object", "--help"])
        .env_clear()
        .stdin(Stdio::null())
        .output();
    assert!(bare.expect("it starts").status.success());
}

#[test]
fn a_refusal_names_the_wrong_part() {
    let scene = Scene::new();
    refused(&scene.fetch("ftp://h/x", "x").run(), "ftp").hints("s3://");
    refused(
        &scene
            .fetch("https://h/x", "x")
            .with("--sha256", "abc")
            .run(),
        "abc",
    );
    let out = scene
        .fetch("https://h/x", "x")
        .args(["--region", "r"])
        .run();
    refused(&out, "--region");
}
