//! Proxies of the environment: for http and https, never for loopback.

use super::wait_for;
use crate::support::small_servers::Small;
use crate::support::wire::Response;
use crate::support::{Pod, Proxy, Reply};

#[test]
fn case_55_a_proxy_that_is_not_ready() {
    let pod = Pod::own_network();
    pod.sh("ip link set lo up; ip address add 10.77.0.1/32 dev lo");
    let at = |port: u16| std::net::SocketAddr::from(([10, 77, 0, 1], port));
    let proxy = Small::nginx_inside(&pod, at(3128), "server { listen LISTEN; return 503; }");
    let server = Small::nginx_inside(&pod, at(8080), "server { listen LISTEN; return 200 ok; }");
    let target = "http://10.77.0.1:8080/ready";
    let run = |name: &str| {
        wait_for(["--timeout=600ms", target])
            .env(name, "http://10.77.0.1:3128")
            .inside(&pod)
    };
    let out = run("HTTP_PROXY").run();
    out.fails(69);
    let all = out.last_line();
    assert!(all.contains("10.77.0.1:3128"), "{out:?}");
    assert!(all.contains("503"), "{out:?}");
    run("http_proxy").run().fails(69);
    run("HTTP_PROXY")
        .env("NO_PROXY", "10.77.0.1")
        .run()
        .succeeds();
    run("HTTPS_PROXY").run().succeeds();
    assert!(!proxy.requests().is_empty());
    assert_eq!(server.requests().lines().count(), 2);
    // The proxy is for http(s) only.
    wait_for(["tcp://10.77.0.1:8080"])
        .env("ALL_PROXY", "http://10.77.0.1:3128")
        .inside(&pod)
        .run()
        .succeeds();
}

#[test]
fn loopback_uses_no_proxy() {
    let proxy = Proxy::alone(|_, _| Reply::Say(Response::text(503, "text/plain", "")));
    let server = Proxy::alone(|_, _| Reply::Say(Response::text(200, "text/plain", "")));
    wait_for([server.url()])
        .env("HTTP_PROXY", proxy.url())
        .env("ALL_PROXY", proxy.url())
        .run()
        .succeeds();
    assert_eq!(proxy.log(), [""; 0]);
}
