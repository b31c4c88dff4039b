//! S3 against scripted servers.

use std::time::{Duration, SystemTime};

use super::super::testing::{Script, answer as say, bytes, reach};
use super::super::{Answer, Framing};
use super::*;

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
    ("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"),
    ("HOME", "/nowhere"),
];

fn object(key: &str) -> Object {
    Object {
        key: key.to_string(),
        version: None,
    }
}

fn at(server: &Script) -> S3Options {
    S3Options {
        endpoint: Some(server.origin()),
        ..S3Options::default()
    }
}

fn source(options: S3Options) -> Rc<dyn Source> {
    open("bkt", options, &reach(&KEYS)).unwrap()
}

async fn ask(source: &Rc<dyn Source>, key: &str, span: Span) -> Result<Answer, Failure> {
    match source.get(&object(key), span, Condition::Always).await? {
        Reply::Answer(answer) => Ok(answer),
        _ => panic!("no body"),
    }
}

fn error(code: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>words</Message></Error>")
}

#[tokio::test]
async fn a_part_is_asked_for_and_its_head_arrives_untouched() {
    let server = Script::start(|_, _| {
        say(
            206,
            &[
                ("Content-Range", "bytes 4-7/20"),
                ("ETag", "unquoted"),
                ("Last-Modified", "not a date"),
                ("x-amz-version-id", "v1"),
                ("x-amz-checksum-crc32c", "AAAAAA=="),
                ("Expires", "never"),
            ],
            "abcd",
        )
    })
    .await;
    let source = source(at(&server));
    let answer = ask(&source, "a/k", Span::Part(4..8)).await.unwrap();
    assert!(answer.is_partial && answer.checksums.is_empty());
    assert_eq!(answer.content_range.as_deref(), Some("bytes 4-7/20"));
    assert_eq!(answer.framing, Framing::Length(4));
    assert_eq!(answer.validator.etag.as_deref(), Some("unquoted"));
    assert_eq!(
        answer.validator.last_modified.as_deref(),
        Some("not a date")
    );
    assert_eq!(answer.validator.version.as_deref(), Some("v1"));
    assert_eq!(bytes(answer.body).await.unwrap(), b"abcd");
    let heard = &server.heard()[0];
    assert_eq!(
        (heard.method.as_str(), heard.target.split('?').next()),
        ("GET", Some("/bkt/a/k"))
    );
    assert_eq!(heard.header("range"), Some("bytes=4-7"));
    assert_eq!(heard.header("accept-encoding"), Some("identity"));
    assert_eq!(heard.header("x-amz-checksum-mode"), None);
    let authorization = heard.header("authorization").unwrap();
    assert!(authorization.contains("AKIDTEST") && authorization.contains("/us-east-1/s3/"));
    assert!(!format!("{source:?}").contains("hunter2"));
}

#[tokio::test]
async fn checksums_count_on_a_head_and_a_200_and_may_be_composite() {
    let server = Script::start(|heard, _| {
        assert_eq!(heard.header("x-amz-checksum-mode"), Some("ENABLED"));
        assert!(
            heard
                .header("authorization")
                .unwrap()
                .contains("x-amz-checksum-mode")
        );
        let sums: &[(&str, &str)] = match heard.target.as_str() {
            target if target.contains("part") => &[("x-amz-checksum-crc32c", "AAAABw==-3")],
            target if target.contains("typed") => &[
                ("x-amz-checksum-crc32", "AAAABw=="),
                ("x-amz-checksum-type", "COMPOSITE"),
            ],
            target if target.contains("odd") => &[
                ("x-amz-checksum-crc32", "AAAA"),
                ("x-amz-checksum-sha256", "AAAA"),
            ],
            _ => &[
                ("x-amz-checksum-crc64nvme", "AAAAAAAAAQI="),
                ("x-amz-checksum-type", "FULL_OBJECT"),
            ],
        };
        match heard.method.as_str() {
            // A HEAD has a length and no body.
            "HEAD" => {
                let whole = say(200, sums, "");
                String::from_utf8(whole)
                    .unwrap()
                    .replace("Length: 0", "Length: 4")
                    .into_bytes()
            }
            _ => say(200, sums, "abcd"),
        }
    })
    .await;
    let source = source(at(&server));
    for (key, kind, value) in [
        ("full", Crc::Crc64Nvme, Some(0x102)),
        ("part", Crc::Crc32c, None),
        ("typed", Crc::Crc32, None),
    ] {
        let expected = vec![Checksum { kind, value }];
        let about = source
            .about(&object(key), Condition::Always)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (about.length, about.checksums),
            (Some(4), expected.clone()),
            "{key}"
        );
        let answer = ask(&source, key, Span::All).await.unwrap();
        assert_eq!(answer.checksums, expected, "{key}");
        // The SDK must not have looked at the body, whose sum is another.
        assert_eq!(bytes(answer.body).await.unwrap(), b"abcd");
    }
    assert!(
        ask(&source, "odd", Span::All)
            .await
            .unwrap()
            .checksums
            .is_empty()
    );
}

