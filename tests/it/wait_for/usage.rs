//! Command lines that cannot be obeyed: refused before any packet is sent; and those that can.

use super::run::{Files, MISPLACED, PASSWORD, warning};
use super::{Wait, closed, plainly, wait_for};
use crate::support::Outcome;
use crate::support::scripted::Scripted;

#[track_caller]
fn refused(run: Wait<'_>) -> Outcome {
    let out = run.run();
    out.fails(64);
    out
}

/// A plan that is made, and nothing more; tells the run.
#[track_caller]
fn accepted(run: Wait<'_>) -> Outcome {
    let out = run.args(["--dry-run"]).run();
    out.succeeds();
    out
}

const SCHEMES: &[&str] = &[
    "tcp",
    "unix",
    "http",
    "https",
    "dns",
    "file",
    "postgres",
    "mysql",
    "redis",
    "rediss",
    "mongodb",
    "amqp",
    "amqps",
    "kafka",
    "nats",
    "memcached",
    "grpc",
    "grpcs",
    "vault",
    "vaults",
    "s3",
    "k8s",
];

#[test]
fn case_01_no_target() {
    refused(wait_for([""; 0])).says("TARGET");
    refused(wait_for([""; 0]).env("PODINIT_TARGETS", " \n"));
    refused(wait_for([""; 0]).env("DATABASE_URL", "postgres://h/db"));
}

#[test]
fn case_02_a_scheme_must_be_known() {
    let out = refused(wait_for(["xxx://h:1"]));
    out.says("xxx");
    for scheme in SCHEMES {
        out.hints(scheme);
    }
    refused(wait_for(["postgress://h"])).hints("postgres");
    refused(wait_for(["reddis://h"])).hints("redis");
    refused(wait_for(["h"]));
}

#[test]
fn every_scheme_is_accepted() {
    for target in [
        "tcp://h:1",
        "unix:///run/x",
        "http://h/",
        "https://h",
        "dns://h",
        "file:///x",
        "postgres://h/db",
        "postgresql://h/db",
        "mysql://h/db",
        "mariadb://h/db",
        "redis://h",
        "rediss://h",
        "mongodb://h",
        "amqp://h/vhost",
        "amqps://h",
        "kafka://h",
        "nats://h",
        "memcached://h",
        "grpc://h:1/some.Service",
        "grpcs://h:1",
        "vault://h",
        "vaults://h",
        "s3://bucket/some/key",
        "TCP://h:1",
        "tcp://[::1]:1",
        "mongodb://h?tls=true",
        "kafka://h?topic=t&tls=true",
        "file:///x?min-size=8MiB",
        "dns://h?type=SRV&expect=h:5432&server=10.0.0.1:53",
    ] {
        accepted(wait_for([target]));
    }
}

#[test]
fn case_03_a_port_or_host_is_missing() {
    refused(wait_for(["tcp://127.0.0.1"])).says("port");
    refused(wait_for(["grpc://h"])).says("port");
    refused(wait_for(["grpcs://h/x"])).says("port");
    refused(wait_for(["kafka://"])).says("host");
    for scheme in [
        "tcp://:1",
        "postgres:///db",
        "http:///x",
        "redis://",
        "vault://",
        "s3://",
        "dns://",
    ] {
        refused(wait_for([scheme]));
    }
}

#[test]
fn case_04_a_port_is_a_port() {
    for target in [
        "tcp://h:0",
        "tcp://h:99999",
        "postgres://h:0/db",
        "http://h:65536/",
        "redis://h:x",
    ] {
        refused(wait_for([target]));
    }
    refused(wait_for(["127.0.0.1:5432"])).hints("tcp://127.0.0.1:5432");
}

