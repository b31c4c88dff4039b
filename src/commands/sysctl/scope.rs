//! What is known of keys without asking the kernel: who else sees them, which need care, what brings
//! them. Names are those of Linux 6.18's documentation and of Kubernetes' list of safe sysctls.

use super::key::{Key, Tree};
use super::surroundings::Surroundings;

/// Who sees a changed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Scope {
    /// Every tenant of the node, until it reboots.
    Node,
    /// The Pod's network namespace.
    Network,
    /// The Pod's IPC namespace.
    Ipc,
    /// The Pod's UTS namespace.
    Uts,
    /// The container's pid namespace.
    Pid,
    /// The user namespace.
    User,
}

impl Scope {
    /// The words in the result line.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Node => "node-wide",
            Self::Network => "this pod's network",
            Self::Ipc => "this pod's IPC",
            Self::Uts => "this pod's hostname",
            Self::Pid => "this pid namespace",
            Self::User => "this user namespace",
        }
    }

    /// The scope of `key` for a process in `surroundings`.
    pub(super) fn of(key: &Key, surroundings: &Surroundings) -> Self {
        let in_own = |own: bool, scope: Self| if own { scope } else { Self::Node };
        if key.fits("net.*") {
            in_own(!surroundings.host_network, Self::Network)
        } else if ["kernel.shm*", "kernel.msg*", "kernel.sem*", "fs.mqueue.*"]
            .into_iter()
            .any(|rule| key.fits(rule))
        {
            in_own(!surroundings.initial_ipc, Self::Ipc)
        } else if key.fits("kernel.hostname") || key.fits("kernel.domainname") {
            in_own(!surroundings.initial_uts, Self::Uts)
        } else if key.fits("kernel.pid_max") {
            let own = !surroundings.initial_pid && surroundings.release() >= PID_MAX_NAMESPACED;
            in_own(own, Self::Pid)
        } else if key.fits("user.*") {
            in_own(!surroundings.initial_user, Self::User)
        } else {
            Self::Node
        }
    }
}

/// `kernel.pid_max` belongs to the pid namespace from this release on.
const PID_MAX_NAMESPACED: (u32, u32) = (6, 14);

/// Allowed in a Pod's `securityContext.sysctls` without any setting of the kubelet.
const SAFE: &[&str] = &[
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_notsent_lowat",
];

/// Absent outside the node's network namespace.
const NODE_NETWORK_ONLY: &[&str] = &[
    "net.core.netdev_*",
    "net.core.bpf_jit_*",
    "net.core.dev_weight*",
    "net.core.busy_*",
    "net.core.default_qdisc",
    "net.core.flow_limit_*",
    "net.core.max_skb_frags",
    "net.core.message_*",
    "net.core.rps_sock_flow_entries",
    "net.ipv4.tcp_mem",
    "net.ipv4.udp_mem",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.inet_peer_*",
    "net.ipv4.ipfrag_secret_interval",
    "net.ipv4.route.gc_*",
    "net.ipv4.route.max_size",
    "net.ipv4.route.error_*",
    "net.ipv4.route.redirect_*",
    "net.ipv4.neigh.default.*",
    "net.ipv6.neigh.default.*",
    "net.nf_conntrack_max",
    // Absent in a pod before Linux 6.10, read-only there since.
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
];

/// Present in a pod, but without write bits there.
const NODE_NETWORK_WRITES: &[&str] = &[
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_expect_max",
    "net.ipv4.tcp_allowed_congestion_control",
];

/// Keys that a module brings, and the module.
const MODULES: &[(&str, &str)] = &[
    ("net.bridge.*", "br_netfilter"),
    ("net.netfilter.nf_conntrack*", "nf_conntrack"),
    ("net.ipv4.vs.*", "ip_vs"),
    ("net.sctp.*", "sctp"),
    ("net.mpls.*", "mpls_router"),
    ("sunrpc.*", "sunrpc"),
    ("fs.nfs.*", "nfs"),
    ("dev.raid.*", "md_mod"),
];

/// Commands rather than settings: written however they read.
const ALWAYS_WRITTEN: &[&str] = &[
    "vm.drop_caches",
    "vm.compact_memory",
    "net.ipv4.route.flush",
    "net.ipv6.route.flush",
];

fn any_fits(rules: &[&str], key: &Key) -> bool {
    rules.iter().any(|rule| key.fits(rule))
}

/// Whether the key belongs in `securityContext.sysctls` and needs no init container.
pub(super) fn is_safe(key: &Key) -> bool {
    any_fits(SAFE, key)
}

