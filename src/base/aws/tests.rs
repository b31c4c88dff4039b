//! Which credentials are taken, and what happens where none are given.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::origin::{Origin, choose};
use super::*;
use crate::base::http::{Roots, StreamClient, install_provider};

fn environment(variables: &[(&str, &str)]) -> Environment {
    let pairs = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Environment::of(pairs.collect())
}

fn origin(variables: &[(&str, &str)], flag: Option<&str>) -> Result<Origin, Failure> {
    let environment = environment(variables);
    let profiles = Profiles::read(&environment, flag)?;
    choose(&environment, &profiles)
}

#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// A server that answers with what `answer` makes of the head of a request, and records it.
async fn server(
    answer: impl Fn(&str) -> (u16, String) + Send + 'static,
) -> (u16, Arc<Mutex<Vec<String>>>) {
    install_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else {
                    break;
                };
                bytes.push(byte);
            }
            let question = String::from_utf8(bytes).unwrap().to_lowercase();
            let length = question
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.trim().parse().unwrap());
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            let whole = question + &String::from_utf8(body).unwrap();
            let (status, body) = answer(&whole);
            record.lock().unwrap().push(whole);
            let reply = format!(
                "HTTP/1.1 {status} X\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    (port, heard)
}

fn store(variables: &[(&str, &str)], detour: Option<u16>) -> Store {
    install_provider();
    let environment = environment(variables);
    let client = StreamClient::new(&Roots::System, &environment).unwrap();
    let mut door = Door::new(&client, Duration::from_secs(5));
    door.detour = detour;
    Store::new(Wish::default(), &environment, door).unwrap()
}

fn json(life: &str) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"AK","SecretAccessKey":"hunter2","Token":"t","Expiration":"{life}"}}"#
    )
}

#[test]
fn the_first_place_that_is_named_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    put(
        &config,
        "[default]\nregion = eu-1\n[profile keys]\naws_access_key_id = A\naws_secret_access_key = B\n\
         [profile sso]\nsso_start_url = https://x\n[profile run]\ncredential_process = /bin/x\n",
    );
    let config = config.to_str().unwrap();
    let keys = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "B")];
    let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "r")];
    let pod = [(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "http://169.254.170.23/v1/credentials",
    )];
    let files = [("AWS_CONFIG_FILE", config)];
    let named = [("AWS_PROFILE", "keys")];
    let all = [&keys[..], &web, &pod, &files, &named].concat();
    let is_profile = |origin: &Origin| *origin == Origin::Profile("keys".into());
    assert_eq!(origin(&all, None).unwrap(), Origin::Variables);
    // A flag beats the keys in the environment, a variable does not.
    let flagged = [&keys[..], &files].concat();
    assert!(is_profile(&origin(&flagged, Some("keys")).unwrap()));
    assert!(is_profile(&origin(&all[2..], None).unwrap()));
    assert!(matches!(
        origin(&all[2..6], None).unwrap(),
        Origin::WebIdentity { .. }
    ));
    assert!(matches!(origin(&pod, None).unwrap(), Origin::Container(_)));
    assert!(matches!(
        origin(&[], None).unwrap(),
        Origin::Instance {
            is_named: false,
            ..
        }
    ));
    let named = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")];
    assert!(matches!(
        origin(&named, None).unwrap(),
        Origin::Instance { is_named: true, .. }
    ));
    assert_eq!(
        origin(&[("AWS_EC2_METADATA_DISABLED", "true")], None).unwrap(),
        Origin::Nowhere
    );
    let profiles = Profiles::read(&environment(&files), None).unwrap();
    assert_eq!(profiles.region().as_deref(), Some("eu-1"));
    for (variables, flag, words) in [
        (&files[..], Some("sso"), "needs SSO"),
        (&files, Some("run"), "needs a process"),
        (&files, Some("none"), "no profile `none`"),
        (&keys[..1], None, "AWS_SECRET_ACCESS_KEY is not"),
        (&web[..1], None, "AWS_ROLE_ARN is not"),
        (
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://10.0.0.1/x")],
            None,
            "in the clear",
        ),
        (
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "x y")],
            None,
            "not a URL",
        ),
    ] {
        let failure = origin(variables, flag).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
        assert!(failure.to_string().contains(words), "{failure}");
    }
}

