//! HTTP against scripted servers.

use super::super::testing::{Heard, Script, answer as say, bytes, put, reach};
use super::super::{Answer, Framing, Validator};
use super::*;

const OBJECT: Object = Object {
    key: String::new(),
    version: None,
};

fn source(url: &str, headers: &[(&'static str, &'static str)]) -> Rc<dyn Source> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    let lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    put(&file, &lines.join("\n"));
    let options = HttpOptions::read(Some(&file), None).unwrap();
    open(Address::parse(url).unwrap(), options, &reach(&[])).unwrap()
}

async fn get(source: &Rc<dyn Source>) -> Result<Reply, Failure> {
    source
        .get(&OBJECT, Span::Part(0..4), Condition::Always)
        .await
}

async fn got(source: &Rc<dyn Source>) -> Answer {
    match get(source).await {
        Ok(Reply::Answer(answer)) => answer,
        Ok(_) => panic!("no body"),
        Err(failure) => panic!("{failure}"),
    }
}

async fn refused(source: &Rc<dyn Source>) -> Failure {
    match get(source).await {
        Ok(_) => panic!("an answer"),
        Err(failure) => failure,
    }
}

#[tokio::test]
async fn the_head_of_an_answer_is_handed_over_as_it_came() {
    let server = Script::start(|_, _| {
        say(
            206,
            &[
                ("Content-Range", "bytes 0-3/9"),
                ("ETag", "W/\"x\""),
                ("Last-Modified", "not a date"),
                ("Content-Encoding", "gzip"),
            ],
            "\x1f\u{8}ab",
        )
    })
    .await;
    let source = source(&format!("{}/a/../b%20?x='#f", server.origin()), &[]);
    let answer = got(&source).await;
    assert!(answer.is_partial);
    assert_eq!(answer.content_range.as_deref(), Some("bytes 0-3/9"));
    assert_eq!(answer.framing, Framing::Length(4));
    assert_eq!(answer.validator.etag.as_deref(), Some("W/\"x\""));
    assert_eq!(
        answer.validator.last_modified.as_deref(),
        Some("not a date")
    );
    assert_eq!(bytes(answer.body).await.unwrap(), b"\x1f\x08ab");
    let heard = &server.heard()[0];
    assert_eq!(
        (heard.method.as_str(), heard.target.as_str()),
        ("GET", "/a/../b%20?x='")
    );
    assert_eq!(heard.header("range"), Some("bytes=0-3"));
    assert_eq!(heard.header("accept-encoding"), Some("identity"));
    assert!(source.show(&OBJECT).ends_with("/a/../b%20?…"));
}

#[tokio::test]
async fn how_a_body_ends_is_told_apart() {
    for (head, framing, whole) in [
        ("Content-Length: 4\r\n\r\nabcd", Framing::Length(4), true),
        ("Content-Length: 0\r\n\r\n", Framing::Length(0), true),
        ("Content-Length: 9\r\n\r\nabcd", Framing::Length(9), false),
        (
            "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            Framing::Chunked,
            true,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n",
            Framing::Chunked,
            false,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\nzz\r\nabcd\r\n",
            Framing::Chunked,
            false,
        ),
        ("Connection: close\r\n\r\nabcd", Framing::Close, true),
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{head}").into_bytes();
        let server = Script::start(move |_, _| [&text[..], b""].concat()).await;
        let answer = got(&source(&server.origin(), &[("Connection-Test", "x")])).await;
        assert_eq!(answer.framing, framing, "{head}");
        // A server that promised more keeps the connection open; it is gone with the script.
        drop(server);
        if framing == Framing::Length(9) {
            continue;
        }
        match bytes(answer.body).await {
            Ok(_) => assert!(whole, "{head}"),
            Err(failure) => {
                assert!(!whole, "{head}");
                assert_eq!(failure.kind(), Kind::Unavailable);
                assert!(
                    failure.to_string().starts_with("the body was cut short"),
                    "{failure}"
                );
            }
        }
    }
}

