//! `nats://` and `memcached://`, against real servers and scripted ones.

use super::run::{PASSWORD, WRONG, never_ready};
use super::{AT_ONCE, wait_for};
use crate::support::machine_to_itself;
use crate::support::scripted::Scripted;
use crate::support::small_servers::Small;

#[test]
fn case_64_memcached() {
    let server = Small::memcached();
    let before = server.log();
    for _ in 0..10 {
        wait_for([format!("memcached://{}", server.address())])
            .run()
            .succeeds();
    }
    assert_eq!(server.log(), before);
    let other = Scripted::start(|visitor| {
        visitor.hear_until(b"version\r\n")?;
        visitor.say(b"ERROR\r\n")?;
        visitor.stay()
    });
    never_ready(&[(&[&format!("memcached://{}", other.address())], "ERROR")]);
    assert_eq!(other.visits()[0].heard, b"version\r\n");
}

#[test]
fn case_64_nats() {
    let _turn = machine_to_itself();
    let open = Small::nats(&[]);
    let before = open.log();
    for _ in 0..10 {
        wait_for([format!("nats://{}", open.address())])
            .run()
            .succeeds();
    }
    assert_eq!(open.log(), before);

    let guarded = Small::nats(&["--user", "app", "--pass", PASSWORD]);
    let before = guarded.log();
    for _ in 0..10 {
        wait_for([format!("nats://{}", guarded.address())])
            .run()
            .succeeds();
    }
    assert_eq!(guarded.log(), before, "no error line");
    let target = format!("nats://app@{}", guarded.address());
    wait_for(["--password-env=PW", &target])
        .env("PW", PASSWORD)
        .run()
        .succeeds();
    let out = wait_for(["--password-env=PW", &target])
        .env("PW", WRONG)
        .run();
    out.fails(77)
        .within(AT_ONCE)
        .says("Authorization Violation")
        .says("app");
}

#[test]
fn what_nats_says() {
    let info = b"INFO {\"server_id\":\"x\",\"version\":\"2.9.10\",\"max_payload\":1048576}\r\n";
    let refuses = Scripted::start(move |visitor| {
        visitor.say(info)?;
        visitor.hear_until(b"PING\r\n")?;
        visitor.say(b"-ERR 'maximum connections exceeded'\r\n")?;
        visitor.stay()
    });
    let other = Scripted::start(|visitor| {
        visitor.say(b"220 mail.example ESMTP\r\n")?;
        visitor.stay()
    });
    never_ready(&[
        (
            &[&format!("nats://{}", refuses.address())],
            "maximum connections",
        ),
        (
            &[&format!("nats://{}", other.address())],
            "220 mail.example",
        ),
    ]);
    // An answer may come with a PING of the server's own before.
    let chatty = Scripted::start(move |visitor| {
        visitor.say(info)?;
        visitor.hear_until(b"PING\r\n")?;
        visitor.say(b"PING\r\nPONG\r\n")?;
        visitor.stay()
    });
    wait_for([format!("nats://{}", chatty.address())])
        .run()
        .succeeds();
    let heard = String::from_utf8_lossy(&chatty.all_over()[0].heard).into_owned();
    assert!(heard.starts_with("CONNECT {"), "{heard}");
    assert!(
        heard.contains(r#""verbose":false"#) && heard.contains(r#""pedantic":false"#),
        "{heard}"
    );
    // Who demands a login and gets none hears nothing at all.
    let demands = Scripted::start(|visitor| {
        visitor.say(b"INFO {\"server_id\":\"x\",\"auth_required\":true}\r\n")?;
        visitor.stay()
    });
    wait_for([format!("nats://{}", demands.address())])
        .run()
        .succeeds();
    assert!(demands.all_over()[0].heard.is_empty());
}
