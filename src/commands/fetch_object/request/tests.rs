use clap::{Args as _, FromArgMatches as _};

use super::*;

fn read_in(words: &[&str], environment: &[(&str, &str)]) -> Result<Request, Failure> {
    let grammar = Args::augment_args(clap::Command::new("fetch-object"));
    let words = std::iter::once("fetch-object").chain(words.iter().copied());
    let matches = grammar
        .try_get_matches_from(words)
        .unwrap_or_else(|error| panic!("{error}"));
    let args = Args::from_arg_matches(&matches).unwrap();
    let pairs = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect();
    super::read(args, Environment::of(pairs))
}

fn read(words: &[&str]) -> Result<Request, Failure> {
    read_in(words, &[])
}

#[track_caller]
fn refused(words: &[&str]) -> String {
    let failure = read(words).unwrap_err();
    assert_eq!(failure.kind(), Kind::Usage, "{words:?}");
    assert!(
        failure.mend().is_some_and(|mend| !mend.is_empty()),
        "{failure}"
    );
    failure.to_string()
}

const HEX: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

#[test]
fn what_is_asked_for_is_known_before_any_request() {
    let request = read(&["s3://b/p/", "d", "--include=*.bin", "--delete"]).unwrap();
    assert_eq!(request.entries[0].what, What::Prefix);
    assert!(request.options.delete);
    let request = read(&["gs://b/k", "d", "--unpack"]).unwrap();
    assert_eq!(request.entries[0].what, What::Archive(Choice::Auto));
    let request = read(&["https://h/k.gz", "d", "--unpack=gz", "--mode=0755"]).unwrap();
    let entry = &request.entries[0];
    assert_eq!(entry.what, What::Archive(Choice::Format(Format::Gz)));
    assert_eq!(entry.file_mode(), 0o755);
    assert_eq!((request.tuning.parallel, request.tuning.per_host), (16, 4));
    let request = read(&["https://h/k", "d", "--parallel=8"]).unwrap();
    assert_eq!((request.tuning.parallel, request.tuning.per_host), (8, 8));
}

#[test]
fn flags_that_nothing_would_obey_are_refused() {
    let digest = format!("--sha256={HEX}");
    for words in [
        ["s3://b/p/", "d", digest.as_str()].as_slice(),
        &["s3://b/p/", "d", "--etag=x"],
        &["s3://b/p/", "d", "--unpack"],
        &["gs://b/o", "d", "--etag=x"],
        &["s3://b/k", "d", "--delete"],
        &["s3://b/k", "d", "--include=*"],
        &["s3://b/k", "d", "--exclude=*"],
        &["s3://b/k", "d", "--skip-unsafe"],
        &["https://h/p/", "d/x", "--delete"],
        &["s3://b/k", "d", "--strip-components=1"],
        &["s3://b/k", "d", "--max-unpacked=1GiB"],
        &["s3://b/k", "d", "--atomic"],
        &["s3://b/k", "d", "--atomic", "--unpack=gz"],
        &["https://h/x", "d", "--region=r"],
        &["https://h/x", "d", "--anonymous"],
        &["https://h/x", "d", "--endpoint-url=http://h"],
        &["https://h/x", "d", "--path-style=auto"],
        &["gs://b/k", "d", "--profile=x"],
        &["s3://b/k", "d", "--header-file=/dev/null"],
        &["s3://b/k", "d", "--sas-token-file=/dev/null"],
        &["s3://b/k", "d", "e"],
        &["s3://b/k"],
        &[],
        &["s3://b/k", "d", "--list=x"],
        &["s3://b/k", "d", digest.as_str(), "--sha256-file=x"],
        &["s3://b/k", "d", "--sha256-file=/no/such/file"],
        &["s3://b/k", "d", "--sha256-file=ftp://h/x"],
        &["s3://b/k", ""],
    ] {
        refused(words);
    }
}

#[test]
fn a_word_too_many_is_not_repeated() {
    let told = refused(&["s3://b/k", "d", "https://h/x?sig=hunter2"]);
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn variables_of_the_environment_are_exempt_and_each_for_its_store() {
    let environment = [
        ("AWS_ENDPOINT_URL", "http://s3:1"),
        ("STORAGE_EMULATOR_HOST", "gcs:2"),
    ];
    let endpoint = |source: &str, words: &[&str]| {
        let words = [&[source, "d"], words].concat();
        let request = read_in(&words, &environment).unwrap();
        let location = &request.entries[0].location;
        request.access.endpoint(location).map(str::to_string)
    };
    assert_eq!(endpoint("s3://b/k", &[]).as_deref(), Some("http://s3:1"));
    assert_eq!(endpoint("gs://b/k", &[]).as_deref(), Some("http://gcs:2"));
    assert_eq!(endpoint("az://a/c/k", &[]), None);
    assert_eq!(endpoint("https://h/k", &[]), None);
    let given = ["--endpoint-url=http://other:3"];
    for source in ["s3://b/k", "gs://b/k", "az://a/c/k"] {
        assert_eq!(endpoint(source, &given).as_deref(), Some("http://other:3"));
    }
    let failure = read_in(&["s3://b/k", "d"], &[("AWS_ENDPOINT_URL", "ftp://x")]).unwrap_err();
    assert!(
        failure.to_string().contains("AWS_ENDPOINT_URL"),
        "{failure}"
    );
}

#[test]
fn directories_get_x_for_each_r() {
    for (file, folder) in [
        (0o644, 0o755),
        (0o440, 0o550),
        (0o600, 0o700),
        (0o666, 0o777),
    ] {
        assert_eq!(folder_mode(file), folder, "{file:o}");
    }
}
