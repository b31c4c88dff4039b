//! Cases 25 and 26: redirects, and that no credential ever follows one to another origin.

use std::sync::{Arc, Mutex};

use super::{OLD, Scene, big};
use crate::support::certificates::Identity;
use crate::support::origin::range;
use crate::support::wire::own_address;
use crate::support::{Answer, Nginx, Object, Origin};

const STATUSES: &[u16] = &[301, 302, 303, 307, 308];

/// What nobody but SOURCE's own origin may learn.
const SECRETS: &[&str] = &[
    "Bearer-of-the-header-file",
    "the-basic-password",
    "eDp0aGUtYmFzaWMtcGFzc3dvcmQ=",
];

/// Whether a request carries any of it.
fn carries(request: &crate::support::wire::Request) -> bool {
    let text = format!("{request:?}");
    SECRETS.iter().any(|secret| text.contains(secret))
        || request.header("authorization").is_some()
        || request.header("x-own").is_some()
}

/// A scene with both kinds of credentials for http, and the flags that bring one of them.
fn with_credentials(scene: &Scene, basic: bool) -> [String; 2] {
    for secret in SECRETS {
        scene.hide(secret);
    }
    let (flag, name, text) = if basic {
        ("--basic-auth-file", "basic", "x:the-basic-password\n")
    } else {
        let text = "Authorization: Bearer-of-the-header-file\nX-Own: Bearer-of-the-header-file\n";
        ("--header-file", "headers", text)
    };
    [
        flag.to_string(),
        scene.file(name, text).display().to_string(),
    ]
}

#[test]
fn every_redirect_is_followed_and_keeps_credentials_at_home() {
    let object = Object::new(big());
    let second = {
        let object = object.clone();
        Origin::new(move |request, _| match &*request.target {
            "/second/3" => Answer::redirect(303, "4"),
            "/second/4" => Answer::redirect(307, "/second/5?q=1"),
            "/second/5?q=1" => Answer::redirect(308, "/last"),
            "/last" => object.answer(request),
            _ => Answer::new(404),
        })
    };
    let target = second.at("/second/3");
    let first = Origin::new(move |request, _| match &*request.target {
        "/1" => Answer::redirect(301, "/2"),
        "/2" => Answer::redirect(302, &target),
        _ => Answer::new(404),
    });
    for basic in [false, true] {
        let scene = Scene::new();
        let flags = with_credentials(&scene, basic);
        scene
            .fetch(&first.at("/1"), "x")
            .args(flags)
            .run()
            .succeeds();
        scene.holds([("x", big())]);
        assert!(
            first.asked().iter().all(|one| carries(&one.request)),
            "kept from SOURCE's origin"
        );
        assert!(
            !second.asked().iter().any(|one| carries(&one.request)),
            "told to the second origin"
        );
        // The later ranges go straight to the last address.
        let chain = second
            .log()
            .iter()
            .filter(|line| line.contains("/second/3"))
            .count();
        assert_eq!(chain, 1, "{:?}", second.log());
        first.forget();
        second.forget();
    }
}

#[test]
fn no_credential_reaches_another_origin_in_150_cases() {
    let object = Object::new("text");
    let thief = {
        let object = object.clone();
        Origin::new(move |request, _| object.answer(request))
    };
    let port = thief.address().port();
    // Another port of the same host, other names and spellings of it, and detours over home.
    let places = [
        format!("http://127.0.0.1:{port}/x"),
        format!("http://localhost:{port}/x"),
        format!("//127.0.0.1:{port}/x"),
        format!("HTTP://127.0.0.1:{port}/x"),
        format!("http://127.0.0.1:{port}/x?next=1#frag"),
    ];
    let mut cases = 0;
    for status in STATUSES {
        for place in &places {
            for basic in [false, true] {
                for detour in ["straight", "home", "bounce"] {
                    cases += 1;
                    let script = (*status, place.clone(), detour);
                    let home = Origin::new(move |request, _| {
                        let (status, place, detour) = &script;
                        match (&*request.target, *detour) {
                            ("/start", "home" | "bounce") => Answer::redirect(*status, "/again"),
                            _ => Answer::redirect(*status, place),
                        }
                    });
                    thief.forget();
                    let scene = Scene::new();
                    let flags = with_credentials(&scene, basic);
                    let out = scene.fetch(&home.at("/start"), "x").args(flags).run();
                    out.succeeds();
                    scene.holds([("x", "text")]);
                    let seen = thief.asked();
                    assert!(!seen.is_empty(), "{status} {place} {detour}");
                    for one in seen {
                        assert!(
                            !carries(&one.request),
                            "{status} {place} {detour}: {:?}",
                            one.request
                        );
                    }
                }
            }
        }
    }
    assert_eq!(cases, 150);
}

#[test]
fn a_signed_url_is_not_told_to_another_origin() {
    let second = Origin::new(|request, _| Object::new("text").answer(request));
    let target = second.at("/x");
    let first = Origin::new(move |_, _| Answer::redirect(302, &target));
    let scene = Scene::new();
    scene.hide("c0ffee-signature");
    let source = first.at("/x?X-Amz-Signature=c0ffee-signature");
    scene.fetch(&source, "x").run().succeeds();
    for one in second.asked() {
        assert!(
            !format!("{:?}", one.request).contains("c0ffee-signature"),
            "{one:?}"
        );
    }
}