#[test]
fn case_05_a_url_is_whole() {
    refused(wait_for(["http://h/%zz"]));
    refused(wait_for(["http://h/#x"]));
    for target in [
        "mongodb://a:1,b:2/db",
        "mongodb://a,b/db",
        "kafka://a:1,b:2",
        "postgres://a,b/db",
        "redis://a:1,b:2",
        "tcp://a:1,b:2",
    ] {
        refused(wait_for([target])).says("one host");
    }
    for target in [
        "tcp://h:1#x",
        "redis://h#x",
        "postgres://h/%zz",
        "tcp://h:1?send=%zz&expect=x",
        "grpc://h:1/%2",
        "tcp://::1:80",
        "tcp://[::1:80",
        "tcp://fe80::1%eth0:1",
    ] {
        refused(wait_for([target]));
    }
}

#[test]
fn case_06_limits_make_sense() {
    for (flag, value) in [
        ("--timeout", "-1"),
        ("--timeout", ""),
        ("--timeout", "99999999999999999999"),
        ("--timeout", "99999999999999999999h"),
        ("--interval", "0"),
        ("--interval", "0s"),
        ("--successes", "0"),
        ("--successes", "-1"),
        ("--successes", "99999999999999999999"),
        ("--attempt-timeout", "0s"),
        ("--attempt-timeout", "0"),
        ("--attempt-timeout", "1x"),
    ] {
        let out = refused(wait_for([format!("{flag}={value}").as_str(), "tcp://h:1"]));
        out.does_not_log("panic");
        refused(wait_for([flag, value, "tcp://h:1"])).does_not_log("panic");
    }
    accepted(wait_for([
        "--timeout=0",
        "--interval=10ms",
        "--attempt-timeout=1h",
        "tcp://h:1",
    ]));
}

#[test]
fn case_07_a_variable_is_checked_like_a_flag() {
    let out = refused(wait_for(["tcp://h:1"]).env("PODINIT_TIMEOUT", "abc"));
    assert!(out.stderr.contains("PODINIT_TIMEOUT"), "{out:?}");
    for (name, value) in [
        ("PODINIT_INTERVAL", "soon"),
        ("PODINIT_SUCCESSES", "many"),
        ("PODINIT_ATTEMPT_TIMEOUT", "0"),
        ("PODINIT_HTTP_STATUS", "ok"),
        ("PODINIT_GONE", "perhaps"),
    ] {
        let out = refused(wait_for(["http://h/"]).env(name, value));
        assert!(out.stderr.contains(name), "{out:?}");
    }
}

#[test]
fn case_08_a_flag_may_be_a_variable() {
    let server = Scripted::silent();
    let open = format!("tcp://{}", server.address());
    let shut = format!("tcp://{}", closed());
    for value in ["1", "yes", "true"] {
        let out = wait_for([&shut, &open]).env("PODINIT_ANY", value).run();
        out.succeeds();
    }
    refused(wait_for([&shut, &open]).env("PODINIT_ANY", "maybe"));
    let out = wait_for([&shut, &open, "--timeout=300ms"]).env("PODINIT_ANY", "false");
    out.run().fails(69);
}

#[test]
fn case_09_a_password_in_an_argument_is_public() {
    for target in [
        "postgres://app:s3cret@h/db",
        "postgres://h/db?password=s3cret",
        "postgres://h/db?a=b&PASSWORD=s3cret",
        "mysql://app:s3cret@h/db",
        "mysql://h/db?password=s3cret",
        "redis://:s3cret@h",
        "redis://h?password=s3cret",
        "amqp://app:s3cret@h",
        "nats://app:s3cret@h",
        "http://app:s3cret@h/",
        "mongodb://app:s3cret@h/",
        "tcp://app:s3cret@h:1",
        "kafka://app:s3cret@h:1",
        "postgres://app:s3cret@h:port/db",
        "postgress://app:s3cret@h/db",
        "://app:s3cret@h/db",
        "app:s3cret@h:5432",
    ] {
        let out = refused(wait_for([target]));
        out.never_shows(MISPLACED);
    }
    let out = refused(wait_for(["postgres://app:s3cret@h/db"]));
    out.says("public").hints("--password-file");
    assert!(out.hint().contains("PODINIT_TARGETS"), "{out:?}");
    let all = "postgres://app:s3cret@h/db redis://:s3cret@h http://app:s3cret@h/";
    let out = accepted(wait_for([""; 0]).env("PODINIT_TARGETS", all));
    out.never_shows(MISPLACED);
    // A typing error in the variable is shown without what is secret in it.
    let out = refused(wait_for([""; 0]).env("PODINIT_TARGETS", "postgres://app:s3cret@h:x/db"));
    out.never_shows(MISPLACED);
}

