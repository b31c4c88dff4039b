use super::*;

fn refused(text: &str) -> String {
    let failure = parse(text).unwrap_err();
    assert_eq!(failure.kind(), Kind::Usage, "{text}");
    assert!(failure.mend().is_some(), "{text}");
    format!("{failure}; {}", failure.mend().unwrap_or_default())
}

#[test]
fn yaml_and_json_are_one() {
    let yaml = "\
- source: s3://b/k
  dest: /d/k
  version: \"3HL4k\"
  mode: \"0440\"
- {source: 'gs://b/o', dest: d/o, generation: 17, unpack: tar.gz}
- source: https://h/x
  dest: d/
  etag: '\"abc\"'
  unpack: true
  sha256: sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
";
    let json = r#"[
{"source": "s3://b/k", "dest": "/d/k", "version": "3HL4k", "mode": "0440"},
{"source": "gs://b/o", "dest": "d/o", "generation": "17", "unpack": "tar.gz"},
{"source": "https://h/x", "dest": "d/", "etag": "abc", "unpack": "auto",
 "sha256": "5891B5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"}]"#;
    let told = |text: &str| format!("{:?}", parse(text).unwrap());
    assert_eq!(told(yaml), told(json));
    let items = parse(yaml).unwrap();
    assert_eq!(items[0].location.version.as_deref(), Some("3HL4k"));
    assert_eq!(items[0].mode, Some(0o440));
    assert_eq!(items[1].location.version.as_deref(), Some("17"));
    assert_eq!(items[2].etag.as_deref(), Some("abc"));
}

#[test]
fn what_yaml_reads_as_a_number_is_refused() {
    for (line, word) in [
        ("mode: 0440", "mode"),
        ("mode: 0o440", "mode"),
        ("mode: 440", "mode"),
        (
            "sha256: 1111111111111111111111111111111111111111111111111111111111111111",
            "sha256",
        ),
        (
            "sha256: 0000000000000000000000000000000000000000000000000000000000000e10",
            "sha256",
        ),
        ("etag: 1234", "etag"),
        ("etag: 12_34", "etag"),
        ("etag: 1e5", "etag"),
        ("etag: 0x1f", "etag"),
        ("version: 12", "version"),
    ] {
        let told = refused(&format!("- {{source: s3://b/k, dest: k, {line}}}"));
        assert!(
            told.contains(word) && told.contains("entry 1"),
            "{line}: {told}"
        );
    }
}

#[test]
fn what_cannot_be_obeyed_is_refused_with_its_entry() {
    for (line, word) in [
        ("source: s3://b/k", "`dest` is missing"),
        ("dest: k", "`source` is missing"),
        (
            "source: s3://b/k, dest: k, sha265: x",
            "did you mean sha256",
        ),
        ("source: s3://b/k, dest: k, colour: x", "one of source"),
        ("source: s3://b/k, dest: k, generation: 1", "generation"),
        ("source: gs://b/k, dest: k, version: \"1\"", "version"),
        ("source: gs://b/k, dest: k, generation: x", "generation"),
        ("source: https://h/k, dest: k, version: \"1\"", "version"),
        ("source: s3://b/p/, dest: k, version: \"1\"", "prefix"),
        (
            "source: \"s3://b/k?versionId=1\", dest: k, version: \"1\"",
            "once",
        ),
        ("source: s3://b/k, dest: k, mode: \"0999\"", "octal"),
        ("source: s3://b/k, dest: k, unpack: tar.xz", "tar.zst"),
        ("source: s3://b/k, dest: [k]", "dest"),
    ] {
        let told = refused(&format!("- {{source: s3://b/x, dest: x}}\n- {{{line}}}"));
        assert!(
            told.contains(word) && told.contains("entry 2"),
            "{line}: {told}"
        );
    }
    for text in [
        "",
        "a: b",
        "[]",
        "- a",
        "{",
        "- {source: a, source: b, dest: c}",
    ] {
        refused(text);
    }
}

#[test]
fn no_failure_repeats_a_signature() {
    for text in [
        "- {source: \"https://h/x?sig=hunter2\", dest: [}",
        "- {source: \"https://h/x?sig=hunter2\"}",
        "- {source: \"ftp://h/x?sig=hunter2\", dest: x}",
        "https://h/x?sig=hunter2",
    ] {
        assert!(!refused(text).contains("hunter2"), "{text}");
    }
}

#[test]
fn the_schema_knows_the_same_keys() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../../schemas/fetch-object-list.json")).unwrap();
    let entry = &schema["items"];
    assert_eq!(entry["additionalProperties"], false);
    let mut known: Vec<&str> = entry["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    known.sort_unstable();
    let mut keys = KEYS;
    keys.sort_unstable();
    assert_eq!(known, keys);
    assert_eq!(entry["required"], serde_json::json!(["source", "dest"]));
    let formats: Vec<&str> = super::super::unpack::Format::all()
        .map(super::super::unpack::Format::name)
        .collect();
    let listed: Vec<&str> = entry["properties"]["unpack"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .filter(|name| *name != "auto")
        .collect();
    assert_eq!(listed, formats);
}
