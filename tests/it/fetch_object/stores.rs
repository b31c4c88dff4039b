//! Cases 57 to 62: what each store has of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{OLD, Scene, big};
use crate::support::azurite::Azurite;
use crate::support::bucket::{Bucket, crc32c, split};
use crate::support::fakegcs::FakeGcs;
use crate::support::seaweedfs::ADMIN;
use crate::support::wire::Response;
use crate::support::{Answer, MIB, Object, Origin, Proxy, SeaweedFs, machine_to_itself, noise};

/// A header of an answer.
fn header(answer: &Response, name: &str) -> Option<String> {
    let found = answer
        .headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.clone())
}

#[test]
fn an_old_version_is_had_by_its_name() {
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.public_bucket();
    seaweed.keep_versions(&bucket);
    let first =
        header(&seaweed.put(&bucket, "k", b"the first"), "x-amz-version-id").expect("a version");
    seaweed.put(&bucket, "k", b"the second");
    let scene = Scene::new();
    let run = |source: String, name: &str| scene.s3(&seaweed.url(), &source, name).run();
    run(format!("s3://{bucket}/k?versionId={first}"), "old").succeeds();
    run(format!("s3://{bucket}/k"), "new").succeeds();
    scene.holds([("old", "the first"), ("new", "the second")]);
    run(
        format!("s3://{bucket}/k?versionId=00000000000000000000000000000000"),
        "x",
    )
    .fails(66);
    seaweed.delete(&bucket, "k");
    run(format!("s3://{bucket}/k"), "x").fails(66).hints("key");
    run(format!("s3://{bucket}/k?versionId={first}"), "again").succeeds();
    scene.has("again", b"the first").lacks("x");
}

#[test]
fn a_delete_marker_that_the_store_tells_of_is_hinted_at() {
    // SeaweedFS does not tell; S3 does.
    let x =
        Origin::new(|_, _| Answer::s3_error(404, "NoSuchKey").with("x-amz-delete-marker", "true"));
    let scene = Scene::new();
    let out = scene.s3(&x.url(), "s3://b/k", "x").run();
    out.fails(66).hints("version");
    scene.is_bare();
}

#[test]
fn a_real_store_is_read_in_parts_and_checked() {
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.public_bucket();
    seaweed.put(&bucket, "big", &big());
    let scene = Scene::new();
    let report = scene
        .s3(&seaweed.url(), &format!("s3://{bucket}/big"), "")
        .report();
    scene.holds([("big", big())]);
    assert_eq!(report["bytes"], big().len());
    assert!(
        report["checked"]
            .as_array()
            .is_some_and(|all| all.contains(&json!("etag"))),
        "{report}"
    );
}

#[test]
fn s3_is_asked_with_keys_or_without() {
    let seaweed = SeaweedFs::shared();
    let (public, private) = (seaweed.public_bucket(), seaweed.private_bucket());
    seaweed.put(&public, "k", b"public");
    seaweed.put(&private, "k", b"private");
    let scene = Scene::new();
    scene.hide(ADMIN.secret).hide("wr0ng-secret-of-admin");
    scene
        .s3(&seaweed.url(), &format!("s3://{public}/k"), "public")
        .run()
        .succeeds();
    scene
        .s3(&seaweed.url(), &format!("s3://{private}/k"), "x")
        .run()
        .fails(77);
    let source = format!("s3://{private}/k");
    let run = |name: &str| {
        scene
            .fetch(&source, name)
            .env("AWS_ENDPOINT_URL_S3", seaweed.url())
            .env("AWS_EC2_METADATA_DISABLED", "true")
    };
    run("env")
        .env("AWS_ACCESS_KEY_ID", ADMIN.id)
        .env("AWS_SECRET_ACCESS_KEY", ADMIN.secret)
        .run()
        .succeeds();
    let profile = scene.file(
        "credentials",
        &format!(
            "[default]\naws_access_key_id = AKIANOBODY\naws_secret_access_key = wr0ng-secret-of-admin\n\n\
             [it]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            ADMIN.id, ADMIN.secret
        ),
    );
    run("flag")
        .env("AWS_SHARED_CREDENTIALS_FILE", &profile)
        .args(["--profile", "it"])
        .run()
        .succeeds();
    run("name")
        .env("AWS_SHARED_CREDENTIALS_FILE", &profile)
        .env("AWS_PROFILE", "it")
        .run()
        .succeeds();
    run("x")
        .env("AWS_SHARED_CREDENTIALS_FILE", &profile)
        .run()
        .fails(77);
    run("x")
        .env("AWS_ACCESS_KEY_ID", ADMIN.id)
        .env("AWS_SECRET_ACCESS_KEY", "wr0ng-secret-of-admin")
        .run()
        .fails(77);
    let _turn = machine_to_itself();
    let out = scene
        .fetch(&source, "x")
        .with("--endpoint-url", seaweed.url())
        .run();
    out.fails(77)
        .within(Duration::from_secs(4))
        .hints("--anonymous");
    scene.holds([
        ("public", "public"),
        ("env", "private"),
        ("flag", "private"),
        ("name", "private"),
    ]);
    let out = scene
        .s3(&seaweed.url(), "s3://pub-no-such-bucket/k", "x")
        .run();
    out.fails(66).says("pub-no-such-bucket");
    scene
        .s3(&seaweed.url(), &format!("s3://{public}/no-such-key"), "x")
        .run()
        .fails(66);
}

