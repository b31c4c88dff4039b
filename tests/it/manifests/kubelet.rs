//! The kubelet's part in a Pod of manifests/patterns, where podman 4.3 does not play it:
//!
//! - Native sidecars. podman takes an init container with `restartPolicy: Always` for a plain one, and would wait for its
//!   end. So a Pod is played in stages, each a Pod to podman: a sidecar is an ordinary container of its stage, and what
//!   comes after a sidecar, an init container or the app, begins the next stage. All stages are in one network and have the same
//!   volumes; processes and the root file system are no container's but its own anyway. A sidecar is not restarted.
//! - Volumes. An emptyDir is a folder with the Pod's fsGroup, in memory if it asks for that; a ConfigMap of the file is
//!   a folder with its files; Secrets, service-account tokens and other config maps hold what the test gives.
//! - The network. The Pod has one of its own, where nothing is but its loopback and a link to the `outside`.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use k8s_openapi::api::core::v1::{Container, HostPathVolumeSource, PodSpec, Volume};
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use super::files::{Manifest, one};
use super::play::play_in;
use super::podman::Played;
use crate::support::Pod as Namespaces;

/// The Pod's address on the link.
pub const INSIDE: &str = "10.99.0.2";

/// The other end of the link.
pub const OUTSIDE: &str = "10.99.0.1";

/// Where a folder in memory can be made.
const MEMORY: &str = "/dev/shm";

/// Tells Pods apart: tests run beside each other, some on the same manifest.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// One Pod of a manifest, and what is around it.
pub struct Kubelet {
    name: String,
    manifest: Manifest,
    pub spec: PodSpec,
    /// The files of Secrets, tokens and config maps, by the name of their object or projection.
    given: BTreeMap<String, BTreeMap<String, String>>,
    network: Namespaces,
    outside: Namespaces,
    volumes: Vec<TempDir>,
    stages: Vec<Played>,
}

impl Kubelet {
    /// The first Pod of a file.
    pub fn of(file: &str) -> Self {
        let manifest = one(file);
        let name = manifest.pods()[0].0.to_string();
        Self::before(manifest, &name)
    }

