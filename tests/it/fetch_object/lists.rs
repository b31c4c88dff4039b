//! Cases 63 to 65: the list of objects, and the plan.

use super::{OLD, Scene, refused};
use crate::support::bucket::Bucket;
use crate::support::tree::{published, tree};
use crate::support::{Answer, Object, Origin, sha256};

/// A store with a few objects, also for plain HTTP at the same paths.
fn store() -> Origin {
    let bucket = Bucket::of([("a", "aa"), ("b", "bbb"), ("p/x", "x"), ("p/s/y", "y")]);
    Origin::new(move |request, _| bucket.s3(request))
}

/// A run with this list.
fn listed<'s>(scene: &'s Scene, x: &Origin, text: &str) -> super::scene::Fetch<'s> {
    let text = text
        .replace("DIR", &scene.dir().display().to_string())
        .replace("URL", &x.url());
    let path = scene.file("list.yaml", &text);
    let run = scene.bare(["--list".as_ref(), path.as_os_str()]);
    run.args(["--anonymous", "--endpoint-url", &x.url()])
}

#[test]
fn a_list_is_fetched_whole_as_yaml_and_as_json() {
    let digest = sha256(b"aa");
    let yaml = format!(
        "# three objects\n- source: s3://bk/a\n  dest: DIR/one\n  mode: \"0440\"\n  sha256: \"{digest}\"\n\
         - {{source: \"URL/bk/b\", dest: DIR/two/}}\n- source: s3://bk/p/\n  dest: DIR/tree\n"
    );
    let json = format!(
        "[{{\"source\": \"s3://bk/a\", \"dest\": \"DIR/one\", \"mode\": \"0440\", \"sha256\": \"{digest}\"}}, \
          {{\"source\": \"URL/bk/b\", \"dest\": \"DIR/two/\"}}, {{\"source\": \"s3://bk/p/\", \"dest\": \"DIR/tree\"}}]"
    );
    for text in [yaml, json] {
        let (scene, x) = (Scene::new(), store());
        let out = listed(&scene, &x, &text).args(["--output", "json"]).run();
        out.succeeds();
        scene.holds([
            ("one", "aa"),
            ("two/b", "bbb"),
            ("tree/x", "x"),
            ("tree/s/y", "y"),
        ]);
        assert_eq!((scene.mode("one"), scene.mode("two/b")), (0o440, 0o644));
        let report = out.json();
        assert_eq!(
            report["sources"].as_array().map(Vec::len),
            Some(3),
            "{report}"
        );
        x.forget();
        let out = listed(&scene, &x, &text).run();
        out.succeeds();
        assert_eq!(out.stdout.lines().count(), 3, "{out:?}");
        assert!(
            out.stdout
                .lines()
                .all(|line| line.starts_with("unchanged ")),
            "{out:?}"
        );
    }
}

#[test]
fn a_list_that_cannot_be_meant_is_refused_before_any_request() {
    let digits = "1".repeat(64);
    for (text, part) in [
        ("- {source: s3://bk/a, dest: DIR/x, colour: red}", "colour"),
        ("- {source: s3://bk/a, dest: DIR/x, mode: 0440}", "mode"),
        ("- {source: s3://bk/a, dest: DIR/x, etag: 12345}", "etag"),
        (
            &format!("- {{source: s3://bk/a, dest: DIR/x, sha256: {digits}}}"),
            "sha256",
        ),
        (
            "- {source: s3://bk/a, dest: DIR/x}\n- {source: s3://bk/b, dest: DIR/x}",
            "x",
        ),
        (
            "- {source: s3://bk/a, dest: DIR/x}\n- {source: s3://bk/b, dest: DIR/x/y}",
            "x",
        ),
        (
            "- {source: s3://bk/a, dest: DIR/x}\n- {source: s3://bk/b, dest: DIR/./x}",
            "x",
        ),
        (
            "- {source: s3://bk/a, dest: DIR/}\n- {source: s3://bk/a, dest: DIR/a}",
            "a",
        ),
        ("- {source: gs://bk/a, dest: DIR/x, version: v}", "version"),
        (
            "- {source: s3://bk/a, dest: DIR/x, generation: \"1\"}",
            "generation",
        ),
        (
            "- {source: s3://bk/p/, dest: DIR/x, unpack: auto}",
            "unpack",
        ),
        ("- {source: s3://bk/a, dest: DIR/x, unpack: rar}", "unpack"),
        ("- {source: s3://bk/a}", "dest"),
        ("- {dest: DIR/x}", "source"),
        ("- s3://bk/a", ""),
        ("source: s3://bk/a\ndest: DIR/x", ""),
        ("[]", ""),
        ("", ""),
        ("- {source: s3://bk/a, dest: DIR/x, source: s3://bk/b}", ""),
        ("- [", ""),
        (
            "- &a {source: s3://bk/a, dest: DIR/x}\n- !!python/object {}",
            "",
        ),
    ] {
        let (scene, x) = (Scene::new(), store());
        let out = listed(&scene, &x, text).run();
        assert_eq!(out.code, 64, "{text}: {out:?}");
        refused(&out, part);
        scene.is_bare();
        assert_eq!(x.log(), [""; 0], "{text}");
    }
}

