//! Azure against scripted servers.

use super::super::Validator;
use super::super::testing::{Script, answer as say, bytes, put, reach};
use super::*;

const SAS: &str = "sv=2021-12-02&se=2099-01-01T00%3A00%3A00Z&sp=rl&sig=hunter2%2Bhunter2%3D";

fn object(key: &str) -> Object {
    Object {
        key: key.to_string(),
        version: None,
    }
}

fn source(server: &Script, variables: &[(&str, &str)]) -> Rc<dyn Source> {
    let options = AzureOptions {
        endpoint: Some(format!("{}/account/", server.origin())),
        ..AzureOptions::default()
    };
    open("account", "data", options, &reach(variables)).unwrap()
}

async fn refused(source: &Rc<dyn Source>, key: &str) -> Failure {
    source
        .get(&object(key), Span::Part(0..4), Condition::Always)
        .await
        .err()
        .unwrap()
}

#[tokio::test]
async fn blobs_and_lists_are_asked_for_with_version_and_token() {
    let server = Script::start(|heard, number| {
        assert_eq!(heard.header("x-ms-version"), Some("2021-12-02"));
        if !heard.target.contains("comp=list") {
            return say(206, &[("ETag", "\"0x8D\""), ("Content-Range", "bytes 0-3/4")], "abcd");
        }
        let marker = if number == 1 { "<NextMarker>m/2</NextMarker>" } else { "" };
        let blob = "<Blob><Name>p/x</Name><Properties><Content-Length>4</Content-Length><Etag>0x8D</Etag></Properties></Blob>";
        say(200, &[], format!("\u{feff}<EnumerationResults><Blobs>{blob}</Blobs>{marker}</EnumerationResults>"))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sas");
    put(&file, &format!("?{SAS}\n"));
    let options = AzureOptions {
        endpoint: Some(server.origin()),
        sas_token_file: Some(file),
    };
    // A file beats the variable.
    let source = open(
        "account",
        "data",
        options,
        &reach(&[("AZURE_STORAGE_SAS_TOKEN", "sig=other")]),
    )
    .unwrap();
    let reply = source
        .get(&object("a/../b c+é"), Span::Part(0..4), Condition::Always)
        .await
        .unwrap();
    let Reply::Answer(answer) = reply else {
        panic!("no body")
    };
    assert_eq!(answer.validator.etag.as_deref(), Some("\"0x8D\""));
    assert_eq!(bytes(answer.body).await.unwrap(), b"abcd");
    let page = source.list("p/ ", None).await.unwrap();
    assert_eq!(
        (page.objects[0].key.as_str(), page.next.as_deref()),
        ("p/x", Some("m/2"))
    );
    let page = source.list("p/ ", page.next.as_deref()).await.unwrap();
    assert_eq!(page.next, None);
    assert_eq!(
        server.targets(),
        [
            format!("/data/a/../b%20c%2B%C3%A9?{SAS}"),
            format!("/data?restype=container&comp=list&prefix=p%2F%20&{SAS}"),
            format!("/data?restype=container&comp=list&prefix=p%2F%20&marker=m%2F2&{SAS}"),
        ]
    );
    assert!(!format!("{source:?}").contains("hunter2"));
    assert_eq!(source.show(&object("p/x")), "az://account/data/p/x");
}

#[tokio::test]
async fn refusals_say_what_to_do_and_never_the_token() {
    let server = Script::start(|heard, _| {
        let code = [("x-ms-error-code", "AuthenticationFailed")];
        let told = |code: &str| format!("\u{feff}<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no hunter2+hunter2=\nRequestId:1\nTime:2</Message></Error>");
        match heard.target.split('?').next().unwrap() {
            "/account/data/shut" => say(403, &code, told("AuthenticationFailed")),
            "/account/data/private" => say(409, &[("x-ms-error-code", "PublicAccessNotPermitted")], told("PublicAccessNotPermitted")),
            "/account/data/cold" => say(409, &[("x-ms-error-code", "BlobArchived")], ""),
            _ => say(404, &[], told("BlobNotFound")),
        }
    })
    .await;
    let expired = SAS.replace("2099", "2020");
    for (variables, key, kind, mend) in [
        (&[][..], "shut", Kind::Denied, "SAS"),
        (
            &[("AZURE_STORAGE_KEY", "x")],
            "shut",
            Kind::Denied,
            "account keys are not supported yet: make a SAS",
        ),
        (
            &[("AZURE_STORAGE_SAS_TOKEN", SAS)],
            "shut",
            Kind::Denied,
            "allow r",
        ),
        (
            &[("AZURE_STORAGE_SAS_TOKEN", &expired)],
            "shut",
            Kind::Denied,
            "new SAS",
        ),
        (&[], "private", Kind::Denied, "SAS"),
        (&[], "none", Kind::Missing, "private container"),
        (&[], "cold", Kind::Corrupt, "rehydrate"),
    ] {
        let failure = refused(&source(&server, variables), key).await;
        assert_eq!(failure.kind(), kind, "{key}");
        assert!(
            failure.mend().unwrap().contains(mend),
            "{failure} {:?}",
            failure.mend()
        );
        let with_token = !variables.is_empty() && variables[0].0 == "AZURE_STORAGE_SAS_TOKEN";
        assert!(
            !with_token || !failure.to_string().contains("hunter2"),
            "{failure}"
        );
        assert!(!failure.to_string().contains("RequestId"), "{failure}");
        let says_when = failure
            .to_string()
            .contains("expired at 2020-01-01T00:00:00Z");
        assert_eq!(says_when, mend == "new SAS", "{failure}");
    }
}

#[tokio::test]
async fn conditions_are_sent_and_what_is_no_token_is_refused() {
    let server = Script::start(|heard, _| match heard.header("if-match") {
        Some("\"0x8D\"") => say(412, &[], ""),
        _ => say(416, &[], ""),
    })
    .await;
    let source = source(&server, &[]);
    let known = Validator {
        etag: Some("\"0x8D\"".into()),
        ..Validator::default()
    };
    let get = async |condition| source.get(&object("k"), Span::Part(0..1), condition).await;
    assert!(matches!(
        get(Condition::Same(&known)).await,
        Ok(Reply::Changed)
    ));
    assert!(matches!(
        get(Condition::Always).await,
        Ok(Reply::OutOfRange)
    ));
    for wrong in ["hunter2", "sv=1", "sig=hunter2 x", "sig=a#hunter2"] {
        let reach = reach(&[("AZURE_STORAGE_SAS_TOKEN", wrong)]);
        let failure = open("account", "data", AzureOptions::default(), &reach)
            .err()
            .unwrap();
        assert_eq!(failure.kind(), Kind::Usage);
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
    }
    let reach = reach(&[]);
    let failure = open("evil.host/", "data", AzureOptions::default(), &reach)
        .err()
        .unwrap();
    assert_eq!(failure.kind(), Kind::Usage);
}