#[test]
fn ten_redirects_are_followed_and_eleven_are_not() {
    let x = Origin::new(
        |request, _| match request.target.trim_start_matches('/').parse::<u32>() {
            Ok(0) => Object::new("text").answer(request),
            Ok(left) => Answer::redirect(302, &format!("/{}", left - 1)),
            Err(_) => Answer::redirect(302, "/loop"),
        },
    );
    let scene = Scene::new();
    scene.fetch(&x.at("/10"), "x").run().succeeds();
    scene.holds([("x", "text")]);
    scene.old("x");
    scene.fetch(&x.at("/11"), "x").run().fails(65);
    scene.has("x", OLD);
    x.forget();
    scene.fetch(&x.at("/loop"), "x").run().fails(65);
    scene.has("x", OLD);
    assert!(x.log().len() <= 11, "{:?}", x.log());
}

#[test]
fn a_redirect_to_nowhere_is_an_error() {
    for location in [
        "",
        "ftp://h/x",
        "http://",
        "file:///etc/passwd",
        "http://u:hunter2@127.0.0.1:9/x",
    ] {
        let x = Origin::new(move |_, _| Answer::redirect(302, location));
        let scene = Scene::new();
        scene.hide("hunter2");
        let out = scene.old("x").fetch(&x.at("/x"), "x").timeout("3s").run();
        assert_ne!(out.code, 0, "{location}: {out:?}");
        scene.has("x", OLD);
    }
    let x = Origin::new(|_, _| Answer::new(302));
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().fails(65);
    scene.has("x", OLD);
}

#[test]
fn a_redirect_from_https_to_http_is_denied() {
    let identity = Identity::new();
    let plain = Origin::new(|request, _| Object::new("text").answer(request));
    let line = format!("location / {{ return 302 {}; }}", plain.at("/x"));
    let nginx = Nginx::with_tls(&line, &identity);
    let scene = Scene::new();
    let run = scene.old("x").fetch(&nginx.tls_at("/x"), "x");
    run.with("--ca-file", &identity.authority).run().fails(77);
    scene.has("x", OLD);
    assert_eq!(plain.log(), [""; 0]);
}

#[test]
fn a_redirect_to_a_link_local_address_is_denied_without_a_connection() {
    for place in [
        "http://169.254.169.254/x",
        "http://[fe80::1]/x",
        "http://[::ffff:169.254.169.254]/x",
        "http://2852039166/x",
    ] {
        let x = Origin::new(move |_, _| Answer::redirect(302, place));
        let scene = Scene::new();
        let out = scene.old("x").fetch(&x.at("/x"), "x").timeout("5s").run();
        out.fails(77).within(std::time::Duration::from_secs(2));
        scene.has("x", OLD);
    }
}

#[test]
fn an_address_that_expires_is_asked_for_anew() {
    // Each address that SOURCE gives is good for two requests.
    let object = Object::new(big());
    let good = Arc::new(Mutex::new((0_u32, 0_u32)));
    let last = {
        let (object, good) = (object.clone(), Arc::clone(&good));
        Origin::new(move |request, _| {
            let mut good = good.lock().expect("no panic");
            let is_fresh = request.target == format!("/x?ticket={}", good.0);
            if !is_fresh || good.1 == 0 {
                return Answer::new(403);
            }
            good.1 -= 1;
            object.answer(request)
        })
    };
    let place = last.url();
    let first = Origin::new(move |_, _| {
        let mut good = good.lock().expect("no panic");
        *good = (good.0 + 1, 2);
        Answer::redirect(302, &format!("{place}/x?ticket={}", good.0))
    });
    let scene = Scene::new();
    let run = scene.fetch(&first.at("/x"), "x");
    run.args(
        ["--parallel", "1", "--part-size", "4MiB", "--parallel", "2"]
            .into_iter()
            .skip(2),
    )
    .run()
    .succeeds();
    scene.holds([("x", big())]);
    assert!(first.count("GET") > 1);
}

#[test]
fn an_address_that_refuses_even_when_fresh_is_denied() {
    let last = Origin::new(|_, _| Answer::new(403));
    let target = last.at("/x");
    let first = Origin::new(move |_, _| Answer::redirect(302, &target));
    let scene = Scene::new();
    scene.old("x").fetch(&first.at("/x"), "x").run().fails(77);
    scene.has("x", OLD);
}

#[test]
fn no_head_is_sent_to_http() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| match &*request.method {
        "HEAD" => Answer::new(403),
        _ => object.answer(request),
    });
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
    assert_eq!(x.count("HEAD"), 0);
    assert!(
        x.asked()
            .iter()
            .any(|one| range(&one.request) == Some((0, 8 * 1024 * 1024 - 1)))
    );
}

#[test]
fn source_may_be_link_local_itself() {
    // Nobody listens there: it is the attempt that must not be refused.
    let address = own_address();
    let scene = Scene::new();
    let out = scene
        .fetch(&format!("http://169.254.0.1:{}/x", address.port()), "x")
        .timeout("1s")
        .run();
    out.fails(69);
}