#[test]
fn case_10_targets_from_the_environment() {
    let both = "tcp://h:1 unix:///x";
    let out = accepted(wait_for([""; 0]).env("PODINIT_TARGETS", both));
    assert!(
        out.stdout.contains("tcp://h:1") && out.stdout.contains("unix:///x"),
        "{out:?}"
    );
    assert_eq!(out.stdout.lines().count(), 2, "{out:?}");
    let out = accepted(wait_for(["tcp://g:2"]).env("PODINIT_TARGETS", both));
    assert!(
        out.stdout.contains("tcp://g:2") && !out.stdout.contains("tcp://h:1"),
        "{out:?}"
    );
    assert_eq!(out.stdout.lines().count(), 1, "{out:?}");
    let lines = "\n tcp://h:1\t\nunix:///x\n\n";
    let out = accepted(wait_for([""; 0]).env("PODINIT_TARGETS", lines));
    assert_eq!(out.stdout.lines().count(), 2, "{out:?}");
}

#[test]
fn case_11_query_keys_are_known() {
    refused(wait_for(["tcp://h:1?expct=x"])).hints("expect");
    refused(wait_for(["tcp://h:1?send=x"]))
        .says("send")
        .says("expect");
    for target in [
        "dns://h?typ=A",
        "dns://h?type=MX",
        "dns://h?server=somewhere",
        "dns://h?server=10.0.0.1:0",
        "file:///x?min-size=big",
        "file:///x?max-size=1",
        "kafka://h?topics=t",
        "nats://h?x=1",
        "memcached://h?x=1",
        "grpc://h:1?x=1",
        "vault://h?x=1",
        "s3://bucket?x=1",
        "unix:///x?y=1",
        "k8s://ns/jobs/x?mising=ok",
        "k8s://ns/jobs/x?missing=maybe",
        "k8s://ns/pods/x?missing=ok",
        "kafka://h?tls=perhaps",
        "tcp://h:1?expect=a&expect=b",
    ] {
        refused(wait_for([target]));
    }
}

#[test]
fn case_12_foreign_query_keys_are_the_apps() {
    let out = accepted(wait_for(["postgres://h/db?target_session_attrs=any"]));
    let said = warning(&out);
    assert!(said.contains("target_session_attrs"), "{out:?}");
    assert!(!said.contains("any"), "{out:?}");
    for target in [
        "postgres://h/db?pasword-env=X",
        "mysql://h/db?pasword-env=X",
        "redis://h?pasword-env=X",
        "amqp://h?password-evn=X",
    ] {
        refused(wait_for([target])).hints("password-env");
    }
    refused(wait_for(["postgres://h/db?sslmod=require"])).hints("sslmode");
    refused(wait_for(["postgres://h/db?sslmode=sometimes"]));
    refused(wait_for(["mysql://h/db?ssl-mode=sometimes"]));
    for target in [
        "mysql://h/db?charset=utf8mb4",
        "redis://h?protocol=3",
        "mongodb://h/?replicaSet=rs0",
        "amqp://h?heartbeat=30",
    ] {
        warning(&accepted(wait_for([target])));
    }
    // A user that the probe has no use for.
    let out = accepted(wait_for(["mongodb://app@h/"]));
    warning(&out);
    for target in [
        "tcp://app@h:1",
        "kafka://app@h",
        "memcached://app@h",
        "grpc://app@h:1",
    ] {
        refused(wait_for([target]));
    }
}

