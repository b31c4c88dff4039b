//! The ambassadors in front of Elasticsearch: TLS outside, plain HTTP on loopback.

use std::fs;

use serde_json::json;

use super::super::kubelet::{INSIDE, Kubelet};
use super::certificate_for;
use crate::support::certificates::Identity;
use crate::support::{OpenBao, tokenreview};

/// What the manifests call the Service, in the namespace that they are tried in.
const SERVICE: &str = "elasticsearch.default.svc";

/// Asks at the Pod's address under the Service's name, trusting this authority alone; tells body and status, or curl's
/// exit code. A server that is still starting is asked again, for 10 seconds.
fn ask(pod: &Kubelet, url: &str, authority: &str) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(file.path(), authority).expect("it is written");
    pod.outside().sh(&format!(
        "curl -sS --max-time 10 --retry 100 --retry-delay 0 --retry-max-time 10 --cacert {} \
         --resolve {SERVICE}:9200:{INSIDE} -w '\\n%{{http_code}}' '{url}' 2>&1 || echo \"curl: $?\"",
        file.path().display()
    ))
}

/// What has to be seen of either ambassador, from outside of the Pod.
fn assert_ambassador(pod: &Kubelet, authority: &str) {
    // Elasticsearch is there, behind the ambassador, on loopback.
    let plain = pod.exec("elasticsearch", &["/busybox", "sh", "/ask", "9201"]);
    assert!(plain.contains("You Know, for Search"), "{plain}");
    let through = ask(pod, &format!("https://{SERVICE}:9200/"), authority);
    assert_eq!(through, format!("{plain}\n200"));
    let refused = ask(pod, &format!("http://{SERVICE}:9200/"), authority);
    assert!(refused.ends_with("\n400"), "{refused}");
    assert!(
        refused.contains("The plain HTTP request was sent to HTTPS port"),
        "{refused}"
    );
    // curl's 7: nobody listens.
    let closed = ask(pod, &format!("http://{INSIDE}:9201/"), authority);
    assert!(closed.ends_with("curl: 7\n"), "{closed}");
    // The kubelet's readiness probe takes this way.
    let ready = format!("https://{SERVICE}:9200/_cluster/health?local=true");
    assert!(ask(pod, &ready, authority).contains(r#""status":"green""#));
}

#[test]
fn nginx_ends_tls_in_front_of_elasticsearch() {
    let tls = certificate_for(SERVICE);
    let mut pod = Kubelet::of("patterns/ambassador-tls.yaml");
    pod.give("elasticsearch-tls", "tls.crt", &tls.certificate);
    pod.give("elasticsearch-tls", "tls.key", &tls.key);
    pod.start();
    assert_ambassador(&pod, &tls.authority);
}

/// A server whose `pki/` issues for the Service, to the login of the manifest and nobody else.
fn vault(identity: &Identity) -> (OpenBao, String) {
    let server = OpenBao::with_tls(identity);
    let post = |path: &str, body: serde_json::Value| server.post(path, &body.to_string());
    post(
        "pki/roles/elasticsearch",
        json!({
            "allowed_domains": [SERVICE],
            "allow_bare_domains": true,
            "key_type": "ec",
            "key_bits": 256,
            "max_ttl": "720h",
        }),
    );
    let issue = r#"path "pki/issue/elasticsearch" { capabilities = ["update"] }"#;
    server.policy("issue-elasticsearch", issue);
    post(
        "auth/kubernetes/role/elasticsearch",
        json!({
            "bound_service_account_names": ["elasticsearch"],
            "bound_service_account_namespaces": ["apps"],
            "audience": "vault",
            "token_policies": ["issue-elasticsearch"],
        }),
    );
    let authority = server.get("pki/cert/ca")["data"]["certificate"].clone();
    let authority = authority.as_str().expect("a PEM").to_string();
    (server, authority)
}

/// The Pod of the manifest, with this server in its reach.
fn before(identity: &Identity, server: &OpenBao) -> Kubelet {
    let mut pod = Kubelet::of("patterns/ambassador-tls-vault.yaml");
    let token = tokenreview::projected_token("elasticsearch", "vault");
    pod.give("vault-token", "token", &token);
    let trusted = fs::read_to_string(&identity.authority).expect("a PEM");
    pod.give("vault-ca", "ca.crt", &trusted);
    pod.replace("https://vault.vault:8200", &server.tls_url());
    pod.bring_in(identity.address);
    pod
}

#[test]
fn the_served_certificate_chains_to_vaults_authority() {
    let identity = Identity::new();
    let (server, authority) = vault(&identity);
    let tokens = server.tokens();
    let mut pod = before(&identity, &server);
    pod.start();
    assert_eq!(server.tokens(), tokens, "a token is left");
    let issued = pod.stage_of("ambassador").logs("issue-certificate").0;
    for file in ["tls.crt ", "tls.key ", "ca.crt "] {
        assert!(issued.contains(file), "no {file:?} in {issued:?}");
    }
    assert_ambassador(&pod, &authority);
    // And to nobody else's: what vouches for the server itself does not vouch for this one. curl's 60: not trusted.
    let other = fs::read_to_string(&identity.authority).expect("a PEM");
    let refused = ask(&pod, &format!("https://{SERVICE}:9200/"), &other);
    assert!(refused.ends_with("curl: 60\n"), "{refused}");
}

#[test]
fn without_a_certificate_nginx_does_not_start() {
    let identity = Identity::new();
    let (server, _) = vault(&identity);
    let mut pod = before(&identity, &server);
    pod.replace("--role=elasticsearch", "--role=nope");
    let stage = pod.start_until(0);
    assert!(!stage.finish().status.success(), "the Pod started");
    assert_eq!(stage.state("issue-certificate").exit_code, 77);
    // Elasticsearch belongs to the next stage, which a kubelet never reaches.
    assert_eq!(stage.state("ambassador").status, "created");
}
