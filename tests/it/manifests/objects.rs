//! The fetch-object manifests run for real: podman, the built image, and `SeaweedFS`, fake-gcs-server and nginx.
//!
//! The Pod has the host's network, since the servers listen on loopback. Buckets and URLs are the test's own. No
//! cloud hands out identities here: keys of the server stand in for those of a service account, and the emulator of
//! GCS asks for none. The emptyDir with its fsGroup is a folder with that group. All else is as the manifest has it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::api::core::v1::PodSpec;
use tempfile::TempDir;

use super::host::{USER, host_path, on_host_network, refused, replace, set, shared_folder};
use super::play::play;
use crate::support::fakegcs::FakeGcs;
use crate::support::nginx::Nginx;
use crate::support::seaweedfs::{ADMIN, SeaweedFs};

/// A Pod of a manifest, its volume a folder.
struct Scene {
    spec: PodSpec,
    volume: PathBuf,
    _folder: TempDir,
}

impl Scene {
    fn new(file: &str) -> Self {
        let mut spec = on_host_network(file);
        let (folder, volume) = shared_folder();
        for mounted in spec.volumes.iter_mut().flatten() {
            assert!(mounted.empty_dir.take().is_some(), "{mounted:?}");
            mounted.host_path = Some(host_path(&volume));
        }
        Self {
            spec,
            volume,
            _folder: folder,
        }
    }

    /// Nothing was published, and nothing is left over.
    fn is_empty(&self) {
        let names: Vec<_> = fs::read_dir(&self.volume)
            .expect("the volume")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, [""; 0]);
    }
}

/// `v3.tar.zst` with two files in it.
fn model(folder: &Path) -> Vec<u8> {
    fs::create_dir(folder.join("model")).expect("a folder");
    fs::write(folder.join("config.json"), "{\"layers\": 2}\n").expect("a file");
    fs::write(folder.join("model/weights.bin"), vec![7; 3 << 20]).expect("a file");
    let packed = Command::new("tar")
        .args(["-cf", "-", "-C"])
        .arg(folder)
        .args(["config.json", "model"])
        .output()
        .expect("tar is here");
    assert!(packed.status.success(), "tar");
    zstd::encode_all(&*packed.stdout, 3).expect("memory")
}

fn before_seaweed(server: &SeaweedFs, bucket: &str) -> Scene {
    let mut scene = Scene::new("fetch-object-s3.yaml");
    replace(&mut scene.spec, "s3://models/", &format!("s3://{bucket}/"));
    set(&mut scene.spec, "AWS_ENDPOINT_URL_S3", &server.url());
    set(&mut scene.spec, "AWS_ACCESS_KEY_ID", ADMIN.id);
    set(&mut scene.spec, "AWS_SECRET_ACCESS_KEY", ADMIN.secret);
    scene
}

#[test]
fn the_app_finds_the_model_unpacked() {
    let server = SeaweedFs::shared();
    let bucket = server.private_bucket();
    let files = tempfile::tempdir().expect("a temporary directory");
    server.put(&bucket, "sentiment/v3.tar.zst", &model(files.path()));
    let scene = before_seaweed(server, &bucket);
    let mut pod = play("object-s3", scene.spec.clone());
    pod.expect_started();
    assert_eq!(pod.state("app").status, "running");
    let (stdout, _) = pod.logs("fetch-model");
    assert!(
        stdout.starts_with(&format!(
            "fetched s3://{bucket}/sentiment/v3.tar.zst to /models/sentiment: "
        )),
        "{stdout}"
    );
    let owner = format!("{USER}:{USER}");
    for (name, mode) in [("config.json", 644), ("model/weights.bin", 644)] {
        let told = pod.exec(
            "app",
            &[
                "stat",
                "-c",
                "%a %u:%g",
                &format!("/models/sentiment/{name}"),
            ],
        );
        assert_eq!(told, format!("{mode} {owner}\n"), "{name}");
    }
    assert_eq!(
        pod.exec("app", &["cat", "/models/sentiment/config.json"]),
        "{\"layers\": 2}\n"
    );
    drop(pod);
    // The container again, on the volume as it is.
    let mut pod = play("object-s3-again", scene.spec.clone());
    pod.expect_started();
    let (stdout, _) = pod.logs("fetch-model");
    assert!(stdout.starts_with("unchanged s3://"), "{stdout}");
}

