//! Faults on the wire: every protocol against every fault, with the deadline kept and the true
//! cause told.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::run::{ACCOUNT, Files, PASSWORD};
use super::{LATE, wait_for};
use crate::support::authority::Authority;
use crate::support::backlog::Full;
use crate::support::dns::{Answer, Dns};
use crate::support::machine_to_itself;
use crate::support::scripted::{Scripted, Visitor};
use crate::support::wire::own_address;

/// How long every run has.
const DEADLINE: Duration = Duration::from_secs(1);

/// What a mail server says to everybody.
const BANNER: &[u8] = b"220 mail.example ESMTP at your service\r\n";

/// A protocol: its name, its target with `AT` for the server, and how a good answer begins.
struct Protocol {
    name: &'static str,
    target: &'static str,
    begins: &'static [u8],
}

impl Protocol {
    /// Waits for the client's first byte where it is the client who begins.
    fn is_heard(&self, visitor: &mut Visitor<'_>) -> io::Result<()> {
        let server_begins = ["bytes", "mysql", "mysql login", "nats"];
        if !server_begins.contains(&self.name) {
            visitor.hear(1)?;
        }
        Ok(())
    }
}

const TLS: &[u8] = b"\x16\x03\x03\x00\x5a\x02\x00\x00\x56\x03\x03";

const PROTOCOLS: &[Protocol] = &[
    Protocol {
        name: "bytes",
        target: "tcp://AT?expect=never-said",
        begins: b"never-",
    },
    Protocol {
        name: "http",
        target: "http://AT/",
        begins: b"HTTP/1.1 200 OK\r\nContent-Le",
    },
    Protocol {
        name: "https",
        target: "https://AT/",
        begins: TLS,
    },
    Protocol {
        name: "postgres",
        target: "postgres://AT/db",
        begins: b"R\x00\x00\x00\x17\x00\x00\x00",
    },
    Protocol {
        name: "postgres with TLS",
        target: "postgres://AT/db?sslmode=require",
        begins: b"S",
    },
    Protocol {
        name: "postgres login",
        target: "postgres://app@AT/db?password-env=PW&sslmode=disable",
        begins: b"R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM",
    },
    Protocol {
        name: "mysql",
        target: "mysql://AT/db",
        begins: b"\x4a\x00\x00\x00\x0a10.11.19-Mar",
    },
    Protocol {
        name: "mysql login",
        target: "mysql://app@AT/db?password-env=PW&ssl-mode=disabled",
        begins: b"\x4a\x00\x00\x00\x0a10.11.19-Mar",
    },
    Protocol {
        name: "redis",
        target: "redis://AT",
        begins: b"+PO",
    },
    Protocol {
        name: "redis login",
        target: "redis://AT?password-env=PW",
        begins: b"+O",
    },
    Protocol {
        name: "rediss",
        target: "rediss://AT",
        begins: TLS,
    },
    Protocol {
        name: "mongodb",
        target: "mongodb://AT",
        begins: b"\x60\x00\x00\x00\x07\x00",
    },
    Protocol {
        name: "amqp",
        target: "amqp://AT",
        begins: b"\x01\x00\x00\x00\x00\x01\xf1\x00",
    },
    Protocol {
        name: "amqps",
        target: "amqps://AT",
        begins: TLS,
    },
    Protocol {
        name: "kafka",
        target: "kafka://AT",
        begins: b"\x00\x00\x00\x20\x00\x00",
    },
    Protocol {
        name: "nats",
        target: "nats://AT",
        begins: b"INFO {\"server_id\":",
    },
    Protocol {
        name: "memcached",
        target: "memcached://AT",
        begins: b"VERS",
    },
    Protocol {
        name: "grpc",
        target: "grpc://AT",
        begins: b"\x00\x00\x06\x04\x00\x00",
    },
    Protocol {
        name: "grpcs",
        target: "grpcs://AT",
        begins: TLS,
    },
    Protocol {
        name: "vault",
        target: "vault://AT",
        begins: b"HTTP/1.1 200 OK\r\nContent-Le",
    },
    Protocol {
        name: "vaults",
        target: "vaults://AT",
        begins: TLS,
    },
    Protocol {
        name: "s3",
        target: "s3://bucket/key",
        begins: b"HTTP/1.1 200 OK\r\nContent-Le",
    },
    Protocol {
        name: "k8s",
        target: "k8s://prod/pods/x",
        begins: TLS,
    },
];

