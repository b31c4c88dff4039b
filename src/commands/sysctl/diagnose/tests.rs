use nix::unistd::Uid;

use super::*;

/// `kind: reason+detail | hint` for a step that failed with `errno`.
fn told(name: &str, step: Step, errno: Errno, mode: u32, surroundings: &Surroundings) -> String {
    let key = match Key::parse_sys(name) {
        Ok(key) => key,
        Err(_) => Key::parse(name).unwrap(),
    };
    let evidence = Evidence {
        key: &key,
        scope: Scope::of(&key, surroundings),
        surroundings,
        absence: Absence {
            bringer: scope::bringer(&key),
            interfaces: vec!["lo".to_string()],
            ..Absence::default()
        },
        rejected_hint: "another value".to_string(),
        algorithms: Some("reno cubic".to_string()),
    };
    let facts = Some(Facts {
        mode,
        is_read_only: errno == Errno::EROFS,
    });
    let problem = diagnose(
        Trouble {
            step,
            cause: Cause::Errno(errno),
            facts,
        },
        &evidence,
    );
    format!(
        "{} {}{} | {}",
        problem.kind.exit_code(),
        problem.reason,
        problem.detail,
        problem.hint.unwrap_or_default()
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, a row for each cause")]
fn the_causes_of_a_refused_open_are_told_apart() {
    let pod = Surroundings::of_a_pod();
    let user = Surroundings {
        euid: Uid::from_raw(1000),
        ..pod.clone()
    };
    let mapped = Surroundings {
        identity_map: false,
        ..pod.clone()
    };
    let identity = Surroundings {
        identity_map: true,
        ..pod
    };
    let labelled = Surroundings {
        label: Some("cri-containerd (enforce)".to_string()),
        ..identity.clone()
    };
    for (name, errno, mode, around, code, words) in [
        (
            "kernel.osrelease",
            Errno::EACCES,
            0o444,
            &identity,
            "77 read-only key",
            "leave it out",
        ),
        (
            "net.core.rmem_max",
            Errno::EACCES,
            0o444,
            &identity,
            "77 owned by the node's network",
            "on the node",
        ),
        (
            "vm.x",
            Errno::EACCES,
            0o644,
            &user,
            "77 permission denied, uid 1000 is not root",
            "privileged: true, runAsUser: 0",
        ),
        (
            "net.ipv4.tcp_rmem",
            Errno::EACCES,
            0o644,
            &user,
            "77 permission denied",
            "securityContext.sysctls, no privilege",
        ),
        (
            "net.core.somaxconn",
            Errno::EACCES,
            0o644,
            &user,
            "77 permission denied",
            "CAP_NET_ADMIN",
        ),
        (
            "vm.x",
            Errno::EACCES,
            0o644,
            &mapped,
            "77 permission denied, this is root of a user namespace",
            "hostUsers: false",
        ),
        (
            "vm.x",
            Errno::EROFS,
            0o644,
            &mapped,
            "77 permission denied, this is root of a user namespace",
            "hostUsers: false",
        ),
        (
            "vm.x",
            Errno::EROFS,
            0o644,
            &identity,
            "77 read-only file system",
            "privileged: true, runAsUser: 0",
        ),
        (
            "net.ipv4.tcp_rmem",
            Errno::EROFS,
            0o644,
            &identity,
            "77 read-only file system",
            "no privilege needed",
        ),
        (
            "net.core.somaxconn",
            Errno::EROFS,
            0o644,
            &identity,
            "77 read-only file system",
            "--allowed-unsafe-sysctls",
        ),
        (
            "ksm/run",
            Errno::EROFS,
            0o644,
            &identity,
            "77 read-only file system",
            "--sys-root /host-sys",
        ),
        (
            "vm.x",
            Errno::EACCES,
            0o644,
            &labelled,
            "77 refused by a security module, this process runs as cri-containerd",
            "Unconfined",
        ),
    ] {
        let told = told(name, Step::Open, errno, mode, around);
        assert!(
            told.starts_with(code) && told.contains(words),
            "{name}: {told}"
        );
    }
}

#[test]
fn a_missing_key_says_what_would_bring_it() {
    let pod = Surroundings::of_a_pod();
    for (name, words) in [
        (
            "net.core.netdev_max_backlog",
            "66 exists only in the node's network namespace",
        ),
        (
            "net.sctp.addip_enable",
            "66 no such key | load the module: modprobe sctp",
        ),
        (
            "net.ipv4.conf.t9.forwarding",
            "66 no such key, no interface t9 | the interfaces here are lo",
        ),
        (
            "vm.nope",
            "66 no such key on Linux 6.18.4-generic | podinit sysctl --list",
        ),
        ("ksm/run", "66 this kernel has no KSM"),
        (
            "transparent_hugepage/enabled",
            "66 this kernel has no transparent huge pages",
        ),
    ] {
        let told = told(name, Step::Find, Errno::ENOENT, 0o644, &pod);
        assert!(told.starts_with(words), "{name}: {told}");
    }
    let on_node = told(
        "net.core.netdev_max_backlog",
        Step::Find,
        Errno::ENOENT,
        0o644,
        &Surroundings::of_the_node(),
    );
    assert!(on_node.starts_with("66 no such key on Linux"), "{on_node}");
}

#[test]
fn a_rejected_value_is_local_and_a_forbidden_one_denied() {
    let node = Surroundings::of_the_node();
    for (name, errno, words) in [
        (
            "net.core.somaxconn",
            Errno::EINVAL,
            "74 rejected: invalid argument (EINVAL) | another value",
        ),
        (
            "net.ipv4.ip_forward",
            Errno::EPERM,
            "77 operation not permitted | CAP_NET_ADMIN",
        ),
        (
            "net.ipv4.tcp_congestion_control",
            Errno::EPERM,
            "77 operation not permitted | one of tcp_allowed_congestion_control (reno cubic)",
        ),
        (
            "net.ipv4.tcp_congestion_control",
            Errno::ENOENT,
            "74 the value names something that is not there (ENOENT) | available are reno cubic",
        ),
    ] {
        let told = told(name, Step::Write, errno, 0o644, &node);
        assert!(told.starts_with(words), "{name}: {told}");
    }
}