#[test]
fn a_profile_that_needs_a_person_or_a_process_is_refused() {
    let scene = Scene::new();
    for text in [
        "[profile it]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://h/\n",
        "[profile it]\ncredential_process = /bin/true\n",
    ] {
        let config = scene.file("config", text);
        let run = scene.fetch("s3://b/k", "x").args([
            "--profile",
            "it",
            "--endpoint-url",
            "http://127.0.0.1:9",
        ]);
        run.env("AWS_CONFIG_FILE", &config)
            .timeout("5s")
            .run()
            .fails(64);
    }
}

#[test]
fn web_identity_and_pod_identity_bring_keys() {
    let bucket = Bucket::of([("k", "text")]);
    let x = Origin::new(move |request, _| {
        let who = request.header("authorization").unwrap_or_default();
        if who.contains("Credential=AKIAFROMTHEPOD/") {
            bucket.s3(request)
        } else {
            Answer::s3_error(403, "AccessDenied")
        }
    });
    let scene = Scene::new();
    for secret in [
        "s3cret-of-the-pod",
        "t0ken-of-the-pod",
        "web-identity-t0ken",
        "pod-identity-t0ken",
    ] {
        scene.hide(secret);
    }
    let token = scene.file("token", "web-identity-t0ken");
    let sts = Origin::new(|_, _| {
        Answer::text(
            200,
            "text/xml",
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleWithWebIdentityResult>\
             <Credentials><AccessKeyId>AKIAFROMTHEPOD</AccessKeyId><SecretAccessKey>s3cret-of-the-pod</SecretAccessKey>\
             <SessionToken>t0ken-of-the-pod</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
        )
    });
    scene
        .fetch("s3://b/k", "web")
        .loud()
        .with("--endpoint-url", x.url())
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/it")
        .env("AWS_ENDPOINT_URL_STS", sts.url())
        .run()
        .succeeds();
    let token = scene.file("pod-token", "pod-identity-t0ken");
    let agent = Origin::new(
        |request, turn| match (turn, request.header("authorization")) {
            // The agent starts after the Pod.
            (0, _) => Answer::new(503),
            (_, Some("pod-identity-t0ken")) => Answer::text(
                200,
                "application/json",
                "{\"AccessKeyId\":\"AKIAFROMTHEPOD\",\"SecretAccessKey\":\"s3cret-of-the-pod\",\"Token\":\"t0ken-of-the-pod\",\"Expiration\":\"2099-01-01T00:00:00Z\"}",
            ),
            _ => Answer::new(401),
        },
    );
    scene
        .fetch("s3://b/k", "pod")
        .loud()
        .with("--endpoint-url", x.url())
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            agent.at("/v1/credentials"),
        )
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token)
        .run()
        .succeeds();
    scene.holds([("web", "text"), ("pod", "text")]);
}

