//! The fetch-secret manifests run for real: podman, the built image, and an OpenBao server whose Kubernetes login
//! asks a scripted TokenReview endpoint.
//!
//! The tests play the kubelet where podman 4.3 does not: the emptyDir in memory with its fsGroup is a folder of
//! /dev/shm with that group; the projected service-account token is a file that is mounted where the token would be,
//! and so is the authority of the ConfigMap. The Pod has the host's network, since the server listens on loopback,
//! and the server's address is this one's. All else is as the manifest has it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, PodSpec, Volume};
use serde_json::json;
use tempfile::TempDir;

use super::host::{USER, args, hand_out, host_path, on_host_network, refused, run_as};
use super::play::play;
use super::podman::podman;
use crate::support::certificates::Identity;
use crate::support::kubelet::env_file;
use crate::support::volume::Volume as Secrets;
use crate::support::{OpenBao, tokenreview};

const ENVIRONMENT: &str =
    r#"{"DB_USER":"app","DB_PASSWORD":"p<w&> $HOME `id` \"x\"\nsecond line"}"#;

/// What stands outside of the Pod.
struct Cluster {
    identity: Identity,
    server: OpenBao,
    /// In place of the emptyDir.
    secrets: Secrets,
    files: TempDir,
}

impl Cluster {
    /// A server with the secrets of the manifests, and an empty volume.
    fn new() -> Self {
        let identity = Identity::new();
        let server = OpenBao::with_tls(&identity);
        server.put(
            "secret/db",
            r#"{"host":"db.apps","password":"of the database"}"#,
        );
        server.put("secret/app-env", ENVIRONMENT);
        // All that the manifests' role may do.
        let read = r#"path "secret/data/*" { capabilities = ["read"] }"#;
        server.policy("reader", read);
        server.post(
            "auth/kubernetes/role/app",
            &json!({
                "bound_service_account_names": ["app"],
                "bound_service_account_namespaces": ["apps"],
                "audience": "vault",
                "token_policies": ["reader"],
            })
            .to_string(),
        );
        let files = tempfile::tempdir().expect("a temporary directory");
        let secrets = Secrets::in_memory();
        // As the kubelet hands out an emptyDir with an fsGroup.
        hand_out(secrets.path());
        let cluster = Self {
            identity,
            server,
            secrets,
            files,
        };
        cluster.mounted("token", &tokenreview::projected_token("app", "vault"));
        let authority = fs::read_to_string(&cluster.identity.authority).expect("a PEM");
        cluster.mounted("ca.crt", &authority);
        cluster
    }

    /// A folder with one file that any user may read.
    fn mounted(&self, name: &str, text: &str) {
        let folder = self.folder(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), text).expect("a file");
        fs::set_permissions(self.files.path(), Permissions::from_mode(0o755)).expect("chmod");
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.files.path().join(format!("folder-of-{name}"))
    }

    /// The Pod of a manifest, ready to be played before this server.
    fn pod(&self, file: &str) -> PodSpec {
        let mut spec = on_host_network(file);
        let addr = format!("--addr={}", self.server.tls_url());
        for arg in args(&mut spec) {
            if arg.starts_with("--addr=") {
                arg.clone_from(&addr);
            }
        }
        for volume in spec.volumes.iter_mut().flatten() {
            let stand_in = if volume.empty_dir.take().is_some() {
                self.secrets.path().to_path_buf()
            } else if volume.projected.take().is_some() {
                self.folder("token")
            } else {
                assert!(volume.config_map.take().is_some(), "{volume:?}");
                self.folder("ca.crt")
            };
            volume.host_path = Some(host_path(&stand_in));
        }
        spec
    }
}

#[test]
fn the_app_finds_its_secrets_as_files() {
    // The user of the manifest, then one as a platform may assign it.
    for user in [USER, 1_000_680_000] {
        let cluster = Cluster::new();
        let tokens = cluster.server.tokens();
        let mut spec = cluster.pod("fetch-secret-vault.yaml");
        run_as(&mut spec, user);
        let mut pod = play(&format!("vault-{user}"), spec);
        pod.expect_started();
        assert_eq!(cluster.server.tokens(), tokens, "a token is left");
        assert_eq!(pod.state("app").status, "running");
        assert_eq!(
            pod.logs("fetch-secrets").0,
            "password 5 bytes 0440 from secret/data/app version 1\n\
             user 1 byte 0440 from secret/data/app version 1\n\
             db.json 48 bytes 0440 from secret/data/db version 1\n"
        );
        let files = ["/secrets/password", "/secrets/user", "/secrets/db.json"];
        let told = pod.exec(
            "app",
            &[&["stat", "-L", "-c", "%n %a %u:%g"], &files[..]].concat(),
        );
        assert_eq!(
            told,
            files
                .map(|name| format!("{name} 440 {user}:{USER}\n"))
                .concat()
        );
        assert_eq!(
            pod.exec("app", &[&["cat"], &files[..]].concat()),
            "p<w&>u{\"host\":\"db.apps\",\"password\":\"of the database\"}\n"
        );
        // It reads and does no more: the mount is read-only, and nothing else was mounted.
        let said = podman(["exec", &pod.container("app"), "touch", "/secrets/x"]).output();
        let said = String::from_utf8(said.expect("podman starts").stderr);
        let said = said.expect("UTF-8");
        assert!(said.contains("Read-only file system"), "{said}");
        assert!(!pod.exec("app", &["ls", "/"]).contains("token"));
    }
}

