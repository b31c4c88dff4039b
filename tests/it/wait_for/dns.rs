//! `dns://`, against a name server of our own.

use super::run::never_ready;
use super::wait_for;
use crate::support::dns::{
    A, AAAA, Answer, CNAME, Dns, NXDOMAIN, SERVFAIL, SRV, TXT, encoded, srv, txt,
};

fn server() -> Dns {
    Dns::start(|question| match (&*question.name, question.kind) {
        ("both.example", kind) => Answer::addresses(kind, &["10.1.2.3", "fd00::7"]),
        ("six.example", kind) => Answer::addresses(kind, &["fd00::7"]),
        ("_pg._tcp.db.example", SRV) => Answer::of([
            (SRV, srv(5433, "other.example")),
            (SRV, srv(5432, "h.example")),
        ]),
        ("short.example", SRV) => Answer::of([(SRV, srv(5432, "h"))]),
        ("text.example", TXT) => Answer::of([(TXT, txt("v=1 release=blue"))]),
        ("big.example", kind) => Answer::addresses(kind, &["10.1.2.4"]).cut(),
        ("alias.example", A) => Answer {
            records: vec![
                (String::new(), CNAME, encoded("both.example")),
                ("both.example".to_string(), A, vec![10, 1, 2, 3]),
            ],
            ..Answer::default()
        },
        ("lonely.example", _) => Answer::of([(CNAME, encoded("nowhere.example"))]),
        ("broken.example", _) => Answer::code(SERVFAIL),
        ("silent.example", _) => Answer::silence(),
        ("none.example", _) => Answer::code(NXDOMAIN),
        _ => Answer::nothing(),
    })
}

#[test]
fn case_71_records() {
    let dns = server();
    let at = dns.address();
    for (name, query) in [
        ("both.example", "type=A"),
        ("both.example", "type=AAAA"),
        ("both.example", "type=A&expect=10.1.2.3"),
        ("both.example", "expect=fd00::7"),
        ("both.example", "type=AAAA&expect=fd00:0:0:0:0:0:0:7"),
        ("six.example", "expect=fd00::7"),
        ("_pg._tcp.db.example", "type=SRV"),
        ("_pg._tcp.db.example", "type=SRV&expect=h.example:5432"),
        ("short.example", "type=SRV&expect=h:5432"),
        ("text.example", "type=TXT&expect=release=blue"),
        ("text.example", "type=TXT"),
        ("big.example", "type=A&expect=10.1.2.4"),
        ("alias.example", "type=A"),
    ] {
        wait_for([format!("dns://{name}?{query}&server={at}")])
            .run()
            .succeeds();
    }
    assert!(
        dns.questions()
            .iter()
            .any(|question| question.over_tcp && question.name == "big.example")
    );
}

#[test]
fn case_71_failures_name_their_kind() {
    let dns = server();
    let at = dns.address();
    let target = |rest: &str| {
        let join = if rest.contains('?') { '&' } else { '?' };
        format!("dns://{rest}{join}server={at}")
    };
    let cases = [
        (target("none.example"), "NXDOMAIN"),
        (target("none.example"), "none.example"),
        (target("empty.example"), "empty.example"),
        (target("six.example?type=A"), "six.example"),
        (target("both.example?type=SRV"), "SRV"),
        (target("lonely.example?type=A"), "lonely.example"),
        (target("broken.example"), "SERVFAIL"),
        (target("silent.example"), "no answer"),
        (target("both.example?type=A&expect=10.9.9.9"), "10.1.2.3"),
        (target("short.example?type=SRV&expect=h:5433"), "h"),
        (target("text.example?type=TXT&expect=green"), ""),
    ];
    let cases: Vec<_> = cases
        .iter()
        .map(|(target, cause)| ([target.as_str()], *cause))
        .collect();
    let cases: Vec<_> = cases
        .iter()
        .map(|(args, cause)| (&args[..], *cause))
        .collect();
    never_ready(&cases);
    assert!(dns.questions().iter().any(|question| question.kind == AAAA));
}

#[test]
fn a_name_that_appears_is_noticed() {
    let count = std::sync::atomic::AtomicUsize::new(0);
    let dns = Dns::start(move |question| {
        if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 4 {
            Answer::code(NXDOMAIN)
        } else {
            Answer::addresses(question.kind, &["10.1.2.3"])
        }
    });
    wait_for([format!(
        "dns://late.example?type=A&server={}",
        dns.address()
    )])
    .run()
    .succeeds();
    // Nothing is kept from one attempt to the next, and an attempt asks once.
    assert_eq!(dns.questions().len(), 5);
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let at = super::closed();
    let out = wait_for(["--timeout=600ms", &format!("dns://a.example?server={at}")]).run();
    out.fails(69).says("a.example");
}
