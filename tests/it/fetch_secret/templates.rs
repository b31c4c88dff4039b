//! `--template`: rendered whole, strict, and never quoted behind one's back.

use std::path::Path;

use super::Scene;

fn flag(source: &Path, to: &str) -> [String; 2] {
    [
        "--template".to_string(),
        format!("{}:{to}", source.display()),
    ]
}

#[test]
fn case_31_a_template_is_rendered_to_the_byte() {
    let scene = Scene::new();
    let source = scene.file("t.j2", "x={{ secret(\"secret/app\").password }}\n");
    let out = scene
        .fs(flag(&source, "app.conf"))
        .args(flag(&source, "app.yaml"))
        .args(flag(&source, "sub/app.json"))
        .run();
    out.succeeds();
    scene.dir.holds(&[
        ("app.conf", b"x=p<w&>\n"),
        ("app.yaml", b"x=p<w&>\n"),
        ("sub/app.json", b"x=p<w&>\n"),
    ]);
    assert_eq!(scene.dir.mode("app.conf"), 0o440);
    assert_eq!(scene.reads(), ["GET secret/data/app"]);
}

#[test]
fn case_32_a_template_that_cannot_be_rendered_names_its_line() {
    let scene = Scene::new();
    let source = scene.file(
        "missing.j2",
        "fine\n{{ secret(\"secret/app\").user }}\n{{ secret(\"secret/app\").nokey }}\n",
    );
    let out = scene.fs(flag(&source, "out")).run();
    out.fails(66).says("missing.j2");
    let message = out.message();
    assert!(
        message.contains("missing.j2:3") || message.contains("line 3"),
        "{message}"
    );
    scene.dir.is_empty();
    scene.proxy.forget();
    let source = scene.file("broken.j2", "fine\n{% if %}\n");
    let out = scene.fs(flag(&source, "out")).run();
    out.fails(64).says("broken.j2");
    scene.dir.is_empty();
    scene.asked_nothing();
    let out = scene.fs(flag(Path::new("/nonexistent/t.j2"), "out")).run();
    out.fails(64).says("/nonexistent/t.j2");
    scene.asked_nothing();
}

#[test]
fn case_33_one_read_serves_all() {
    let scene = Scene::new();
    let source = scene.file("t.j2", "{{ secret(\"secret/app\").user }}");
    let out = scene
        .fs(["u=secret/app#user", "p=secret/app#password"])
        .args(flag(&source, "t"))
        .run();
    out.succeeds();
    scene
        .dir
        .holds(&[("u", b"u"), ("p", b"p<w&>"), ("t", b"u")]);
    assert_eq!(scene.reads(), ["GET secret/data/app"]);
}

#[test]
fn a_template_reads_what_another_secret_names() {
    let scene = Scene::new();
    // What becomes a path is shown as one, so it is not registered as a value to hide.
    let first = r#"{"next":"second","list":["b64:","aGk="]}"#;
    scene.server.put("secret/tpl/first", first);
    scene.put("secret/tpl/second", r#"{"value":"of the second"}"#);
    let text = "{% set one = secret('secret/tpl/first') %}\
                {{ secret('secret/tpl/' ~ one.next).value }} \
                {{ one.list[1] | b64decode }}{% for item in one.list %}.{% endfor %}";
    let source = scene.file("t.j2", text);
    scene.fs(flag(&source, "t")).run().succeeds();
    scene.dir.holds(&[("t", b"of the second hi..")]);
    let mut reads = scene.reads();
    reads.sort();
    assert_eq!(
        reads,
        ["GET secret/data/tpl/first", "GET secret/data/tpl/second"]
    );
}

#[test]
fn an_error_in_a_template_never_quotes_a_value() {
    let scene = Scene::new();
    scene.put("secret/tpl/text", r#"{"word":"a-word-no-number"}"#);
    for text in [
        "{{ secret('secret/tpl/text').word | int }}",
        "{{ secret('secret/tpl/text').word | b64decode }}",
        "{{ secret('secret/tpl/text').word / 2 }}",
        "{{ secret(secret('secret/tpl/text').word ~ '//x') }}",
    ] {
        let source = scene.file("bad.j2", text);
        let out = scene.fs(flag(&source, "out")).run();
        assert!(
            [64, 65, 66].contains(&out.code),
            "{text} brought about {out:?}"
        );
        scene.dir.is_empty();
    }
}