#[test]
fn credentials_that_the_environment_names_are_waited_for() {
    let scene = Scene::new();
    let _turn = machine_to_itself();
    let run = scene
        .fetch("s3://b/k", "x")
        .timeout("5s")
        .with("--endpoint-url", "http://127.0.0.1:9");
    let out = run
        .env(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "http://127.0.0.1:9/v1/credentials",
        )
        .run();
    out.fails(69)
        .no_sooner_than(Duration::from_secs(5))
        .within(Duration::from_millis(5250));
}

#[test]
fn the_bucket_stands_in_the_path_or_in_the_host() {
    let object = Object::new("text");
    let x = Origin::new(move |request, _| object.answer(request));
    let port = x.address().port();
    let scene = Scene::new();
    let endpoint = format!("http://localhost:{port}");
    let ask = |flags: &[&str]| {
        x.forget();
        // `b.localhost` is this host for the one who asks.
        let run = scene
            .s3(&endpoint, "s3://bucket/a/k", "x")
            .args(["--if-changed", "off"])
            .args(flags)
            .timeout("3s");
        let out = run.run();
        let asked = x.asked();
        (
            out.code,
            asked.first().map(|one| {
                (
                    one.request.header("host").unwrap_or_default().to_string(),
                    one.request.target.clone(),
                )
            }),
        )
    };
    let (code, asked) = ask(&["--path-style", "always"]);
    let (host, target) = asked.expect("a request");
    assert_eq!((code, &*host), (0, &*format!("localhost:{port}")));
    assert!(target.starts_with("/bucket/a/k"), "{target}");
    let (code, asked) = ask(&[]);
    assert_eq!((code, asked.map(|(host, _)| host)), (0, Some(host)));
    let pod = crate::support::Pod::mounted(
        "printf '127.0.0.1 localhost bucket.localhost\\n' > /tmp/hosts.$$ && mount --bind /tmp/hosts.$$ /etc/hosts && rm /tmp/hosts.$$",
    );
    x.forget();
    let run = scene.s3(&endpoint, "s3://bucket/a/k", "x").args([
        "--path-style",
        "never",
        "--if-changed",
        "off",
    ]);
    run.inside(&pod).run().succeeds();
    let asked = x.asked();
    assert_eq!(
        asked[0].request.header("host"),
        Some(&*format!("bucket.localhost:{port}"))
    );
    assert!(
        asked[0].request.target.starts_with("/a/k"),
        "{}",
        asked[0].request.target
    );
}

#[test]
fn the_requester_pays_when_told_to() {
    let bucket = Bucket::of([("k", "text"), ("p/a", "a")]);
    let x = Origin::new(
        move |request, _| match request.header("x-amz-request-payer") {
            Some("requester") => bucket.s3(request),
            _ => Answer::s3_error(403, "AccessDenied"),
        },
    );
    let scene = Scene::new();
    scene
        .s3(&x.url(), "s3://b/k", "x")
        .args(["--request-payer"])
        .run()
        .succeeds();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--request-payer"])
        .run()
        .succeeds();
    scene.holds([("x", "text"), ("new/a", "a")]);
    scene.hide("s3cret-of-somebody");
    scene
        .fetch("s3://b/k", "y")
        .with("--endpoint-url", x.url())
        .env("AWS_ACCESS_KEY_ID", "AKIASOMEBODY")
        .env("AWS_SECRET_ACCESS_KEY", "s3cret-of-somebody")
        .run()
        .fails(77)
        .hints("--request-payer");
}

#[test]
fn a_clock_that_is_off_is_corrected() {
    let object = Object::new("text");
    let x = Origin::new(move |request, _| {
        // The store's clock is 20 minutes ahead and bears 15 minutes.
        let stamp = request.header("x-amz-date").unwrap_or_default();
        let now = SystemTime::now() + Duration::from_mins(20);
        let now_text = humantime::format_rfc3339_seconds(now).to_string();
        let wanted = now_text.replace(['-', ':'], "");
        let minute = |text: &str| text.get(..13).map(str::to_string);
        if minute(stamp) == minute(&wanted) {
            return object.answer(request);
        }
        let mut answer = Answer::s3_error(403, "RequestTimeTooSkewed");
        let (day, time) = (&now_text[..10], &now_text[11..19]);
        answer = answer.with("Date", &http_date(day, time));
        answer
    });
    let scene = Scene::new();
    scene.hide("s3cret-of-somebody");
    let run = scene.fetch("s3://b/k", "x").with("--endpoint-url", x.url());
    run.env("AWS_ACCESS_KEY_ID", "AKIASOMEBODY")
        .env("AWS_SECRET_ACCESS_KEY", "s3cret-of-somebody")
        .run()
        .succeeds();
    scene.holds([("x", "text")]);
}

