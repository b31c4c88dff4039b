//! `postgres://` with a password and with `--sql`.

use std::time::Duration;

use super::run::{Files, PASSWORD, PASSWORD_IN_URL, WRONG, never_ready};
use super::{AT_ONCE, LATE, Wait, wait_for};
use crate::support::authority::Authority;
use crate::support::clock::after;
use crate::support::machine_to_itself;
use crate::support::postgres::Postgres;

/// A cluster with a user, a database and a table.
fn cluster(settings: &[&str]) -> Postgres {
    let cluster = Postgres::start("host all all all scram-sha-256", settings);
    cluster.sql(
        "postgres",
        &format!("create role app login password '{PASSWORD}'"),
    );
    cluster.sql("postgres", "create database app owner app");
    cluster.sql(
        "app",
        "create table t (name text); alter table t owner to app",
    );
    cluster
}

fn login<'p>(cluster: &Postgres) -> Wait<'p> {
    wait_for([format!("postgres://app@{}/app", cluster.address())]).env("PW", PASSWORD)
}

#[test]
fn case_59_logins() {
    let _turn = machine_to_itself();
    let cluster = cluster(&["log_disconnections=on"]);
    // While it started, the harness itself was turned away.
    let before = cluster.log().len();
    login(&cluster).args(["--password-env=PW"]).run().succeeds();
    let files = Files::new();
    let file = files.put("pw", &format!("{PASSWORD}\n"));
    login(&cluster)
        .args(["--password-file", &file])
        .run()
        .succeeds();
    let own = format!("postgres://app:{PASSWORD_IN_URL}@{}/app", cluster.address());
    wait_for([""; 0])
        .env("PODINIT_TARGETS", own)
        .run()
        .succeeds();
    // What sqlx would read by itself plays no part.
    login(&cluster)
        .args(["--password-env=PW"])
        .env("PGPASSWORD", WRONG)
        .env("PGSSLMODE", "verify-full")
        .env("PGOPTIONS", "-c nonsense=1")
        .env("PGDATABASE", "elsewhere")
        .run()
        .succeeds();
    let said = cluster.log().split_off(before);
    assert!(!said.contains("FATAL"), "{said}");

    let out = login(&cluster)
        .args(["--password-env=PW"])
        .env("PW", WRONG)
        .run();
    out.fails(77).within(AT_ONCE);
    out.says("app")
        .says(&cluster.address().to_string())
        .hints("PW");
    let log = cluster.log();
    assert_eq!(
        log.matches("password authentication failed").count(),
        1,
        "{log}"
    );
}

#[test]
fn a_login_waits_for_its_database() {
    let cluster = cluster(&[]);
    let target = format!("postgres://app@{}/later", cluster.address());
    let run = wait_for(["--password-env=PW", &target])
        .env("PW", PASSWORD)
        .spawn();
    run.line_with("3D000");
    cluster.sql("postgres", "create database later");
    run.finish().succeeds();
}

#[test]
fn case_60_a_query_waits_for_its_row() {
    let cluster = cluster(&[]);
    let run = login(&cluster)
        .args([
            "--password-env=PW",
            "--sql",
            "select 1 from t where name = 'admin'",
        ])
        .spawn();
    run.line_with("row");
    let later = after(Duration::from_secs(1), move || {
        cluster.sql("app", "insert into t values ('admin')");
        cluster
    });
    let out = run.finish();
    let (at, _cluster) = later.happened();
    out.succeeds();
    assert!(out.ended < at + Duration::from_millis(1500), "{out:?}");
}

#[test]
fn case_60_a_query_must_not_write() {
    let _turn = machine_to_itself();
    let cluster = cluster(&[]);
    cluster.sql("app", "insert into t values ('kept')");
    let sql = |query: &str| {
        login(&cluster)
            .args(["--password-env=PW", "--timeout=5s", "--sql", query])
            .run()
    };
    sql("delete from t").fails(64).within(AT_ONCE);
    sql("selec 1")
        .fails(64)
        .within(AT_ONCE)
        .says("syntax error");
    sql("with gone as (delete from t returning 1) select 1 from gone").fails(64);
    assert_eq!(cluster.sql("app", "select count(*) from t"), "1");
    sql("select 1").succeeds();
    // Out of the read-only transaction leads no second statement.
    let out = sql("commit; delete from t; select 1");
    assert_ne!(out.code, 0, "{out:?}");
    assert_eq!(cluster.sql("app", "select count(*) from t"), "1");
}

#[test]
fn what_a_query_lacks_may_come() {
    let cluster = cluster(&[]);
    let target = format!("postgres://app@{}/app?password-env=PW", cluster.address());
    for (query, state) in [
        ("select 1 from nosuch", "42P01"),
        ("select nosuch from t", "42703"),
        ("select pg_read_file('x')", "42501"),
    ] {
        let out = wait_for(["--timeout=600ms", "--sql", query, &target])
            .env("PW", PASSWORD)
            .run();
        out.fails(69).says(state);
    }
    let run = wait_for(["--sql", "select 1 from created", &target])
        .env("PW", PASSWORD)
        .spawn();
    run.line_with("42P01");
    cluster.sql(
        "app",
        "create table created as select 1; grant select on created to app",
    );
    run.finish().succeeds();
}

#[test]
fn a_query_that_never_ends_is_ended() {
    let _turn = machine_to_itself();
    let cluster = cluster(&[]);
    let out = login(&cluster)
        .args([
            "--password-env=PW",
            "--timeout=1s",
            "--sql",
            "select pg_sleep(600)",
        ])
        .run();
    let limit = Duration::from_secs(1);
    out.fails(69).no_sooner_than(limit).within(limit + LATE);
    // On the server, too: nothing is left that sleeps.
    crate::support::clock::until("the server to cancel", || {
        let left = cluster.sql(
            "postgres",
            "select count(*) from pg_stat_activity where usename = 'app' and state = 'active'",
        );
        (left == "0").then_some(())
    });
}

#[test]
fn a_query_needs_no_password_where_there_is_trust() {
    let cluster = Postgres::start("host all all all trust", &[]);
    let target = format!("postgres://postgres@{}/postgres", cluster.address());
    wait_for(["--sql", "select 1", &target]).run().succeeds();
    never_ready(&[(&["--sql", "select 1 where false", &target], "row")]);
}

#[test]
fn a_login_may_need_tls() {
    let authority = Authority::new();
    let mut cluster = Postgres::prepare(
        "hostssl all all all scram-sha-256",
        &["ssl=on", "ssl_cert_file=good.crt", "ssl_key_file=good.key"],
    );
    cluster.put("good.crt", &authority.certificate("good"));
    cluster.put("good.key", &authority.key("good"));
    cluster.run();
    cluster.sql(
        "postgres",
        &format!("create role app login password '{PASSWORD}'"),
    );
    let target = format!("postgres://app@{}/postgres", cluster.address());
    let ca = authority.root().display().to_string();
    let login = |args: &[&str]| {
        wait_for(["--password-env=PW", "--timeout=3s"])
            .args(args)
            .env("PW", PASSWORD)
            .run()
    };
    login(&[&target]).succeeds();
    login(&[&format!("{target}?sslmode=require")]).succeeds();
    login(&[&format!("{target}?sslmode=verify-ca"), "--ca-file", &ca]).succeeds();
    login(&[&format!("{target}?sslmode=verify-ca")]).fails(77);
    login(&[&format!("{target}?sslmode=verify-full"), "--ca-file", &ca]).fails(77);
    assert_ne!(login(&[&format!("{target}?sslmode=disable")]).code, 0);
}
