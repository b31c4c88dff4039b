//! `mongodb://`, against bytes as a real server sends them.

use super::run::never_ready;
use super::wait_for;
use crate::support::scripted::{Scripted, Visitor, hex, shown};

/// The `hello` that the specification spells out.
const HELLO: &str = "34 00 00 00 01 00 00 00 00 00 00 00 dd 07 00 00 00 00 00 00 00 1f 00 00 00 10 \
    68 65 6c 6c 6f 00 01 00 00 00 02 24 64 62 00 06 00 00 00 61 64 6d 69 6e 00 00";

/// A value of BSON.
enum Value<'v> {
    Bool(bool),
    Int(i32),
    Double(f64),
    Text(&'v str),
}

fn document(members: &[(&str, Value<'_>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in members {
        let (kind, bytes) = match value {
            Value::Bool(is_so) => (8, vec![u8::from(*is_so)]),
            Value::Int(number) => (16, number.to_le_bytes().to_vec()),
            Value::Double(number) => (1, number.to_le_bytes().to_vec()),
            Value::Text(text) => {
                let length = i32::try_from(text.len() + 1).expect("short");
                (2, [&length.to_le_bytes(), text.as_bytes(), &[0]].concat())
            }
        };
        body.push(kind);
        body.extend(name.bytes());
        body.push(0);
        body.extend(bytes);
    }
    let length = i32::try_from(body.len() + 5).expect("short");
    [&length.to_le_bytes()[..], &body, &[0]].concat()
}

/// An `OP_MSG` with one document, in answer to the first request.
fn message(members: &[(&str, Value<'_>)]) -> Vec<u8> {
    let document = document(members);
    let length = i32::try_from(16 + 5 + document.len()).expect("short");
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(hex("07 00 00 00 01 00 00 00 dd 07 00 00 00 00 00 00 00"));
    bytes.extend(document);
    bytes
}

/// The next whole message of the client's.
fn heard(visitor: &mut Visitor<'_>) -> std::io::Result<Vec<u8>> {
    let head = visitor.hear(4)?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let rest = visitor.hear(length as usize - 4)?;
    Ok([head, rest].concat())
}

fn server(answer: Vec<u8>) -> Scripted {
    Scripted::start(move |visitor| {
        heard(visitor)?;
        visitor.say(&answer)?;
        visitor.stay()
    })
}

#[test]
fn case_65_members_of_a_set() {
    let primary = message(&[
        ("isWritablePrimary", Value::Bool(true)),
        ("maxWireVersion", Value::Int(21)),
        ("setName", Value::Text("rs0")),
        ("ok", Value::Double(1.0)),
    ]);
    let secondary = message(&[
        ("isWritablePrimary", Value::Bool(false)),
        ("secondary", Value::Bool(true)),
        ("setName", Value::Text("rs0")),
        ("ok", Value::Double(1.0)),
    ]);
    let mongos = message(&[
        ("isWritablePrimary", Value::Bool(true)),
        ("msg", Value::Text("isdbgrid")),
        ("ok", Value::Int(1)),
    ]);
    for answer in [primary, secondary, mongos] {
        let server = server(answer);
        wait_for([format!("mongodb://{}", server.address())])
            .run()
            .succeeds();
        assert_eq!(shown(&server.all_over()[0].heard), HELLO);
    }
    let young = server(message(&[
        ("isWritablePrimary", Value::Bool(false)),
        ("secondary", Value::Bool(false)),
        ("isreplicaset", Value::Bool(true)),
        (
            "info",
            Value::Text("Does not have a valid replica set config"),
        ),
        ("ok", Value::Double(1.0)),
    ]));
    let starting = server(message(&[
        ("isWritablePrimary", Value::Bool(false)),
        ("secondary", Value::Bool(false)),
        ("setName", Value::Text("rs0")),
        ("ok", Value::Double(1.0)),
    ]));
    let fails = server(message(&[
        ("ok", Value::Double(0.0)),
        ("errmsg", Value::Text("shutting down")),
        ("code", Value::Int(91)),
    ]));
    never_ready(&[
        (
            &[&format!("mongodb://{}", young.address())],
            "not initiated",
        ),
        (&[&format!("mongodb://{}", starting.address())], ""),
        (
            &[&format!("mongodb://{}", fails.address())],
            "shutting down",
        ),
    ]);
}

#[test]
fn an_old_server_knows_only_is_master() {
    let server = Scripted::start(|visitor| {
        loop {
            let asked = heard(visitor)?;
            let is_old = asked
                .windows(8)
                .any(|part| part.eq_ignore_ascii_case(b"isMaster"));
            let answer = if is_old {
                message(&[("ismaster", Value::Bool(true)), ("ok", Value::Double(1.0))])
            } else {
                message(&[
                    ("ok", Value::Double(0.0)),
                    ("errmsg", Value::Text("no such command: 'hello'")),
                    ("code", Value::Int(59)),
                    ("codeName", Value::Text("CommandNotFound")),
                ])
            };
            visitor.say(&answer)?;
        }
    });
    wait_for([format!("mongodb://{}", server.address())])
        .run()
        .succeeds();
}

#[test]
fn a_foreign_user_and_keys_are_ignored() {
    let answer = message(&[
        ("isWritablePrimary", Value::Bool(true)),
        ("ok", Value::Double(1.0)),
    ]);
    let server = server(answer);
    wait_for([format!(
        "mongodb://app@{}/?replicaSet=rs0",
        server.address()
    )])
    .run()
    .succeeds();
    assert_eq!(shown(&server.all_over()[0].heard), HELLO);
}