#[test]
fn flags_that_belong_into_the_list_are_refused() {
    let text = "- {source: s3://bk/a, dest: DIR/x}";
    for flags in [
        &["--sha256", &"a".repeat(64)][..],
        &["--etag", "e"],
        &["--atomic"],
        &["s3://bk/a"],
    ] {
        let (scene, x) = (Scene::new(), store());
        listed(&scene, &x, text).args(flags).run().fails(64);
        assert_eq!(x.log(), [""; 0]);
    }
}

#[test]
fn the_first_failure_names_its_entry() {
    let text = "- {source: s3://bk/a, dest: DIR/one}\n- {source: s3://bk/none, dest: DIR/two}\n- {source: s3://bk/b, dest: DIR/three}";
    let (scene, x) = (Scene::new(), store());
    scene.old("two");
    let out = listed(&scene, &x, text).may_leave_files().run();
    out.fails(66).says("2").says("s3://bk/none");
    scene.has("two", OLD);
    for (name, bytes) in [("one", "aa"), ("three", "bbb")] {
        if let Ok(found) = std::fs::read(scene.at(name)) {
            assert_eq!(found, bytes.as_bytes(), "{name}");
        }
    }
}

#[test]
fn signed_urls_in_a_list_are_never_shown() {
    let object = Object::new("text");
    let x = Origin::new(move |request, _| match &*request.target {
        "/x?sig=s1gnature-of-x" => object.answer(request),
        _ => Answer::new(403),
    });
    let scene = Scene::new();
    scene.hide("s1gnature-of-x").hide("s1gnature-of-y");
    listed(
        &scene,
        &x,
        "- {source: \"URL/x?sig=s1gnature-of-x\", dest: DIR/x}",
    )
    .args(Vec::<String>::new())
    .loud();
    let list = |text: &str| {
        scene.file(
            "list.yaml",
            &text
                .replace("DIR", &scene.dir().display().to_string())
                .replace("URL", &x.url()),
        )
    };
    let good = list("- {source: \"URL/x?sig=s1gnature-of-x\", dest: DIR/x}");
    scene
        .bare(["--list".as_ref(), good.as_os_str()])
        .loud()
        .run()
        .succeeds();
    let bad = list("- {source: \"URL/y?sig=s1gnature-of-y\", dest: DIR/y}");
    scene
        .bare(["--list".as_ref(), bad.as_os_str()])
        .loud()
        .run()
        .fails(77);
    let broken = list("- {source: \"URL/y?sig=s1gnature-of-y\", dest: DIR/y, wrong: 1}");
    scene
        .bare(["--list".as_ref(), broken.as_os_str()])
        .loud()
        .run()
        .fails(64);
    let broken = list("- {source: \"ftp://h/y?sig=s1gnature-of-y\", dest: DIR/y}");
    scene
        .bare(["--list".as_ref(), broken.as_os_str()])
        .loud()
        .run()
        .fails(64);
    let broken = list("- source: \"URL/y?sig=s1gnature-of-y\n  dest: [");
    scene
        .bare(["--list".as_ref(), broken.as_os_str()])
        .loud()
        .run()
        .fails(64);
    scene.holds([("x", "text")]);
}

