//! `tcp://` and `unix://`.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::run::{Files, never_ready, says_one_of, warning, warnings};
use super::{closed, plainly, wait_for};
use crate::support::Pod;
use crate::support::clock::after;
use crate::support::redis::Redis;
use crate::support::scripted::Scripted;

#[test]
fn case_38_other_families() {
    let listener = TcpListener::bind("[::1]:0").expect("IPv6 on loopback");
    let port = listener.local_addr().expect("it is bound").port();
    wait_for([format!("tcp://[::1]:{port}")]).run().succeeds();
    let files = Files::new();
    let path = files.path("socket");
    let run = wait_for([format!("unix://{}", path.display())]).spawn();
    let opened = after(Duration::from_secs(1), move || {
        UnixListener::bind(path).expect("a socket")
    });
    let out = run.finish();
    let (at, _listener) = opened.happened();
    out.succeeds().within_of(Duration::from_millis(1500), at);
}

#[test]
fn case_39_bytes_sent_and_expected() {
    let redis = Redis::start(&[]);
    let target = format!("tcp://{}", redis.address());
    wait_for([format!("{target}?send=PING%0D%0A&expect=%2BPONG")])
        .run()
        .succeeds();
    never_ready(&[
        (&[&format!("{target}?expect=SSH-2.0")], "no answer"),
        (
            &[&format!("{target}?send=PING%0D%0A&expect=%2BPANG")],
            "PONG",
        ),
    ]);
}

#[test]
fn expected_bytes_are_literal() {
    // `+` is no space, and the bytes may come in pieces, anywhere in the first 64 KiB.
    let server = Scripted::start(|visitor| {
        visitor.hear(3)?;
        visitor.say(&vec![b'.'; 60 * 1024])?;
        visitor.say(b"1+")?;
        visitor.say(b"1\xff")?;
        visitor.stay()
    });
    let target = format!("tcp://{}", server.address());
    wait_for([format!("{target}?send=a%2Bb&expect=1%2B1%FF")])
        .run()
        .succeeds();
    wait_for([format!("{target}?expect=1+1&send=a+b")])
        .run()
        .succeeds();
    for visit in server.all_over() {
        assert_eq!(visit.heard, b"a+b");
    }
    let far = Scripted::start(|visitor| {
        visitor.say(&vec![b'.'; 65 * 1024])?;
        visitor.say(b"needle")?;
        visitor.stay()
    });
    never_ready(&[(
        &[&format!("tcp://{}?expect=needle", far.address())],
        "needle",
    )]);
}

#[test]
fn case_40_a_silent_server() {
    let server = Scripted::silent();
    wait_for([format!("tcp://{}", server.address())])
        .run()
        .succeeds();
    never_ready(&[(&[&format!("memcached://{}", server.address())], "no answer")]);
}

#[test]
fn case_41_a_connection_to_itself_is_none() {
    let pod = Pod::own_network();
    pod.sh("ip link set lo up; echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range");
    for port in [40000, 40001] {
        let out = wait_for(["--timeout", "2s", "--interval", "20ms"])
            .args([format!("tcp://127.0.0.1:{port}")])
            .inside(&pod)
            .run();
        out.fails(69).says("refused");
    }
}

#[test]
fn case_42_a_bare_connection_harms_mysql() {
    let out = plainly(["--timeout", "200ms", "tcp://127.255.255.254:3306"]).run();
    out.fails(69);
    assert!(warning(&out).contains("mysql://"), "{out:?}");
    let server = Scripted::silent();
    let out = plainly([format!("tcp://{}", server.address())]).run();
    out.succeeds();
    assert!(warnings(&out).is_empty(), "{out:?}");
}

#[test]
fn a_socket_file_without_a_listener_is_told_from_other_files() {
    let files = Files::new();
    let plain = files.put("plain", "no socket");
    let dead = files.path("dead");
    drop(UnixListener::bind(&dead).expect("a socket"));
    let dead = dead.display().to_string();
    never_ready(&[
        (&[&format!("unix://{dead}")], "refused"),
        (&[&format!("unix://{plain}")], "socket"),
        (&["unix:///tmp"], "socket"),
    ]);
    // Under `--gone` a dead listener is proof, and a file that is no socket as well.
    wait_for(["--gone", &format!("unix://{dead}")])
        .run()
        .succeeds();
}

#[test]
fn a_proxy_before_a_dead_server_is_told_as_that() {
    let proxy = Scripted::start(|_| Ok(()));
    let address = proxy.address();
    wait_for([format!("tcp://{address}")]).run().succeeds();
    for scheme in [
        "redis",
        "postgres",
        "mysql",
        "http",
        "amqp",
        "nats",
        "memcached",
        "mongodb",
        "kafka",
    ] {
        let target = format!("{scheme}://{address}");
        let out = wait_for(["--timeout", "300ms", &target]).run();
        out.fails(69).hints("mesh");
        says_one_of(&out, &["closed", "reset"]);
    }
    let out = wait_for(["--timeout", "300ms", &format!("redis://{}", closed())]).run();
    out.fails(69).says("refused");
}
