use super::*;

fn parse(text: &str) -> SecretSpec {
    text.parse()
        .unwrap_or_else(|bad: BadArgument| panic!("{text}: {bad}"))
}

fn refused(text: &str) -> String {
    text.parse::<SecretSpec>().unwrap_err().reason
}

#[test]
fn a_secret_is_split_at_its_key_then_its_parameters_then_its_file() {
    let spec = parse("secret/app#a=b?c#d");
    assert_eq!(spec.ask.path.to_string(), "secret/app");
    assert_eq!(
        spec.shape,
        Shape::Key {
            key: "a=b?c#d".into(),
            file: "a=b?c#d".into()
        }
    );
    let spec = parse("tls/=/pki/issue/web?common_name=a%26b=c&ttl=1+1&mode=0400");
    assert_eq!(spec.ask.path.wire(), "pki/issue/web");
    assert_eq!(spec.mode, Some(0o400));
    assert_eq!(
        spec.shape,
        Shape::PerKey {
            folder: Some("tls".into())
        }
    );
    let write = spec.ask.write.unwrap();
    assert_eq!(write["common_name"], "a&b=c");
    assert_eq!(write["ttl"], "1+1");
    assert_eq!(write.len(), 2);
}

#[test]
fn each_form_has_its_shape() {
    assert_eq!(parse("secret/app").shape, Shape::PerKey { folder: None });
    let file = |text: &str| match parse(text).shape {
        Shape::Key { file, .. } | Shape::Whole { file } => file,
        Shape::PerKey { .. } => panic!("{text}"),
    };
    assert_eq!(file("secret/app#password"), "password");
    assert_eq!(file("db/=secret/app#password"), "db/password");
    assert_eq!(file("d/pw=secret/app#a/b"), "d/pw");
    assert_eq!(file("app.json=secret/app"), "app.json");
}

#[test]
fn own_parameters_make_no_write_and_a_bare_question_mark_does() {
    let spec = parse("x=s/a?version=3&decode=hex&mode=0400#k");
    assert_eq!(spec.ask.version.unwrap().get(), 3);
    assert_eq!(spec.decode, Some(Decode::Hex));
    assert_eq!(spec.ask.write, None);
    assert_eq!(parse("s/a?").ask.write, Some(BTreeMap::new()));
}

#[test]
fn a_path_is_decoded_and_encoded_again() {
    let path = parse("v=secret/we%20ird%3F/x%25#k").ask.path;
    assert_eq!(path.to_string(), "secret/we ird?/x%");
    assert_eq!(path.wire(), "secret/we%20ird%3F/x%25");
}

#[test]
fn what_cannot_be_obeyed_is_refused_by_its_part() {
    for (text, part) in [
        ("=secret/app", "empty FILE"),
        ("secret/app#", "empty KEY"),
        ("a=#k", "empty PATH"),
        ("", "empty PATH"),
        ("/", "empty PATH"),
        ("../x=secret/app#k", "`..`"),
        ("/x=secret/app#k", "empty name"),
        ("a//b=secret/app#k", "empty name"),
        ("..x=secret/app#k", "`..x`"),
        ("a/./b=secret/app#k", "`.`"),
        ("/=secret/app", "empty name"),
        ("secret//app", "empty segment"),
        ("secret/app/", "at the end"),
        ("secret/%2e%2E/app", "`..`"),
        ("secret/a%0Ab", "control character"),
        ("secret/a%2", "two hex digits"),
        ("secret/a%+1b", "two hex digits"),
        ("secret/%FF", "UTF-8"),
        ("x=s/a?version=0#k", "version"),
        ("x=s/a?version=+1#k", "version"),
        ("x=s/a?version=abc#k", "version"),
        ("x=s/a?mode=0999#k", "mode"),
        ("x=s/a?mode=1777#k", "mode"),
        ("x=s/a?mode=#k", "mode"),
        ("x=s/a?decode=rot13#k", "decode"),
        ("x=s/a?a=1&a=2#k", "twice"),
        ("x=s/a?a=1&%61=2#k", "twice"),
        ("x=s/a?a#k", "without `=`"),
        ("x=s/a?a=1&#k", "without `=`"),
        ("x=s/a?=1#k", "without a name"),
        ("secret/app#a/b", "cannot name a file"),
        ("secret/app#..data", "cannot name a file"),
    ] {
        assert!(refused(text).contains(part), "{text}: {}", refused(text));
    }
}

#[test]
fn a_refusal_does_not_repeat_parameters() {
    assert!(!refused("x=s/a?password=hunter2&a#k").contains("hunter2"));
}

#[test]
fn a_path_knows_its_mount() {
    let path = parse("deep/path/t").ask.path;
    let (head, rest) = path.split_at_mount("deep/path/").unwrap();
    assert_eq!(
        (head.to_string(), rest.to_string()),
        ("deep/path".into(), "t".into())
    );
    assert_eq!(head.with("data", &rest).to_string(), "deep/path/data/t");
    assert_eq!(path.rest_below(&head).unwrap().to_string(), "t");
    assert!(path.split_at_mount("deep/pa/").is_none());
    let path = parse("auth/token/lookup").ask.path;
    assert_eq!(
        path.split_at_mount("token/").unwrap().0.to_string(),
        "auth/token"
    );
}

proptest::proptest! {
    #[test]
    fn any_path_survives_the_wire(segments in proptest::collection::vec("\\PC{1,12}", 1..4)) {
        proptest::prop_assume!(segments.iter().all(|segment| segment != "." && segment != ".."));
        let wire = segments.iter().map(|segment| encode(segment)).collect::<Vec<_>>().join("/");
        let path: ApiPath = wire.parse().unwrap();
        proptest::prop_assert_eq!(&path.0, &segments);
        proptest::prop_assert_eq!(path.wire(), wire);
    }

    #[test]
    fn any_key_is_taken_as_it_stands(key in "\\PC{1,40}") {
        let spec: SecretSpec = format!("f=secret/app?version=2#{key}").parse().unwrap();
        proptest::prop_assert_eq!(spec.shape, Shape::Key { key, file: "f".into() });
    }

    #[test]
    fn no_text_makes_it_panic_or_leave_its_directory(text in "\\PC{0,40}") {
        if let Ok(spec) = text.parse::<SecretSpec>() {
            let file = match spec.shape {
                Shape::PerKey { folder } => folder,
                Shape::Key { file, .. } | Shape::Whole { file } => Some(file),
            };
            if let Some(file) = file {
                proptest::prop_assert!(check_path(&file).is_ok());
            }
        }
    }
}