    /// The Pod of this name in a manifest.
    pub fn before(manifest: Manifest, name: &str) -> Self {
        let spec = manifest.pod(name);
        let name = format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let spec = spec.clone();
        let network = Namespaces::network_alone();
        let outside = Namespaces::network_alone();
        outside.sh(&format!(
            "ip link add pod type veth peer name eth0 netns {}
             ip addr add {OUTSIDE}/24 dev pod && ip link set pod up",
            network.process()
        ));
        network.sh(&format!(
            "ip addr add {INSIDE}/24 dev eth0 && ip link set eth0 up"
        ));
        Self {
            name,
            manifest,
            spec,
            given: BTreeMap::new(),
            network,
            outside,
            volumes: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// A file of a Secret, of a ConfigMap that is not in the manifest, or of a projected volume of this name.
    pub fn give(&mut self, object: &str, file: &str, text: &str) {
        let files = self.given.entry(object.to_string()).or_default();
        files.insert(file.to_string(), text.to_string());
    }

    /// Puts one text in place of another in the manifest's config maps and arguments; it must be there.
    pub fn replace(&mut self, from: &str, to: &str) {
        let mut count = 0;
        let names: Vec<String> = self.config_maps();
        for name in names {
            let files = self.given.get(&name).cloned();
            let files = files.or_else(|| self.manifest.config_map(&name));
            for (file, text) in files.unwrap_or_default() {
                count += text.matches(from).count();
                self.give(&name, &file, &text.replace(from, to));
            }
        }
        let init = self.spec.init_containers.iter_mut().flatten();
        for arg in init
            .chain(&mut self.spec.containers)
            .flat_map(|it| it.args.iter_mut().flatten())
        {
            count += arg.matches(from).count();
            *arg = arg.replace(from, to);
        }
        assert!(count > 0, "no {from:?} in {}", self.manifest.name());
    }

    fn config_maps(&self) -> Vec<String> {
        let volumes = self.spec.volumes.iter().flatten();
        volumes
            .filter_map(|volume| Some(volume.config_map.as_ref()?.name.clone()))
            .collect()
    }

    /// Plays all stages; each must start.
    pub fn start(&mut self) {
        for spec in self.prepared() {
            self.stage(spec).expect_started();
        }
    }

    /// Begins to play the first stages up to this one, counted from 0, which is returned without waiting for it.
    pub fn start_until(&mut self, last: usize) -> &mut Played {
        for (number, spec) in self.prepared().into_iter().enumerate().take(last + 1) {
            let played = self.stage(spec);
            if number < last {
                played.expect_started();
            }
        }
        self.stages.last_mut().expect("a stage")
    }

    fn stage(&mut self, spec: PodSpec) -> &mut Played {
        let name = format!("{}-stage-{}", self.name, self.stages.len());
        let played = play_in(&self.network.entrance(), &name, spec);
        self.stages.push(played);
        self.stages.last_mut().expect("just put there")
    }

    /// The stages with their volumes and variables.
    fn prepared(&mut self) -> Vec<PodSpec> {
        let mut spec = self.spec.clone();
        // To podman, which runs in the Pod's network, that is the host's.
        spec.host_network = Some(true);
        for volume in spec.volumes.iter_mut().flatten() {
            self.lay_out(volume);
        }
        stages(&spec)
    }

    /// Puts a folder of this machine in place of a volume.
    fn lay_out(&mut self, volume: &mut Volume) {
        let group = self
            .spec
            .security_context
            .as_ref()
            .and_then(|it| it.fs_group);
        let group = group.map(|group| u32::try_from(group).expect("a group"));
        let empty = volume.empty_dir.take();
        let in_memory = empty
            .as_ref()
            .is_some_and(|it| it.medium.as_deref() == Some("Memory"));
        let place = if in_memory {
            MEMORY
        } else {
            env!("CARGO_TARGET_TMPDIR")
        };
        let folder = tempfile::tempdir_in(place).expect("a temporary directory");
        let path = folder.path();
        if empty.is_none() {
            let mode = mode_of(volume);
            for (file, text) in self.files_of(volume) {
                let file = path.join(file);
                fs::write(&file, text).expect("a file");
                chown(&file, Some(0), group).expect("chown");
                fs::set_permissions(&file, Permissions::from_mode(mode)).expect("chmod");
            }
        }
        chown(path, Some(0), group).expect("chown");
        fs::set_permissions(path, Permissions::from_mode(0o2777)).expect("chmod");
        volume.host_path = Some(host_path(path));
        self.volumes.push(folder);
    }

    fn files_of(&self, volume: &mut Volume) -> BTreeMap<String, String> {
        let name = if let Some(source) = volume.config_map.take() {
            source.name
        } else if let Some(source) = volume.secret.take() {
            source.secret_name.expect("a Secret's name")
        } else {
            assert!(volume.projected.take().is_some(), "{volume:?}");
            volume.name.clone()
        };
        let given = self.given.get(&name).cloned();
        given
            .or_else(|| self.manifest.config_map(&name))
            .unwrap_or_else(|| panic!("the test gives no {name}"))
    }

    /// The stage that has a container of this name; it has been played.
    pub fn stage_of(&self, container: &str) -> &Played {
        let spec = self.spec.clone();
        let number = stages(&spec).iter().position(|stage| {
            let mut all = super::files::containers(stage);
            all.any(|it| it.name == container)
        });
        &self.stages[number.unwrap_or_else(|| panic!("no container {container}"))]
    }

    /// Runs a program in a container, as its user; it must succeed.
    pub fn exec(&self, container: &str, words: &[&str]) -> String {
        self.stage_of(container).exec(container, words)
    }

    /// The network at the other end of the link.
    pub fn outside(&self) -> &Namespaces {
        &self.outside
    }

    /// Makes a server of this machine's loopback reachable at the same address in the Pod's.
    pub fn bring_in(&self, server: SocketAddr) {
        let process = self.network.process().to_string();
        let listener = thread::spawn(move || {
            let network = File::open(format!("/proc/{process}/ns/net")).expect("a network");
            setns(network, CloneFlags::CLONE_NEWNET).expect("root may enter it");
            TcpListener::bind(server).expect("nobody else listens there")
        });
        let listener = listener.join().expect("a listener");
        // It ends with the tests: what it holds is one socket.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || relay(&client, server));
            }
        });
    }
}

