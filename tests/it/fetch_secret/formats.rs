//! Whole secrets in one file: every format, to the byte.

use serde_json::Value;

use super::Scene;
use crate::support::certificates::run_in;
use crate::support::openbao::python;

/// Prints a YAML file as JSON.
pub const FROM_YAML: &str = r#""$1" -c 'import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))' "$2""#;

/// What PyYAML makes of a file in the volume.
#[track_caller]
pub fn loaded(scene: &Scene<'_>, file: &str) -> Value {
    let python = python();
    let python = python.to_str().expect("a path in UTF-8");
    let json = run_in(scene.dir.path(), FROM_YAML, &[python, file]);
    serde_json::from_str(&json).expect("JSON from the script")
}

#[test]
fn case_25_a_pem_comes_back_whole() {
    let scene = Scene::new();
    let line = "MIIBszCCAVmgAwIBAgIUQbX".repeat(2);
    let pem = format!("-----BEGIN TEST-----\n{line}\n{line}\n{line}\n-----END TEST-----\n");
    let object = serde_json::json!({ "pem": pem });
    scene.put("secret/case25", &object.to_string());
    let out = scene
        .fs([
            "secret/case25",
            "a.json=secret/case25",
            "a.yaml=secret/case25",
        ])
        .run();
    out.succeeds();
    let json = format!("{object}\n");
    let yaml = format!("\"pem\": {}\n", object["pem"]);
    scene.dir.holds(&[
        ("pem", pem.as_bytes()),
        ("a.json", json.as_bytes()),
        ("a.yaml", yaml.as_bytes()),
    ]);
    assert_eq!(loaded(&scene, "a.yaml"), object);
}

#[test]
fn case_26_yaml_is_one_line_a_key() {
    let scene = Scene::new();
    let object = "{\"n\":8080,\"s\":\"a\\n'é\\u0085\"}";
    scene.put("secret/case26", object);
    scene.fs(["a.yaml=secret/case26"]).run().succeeds();
    let yaml = "\"n\": 8080\n\"s\": \"a\\n'é\\u0085\"\n";
    scene.dir.holds(&[("a.yaml", yaml.as_bytes())]);
    let object: Value = serde_json::from_str(object).expect("JSON");
    assert_eq!(loaded(&scene, "a.yaml"), object);
}

#[test]
fn case_27_properties_escape_what_java_would_eat() {
    let scene = Scene::new();
    scene.put("secret/case27", "{\"k ey\":\"é\\n:x\",\" \":\" y\"}");
    scene.fs(["a.properties=secret/case27"]).run().succeeds();
    let text = "\\ =\\ y\nk\\ ey=\\u00E9\\n:x\n";
    scene.dir.holds(&[("a.properties", text.as_bytes())]);
}

#[test]
fn case_28_k8s_env_refuses_a_quote() {
    let scene = Scene::new();
    scene.put("secret/case28", r#"{"A":"x\ny#z"}"#);
    scene.put("secret/case28q", r#"{"SHY":"it's mine"}"#);
    let out = scene.fs(["--format", "k8s-env", "app.env=secret/case28"]);
    out.run().succeeds();
    scene.dir.holds(&[("app.env", b"A='x\ny#z'\n")]);
    let out = scene.fs(["--format", "k8s-env", "app.env=secret/case28q"]);
    out.run().fails(65).says("SHY");
    scene.dir.holds(&[("app.env", b"A='x\ny#z'\n")]);
    // The shell's own format can say it.
    scene.fs(["app.env=secret/case28q"]).run().succeeds();
    scene.dir.holds(&[("app.env", b"SHY='it'\\''s mine'\n")]);
}

#[test]
fn case_29_names_of_variables_are_checked_in_env_only() {
    let scene = Scene::new();
    scene.put("secret/case29/0", r#"{"_Foo_1":"of a good name"}"#);
    scene.fs(["app.env=secret/case29/0"]).run().succeeds();
    scene
        .dir
        .holds(&[("app.env", b"_Foo_1='of a good name'\n")]);
    for (turn, key) in ["7th", "FOO BAR", "FOO-BAR", "FOO_🐶"].iter().enumerate() {
        let path = format!("secret/case29/{}", turn + 1);
        scene.put(&path, &format!("{{\"{key}\":\"of a bad name\"}}"));
        for format in ["env", "k8s-env"] {
            let out = scene
                .fs(["--format", format, &format!("app.env={path}")])
                .run();
            out.fails(65).says(key);
        }
        scene.fs([format!("app.json={path}")]).run().succeeds();
        let json = format!("{{\"{key}\":\"of a bad name\"}}\n");
        scene.dir.holds(&[("app.json", json.as_bytes())]);
    }
}

#[test]
fn case_30_raw_is_as_the_server_sent_it() {
    let scene = Scene::new();
    scene.hide(r"p\u003cw\u0026\u003e");
    scene
        .fs(["--format", "raw", "a=secret/app"])
        .run()
        .succeeds();
    let raw = br#"{"password":"p\u003cw\u0026\u003e","user":"u"}"#;
    scene.dir.holds(&[("a", raw)]);
    let served = scene.server.call("GET", "pki/ca/pem", "");
    assert!(served.body.starts_with(b"-----BEGIN CERTIFICATE-----"));
    let out = scene.fs(["--format", "raw", "ca.pem=pki/ca/pem"]).run();
    out.succeeds();
    scene.dir.holds(&[("ca.pem", &served.body)]);
}

#[test]
fn a_format_beats_the_extension() {
    let scene = Scene::new();
    let out = scene.fs(["--format", "json", "app.env=secret/app", "x=secret/app"]);
    out.run().succeeds();
    let json = b"{\"password\":\"p<w&>\",\"user\":\"u\"}\n";
    scene.dir.holds(&[("app.env", json), ("x", json)]);
}

#[test]
fn a_nul_is_no_part_of_a_variable() {
    let scene = Scene::new();
    scene.put("secret/nul", r#"{"ZERO":"before\u0000after"}"#);
    scene.fs(["a.env=secret/nul"]).run().fails(65).says("ZERO");
    scene.dir.is_empty();
    scene
        .fs(["a.yaml=secret/nul", "secret/nul"])
        .run()
        .succeeds();
    let yaml = "\"ZERO\": \"before\\u0000after\"\n";
    scene
        .dir
        .holds(&[("a.yaml", yaml.as_bytes()), ("ZERO", b"before\0after")]);
}
