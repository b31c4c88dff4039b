//! `postgres://` without a password: how far one comes without a login, and what is left in the log.

use std::time::Duration;

use super::run::{PASSWORD, never_ready, together, warning};
use super::{plainly, wait_for};
use crate::support::authority::Authority;
use crate::support::clock::{after, until};
use crate::support::pgbouncer::PgBouncer;
use crate::support::postgres::Postgres;
use crate::support::scripted::{Leave, Scripted, hex, shown};

const SCRAM: &str = "host all all all scram-sha-256";

/// What goes out when the URL names neither user nor database.
const PLAIN_STARTUP: &[u8] = b"\x00\x00\x00\x41\x00\x03\x00\x00user\0podinit\0database\0postgres\0\
    application_name\0podinit\0\0";

/// An `ErrorResponse` of this SQLSTATE.
fn error(state: &str, message: &str) -> Vec<u8> {
    let fields = format!("SFATAL\0VFATAL\0C{state}\0M{message}\0\0");
    let length = u32::try_from(fields.len() + 4).expect("short");
    [b"E".as_slice(), &length.to_be_bytes(), fields.as_bytes()].concat()
}

/// Reads a `StartupMessage`.
fn startup(visitor: &mut crate::support::scripted::Visitor<'_>) -> std::io::Result<Vec<u8>> {
    let length = visitor.hear(4)?;
    let count = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
    visitor.hear(count as usize - 4)
}

#[test]
fn case_56_a_thousand_probes_leave_no_line() {
    for hba in [SCRAM, "host all all all md5"] {
        let cluster = Postgres::start(hba, &[]);
        let before = cluster.log();
        let targets: Vec<_> = (0..10)
            .map(|turn| format!("postgres://{}/db{turn}", cluster.address()))
            .collect();
        // A hundred runs, ten probes each, four runs at a time.
        for _ in 0..25 {
            for out in together((0..4).map(|_| plainly(&targets))) {
                out.succeeds();
            }
        }
        // What the log would say is said before the server answers the next question.
        cluster.sql("postgres", "select 1");
        assert_eq!(cluster.log(), before);
        let single = format!("postgres://{}", cluster.address());
        for _ in 0..5 {
            wait_for([&single]).run().succeeds();
        }
        cluster.sql("postgres", "select 1");
        assert_eq!(cluster.log(), before);
    }
}

#[test]
fn case_57_a_cluster_that_starts_later() {
    let mut cluster = Postgres::prepare(SCRAM, &[]);
    let target = format!("postgres://{}", cluster.address());
    let run = wait_for([&target]).spawn();
    run.line_with("refused");
    let later = after(Duration::from_secs(1), move || {
        cluster.run();
        cluster
    });
    let out = run.finish();
    let (at, _cluster) = later.happened();
    out.succeeds();
    assert!(out.ended < at + Duration::from_millis(1500), "{out:?}");
}

#[test]
fn case_57_all_slots_are_held() {
    let cluster = Postgres::start(
        SCRAM,
        &["max_connections=4", "superuser_reserved_connections=0"],
    );
    let mut sessions: Vec<_> = (0..4).map(|_| cluster.session()).collect();
    let target = format!("postgres://{}", cluster.address());
    never_ready(&[(&[&target], "53300")]);
    let run = wait_for([&target]).spawn();
    run.line_with("53300");
    sessions.pop();
    run.finish().succeeds();
}

#[test]
fn case_57_only_tls_is_let_in() {
    let authority = Authority::new();
    let mut cluster = Postgres::prepare(
        "hostssl all all all scram-sha-256",
        &["ssl=on", "ssl_cert_file=good.crt", "ssl_key_file=good.key"],
    );
    cluster.put("good.crt", &authority.certificate("good"));
    cluster.put("good.key", &authority.key("good"));
    cluster.run();
    let target = format!("postgres://{}", cluster.address());
    wait_for([&target]).run().succeeds();
    wait_for([format!("{target}?sslmode=require")])
        .run()
        .succeeds();
    // The certificate is not for this address, and its authority must be named.
    let ca = authority.root().display().to_string();
    wait_for([format!("{target}?sslmode=verify-full")])
        .run()
        .fails(77);
    wait_for(["--ca-file", &ca, &format!("{target}?sslmode=verify-full")])
        .run()
        .fails(77);
    wait_for(["--ca-file", &ca, &format!("{target}?sslmode=verify-ca")])
        .run()
        .succeeds();
}

