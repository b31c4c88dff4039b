//! Every podinit argument list in manifests/ is taken by the real command line.

use std::fs;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::core::v1::Container;

use super::files::{all, containers};
use crate::support::binary;

/// `EX_USAGE` of sysexits: the arguments cannot be obeyed.
const USAGE: i32 = 64;

#[test]
fn every_argument_list_is_accepted() {
    let mut tried = 0;
    for file in all() {
        for container in file
            .pods()
            .into_iter()
            .flat_map(|(_, spec)| containers(spec))
        {
            if !is_podinit(container) {
                continue;
            }
            let output = dry_run(container);
            let code = output.status.code().expect("podinit ended by itself");
            let said = String::from_utf8_lossy(&output.stderr);
            // What the node or nobody answers is another matter: these are the ends of runs that were understood.
            assert!(
                [0, 1, 66, 69, 77].contains(&code),
                "{} {:?}: {code} {said}",
                file.name(),
                container.args
            );
            tried += 1;
        }
    }
    assert!(tried > 0, "no manifest runs podinit");
}

#[test]
fn a_wrong_argument_list_is_refused() {
    for args in [
        &["sysctl", "vm.max_map_count"][..],
        &["sysctl", "--chek", "vm.max_map_count>=1"],
        &["sysctll"],
        &["fetch-secret", "--dir=/secrets", "secret/app"],
    ] {
        let args = Some(args.iter().map(ToString::to_string).collect());
        let output = dry_run(&Container {
            args,
            ..Default::default()
        });
        assert_eq!(output.status.code(), Some(USAGE), "{output:?}");
    }
}

fn is_podinit(container: &Container) -> bool {
    container
        .image
        .as_deref()
        .is_some_and(|image| image.contains("/podinit:"))
}

/// The command line takes it for a duration.
fn assert_is_duration(limit: &str) {
    let mut command = Command::new(binary());
    command.args(["sysctl", "--list", "kernel.ostype", "--timeout", limit]);
    let output = command.output().expect("podinit starts");
    assert!(output.status.success(), "{limit}: {output:?}");
}

/// Runs a container's arguments and environment on this machine, changing nothing and waiting for nobody. Whatever
/// the Pod mounts is one folder in memory here, with an authority and a token in it.
pub fn dry_run(container: &Container) -> Output {
    let args = container.args.as_deref().unwrap_or_default();
    let (command, rest) = args.split_first().expect("podinit is given a subcommand");
    let folder = tempfile::tempdir_in("/dev/shm").expect("a temporary directory");
    let authorities = "/etc/ssl/certs/ca-certificates.crt";
    fs::copy(authorities, folder.path().join("ca.crt")).expect("the system's roots");
    fs::write(folder.path().join("token"), "a.service-account.token").expect("a file");
    let mounts: Vec<_> = container
        .volume_mounts
        .iter()
        .flatten()
        .map(|mount| format!("={}", mount.mount_path))
        .collect();
    let here = format!("={}", folder.path().display());
    // A server that is not here is waited for no longer than this, whatever the manifest says.
    let rest = rest.iter().map(|arg| {
        if let Some(limit) = arg.strip_prefix("--timeout=") {
            assert_is_duration(limit);
            return "--timeout=200ms".to_string();
        }
        mounts
            .iter()
            .fold(arg.clone(), |arg, it| arg.replace(it, &here))
    });
    let env = container
        .env
        .iter()
        .flatten()
        .filter_map(|it| Some((&it.name, it.value.as_ref()?)));
    Command::new(binary())
        .arg(command)
        .arg("--dry-run")
        .args(rest)
        .env("PODINIT_TIMEOUT", "200ms")
        .envs(env)
        .stdin(Stdio::null())
        .output()
        .expect("podinit starts")
}