/// `Sun, 22 Nov 2026 20:30:00 GMT` from `2026-11-22` and `20:30:00`.
fn http_date(day: &str, time: &str) -> String {
    let number = |text: &str| text.parse::<usize>().expect("a number");
    let (year, month, date) = (number(&day[..4]), number(&day[5..7]), number(&day[8..]));
    // Sakamoto's day of the week.
    let shift = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4][month - 1];
    let early = if month < 3 { year - 1 } else { year };
    let weekday = (early + early / 4 - early / 100 + early / 400 + shift + date) % 7;
    let weekday = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][weekday];
    let month = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ][month - 1];
    format!("{weekday}, {date:02} {month} {year} {time} GMT")
}

#[test]
fn a_region_that_the_store_names_is_followed_once() {
    let object = Object::new("text");
    let x = Origin::new(move |request, _| {
        let who = request.header("authorization").unwrap_or_default();
        if who.contains("/eu-central-1/s3/") {
            return object.answer(request);
        }
        Answer::s3_error(301, "PermanentRedirect").with("x-amz-bucket-region", "eu-central-1")
    });
    let scene = Scene::new();
    let run = |name: &str| {
        scene
            .fetch("s3://b/k", name)
            .with("--endpoint-url", x.url())
            .env("AWS_ACCESS_KEY_ID", "AKIASOMEBODY")
            .env("AWS_SECRET_ACCESS_KEY", "s3cret-of-somebody")
    };
    scene.hide("s3cret-of-somebody");
    run("x").run().succeeds();
    run("y").args(["--region", "eu-central-1"]).run().succeeds();
    run("z").env("AWS_REGION", "eu-central-1").run().succeeds();
    scene.holds([("x", "text"), ("y", "text"), ("z", "text")]);
    let y = Origin::new(|_, _| {
        Answer::s3_error(301, "PermanentRedirect").with("x-amz-bucket-region", "nowhere-1")
    });
    let run = scene
        .fetch("s3://b/k", "w")
        .with("--endpoint-url", y.url())
        .env("AWS_ACCESS_KEY_ID", "AKIASOMEBODY");
    let out = run
        .env("AWS_SECRET_ACCESS_KEY", "s3cret-of-somebody")
        .timeout("5s")
        .run();
    assert_ne!(out.code, 0);
    assert!(y.log().len() <= 6, "{:?}", y.log());
}

#[test]
fn a_real_gcs_gives_objects_prefixes_and_generations() {
    let gcs = FakeGcs::shared();
    gcs.bucket("own");
    let first = gcs.put("own", "p/big", &big());
    gcs.put("own", "p/s/small é", b"small");
    let scene = Scene::new();
    let run = |source: &str, dest: &str| {
        scene
            .fetch(source, dest)
            .env("STORAGE_EMULATOR_HOST", gcs.url())
    };
    let report = run("gs://own/p/big", "big").report();
    assert!(
        report["checked"]
            .as_array()
            .is_some_and(|all| all.contains(&json!("crc32c"))),
        "{report}"
    );
    run("gs://own/p/", "new").run().succeeds();
    run(&format!("gs://own/p/big#{first}"), "pinned")
        .run()
        .succeeds();
    let small = &b"small"[..];
    scene.holds([
        ("big", &big()[..]),
        ("pinned", &big()),
        ("new/big", &big()),
        ("new/s/small é", small),
    ]);
    run("gs://own/p/big#123", "x").run().fails(66);
    run("gs://own/none", "x").run().fails(66);
    run("gs://no-such-bucket/k", "x").run().fails(66);
    run("gs://own/p", "x").run().fails(66).hints("/");
    let host = gcs.address().to_string();
    scene
        .fetch("gs://own/p/big", "bare")
        .env("STORAGE_EMULATOR_HOST", &host)
        .run()
        .succeeds();
}