#[test]
fn a_server_without_tls_is_not_asked_twice_to_have_it() {
    let cluster = Postgres::start(SCRAM, &[]);
    let target = format!("postgres://{}?sslmode=require", cluster.address());
    never_ready(&[(&[&target], "TLS")]);
}

#[test]
fn a_cluster_in_recovery_is_not_ready() {
    // A standby that lets nobody read says 57P03 until it is promoted.
    let mut cluster = Postgres::prepare(
        SCRAM,
        &[
            "hot_standby=off",
            "restore_command=false",
            "promote_trigger_file=promote-now",
        ],
    );
    std::fs::write(cluster.data().join("standby.signal"), "").expect("a file");
    cluster.launch();
    let target = format!("postgres://{}", cluster.address());
    let run = wait_for([&target]).spawn();
    run.line_with("57P03");
    never_ready(&[(&[&target], "57P03")]);
    std::fs::write(cluster.data().join("promote-now"), "").expect("a file");
    run.finish().succeeds();
}

#[test]
fn case_58_a_trusting_cluster_and_its_database() {
    let cluster = Postgres::start("host all all all trust", &[]);
    let target = format!("postgres://postgres@{}/app", cluster.address());
    let run = wait_for([&target]).spawn();
    run.line_with("3D000");
    let later = after(Duration::from_secs(1), move || {
        cluster.sql("postgres", "create database app");
        cluster
    });
    let out = run.finish();
    let (at, cluster) = later.happened();
    out.succeeds();
    assert!(out.ended < at + Duration::from_millis(1500), "{out:?}");
    // Nobody named a database, and the role is class 28: the server is there.
    wait_for([format!("postgres://{}", cluster.address())])
        .run()
        .succeeds();
    wait_for([format!("postgres://nobody@{}", cluster.address())])
        .run()
        .succeeds();
    // A clean end leaves no line either.
    let before = cluster.log();
    for _ in 0..10 {
        wait_for([&target]).run().succeeds();
    }
    cluster.sql("postgres", "select 1");
    assert_eq!(cluster.log(), before);
}

#[test]
fn a_pooler_answers_for_a_dead_database() {
    let dead = super::closed();
    let pooler = PgBouncer::before(dead, "app", PASSWORD);
    let target = format!("postgres://app@{}/app", pooler.address());
    wait_for([&target]).run().succeeds();
    // Only a login proves more.
    let out = wait_for(["--timeout=2s", "--password-env=PW", &target])
        .env("PW", PASSWORD)
        .run();
    out.fails(69);
}

#[test]
fn the_bytes_of_a_probe() {
    let server = Scripted::start(|visitor| {
        startup(visitor)?;
        visitor.say(&hex(
            "52 00 00 00 17 00 00 00 0a 53 43 52 41 4d 2d 53 48 41 2d 32 35 36 00 00",
        ))?;
        visitor.stay()
    });
    wait_for([format!("postgres://{}", server.address())])
        .run()
        .succeeds();
    wait_for([format!(
        "postgres://app@{}/orders?sslmode=disable",
        server.address()
    )])
    .run()
    .succeeds();
    let visits = server.all_over();
    assert_eq!(shown(&visits[0].heard), shown(PLAIN_STARTUP));
    let named = String::from_utf8_lossy(&visits[1].heard[8..]).into_owned();
    assert_eq!(
        named,
        "user\0app\0database\0orders\0application_name\0podinit\0\0"
    );
    for visit in visits {
        assert_eq!(visit.left, Some(Leave::Closed));
    }
}

