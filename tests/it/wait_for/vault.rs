//! `vault://`, against a real OpenBao, an nginx that is none, and scripted answers.

use super::run::never_ready;
use super::wait_for;
use crate::support::small_servers::Small;
use crate::support::wire::Response;
use crate::support::{OpenBao, Proxy, Reply};

#[test]
fn case_69_openbao() {
    let mut server = OpenBao::blank();
    let target = format!("vault://{}", server.address());
    never_ready(&[(&[&target], "not initialised")]);
    server.initialise();
    let run = wait_for([&target]).spawn();
    run.line_with("sealed");
    server.unseal();
    run.finish().succeeds();
    wait_for([&target]).run().succeeds();
    let nginx = Small::nginx("server { listen LISTEN; location / { return 200 ok; } }");
    never_ready(&[(&[&format!("vault://{}", nginx.address())], "")]);
}

#[test]
fn every_state_is_judged() {
    let health = |status: u16, initialized: bool, sealed: bool| {
        let body = serde_json::json!({
            "initialized": initialized, "sealed": sealed, "standby": status == 429,
            "version": "1.15.0", "cluster_name": "x",
        });
        Proxy::alone(move |_, _| Reply::Say(Response::json(status, &body.to_string())))
    };
    for status in [200, 429, 473] {
        let server = health(status, true, false);
        let target = server.url().replace("http:", "vault:");
        wait_for([&target])
            .env("VAULT_TOKEN", "s.nothing-for-this-server")
            .run()
            .succeeds();
        assert_eq!(server.log(), ["GET sys/health"]);
        let request = &server.seen()[0].request;
        assert!(request.target.starts_with("/v1/sys/health"));
        assert_eq!(request.header("x-vault-token"), None);
    }
    let servers = [
        (health(501, false, true), "not initialised"),
        (health(503, true, true), "sealed"),
        (health(472, true, false), "472"),
        (health(530, true, false), "530"),
        (health(200, true, true), "sealed"),
        (health(200, false, false), "not initialised"),
    ];
    for (server, cause) in &servers {
        let target = server.url().replace("http:", "vault:");
        never_ready(&[(&[&target], cause)]);
    }
    let other = Proxy::alone(|_, _| Reply::Say(Response::json(200, r#"{"status":"ok"}"#)));
    never_ready(&[(&[&other.url().replace("http:", "vault:")], "")]);
}
