//! `redis://`, against a real Redis and a scripted one.

use std::net::SocketAddr;
use std::time::Duration;

use super::run::{PASSWORD, PASSWORD_IN_URL, WRONG, never_ready};
use super::{AT_ONCE, closed, wait_for};
use crate::support::clock::after;
use crate::support::redis::Redis;
use crate::support::scripted::Scripted;
use crate::support::{Pod, machine_to_itself};

#[test]
fn case_63_redis() {
    let _turn = machine_to_itself();
    let open = Redis::start(&[]);
    wait_for([format!("redis://{}", open.address())])
        .run()
        .succeeds();
    let guarded = Redis::start(&["--requirepass", PASSWORD]);
    let target = format!("redis://{}", guarded.address());
    wait_for([&target]).run().succeeds();
    wait_for(["--password-env=PW", &target])
        .env("PW", PASSWORD)
        .run()
        .succeeds();
    let out = wait_for(["--password-env=PW", &target])
        .env("PW", WRONG)
        .run();
    out.fails(77)
        .within(AT_ONCE)
        .says(&guarded.address().to_string());
    let own = format!("redis://:{PASSWORD_IN_URL}@{}", guarded.address());
    wait_for([""; 0])
        .env("PODINIT_TARGETS", own)
        .run()
        .succeeds();
    let own = format!("{target}?password-env=PW");
    wait_for([&own]).env("PW", WRONG).run().fails(77);
    // Where no password is set, one that is given is wrong.
    let target = format!("redis://{}", open.address());
    wait_for(["--password-env=PW", &target])
        .env("PW", PASSWORD)
        .run()
        .fails(77);
}

#[test]
fn case_63_a_replica_without_its_master() {
    let master = Redis::start(&[]);
    let at = master.address();
    let link = format!("{} {}", at.ip(), at.port());
    let replica = Redis::start(&["--replicaof", &link, "--replica-serve-stale-data", "no"]);
    drop(master);
    crate::support::clock::until("the replica to notice", || {
        replica.ask("PING").contains("MASTERDOWN").then_some(())
    });
    never_ready(&[(&[&format!("redis://{}", replica.address())], "MASTERDOWN")]);
}

#[test]
fn case_63_protected_mode() {
    let pod = Pod::own_network();
    pod.sh("ip link set lo up; ip address add 10.77.0.1/32 dev lo");
    let address = SocketAddr::from(([10, 77, 0, 1], 6379));
    let _redis = Redis::inside(&pod, address, &["--bind", "0.0.0.0"]);
    let out = wait_for(["redis://10.77.0.1"]).inside(&pod).run();
    out.fails(77).says("protected mode");
}

#[test]
fn a_redis_that_loads_is_not_ready() {
    let mut redis = Redis::prepare();
    redis.run(&["--enable-debug-command", "yes"]);
    redis.wait();
    assert_eq!(redis.ask("DEBUG POPULATE 3000 key 64"), "+OK");
    assert_eq!(redis.ask("SAVE"), "+OK");
    redis.stop();
    // Half a millisecond a key: loading takes a second and a half, during which it answers.
    redis.run(&[
        "--key-load-delay",
        "500",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    let run = wait_for([format!("redis://{}", redis.address())]).spawn();
    run.line_with("LOADING");
    let out = run.finish();
    out.succeeds();
    assert!(redis.log().contains("Ready to accept connections"));
}

#[test]
fn no_line_is_left_in_the_log() {
    let redis = Redis::start(&["--loglevel", "verbose", "--requirepass", PASSWORD]);
    let errors = |log: &str| {
        let lines = log
            .lines()
            .filter(|line| line.contains(" # ") && !line.contains("Ready"));
        lines.count()
    };
    let before = errors(&redis.log());
    let target = format!("redis://{}", redis.address());
    for _ in 0..20 {
        wait_for([&target]).run().succeeds();
    }
    assert_eq!(errors(&redis.log()), before, "{}", redis.log());
}

#[test]
fn what_redis_says_before_it_is_asked() {
    let denied = Scripted::start(|visitor| {
        visitor.say(b"-DENIED Redis is running in protected mode because\r\n")?;
        visitor.stay()
    });
    wait_for([format!("redis://{}", denied.address())])
        .run()
        .fails(77);
    let full = Scripted::start(|visitor| {
        visitor.say(b"-ERR max number of clients reached\r\n")?;
        visitor.stay()
    });
    let busy = Scripted::start(|visitor| {
        visitor.hear_until(b"\r\n")?;
        visitor.say(b"-BUSY Redis is busy running a script.\r\n")?;
        visitor.stay()
    });
    never_ready(&[
        (
            &[&format!("redis://{}", full.address())],
            "max number of clients",
        ),
        (&[&format!("redis://{}", busy.address())], "BUSY"),
    ]);
    let limited = Scripted::start(|visitor| {
        visitor.hear_until(b"\r\n")?;
        visitor.say(b"-NOPERM this user has no permissions to run the 'ping' command\r\n")?;
        visitor.stay()
    });
    wait_for([format!("redis://{}", limited.address())])
        .run()
        .succeeds();
}

#[test]
fn the_bytes_of_a_probe() {
    let server = Scripted::start(|visitor| {
        visitor.hear_until(b"of it\r\n")?;
        visitor.say(b"+OK\r\n")?;
        visitor.hear_until(b"PING\r\n")?;
        visitor.say(b"+PONG\r\n")?;
        visitor.stay()
    });
    let target = format!("redis://{}?password-env=PW", server.address());
    wait_for([&target])
        .env("PW", "two\r\nlines of it")
        .run()
        .succeeds();
    let heard = server.all_over()[0].heard.clone();
    let wanted = b"*2\r\n$4\r\nAUTH\r\n$16\r\ntwo\r\nlines of it\r\nPING\r\n";
    assert_eq!(
        String::from_utf8_lossy(&heard),
        String::from_utf8_lossy(wanted)
    );
}

#[test]
fn a_redis_that_starts_later_is_noticed() {
    let mut redis = Redis::prepare();
    let run = wait_for([format!("redis://{}", redis.address())]).spawn();
    run.line_with("refused");
    let later = after(Duration::from_millis(200), move || {
        redis.run(&[]);
        redis.wait();
        redis
    });
    let out = run.finish();
    let (at, _redis) = later.happened();
    out.succeeds();
    assert!(out.ended < at + Duration::from_millis(1500), "{out:?}");
}

#[test]
fn refused_is_not_ready() {
    never_ready(&[(&[&format!("redis://{}", closed())], "connection refused")]);
}