#[tokio::test]
async fn an_agent_that_is_named_is_waited_for_and_its_refusal_is_final() {
    for (status, kind) in [
        (200, None),
        (500, Some(Kind::Unavailable)),
        (404, Some(Kind::Unavailable)),
        (403, Some(Kind::Denied)),
        (400, Some(Kind::Denied)),
    ] {
        let (port, heard) = server(move |_| (status, json("2099-01-01T00:00:00Z"))).await;
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        put(&token, "first\n");
        let address = format!("http://127.0.0.1:{port}/v1");
        let store = store(
            &[
                ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address),
                (
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                    token.to_str().unwrap(),
                ),
            ],
            None,
        );
        let failure = store.ready().await.err();
        assert_eq!(failure.as_ref().map(Failure::kind), kind, "{status}");
        if let Some(failure) = failure {
            assert!(
                failure
                    .to_string()
                    .contains("get credentials from the container's agent"),
                "{failure}"
            );
        }
        // The file is read at each use, and what lasts is not asked for again.
        put(&token, "second\n");
        let _ = store.ready().await;
        let heard = heard.lock().unwrap();
        assert!(heard[0].contains("authorization: first\r\n"));
        assert_eq!(heard.len(), if status == 200 { 1 } else { 2 });
        assert!(
            heard
                .get(1)
                .is_none_or(|second| second.contains("authorization: second\r\n"))
        );
        assert!(!format!("{store:?}").contains("hunter2"));
    }
    let gone = store(
        &[(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://127.0.0.1:1/v1",
        )],
        None,
    );
    assert_eq!(gone.ready().await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn short_lived_credentials_are_renewed_before_they_end() {
    let (port, heard) = server(|_| {
        let end = std::time::SystemTime::now() + Duration::from_millis(400);
        (
            200,
            json(&humantime::format_rfc3339_millis(end).to_string()),
        )
    })
    .await;
    let address = format!("http://127.0.0.1:{port}/v1");
    let store = store(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address)], None);
    let start = Instant::now();
    while heard.lock().unwrap().len() < 3 {
        store.ready().await.unwrap();
        tokio::task::yield_now().await;
        assert!(start.elapsed() < Duration::from_secs(10));
    }
    // Each lasts 300 ms until its last quarter.
    assert!(
        start.elapsed() >= Duration::from_millis(550),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn an_instance_gives_its_role_and_a_guess_is_soon_given_up() {
    let (port, heard) = server(|head| match head.split(' ').nth(1).unwrap() {
        "/latest/api/token" => (200, "imds-token".into()),
        "/latest/meta-data/iam/security-credentials/" => (200, "role".into()),
        _ => (200, json("2099-01-01T00:00:00Z")),
    })
    .await;
    let address = format!("http://127.0.0.1:{port}");
    // A proxy is not asked.
    let named = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", address.as_str()),
        ("ALL_PROXY", "http://127.0.0.1:1"),
    ];
    store(&named, None).ready().await.unwrap();
    assert_eq!(heard.lock().unwrap().len(), 3);
    assert!(heard.lock().unwrap()[2].contains("x-aws-ec2-metadata-token: imds-token"));
    let gone = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")];
    let failure = store(&gone, None).ready().await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Unavailable, "{failure}");
    let start = Instant::now();
    let nowhere = [("AWS_EC2_METADATA_DISABLED", "true")];
    let failure = store(&nowhere, None).ready().await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Denied);
    assert!(
        failure.to_string().contains("AWS_ACCESS_KEY_ID"),
        "{failure}"
    );
    let failure = store(&[], None).ready().await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Denied);
    assert!(failure.to_string().contains("169.254.169.254"), "{failure}");
    assert!(failure.mend().unwrap().contains("--anonymous"));
    assert!(start.elapsed() < Duration::from_millis(3500));
}

#[tokio::test]
async fn a_token_in_a_file_becomes_a_roles_credentials_by_sts() {
    let (port, heard) = server(|whole| {
        if whole.contains("WebIdentityToken=bad") {
            return (403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>".into());
        }
        let xml = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>\
            <AccessKeyId>AK</AccessKeyId><SecretAccessKey>hunter2</SecretAccessKey><SessionToken>t</SessionToken>\
            <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
            </AssumeRoleWithWebIdentityResponse>";
        (200, xml.into())
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/app"),
        ("AWS_REGION", "eu-west-1"),
    ];
    let asked = store(&variables, Some(port));
    let failure = asked.ready().await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Denied);
    assert!(failure.to_string().contains("No such file"), "{failure}");
    put(&token, "bad");
    let failure = asked.ready().await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Denied, "{failure}");
    assert!(
        failure
            .to_string()
            .contains("STS for the role arn:aws:iam::1:role/app: 403"),
        "{failure}"
    );
    put(&token, "good");
    asked.ready().await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(
        heard[1].contains("x-host: sts.eu-west-1.amazonaws.com"),
        "{}",
        heard[1]
    );
    assert!(heard[1].contains("WebIdentityToken=good"));
}

#[tokio::test]
async fn the_keys_of_a_profile_are_read_from_the_files_that_the_environment_names() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    put(
        &file,
        "[team]\naws_access_key_id = AKTEAM\naws_secret_access_key = hunter2\n",
    );
    let variables = [
        ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
        ("AWS_PROFILE", "team"),
    ];
    let store = store(&variables, None);
    store.ready().await.unwrap();
    assert!(format!("{store:?}").contains("AKTEAM"));
    assert!(!format!("{store:?}").contains("hunter2"));
}
