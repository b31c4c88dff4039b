//! Certificates issued by the server, and split into files.

use super::Scene;
use crate::support::certificates::run_in;

/// Proves the chain, the names and the key, as a server that loads them would.
const PROVE: &str = r#"
openssl verify -CAfile ca.crt -untrusted tls.crt tls.crt
openssl x509 -in tls.crt -noout -checkhost a.example
[ "$(openssl x509 -in tls.crt -noout -pubkey)" = "$(openssl pkey -in tls.key -pubout)" ]
for file in tls.crt tls.key ca.crt; do
    [ "$(tail -c 1 $file | od -An -c | tr -d ' ')" = '\n' ]
    [ "$(tail -c 2 $file | od -An -c | tr -d ' ')" != '\n\n' ]
done
echo "$(grep -c BEGIN tls.crt) $(grep -c BEGIN tls.key) $(grep -c BEGIN ca.crt)"
"#;

#[test]
fn case_66_a_certificate_is_split_into_three_files() {
    let scene = Scene::new();
    let out = scene
        .fs(["tls/=pki_int/issue/web?common_name=a.example&ttl=1h&mode=0400"])
        .run();
    out.succeeds();
    assert_eq!(scene.dir.link("tls"), "..data/tls");
    let names = run_in(&scene.dir.at("tls"), "ls", &[]);
    assert_eq!(names, "ca.crt\ntls.crt\ntls.key\n");
    let proved = run_in(&scene.dir.at("tls"), PROVE, &[]);
    assert!(proved.contains("tls.crt: OK"), "{proved}");
    assert!(proved.contains("does match certificate"), "{proved}");
    // Leaf, intermediate and root, as the chain has them; the key; the root.
    assert!(proved.ends_with("3 1 1\n"), "{proved}");
    for file in ["tls/tls.crt", "tls/tls.key", "tls/ca.crt"] {
        assert_eq!(scene.dir.mode(file), 0o400, "{file}");
    }
    assert_eq!(scene.reads(), ["POST pki_int/issue/web"]);
    let seen = scene.proxy.seen();
    let sent = seen.iter().find(|seen| seen.request.method == "POST");
    let body: serde_json::Value =
        serde_json::from_slice(&sent.expect("a write").request.body).expect("JSON");
    assert_eq!(
        body,
        serde_json::json!({"common_name": "a.example", "ttl": "1h"})
    );
}

#[test]
fn other_parameters_are_another_certificate() {
    let scene = Scene::new();
    let out = scene
        .fs([
            "a/=pki_int/issue/web?common_name=a.example",
            "b/=pki_int/issue/web?common_name=b.example",
            "key=pki_int/issue/web?common_name=a.example#private_key",
        ])
        .run();
    out.succeeds();
    assert_eq!(scene.reads(), ["POST pki_int/issue/web"; 2]);
    assert_ne!(scene.dir.bytes("a/tls.key"), scene.dir.bytes("b/tls.key"));
    let key = scene.dir.text("key");
    assert_eq!(scene.dir.text("a/tls.key").trim_end(), key.trim_end());
    assert!(!key.is_empty());
}

#[test]
fn case_67_the_servers_words_about_a_refused_name() {
    let scene = Scene::new();
    let out = scene
        .fs(["tls/=pki_int/issue/web?common_name=a.other.com"])
        .run();
    out.fails(64)
        .says("a.other.com")
        .says("not allowed by this role");
    scene.dir.is_empty();
    let out = scene.fs(["tls/=pki_int/issue/web"]).run();
    out.fails(64).says("pki_int/issue/web");
    let hint = out.hint();
    assert!(
        hint.contains("PATH?") || hint.contains("pki_int/issue/web?"),
        "{hint}"
    );
    scene.dir.is_empty();
}
