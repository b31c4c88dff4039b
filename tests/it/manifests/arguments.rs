//! Every podinit argument list in manifests/ is taken by the real command line.

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
            // What the node answers is another matter: 0, 1, 66, 69 and 77 are all answers of a run that was understood.
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

/// Runs a container's arguments and environment on this machine, changing nothing.
fn dry_run(container: &Container) -> Output {
    let args = container.args.as_deref().unwrap_or_default();
    let (command, rest) = args.split_first().expect("podinit is given a subcommand");
    let env = container
        .env
        .iter()
        .flatten()
        .filter_map(|it| Some((&it.name, it.value.as_ref()?)));
    Command::new(binary())
        .arg(command)
        .arg("--dry-run")
        .args(rest)
        .envs(env)
        .stdin(Stdio::null())
        .output()
        .expect("podinit starts")
}
