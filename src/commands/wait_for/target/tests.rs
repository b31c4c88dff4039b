//! The grammar of targets.

use super::*;

fn read(text: &str) -> Target {
    parse(text, Origin::Argument).unwrap_or_else(|failure| panic!("{text}: {failure}"))
}

/// Reason and hint of a refusal.
fn refused(text: &str, origin: Origin) -> String {
    match parse(text, origin) {
        Ok(target) => panic!("{text} is {target}"),
        Err(failure) => {
            assert_eq!(failure.kind(), Kind::Usage);
            format!("{failure} | {}", failure.mend().unwrap_or_default())
        }
    }
}

#[test]
fn a_target_is_taken_apart() {
    let target = read("postgres://app@db/a%2Fb?sslmode=require");
    assert_eq!(target.host, Host::Name("db".into()));
    assert_eq!((target.port, target.user.as_deref()), (5432, Some("app")));
    assert_eq!(target.decoded_path().unwrap(), "a/b");
    assert_eq!(target.text("sslmode").unwrap(), Some("require"));
    assert_eq!(read("https://h").port, 443);
    assert_eq!(read("amqps://h:1/v").port, 1);
    assert_eq!(
        read("tcp://[::1]:80").host,
        Host::V6("::1".parse().unwrap())
    );
    assert_eq!(
        read("tcp://10.0.0.1:80").host,
        Host::V4([10, 0, 0, 1].into())
    );
    assert_eq!(read("TCP://h:1").shown, "tcp://h:1");
    assert_eq!(
        read("tcp://h:1?expect=%2BPONG+x").key("expect"),
        Some(&b"+PONG+x"[..])
    );
    let http = read("http://h/a?b=%20c&d");
    assert_eq!(
        (http.path.as_str(), http.raw_query.as_deref()),
        ("/a", Some("b=%20c&d"))
    );
    assert_eq!(read("s3://bucket/a%2").path, "/a%2");
    assert_eq!(
        read("file:///a%20b").file_path().unwrap().to_str().unwrap(),
        "/a b"
    );
}

#[test]
fn what_is_shown_has_no_user_no_password_and_no_query() {
    for (text, shown) in [
        (
            "postgres://app:hunter2@db:5/x?sslmode=require",
            "postgres://db:5/x?…",
        ),
        ("http://u:hunter2@h/p?token=hunter2", "http://h/p?…"),
        ("dns://a.b?type=SRV&expect=hunter2", "dns://a.b?type=SRV&…"),
        (
            "k8s://ns/pods?selector=a=b,c=d",
            "k8s://ns/pods?selector=a=b,c=d",
        ),
        ("file:///x?min-size=8MiB", "file:///x?min-size=8MiB"),
        ("redis://:hunter2@h", "redis://h"),
        ("tcp://h:1", "tcp://h:1"),
    ] {
        assert_eq!(parse(text, Origin::Environment).unwrap().shown, shown);
    }
}

#[test]
fn what_is_wrong_is_refused_with_its_mend() {
    for (text, gist) in [
        ("xxx://h:1", "the schemes are tcp, unix, http"),
        ("postgress://h", "did you mean postgres?"),
        ("tcp://127.0.0.1", "no port"),
        ("grpc://h", "no port"),
        ("kafka://", "no host"),
        ("tcp://:80", "no host"),
        ("tcp://h:0", "1 to 65535"),
        ("tcp://h:99999", "1 to 65535"),
        ("tcp://h:+1", "1 to 65535"),
        ("tcp://h:", "1 to 65535"),
        ("127.0.0.1:5432", "write tcp://127.0.0.1:5432"),
        ("db", "write SCHEME://…"),
        ("http://h/%zz", "percent sign"),
        ("tcp://h:1?expect=%2", "percent sign"),
        ("http://h/#x", "fragment"),
        ("mongodb://a:1,b:2/db", "one host per target"),
        ("tcp://a,b:1", "one host per target"),
        ("tcp://::1:80", "brackets"),
        ("tcp://[::1%eth0]:80", "percent sign"),
        ("tcp://[fe80::1x]:80", "zone ids"),
        ("tcp://[::1]x:80", "behind the brackets"),
        ("tcp://10.0.0.300:1", "neither a name nor an IPv4 address"),
        ("tcp://a..b:1", "no host name"),
        ("tcp://a b:1", "no host name"),
        ("tcp://h:1\n", "control character"),
        ("tcp://h:1?expct=x", "did you mean expect"),
        ("tcp://h:1?foo=x", "the options are send, expect"),
        ("tcp://h:1?expect=a&expect=b", "given twice"),
        ("tcp://u@h:1", "takes no user"),
        ("file://data/x", "three slashes"),
        ("unix://run/x", "three slashes"),
        ("dns://name:53", "no port here"),
        ("postgres://h/db?pasword-env=X", "did you mean password-env"),
        ("mongodb://h/?ssl=true", "did you mean tls"),
    ] {
        let said = refused(text, Origin::Argument);
        assert!(said.contains(gist), "{text}: {said}");
    }
}

#[test]
fn a_password_is_public_in_an_argument_and_never_repeated() {
    for text in [
        "postgres://app:hunter2@h/db",
        "postgres://h/db?password=hunter2",
        "http://h/?PassWord=hunter2",
        "tcp://h:1?pass%77ord=hunter2",
        "redis://:hunter2@h",
        "tcp://u:hunter2@h:1",
    ] {
        let said = refused(text, Origin::Argument);
        assert!(
            said.contains("a password in an argument is public"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
    }
    for text in [
        "postgres://app:hunt/hunter2@h:x/db",
        "postgres://app:hunt?hunter2@h:x/db",
        "hunter2@h:1:2",
        "mysq1://app:hunter2@h",
        "tcp://h:1?hunter2",
        "tcp://h:1#hunter2",
        "hunter2://x",
        "tcp://app:hunter2@h:1",
    ] {
        let said = refused(text, Origin::Environment);
        assert!(
            !said.contains("hunter2") || text == "hunter2://x" || text == "tcp://h:1?hunter2",
            "{said}"
        );
    }
    let given = parse("postgres://app:hunt%65r2@h/db", Origin::Environment).unwrap();
    assert_eq!(given.password.unwrap().expose(), b"hunter2");
}

#[test]
fn an_app_may_have_options_of_its_own_where_it_shares_the_url() {
    let target = read("postgres://h/db?target_session_attrs=any");
    assert_eq!(target.foreign, ["?target_session_attrs="]);
    assert_eq!(read("mongodb://u@h/?replicaSet=x").foreign.len(), 2);
    assert!(parse("memcached://h?weight=1", Origin::Argument).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        for scheme in ["", "tcp://", "postgres://", "file:///", "k8s://", "s3://", "dns://", "http://"] {
            for origin in [Origin::Argument, Origin::Environment] {
                let _ = parse(&format!("{scheme}{text}"), origin);
            }
        }
    }
}
