//! `mysql://`, against a real MariaDB and a scripted server, and how little harm it does.

use std::net::SocketAddr;

use super::run::{PASSWORD, PASSWORD_IN_URL, WRONG, never_ready, together};
use super::{AT_ONCE, plainly, wait_for};
use crate::support::mariadb::MariaDb;
use crate::support::scripted::{Scripted, Visitor, shown};
use crate::support::{Pod, machine_to_itself};

/// A packet of this number.
fn packet(number: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_le_bytes();
    [&length[..3], &[number], payload].concat()
}

/// An ERR of this code; the state is left out before the greeting.
fn refusal(code: u16, state: &str, message: &str) -> Vec<u8> {
    let mut payload = vec![0xff];
    payload.extend(code.to_le_bytes());
    payload.extend(state.bytes());
    payload.extend(message.bytes());
    payload
}

/// A greeting that proposes this plugin.
fn greeting(plugin: &str) -> Vec<u8> {
    let mut payload = b"\x0a10.11.19-MariaDB\0\x07\0\0\0abcdefgh\0".to_vec();
    // Capabilities: protocol 4.1, secure connection, plugin logins, and TLS on offer.
    payload.extend([0x00, 0x8a, 0x2d, 0x02, 0x00, 0x08, 0x00, 21]);
    payload.extend([0; 10]);
    payload.extend(b"ijklmnopqrst\0");
    payload.extend(plugin.bytes());
    payload.push(0);
    payload
}

/// The next packet of the client's: its number and what is in it.
fn heard(visitor: &mut Visitor<'_>) -> std::io::Result<(u8, Vec<u8>)> {
    let head = visitor.hear(4)?;
    let length = u32::from_le_bytes([head[0], head[1], head[2], 0]);
    Ok((head[3], visitor.hear(length as usize)?))
}

fn grant(server: &MariaDb) {
    server.sql(&format!(
        "create user app@'%' identified by '{PASSWORD}'; grant all on *.* to app@'%'; \
         create user poor@'%' identified by '{PASSWORD}'; create database app; \
         create table app.t (name text); flush privileges"
    ));
}

#[test]
fn case_61_mariadb() {
    let _turn = machine_to_itself();
    let server = MariaDb::start(&[]);
    grant(&server);
    let target = format!("mysql://app@{}/app", server.address());
    wait_for([format!("mysql://{}", server.address())])
        .run()
        .succeeds();
    wait_for([&target]).run().succeeds();
    wait_for(["--password-env=PW", &target])
        .env("PW", PASSWORD)
        .run()
        .succeeds();
    let own = format!("mariadb://app:{PASSWORD_IN_URL}@{}/app", server.address());
    wait_for([""; 0])
        .env("PODINIT_TARGETS", own)
        .run()
        .succeeds();
    let out = wait_for(["--password-env=PW", &target])
        .env("PW", WRONG)
        .run();
    out.fails(77)
        .within(AT_ONCE)
        .says("app")
        .says(&server.address().to_string());

    // 1049 for who may see all, 1044 for who may not: both can heal.
    for (user, code) in [("app", "1049"), ("poor", "1044")] {
        let target = format!("mysql://{user}@{}/later_{user}", server.address());
        let run = wait_for(["--password-env=PW", &target])
            .env("PW", PASSWORD)
            .spawn();
        run.line_with(code);
        server.sql(&format!(
            "create database later_{user}; grant select on later_{user}.* to {user}@'%'"
        ));
        run.finish().succeeds();
    }
}

#[test]
fn queries_against_mariadb() {
    let server = MariaDb::start(&[]);
    grant(&server);
    let target = format!("mysql://app@{}/app?password-env=PW", server.address());
    let sql = |query: &str| {
        wait_for(["--timeout=1s", "--sql", query, &target])
            .env("PW", PASSWORD)
            .run()
    };
    sql("select 1").succeeds();
    sql("select 1 from t").fails(69).says("row");
    sql("select 1 from nosuch").fails(69).says("1146");
    sql("select nosuch from t").fails(69).says("1054");
    sql("selec 1").fails(64).says("1064");
    sql("insert into t values ('x')").fails(64).says("1792");
    assert_eq!(server.sql("select count(*) from app.t"), "0");
    sql("select sleep(600)").fails(69);
    crate::support::clock::until("the server to cancel", || {
        let list = "select count(*) from information_schema.processlist where user = 'app'";
        (server.sql(list) == "0").then_some(())
    });
    let run = wait_for(["--sql", "select 1 from t", &target])
        .env("PW", PASSWORD)
        .spawn();
    run.line_with("row");
    server.sql("insert into app.t values ('admin')");
    run.finish().succeeds();
}