#[test]
fn a_wrong_role_is_told_and_the_app_never_starts() {
    let cluster = Cluster::new();
    let mut spec = cluster.pod("fetch-secret-vault.yaml");
    for arg in args(&mut spec) {
        if arg == "--role=app" {
            *arg = "--role=nope".to_string();
        }
    }
    let mut pod = play("vault-wrong-role", spec);
    let last = refused(&mut pod, "fetch-secrets", 77);
    for part in [
        "podinit fetch-secret: denied (77): log in to https://",
        "auth/kubernetes",
        "nope",
        "invalid role name",
    ] {
        assert!(last.contains(part), "no {part:?} in {last:?}");
    }
    cluster.secrets.is_empty();
}

#[test]
fn a_volume_on_disk_is_refused() {
    let cluster = Cluster::new();
    let mut spec = cluster.pod("fetch-secret-vault.yaml");
    let volumes = spec.volumes.get_or_insert_default();
    // podman's own emptyDir, which lies in its store.
    volumes[0] = Volume {
        name: volumes[0].name.clone(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let tokens = cluster.server.tokens();
    let mut pod = play("vault-on-disk", spec);
    let last = refused(&mut pod, "fetch-secrets", 74);
    assert!(
        last.contains("podinit fetch-secret: local (74): "),
        "{last}"
    );
    assert!(last.contains("medium: Memory"), "{last}");
    assert_eq!(cluster.server.tokens(), tokens);
}

/// podman 4.3 knows no fileKeyRef. So the Pod is played twice: first up to the file that its init container writes;
/// then the test reads that file as the kubelet does, and the app starts with the variables found there.
#[test]
fn the_app_finds_its_secret_in_the_environment() {
    let cluster = Cluster::new();
    let mut spec = cluster.pod("fetch-secret-env-file.yaml");
    let mut variables = spec.containers[0].env.take().expect("variables");
    let mut pod = play("environment-file", spec.clone());
    pod.expect_started();
    let (stdout, _) = pod.logs("fetch-environment");
    assert_eq!(
        stdout,
        "app.env 61 bytes 0440 from secret/data/app-env version 1\n"
    );
    drop(pod);
    for variable in &mut variables {
        let source = variable.value_from.take().expect("a source");
        let reference = source.file_key_ref.expect("a file's key");
        let is_ours = |volume: &&Volume| volume.name == reference.volume_name;
        let volume = spec.volumes.iter().flatten().find(is_ours);
        let folder = volume.and_then(|it| it.host_path.as_ref());
        let folder = Path::new(&folder.expect("the volume is there").path);
        // The kubelet reads nothing outside of the volume.
        let file = folder.join(&reference.path).canonicalize().expect("a file");
        assert!(file.starts_with(folder), "{}", file.display());
        let found = env_file(&fs::read_to_string(file).expect("a readable file"));
        variable.value = found.get(&reference.key).cloned();
        assert!(variable.value.is_some(), "no {}", reference.key);
    }
    let names: Vec<_> = variables.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["DB_USER", "DB_PASSWORD"]);
    spec.containers[0].env = Some(variables);
    let mut pod = play("environment", spec);
    pod.expect_started();
    assert_eq!(pod.logs("fetch-environment").0, "unchanged\n");
    let environment = pod.exec("app", &["cat", "/proc/1/environ"]);
    let found: BTreeMap<&str, &str> = environment
        .split('\0')
        .filter_map(|variable| variable.split_once('='))
        .collect();
    let secret: BTreeMap<String, String> = serde_json::from_str(ENVIRONMENT).expect("an object");
    for (name, value) in &secret {
        assert_eq!(found.get(&**name), Some(&&**value), "{name}");
    }
    assert!(!pod.exec("app", &["ls", "/"]).contains("environment"));
}

#[test]
fn a_missing_secret_is_told_and_the_app_never_starts() {
    let cluster = Cluster::new();
    let mut spec = cluster.pod("fetch-secret-env-file.yaml");
    spec.containers[0].env = None;
    for arg in args(&mut spec) {
        *arg = arg.replace("secret/app-env", "secret/nope");
    }
    let mut pod = play("environment-missing", spec);
    let last = refused(&mut pod, "fetch-environment", 66);
    assert!(
        last.contains("podinit fetch-secret: missing (66): "),
        "{last}"
    );
    assert!(last.contains("secret/data/nope"), "{last}");
    cluster.secrets.is_empty();
}
