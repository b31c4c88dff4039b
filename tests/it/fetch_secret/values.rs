//! A key's bytes: what each kind of value becomes, and how it is decoded.

use super::Scene;

#[test]
fn case_19_what_is_no_string_is_compact_json() {
    let scene = Scene::new();
    scene.put(
        "secret/case19",
        r#"{"foo":10,"yes":true,"all":{"b":1,"a":[6,"x",true]}}"#,
    );
    scene.fs(["secret/case19#foo"]).run().succeeds();
    scene.dir.holds(&[("foo", b"10")]);
    scene.fs(["secret/case19"]).run().succeeds();
    scene.dir.holds(&[
        ("foo", b"10"),
        ("yes", b"true"),
        ("all", br#"{"a":[6,"x",true],"b":1}"#),
    ]);
}

#[test]
fn numbers_keep_the_digits_that_the_server_sent() {
    let scene = Scene::new();
    let object = r#"{"big":9007199254740993,"float":1.50,"tiny":1e-7}"#;
    scene.server.post("kv1/numbers", object);
    let sent = scene.server.call("GET", "kv1/numbers", "");
    let sent = String::from_utf8(sent.body).expect("UTF-8");
    let start = sent.find(r#"{"big""#).expect("the object is in it");
    let end = start + sent[start..].find('}').expect("it ends") + 1;
    let out = scene
        .fs(["n.json=kv1/numbers", "big=kv1/numbers#big"])
        .run();
    out.succeeds();
    let wanted = format!("{}\n", &sent[start..end]);
    scene
        .dir
        .holds(&[("n.json", wanted.as_bytes()), ("big", b"9007199254740993")]);
    // Version 1 of KV has no versions to tell.
    assert!(
        out.stdout.contains("big 16 bytes 0440 from kv1/numbers\n"),
        "{out:?}"
    );
}

#[test]
fn case_20_null_is_missing_except_in_json() {
    let scene = Scene::new();
    scene.put("secret/case20", r#"{"empty":null}"#);
    for secret in [
        "secret/case20#empty",
        "secret/case20",
        "app.env=secret/case20",
    ] {
        let out = scene.fs([secret]).run();
        out.fails(66).says("empty");
        scene.dir.is_empty();
    }
    scene.fs(["app.json=secret/case20"]).run().succeeds();
    scene.dir.holds(&[("app.json", b"{\"empty\":null}\n")]);
}

#[test]
fn case_21_a_key_is_exact_before_it_is_a_way_through_objects() {
    let scene = Scene::new();
    scene.put(
        "secret/case21",
        r#"{"nested.bar":"x","nested":{"bar":"y","foo":"oke"}}"#,
    );
    scene.fs(["b=secret/case21#nested.bar"]).run().succeeds();
    scene.dir.holds(&[("b", b"x")]);
    scene.fs(["f=secret/case21#nested.foo"]).run().succeeds();
    scene.dir.holds(&[("f", b"oke")]);
    let out = scene.fs(["n=secret/case21#nop.a"]).run();
    out.fails(66).says("nop.a");
    scene.dir.holds(&[("f", b"oke")]);
}

#[test]
fn case_22_nothing_is_escaped_that_need_not_be() {
    let scene = Scene::new();
    scene.put("secret/case22", r#"{"acc<ess_&ke.,y":"acce&?ss_s>ecret"}"#);
    scene.fs(["secret/case22"]).run().succeeds();
    scene.dir.holds(&[("acc<ess_&ke.,y", b"acce&?ss_s>ecret")]);
    scene.fs(["x.json=secret/case22"]).run().succeeds();
    let json = "{\"acc<ess_&ke.,y\":\"acce&?ss_s>ecret\"}\n";
    scene.dir.holds(&[("x.json", json.as_bytes())]);
}

#[test]
fn case_23_base64_is_decoded_or_refused() {
    let scene = Scene::new();
    scene.hide("secret v1");
    scene.put(
        "secret/case23",
        r#"{"whole":"c2VjcmV0IHYx","broken":"c2Vjcm\nV0IHYx","wrong":"!!!","short":"YQ","url":"_-__"}"#,
    );
    let out = scene
        .fs([
            "a=secret/case23?decode=base64#whole",
            "b=secret/case23?decode=base64#broken",
        ])
        .run();
    out.succeeds();
    let both: &[(&str, &[u8])] = &[("a", b"secret v1"), ("b", b"secret v1")];
    scene.dir.holds(both);
    for key in ["wrong", "short", "url"] {
        let secret = format!("a=secret/case23?decode=base64#{key}");
        scene.fs([secret]).run().fails(65).says(key);
        scene.dir.holds(both);
    }
}

#[test]
fn case_24_hex_is_decoded_where_asked() {
    let scene = Scene::new();
    scene.put(
        "secret/case24",
        r#"{"plain":"1234","hex":"00ff","odd":"00f","wrong":"0g"}"#,
    );
    let secrets = ["p=secret/case24#plain", "h=secret/case24?decode=hex#hex"];
    scene.fs(secrets).run().succeeds();
    let both: &[(&str, &[u8])] = &[("p", b"1234"), ("h", &[0, 0xff])];
    scene.dir.holds(both);
    let out = scene.fs([
        "--decode",
        "hex",
        "p=secret/case24#plain",
        "h=secret/case24#hex",
    ]);
    out.run().succeeds();
    scene.dir.holds(&[("p", &[0x12, 0x34]), ("h", &[0, 0xff])]);
    // The secret's own word beats the flag.
    let out = scene.fs([
        "--decode",
        "hex",
        "h=secret/case24#hex",
        "b=secret/app2?decode=base64#b",
    ]);
    scene.put("secret/app2", r#"{"b":"YmFzZTY0Cg=="}"#);
    out.run().succeeds();
    scene.dir.holds(&[("h", &[0, 0xff]), ("b", b"base64\n")]);
    for key in ["odd", "wrong"] {
        let secret = format!("h=secret/case24?decode=hex#{key}");
        scene.fs([secret]).run().fails(65).says(key);
    }
}

#[test]
fn a_key_that_is_no_file_name_is_corrupt() {
    let scene = Scene::new();
    for (place, key) in [
        ("a", "..data"),
        ("b", "x/y"),
        ("c", "."),
        ("d", "..x"),
        ("e", "../x"),
    ] {
        let path = format!("secret/keys/{place}");
        scene.put(&path, &format!("{{\"{key}\":\"of a bad name\"}}"));
        scene.fs([&path]).run().fails(65).says(key);
        scene.dir.is_empty();
    }
    // Named by hand, any key will do.
    scene.fs(["x=secret/keys/e#../x"]).run().succeeds();
    scene.dir.holds(&[("x", b"of a bad name")]);
}
