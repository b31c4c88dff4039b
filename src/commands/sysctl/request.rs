//! The arguments of `podinit sysctl`, and everything they ask for once the files are read.

use std::path::PathBuf;

use clap::ArgAction;
use clap::builder::BoolishValueParser;

use super::key::{Subject, Tree};
use super::load::{Loaded, load};
use super::merge::merge;
use super::offload::{in_time, off_thread};
use super::setting::{Maximum, Minimum, Setting, Source, SysSetting};
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};

/// Bring kernel settings to the wanted state, and prove it by reading back
///
/// What is already right is never written, so the same Pod passes unprivileged on a prepared node.
#[derive(Debug, clap::Args)]
#[command(override_usage = USAGE, after_long_help = EXAMPLES, after_help = "See --help for examples.")]
pub struct Args {
    /// [-]KEY=VALUE exactly, [-]KEY>=N at least, [-]KEY<=N at most; a leading - makes it optional
    #[arg(value_name = "SETTING")]
    settings: Vec<Setting>,
    /// At least N: the shell-safe twin of KEY>=N
    #[arg(long, env = "PODINIT_MIN", value_name = "KEY=N", action = ArgAction::Append, allow_hyphen_values = true)]
    min: Vec<Minimum>,
    /// At most N: the shell-safe twin of KEY<=N
    #[arg(long, env = "PODINIT_MAX", value_name = "KEY=N", action = ArgAction::Append, allow_hyphen_values = true)]
    max: Vec<Maximum>,
    /// Settings in the format of sysctl.conf; a folder means its *.conf, - standard input
    #[arg(long, env = "PODINIT_LOAD", value_name = "FILE", action = ArgAction::Append, allow_hyphen_values = true)]
    load: Vec<PathBuf>,
    /// A setting below kernel/mm of sysfs, such as `transparent_hugepage/enabled`
    #[arg(long, env = "PODINIT_SYS", value_name = "KEY=VALUE", action = ArgAction::Append, allow_hyphen_values = true)]
    sys: Vec<SysSetting>,
    /// Where sysfs is mounted, such as /host-sys for a hostPath
    #[arg(long, env = "PODINIT_SYS_ROOT", value_name = "DIR", default_value = "/sys", value_parser = absolute)]
    sys_root: PathBuf,
    /// Let KEY=VALUE keep a higher node-wide value
    #[arg(long, env = "PODINIT_NEVER_LOWER", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    never_lower: bool,
    /// Compare only; exit 1 if not as wanted
    #[arg(long, env = "PODINIT_CHECK", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, conflicts_with = "wait")]
    check: bool,
    /// Poll until it is as wanted, or the deadline comes; write nothing
    #[arg(long, env = "PODINIT_WAIT", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    wait: bool,
    /// Print names and values: of a key, of all keys below it, or of a glob
    #[arg(long, env = "PODINIT_LIST", value_name = "PATTERN", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["settings", "min", "max", "load", "sys", "check", "wait"])]
    list: Option<String>,
    /// Accepted for `sysctl -w`; means nothing
    #[arg(short, action = ArgAction::Count)]
    w: u8,
}

const USAGE: &str = "podinit sysctl [OPTIONS] <SETTING>...
       podinit sysctl [OPTIONS] --load FILE [SETTING]...
       podinit sysctl --list [PATTERN]";

const EXAMPLES: &str = "\
Examples:
  podinit sysctl vm.max_map_count=262144
  podinit sysctl 'vm.max_map_count>=262144' -net.bridge.bridge-nf-call-iptables=1
  podinit sysctl --min vm.max_map_count=262144 --load sysctl.conf --dry-run --output json
  podinit sysctl --check 'net.ipv4.tcp_rmem>=4096 131072 16777216'
  podinit sysctl --list 'net.ipv4.conf.*.rp_filter'

