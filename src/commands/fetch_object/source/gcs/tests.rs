//! Google Cloud Storage against scripted servers.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::super::testing::{Script, answer as say, bytes, put, reach};
use super::super::{Answer, Framing};
use super::*;

/// A key for these tests: nobody else's, and of no service.
static KEY: LazyLock<String> = LazyLock::new(|| {
    let openssl = std::process::Command::new("openssl")
        .args([
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ])
        .output()
        .expect("openssl is installed");
    String::from_utf8(openssl.stdout).unwrap()
});

fn object(key: &str, version: Option<&str>) -> Object {
    Object {
        key: key.to_string(),
        version: version.map(str::to_string),
    }
}

fn anonymous(server: &Script) -> Rc<dyn Source> {
    let host = format!("127.0.0.1:{}", server.port);
    open(
        "bkt",
        GcsOptions::default(),
        &reach(&[("STORAGE_EMULATOR_HOST", &host)]),
    )
    .unwrap()
}

fn generation(number: &str) -> Validator {
    Validator {
        generation: Some(number.to_string()),
        ..Validator::default()
    }
}

fn body(reply: Reply) -> Answer {
    match reply {
        Reply::Answer(answer) => answer,
        _ => panic!("no body"),
    }
}

#[tokio::test]
async fn metadata_come_first_and_then_the_bytes_of_that_generation_as_stored() {
    let server = Script::start(|heard, _| {
        if heard.target.contains("alt=media") {
            assert_eq!(heard.header("accept-encoding"), Some("gzip"));
            let headers = [
                ("x-goog-hash", "crc32c=AAAABw=="),
                ("x-goog-hash", "md5=xx=="),
                ("Content-Encoding", "gzip"),
                ("x-goog-generation", "5"),
                ("ETag", "CAE="),
            ];
            return match heard.header("range") {
                Some(_) => say(
                    206,
                    &[&headers[..], &[("Content-Range", "bytes 0-3/4")]].concat(),
                    "\x1f\u{8}ab",
                ),
                None => say(200, &headers, "\x1f\u{8}ab"),
            };
        }
        say(
            200,
            &[],
            r#"{"size":"4","generation":"5","crc32c":"AAAABw==","md5Hash":"x"}"#,
        )
    })
    .await;
    let source = anonymous(&server);
    let key = object("a/../b c+%41é?#", None);
    let about = source
        .about(&key, Condition::Always)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (about.length, about.validator.clone()),
        (Some(4), generation("5"))
    );
    let sum = vec![Checksum {
        kind: Crc::Crc32c,
        value: Some(7),
    }];
    assert_eq!(about.checksums, sum);
    for (span, sums) in [(Span::Part(0..4), Vec::new()), (Span::All, sum)] {
        let reply = source
            .get(&key, span, Condition::Same(&about.validator))
            .await
            .unwrap();
        let answer = body(reply);
        assert_eq!(
            (answer.validator, answer.checksums),
            (generation("5"), sums)
        );
        assert_eq!(answer.framing, Framing::Length(4));
        assert_eq!(bytes(answer.body).await.unwrap(), b"\x1f\x08ab");
    }
    let name = "/storage/v1/b/bkt/o/a%2F..%2Fb%20c%2B%2541%C3%A9%3F%23";
    assert_eq!(
        server.targets(),
        [
            format!("{name}?fields=size%2Cgeneration%2Ccrc32c"),
            format!("{name}?alt=media&generation=5"),
            format!("{name}?alt=media&generation=5"),
        ]
    );
    assert!(
        server
            .heard()
            .iter()
            .all(|heard| heard.header("authorization").is_none())
    );
    assert_eq!(source.show(&object("k", Some("7"))), "gs://bkt/k#7");
}

