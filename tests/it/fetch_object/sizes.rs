//! Cases 22 to 24: sizes at every edge, and bytes that are stored as they were sent.

use super::{OLD, Scene};
use crate::support::{Answer, MIB, Nginx, Object, Origin, SeaweedFs, noise};

/// The length of a range, unless a flag says otherwise.
const PART: usize = 8 * MIB;

#[test]
fn an_empty_object_is_an_empty_file() {
    let nginx = Nginx::start();
    nginx.put("empty", b"");
    let seaweed = SeaweedFs::shared();
    let bucket = seaweed.public_bucket();
    seaweed.put(&bucket, "empty", b"");
    let scene = Scene::new();
    scene.fetch(&nginx.at("/empty"), "ng").run().succeeds();
    let source = format!("s3://{bucket}/empty");
    scene.s3(&seaweed.url(), &source, "sw").run().succeeds();
    let x = Origin::new(|request, _| Object::new("").answer(request));
    scene.fetch(&x.at("/empty"), "x").run().succeeds();
    scene.holds([("ng", ""), ("sw", ""), ("x", "")]);
    // 416 to the range is confirmed by a plain GET.
    let ranges: Vec<_> = x.asked().iter().map(|one| one.range().is_some()).collect();
    assert_eq!(ranges, [true, false]);
}

#[test]
fn a_416_for_an_object_that_is_not_empty_is_no_empty_file() {
    let object = Object::new("not empty");
    let x = Origin::new(move |request, _| match request.header("range") {
        Some(_) => Answer::new(416),
        None => object.answer(request),
    });
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", "not empty")]);
}

#[test]
fn every_size_around_a_part_is_right() {
    let nginx = Nginx::start();
    let sizes = [
        1,
        4095,
        4096,
        4097,
        MIB - 1,
        MIB,
        MIB + 1,
        PART - 1,
        PART,
        PART + 1,
        2 * PART,
        2 * PART + 1,
    ];
    let scene = Scene::new();
    for size in sizes {
        let bytes = noise(size as u64, size);
        nginx.put(&size.to_string(), &bytes);
        let name = size.to_string();
        scene
            .fetch(&nginx.at(&format!("/{size}")), &name)
            .run()
            .succeeds();
        scene.has(&name, &bytes);
        std::fs::remove_file(scene.at(&name)).expect("it is there");
    }
}

#[test]
fn every_length_of_a_part_is_right() {
    let nginx = Nginx::start();
    let bytes = noise(1, 20 * MIB + 12_345);
    nginx.put("x", &bytes);
    for part in ["1MiB", "1500KB", "3MiB", "20MiB", "1GiB"] {
        for parallel in ["1", "2", "16"] {
            let scene = Scene::new();
            let run = scene
                .fetch(&nginx.at("/x"), "x")
                .args(["--part-size", part]);
            run.args(["--parallel", parallel]).run().succeeds();
            scene.has("x", &bytes);
        }
    }
}

#[test]
fn an_object_in_memory_is_right() {
    let nginx = Nginx::start();
    let bytes = noise(1, 9 * MIB + 1);
    nginx.put("x", &bytes);
    let scene = Scene::below("/dev/shm".as_ref());
    scene.fetch(&nginx.at("/x"), "x").run().succeeds();
    scene.has("x", &bytes);
}

#[test]
fn a_length_that_no_disk_holds_is_refused_before_a_byte_is_written() {
    let x = Origin::new(|_, _| {
        Answer::new(206)
            .with("ETag", "\"e\"")
            .with("Content-Range", "bytes 0-8388607/9000000000000000")
            .body(noise(1, PART))
    });
    let scene = Scene::new();
    let out = scene.old("x").fetch(&x.at("/x"), "x").run();
    out.fails(74).hints("sizeLimit");
    scene.has("x", OLD);
}

#[test]
fn what_is_stored_is_what_is_written() {
    let packed = crate::support::archive::gz(b"text that was packed");
    let nginx = Nginx::scripted("location / { add_header Content-Encoding gzip; }");
    nginx.put("x", &packed);
    let scene = Scene::new();
    scene.fetch(&nginx.at("/x"), "x").run().succeeds();
    scene.has("x", &packed);
    let served = nginx.served();
    assert!(
        served
            .iter()
            .all(|one| !one.accept_encoding.contains("gzip")),
        "{served:?}"
    );
    assert!(
        served.iter().all(|one| one.accept_encoding == "identity"),
        "{served:?}"
    );
}