#[test]
fn gcs_always_bears_gzip_and_stores_it_as_it_is() {
    let bucket = Bucket::of([("x", big())]);
    let x = Origin::new(move |request, _| bucket.gcs(request).with("X-Stored", "yes"));
    let scene = Scene::new();
    scene
        .fetch("gs://b/x", "x")
        .env("STORAGE_EMULATOR_HOST", x.url())
        .run()
        .succeeds();
    scene.holds([("x", big())]);
    let asked = x.asked();
    let media: Vec<_> = asked
        .iter()
        .filter(|one| one.request.target.contains("alt=media"))
        .collect();
    assert!(!media.is_empty());
    for one in media {
        assert_eq!(
            one.request.header("accept-encoding"),
            Some("gzip"),
            "{one:?}"
        );
        assert_eq!(
            split(&one.request.target)
                .1
                .get("generation")
                .map(String::as_str),
            Some("1"),
            "{one:?}"
        );
    }
}

#[test]
fn a_crc_of_gcs_that_does_not_fit_is_corrupt() {
    let mut bucket = Bucket::of([("x", big())]);
    let right = crc32c(&big());
    let flipped = bucket.objects["x"].clone().flipped(20 * MIB - 1);
    bucket.objects.insert("x".to_string(), flipped);
    let x = Origin::new(move |request, _| {
        let answer = bucket.gcs(request);
        if request.target.contains("alt=media") {
            return answer;
        }
        // The metadata still tells of the whole object.
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let mut meta: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        meta["crc32c"] = json!(right);
        Answer::json(200, &meta)
    });
    let scene = Scene::new();
    let run = scene.old("x").fetch("gs://b/x", "x");
    run.env("STORAGE_EMULATOR_HOST", x.url())
        .run()
        .fails(65)
        .says("crc32c");
    scene.has("x", OLD);
}

/// A service account's file whose token server is this one, and which no run may show.
fn service_account(scene: &Scene, token_uri: &str) -> std::path::PathBuf {
    let key = crate::support::certificates::run_in(
        &scene.beside(""),
        "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 2>/dev/null",
        &[],
    );
    scene.hide(&key);
    let text = json!({
        "type": "service_account", "project_id": "it", "private_key_id": "k1", "private_key": key,
        "client_email": "it@it.iam.gserviceaccount.com", "client_id": "1", "token_uri": token_uri,
    });
    scene.file("account.json", &text.to_string())
}

#[test]
fn a_token_of_gcs_is_renewed() {
    static TOKENS: AtomicUsize = AtomicUsize::new(0);
    let tokens = Origin::new(|_, _| {
        let number = TOKENS.fetch_add(1, Ordering::SeqCst);
        Answer::json(
            200,
            &json!({"access_token": format!("acc3ss-t0ken-{number}"), "expires_in": 2, "token_type": "Bearer"}),
        )
    });
    let scene = Scene::new();
    for number in 0..20 {
        scene.hide(&format!("acc3ss-t0ken-{number}"));
    }
    let account = service_account(&scene, &tokens.at("/token"));
    let object = noise(1, 12 * MIB);
    let bucket = Bucket::of([("x", object.clone())]);
    // A token is good for two seconds, and the body takes longer.
    let x = Origin::new(move |request, _| match request.header("authorization") {
        Some(value) if value.starts_with("Bearer acc3ss-t0ken-") => {
            bucket.gcs(request).slow(2 << 20)
        }
        _ => Answer::json(
            401,
            &json!({"error": {"code": 401, "message": "Invalid Credentials"}}),
        ),
    });
    let run = scene
        .fetch("gs://b/x", "x")
        .loud()
        .args(["--part-size", "4MiB", "--parallel", "2"]);
    let out = run
        .env("GOOGLE_APPLICATION_CREDENTIALS", &account)
        .with("--endpoint-url", x.url())
        .run();
    out.succeeds();
    scene.holds([("x", &object)]);
    assert!(tokens.log().len() > 1, "the token was never renewed");
    assert!(
        tokens.log().iter().all(|line| line == "POST /token"),
        "{:?}",
        tokens.log()
    );
}