#[tokio::test]
async fn a_generation_that_is_gone_is_a_change_and_one_that_never_was_is_missing() {
    let server = Script::start(|heard, _| {
        let old = heard.target.contains("ifGenerationNotMatch=5");
        match (heard.target.contains("alt=media"), old) {
            (_, true) if heard.target.contains("/heeds?") => b"HTTP/1.1 304 X\r\n\r\n".to_vec(),
            (false, _) if !heard.target.contains("generation=9") => {
                say(200, &[], r#"{"size":4,"generation":5}"#)
            }
            (true, true) => say(200, &[("x-goog-generation", "5")], "abcd"),
            _ => say(
                404,
                &[],
                r#"{"error":{"code":404,"message":"No such object: bkt/k"}}"#,
            ),
        }
    })
    .await;
    let source = anonymous(&server);
    let (key, known) = (object("k", None), generation("5"));
    let reply = source
        .get(&key, Span::Part(0..1), Condition::Same(&known))
        .await;
    assert!(matches!(reply, Ok(Reply::Changed)));
    let failure = source
        .about(&object("k", Some("9")), Condition::Always)
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), Kind::Missing);
    assert!(failure.to_string().contains("No such object"), "{failure}");
    for name in ["heeds", "ignores"] {
        let key = object(name, None);
        assert!(
            source
                .about(&key, Condition::Other(&known))
                .await
                .unwrap()
                .is_none(),
            "{name}"
        );
        let reply = source.get(&key, Span::All, Condition::Other(&known)).await;
        assert!(matches!(reply, Ok(Reply::Unchanged)), "{name}");
    }
}