/// Whether the key exists in the node's network namespace only.
pub(super) fn is_node_network_only(key: &Key) -> bool {
    any_fits(NODE_NETWORK_ONLY, key)
}

/// Whether the key can be written in the node's network namespace only.
pub(super) fn is_node_network_write(key: &Key) -> bool {
    any_fits(NODE_NETWORK_WRITES, key)
}

/// Whether writing the key is an act, done each time it is asked for.
pub(super) fn is_always_written(key: &Key) -> bool {
    any_fits(ALWAYS_WRITTEN, key)
}

/// Whether reading the key has an effect, so that a listing leaves it alone.
pub(super) fn is_never_listed(key: &Key) -> bool {
    key.fits("vm.stat_refresh")
}

/// Whether the key's value is a secret; a pattern's is if it could match such a key.
pub(super) fn is_hidden(key: &Key) -> bool {
    let could_match = |name| glob::Pattern::new(key.last()).is_ok_and(|last| last.matches(name));
    key.tree == Tree::ProcSys && (could_match("tcp_fastopen_key") || could_match("stable_secret"))
}

/// What can bring a key that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bringer {
    Module(&'static str),
    Interface(String),
}

/// The module or network interface that brings the key, if one can.
pub(super) fn bringer(key: &Key) -> Option<Bringer> {
    if let Some((_, module)) = MODULES.iter().find(|(rule, _)| key.fits(rule)) {
        return Some(Bringer::Module(module));
    }
    let parts: Vec<&str> = key.components().collect();
    match (key.tree, parts.as_slice()) {
        (Tree::ProcSys, ["net", "ipv4" | "ipv6", "conf" | "neigh", interface, _])
            if !matches!(*interface, "default" | "all") =>
        {
            Some(Bringer::Interface((*interface).to_string()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn scope_depends_on_the_namespaces_the_process_is_in() {
        let pod = Surroundings::of_a_pod();
        let host = Surroundings::of_the_node();
        for (name, scope) in [
            ("net.core.somaxconn", Scope::Network),
            ("kernel.shmmax", Scope::Ipc),
            ("kernel.sem", Scope::Ipc),
            ("fs.mqueue.msg_max", Scope::Ipc),
            ("kernel.hostname", Scope::Uts),
            ("kernel.pid_max", Scope::Pid),
            ("user.max_user_namespaces", Scope::User),
            ("vm.max_map_count", Scope::Node),
            ("kernel.threads-max", Scope::Node),
        ] {
            assert_eq!(Scope::of(&key(name), &pod), scope, "{name}");
            assert_eq!(Scope::of(&key(name), &host), Scope::Node, "{name}");
        }
        let old = Surroundings {
            release: "6.13.9".to_string(),
            ..pod
        };
        assert_eq!(Scope::of(&key("kernel.pid_max"), &old), Scope::Node);
    }

    #[test]
    fn modules_and_interfaces_bring_keys() {
        assert_eq!(
            bringer(&key("net.sctp.addip_enable")),
            Some(Bringer::Module("sctp"))
        );
        assert_eq!(
            bringer(&key("net.bridge.bridge-nf-call-iptables")),
            Some(Bringer::Module("br_netfilter"))
        );
        assert_eq!(
            bringer(&key("net.ipv4.conf.eno2/100.forwarding")),
            Some(Bringer::Interface("eno2.100".to_string()))
        );
        for name in [
            "net.ipv4.conf.default.forwarding",
            "net.ipv4.conf.all.x",
            "vm.nope",
            "net.core.x",
        ] {
            assert_eq!(bringer(&key(name)), None, "{name}");
        }
    }

    #[test]
    fn lists_are_told_apart() {
        assert!(is_safe(&key("net.ipv4.tcp_rmem")) && !is_safe(&key("net.core.somaxconn")));
        assert!(is_node_network_only(&key("net.core.netdev_max_backlog")));
        assert!(is_node_network_write(&key("net.core.rmem_max")));
        assert!(is_hidden(&key("net.ipv6.conf.all.stable_secret")));
        assert!(is_hidden(&key("net.ipv4.tcp_fastopen_key")));
        assert!(is_hidden(&key("net.ipv6.conf.eth9.stable*")));
        assert!(!is_hidden(&key("net.ipv6.conf.all.forwarding")));
        assert!(is_always_written(&key("net.ipv6.route.flush")));
        assert!(is_never_listed(&key("vm.stat_refresh")));
    }
}
