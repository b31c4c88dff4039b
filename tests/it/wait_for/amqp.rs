//! `amqp://`, against a scripted broker and a real `RabbitMQ`.

use super::run::{PASSWORD, WRONG, never_ready};
use super::{AT_ONCE, wait_for};
use crate::support::machine_to_itself;
use crate::support::rabbitmq::RabbitMq;
use crate::support::scripted::{Scripted, Visitor, hex, shown};

/// What a client opens with.
const HEADER: &str = "41 4d 51 50 00 00 09 01";

/// A method frame on channel 0.
fn frame(class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let length = u32::try_from(arguments.len() + 4).expect("short");
    let mut bytes = vec![1, 0, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend(class.to_be_bytes());
    bytes.extend(method.to_be_bytes());
    bytes.extend(arguments);
    bytes.push(0xce);
    bytes
}

/// Connection.Start without properties.
fn start() -> Vec<u8> {
    let mut arguments = hex("00 09 00 00 00 00");
    for text in ["PLAIN AMQPLAIN", "en_US"] {
        arguments.extend(u32::try_from(text.len()).expect("short").to_be_bytes());
        arguments.extend(text.bytes());
    }
    frame(10, 10, &arguments)
}

/// Connection.Close with this code.
fn close(code: u16, text: &str) -> Vec<u8> {
    let mut arguments = code.to_be_bytes().to_vec();
    arguments.push(u8::try_from(text.len()).expect("short"));
    arguments.extend(text.bytes());
    arguments.extend([0; 4]);
    frame(10, 50, &arguments)
}

/// The next method of the client's: class, method, arguments.
fn method(visitor: &mut Visitor<'_>) -> std::io::Result<(u16, u16, Vec<u8>)> {
    let head = visitor.hear(7)?;
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let payload = visitor.hear(length as usize + 1)?;
    let two = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
    Ok((two(0), two(2), payload[4..payload.len() - 1].to_vec()))
}

/// A broker that tunes and opens as long as the login is this.
fn broker(login: &'static [u8]) -> Scripted {
    Scripted::start(move |visitor| {
        visitor.hear(8)?;
        visitor.say(&start())?;
        let (_, _, start_ok) = method(visitor)?;
        if !start_ok.windows(login.len()).any(|part| part == login) {
            visitor.say(&close(403, "ACCESS_REFUSED - Login was refused"))?;
            return visitor.stay();
        }
        visitor.say(&frame(10, 30, &hex("00 00 00 02 00 00 00 3c")))?;
        method(visitor)?;
        let (_, _, open) = method(visitor)?;
        if open.starts_with(b"\x04shop") || open.starts_with(b"\x01/") {
            visitor.say(&frame(10, 41, &[0]))?;
            if let (10, 50, _) = method(visitor)? {
                visitor.say(&frame(10, 51, &[]))?;
            }
        } else {
            visitor.say(&close(530, "NOT_ALLOWED - vhost not found"))?;
        }
        visitor.stay()
    })
}

#[test]
fn case_66_a_scripted_broker() {
    let _turn = machine_to_itself();
    let starts = Scripted::start(|visitor| {
        visitor.hear(8)?;
        visitor.say(&start())?;
        visitor.stay()
    });
    wait_for([format!("amqp://{}", starts.address())])
        .run()
        .succeeds();
    let heard = starts.all_over()[0].heard.clone();
    assert!(shown(&heard).starts_with(HEADER), "{}", shown(&heard));

    let old = Scripted::start(|visitor| {
        visitor.hear(8)?;
        visitor.say(&hex("41 4d 51 50 00 01 00 00"))
    });
    let resets = Scripted::start(|visitor| {
        visitor.hear(8)?;
        visitor.reset()
    });
    never_ready(&[
        (&[&format!("amqp://{}", old.address())], "refuses"),
        (&[&format!("amqp://{}", resets.address())], "reset"),
    ]);

    let strict = broker(b"\0app\0another");
    let out = wait_for([
        "--password-env=PW",
        &format!("amqp://app@{}", strict.address()),
    ])
    .env("PW", WRONG)
    .run();
    out.fails(77)
        .within(AT_ONCE)
        .says("app")
        .says("ACCESS_REFUSED");
    let heard = strict.all_over()[0].heard.clone();
    let capability = b"authentication_failure_close";
    assert!(
        heard
            .windows(capability.len())
            .any(|part| part == capability)
    );
}

#[test]
fn a_login_opens_the_vhost() {
    let login = b"\0app\0Zeh9/of the@app%+";
    let run = |vhost: &str| {
        let broker = broker(login);
        let target = format!("amqp://app@{}{vhost}", broker.address());
        wait_for(["--timeout=600ms", "--password-env=PW", &target])
            .env("PW", PASSWORD)
            .run()
    };
    run("").succeeds();
    run("/").succeeds();
    run("/%2F").succeeds();
    run("/shop").succeeds();
    run("/other").fails(69).says("530").says("vhost");
}

#[test]
fn a_real_rabbitmq() {
    let server = RabbitMq::launch("app", PASSWORD);
    let target = format!("amqp://{}", server.address());
    let early = wait_for([&target]).spawn();
    server.wait();
    early.finish().succeeds();
    wait_for([&target]).run().succeeds();
    let before = server.log();
    for _ in 0..5 {
        wait_for([&target]).run().succeeds();
    }
    let after = server.log();
    // An entry may take two lines, each with its time and level.
    let said = &after[before.len()..];
    let closings = said.matches("closing AMQP connection").count();
    assert!(closings <= 5 && !said.contains("[error]"), "{said}");

    let login = |vhost: &str, password: &str| {
        let target = format!("amqp://app@{}{vhost}", server.address());
        wait_for(["--timeout=3s", "--password-env=PW", &target])
            .env("PW", password)
            .run()
    };
    login("", PASSWORD).succeeds();
    login("/%2F", PASSWORD).succeeds();
    login("/nosuch", PASSWORD).fails(69).says("530");
    login("", WRONG).fails(77).says("403").hints("PW");
}