#[test]
fn a_trusting_server_is_told_goodbye() {
    let server = Scripted::start(|visitor| {
        startup(visitor)?;
        // Authenticated, a parameter, a key, a notice in between, ready: in two pieces.
        visitor.say(&hex(
            "52 00 00 00 08 00 00 00 00 53 00 00 00 08 61 00 62 00",
        ))?;
        visitor.say(&hex(
            "4b 00 00 00 0c 00 00 00 01 00 00 00 02 5a 00 00 00 05 49",
        ))?;
        visitor.stay()
    });
    wait_for([format!("postgres://{}", server.address())])
        .run()
        .succeeds();
    let heard = server.all_over()[0].heard.clone();
    assert!(heard.ends_with(&hex("58 00 00 00 04")), "{}", shown(&heard));
    assert_eq!(heard.len(), 65 + 5);
}

#[test]
fn errors_are_judged_by_their_state() {
    let says = |state: &'static str| {
        Scripted::start(move |visitor| {
            startup(visitor)?;
            visitor.say(&error(state, "no remark"))?;
            visitor.stay()
        })
    };
    for state in ["28000", "28P01", "28999", "3D000"] {
        let server = says(state);
        wait_for([format!("postgres://{}", server.address())])
            .run()
            .succeeds();
    }
    let servers: Vec<_> = ["57P03", "53300", "57P01", "XX000", "08P01", "0A000"]
        .map(says)
        .into();
    for (server, state) in servers
        .iter()
        .zip(["57P03", "53300", "57P01", "XX000", "08P01", "0A000"])
    {
        never_ready(&[(&[&format!("postgres://{}", server.address())], state)]);
    }
    let server = says("3D000");
    never_ready(&[(&[&format!("postgres://{}/app", server.address())], "3D000")]);
    // After trust has let one in, a missing database shows as well.
    let server = Scripted::start(|visitor| {
        startup(visitor)?;
        visitor.say(&hex("52 00 00 00 08 00 00 00 00"))?;
        visitor.say(&error("57P03", "the database system is starting up"))?;
        visitor.stay()
    });
    never_ready(&[(&[&format!("postgres://{}", server.address())], "57P03")]);
}

#[test]
fn another_version_of_the_protocol_is_read_over() {
    let server = Scripted::start(|visitor| {
        startup(visitor)?;
        // NegotiateProtocolVersion, then a demand for a password.
        visitor.say(&hex("76 00 00 00 0c 00 03 00 00 00 00 00 00"))?;
        visitor.say(&hex("52 00 00 00 08 00 00 00 03"))?;
        visitor.stay()
    });
    wait_for([format!("postgres://{}", server.address())])
        .run()
        .succeeds();
}

#[test]
fn tls_is_asked_for_only_where_it_must_be() {
    let server = Scripted::start(|visitor| {
        visitor.hear(8)?;
        // Bytes behind the consent are what an attacker would put there.
        visitor.say(b"SEvil")?;
        visitor.stay()
    });
    let target = format!("postgres://{}?sslmode=require", server.address());
    wait_for(["--timeout=500ms", &target]).run().fails(69);
    let visit = server.all_over()[0].clone();
    assert_eq!(shown(&visit.heard[..8]), "00 00 00 08 04 d2 16 2f");
    assert_eq!(
        visit.heard.len(),
        8,
        "no handshake after bytes that nobody asked for"
    );
    for mode in ["disable", "allow", "prefer"] {
        let server = Scripted::start(|visitor| {
            startup(visitor)?;
            visitor.say(&hex("52 00 00 00 08 00 00 00 03"))?;
            visitor.stay()
        });
        wait_for([format!("postgres://{}?sslmode={mode}", server.address())])
            .run()
            .succeeds();
    }
}

#[test]
fn foreign_keys_do_not_matter() {
    let cluster = Postgres::start(SCRAM, &[]);
    let target = format!(
        "postgres://{}/app?target_session_attrs=any&host=elsewhere",
        cluster.address()
    );
    let out = plainly([&target])
        .env("PGHOST", "elsewhere")
        .env("PGSSLMODE", "verify-full")
        .run();
    out.succeeds();
    assert!(
        out.stderr.contains("target_session_attrs") && !out.stderr.contains("elsewhere"),
        "{out:?}"
    );
    let one = plainly([format!(
        "postgres://{}/app?target_session_attrs=any",
        cluster.address()
    )])
    .run();
    assert!(!warning(&one).contains("any"), "{one:?}");
    until("the server", || {
        cluster.log().contains("ready to accept").then_some(())
    });
}
