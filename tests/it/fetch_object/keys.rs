//! Cases 30 to 33: keys as file names, and the 500 that would lead elsewhere.

use super::{OLD, Scene};
use crate::support::Origin;
use crate::support::bucket::Bucket;
use crate::support::tree::{published, tree};

/// A store whose list says so, and which has a few bytes at every key.
fn listing(keys: &[(&str, usize)]) -> Origin {
    let mut bucket = Bucket::default().listing(keys.iter().copied());
    for (key, size) in keys {
        let object = crate::support::Object::new(vec![b'x'; *size]).tagged(Some("\"listed\""));
        bucket.objects.insert((*key).to_string(), object);
    }
    Origin::new(move |request, _| bucket.s3(request))
}

/// How many objects, not lists, were asked for.
fn gets(x: &Origin) -> usize {
    x.asked()
        .iter()
        .filter(|one| !one.request.target.contains("list-type"))
        .count()
}

#[test]
fn unsafe_keys_are_refused_and_named() {
    let keys = [
        ("p/ok", 2),
        ("p/../../e1", 2),
        ("p/s/../../../e2", 2),
        ("p/./d", 2),
        ("p//x", 2),
        ("q/y", 2),
        ("p/.podinit/x", 2),
        ("p/nul\0nul", 2),
    ];
    let x = listing(&keys);
    let scene = Scene::new();
    let out = scene.s3(&x.url(), "s3://b/p/", "new").run();
    out.fails(65)
        .says("7")
        .says("p/../../e1")
        .says("q/y")
        .hints("--skip-unsafe");
    scene.is_bare();
    assert_eq!(gets(&x), 0, "{:?}", x.log());
    let out = scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--skip-unsafe"])
        .run();
    out.succeeds();
    scene.holds([("new/ok", "xx")]);
    assert!(!super::warnings(&out).is_empty(), "{out:?}");
    // Every one of them is refused on its own, too.
    for (key, size) in &keys[1..] {
        let x = listing(&[(key, *size)]);
        let scene = Scene::new();
        scene.s3(&x.url(), "s3://b/p/", "new").run().fails(65);
        scene.is_bare();
        assert_eq!(gets(&x), 0, "{key}: {:?}", x.log());
        scene
            .s3(&x.url(), "s3://b/p/", "new")
            .args(["--skip-unsafe"])
            .run()
            .fails(66);
        let run = scene
            .s3(&x.url(), "s3://b/p/", "new")
            .args(["--skip-unsafe", "--allow-empty"]);
        run.run().succeeds();
    }
}

#[test]
fn a_key_that_is_the_folder_of_another_is_unsafe() {
    let x = listing(&[("p/a", 2), ("p/a/b", 3)]);
    let scene = Scene::new();
    let out = scene.s3(&x.url(), "s3://b/p/", "new").run();
    out.fails(65).says("p/a").says("p/a/b");
    scene.is_bare();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--skip-unsafe"])
        .run()
        .succeeds();
    scene.holds([("new/a/b", "xxx")]);
}

#[test]
fn a_clash_is_found_in_whatever_order_the_keys_come() {
    for keys in [
        [("p/a/b/c", 1), ("p/a-", 1), ("p/a", 1)],
        [("p/a-", 1), ("p/a", 1), ("p/a/b/c", 1)],
        [("p/a", 1), ("p/a-", 1), ("p/a/b/c", 1)],
    ] {
        let x = listing(&keys);
        let scene = Scene::new();
        scene.s3(&x.url(), "s3://b/p/", "new").run().fails(65);
        scene
            .s3(&x.url(), "s3://b/p/", "new")
            .args(["--skip-unsafe"])
            .run()
            .succeeds();
        scene.holds([("new/a-", "x"), ("new/a/b/c", "x")]);
    }
}

#[test]
fn a_key_that_ends_in_a_slash_is_a_folder_if_it_is_empty() {
    let x = listing(&[("p/", 0), ("p/dir/", 0), ("p/x", 1)]);
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    scene.holds([("new/x", "x")]);
    assert!(scene.at("new/dir").is_dir());
    let x = listing(&[("p/dir/", 5)]);
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/p/", "new").run().fails(65);
    scene.is_bare();
    // A folder that has files beside its own key is no clash.
    let x = listing(&[("p/dir/", 0), ("p/dir/a", 1)]);
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    scene.holds([("new/dir/a", "x")]);
}

