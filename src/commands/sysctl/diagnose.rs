//! From what the kernel answered to what it means and how to mend it. Pure: the evidence is gathered
//! elsewhere.

use nix::errno::Errno;

use super::key::{Key, Tree};
use super::problem::Problem;
use super::proc::{Cause, Facts, Step, Trouble};
use super::scope::{self, Bringer, Scope, is_node_network_only, is_node_network_write, is_safe};
use super::surroundings::Surroundings;
use crate::base::failure::Kind;

/// What is known beside the answer itself.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) key: &'a Key,
    pub(super) scope: Scope,
    pub(super) surroundings: &'a Surroundings,
    /// Looked for only when the key is missing.
    pub(super) absence: Absence,
    /// What a rejected value should have been.
    pub(super) rejected_hint: String,
    /// For a congestion control: the names that the kernel takes.
    pub(super) algorithms: Option<String>,
}

/// How much of sysfs there is around a key of `--sys` that is missing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sysfs {
    /// The key's group is there.
    Group,
    /// sysfs is, the group is not.
    #[default]
    Mounted,
    /// No sysfs at all: a hostPath that was forgotten.
    Missing,
}

/// What stands near a missing key.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Absence {
    /// The key exists if some dots belong to one component.
    pub(super) joined: Option<Key>,
    /// How much of sysfs there is around a key of `--sys`.
    pub(super) sysfs: Sysfs,
    /// What is not there and could bring it.
    pub(super) bringer: Option<Bringer>,
    /// The nearest name there is.
    pub(super) nearest: Option<String>,
    /// The interfaces there are.
    pub(super) interfaces: Vec<String>,
}

const RAISE_PRIVILEGES: &str =
    "give this init container alone securityContext: {privileged: true, runAsUser: 0}";

/// Explains why a key cannot be found, read, opened or written.
pub(super) fn diagnose(trouble: Trouble, evidence: &Evidence<'_>) -> Problem {
    match (trouble.step, trouble.cause) {
        (_, Cause::Group) => Problem::new(Kind::Missing, "is a group of keys")
            .hint(format!("podinit sysctl --list {}", evidence.key)),
        (_, Cause::NotKernel) => {
            not_kernel("the file is on another file system than procfs or sysfs")
        }
        (_, Cause::Errno(Errno::ELOOP)) => not_kernel("the path goes through a symbolic link"),
        (Step::Write, cause) => rejected(cause, evidence),
        (
            Step::Find | Step::Read | Step::Open,
            Cause::Errno(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG),
        ) => missing(evidence),
        (Step::Find | Step::Read, Cause::Errno(errno @ (Errno::EACCES | Errno::EPERM))) => {
            Problem::new(Kind::Denied, format!("cannot be read, {}", words(errno)))
                .hint("runAsUser: 0 in this container's securityContext")
        }
        (Step::Open, Cause::Errno(errno @ (Errno::EACCES | Errno::EPERM | Errno::EROFS))) => {
            denied(errno, trouble.facts, evidence)
        }
        (_, Cause::Errno(errno)) => Problem::new(Kind::Local, words(errno)),
        (_, Cause::Short { .. }) => rejected(trouble.cause, evidence),
    }
}

fn not_kernel(reason: &str) -> Problem {
    Problem::new(Kind::Local, "not a kernel setting")
        .detail(format!(", {reason}"))
        .hint("mount the node's /sys itself there, or drop --sys-root")
}

/// An errno as an operator reads it: `invalid argument (EINVAL)`.
fn words(errno: Errno) -> String {
    let words = match errno {
        // The C library's words for it are about mathematics.
        Errno::ERANGE => "out of range".to_string(),
        other => other.desc().to_lowercase(),
    };
    format!("{words} ({errno:?})")
}

fn missing(evidence: &Evidence<'_>) -> Problem {
    let Absence {
        joined,
        sysfs,
        bringer,
        nearest,
        interfaces,
    } = &evidence.absence;
    // Whether it can come is told by its name alone: an interface's group appears before its keys.
    let no_such_key = Problem {
        is_awaited: scope::bringer(evidence.key).is_some(),
        ..Problem::new(Kind::Missing, "no such key")
    };
    if let Some(key) = joined {
        return no_such_key.hint(format!("did you mean {key}"));
    }
    if evidence.key.tree == Tree::KernelMm {
        let what = match evidence.key.components().next() {
            Some("ksm") => "KSM",
            Some(_) | None => "transparent huge pages",
        };
        return match sysfs {
            Sysfs::Group => no_such_key
                .detail(format!(" on Linux {}", evidence.surroundings.release))
                .hint("the kernel's documentation of mm names the settings there are"),
            Sysfs::Mounted => Problem::new(Kind::Missing, format!("this kernel has no {what}"))
                .hint("podinit can change only what the node's kernel was built with"),
            Sysfs::Missing => not_kernel("no sysfs is mounted there"),
        };
    }
    if is_node_network_only(evidence.key) && !evidence.surroundings.host_network {
        return Problem::new(Kind::Missing, "exists only in the node's network namespace")
            .hint("set it on the node, or give the Pod hostNetwork: true");
    }
    match bringer {
        Some(Bringer::Module(module)) => {
            return no_such_key.hint(format!("load the module: modprobe {module} on the node"));
        }
        Some(Bringer::Interface(interface)) => {
            return no_such_key
                .detail(format!(", no interface {interface}"))
                .hint(format!("the interfaces here are {}", interfaces.join(", ")));
        }
        None => {}
    }
    let problem = no_such_key.detail(format!(" on Linux {}", evidence.surroundings.release));
    match nearest {
        Some(name) => problem.hint(format!("did you mean {name}")),
        None => problem.hint("podinit sysctl --list shows the keys there are"),
    }
}

