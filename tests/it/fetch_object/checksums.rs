//! Cases 17 to 21: checksums that the store gives, and digests that the caller gives.

use serde_json::{Value, json};

use super::{OLD, Scene, big};
use crate::support::bucket::{crc32, crc32c, crc64nvme};
use crate::support::{Answer, MIB, Object, Origin, sha256};

/// A kind of checksum, as S3 names it, and how it is made.
type Kind = (&'static str, fn(&[u8]) -> String);

const KINDS: &[Kind] = &[
    ("crc64nvme", crc64nvme),
    ("crc32c", crc32c),
    ("crc32", crc32),
];

/// S3 with checksums on HEAD and on whole answers, when they are asked for.
fn serving(object: Object) -> Origin {
    Origin::new(move |request, _| {
        let mut answer = match &*request.method {
            "HEAD" => object.whole(),
            _ => object.answer(request),
        };
        if request.header("x-amz-checksum-mode").is_none() {
            answer
                .headers
                .retain(|(name, _)| !name.starts_with("x-amz-checksum"));
        }
        answer
    })
}

/// What a successful run says that it has checked.
fn checked(report: &Value) -> Vec<String> {
    let all = report["checked"].as_array().expect("a list");
    all.iter()
        .filter_map(Value::as_str)
        .map(str::to_string)
        .collect()
}

#[test]
fn a_checksum_of_the_whole_is_checked_and_named() {
    for (kind, sum) in KINDS {
        let object = Object::new(big())
            .checksum(kind, &sum(&big()))
            .checksum("type", "FULL_OBJECT");
        let x = serving(object);
        let scene = Scene::new();
        let report = scene.s3(&x.url(), "s3://b/k", "x").report();
        scene.holds([("x", big())]);
        let names = checked(&report);
        assert!(names.iter().any(|name| name == kind), "{kind} in {names:?}");
        assert!(names.iter().any(|name| name == "length"), "{names:?}");
        let asked = x.asked();
        let heads = asked.iter().filter(|one| one.request.method == "HEAD");
        assert_eq!(heads.count(), 1, "{:?}", x.log());
    }
}

#[test]
fn a_checksum_that_does_not_fit_is_corrupt() {
    for (kind, sum) in KINDS {
        for at in [0, 10 * MIB, 20 * MIB - 1] {
            let object = Object::new(big())
                .checksum(kind, &sum(&big()))
                .checksum("type", "FULL_OBJECT")
                .flipped(at);
            let x = serving(object);
            let scene = Scene::new();
            let out = scene.old("x").s3(&x.url(), "s3://b/k", "x").run();
            out.fails(65);
            scene.has("x", OLD);
        }
    }
}

#[test]
fn a_checksum_without_a_type_counts_as_of_the_whole() {
    let x = serving(Object::new(big()).checksum("crc64nvme", &crc64nvme(&big())));
    let scene = Scene::new();
    let names = checked(&scene.s3(&x.url(), "s3://b/k", "x").report());
    assert!(names.contains(&"crc64nvme".to_string()), "{names:?}");
}

#[test]
fn a_composite_checksum_is_not_one_of_the_object() {
    let composites: &[&[(&str, &str)]] = &[
        &[("crc32c", "AAAAAA==-3")],
        &[("crc32c", "AAAAAA=="), ("type", "COMPOSITE")],
    ];
    for sums in composites {
        let mut object = Object::new(big());
        for (kind, value) in *sums {
            object = object.checksum(kind, value);
        }
        let x = serving(object);
        let scene = Scene::new();
        scene.old("x");
        let out = scene.s3(&x.url(), "s3://b/k", "x").run();
        out.succeeds();
        let said = format!("{}{}", out.stdout, out.stderr);
        assert!(said.contains("not checked: composite"), "{out:?}");
        scene.holds([("x", big())]);
        scene.old("x");
        let wrong = "0".repeat(64);
        let out = scene
            .s3(&x.url(), "s3://b/k", "x")
            .with("--sha256", wrong)
            .run();
        out.fails(65);
        scene.has("x", OLD);
    }
}

#[test]
fn a_checksum_on_a_part_is_never_used() {
    // A store that sends the whole object's checksum with each part, and one that sends the part's.
    let object = Object::new(big());
    let x = Origin::new(move |request, _| {
        if request.method == "HEAD" {
            return Answer::new(403);
        }
        let sum = crc64nvme(b"something else");
        object
            .answer(request)
            .with("x-amz-checksum-crc64nvme", &sum)
            .with("x-amz-checksum-crc32c", "AAAAAA==")
    });
    let scene = Scene::new();
    let names = checked(&scene.s3(&x.url(), "s3://b/k", "x").report());
    scene.holds([("x", big())]);
    assert!(
        !names.iter().any(|name| name.starts_with("crc")),
        "{names:?}"
    );
}

#[test]
fn a_checksum_of_another_state_is_not_used() {
    let object = Object::new(big());
    let other = Object::random(77, MIB).checksum("crc64nvme", &crc64nvme(b"of another state"));
    let x = Origin::new(move |request, _| match &*request.method {
        "HEAD" => other.whole(),
        _ => object.answer(request),
    });
    let scene = Scene::new();
    let names = checked(&scene.s3(&x.url(), "s3://b/k", "x").report());
    scene.holds([("x", big())]);
    assert!(
        !names.iter().any(|name| name.starts_with("crc")),
        "{names:?}"
    );
}

#[test]
fn a_store_that_cannot_bear_the_checksum_header_is_asked_without() {
    for status in [501, 400] {
        let object = Object::new(big());
        let x = Origin::new(
            move |request, _| match request.header("x-amz-checksum-mode") {
                Some(_) => Answer::s3_error(status, "NotImplemented"),
                None if request.method == "HEAD" => object.whole(),
                None => object.answer(request),
            },
        );
        let scene = Scene::new();
        scene.s3(&x.url(), "s3://b/k", "x").run().succeeds();
        scene.holds([("x", big())]);
    }
}

#[test]
fn the_head_is_only_for_the_checksum() {
    for status in [403, 404, 405, 500, 503] {
        let object = Object::new(big());
        let x = Origin::new(move |request, _| match &*request.method {
            "HEAD" => Answer::new(status),
            _ => object.answer(request),
        });
        let scene = Scene::new();
        scene.s3(&x.url(), "s3://b/k", "x").run().succeeds();
        scene.holds([("x", big())]);
    }
}

#[test]
fn a_right_digest_is_one_in_any_dress() {
    let digest = sha256(&big());
    for digest in [
        digest.clone(),
        digest.to_uppercase(),
        format!("sha256:{digest}"),
        format!("sha256:{}", digest.to_uppercase()),
    ] {
        let object = Object::new(big());
        let x = Origin::new(move |request, _| object.answer(request));
        let scene = Scene::new();
        let names = checked(
            &scene
                .fetch(&x.at("/x"), "x")
                .with("--sha256", digest)
                .report(),
        );
        scene.holds([("x", big())]);
        assert!(names.contains(&"sha256".to_string()), "{names:?}");
    }
}

#[test]
fn a_wrong_digest_is_corrupt_and_both_are_named() {
    let object = Object::new(big()).flipped(20 * MIB - 1);
    let (wanted, got) = (sha256(&big()), sha256(&object.bytes));
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let out = scene
        .old("x")
        .fetch(&x.at("/x"), "x")
        .with("--sha256", &wanted)
        .run();
    out.fails(65).says(&wanted).says(&got);
    scene.has("x", OLD);
}

/// An X that serves `big` and this list of digests.
fn with_sums(sums: String) -> Origin {
    let object = Object::new(big());
    Origin::new(move |request, _| match &*request.target {
        "/d/SHA256SUMS" => Answer::text(200, "text/plain", &sums),
        "/d/big" => object.answer(request),
        _ => Answer::new(404),
    })
}

#[test]
fn digests_come_from_a_list() {
    let digest = sha256(&big());
    let other = "0".repeat(64);
    for sums in [
        format!("{digest}  big\n"),
        format!("{other}  small\n{digest} *big\n"),
        format!("{digest}  big"),
        format!("{digest}\n"),
        digest.to_uppercase(),
        format!("{other}  small\r\n{digest}  big\r\n"),
    ] {
        let x = with_sums(sums.clone());
        let scene = Scene::new();
        let path = scene.file("sums", &sums);
        let url = x.at("/d/SHA256SUMS");
        for list in [path.display().to_string(), url] {
            let run = scene
                .fetch(&x.at("/d/big"), "big")
                .args(["--if-changed", "off"]);
            run.with("--sha256-file", &list).run().succeeds();
            scene.holds([("big", big())]);
        }
    }
}

#[test]
fn an_object_that_the_list_does_not_name_is_missing() {
    let x = with_sums(format!("{}  small\n", sha256(&big())));
    let scene = Scene::new();
    let out = scene
        .old("big")
        .fetch(&x.at("/d/big"), "big")
        .with("--sha256-file", x.at("/d/SHA256SUMS"))
        .run();
    out.fails(66).says("big");
    scene.has("big", OLD);
}

#[test]
fn a_list_that_names_another_digest_is_corrupt() {
    let x = with_sums(format!("{}  big\n", "0".repeat(64)));
    let scene = Scene::new();
    let out = scene
        .old("big")
        .fetch(&x.at("/d/big"), "big")
        .with("--sha256-file", x.at("/d/SHA256SUMS"))
        .run();
    out.fails(65);
    scene.has("big", OLD);
}

#[test]
fn a_list_that_is_none_is_refused() {
    let html = "<html>not found</html>\n".to_string();
    let huge = format!("{}  big\n", sha256(&big())).repeat(20_000);
    for sums in [html, huge] {
        let x = with_sums(sums);
        let scene = Scene::new();
        let out = scene
            .old("big")
            .fetch(&x.at("/d/big"), "big")
            .with("--sha256-file", x.at("/d/SHA256SUMS"))
            .run();
        assert!([64, 65, 66].contains(&out.code), "{out:?}");
        scene.has("big", OLD);
    }
}

#[test]
fn the_digests_of_a_prefix_are_relative_to_it() {
    use crate::support::bucket::Bucket;
    let files = [("p/a", "aa"), ("p/s/b", "bb")];
    let line = |name: &str, text: &str| format!("{}  {name}\n", sha256(text.as_bytes()));
    let all = line("a", "aa") + &line("s/b", "bb");
    let scene = Scene::new();
    let x = Origin::new(move |request, _| Bucket::of(files).s3(request));
    let path = scene.file("all", &all);
    scene
        .s3(&x.url(), "s3://b/p/", "")
        .with("--sha256-file", path)
        .run()
        .succeeds();
    scene.holds([("a", "aa"), ("s/b", "bb")]);
    for (sums, code) in [
        (line("a", "aa"), 66),
        (line("a", "aa") + &line("s/b", "cc"), 65),
    ] {
        let scene = Scene::new();
        let path = scene.file("sums", &sums);
        let out = scene
            .s3(&x.url(), "s3://b/p/", "new")
            .with("--sha256-file", path)
            .run();
        out.fails(code);
        scene.lacks("new");
    }
}

#[test]
fn the_report_says_what_was_done() {
    let object = Object::new(big());
    let etag = object.etag.clone();
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let report = scene.fetch(&x.at("/x"), "x").report();
    assert_eq!(report["source"], json!(x.at("/x")));
    assert_eq!(report["dest"], json!(scene.at("x")));
    assert_eq!(report["objects"], json!(1));
    assert_eq!(report["bytes"], json!(big().len()));
    assert_eq!(report["transferred"], json!(big().len()));
    assert_eq!(report["resumed"], json!(0));
    assert_eq!(report["unchanged"].as_u64().unwrap_or_default(), 0);
    assert_eq!(report["deleted"], json!(0));
    let etag = etag.expect("it has one");
    assert!(
        report["validator"]
            .to_string()
            .contains(etag.trim_matches('"')),
        "{report}"
    );
    assert!(report["seconds"].is_number(), "{report}");
    let out = scene.fetch(&x.at("/x"), "y").run();
    let line = format!(
        "fetched {} to {}: {} bytes, checked length",
        x.at("/x"),
        scene.at("y").display(),
        big().len()
    );
    assert!(out.stdout.starts_with(&line), "{out:?}");
    assert_eq!(out.stdout.lines().count(), 1, "{out:?}");
}