#[test]
fn an_empty_object_is_made_and_an_empty_prefix_is_missing() {
    let x = listing(&[("p/__init__.py", 0)]);
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    scene.holds([("new/__init__.py", "")]);
    let x = listing(&[]);
    let scene = Scene::new();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .run()
        .fails(66)
        .hints("--allow-empty");
    scene.is_bare();
    scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--allow-empty"])
        .run()
        .succeeds();
    assert!(scene.at("new").is_dir());
    scene.holds([("", ""); 0]);
}

#[test]
fn nothing_that_matched_deletes_nothing() {
    let x = listing(&[]);
    let scene = Scene::new();
    scene.old("new/own");
    let run = scene
        .s3(&x.url(), "s3://b/p/", "new")
        .args(["--allow-empty", "--delete"]);
    run.run().succeeds();
    scene.holds([("new/own", OLD)]);
}

#[test]
fn a_prefix_is_a_tree_only_with_its_slash() {
    let bucket = Bucket::of([("model/a", "a"), ("model-hf/b", "b"), ("modelx", "x")]);
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/model/", "new").run().succeeds();
    scene.holds([("new/a", "a")]);
    let out = scene.s3(&x.url(), "s3://b/model", "one").run();
    out.fails(66).hints("/");
    scene.s3(&x.url(), "s3://b/", "all").run().succeeds();
    scene.holds([
        ("new/a", "a"),
        ("all/model/a", "a"),
        ("all/model-hf/b", "b"),
        ("all/modelx", "x"),
    ]);
}

#[test]
fn a_legal_name_is_kept_byte_for_byte() {
    let long = "n".repeat(255);
    let names = [
        "a space",
        "plus+",
        "percent%41",
        "é",
        "漢",
        "😀",
        "*?[",
        ".hidden",
        "-rf",
        "--",
        "new\nline",
        "a\\..\\b",
        "..a",
        "a..",
        "...",
        "~",
        "$HOME",
        "`id`",
        "'",
        "\"",
        "tab\t",
        "&amp;",
        "<x>",
        &long,
        "deep/er/and/deeper",
        ".podinit2",
        "s/.podinit",
        "C:",
        "a;b",
        "#",
        "?x=1",
    ];
    let keys: Vec<_> = names
        .iter()
        .map(|name| (format!("p/{name}"), name.as_bytes().to_vec()))
        .collect();
    let bucket = Bucket::of(keys);
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    scene.s3(&x.url(), "s3://b/p/", "new").run().succeeds();
    let found: Vec<_> = published(&tree(&scene.at("new"))).into_keys().collect();
    for name in names.iter().filter(|name| !name.contains("podinit")) {
        assert!(
            found.iter().any(|path| path.as_os_str() == *name),
            "{name:?} in {found:?}"
        );
    }
    for name in names {
        assert_eq!(
            std::fs::read(scene.at("new").join(name)).expect("it is there"),
            name.as_bytes()
        );
    }
    // Through GCS and Azure, too.
    let keys: Vec<_> = names
        .iter()
        .map(|name| (format!("p/{name}"), name.as_bytes().to_vec()))
        .collect();
    let bucket = Bucket::of(keys);
    let gcs = bucket.clone();
    let x = Origin::new(move |request, _| gcs.gcs(request));
    let run = scene.fetch("gs://b/p/", "gs");
    run.env("STORAGE_EMULATOR_HOST", x.url()).run().succeeds();
    let x = Origin::new(move |request, _| bucket.azure(request));
    scene
        .fetch("az://a/c/p/", "az")
        .with("--endpoint-url", x.url())
        .run()
        .succeeds();
    for name in names {
        for store in ["gs", "az"] {
            let found = std::fs::read(scene.at(store).join(name));
            assert_eq!(
                found.unwrap_or_else(|error| panic!("{store} {name:?}: {error}")),
                name.as_bytes()
            );
        }
    }
}

