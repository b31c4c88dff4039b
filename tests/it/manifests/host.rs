//! What stands in for the cluster around a Pod: folders of this machine for its volumes, this machine's network.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{EnvVar, HostPathVolumeSource, PodSpec};

use super::files::one;
use super::podman::Played;

/// User and group of the manifests' containers.
pub const USER: u32 = 65532;

/// The one Pod of a manifest, on this machine's network: the test's servers listen on loopback.
pub fn on_host_network(file: &str) -> PodSpec {
    let manifest = one(file);
    let mut spec = manifest.pods()[0].1.clone();
    spec.host_network = Some(true);
    spec
}

/// A folder as the kubelet hands out an emptyDir with an fsGroup.
pub fn hand_out(folder: &Path) {
    chown(folder, Some(0), Some(USER)).expect("chown");
    fs::set_permissions(folder, Permissions::from_mode(0o2777)).expect("chmod");
}

/// Mounts this folder in place of a volume.
pub fn host_path(path: &Path) -> HostPathVolumeSource {
    HostPathVolumeSource {
        path: path.to_str().expect("a UTF-8 path").to_string(),
        type_: Some("Directory".to_string()),
    }
}

/// The arguments of the one init container.
pub fn args(spec: &mut PodSpec) -> &mut Vec<String> {
    let init = &mut spec.init_containers.get_or_insert_default()[0];
    init.args.get_or_insert_default()
}

/// Puts a part of the init container's arguments in place of another; it must be there.
pub fn replace(spec: &mut PodSpec, from: &str, to: &str) {
    let args = args(spec);
    assert!(
        args.iter().any(|arg| arg.contains(from)),
        "no {from:?} in {args:?}"
    );
    for arg in args {
        *arg = arg.replace(from, to);
    }
}

/// Gives the init container one more variable.
pub fn set(spec: &mut PodSpec, name: &str, value: &str) {
    let init = &mut spec.init_containers.get_or_insert_default()[0];
    init.env.get_or_insert_default().push(EnvVar {
        name: name.to_string(),
        value: Some(value.to_string()),
        ..EnvVar::default()
    });
}

/// Gives every container this user.
pub fn run_as(spec: &mut PodSpec, user: u32) {
    let init = spec.init_containers.iter_mut().flatten();
    for container in init.chain(&mut spec.containers) {
        let security = container.security_context.get_or_insert_default();
        security.run_as_user = Some(i64::from(user));
    }
}

/// Waits for a Pod whose init container fails with this code and whose app never starts; tells the last log line.
pub fn refused(pod: &mut Played, init: &str, code: i32) -> String {
    assert!(!pod.finish().status.success(), "the Pod started");
    assert_eq!(pod.state(init).exit_code, code, "{:?}", pod.logs(init));
    assert_eq!(pod.state("app").status, "created", "the app was started");
    let (_, stderr) = pod.logs(init);
    stderr.lines().last().unwrap_or_default().to_string()
}

/// A temporary folder that any user may enter.
pub fn shared_folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("chmod");
    let inner = folder.path().join("volume");
    fs::create_dir(&inner).expect("a folder");
    hand_out(&inner);
    (folder, inner)
}