#[test]
fn a_token_that_is_refused_is_renewed_once() {
    let tokens = Origin::new(|_, turn| {
        Answer::json(
            200,
            &json!({"access_token": format!("acc3ss-t0ken-{turn}"), "expires_in": 3600, "token_type": "Bearer"}),
        )
    });
    let scene = Scene::new();
    let account = service_account(&scene, &tokens.at("/token"));
    let bucket = Bucket::of([("x", "text")]);
    let x = Origin::new(move |request, _| match request.header("authorization") {
        Some("Bearer acc3ss-t0ken-1") => bucket.gcs(request),
        _ => Answer::json(
            401,
            &json!({"error": {"code": 401, "message": "Invalid Credentials"}}),
        ),
    });
    let run = |name: &str| {
        let run = scene
            .fetch("gs://b/x", name)
            .with("--endpoint-url", x.url());
        run.env("GOOGLE_APPLICATION_CREDENTIALS", &account)
    };
    run("x").run().succeeds();
    scene.holds([("x", "text")]);
    let deny = Origin::new(|_, _| {
        Answer::json(
            401,
            &json!({"error": {"code": 401, "message": "Invalid Credentials"}}),
        )
    });
    let run = scene
        .fetch("gs://b/x", "y")
        .with("--endpoint-url", deny.url());
    run.env("GOOGLE_APPLICATION_CREDENTIALS", &account)
        .run()
        .fails(77);
    assert!(deny.log().len() <= 2, "{:?}", deny.log());
}

#[test]
fn credentials_of_gcs_of_another_kind_are_refused() {
    let scene = Scene::new();
    for kind in ["authorized_user", "external_account"] {
        let file = scene.file(
            "user.json",
            &json!({"type": kind, "refresh_token": "r3fresh-t0ken"}).to_string(),
        );
        scene.hide("r3fresh-t0ken");
        let run = scene
            .fetch("gs://b/x", "x")
            .with("--endpoint-url", "http://127.0.0.1:9");
        run.env("GOOGLE_APPLICATION_CREDENTIALS", &file)
            .run()
            .fails(64)
            .says(kind)
            .hints("service account");
    }
    let file = scene.file("none.json", "no JSON");
    let run = scene
        .fetch("gs://b/x", "x")
        .with("--endpoint-url", "http://127.0.0.1:9");
    run.env("GOOGLE_APPLICATION_CREDENTIALS", &file)
        .run()
        .fails(64);
}

#[test]
fn the_metadata_server_of_gcs_brings_a_token() {
    let metadata = Origin::new(|request, turn| {
        if turn == 0 {
            // It starts after the Pod.
            return Answer::new(503);
        }
        match request.header("metadata-flavor") {
            Some("Google") => Answer::json(200, &json!({"access_token": "m3tadata-t0ken", "expires_in": 3600, "token_type": "Bearer"}))
                .with("Metadata-Flavor", "Google"),
            _ => Answer::new(403),
        }
    });
    let bucket = Bucket::of([("x", "text")]);
    let x = Origin::new(move |request, _| match request.header("authorization") {
        Some("Bearer m3tadata-t0ken") => bucket.gcs(request),
        _ => Answer::new(401),
    });
    let scene = Scene::new();
    scene.hide("m3tadata-t0ken");
    let run = scene
        .fetch("gs://b/x", "x")
        .loud()
        .with("--endpoint-url", x.url());
    run.env("GCE_METADATA_HOST", metadata.address().to_string())
        .run()
        .succeeds();
    scene.holds([("x", "text")]);
}