In a Pod, under initContainers:
  # Raises the node's value. privileged alone is not enough: the key belongs to root.
  - name: sysctl
    image: ghcr.io/podinit/podinit:0.1.0
    args: [sysctl, \"vm.max_map_count>=262144\"]
    securityContext: {privileged: true, runAsUser: 0, runAsNonRoot: false}

  # Waits, without privilege, until something else has raised it.
  - name: sysctl
    image: ghcr.io/podinit/podinit:0.1.0
    args: [sysctl, --wait, --timeout=10m, \"vm.max_map_count>=262144\"]
    securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}

  # A setting of sysfs, through a hostPath volume of /sys mounted at /host-sys; not privileged.
  - name: hugepages
    image: ghcr.io/podinit/podinit:0.1.0
    args: [sysctl, --sys-root=/host-sys, --sys=transparent_hugepage/enabled=never]
    securityContext: {runAsUser: 0, capabilities: {drop: [ALL]}}

Where a node's settings belong if you run the nodes: GKE linuxNodeConfig.sysctls, AKS
linuxOSConfig.sysctls, Talos machine.sysctls, Bottlerocket settings.kernel.sysctl, OpenShift Tuned.
Safe keys of the Pod's own namespaces belong in its securityContext.sysctls.";

fn absolute(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('/') {
        Ok(PathBuf::from(text))
    } else {
        Err("the directory has to be absolute".to_string())
    }
}

/// What is to be done with the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Set,
    Check,
    Wait,
}

/// What the arguments ask for.
#[derive(Debug)]
pub(super) enum Task {
    /// `--list`, with its pattern; empty means all.
    List(String),
    Settle(Request, Mode),
}

/// All that was said about settings, in the order in which it counts.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) settings: Vec<(Source, Setting)>,
    pub(super) exclusions: Vec<Subject>,
    pub(super) never_lower: bool,
    pub(super) sys_root: PathBuf,
}

impl Request {
    /// Whether any setting lies on sysfs.
    pub(super) fn uses_sys(&self) -> bool {
        self.settings
            .iter()
            .any(|(_, setting)| setting.subject.key().tree == Tree::KernelMm)
    }
}

/// Reads the files that the arguments name.
///
/// # Errors
/// `Usage` without any setting or file, or for a file that cannot be obeyed.
pub(super) async fn task(args: Args, deadline: &Deadline) -> Result<Task, Failure> {
    let Args {
        settings,
        min,
        max,
        load: files,
        sys,
        sys_root,
        never_lower,
        check,
        wait,
        list,
        w: _,
    } = args;
    if let Some(pattern) = list {
        return Ok(Task::List(pattern));
    }
    if settings.is_empty() && min.is_empty() && max.is_empty() && sys.is_empty() && files.is_empty()
    {
        return Err(Failure::new(Kind::Usage, "no SETTING given")
            .hint("say one, such as 'vm.max_map_count>=262144', or name a file with --load"));
    }
    let Loaded {
        settings: mut all,
        exclusions,
    } = load(files, deadline).await?;
    all.extend(
        settings
            .into_iter()
            .map(|setting| (Source::Argument, setting)),
    );
    all.extend(
        min.into_iter()
            .map(|Minimum(setting)| (Source::Min, setting)),
    );
    all.extend(
        max.into_iter()
            .map(|Maximum(setting)| (Source::Max, setting)),
    );
    all.extend(
        sys.into_iter()
            .map(|SysSetting(setting)| (Source::Sys, setting)),
    );
    let request = Request {
        settings: all,
        exclusions,
        never_lower,
        sys_root,
    };
    // Bounds that contradict each other are known before the kernel is asked for anything.
    let checking = off_thread(move || {
        merge(&request.settings, &request.exclusions, &[])?;
        Ok(request)
    });
    let request = in_time(deadline, "merge the settings", checking).await?;
    let mode = match (check, wait) {
        (true, _) => Mode::Check,
        (false, true) => Mode::Wait,
        (false, false) => Mode::Set,
    };
    Ok(Task::Settle(request, mode))
}
