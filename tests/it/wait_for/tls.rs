//! Certificates of `https://` and the other schemes with TLS.

use super::run::{Files, never_ready};
use super::{AT_ONCE, plainly, wait_for};
use crate::support::authority::Authority;
use crate::support::certificates::run_in;
use crate::support::machine_to_itself;
use crate::support::redis::Redis;
use crate::support::tls_front::TlsFront;
use crate::support::wire::Response;
use crate::support::{Proxy, Reply};

fn fine() -> Proxy {
    Proxy::alone(|_, _| Reply::Say(Response::text(200, "text/plain", "")))
}

#[test]
fn case_54_whose_word_is_taken() {
    let _turn = machine_to_itself();
    let authority = Authority::new();
    let server = fine();
    let front = |name: &str| TlsFront::before(server.address(), &authority, name);
    let (good, other, expired) = (front("good"), front("other"), front("expired"));
    let url = |front: &TlsFront| format!("https://{}/", front.address());
    let ca = authority.root().display().to_string();

    let out = wait_for([url(&good)]).run();
    out.fails(77).hints("--ca-file").within(AT_ONCE);
    assert_eq!(server.log(), [""; 0]);

    wait_for(["--ca-file", &ca, &url(&good)]).run().succeeds();
    assert_eq!(server.log(), ["GET /"]);

    let out = plainly(["--insecure-skip-verify", "-q", &url(&good)]).run();
    out.succeeds();
    let loud: Vec<_> = out
        .stderr
        .lines()
        .filter(|line| line.contains("verif"))
        .collect();
    assert!(!loud.is_empty(), "{out:?}");
    assert!(
        loud.iter()
            .all(|line| line.split(' ').nth(1) == Some("error")),
        "{out:?}"
    );

    let out = wait_for(["--ca-file", &ca, &url(&other)]).run();
    out.fails(77).within(AT_ONCE);
    assert!(out.last_line().contains("somebody.example"), "{out:?}");
    let out = wait_for(["--ca-file", &ca, &url(&expired)]).run();
    out.fails(77).within(AT_ONCE).says("expired");
    for front in [&other, &expired] {
        wait_for(["--insecure-skip-verify", &url(front)])
            .run()
            .succeeds();
    }
}

#[test]
fn an_authority_as_a_server_is_told_apart() {
    let files = Files::new();
    run_in(
        &files.path(""),
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout self.key \
         -out self.crt -days 2 -subj /CN=self -addext subjectAltName=IP:127.0.0.1",
        &[],
    );
    let authority = Authority::new();
    for (from, to) in [
        ("self.crt", authority.certificate("own")),
        ("self.key", authority.key("own")),
    ] {
        std::fs::copy(files.path(from), to).expect("a copy");
    }
    let server = fine();
    let front = TlsFront::before(server.address(), &authority, "own");
    let target = format!("https://{}", front.address());
    let out = wait_for(["--ca-file", &files.at("self.crt"), &target]).run();
    out.fails(77);
    assert!(out.last_line().contains("CA:TRUE"), "{out:?}");
}

#[test]
fn plain_and_secure_ports_are_told_apart() {
    let authority = Authority::new();
    let server = fine();
    let front = TlsFront::before(server.address(), &authority, "good");
    let redis = Redis::start(&[]);
    never_ready(&[
        (&[&format!("https://{}", server.address())], "TLS"),
        (&[&format!("rediss://{}", redis.address())], "TLS"),
        (&[&format!("redis://{}", front.address())], ""),
        (&[&format!("http://{}", front.address())], ""),
    ]);
}

#[test]
fn every_scheme_with_tls_verifies() {
    let authority = Authority::new();
    let server = fine();
    let front = TlsFront::speaking(server.address(), &authority, "good", &["h2", "http/1.1"]);
    let address = front.address();
    for target in [
        format!("rediss://{address}"),
        format!("amqps://{address}"),
        format!("grpcs://{address}"),
        format!("vaults://{address}"),
        format!("kafka://{address}?tls=true"),
        format!("mongodb://{address}?tls=true"),
    ] {
        wait_for([&target]).run().fails(77).hints("--ca-file");
    }
    let redis = Redis::start(&[]);
    let front = TlsFront::before(redis.address(), &authority, "good");
    let target = format!("rediss://{}", front.address());
    let ca = authority.root().display().to_string();
    wait_for(["--ca-file", &ca, &target]).run().succeeds();
    wait_for(["--insecure-skip-verify", &target])
        .run()
        .succeeds();
    // System roots may be named by the usual variable.
    wait_for([&target])
        .env("SSL_CERT_FILE", &ca)
        .run()
        .succeeds();
    // What --ca-file names replaces them.
    let strange = Authority::new().root().display().to_string();
    wait_for(["--ca-file", &strange, &target])
        .env("SSL_CERT_FILE", &ca)
        .run()
        .fails(64);
    let stranger = Authority::new();
    let root = stranger.root().display().to_string();
    wait_for(["--ca-file", &root, &target])
        .env("SSL_CERT_FILE", &ca)
        .run()
        .fails(77);
}