/// The mode of a volume's files, which is 0644 unless the volume says so.
fn mode_of(volume: &Volume) -> u32 {
    let secret = volume.secret.as_ref().and_then(|it| it.default_mode);
    let config = volume.config_map.as_ref().and_then(|it| it.default_mode);
    let projected = volume.projected.as_ref().and_then(|it| it.default_mode);
    let mode = secret.or(config).or(projected).unwrap_or(0o644);
    u32::try_from(mode).expect("a mode")
}

/// Carries bytes both ways until both sides have ended.
fn relay(client: &TcpStream, server: SocketAddr) {
    let Ok(server) = TcpStream::connect(server) else {
        return;
    };
    let carry = |mut from: &TcpStream, mut to: &TcpStream| {
        // Whoever ends early is what the other side is told.
        drop(io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Write));
    };
    thread::scope(|scope| {
        scope.spawn(|| carry(client, &server));
        carry(&server, client);
    });
}

fn host_path(path: &Path) -> HostPathVolumeSource {
    HostPathVolumeSource {
        path: path.to_str().expect("a UTF-8 path").to_string(),
        type_: Some("Directory".to_string()),
    }
}

/// What podman can play at once, in the order in which a kubelet starts it. Pure.
fn stages(spec: &PodSpec) -> Vec<PodSpec> {
    let empty = PodSpec {
        init_containers: None,
        containers: Vec::new(),
        ..spec.clone()
    };
    let mut stages = vec![empty.clone()];
    for container in spec.init_containers.iter().flatten() {
        let mut container = container.clone();
        let is_sidecar = container.restart_policy.take().as_deref() == Some("Always");
        container.restart_policy_rules = None;
        if !is_sidecar
            && stages
                .last()
                .is_some_and(|stage| !stage.containers.is_empty())
        {
            stages.push(empty.clone());
        }
        let stage = stages.last_mut().expect("there is one");
        if is_sidecar {
            stage.containers.push(container);
        } else {
            stage
                .init_containers
                .get_or_insert_default()
                .push(container);
        }
    }
    if stages
        .last()
        .is_some_and(|stage| !stage.containers.is_empty())
    {
        stages.push(empty);
    }
    let stage = stages.last_mut().expect("there is one");
    stage.containers.extend(spec.containers.iter().cloned());
    stages
}

#[test]
fn a_sidecar_starts_after_what_stands_before_it() {
    let container = |name: &str, policy: Option<&str>| Container {
        name: name.to_string(),
        restart_policy: policy.map(str::to_string),
        ..Container::default()
    };
    let spec = PodSpec {
        init_containers: Some(vec![
            container("first", None),
            container("sidecar", Some("Always")),
            container("another", Some("Always")),
            container("second", Some("Never")),
            container("third", Some("Always")),
        ]),
        containers: vec![container("app", None)],
        ..PodSpec::default()
    };
    let told: Vec<(Vec<String>, Vec<String>)> = stages(&spec)
        .iter()
        .map(|stage| {
            let names = |list: &[Container]| list.iter().map(|it| it.name.clone()).collect();
            let init = stage.init_containers.as_deref().unwrap_or_default();
            (names(init), names(&stage.containers))
        })
        .collect();
    let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        told,
        [
            (names(&["first"]), names(&["sidecar", "another"])),
            (names(&["second"]), names(&["third"])),
            (names(&[]), names(&["app"])),
        ]
    );
}
