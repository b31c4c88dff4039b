//! Case 29, and every other way in which a credential could show.

use std::time::Duration;

use super::{Scene, big};
use crate::support::seaweedfs::{ADMIN, path};
use crate::support::{Answer, Object, Origin, SeaweedFs};

#[test]
fn a_presigned_url_is_never_shown_when_it_works() {
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.private_bucket();
    seaweed.put(&bucket, "big", &big());
    let (target, signature) = ADMIN.presigned(
        &seaweed.host(),
        &path(&bucket, "big"),
        Duration::ZERO,
        Duration::from_mins(10),
    );
    let scene = Scene::new();
    scene.hide(&signature).hide(ADMIN.secret);
    let source = format!("{}{target}", seaweed.url());
    let out = scene.fetch(&source, "").loud().run();
    out.succeeds();
    scene.holds([("big", big())]);
    assert!(
        out.stdout.contains("X-Amz-Signature=…") || !out.stdout.contains("X-Amz"),
        "{out:?}"
    );
    // The record knows the object again, without the signature.
    let (target, other) = ADMIN.presigned(
        &seaweed.host(),
        &path(&bucket, "big"),
        Duration::from_secs(5),
        Duration::from_mins(10),
    );
    assert_ne!(signature, other);
    scene.hide(&other);
    let again = scene
        .fetch(&format!("{}{target}", seaweed.url()), "")
        .loud()
        .report();
    assert_eq!(again["transferred"], 0, "{again}");
}

#[test]
fn a_presigned_url_is_never_shown_when_it_fails() {
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.private_bucket();
    seaweed.put(&bucket, "big", &big());
    let host = seaweed.host();
    let key = path(&bucket, "big");
    let long_ago = Duration::from_hours(2);
    let (expired, signature) = ADMIN.presigned(&host, &key, long_ago, Duration::from_mins(1));
    let scene = Scene::new();
    scene.hide(&signature);
    let out = scene
        .fetch(&format!("{}{expired}", seaweed.url()), "")
        .loud()
        .run();
    out.fails(77).hints("new");
    // One letter of the signature differs.
    let (target, signature) = ADMIN.presigned(&host, &key, Duration::ZERO, Duration::from_mins(1));
    let wrong = signature.replace('a', "b");
    scene.hide(&wrong).hide(&signature);
    let target = target.replace(&signature, &wrong);
    scene
        .fetch(&format!("{}{target}", seaweed.url()), "")
        .loud()
        .run()
        .fails(77);
    // Nobody is there.
    let out = scene
        .fetch(&format!("http://127.0.0.1:9/x?sig={wrong}"), "")
        .loud()
        .timeout("1s")
        .run();
    out.fails(69);
    // It cannot be meant.
    scene
        .fetch(&format!("http://127.0.0.1:9/?sig={wrong}"), "")
        .loud()
        .run()
        .fails(64);
    scene
        .fetch(&format!("http:/127.0.0.1:9/?sig={wrong}"), "")
        .loud()
        .run()
        .fails(64);
    scene.is_bare();
}

#[test]
fn a_server_that_says_the_signature_back_is_not_quoted() {
    let scene = Scene::new();
    scene.hide("c0ffee0123456789");
    let x = Origin::new(|request, _| {
        let text = format!("you asked for {} with c0ffee0123456789", request.target);
        Answer::text(400, "text/plain", &text).with("X-Echo", &request.target)
    });
    let source = x.at("/x?sig=c0ffee0123456789&name=x");
    scene.fetch(&source, "").loud().run().fails(65);
}

#[test]
fn headers_and_passwords_from_files_are_never_shown() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| {
        let token = request.header("x-token") == Some("t0ken-of-the-file");
        let basic = request.header("authorization") == Some("Basic dTpwYXNzLW9mLXRoZS1maWxl");
        if token || basic {
            object.answer(request)
        } else {
            Answer::new(401)
        }
    });
    let scene = Scene::new();
    for secret in [
        "t0ken-of-the-file",
        "pass-of-the-file",
        "dTpwYXNzLW9mLXRoZS1maWxl",
    ] {
        scene.hide(secret);
    }
    let headers = scene.file("headers", "X-Token: t0ken-of-the-file\n");
    let basic = scene.file("basic", "u:pass-of-the-file\n");
    scene
        .fetch(&x.at("/x"), "a")
        .loud()
        .with("--header-file", &headers)
        .run()
        .succeeds();
    scene
        .fetch(&x.at("/x"), "b")
        .loud()
        .with("--basic-auth-file", &basic)
        .run()
        .succeeds();
    scene.fetch(&x.at("/x"), "c").loud().run().fails(77);
    let wrong = scene.file("wrong", "u:pass-of-the-file-too\n");
    scene.hide("pass-of-the-file-too");
    scene
        .fetch(&x.at("/x"), "c")
        .loud()
        .with("--basic-auth-file", &wrong)
        .run()
        .fails(77);
    scene.holds([("a", big()), ("b", big())]);
}

#[test]
fn a_file_of_headers_that_is_none_is_refused_without_quoting_it() {
    let scene = Scene::new();
    scene.hide("t0ken-of-the-file");
    for text in [
        "t0ken-of-the-file\n",
        "bad name: t0ken-of-the-file\n",
        "X-A: t0ken-of-the-file\u{1}\n",
        "Range: t0ken-of-the-file\nnonsense t0ken-of-the-file",
    ] {
        let path = scene.file("headers", text);
        let out = scene
            .fetch("http://127.0.0.1:9/x", "x")
            .loud()
            .with("--header-file", &path)
            .run();
        out.fails(64);
    }
    let path = scene.file("basic", "t0ken-of-the-file\n");
    scene
        .fetch("http://127.0.0.1:9/x", "x")
        .loud()
        .with("--basic-auth-file", &path)
        .run()
        .fails(64);
    scene
        .fetch("http://127.0.0.1:9/x", "x")
        .with("--header-file", scene.beside("none"))
        .run()
        .fails(64);
}

#[test]
fn keys_of_s3_are_never_shown() {
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.private_bucket();
    seaweed.put(&bucket, "k", b"text");
    let scene = Scene::new();
    scene
        .hide(ADMIN.secret)
        .hide("s3ssion-t0ken-of-nobody")
        .hide("wr0ng-secret-of-admin");
    let source = format!("s3://{bucket}/k");
    let run = |name: &str| {
        scene
            .fetch(&source, name)
            .loud()
            .with("--endpoint-url", seaweed.url())
    };
    run("x")
        .env("AWS_ACCESS_KEY_ID", ADMIN.id)
        .env("AWS_SECRET_ACCESS_KEY", ADMIN.secret)
        .run()
        .succeeds();
    run("y")
        .env("AWS_ACCESS_KEY_ID", ADMIN.id)
        .env("AWS_SECRET_ACCESS_KEY", "wr0ng-secret-of-admin")
        .run()
        .fails(77);
    run("y")
        .env("AWS_ACCESS_KEY_ID", "AKIAPODINITNOBODY")
        .env("AWS_SECRET_ACCESS_KEY", "wr0ng-secret-of-admin")
        .env("AWS_SESSION_TOKEN", "s3ssion-t0ken-of-nobody")
        .run()
        .fails(77);
    scene.holds([("x", "text")]);
}