#[test]
fn a_missing_model_is_told_and_the_app_never_starts() {
    let server = SeaweedFs::shared();
    let bucket = server.private_bucket();
    let scene = before_seaweed(server, &bucket);
    let mut pod = play("object-missing", scene.spec.clone());
    let last = refused(&mut pod, "fetch-model", 66);
    assert!(
        last.contains("podinit fetch-object: missing (66): "),
        "{last}"
    );
    assert!(
        last.contains(&format!("s3://{bucket}/sentiment/v3.tar.zst")),
        "{last}"
    );
    scene.is_empty();
}

#[test]
fn the_app_finds_the_data_set_as_the_patterns_take_it() {
    let server = FakeGcs::shared();
    server.bucket("manifest-datasets");
    for (key, text) in [
        ("app/v3/cities.csv", "Bern\n"),
        ("app/v3/schema/cities.json", "{}\n"),
        ("app/v3/notes.txt", "not taken\n"),
        ("app/v30/cities.csv", "another prefix\n"),
    ] {
        server.put("manifest-datasets", key, text.as_bytes());
    }
    let mut scene = Scene::new("fetch-object-gcs.yaml");
    replace(&mut scene.spec, "gs://datasets/", "gs://manifest-datasets/");
    set(&mut scene.spec, "STORAGE_EMULATOR_HOST", &server.url());
    let mut pod = play("object-gcs", scene.spec.clone());
    pod.expect_started();
    assert_eq!(pod.exec("app", &["cat", "/data/app/cities.csv"]), "Bern\n");
    assert_eq!(
        pod.exec("app", &["cat", "/data/app/schema/cities.json"]),
        "{}\n"
    );
    assert_eq!(
        pod.exec("app", &["ls", "/data/app"]),
        "cities.csv\nschema\n"
    );
    let (stdout, _) = pod.logs("fetch-data-set");
    assert!(
        stdout.starts_with("fetched gs://manifest-datasets/app/v3/ to /data/app: ")
            && stdout.contains("crc32c"),
        "{stdout}"
    );
}

/// A server with `cities.csv.gz`, and a list of sums that holds for `listed`.
fn before_nginx(listed: &[u8]) -> (Nginx, Scene) {
    let server = Nginx::start();
    server.put("/geo/cities.csv.gz", &packed(b"Bern\nGraz\n"));
    let sum = crate::support::object::sha256(listed);
    server.put(
        "/geo/SHA256SUMS",
        format!("{sum}  cities.csv.gz\n").as_bytes(),
    );
    let mut scene = Scene::new("fetch-object-http.yaml");
    replace(
        &mut scene.spec,
        "https://downloads.example.com",
        &server.at(""),
    );
    (server, scene)
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text).expect("memory");
    packed.finish().expect("memory")
}

#[test]
fn the_app_finds_the_file_expanded() {
    let (_server, scene) = before_nginx(&packed(b"Bern\nGraz\n"));
    let mut pod = play("object-http", scene.spec.clone());
    pod.expect_started();
    assert_eq!(
        pod.exec("app", &["cat", "/data/cities.csv"]),
        "Bern\nGraz\n"
    );
    let (stdout, _) = pod.logs("fetch-cities");
    assert!(stdout.contains("sha256"), "{stdout}");
}

#[test]
fn a_wrong_sum_is_told_and_the_app_never_starts() {
    let (_server, scene) = before_nginx(b"something else");
    let mut pod = play("object-wrong-sum", scene.spec.clone());
    let last = refused(&mut pod, "fetch-cities", 65);
    assert!(
        last.contains("podinit fetch-object: corrupt (65): "),
        "{last}"
    );
    scene.is_empty();
}