/// What the server does wrong, and the words of which one must be in the cause.
struct Fault {
    name: &'static str,
    act: fn(&mut Visitor<'_>, &'static Protocol) -> io::Result<()>,
    causes: &'static [&'static str],
}

const CLOSED: &[&str] = &["closed", "reset", "handshake eof", "no whole"];
const UNANSWERED: &[&str] = &["no answer"];
const STRANGE: &[&str] = &["not ", "TLS handshake failed", "invalid HTTP"];

const FAULTS: &[Fault] = &[
    Fault {
        name: "says nothing",
        act: |visitor, _| visitor.stay(),
        causes: UNANSWERED,
    },
    Fault {
        name: "resets",
        act: |visitor, _| visitor.reset(),
        causes: CLOSED,
    },
    Fault {
        name: "closes at once",
        act: |_, _| Ok(()),
        causes: CLOSED,
    },
    Fault {
        name: "says the half and stalls",
        act: |visitor, protocol| {
            protocol.is_heard(visitor)?;
            visitor.say(protocol.begins)?;
            visitor.stay()
        },
        causes: UNANSWERED,
    },
    Fault {
        name: "says the half and closes",
        act: |visitor, protocol| {
            protocol.is_heard(visitor)?;
            visitor.say(protocol.begins)
        },
        causes: CLOSED,
    },
    Fault {
        name: "drips",
        act: |visitor, protocol| {
            protocol.is_heard(visitor)?;
            visitor.drip(protocol.begins)
        },
        causes: UNANSWERED,
    },
    Fault {
        name: "speaks another protocol",
        act: |visitor, _| {
            visitor.say(BANNER)?;
            visitor.stay()
        },
        causes: STRANGE,
    },
    Fault {
        name: "says garbage",
        act: |visitor, protocol| {
            protocol.is_heard(visitor)?;
            visitor.say(&[0xf7; 512])?;
            visitor.stay()
        },
        causes: STRANGE,
    },
];

/// Targets of one run, with all the surroundings that some of them need.
fn run(
    servers: &[(&Protocol, SocketAddr)],
    account: &Files,
) -> (Vec<(String, String)>, Instant, Instant) {
    let address_of = |name: &str| {
        let found = servers.iter().find(|(protocol, _)| protocol.name == name);
        found.map_or_else(super::closed, |(_, address)| *address)
    };
    let targets = servers
        .iter()
        .map(|(protocol, address)| protocol.target.replace("AT", &address.to_string()));
    let kubernetes = address_of("k8s");
    let out = wait_for(["--timeout=1s", "--attempt-timeout=30s", "--output=json"])
        .args(["--service-account-dir", &account.at("")])
        .args(targets)
        .env("PW", PASSWORD)
        .env("AWS_ENDPOINT_URL", format!("http://{}", address_of("s3")))
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAFAULTS")
        .env("AWS_SECRET_ACCESS_KEY", PASSWORD)
        .env("KUBERNETES_SERVICE_HOST", kubernetes.ip().to_string())
        .env("KUBERNETES_SERVICE_PORT", kubernetes.port().to_string())
        .run();
    out.ends_with(69);
    let document = out.json();
    let told = document["targets"].as_array().expect("targets").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let causes: Vec<_> = told
        .map(|one| {
            assert_eq!(one["ready"], false, "{one}: {out:?}");
            (text(&one["target"]), text(&one["cause"]))
        })
        .collect();
    assert_eq!(causes.len(), servers.len(), "{out:?}");
    (causes, out.started, out.ended)
}