#[test]
fn case_13_one_password_has_one_taker() {
    let run = |args: &[&str]| {
        wait_for(["--password-env", "PW"])
            .args(args)
            .env("PW", PASSWORD)
    };
    let out = refused(run(&["postgres://a@h1/x", "postgres://b@h2/y"]));
    out.says("h1").says("h2").hints("password-env");
    refused(run(&["tcp://h:1"]));
    refused(run(&["postgres://h/x"]));
    refused(run(&["redis://h1", "postgres://a@h2/y"]));
    accepted(run(&["redis://h"]));
    accepted(run(&["redis://h1", "tcp://h:1", "postgres://h/nobody"]));
    // Who brings a password is out of the count.
    let own = run(&["postgres://a@h1/x?password-env=OTHER", "mysql://b@h2/y"]);
    accepted(own.env("OTHER", PASSWORD));
    accepted(run(&["http://app@h/"]));
    refused(wait_for(["http://app@h/?password-env=PW", "--password-env=NO"]).env("PW", PASSWORD));
}

#[test]
fn a_password_is_there_and_not_empty() {
    let files = Files::new();
    let empty = files.put("empty", "\n");
    let target = "postgres://app@h/db";
    refused(wait_for(["--password-env", "PW", target])).says("PW");
    refused(wait_for(["--password-env", "PW", target]).env("PW", "")).says("PW");
    refused(wait_for(["--password-file", "/nonexistent/pw", target])).says("/nonexistent/pw");
    refused(wait_for(["--password-file", &empty, target])).says(&empty);
    refused(wait_for(["postgres://app@h/db?password-env=PW"])).says("PW");
    let missing = format!("{target}?password-file=/nonexistent/pw");
    refused(wait_for([missing])).says("/nonexistent/pw");
    let file = files.put("file", &format!("{PASSWORD}\n"));
    refused(
        wait_for(["--password-file", &file, "--password-env", "PW", target]).env("PW", "x-x-x"),
    );
    accepted(wait_for(["--password-file", &file, target]));
}

#[test]
fn case_14_a_flag_that_does_nothing_is_refused() {
    for (flag, value) in [
        ("--sql", "select 1"),
        ("--http-status", "204"),
        ("--http-fatal", "404"),
        ("--http-method", "HEAD"),
        ("--http-header", "A: b"),
        ("--http-body-regex", "x"),
        ("--http-json", "/a=b"),
    ] {
        let kind = flag.split_inclusive("http").next().unwrap_or(flag);
        refused(wait_for([flag, value, "redis://h"])).says(kind);
        refused(wait_for([flag, value, "tcp://h:1"])).says(kind);
        // What every target of one Pod shares may be meant for another container.
        accepted(wait_for([
            flag,
            value,
            "http://h/",
            "tcp://h:1",
            "postgres://app@h/db",
        ]));
    }
    refused(wait_for([
        "--sql",
        "select 1",
        "--gone",
        "postgres://app@h/db",
    ]));
}

#[test]
fn case_15_statuses_are_a_list() {
    for list in [
        "99", "abc", "300-200", "600", "200-", "-", "", "200,,300", "1000",
    ] {
        refused(wait_for(["--http-status", list, "http://h/"]));
        refused(wait_for(["--http-fatal", list, "http://h/"]));
    }
    let both = [
        "--http-status",
        "200-499",
        "--http-fatal",
        "404",
        "http://h/",
    ];
    refused(wait_for(both)).says("404");
    accepted(wait_for([
        "--http-status",
        "200-403,405-499",
        "--http-fatal",
        "404",
        "http://h/",
    ]));
}

#[test]
fn case_16_http_flags_make_sense() {
    for (flag, value) in [
        ("--http-header", "NoColon"),
        ("--http-header", "Authorization: x-secret"),
        ("--http-header", "authorization: x-secret"),
        ("--http-header", "Proxy-Authorization: x-secret"),
        ("--http-header", "Cookie: x-secret"),
        ("--http-header", "X-Vault-Token: x-secret"),
        ("--http-header", "Bad Name: x"),
        ("--http-header", "A: b\nc"),
        ("--http-header", ": x"),
        ("--http-json", "status=ok"),
        ("--http-json", "/status"),
        ("--http-json", "/a~2b=ok"),
        ("--http-body-regex", "["),
        ("--http-method", "NOT A METHOD"),
        ("--http-method", ""),
    ] {
        let out = refused(wait_for([flag, value, "http://h/"]));
        out.never_shows("x-secret");
    }
    for check in ["--http-body-regex=x", "--http-json=/a=b"] {
        refused(wait_for(["--http-method", "HEAD", check, "http://h/"])).says("HEAD");
    }
    let out = wait_for(["http://h/"]).env("PODINIT_HTTP_HEADER", "Cookie: a=b\nX-One: 1");
    accepted(out);
}

