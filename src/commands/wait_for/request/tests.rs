//! What the arguments say together.

use std::ffi::OsString;

use clap::{FromArgMatches as _, Parser};

use super::*;

#[derive(Debug, Parser)]
struct Whole {
    #[command(flatten)]
    args: Args,
}

fn asked(words: &[&str], environment: &[(&str, &str)]) -> Result<Request, String> {
    let words = std::iter::once("podinit").chain(words.iter().copied());
    let matches = <Whole as clap::CommandFactory>::command()
        .mut_args(|arg| arg.env(None::<&str>))
        .try_get_matches_from(words)
        .map_err(|error| error.to_string())?;
    let whole = Whole::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    let environment = environment
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect();
    read(whole.args, Output::Text, &Environment::of(environment))
        .map_err(|failure| format!("{failure} | {}", failure.mend().unwrap_or_default()))
}

fn refused(words: &[&str]) -> String {
    match asked(words, &[]) {
        Ok(_) => panic!("{words:?} is accepted"),
        Err(words) => words,
    }
}

#[test]
fn what_would_do_nothing_is_refused() {
    for (words, gist) in [
        (
            &["--sql", "select 1", "redis://h"][..],
            "no target uses --sql",
        ),
        (
            &["--http-status", "204", "tcp://h:1"],
            "no target uses the --http flags",
        ),
        (
            &["--gone", "--sql", "select 1", "postgres://a@h"],
            "--gone never logs in",
        ),
        (
            &[
                "--http-status",
                "200-499",
                "--http-fatal",
                "404",
                "http://h",
            ],
            "status 404 is in",
        ),
        (&["--http-fatal", "302", "http://h"], "status 302 is in"),
        (
            &[
                "--http-method",
                "HEAD",
                "--http-body-regex",
                "x",
                "http://h",
            ],
            "no body to check",
        ),
        (
            &["--http-method", "HEAD", "--http-json", "/a=1", "http://h"],
            "no body to check",
        ),
        (&["tcp://h:1?send=x"], "needs ?expect="),
        (&[], "no TARGET given"),
    ] {
        let said = refused(words);
        assert!(said.contains(gist), "{words:?}: {said}");
    }
}

#[test]
fn a_secret_header_belongs_into_the_variable() {
    let words = ["--http-header", "Authorization: Bearer hunter2", "http://h"];
    let said = refused(&words);
    assert!(
        said.contains("public") && !said.contains("hunter2"),
        "{said}"
    );
    let from_variable = [("PODINIT_HTTP_HEADER", "\n authorization:Bearer hunter2 \n")];
    assert!(asked(&words, &from_variable).is_ok());
    assert!(asked(&["--http-header", "X-Test: a", "http://h"], &[]).is_ok());
}

#[test]
fn a_foreign_option_and_a_plain_mysql_port_are_warned_of() {
    let warnings = |words: &[&str]| asked(words, &[]).unwrap().warnings;
    let foreign = warnings(&["postgres://h/db?target_session_attrs=hunter2"]);
    assert!(foreign[0].contains("?target_session_attrs=") && !foreign[0].contains("hunter2"));
    assert!(warnings(&["tcp://h:3306"])[0].contains("mysql://h"));
    assert!(warnings(&["tcp://h:3307"]).is_empty());
}