fn account() -> Files {
    let account = Files::new();
    account.put("token", ACCOUNT);
    account.put("namespace", "prod");
    std::fs::copy(Authority::new().root(), account.path("ca.crt")).expect("a copy");
    account
}

#[track_caller]
fn in_time(fault: &str, started: Instant, ended: Instant) {
    let took = ended - started;
    assert!(
        took >= DEADLINE && took <= DEADLINE + LATE,
        "{fault}: took {took:?}"
    );
}

#[test]
fn every_protocol_meets_every_fault() {
    let _turn = machine_to_itself();
    let account = account();
    let mut wrong = Vec::new();
    for fault in FAULTS {
        let servers: Vec<_> = PROTOCOLS
            .iter()
            .map(|protocol| Scripted::start(move |visitor| (fault.act)(visitor, protocol)))
            .collect();
        let addresses: Vec<_> = PROTOCOLS
            .iter()
            .zip(servers.iter().map(Scripted::address))
            .collect();
        let (causes, started, ended) = run(&addresses, &account);
        in_time(fault.name, started, ended);
        for ((target, cause), protocol) in causes.iter().zip(PROTOCOLS) {
            // What is not the text that was waited for is no answer either.
            let is_bytes = protocol.name == "bytes" && cause.contains("never-said");
            if !is_bytes && !fault.causes.iter().any(|part| cause.contains(part)) {
                wrong.push(format!(
                    "{} {}: {target}: {cause}",
                    protocol.name, fault.name
                ));
            }
        }
        for (server, protocol) in servers.iter().zip(PROTOCOLS) {
            assert!(
                !server.visits().is_empty(),
                "{} was never asked",
                protocol.name
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A port that opens and closes ten times a second and serves nobody.
struct Flapping {
    over: Arc<AtomicBool>,
    flapping: Option<JoinHandle<()>>,
}

impl Flapping {
    fn at(addresses: Vec<SocketAddr>) -> Self {
        const TURN: Duration = Duration::from_millis(50);
        let over = Arc::new(AtomicBool::new(false));
        let flapping = thread::spawn({
            let over = Arc::clone(&over);
            move || {
                while !over.load(Ordering::Relaxed) {
                    let open: Vec<_> = addresses.iter().map(TcpListener::bind).collect();
                    thread::park_timeout(TURN);
                    drop(open);
                    thread::park_timeout(TURN);
                }
            }
        });
        Self {
            over,
            flapping: Some(flapping),
        }
    }
}

impl Drop for Flapping {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(self.flapping.take().map(JoinHandle::join));
    }
}

#[test]
fn every_protocol_meets_a_port_that_flaps() {
    let _turn = machine_to_itself();
    let account = account();
    let addresses: Vec<_> = PROTOCOLS
        .iter()
        .map(|protocol| (protocol, own_address()))
        .collect();
    let _flapping = Flapping::at(addresses.iter().map(|(_, address)| *address).collect());
    let (causes, started, ended) = run(&addresses, &account);
    in_time("flaps", started, ended);
    for (target, cause) in causes {
        let is_true = ["closed", "reset", "refused", "no answer"]
            .iter()
            .any(|part| cause.contains(part));
        assert!(is_true, "{target}: {cause}");
    }
}

#[test]
fn every_protocol_meets_a_closed_port() {
    let _turn = machine_to_itself();
    let account = account();
    let addresses: Vec<_> = PROTOCOLS
        .iter()
        .map(|protocol| (protocol, super::closed()))
        .collect();
    let (causes, started, ended) = run(&addresses, &account);
    in_time("closed", started, ended);
    for (target, cause) in causes {
        assert!(cause.contains("refused"), "{target}: {cause}");
    }
}

/// Servers that stop in the middle of an exchange, each at another step.
fn stalling() -> Vec<(&'static str, Scripted)> {
    fn stall(say: Vec<&'static [u8]>) -> Scripted {
        Scripted::start(move |visitor| {
            for part in &say {
                visitor.hear(1)?;
                visitor.say(part)?;
            }
            visitor.stay()
        })
    }
    let greets = Scripted::start(|visitor| {
        visitor.say(b"\x60\x00\x00\x00\x0a10.11.19-MariaDB\0\x07\0\0\0abcdefgh\0\x00\x8a\x2d\x02\x00\x08\x00\x15")?;
        visitor.say(&[0; 10])?;
        visitor.say(b"ijklmnopqrst\0mysql_native_pass")?;
        visitor.stay()
    });
    let informs = Scripted::start(|visitor| {
        visitor.say(b"INFO {\"server_id\":\"x\"}\r\n")?;
        visitor.stay()
    });
    vec![
        (
            "postgres",
            stall(vec![
                b"R\x00\x00\x00\x08\x00\x00\x00\x00S\x00\x00\x00\x08a\0b\0",
            ]),
        ),
        ("postgres://?sslmode=require", stall(vec![b"S"])),
        ("mysql", greets),
        ("nats", informs),
        (
            "http",
            stall(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"]),
        ),
        ("grpc", stall(vec![b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"])),
        (
            "kafka",
            stall(vec![
                b"\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x03\x00\x00\x00\x09",
            ]),
        ),
        ("redis://?password-env=PW", stall(vec![b"+OK\r\n"])),
    ]
}

#[test]
fn the_deadline_is_kept_at_every_step() {
    let _turn = machine_to_itself();
    let mute = Dns::start(|_| Answer::silence());
    let dropped = Full::new();
    let stalling = stalling();
    let mut targets: Vec<_> = stalling
        .iter()
        .map(|(form, server)| match form.split_once("://") {
            Some((scheme, query)) => format!("{scheme}://{}{query}", server.address()),
            None => format!("{form}://{}", server.address()),
        })
        .collect();
    targets.push(format!("tcp://{}", dropped.address()));
    targets.push(format!("dns://a.example?server={}", mute.address()));
    // Alone and together.
    let mut runs: Vec<Vec<String>> = targets.iter().map(|target| vec![target.clone()]).collect();
    runs.push(targets);
    for targets in runs {
        let out = wait_for(["--timeout=300ms", "--attempt-timeout=30s"])
            .args(&targets)
            .env("PW", PASSWORD)
            .run();
        let limit = Duration::from_millis(300);
        out.fails(69)
            .says("no answer")
            .no_sooner_than(limit)
            .within(limit + LATE);
    }
    let names = Dns::on_port_53(|_| Answer::silence());
    let resolver = format!("nameserver {}\n", names.address().ip());
    let out = wait_for([
        "--timeout=1s",
        "postgres://app@db.example/x?password-env=PW",
        "http://app.example",
    ])
    .env("PW", PASSWORD)
    .with_file("/etc/resolv.conf", &resolver)
    .run();
    out.fails(69)
        .no_sooner_than(DEADLINE)
        .within(DEADLINE + LATE);
}

#[test]
fn bytes_of_a_stranger_are_shown_escaped() {
    let server = Scripted::start(|visitor| {
        visitor.say(b"\x1b[31mSSH-2.0-OpenSSH\r\n\x00\xff0123456789abcdefghijklmnopqrstuvwxyz")?;
        visitor.stay()
    });
    let out = wait_for([
        "--timeout=300ms",
        &format!("memcached://{}", server.address()),
    ])
    .run();
    out.fails(69).says("not memcached").says("SSH-2.0-OpenSSH");
    assert!(!out.stderr.contains('\u{1b}'), "{out:?}");
    out.does_not_say("xyz").hints("TLS");
}