#[test]
fn a_list_may_pin_versions_and_unpack() {
    use crate::support::archive::{file, gz, tar};
    let packed = gz(&tar(&[file("inner", b"i")]));
    let digest = sha256(&packed);
    let mut bucket = Bucket::of([("a", "aa")]);
    bucket
        .objects
        .insert("t.tgz".to_string(), Object::new(packed));
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    let etag = Object::new("aa").etag.expect("it has one");
    let text = format!(
        "- {{source: s3://bk/a, dest: DIR/a, etag: '{etag}'}}\n- {{source: s3://bk/a, dest: DIR/v, version: \"v1\"}}\n\
         - {{source: s3://bk/t.tgz, dest: DIR/t, unpack: auto, sha256: {digest}x}}"
    );
    // A digest that is none is found before anything is asked for.
    listed(&scene, &x, &text).run().fails(64);
    assert_eq!(x.log(), [""; 0]);
    listed(
        &scene,
        &x,
        &text.replace(&format!("{digest}x"), &format!("\"{digest}\"")),
    )
    .run()
    .succeeds();
    scene.holds([("a", "aa"), ("v", "aa"), ("t/inner", "i")]);
    assert!(
        x.log().iter().any(|line| line.contains("versionId=v1")),
        "{:?}",
        x.log()
    );
}

#[test]
fn a_plan_changes_nothing_and_asks_for_one_byte() {
    let object = Object::new("a text of some bytes");
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    scene.old("x");
    let before = tree(scene.dir());
    let out = scene.fetch(&x.at("/x"), "x").args(["--dry-run"]).run();
    out.succeeds();
    assert!(
        out.stdout.contains(&x.at("/x")) && out.stdout.contains("20"),
        "{out:?}"
    );
    assert_eq!(tree(scene.dir()), before);
    assert!(x.sent() <= 1, "{} bytes", x.sent());
}

#[test]
fn a_plan_of_a_prefix_names_what_would_go() {
    let x = store();
    let scene = Scene::new();
    scene.old("tree/own").old("tree/x");
    let before = tree(scene.dir());
    let run = scene
        .s3(&x.url(), "s3://bk/p/", "tree")
        .args(["--dry-run", "--delete"]);
    let out = run.run();
    out.succeeds();
    assert!(out.stdout.contains("own"), "{out:?}");
    assert_eq!(tree(scene.dir()), before);
    assert!(
        x.log().iter().all(|line| line.contains("list-type")),
        "{:?}",
        x.log()
    );
    // What would fail fails in the plan, too.
    scene
        .s3(&x.url(), "s3://bk/none/", "tree")
        .args(["--dry-run"])
        .run()
        .fails(66);
    scene
        .s3(&x.url(), "s3://bk/none", "new")
        .args(["--dry-run"])
        .run()
        .fails(66);
    let run = scene
        .s3(&x.url(), "s3://bk/a", "new")
        .args(["--dry-run", "--max-size", "1"]);
    run.run().fails(65);
    assert_eq!(tree(scene.dir()), before);
}

#[test]
fn a_plan_beside_what_is_there_says_so() {
    let x = store();
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://bk/a", "one").run().succeeds();
    let before = published(&tree(scene.dir()));
    let out = scene
        .s3(&x.url(), "s3://bk/a", "one")
        .args(["--dry-run"])
        .run();
    out.succeeds();
    assert!(out.stdout.contains("unchanged"), "{out:?}");
    assert_eq!(published(&tree(scene.dir())), before);
}

#[test]
fn the_schema_in_the_repository_agrees_with_the_executable() {
    use crate::support::certificates::run_in;
    use crate::support::openbao::python;
    let schema = format!(
        "{}/schemas/fetch-object-list.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let scene = Scene::new();
    let script = scene.file(
        "check.py",
        "import json, sys, jsonschema, yaml\nschema = json.load(open(sys.argv[1]))\n\
         jsonschema.Draft202012Validator.check_schema(schema)\nvalidator = jsonschema.Draft202012Validator(schema)\n\
         for text in sys.stdin.read().split('\\x00'):\n    print(validator.is_valid(yaml.safe_load(text)))\n",
    );
    let texts = "- {source: s3://b/k, dest: /d, version: \"v\", mode: \"0440\"}\0- {source: s3://b/k, dest: /d, colour: red}\0- {source: s3://b/k}\0- {source: s3://b/k, dest: /d, mode: 288}";
    let input = scene.file("input", texts);
    let said = run_in(
        &scene.beside(""),
        "\"$1\" \"$2\" \"$3\" < \"$4\"",
        &[
            &python().display().to_string(),
            &script.display().to_string(),
            &schema,
            &input.display().to_string(),
        ],
    );
    assert_eq!(said, "True\nFalse\nFalse\nFalse\n");
}