#[tokio::test]
async fn each_status_becomes_its_kind_with_one_request_and_the_servers_words() {
    for (status, kind) in [
        (400, Kind::Corrupt),
        (401, Kind::Denied),
        (403, Kind::Denied),
        (404, Kind::Missing),
        (407, Kind::Denied),
        (408, Kind::Unavailable),
        (410, Kind::Missing),
        (429, Kind::Unavailable),
        (451, Kind::Corrupt),
        (500, Kind::Unavailable),
        (501, Kind::Corrupt),
        (503, Kind::Unavailable),
    ] {
        let server =
            Script::start(move |_, _| say(status, &[("Retry-After", "3")], "told hunter2 so"))
                .await;
        let source = source(&server.origin(), &[("Authorization", "Bearer hunter2")]);
        let failure = refused(&source).await;
        assert_eq!(failure.kind(), kind, "{status}");
        assert!(
            failure.to_string().contains(&status.to_string()),
            "{failure}"
        );
        assert!(failure.to_string().contains("told … so"), "{failure}");
        let pause = if kind == Kind::Unavailable { 3 } else { 0 };
        assert_eq!(failure.pause(), Duration::from_secs(pause));
        assert_eq!(server.heard().len(), 1);
        assert!(!format!("{source:?} {failure:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn conditions_are_answered_without_a_body() {
    let server = Script::start(|heard, _| match heard.header("if-none-match") {
        Some(_) => b"HTTP/1.1 304 X\r\n\r\n".to_vec(),
        None if heard.header("if-match").is_some() => say(412, &[], "no"),
        None => say(416, &[], "no"),
    })
    .await;
    let source = source(&server.origin(), &[]);
    let known = Validator {
        etag: Some("abc".into()),
        ..Validator::default()
    };
    let ask = async |condition| source.get(&OBJECT, Span::Part(0..1), condition).await;
    assert!(matches!(
        ask(Condition::Other(&known)).await,
        Ok(Reply::Unchanged)
    ));
    assert!(matches!(
        ask(Condition::Same(&known)).await,
        Ok(Reply::Changed)
    ));
    assert!(matches!(
        ask(Condition::Always).await,
        Ok(Reply::OutOfRange)
    ));
}

#[tokio::test]
async fn a_chain_over_two_servers_is_followed_and_credentials_stay_at_home() {
    let other = Script::start(|heard, _| match heard.target.as_str() {
        "/b/c?s=1" => say(303, &[("Location", "d")], "moved"),
        _ => say(206, &[], "body"),
    })
    .await;
    let target = format!("{}/b/c?s=1", other.origin());
    let server = Script::start(move |heard, _| match heard.target.as_str() {
        "/1" => say(301, &[("Location", "/2")], ""),
        "/2" => say(302, &[("Location", "3")], ""),
        _ => say(307, &[("Location", &target)], ""),
    })
    .await;
    let secret = [("Authorization", "Bearer hunter2"), ("X-Key", "hunter3")];
    let source = source(&format!("{}/1", server.origin()), &secret);
    assert_eq!(bytes(got(&source).await.body).await.unwrap(), b"body");
    assert_eq!(server.targets(), ["/1", "/2", "/3"]);
    assert!(
        server
            .heard()
            .iter()
            .all(|heard| heard.header("x-key") == Some("hunter3"))
    );
    // Later ranges go straight to the end of the chain.
    got(&source).await;
    assert_eq!(server.heard().len(), 3);
    assert_eq!(other.targets(), ["/b/c?s=1", "/b/d", "/b/d"]);
    for heard in other.heard() {
        assert_eq!(
            (heard.header("authorization"), heard.header("x-key")),
            (None, None)
        );
        assert_eq!(heard.header("range"), Some("bytes=0-3"));
    }
}

#[tokio::test]
async fn when_the_last_address_refuses_the_source_is_asked_for_a_fresh_one() {
    let other = Script::start(|heard, number| match heard.target.as_str() {
        "/old" if number > 0 => say(403, &[], "expired"),
        "/new" if number > 3 => say(403, &[], "no"),
        _ => say(206, &[], "body"),
    })
    .await;
    let origin = other.origin();
    let server = Script::start(move |_, number| {
        let name = if number == 0 { "old" } else { "new" };
        say(302, &[("Location", &format!("{origin}/{name}"))], "")
    })
    .await;
    let source = source(&server.origin(), &[]);
    got(&source).await;
    got(&source).await;
    assert_eq!(other.targets(), ["/old", "/old", "/new"]);
    got(&source).await;
    // Now the fresh one refuses too.
    let failure = refused(&source).await;
    assert_eq!(failure.kind(), Kind::Denied);
    assert_eq!(other.targets().len(), 6);
    assert_eq!(server.heard().len(), 3);
}

#[tokio::test]
async fn loops_long_chains_and_bad_places_are_refused() {
    let server = Script::start(|heard, _| {
        let hop = |n: usize| format!("/hop/{n}");
        let location = match heard.target.as_str() {
            "/loop" => "/loop2".to_string(),
            "/loop2" => "/loop".to_string(),
            "/metadata" => "http://169.254.169.254/x".to_string(),
            "/ftp" => "ftp://127.0.0.1/x".to_string(),
            "/hop/10" => return say(200, &[], "end"),
            path => path
                .strip_prefix("/hop/")
                .map_or_else(|| "/".to_string(), |n| hop(n.parse::<usize>().unwrap() + 1)),
        };
        say(302, &[("Location", &location)], "")
    })
    .await;
    for (path, kind) in [
        ("/loop", Kind::Corrupt),
        ("/metadata", Kind::Denied),
        ("/ftp", Kind::Corrupt),
    ] {
        let failure = refused(&source(&format!("{}{path}", server.origin()), &[])).await;
        assert_eq!(failure.kind(), kind, "{failure}");
    }
    // Ten hops are followed, eleven are not.
    got(&source(&format!("{}/hop/0", server.origin()), &[])).await;
    let far = Script::start({
        let start = format!("{}/hop/0", server.origin());
        move |_, _| say(302, &[("Location", &start)], "")
    })
    .await;
    let failure = refused(&source(&far.origin(), &[])).await;
    assert_eq!(failure.kind(), Kind::Corrupt);
}

#[tokio::test]
async fn an_expired_signature_is_told_with_its_time_and_never_quoted() {
    let server = Script::start(|_, _| {
        let body = "<Error><Code>AccessDenied</Code><Message>Request hunter2hunter2 has expired</Message></Error>";
        say(403, &[], body)
    })
    .await;
    let url = format!(
        "{}/x?X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature=hunter2hunter2",
        server.origin()
    );
    let failure = refused(&source(&url, &[])).await;
    assert_eq!(failure.kind(), Kind::Denied);
    let text = failure.to_string();
    assert!(text.contains("expired at 2020-01-01T00:01:00Z"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test]
async fn a_proxy_is_used_unless_the_server_is_exempt() {
    let server = Script::start(|_, _| say(200, &[], "direct")).await;
    let proxy = Script::start(|heard, _| match heard.method.as_str() {
        "CONNECT" => b"HTTP/1.1 407 no\r\n\r\n".to_vec(),
        _ => say(200, &[], "proxied"),
    })
    .await;
    let address = format!("http://user:hunter2@127.0.0.1:{}", proxy.port);
    let through = async |url: &str, exempt: &str| {
        let reach = reach(&[("ALL_PROXY", &address), ("NO_PROXY", exempt)]);
        let source = open(Address::parse(url).unwrap(), HttpOptions::default(), &reach).unwrap();
        let reply = get(&source).await?;
        let Reply::Answer(answer) = reply else {
            panic!("no body")
        };
        Ok(String::from_utf8(bytes(answer.body).await.unwrap()).unwrap())
    };
    let url = format!("{}/a/../b?x=y", server.origin());
    assert_eq!(through(&url, "").await.unwrap(), "proxied");
    assert_eq!(proxy.targets(), [url.clone()]);
    assert_eq!(
        proxy.heard()[0].header("proxy-authorization"),
        Some("Basic dXNlcjpodW50ZXIy")
    );
    assert_eq!(through(&url, "127.0.0.1").await.unwrap(), "direct");
    assert_eq!(server.heard()[0].header("proxy-authorization"), None);
    let failure: Failure = through("https://localhost:1/x", "").await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Denied);
    assert_eq!(failure.to_string(), "the proxy refused with 407");
}

/// 150 cases: a first hop within the origin or not, by each status, to each kind of other origin.
#[tokio::test]
async fn no_credential_reaches_a_second_origin() {
    let seen =
        |heard: &Heard| heard.header("authorization").is_some() || heard.header("x-key").is_some();
    let other = Script::start(|heard, _| match heard.target.strip_prefix("/back/") {
        Some(rest) => say(
            302,
            &[("Location", &format!("http://127.0.0.1:{rest}"))],
            "",
        ),
        None => say(206, &[], "body"),
    })
    .await;
    let place = other.port;
    let server = Script::start(move |heard, _| {
        let mut parts = heard.target.trim_start_matches('/').splitn(3, '/');
        let (status, detour, rest) = (
            parts.next().unwrap(),
            parts.next().unwrap(),
            parts.next().unwrap(),
        );
        if status == "end" {
            return say(206, &[], "body");
        }
        let target = match detour {
            "host" => format!("http://localhost:{place}/{rest}"),
            "port" => format!("http://127.0.0.1:{place}/{rest}"),
            "bare" => format!("//127.0.0.1:{place}/{rest}"),
            "home" => format!("/{status}/port/{rest}"),
            _ => format!("http://127.0.0.1:{place}/back/{rest}"),
        };
        say(status.parse().unwrap(), &[("Location", &target)], "")
    })
    .await;
    let mut cases = 0;
    for status in [301, 302, 303, 307, 308] {
        for detour in ["host", "port", "bare", "home", "back"] {
            for secret in [
                ("Authorization", "Bearer hunter2"),
                ("Authorization", "Basic aHVudGVyMg=="),
                ("X-Key", "hunter2"),
            ] {
                for span in [Span::All, Span::Part(0..4)] {
                    let rest = if detour == "back" {
                        format!("{}/end/x/y", server.port)
                    } else {
                        "end".to_string()
                    };
                    let url = format!("{}/{status}/{detour}/{rest}", server.origin());
                    let source = source(&url, std::slice::from_ref(&secret));
                    let before = server.heard().len();
                    // A 206 to a plain GET is refused; the way there is the same.
                    let _ = source.get(&OBJECT, span, Condition::Always).await;
                    let home = server.heard();
                    assert!(
                        home.len() > before && home[before..].iter().all(seen),
                        "{url}"
                    );
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 150);
    assert!(other.heard().len() >= 150);
    assert!(!other.heard().iter().any(seen));
}