#[test]
fn a_segment_that_is_too_long_is_unsafe() {
    for key in [
        format!("p/{}", "n".repeat(256)),
        format!("p/{}/x", "n".repeat(256)),
        format!("p/{}", "é".repeat(128)),
    ] {
        let x = listing(&[(&key, 1)]);
        let scene = Scene::new();
        scene.s3(&x.url(), "s3://b/p/", "new").run().fails(65);
        scene.is_bare();
    }
}

/// Whether the specification lets this text after the prefix be a file's name.
fn is_safe(rest: &str) -> bool {
    !rest.contains('\0')
        && rest.split('/').next() != Some(".podinit")
        && rest
            .split('/')
            .all(|segment| !["", ".", ".."].contains(&segment) && segment.len() <= 255)
}

#[test]
fn five_hundred_hostile_keys_lead_nowhere() {
    let long = "l".repeat(300);
    let pieces = [
        "..", ".", "", "a", "b", "..", "%2e%2e", "..%2f", "\\..", "x\0y", &long, "e", "...",
        "..\u{0}", "\u{202e}",
    ];
    let mut dice = fastrand::Rng::with_seed(500);
    let mut hostile = 0;
    let mut turn = 0;
    while hostile < 500 {
        turn += 1;
        let mut keys: Vec<String> = Vec::new();
        for number in 0..20 {
            let depth = dice.usize(1..6);
            let mut parts: Vec<_> = (0..depth)
                .map(|_| pieces[dice.usize(..pieces.len())])
                .collect();
            // Below the top it is a name like any other.
            if dice.u8(..8) == 0 {
                parts[0] = ".podinit";
            }
            let prefix = ["p/", "p/", "p/", "p", "/", "../p/"][dice.usize(..6)];
            let tail = if number % 2 == 0 {
                format!("-{number}")
            } else {
                String::new()
            };
            keys.push(format!("{prefix}{}{tail}", parts.join("/")));
        }
        let is_good = |key: &String| key.strip_prefix("p/").is_some_and(is_safe);
        hostile += keys.iter().filter(|key| !is_good(key)).count();
        keys.push("p/safe".to_string());
        let listed: Vec<_> = keys.iter().map(|key| (key.as_str(), 1)).collect();
        let x = listing(&listed);
        let scene = Scene::new();
        scene.s3(&x.url(), "s3://b/p/", "new").run().fails(65);
        scene.is_bare();
        assert_eq!(gets(&x), 0);
        scene
            .s3(&x.url(), "s3://b/p/", "new")
            .args(["--skip-unsafe"])
            .run()
            .succeeds();
        scene.has("new/safe", b"x");
        // Everything lies below DEST, under a name that is safe and was listed.
        for (path, entry) in published(&tree(scene.beside("").as_path())) {
            let name = path.to_str().expect("UTF-8");
            let is_file = entry.mode & nix::libc::S_IFMT == nix::libc::S_IFREG;
            if !is_file {
                continue;
            }
            let rest = name
                .strip_prefix("D/new/")
                .unwrap_or_else(|| panic!("turn {turn}: {name:?} lies outside"));
            assert!(
                is_safe(rest) && keys.contains(&format!("p/{rest}")),
                "turn {turn}: {name:?}"
            );
        }
    }
}

#[test]
fn a_link_below_dest_is_never_followed() {
    use std::os::unix::fs::symlink;
    let x = listing(&[("p/s/x", 1), ("p/y", 1)]);
    let scene = Scene::new();
    scene.old("new/own");
    std::fs::create_dir(scene.beside("outside")).expect("a folder");
    symlink(scene.beside("outside"), scene.at("new/s")).expect("a link");
    let out = scene
        .s3(&x.url(), "s3://b/p/", "new")
        .may_leave_files()
        .run();
    out.fails(74).says("/s").hints("remove");
    assert!(tree(&scene.beside("outside")).is_empty());
    // A link in the place of a file is replaced, not followed.
    std::fs::remove_file(scene.at("new/s")).expect("the link");
    let target = scene.file("target", "untouched");
    symlink(&target, scene.at("new/y")).expect("a link");
    let out = scene
        .s3(&x.url(), "s3://b/p/", "new")
        .may_leave_files()
        .run();
    assert_eq!(std::fs::read(&target).expect("it is there"), b"untouched");
    if out.code == 0 {
        scene.has("new/y", b"x");
    } else {
        out.fails(74);
    }
}