/// Tells the causes of EACCES and EROFS at open apart; the order is that of the kernel's own checks.
fn denied(errno: Errno, facts: Option<Facts>, evidence: &Evidence<'_>) -> Problem {
    let Evidence {
        key,
        scope,
        surroundings,
        ..
    } = evidence;
    let reason = |reason: &str| Problem::new(Kind::Denied, reason);
    let is_node_wide = *scope == Scope::Node;
    if facts.is_some_and(|facts| !facts.can_be_written()) {
        return if is_node_network_write(key) && !surroundings.host_network {
            reason("owned by the node's network namespace").hint("set it on the node")
        } else {
            reason("read-only key").hint("no setting can change it; leave it out")
        };
    }
    if errno != Errno::EROFS && !surroundings.euid.is_root() {
        let problem =
            reason("permission denied").detail(format!(", uid {} is not root", surroundings.euid));
        return problem.hint(if key.tree == Tree::KernelMm {
            "run this container as runAsUser: 0, with hostPath /sys mounted at /host-sys and --sys-root \
             /host-sys; it needs no more than that"
                .to_string()
        } else if is_node_wide {
            format!("{RAISE_PRIVILEGES}; privileged alone is not enough, capabilities do not help")
        } else if is_safe(key) {
            "put it in the Pod's securityContext.sysctls, no privilege needed".to_string()
        } else {
            "put it in the Pod's securityContext.sysctls and the kubelet's --allowed-unsafe-sysctls, or run \
             as uid 0 or with CAP_NET_ADMIN"
                .to_string()
        });
    }
    if is_node_wide && surroundings.euid.is_root() && !surroundings.identity_map {
        return reason("permission denied")
            .detail(", this is root of a user namespace only")
            .hint("a Pod with hostUsers: false can never set node-wide keys; prepare the node, or drop hostUsers");
    }
    if errno == Errno::EROFS {
        let problem = reason("read-only file system");
        return problem.hint(match (key.tree, is_node_wide) {
            (Tree::KernelMm, _) => "mount hostPath /sys at /host-sys and pass --sys-root /host-sys".to_string(),
            (Tree::ProcSys, true) => format!(
                "{RAISE_PRIVILEGES}, or configure the node; SYS_ADMIN does not help"
            ),
            (Tree::ProcSys, false) if is_safe(key) => {
                "put it in the Pod's securityContext.sysctls, no privilege needed".to_string()
            }
            (Tree::ProcSys, false) => {
                "put it in the Pod's securityContext.sysctls and the kubelet's --allowed-unsafe-sysctls".to_string()
            }
        });
    }
    let label = surroundings.label.as_deref().unwrap_or("no label");
    reason("refused by a security module")
        .detail(format!(", this process runs as {label}"))
        .hint("appArmorProfile: {type: Unconfined}, or an SELinux type that may write here")
}

/// The kernel opened the key but did not take the value.
fn rejected(cause: Cause, evidence: &Evidence<'_>) -> Problem {
    let Evidence {
        key, algorithms, ..
    } = evidence;
    let is_congestion_control = key.last() == "tcp_congestion_control";
    let names = || {
        algorithms
            .clone()
            .unwrap_or_else(|| "none that can be read".to_string())
    };
    match cause {
        Cause::Errno(Errno::EPERM | Errno::EACCES) => {
            let problem = Problem::new(Kind::Denied, "operation not permitted");
            problem.hint(if is_congestion_control {
                format!("one of tcp_allowed_congestion_control ({}), or CAP_NET_ADMIN", names())
            } else {
                "CAP_NET_ADMIN: securityContext: {capabilities: {add: [NET_ADMIN]}} in this container".to_string()
            })
        }
        Cause::Errno(Errno::ENOENT) => {
            let problem = Problem::new(
                Kind::Local,
                "the value names something that is not there (ENOENT)",
            );
            problem.hint(if is_congestion_control {
                format!(
                    "available are {}; for another, load its module on the node",
                    names()
                )
            } else {
                evidence.rejected_hint.clone()
            })
        }
        Cause::Errno(errno) => Problem {
            may_depend_on_others: matches!(errno, Errno::EINVAL | Errno::ERANGE),
            ..Problem::new(Kind::Local, format!("rejected: {}", words(errno)))
        }
        .hint(evidence.rejected_hint.clone()),
        Cause::Short { taken, total } => Problem::new(
            Kind::Local,
            format!("rejected: the kernel took only {taken} of {total} bytes"),
        )
        .hint(evidence.rejected_hint.clone()),
        Cause::Group | Cause::NotKernel => not_kernel("the file changed its kind"),
    }
}

#[cfg(test)]
mod tests;