#[tokio::test]
async fn keys_and_versions_go_out_byte_for_byte() {
    let server = Script::start(|_, _| say(200, &[], "x")).await;
    let source = source(at(&server));
    for (key, path) in [
        ("a/../b", "/bkt/a/../b"),
        ("../../x", "/bkt/../../x"),
        ("a//b", "/bkt/a//b"),
        ("/a", "/bkt//a"),
        ("./a/.", "/bkt/./a/."),
        ("a b+c%41", "/bkt/a%20b%2Bc%2541"),
        ("é漢😀", "/bkt/%C3%A9%E6%BC%A2%F0%9F%98%80"),
        ("n\nl\\?#[*", "/bkt/n%0Al%5C%3F%23%5B%2A"),
        ("-~._!'()", "/bkt/-~._%21%27%28%29"),
    ] {
        ask(&source, key, Span::All).await.unwrap();
        let target = server.targets().pop().unwrap();
        assert_eq!(target.split('?').next(), Some(path), "{key}");
    }
    let versioned = Object {
        key: "k".into(),
        version: Some("a+b/=".into()),
    };
    source
        .get(&versioned, Span::All, Condition::Always)
        .await
        .unwrap();
    assert!(
        server
            .targets()
            .pop()
            .unwrap()
            .contains("versionId=a%2Bb%2F%3D")
    );
    assert_eq!(source.show(&versioned), "s3://bkt/k?versionId=a+b/=");
}

#[tokio::test]
async fn the_bucket_stands_where_the_style_says() {
    let proxy = Script::start(|_, _| say(200, &[], "x")).await;
    let address = proxy.origin();
    for (style, bucket, expected) in [
        (PathStyle::Auto, "bkt", "http://s3.test/bkt/k"),
        (PathStyle::Always, "bkt", "http://s3.test/bkt/k"),
        (PathStyle::Never, "bkt", "http://bkt.s3.test/k"),
        (PathStyle::Auto, "b.kt", "http://s3.test/b.kt/k"),
    ] {
        let options = S3Options {
            endpoint: Some("http://s3.test/".into()),
            path_style: style,
            request_payer: true,
            ..S3Options::default()
        };
        let variables = [&KEYS[..], &[("HTTP_PROXY", address.as_str())]].concat();
        let source = open(bucket, options, &reach(&variables)).unwrap();
        ask(&source, "k", Span::All).await.unwrap();
        let heard = proxy.heard().pop().unwrap();
        assert_eq!(heard.target.split('?').next(), Some(expected));
        assert_eq!(heard.header("x-amz-request-payer"), Some("requester"));
    }
}

