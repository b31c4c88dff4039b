//! Cases 27 and 28: whom podinit trusts, and which proxy it goes through.

use super::{OLD, Scene, big};
use crate::support::bucket::Bucket;
use crate::support::certificates::Identity;
use crate::support::{Answer, Nginx, Object, Origin, Pod};

#[test]
fn a_certificate_nobody_knows_is_denied() {
    let identity = Identity::new();
    let nginx = Nginx::with_tls("", &identity);
    nginx.put("x", &big());
    let scene = Scene::new();
    let out = scene.old("x").fetch(&nginx.tls_at("/x"), "x").run();
    out.fails(77).hints("--ca-file");
    scene.has("x", OLD);
}

#[test]
fn a_certificate_of_a_named_authority_is_trusted() {
    let identity = Identity::new();
    let nginx = Nginx::with_tls("", &identity);
    nginx.put("x", &big());
    let scene = Scene::new();
    let url = nginx.tls_at("/x");
    let run = |name: &str| scene.fetch(&url, name);
    run("flag")
        .with("--ca-file", &identity.authority)
        .run()
        .succeeds();
    run("twice")
        .with("--ca-file", &identity.authority)
        .with("--ca-file", &identity.certificate)
        .run()
        .succeeds();
    run("system")
        .env("SSL_CERT_FILE", &identity.authority)
        .run()
        .succeeds();
    run("aws")
        .env("AWS_CA_BUNDLE", &identity.authority)
        .run()
        .succeeds();
    scene.holds([
        ("flag", big()),
        ("twice", big()),
        ("system", big()),
        ("aws", big()),
    ]);
    // The file replaces the system's roots, and one that is none is refused.
    let none = scene.file("none", "no certificate\n");
    run("x").with("--ca-file", &none).run().fails(64);
    run("x")
        .with("--ca-file", scene.beside("absent"))
        .run()
        .fails(64);
}

#[test]
fn a_certificate_for_another_name_is_denied() {
    let identity = Identity::new();
    let nginx = Nginx::with_tls("", &identity);
    nginx.put("x", &big());
    let port = identity.address.port();
    let pod = Pod::mounted(&format!(
        "printf '%s other.example\\n' {} >> /tmp/hosts.$$ && mount --bind /tmp/hosts.$$ /etc/hosts && rm /tmp/hosts.$$",
        identity.address.ip()
    ));
    let scene = Scene::new();
    let run = scene
        .fetch(&format!("https://other.example:{port}/x"), "x")
        .inside(&pod);
    run.with("--ca-file", &identity.authority).run().fails(77);
    scene.is_bare();
}

#[test]
fn s3_over_tls_trusts_the_same_file() {
    let identity = Identity::new();
    let nginx = Nginx::with_tls("", &identity);
    nginx.put("bucket/k", &big());
    let scene = Scene::new();
    let endpoint = format!("https://{}", identity.address);
    let run = |name: &str| scene.s3(&endpoint, "s3://bucket/k", name);
    run("flag")
        .with("--ca-file", &identity.authority)
        .run()
        .succeeds();
    run("env")
        .env("AWS_CA_BUNDLE", &identity.authority)
        .run()
        .succeeds();
    run("x").run().fails(77).hints("--ca-file");
    scene.holds([("flag", big()), ("env", big())]);
}

#[test]
fn an_image_without_any_ca_file_does() {
    let pod = Pod::mounted(
        "mount -t tmpfs none /etc/ssl && mount -t tmpfs none /usr/share/ca-certificates && ls /etc/ssl/certs 2>/dev/null; true",
    );
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").inside(&pod).run().succeeds();
    scene
        .s3(&x.url(), "s3://b/x", "y")
        .inside(&pod)
        .run()
        .succeeds();
    scene.holds([("x", big()), ("y", big())]);
}

