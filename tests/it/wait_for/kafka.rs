//! `kafka://`, against a scripted broker and a real gateway, `SeaweedFS`'s.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::run::never_ready;
use super::wait_for;
use crate::support::scripted::{Scripted, Visitor, hex, shown};
use crate::support::seaweedfs::SeaweedFs;

/// What a client opens with: `ApiVersions`, version 0, from `podinit`.
const OPENING: &str = "00 00 00 11 00 12 00 00 00 00 00 01 00 07 70 6f 64 69 6e 69 74";

/// What the cluster says of itself.
#[derive(Clone, Copy)]
struct Cluster {
    brokers: u32,
    /// The code of the topic, and whether its one partition has a leader.
    topic: Option<(u16, bool)>,
    versions: (u16, u16),
}

const TWO_BROKERS: Cluster = Cluster {
    brokers: 2,
    topic: None,
    versions: (0, 12),
};

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// The next request: its kind, its version, its correlation and what follows the client's name.
fn request(visitor: &mut Visitor<'_>) -> io::Result<(u16, u16, Vec<u8>, Vec<u8>)> {
    let head = visitor.hear(4)?;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
    let bytes = visitor.hear(length as usize)?;
    let two = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let name = usize::from(two(8));
    Ok((
        two(0),
        two(2),
        bytes[4..8].to_vec(),
        bytes[10 + name..].to_vec(),
    ))
}

fn answer(visitor: &mut Visitor<'_>, correlation: &[u8], body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(correlation.len() + body.len()).expect("short");
    visitor.say(&[&length.to_be_bytes(), correlation, body].concat())
}

fn versions(cluster: Cluster) -> Vec<u8> {
    let mut body = hex("00 00 00 00 00 02");
    body.extend(hex("00 12 00 00 00 03"));
    body.extend(hex("00 03"));
    body.extend(cluster.versions.0.to_be_bytes());
    body.extend(cluster.versions.1.to_be_bytes());
    body
}

fn metadata(cluster: Cluster, version: u16) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(cluster.brokers.to_be_bytes());
    for node in 0..cluster.brokers {
        body.extend(node.to_be_bytes());
        body.extend(text("broker.example"));
        body.extend(9092_u32.to_be_bytes());
        body.extend(hex("ff ff"));
    }
    body.extend(text("cluster"));
    body.extend([0; 4]);
    body.extend(u32::from(cluster.topic.is_some()).to_be_bytes());
    if let Some((code, has_leader)) = cluster.topic {
        body.extend(code.to_be_bytes());
        body.extend(text("orders"));
        body.push(0);
        body.extend(1_u32.to_be_bytes());
        body.extend(if has_leader { [0, 0] } else { [0, 5] });
        body.extend([0; 4]);
        body.extend(if has_leader { [0; 4] } else { [0xff; 4] });
        if version >= 7 {
            body.extend([0; 4]);
        }
        // Replicas and those in sync: none that matter; from version 5 the offline ones as well.
        body.extend(vec![0; if version >= 5 { 12 } else { 8 }]);
        if version >= 8 {
            body.extend([0; 4]);
        }
    }
    if version >= 8 {
        body.extend([0; 4]);
    }
    body
}

/// A broker that says so. It notes whether a request would have created a topic.
fn broker(cluster: Cluster) -> (Scripted, Arc<AtomicBool>) {
    let creates = Arc::new(AtomicBool::new(false));
    let server = Scripted::start({
        let creates = Arc::clone(&creates);
        move |visitor| {
            let (kind, version, correlation, _) = request(visitor)?;
            assert_eq!((kind, version), (18, 0));
            answer(visitor, &correlation, &versions(cluster))?;
            let (kind, version, correlation, rest) = request(visitor)?;
            assert_eq!(kind, 3);
            assert!((4..=8).contains(&version), "version {version}");
            let named = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
            let after = if named == 1 {
                4 + 2 + "orders".len()
            } else {
                4
            };
            if named > 1 || rest[after] != 0 {
                creates.store(true, Ordering::Relaxed);
            }
            let cluster = Cluster {
                topic: if named == 1 { cluster.topic } else { None },
                ..cluster
            };
            answer(visitor, &correlation, &metadata(cluster, version))?;
            visitor.stay()
        }
    });
    (server, creates)
}

#[test]
fn case_67_a_scripted_broker() {
    let (two, creates) = broker(TWO_BROKERS);
    wait_for([format!("kafka://{}", two.address())])
        .run()
        .succeeds();
    let heard = two.all_over()[0].heard.clone();
    assert!(shown(&heard).starts_with(OPENING), "{}", shown(&heard));
    assert!(!creates.load(Ordering::Relaxed), "{}", shown(&heard));

    let (none, _) = broker(Cluster {
        brokers: 0,
        ..TWO_BROKERS
    });
    never_ready(&[(&[&format!("kafka://{}", none.address())], "no broker")]);

    let with_topic = |topic| Cluster {
        topic: Some(topic),
        ..TWO_BROKERS
    };
    let (led, creates) = broker(with_topic((0, true)));
    wait_for([format!("kafka://{}?topic=orders", led.address())])
        .run()
        .succeeds();
    assert!(!creates.load(Ordering::Relaxed));
    let (leaderless, creates) = broker(with_topic((0, false)));
    let (unknown, _) = broker(with_topic((3, true)));
    let (electing, _) = broker(with_topic((5, true)));
    never_ready(&[
        (
            &[&format!("kafka://{}?topic=orders", leaderless.address())],
            "leader",
        ),
        (
            &[&format!("kafka://{}?topic=orders", unknown.address())],
            "orders",
        ),
        (
            &[&format!("kafka://{}?topic=orders", electing.address())],
            "leader",
        ),
    ]);
    assert!(!creates.load(Ordering::Relaxed));

    // A listener that wants a login hangs up on everything else.
    let sasl = Scripted::start(|visitor| {
        let (_, _, correlation, _) = request(visitor)?;
        answer(visitor, &correlation, &versions(TWO_BROKERS))?;
        request(visitor)?;
        Ok(())
    });
    wait_for([format!("kafka://{}", sasl.address())])
        .run()
        .succeeds();
    never_ready(&[(
        &[&format!("kafka://{}?topic=orders", sasl.address())],
        "closed",
    )]);
}

#[test]
fn every_version_of_the_range_is_understood() {
    for version in 4..=8 {
        let cluster = Cluster {
            versions: (version, version),
            topic: Some((0, true)),
            ..TWO_BROKERS
        };
        let (server, creates) = broker(cluster);
        wait_for([format!("kafka://{}?topic=orders", server.address())])
            .run()
            .succeeds();
        assert!(!creates.load(Ordering::Relaxed));
    }
    for range in [(0, 3), (9, 12)] {
        let (server, _) = broker(Cluster {
            versions: range,
            ..TWO_BROKERS
        });
        never_ready(&[(&[&format!("kafka://{}", server.address())], "Metadata")]);
    }
}

#[test]
fn a_real_gateway() {
    let server = SeaweedFs::with_kafka();
    wait_for([format!("kafka://{}", server.kafka())])
        .run()
        .succeeds();
    never_ready(&[(
        &[&format!("kafka://{}?topic=nosuch", server.kafka())],
        "nosuch",
    )]);
}