#[tokio::test]
async fn variables_stand_in_for_flags_and_nothing_is_signed_for_an_anonymous_request() {
    let server = Script::start(|_, _| say(200, &[], "x")).await;
    let address = server.origin();
    let variables = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ENDPOINT_URL_S3", address.as_str()),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "none"),
    ];
    let variables = [&KEYS[..], &variables].concat();
    let source = open("bkt", S3Options::default(), &reach(&variables)).unwrap();
    ask(&source, "k", Span::All).await.unwrap();
    assert!(
        server.heard()[0]
            .header("authorization")
            .unwrap()
            .contains("/eu-central-1/s3/")
    );
    let options = S3Options {
        anonymous: true,
        region: Some("r-1".into()),
        ..S3Options::default()
    };
    let source = open("bkt", options, &reach(&variables)).unwrap();
    ask(&source, "k", Span::All).await.unwrap();
    assert_eq!(server.heard()[1].header("authorization"), None);
    for wrong in ["ftp://h", "h:9000", "http://u:hunter2@h", "http://h/?x"] {
        let options = S3Options {
            endpoint: Some(wrong.into()),
            ..S3Options::default()
        };
        let failure = open("bkt", options, &reach(&KEYS)).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
        assert!(!failure.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn another_region_is_followed_once_by_all() {
    let server = Script::start(|heard, _| {
        let is_there = heard
            .header("authorization")
            .unwrap()
            .contains("/eu-west-1/");
        match (is_there, heard.target.contains("stray")) {
            (false, _) => say(
                301,
                &[("x-amz-bucket-region", "eu-west-1")],
                error("PermanentRedirect"),
            ),
            (true, true) => say(
                301,
                &[("x-amz-bucket-region", "us-west-9")],
                error("PermanentRedirect"),
            ),
            (true, false) => say(200, &[], "x"),
        }
    })
    .await;
    let asked = source(at(&server));
    let (one, two) = futures_util::join!(ask(&asked, "k", Span::All), ask(&asked, "l", Span::All));
    assert!(one.is_ok() && two.is_ok());
    ask(&asked, "k", Span::All).await.unwrap();
    assert_eq!(server.heard().len(), 5);
    let failure = ask(&asked, "stray", Span::All).await.err().unwrap();
    assert_eq!(failure.kind(), Kind::Corrupt);
    assert!(failure.mend().unwrap().contains("--region"));
    assert_eq!(server.heard().len(), 6);
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_servers() {
    let ahead = Duration::from_mins(20);
    let server = Script::start(move |heard, _| {
        let now = SystemTime::now() + ahead;
        let hour = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
        let signed = heard.header("x-amz-date").unwrap();
        let told = [
            now,
            now - Duration::from_mins(1),
            now + Duration::from_mins(1),
        ]
        .map(|time| hour(time).replace(['-', ':'], ""));
        if told.iter().any(|time| time[..13] == signed[..13]) {
            return say(200, &[], "x");
        }
        let date = httpdate::fmt_http_date(now);
        say(403, &[("Date", &date)], error("RequestTimeTooSkewed"))
    })
    .await;
    let source = source(at(&server));
    ask(&source, "k", Span::All).await.unwrap();
    ask(&source, "k", Span::All).await.unwrap();
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn a_store_that_fails_on_the_checksum_header_is_asked_without_it() {
    for status in [400, 501] {
        let server = Script::start(move |heard, _| match heard.header("x-amz-checksum-mode") {
            Some(_) => say(status, &[], error("NotImplemented")),
            None => say(200, &[], "x"),
        })
        .await;
        let source = source(at(&server));
        ask(&source, "k", Span::All).await.unwrap();
        ask(&source, "k", Span::All).await.unwrap();
        assert_eq!(server.heard().len(), 3);
    }
}

#[tokio::test]
async fn refusals_are_told_apart_and_conditions_answered() {
    let server = Script::start(|heard, _| {
        let path = heard.target.split('?').next().unwrap();
        match path.rsplit('/').next().unwrap() {
            "busy" => say(503, &[("Retry-After", "2")], error("SlowDown")),
            "late" => say(400, &[], error("RequestTimeout")),
            "none" => say(404, &[], error("NoSuchKey")),
            "gone" => say(404, &[("x-amz-delete-marker", "true")], error("NoSuchKey")),
            "shut" => say(403, &[], error("AccessDenied")),
            "beyond" => say(416, &[], error("InvalidRange")),
            "same" if heard.header("if-none-match") == Some("\"e\"") => {
                b"HTTP/1.1 304 X\r\n\r\n".to_vec()
            }
            "same" if heard.header("if-match") == Some("\"e\"") => {
                say(412, &[], error("PreconditionFailed"))
            }
            _ => say(206, &[], "abcd"),
        }
    })
    .await;
    let source = source(at(&server));
    for (key, kind, words, mend) in [
        (
            "busy",
            Kind::Unavailable,
            "503 Service Unavailable: SlowDown: words",
            "",
        ),
        ("late", Kind::Unavailable, "RequestTimeout", ""),
        ("none", Kind::Missing, "NoSuchKey", ""),
        ("gone", Kind::Missing, "NoSuchKey", "delete marker"),
        ("shut", Kind::Denied, "AccessDenied", "--request-payer"),
    ] {
        let failure = ask(&source, key, Span::Part(0..4)).await.err().unwrap();
        assert_eq!(failure.kind(), kind, "{key}");
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(
            failure.mend().unwrap_or_default().contains(mend),
            "{failure}"
        );
    }
    let known = Validator {
        etag: Some("\"e\"".into()),
        ..Validator::default()
    };
    let get =
        async |key: &str, condition| source.get(&object(key), Span::Part(0..4), condition).await;
    assert!(matches!(
        get("same", Condition::Other(&known)).await,
        Ok(Reply::Unchanged)
    ));
    assert!(matches!(
        get("same", Condition::Same(&known)).await,
        Ok(Reply::Changed)
    ));
    assert!(matches!(
        get("beyond", Condition::Always).await,
        Ok(Reply::OutOfRange)
    ));
    // A plain GET that is answered with a part is no whole object.
    let failure = ask(&source, "other", Span::All).await.err().unwrap();
    assert_eq!(failure.kind(), Kind::Corrupt);
}

#[tokio::test]
async fn a_list_is_read_page_by_page_with_odd_keys() {
    let server = Script::start(|heard, _| {
        let page = |more: &str, items: &str| {
            let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{more}{items}</ListBucketResult>");
            say(200, &[("Content-Type", "application/xml")], xml)
        };
        let item = |key: &str| format!("<Contents><Key>{key}</Key><Size>7</Size><ETag>&quot;e&quot;</ETag></Contents>");
        if heard.target.contains("prefix=raw") {
            return page("<IsTruncated>false</IsTruncated>", &item("raw/a+b%41&amp;"));
        }
        if heard.target.contains("prefix=stuck") {
            return page("<IsTruncated>true</IsTruncated>", &item("stuck"));
        }
        let encoded = "<EncodingType>url</EncodingType>";
        if heard.target.contains("continuation-token=t%2F1") {
            return page(&format!("{encoded}<IsTruncated>true</IsTruncated><NextContinuationToken>t2</NextContinuationToken>"), "");
        }
        if heard.target.contains("continuation-token=t2") {
            return page(encoded, &item("p/last"));
        }
        page(
            &format!("{encoded}<IsTruncated>true</IsTruncated><NextContinuationToken>t/1</NextContinuationToken>"),
            &(item("p/a+b%2B%2541%0A%00%C3%A9") + &item("p/..%2F..%2Fe")),
        )
    })
    .await;
    let source = source(at(&server));
    let first = source.list("p/ +", None).await.unwrap();
    let keys: Vec<&str> = first
        .objects
        .iter()
        .map(|listed| listed.key.as_str())
        .collect();
    assert_eq!(keys, ["p/a b+%41\n\0é", "p/../../e"]);
    assert_eq!(first.objects[0].size, 7);
    assert_eq!(first.objects[0].validator.etag.as_deref(), Some("\"e\""));
    let second = source.list("p/ +", first.next.as_deref()).await.unwrap();
    assert!(second.objects.is_empty());
    let third = source.list("p/ +", second.next.as_deref()).await.unwrap();
    assert_eq!(
        (third.objects[0].key.as_str(), third.next),
        ("p/last", None)
    );
    let raw = source.list("raw", None).await.unwrap();
    assert_eq!(raw.objects[0].key, "raw/a+b%41&");
    let failure = source.list("stuck", None).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Corrupt);
    assert!(
        server.targets()[0].contains("prefix=p%2F%20%2B"),
        "{:?}",
        server.targets()
    );
    assert!(
        server
            .targets()
            .iter()
            .all(|target| target.contains("encoding-type=url"))
    );
}

#[tokio::test]
async fn a_list_that_is_no_list_or_of_no_bucket_is_refused() {
    let server = Script::start(|heard, _| {
        if heard.target.contains("prefix=a") {
            say(404, &[], error("NoSuchBucket"))
        } else {
            say(200, &[], "<html>login")
        }
    })
    .await;
    let source = source(at(&server));
    let failure = source.list("a", None).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Missing);
    assert!(failure.to_string().contains("NoSuchBucket"));
    let failure = source.list("b", None).await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Corrupt, "{failure}");
}

#[tokio::test]
async fn credentials_that_expire_are_asked_for_again_once() {
    let agent = Script::start(|heard, number| {
        assert_eq!(heard.header("authorization"), Some("secret-token"));
        let body = format!(
            "{{\"AccessKeyId\":\"AK{number}\",\"SecretAccessKey\":\"s\",\"Token\":\"t{number}\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
        );
        say(200, &[], body)
    })
    .await;
    let server = Script::start(|heard, _| match heard.header("x-amz-security-token") {
        Some("t1") => say(200, &[], "x"),
        _ => say(400, &[], error("ExpiredToken")),
    })
    .await;
    let (address, proxy) = (
        format!("{}/creds", agent.origin()),
        "http://127.0.0.1:9".to_string(),
    );
    let endpoint = server.origin();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", address.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret-token"),
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        // The agent is never asked through a proxy; the store would be.
        ("HTTP_PROXY", proxy.as_str()),
        ("NO_PROXY", "localhost"),
    ];
    let failure = ask(
        &open("bkt", S3Options::default(), &reach(&variables)).unwrap(),
        "k",
        Span::Part(0..1),
    )
    .await
    .err()
    .unwrap();
    assert_eq!(
        (failure.kind(), agent.heard().len()),
        (Kind::Unavailable, 1),
        "{failure}"
    );
    let source = open("bkt", S3Options::default(), &reach(&variables[..3])).unwrap();
    // Number 0 was the one behind the proxy: this is 1, and good at once.
    ask(&source, "k", Span::All).await.unwrap();
    assert_eq!(agent.heard().len(), 2);
    let again = open("bkt", S3Options::default(), &reach(&variables[..3])).unwrap();
    let failure = ask(&again, "k", Span::All).await.err().unwrap();
    assert_eq!(failure.kind(), Kind::Denied);
    assert_eq!(agent.heard().len(), 4);
}