#[test]
fn case_17_paths_are_absolute_and_fit() {
    refused(wait_for(["file://data/x"])).hints("file:///data/x");
    refused(wait_for(["unix://run/x"])).hints("unix:///run/x");
    let long = "x".repeat(107);
    refused(wait_for([format!("unix:///{long}")])).says("107");
    accepted(wait_for([format!("unix:///{}", &long[1..])]));
}

#[test]
fn case_18_kubernetes_objects_are_named() {
    refused(wait_for(["k8s://ns/pod/x"])).hints("pods");
    for target in [
        "k8s://ns/pods",
        "k8s://ns/pods/x?selector=a=b",
        "k8s://ns/pods?selector=",
        "k8s://ns",
        "k8s:///pods/x",
        "k8s://ns/pods/x/y",
        "k8s://ns/secrets/x",
    ] {
        refused(wait_for([target]));
    }
    for object in [
        "pods/x",
        "pods?selector=a=b,c=d",
        "jobs/x?missing=ok",
        "services/x",
        "deployments/x",
    ] {
        let out = refused(wait_for([format!("k8s://ns/{object}")]));
        out.hints("automountServiceAccountToken: true");
        out.says("/var/run/secrets/kubernetes.io/serviceaccount");
    }
}

#[test]
fn case_19_a_command_must_be_there() {
    let server = Scripted::silent();
    let open = format!("tcp://{}", server.address());
    let out = refused(wait_for([&open, "--", "nosuchcmd"]));
    out.says("nosuchcmd").says("PATH");
    refused(wait_for([&open, "--", "/nonexistent/cmd"])).says("/nonexistent/cmd");
    let files = Files::new();
    let plain = files.put("plain", "no program");
    refused(wait_for([&open, "--", &plain])).says(&plain);
    refused(wait_for([open.as_str(), "--", "/tmp"]));
    refused(wait_for([open.as_str(), "--", ""]));
    refused(wait_for(["--output", "json", &open, "--", "true"]));
    assert_eq!(server.visits().len(), 0, "no packet is sent");
}

#[test]
fn case_20_a_dry_run_sends_nothing() {
    let server = Scripted::silent();
    let open = format!("tcp://{}", server.address());
    let out = plainly(["--dry-run", &open, "http://h/"]).run();
    out.succeeds();
    assert_eq!(out.stdout.lines().count(), 2, "{out:?}");
    let lines: Vec<_> = out.stdout.lines().collect();
    assert!(
        lines[0].contains(&open) && lines[1].contains("http://h/"),
        "{out:?}"
    );
    assert_eq!(server.visits().len(), 0);
    // What it would run is checked as well.
    refused(wait_for(["--dry-run", &open, "--", "nosuchcmd"]));
}

#[test]
fn files_of_authorities_hold_some() {
    let files = Files::new();
    let none = files.put("none.pem", "no certificate in here\n");
    let empty = files.put("empty.pem", "");
    for path in [none.as_str(), &empty, "/nonexistent/ca.crt"] {
        refused(wait_for(["--ca-file", path, "https://h/"])).says(path);
    }
}

#[test]
fn checking_and_not_checking_exclude_each_other() {
    for target in [
        "postgres://h/db?sslmode=verify-full",
        "postgres://h/db?sslmode=verify-ca",
        "mysql://h/db?ssl-mode=VERIFY_IDENTITY",
        "mysql://h/db?ssl-mode=VERIFY_CA",
    ] {
        refused(wait_for(["--insecure-skip-verify", target]));
        accepted(wait_for([target]));
    }
    accepted(wait_for([
        "--insecure-skip-verify",
        "https://h/",
        "postgres://h/db?sslmode=require",
    ]));
}
