//! Names of servers: resolved anew for every attempt, by the rules of resolv.conf.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::{Wait, wait_for};
use crate::support::dns::{A, AAAA, Answer, Dns, NXDOMAIN, SERVFAIL};
use crate::support::scripted::Scripted;
use crate::support::wire::own_address;

/// Lets the run ask this server, with these further lines of resolv.conf.
fn resolving<'p>(run: Wait<'p>, dns: &Dns, more: &str) -> Wait<'p> {
    let text = format!("nameserver {}\n{more}\n", dns.address().ip());
    run.with_file("/etc/resolv.conf", &text)
}

#[test]
fn names_are_told_apart_from_addresses() {
    let dns = Dns::on_port_53(|question| match &*question.name {
        "empty.example" => Answer::nothing(),
        "broken.example" => Answer::code(SERVFAIL),
        "silent.example" => Answer::silence(),
        _ => Answer::code(NXDOMAIN),
    });
    let fails = |target: &str| {
        let out = resolving(wait_for(["--timeout=700ms", target]), &dns, "").run();
        out.fails(69);
        out
    };
    fails("tcp://none.example:1")
        .says("NXDOMAIN")
        .says("none.example");
    fails("redis://empty.example")
        .says("no A or AAAA")
        .hints("headless");
    fails("redis://broken.example").says("SERVFAIL");
    fails("redis://silent.example").says("no answer");
    fails("http://none.example/").says("NXDOMAIN");
    fails("grpc://none.example:1").says("none.example");
    // Absence is proof, a server's trouble is not.
    let gone = |target: &str| {
        resolving(wait_for(["--gone", "--timeout=700ms", target]), &dns, "")
            .run()
            .code
    };
    assert_eq!(gone("tcp://none.example:1"), 0);
    assert_eq!(gone("tcp://empty.example:1"), 0);
    assert_eq!(gone("tcp://broken.example:1"), 69);
    assert_eq!(gone("tcp://silent.example:1"), 69);
}

#[test]
fn a_name_is_looked_up_once_an_attempt() {
    let server = Scripted::start(|visitor| {
        visitor.hear_until(b"\r\n")?;
        let is_up = visitor.turn() >= 4;
        visitor.say(if is_up {
            b"+PONG\r\n"
        } else {
            b"-LOADING soon\r\n"
        })?;
        visitor.stay()
    });
    let dns = Dns::on_port_53(|question| Answer::addresses(question.kind, &["127.0.0.1"]));
    let target = format!("redis://cache.example:{}", server.port());
    resolving(wait_for([&target]), &dns, "").run().succeeds();
    let asked = |kind: u16| {
        dns.questions()
            .iter()
            .filter(|one| one.kind == kind)
            .count()
    };
    assert_eq!(server.visits().len(), 5);
    assert_eq!(
        (asked(A), asked(AAAA)),
        (5, 5),
        "one lookup each, nothing cached"
    );
}

#[test]
fn the_search_list_is_walked() {
    let server = Scripted::silent();
    let dns = Dns::on_port_53(|question| match &*question.name {
        "db.prod.svc.cluster.local" => Answer::addresses(question.kind, &["127.0.0.1"]),
        _ => Answer::code(NXDOMAIN),
    });
    let kubelet = "search prod.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5";
    let target = format!("tcp://db:{}", server.port());
    resolving(wait_for([&target]), &dns, kubelet)
        .run()
        .succeeds();
    assert!(
        dns.questions()
            .iter()
            .all(|one| one.name == "db.prod.svc.cluster.local")
    );
    let out = resolving(
        wait_for(["--timeout=500ms", "tcp://nosuch:1"]),
        &dns,
        kubelet,
    )
    .run();
    out.fails(69)
        .says("nosuch.prod.svc.cluster.local")
        .says("nosuch");
    // A final dot ends the search.
    let before = dns.questions().len();
    let target = format!("tcp://db.prod.svc.cluster.local.:{}", server.port());
    resolving(wait_for([&target]), &dns, kubelet)
        .run()
        .succeeds();
    assert!(dns.questions().len() - before <= 2);
}

#[test]
fn an_address_is_never_looked_up() {
    let server = Scripted::silent();
    let dns = Dns::on_port_53(|_| Answer::code(NXDOMAIN));
    for scheme in ["tcp", "memcached"] {
        let target = format!("{scheme}://{}", server.address());
        resolving(
            wait_for(["--timeout=400ms", &target]),
            &dns,
            "options ndots:5",
        )
        .run();
    }
    let target = format!("http://{}", server.address());
    resolving(
        wait_for(["--timeout=400ms", &target]),
        &dns,
        "options ndots:5",
    )
    .run()
    .fails(69);
    assert!(dns.questions().is_empty(), "{:?}", dns.questions());
}

#[test]
fn one_good_address_is_enough() {
    let good = Scripted::silent();
    let bad = own_address().ip().to_string();
    let full = crate::support::backlog::Full::new();
    let silent = full.address();
    // The same port everywhere: only one of the addresses has a listener.
    let bads = [bad.clone(), silent.ip().to_string()];
    let dns = Dns::on_port_53(move |question| {
        let all = [bads[0].as_str(), "127.0.0.1"];
        Answer::addresses(question.kind, &all)
    });
    let target = format!("tcp://db.example:{}", good.port());
    for _ in 0..5 {
        let out = resolving(wait_for([&target]), &dns, "").run();
        out.succeeds().within(Duration::from_secs(3));
    }
    // When all refuse, each is listed.
    let port = own_address().port();
    let dns =
        Dns::on_port_53(|question| Answer::addresses(question.kind, &["127.1.2.3", "127.1.2.4"]));
    let target = format!("tcp://db.example:{port}");
    let out = resolving(wait_for(["--timeout=500ms", &target]), &dns, "").run();
    out.fails(69)
        .says("127.1.2.3")
        .says("127.1.2.4")
        .says("refused");
}

#[test]
fn one_bad_replica_does_not_hide_a_good_one() {
    // Both accept, one closes at once: the next attempt begins with the next address.
    let address = own_address();
    let second = SocketAddr::new(own_address().ip(), address.port());
    let bad = Scripted::at(address, |_| Ok(()));
    let good = Scripted::on(TcpListener::bind(second).expect("ours"), |visitor| {
        visitor.hear_until(b"\r\n")?;
        visitor.say(b"+PONG\r\n")?;
        visitor.stay()
    });
    let both = [address.ip().to_string(), second.ip().to_string()];
    let dns = Dns::on_port_53(move |question| {
        Answer::addresses(question.kind, &[both[0].as_str(), both[1].as_str()])
    });
    let target = format!("redis://cache.example:{}", address.port());
    resolving(wait_for([&target]), &dns, "").run().succeeds();
    assert!(bad.visits().len() <= 1);
    assert_eq!(good.visits().len(), 1);
}

#[test]
fn a_name_in_the_hosts_file_needs_no_server() {
    let server = Scripted::silent();
    let hosts = "127.0.0.1 localhost\n127.0.0.1 db.from-hosts\n";
    let target = format!("tcp://db.from-hosts:{}", server.port());
    wait_for([&target])
        .with_file("/etc/hosts", hosts)
        .run()
        .succeeds();
    wait_for([format!("tcp://localhost:{}", server.port())])
        .run()
        .succeeds();
}