#[test]
fn case_62_refusals_before_the_greeting() {
    let _turn = machine_to_itself();
    let says = |code: u16, message: &'static str| {
        Scripted::start(move |visitor| {
            visitor.say(&packet(0, &refusal(code, "", message)))?;
            visitor.stay()
        })
    };
    let (full, blocked, foreign) = (
        says(1040, "Too many connections"),
        says(
            1129,
            "Host 'x' is blocked because of many connection errors",
        ),
        says(1130, "Host 'x' is not allowed to connect"),
    );
    let target = |server: &Scripted| format!("mysql://{}", server.address());
    never_ready(&[(&[&target(&full)], "1040"), (&[&target(&foreign)], "1130")]);
    let out = wait_for([target(&blocked)]).run();
    out.fails(77)
        .within(AT_ONCE)
        .says("blocked")
        .hints("FLUSH HOSTS");
    assert_eq!(blocked.visits().len(), 1);
    let down = says(1053, "Server shutdown in progress");
    never_ready(&[(&[&target(&down)], "1053")]);
}

#[test]
fn a_server_that_was_full_is_noticed() {
    let server = Scripted::start(|visitor| {
        if visitor.turn() < 3 {
            visitor.say(&packet(0, &refusal(1040, "#08004", "Too many connections")))?;
            return Ok(());
        }
        visitor.say(&packet(0, &greeting("mysql_native_password")))?;
        heard(visitor)?;
        visitor.say(&packet(
            2,
            &refusal(1045, "#28000", "Access denied for user 'podinit'"),
        ))?;
        visitor.stay()
    });
    wait_for([format!("mysql://{}", server.address())])
        .run()
        .succeeds();
    assert_eq!(server.visits().len(), 4);
}

#[test]
fn the_bytes_of_a_probe() {
    let server = Scripted::start(|visitor| {
        visitor.say(&packet(0, &greeting("caching_sha2_password")))?;
        let (number, login) = heard(visitor)?;
        let flags = u32::from_le_bytes([login[0], login[1], login[2], login[3]]);
        // Protocol 4.1, secure connection, plugin logins; no TLS, no database.
        let wanted = 0x0200 | 0x8000 | 0x0008_0000;
        let is_right =
            number == 1 && flags == wanted && login[32..] == *b"podinit\0\0caching_sha2_password\0";
        let verdict = if is_right { 1045 } else { 1053 };
        visitor.say(&packet(2, &refusal(verdict, "#28000", &shown(&login))))?;
        visitor.stay()
    });
    let target = format!("mysql://app@{}/orders", server.address());
    wait_for(["--timeout=500ms", &target]).run().succeeds();
    // Nothing follows the login: a COM_QUIT is what some servers count.
    let visit = server.all_over()[0].clone();
    let length = usize::from(visit.heard[0]);
    assert_eq!(visit.heard.len(), 4 + length, "{}", shown(&visit.heard));
}

#[test]
fn a_switch_of_plugins_is_answered() {
    for (plugin, wanted) in [
        ("client_ed25519", 64),
        ("mysql_native_password", 0),
        ("dialog", 0),
    ] {
        let server = Scripted::start(move |visitor| {
            visitor.say(&packet(0, &greeting("mysql_native_password")))?;
            heard(visitor)?;
            let mut switch = vec![0xfe];
            switch.extend(plugin.bytes());
            switch.extend(b"\0abcdefghijklmnopqrstuvwxyz012345\0");
            visitor.say(&packet(2, &switch))?;
            let (number, answer) = heard(visitor)?;
            let is_right = number == 3 && answer == vec![0; wanted];
            let verdict = if is_right { 1045 } else { 1053 };
            visitor.say(&packet(4, &refusal(verdict, "#28000", "Access denied")))?;
            visitor.stay()
        });
        wait_for(["--timeout=500ms", &format!("mysql://{}", server.address())])
            .run()
            .succeeds();
    }
}