#[tokio::test]
async fn a_list_goes_on_by_its_token_and_has_sums() {
    let server = Script::start(|heard, _| match heard.target.contains("pageToken=t%2F1") {
        true => say(200, &[], r#"{"kind":"storage#objects"}"#),
        false if heard.target.contains("prefix=loop") => say(200, &[], r#"{"nextPageToken":"x"}"#),
        false => say(
            200,
            &[],
            r#"{"nextPageToken":"t/1","items":[{"name":"p/ é\n","size":"3","generation":"1","crc32c":"AAAABw=="}]}"#,
        ),
    })
    .await;
    let source = anonymous(&server);
    let page = source.list("p/ ", None).await.unwrap();
    assert_eq!(page.objects.len(), 1);
    let listed = &page.objects[0];
    assert_eq!((listed.key.as_str(), listed.size), ("p/ é\n", 3));
    assert_eq!(
        (listed.validator.clone(), listed.checksums.len()),
        (generation("1"), 1)
    );
    let last = source.list("p/ ", page.next.as_deref()).await.unwrap();
    assert!(last.objects.is_empty() && last.next.is_none());
    assert!(
        server.targets()[0]
            .starts_with("/storage/v1/b/bkt/o?prefix=p%2F%20&maxResults=1000&fields=")
    );
    assert_eq!(
        source.list("loop", Some("x")).await.unwrap_err().kind(),
        Kind::Corrupt
    );
}

/// A key file whose tokens come from `token_uri`.
fn key_file(token_uri: &str) -> String {
    serde_json::json!({
        "type": "service_account",
        "client_email": "app@project.iam.gserviceaccount.com",
        "private_key_id": "kid1",
        "private_key": KEY.as_str(),
        "token_uri": token_uri,
    })
    .to_string()
}

#[tokio::test]
async fn a_service_account_signs_for_its_token_which_is_renewed_when_refused() {
    let server = Script::start(|heard, number| match heard.target.as_str() {
        "/token" => say(
            200,
            &[],
            format!(r#"{{"access_token":"hunter{number}","expires_in":3600}}"#),
        ),
        _ => match heard.header("authorization") {
            Some("Bearer hunter0") if number > 1 => say(401, &[], "token expired"),
            Some(token) if token.starts_with("Bearer hunter") => {
                say(200, &[], r#"{"size":"0","generation":"1"}"#)
            }
            _ => say(403, &[], "no"),
        },
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.json");
    put(&file, &key_file(&format!("{}/token", server.origin())));
    let options = GcsOptions {
        endpoint: Some(server.origin()),
        ..GcsOptions::default()
    };
    let variables = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())];
    let source = open("bkt", options, &reach(&variables)).unwrap();
    let key = object("k", None);
    for _ in 0..3 {
        source.about(&key, Condition::Always).await.unwrap();
    }
    let paths: Vec<bool> = server
        .targets()
        .iter()
        .map(|target| target == "/token")
        .collect();
    assert_eq!(paths, [true, false, false, true, false, false]);
    let form = &server.heard()[0];
    assert_eq!(form.method, "POST");
    let assertion = form.body.split("assertion=").nth(1).unwrap();
    assert!(
        form.body
            .starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&")
    );
    let parts: Vec<&str> = assertion.split('.').collect();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&decode(parts[1])).unwrap();
    assert_eq!(claims["iss"], "app@project.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], format!("{}/token", server.origin()));
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/devstorage.read_only"
    );
    assert_eq!(
        claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(),
        3600
    );
    let header: serde_json::Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    assert_eq!(
        (header["alg"].as_str(), header["kid"].as_str()),
        (Some("RS256"), Some("kid1"))
    );
    let pair = key::Key::parse(&key_file("http://h/")).unwrap();
    let signed = format!("{}.{}", parts[0], parts[1]);
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public())
        .verify(signed.as_bytes(), &decode(parts[2]))
        .unwrap();
    assert!(!format!("{source:?}").contains("hunter"));
}

#[tokio::test]
async fn a_short_token_is_renewed_before_it_ends_and_the_metadata_server_gives_them() {
    let server = Script::start(|heard, number| {
        if heard.target.starts_with("/computeMetadata/") {
            assert_eq!(heard.header("metadata-flavor"), Some("Google"));
            assert_eq!(heard.header("host"), heard.header("host"));
            return say(
                200,
                &[],
                format!(r#"{{"access_token":"t{number}","expires_in":1,"token_type":"Bearer"}}"#),
            );
        }
        say(200, &[], r#"{"size":"0","generation":"1"}"#)
    })
    .await;
    let host = format!("127.0.0.1:{}", server.port);
    let options = GcsOptions {
        endpoint: Some(server.origin()),
        ..GcsOptions::default()
    };
    // A proxy would be asked for the object and never for the token.
    let variables = [
        ("GCE_METADATA_HOST", host.as_str()),
        ("NO_PROXY", "127.0.0.1"),
        ("ALL_PROXY", "http://127.0.0.1:1"),
    ];
    let source = open("bkt", options, &reach(&variables)).unwrap();
    let start = std::time::Instant::now();
    let tokens = || {
        server
            .targets()
            .iter()
            .filter(|target| target.starts_with("/computeMetadata/"))
            .count()
    };
    while tokens() < 2 {
        source
            .about(&object("k", None), Condition::Always)
            .await
            .unwrap();
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    assert!(start.elapsed() >= Duration::from_millis(700));
}

#[tokio::test]
async fn who_gives_no_token_is_waited_for_or_final() {
    let refuse = |status: u16| async move {
        let server = Script::start(move |_, _| {
            say(
                status,
                &[],
                r#"{"error":"invalid_grant","error_description":"told so"}"#,
            )
        })
        .await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.json");
        put(&file, &key_file(&format!("{}/token", server.origin())));
        let variables = [("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())];
        let source = open("bkt", GcsOptions::default(), &reach(&variables)).unwrap();
        source
            .about(&object("k", None), Condition::Always)
            .await
            .unwrap_err()
    };
    for (status, kind) in [
        (400, Kind::Denied),
        (401, Kind::Denied),
        (500, Kind::Unavailable),
        (503, Kind::Unavailable),
    ] {
        let failure = refuse(status).await;
        assert_eq!(failure.kind(), kind, "{status}");
        assert!(
            failure
                .to_string()
                .contains("get a token of http://127.0.0.1:"),
            "{failure}"
        );
        assert!(
            failure.to_string().contains("invalid_grant: told so"),
            "{failure}"
        );
    }
    let gone = reach(&[("GCE_METADATA_HOST", "127.0.0.1:1")]);
    let source = open("bkt", GcsOptions::default(), &gone).unwrap();
    let failure = source
        .about(&object("k", None), Condition::Always)
        .await
        .unwrap_err();
    assert_eq!(failure.kind(), Kind::Unavailable);
    assert!(
        failure
            .to_string()
            .contains("get a token of the metadata server"),
        "{failure}"
    );
}

#[test]
fn a_credential_file_of_another_kind_is_refused_by_its_type_and_never_quoted() {
    for (text, words) in [
        (
            r#"{"type":"authorized_user","refresh_token":"hunter2"}"#,
            "`authorized_user`",
        ),
        (
            r#"{"type":"external_account","x":"hunter2"}"#,
            "`external_account`",
        ),
        (
            r#"{"type":"service_account","client_email":"a","private_key":"hunter2"}"#,
            "private_key",
        ),
        (
            r#"{"type":"service_account","private_key":"hunter2"}"#,
            "client_email",
        ),
        (r#"{"x":"hunter2"}"#, "`type`"),
        ("hunter2", "not a JSON"),
    ] {
        let failure = key::Key::parse(text).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(!failure.to_string().contains("hunter2"));
        assert!(failure.mend().unwrap().contains("service account"));
    }
    let missing = reach(&[("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")]);
    assert_eq!(
        open("b", GcsOptions::default(), &missing)
            .unwrap_err()
            .kind(),
        Kind::Usage
    );
}