/// A proxy for plain requests: it answers them itself and so tells what came to it.
fn proxy() -> Origin {
    Origin::new(|request, _| match request.method.as_str() {
        // A tunnel is opened to nobody; that it was asked for is enough.
        "CONNECT" => Answer::new(502),
        _ => Object::new("through the proxy").answer(request),
    })
}

#[test]
fn a_proxy_is_used_unless_it_is_excepted() {
    let object = Object::new("direct");
    let x = Origin::new(move |request, _| object.answer(request));
    let proxy = proxy();
    let scene = Scene::new();
    let run = |name: &str| {
        scene
            .fetch(&x.at("/x"), name)
            .env("HTTP_PROXY", proxy.url())
            .env("http_proxy", proxy.url())
    };
    run("through").run().succeeds();
    run("excepted")
        .env("NO_PROXY", "127.0.0.1")
        .run()
        .succeeds();
    run("star").env("NO_PROXY", "*").run().succeeds();
    scene.holds([
        ("through", "through the proxy"),
        ("excepted", "direct"),
        ("star", "direct"),
    ]);
    assert_eq!(proxy.log(), [format!("GET {}", x.at("/x"))]);
}

#[test]
fn a_tunnel_is_asked_for_https() {
    let proxy = proxy();
    let scene = Scene::new();
    let run = scene.fetch("https://podinit.example/x", "x").timeout("2s");
    run.env("HTTPS_PROXY", proxy.url()).run().fails(69);
    assert!(
        proxy
            .log()
            .iter()
            .any(|line| line == "CONNECT podinit.example:443"),
        "{:?}",
        proxy.log()
    );
}

#[test]
fn s3_goes_through_the_proxy_too() {
    let x = Origin::new(|request, _| Bucket::of([("k", "direct")]).s3(request));
    let proxy = proxy();
    let scene = Scene::new();
    let run = |name: &str| {
        scene
            .s3(&x.url(), "s3://b/k", name)
            .env("HTTP_PROXY", proxy.url())
            .env("http_proxy", proxy.url())
    };
    run("through").run().succeeds();
    run("excepted")
        .env("NO_PROXY", "127.0.0.0/8")
        .run()
        .succeeds();
    scene.holds([("through", "through the proxy"), ("excepted", "direct")]);
}

#[test]
fn credentials_on_this_host_are_asked_for_directly() {
    let store = Origin::new(|request, _| Bucket::of([("k", "text")]).s3(request));
    let container = Origin::new(|_, _| {
        Answer::text(
            200,
            "application/json",
            "{\"AccessKeyId\":\"AKIAFROMTHEPOD\",\"SecretAccessKey\":\"s3cret-of-the-pod\",\
             \"Token\":\"t0ken-of-the-pod\",\"Expiration\":\"2099-01-01T00:00:00Z\"}",
        )
    });
    let proxy = proxy();
    let scene = Scene::new();
    scene.hide("s3cret-of-the-pod").hide("t0ken-of-the-pod");
    scene
        .fetch("s3://b/k", "x")
        .loud()
        .with("--endpoint-url", store.url())
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            container.at("/v1/credentials"),
        )
        .env("HTTP_PROXY", proxy.url())
        .env("http_proxy", proxy.url())
        .env("NO_PROXY", store.address().to_string())
        .run();
    assert_eq!(container.log(), ["GET /v1/credentials"]);
    assert!(
        !proxy.log().iter().any(|line| line.contains("credentials")),
        "{:?}",
        proxy.log()
    );
}

#[test]
fn a_proxy_that_wants_a_login_is_denied() {
    let proxy = Origin::new(|_, _| Answer::new(407).with("Proxy-Authenticate", "Basic"));
    let scene = Scene::new();
    for url in ["http://podinit.example/x", "https://podinit.example/x"] {
        let run = scene.old("x").fetch(url, "x").timeout("5s");
        let out = run
            .env("HTTP_PROXY", proxy.url())
            .env("http_proxy", proxy.url())
            .env("HTTPS_PROXY", proxy.url())
            .run();
        out.fails(77);
        scene.has("x", OLD);
    }
}
