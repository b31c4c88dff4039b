//! `grpc://`, against a real server and a scripted one.

use std::time::Duration;

use super::run::never_ready;
use super::{AT_ONCE, wait_for};
use crate::support::authority::Authority;
use crate::support::clock::after;
use crate::support::grpc::Grpc;
use crate::support::machine_to_itself;
use crate::support::scripted::{Scripted, Visitor};
use crate::support::tls_front::TlsFront;

#[test]
fn case_68_health() {
    let _turn = machine_to_itself();
    let server = Grpc::healthy();
    let target = format!("grpc://{}", server.address());
    wait_for([&target]).run().succeeds();
    let service = format!("{target}/orders.v1.Orders");
    // A service that is not known may register yet.
    never_ready(&[(&[&service], "")]);
    server.set("orders.v1.Orders", false);
    let run = wait_for([&service]).spawn();
    run.line_with("NOT_SERVING");
    let later = after(Duration::from_secs(2), move || {
        server.set("orders.v1.Orders", true);
        server
    });
    let out = run.finish();
    let (at, _server) = later.happened();
    out.succeeds().within_of(Duration::from_millis(1100), at);

    let bare = Grpc::without_health();
    let out = wait_for([format!("grpc://{}", bare.address())]).run();
    out.fails(66)
        .within(AT_ONCE)
        .hints("grpc.health.v1")
        .hints("tcp://");
}

#[test]
fn health_over_tls() {
    let authority = Authority::new();
    let server = Grpc::healthy();
    let front = TlsFront::speaking(server.address(), &authority, "good", &["h2"]);
    let target = format!("grpcs://{}", front.address());
    let ca = authority.root().display().to_string();
    wait_for(["--ca-file", &ca, &target]).run().succeeds();
    wait_for([&target]).run().fails(77);
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header that is not indexed, in literals.
fn header(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        bytes.push(u8::try_from(text.len()).expect("short"));
        bytes.extend(text.bytes());
    }
    bytes
}

const HEADERS: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Reads until the request is whole, then answers with this status, message and trailers.
fn serve(
    visitor: &mut Visitor<'_>,
    status: &str,
    message: Option<&[u8]>,
    trailers: &[(&str, &str)],
) -> std::io::Result<()> {
    visitor.hear(24)?;
    visitor.say(&frame(4, 0, 0, &[]))?;
    let stream = loop {
        let head = visitor.hear(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        visitor.hear(length as usize)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if head[3] == 4 && head[4] & 1 == 0 {
            visitor.say(&frame(4, 1, 0, &[]))?;
        }
        if head[3] <= HEADERS && head[4] & END_STREAM != 0 {
            break stream;
        }
    };
    let mut block = header(":status", status);
    block.extend(header("content-type", "application/grpc"));
    visitor.say(&frame(HEADERS, END_HEADERS, stream, &block))?;
    if let Some(message) = message {
        let length = u32::try_from(message.len()).expect("short");
        let body = [&[0][..], &length.to_be_bytes(), message].concat();
        visitor.say(&frame(0, 0, stream, &body))?;
    }
    let block: Vec<u8> = trailers
        .iter()
        .flat_map(|(name, value)| header(name, value))
        .collect();
    visitor.say(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &block))?;
    visitor.stay()
}

fn server(
    status: &'static str,
    message: Option<&'static [u8]>,
    code: &'static str,
) -> (Scripted, String) {
    let server = Scripted::start(move |visitor| {
        serve(
            visitor,
            status,
            message,
            &[("grpc-status", code), ("grpc-message", "no%20remark")],
        )
    });
    let target = format!("grpc://{}", server.address());
    (server, target)
}

#[test]
fn the_trailers_decide() {
    let (_serving, target) = server("200", Some(&[8, 1]), "0");
    wait_for([&target]).run().succeeds();
    // Some servers send an empty message and say in the trailers that there is no such service.
    let (_unknown, unknown) = server("200", Some(&[]), "5");
    let (_lies, lies) = server("200", Some(&[8, 1]), "14");
    let (_mute, mute) = server("200", None, "0");
    let (_empty, empty) = server("200", Some(&[]), "0");
    let (_not, not) = server("200", Some(&[8, 2]), "0");
    let (_proxy, proxy) = server("503", None, "0");
    never_ready(&[
        (&[&unknown], "5"),
        (&[&lies], "14"),
        (&[&mute], ""),
        (&[&empty], "UNKNOWN"),
        (&[&not], "NOT_SERVING"),
        (&[&proxy], "503"),
    ]);
    for (code, exit) in [("12", 66), ("7", 77), ("16", 77)] {
        let (_server, target) = server("200", None, code);
        wait_for([&target]).run().fails(exit);
    }
}