#[test]
fn a_real_azurite_gives_blobs_and_lists() {
    let azurite = Azurite::shared();
    azurite.container("public", true);
    azurite.container("private", false);
    for container in ["public", "private"] {
        azurite.put(container, "p/big", &big());
        azurite.put(container, "p/s/small", b"small");
    }
    let (token, signature) = Azurite::sas("private");
    let scene = Scene::new();
    scene
        .hide(&signature)
        .hide(&crate::support::sigv4::in_query(&signature));
    let run = |source: &str, dest: &str| {
        scene
            .fetch(source, dest)
            .loud()
            .with("--endpoint-url", azurite.url())
    };
    run("az://devstoreaccount1/public/p/big", "public")
        .run()
        .succeeds();
    run("az://devstoreaccount1/public/p/", "tree")
        .run()
        .succeeds();
    let file = scene.file("sas", &format!("?{token}\n"));
    run("az://devstoreaccount1/private/p/big", "file")
        .with("--sas-token-file", &file)
        .run()
        .succeeds();
    run("az://devstoreaccount1/private/p/", "sas")
        .env("AZURE_STORAGE_SAS_TOKEN", &token)
        .run()
        .succeeds();
    let small = &b"small"[..];
    scene.holds([
        ("public", &big()[..]),
        ("file", &big()),
        ("tree/big", &big()),
        ("tree/s/small", small),
        ("sas/big", &big()),
        ("sas/s/small", small),
    ]);
    run("az://devstoreaccount1/public/none", "x")
        .run()
        .fails(66);
    let out = run("az://devstoreaccount1/private/p/big", "x").run();
    assert!([66, 77].contains(&out.code), "{out:?}");
}

#[test]
fn a_token_of_azure_stands_in_list_and_get() {
    let bucket = Bucket::of((0..5).map(|n| (format!("p/{n}"), n.to_string()))).pages_of(2);
    let x = Origin::new(move |request, _| {
        let (_, query) = split(&request.target);
        match query.get("sig").map(String::as_str) {
            Some("s1gnature+of/sas==") => bucket.azure(request),
            _ => Answer::text(
                403,
                "application/xml",
                "<Error><Code>AuthenticationFailed</Code></Error>",
            ),
        }
    });
    let scene = Scene::new();
    scene.hide("s1gnature");
    let token = "sv=2021-12-02&sp=rl&sig=s1gnature%2Bof%2Fsas%3D%3D";
    let run = |dest: &str| {
        scene
            .fetch("az://a/c/p/", dest)
            .loud()
            .with("--endpoint-url", x.url())
    };
    run("new")
        .env("AZURE_STORAGE_SAS_TOKEN", token)
        .run()
        .succeeds();
    scene.holds((0..5).map(|n| (format!("new/{n}"), n.to_string())));
    assert!(
        x.asked()
            .iter()
            .all(|one| one.request.header("x-ms-version").is_some())
    );
    x.forget();
    let out = run("x").env("AZURE_STORAGE_KEY", "bm90IGEga2V5").run();
    out.fails(77).hints("SAS");
    scene.lacks("x");
}

#[test]
fn odd_names_of_azure_are_decoded() {
    let x = Origin::new(|request, _| {
        if request.target.contains("comp=list") {
            return Answer::text(
                200,
                "application/xml",
                "<?xml version=\"1.0\"?><EnumerationResults><Blobs><Blob><Name Encoded=\"true\">p/a%EF%BF%BEb</Name><Properties>\
                 <Content-Length>4</Content-Length><Etag>0x1</Etag></Properties></Blob></Blobs><NextMarker/></EnumerationResults>",
            );
        }
        Object::new("text").tagged(Some("0x1")).answer(request)
    });
    let scene = Scene::new();
    scene
        .fetch("az://a/c/p/", "new")
        .with("--endpoint-url", x.url())
        .run()
        .succeeds();
    scene.holds([("new/a\u{fffe}b", "text")]);
}

#[test]
fn a_recorded_store_is_asked_no_more_than_it_must_be() {
    // One GET for each range and one HEAD for the checksum, and nothing else.
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.public_bucket();
    seaweed.put(&bucket, "big", &big());
    let proxy = Proxy::before(seaweed.host().parse().expect("an address"));
    let scene = Scene::new();
    scene
        .s3(&proxy.url(), &format!("s3://{bucket}/big"), "x")
        .run()
        .succeeds();
    scene.holds([("x", big())]);
    let count = |method: &str| {
        proxy
            .log()
            .iter()
            .filter(|line| line.starts_with(method))
            .count()
    };
    assert_eq!((count("GET"), count("HEAD")), (3, 1), "{:?}", proxy.log());
}