#[test]
fn answers_to_the_login_are_judged() {
    let answers = |payload: Vec<u8>| {
        Scripted::start(move |visitor| {
            visitor.say(&packet(0, &greeting("mysql_native_password")))?;
            heard(visitor)?;
            visitor.say(&packet(2, &payload))?;
            visitor.stay()
        })
    };
    let ready = [
        vec![0, 0, 0, 2, 0, 0, 0],
        refusal(1251, "#08004", "Client does not support"),
        refusal(
            3159,
            "#HY000",
            "Connections using insecure transport are prohibited",
        ),
    ];
    for payload in ready {
        let server = answers(payload);
        wait_for([format!("mysql://{}", server.address())])
            .run()
            .succeeds();
    }
    for code in [1053, 1927] {
        let server = answers(refusal(code, "#08S01", "Server shutdown in progress"));
        never_ready(&[(
            &[&format!("mysql://{}", server.address())],
            &code.to_string(),
        )]);
    }
}

#[test]
fn an_exchange_that_was_cut_is_not_repeated_soon() {
    let server = Scripted::start(|visitor| {
        visitor.say(&packet(0, &greeting("mysql_native_password")))?;
        visitor.stay()
    });
    let target = format!("mysql://{}", server.address());
    let out = wait_for(["--timeout=3s", "--attempt-timeout=300ms", &target]).run();
    out.fails(69).says("no answer");
    assert_eq!(
        server.visits().len(),
        1,
        "the next attempt is due after 10 s"
    );
}

/// A pod with an address that resolves there, and a MariaDB at it that counts clients.
fn counted() -> (Pod, MariaDb) {
    let pod = Pod::own_network();
    pod.sh("ip link set lo up; ip address add 10.77.0.1/32 dev lo");
    let address = SocketAddr::from(([10, 77, 0, 1], 3306));
    let hosts = "127.0.0.1 localhost\n10.77.0.1 client.example\n";
    let settings = ["--max-connect-errors=1", "--host-cache-size=128"];
    let server = MariaDb::inside(&pod, address, hosts, &settings);
    server.sql("create user app@'%' identified by 'x'; flush privileges");
    (pod, server)
}

fn errors_counted(server: &MariaDb) -> String {
    server.sql(
        "select coalesce(sum(sum_connect_errors), 0), coalesce(sum(count_host_blocked_errors), 0) \
         from performance_schema.host_cache where ip = '10.77.0.1'",
    )
}

#[test]
fn a_thousand_probes_do_not_block_the_host() {
    let (pod, server) = counted();
    let targets: Vec<_> = (0..10)
        .map(|turn| format!("mysql://10.77.0.1/db{turn}"))
        .collect();
    for _ in 0..25 {
        for out in together((0..4).map(|_| plainly(&targets).inside(&pod))) {
            out.succeeds();
        }
    }
    assert_eq!(errors_counted(&server), "0\t0");
    let known = "select count(*) from performance_schema.host_cache where host = 'client.example'";
    assert_eq!(
        server.sql(known),
        "1",
        "the address must be one that is counted"
    );
    // Still let in.
    wait_for(["mysql://10.77.0.1"])
        .inside(&pod)
        .run()
        .succeeds();
}

#[test]
fn two_hundred_single_runs_do_not_block_the_host() {
    let (pod, server) = counted();
    for _ in 0..50 {
        for out in together((0..4).map(|_| plainly(["mysql://10.77.0.1"]).inside(&pod))) {
            out.succeeds();
        }
    }
    assert_eq!(errors_counted(&server), "0\t0");
    let lines = server.log();
    let about = lines
        .lines()
        .filter(|line| line.contains("podinit"))
        .count();
    assert!(about <= 200, "{about} lines");
}

#[test]
fn the_counter_counts() {
    // What other probes do: were this address not counted, the tests above would prove nothing.
    let (pod, server) = counted();
    pod.sh("bash -c ': </dev/tcp/10.77.0.1/3306'");
    crate::support::clock::until("the counter", || {
        (errors_counted(&server).starts_with('1')).then_some(())
    });
    let out = wait_for(["mysql://10.77.0.1"]).inside(&pod).run();
    out.fails(77).says("blocked").hints("FLUSH HOSTS");
}

#[test]
fn an_ed25519_user_does_not_count() {
    let (pod, server) = counted();
    server.sql("install soname 'auth_ed25519'; create user podinit@'%' identified via ed25519 using password('y')");
    for _ in 0..5 {
        wait_for(["mysql://10.77.0.1"])
            .inside(&pod)
            .run()
            .succeeds();
    }
    assert_eq!(errors_counted(&server), "0\t0");
}
