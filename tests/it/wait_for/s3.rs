//! `s3://`, against a real `SeaweedFS` and scripted answers.

use super::run::WRONG;
use super::{Wait, wait_for};
use crate::support::seaweedfs::{ACCESS_KEY, SECRET_KEY, SeaweedFs};
use crate::support::wire::Response;
use crate::support::{Proxy, Reply};

fn asks<'p>(url: &str, target: &str) -> Wait<'p> {
    wait_for([target])
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
}

#[test]
fn case_70_seaweedfs() {
    let server = SeaweedFs::start();
    let url = server.url();
    let run = asks(&url, "s3://models").spawn();
    run.line_with("404");
    server.put("models");
    run.finish().succeeds();
    let run = asks(&url, "s3://models/llama/weights.bin").spawn();
    run.line_with("404");
    server.put("models/llama/weights.bin");
    run.finish().succeeds();
    // A key is taken as it is written.
    asks(&url, "s3://models/llama%2Fweights.bin")
        .args(["--timeout=700ms"])
        .run()
        .fails(69);
    let out = asks(&url, "s3://models")
        .env("AWS_SECRET_ACCESS_KEY", WRONG)
        .run();
    out.fails(77).hints("s3:ListBucket");
    asks(&url, "s3://gone-bucket")
        .args(["--gone"])
        .run()
        .succeeds();
    asks(&url, "s3://models/nothing")
        .args(["--gone"])
        .run()
        .succeeds();
    asks(&url, "s3://models")
        .args(["--gone", "--timeout=600ms"])
        .run()
        .fails(69);
}

#[test]
fn answers_are_judged() {
    let says = |status: u16| {
        Proxy::alone(move |_, _| Reply::Say(Response::text(status, "application/xml", "")))
    };
    let server = says(200);
    asks(&server.url(), "s3://bucket/some/key").run().succeeds();
    assert!(
        server
            .log()
            .iter()
            .any(|line| line.starts_with("HEAD /bucket/some/key"))
    );
    for status in [404, 429, 500, 503] {
        let server = says(status);
        let out = asks(&server.url(), "s3://bucket")
            .args(["--timeout=500ms"])
            .run();
        out.fails(69).says(&status.to_string());
        // One request an attempt: the SDK's own retries are off, and pauses grow.
        assert!((2..=6).contains(&server.log().len()), "{:?}", server.log());
    }
    asks(&says(403).url(), "s3://bucket")
        .run()
        .fails(77)
        .hints("s3:ListBucket");
    asks(&says(301).url(), "s3://bucket").run().fails(64);
}

#[test]
fn credentials_must_be_found() {
    let server = Proxy::alone(|_, _| Reply::Say(Response::text(200, "text/plain", "")));
    let out = wait_for(["--timeout=5s", "s3://bucket"])
        .env("AWS_ENDPOINT_URL", server.url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .run();
    out.fails(77);
    assert_eq!(server.log(), [""; 0]);
}
