//! Facts about the process and its namespaces that explain why the kernel answers as it does.

use std::fs;

use nix::sys::stat::stat;
use nix::sys::utsname::uname;
use nix::unistd::{Uid, geteuid};

use super::key::Key;
use super::proc::Kernel;

/// Inode numbers of the initial namespaces, fixed in the kernel's `include/linux/proc_ns.h`.
const INITIAL_IPC: u64 = 4_026_531_839;
const INITIAL_UTS: u64 = 4_026_531_838;
const INITIAL_USER: u64 = 4_026_531_837;
const INITIAL_PID: u64 = 4_026_531_836;

/// Where the process stands.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// In the node's network namespace: this key exists nowhere else.
    pub(super) host_network: bool,
    pub(super) initial_ipc: bool,
    pub(super) initial_uts: bool,
    pub(super) initial_pid: bool,
    pub(super) initial_user: bool,
    /// Every uid is the node's own.
    pub(super) identity_map: bool,
    pub(super) euid: Uid,
    /// The kernel release, such as `6.18.4-generic`.
    pub(super) release: String,
    /// The label of the security module, if it sets one.
    pub(super) label: Option<String>,
}

impl Surroundings {
    /// Looks around. What cannot be read counts as not initial and unlabelled.
    pub(super) fn observe(kernel: &Kernel) -> Self {
        let read = |path: &str| {
            fs::read_to_string(path)
                .ok()
                .map(|text| text.trim().to_string())
        };
        let is = |kind: &str, inode: u64| {
            stat(format!("/proc/self/ns/{kind}").as_str()).is_ok_and(|stat| stat.st_ino == inode)
        };
        let map = read("/proc/self/uid_map").unwrap_or_default();
        Self {
            host_network: Key::from_relative("net/core/netdev_max_backlog")
                .is_some_and(|key| kernel.exists(&key)),
            initial_ipc: is("ipc", INITIAL_IPC),
            initial_uts: is("uts", INITIAL_UTS),
            initial_pid: is("pid", INITIAL_PID),
            initial_user: is("user", INITIAL_USER),
            identity_map: map.split_whitespace().eq(["0", "0", "4294967295"]),
            euid: geteuid(),
            release: uname().map_or_else(
                |_| "unknown".to_string(),
                |name| name.release().to_string_lossy().into_owned(),
            ),
            label: read("/proc/self/attr/current").filter(|label| !label.is_empty()),
        }
    }

    /// Major and minor number of the kernel; zeros if they cannot be told.
    pub(super) fn release(&self) -> (u32, u32) {
        let mut numbers = self
            .release
            .split(|character: char| !character.is_ascii_digit())
            .map(|digits| digits.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    #[cfg(test)]
    pub(super) fn of_the_node() -> Self {
        Self {
            host_network: true,
            initial_ipc: true,
            initial_uts: true,
            initial_pid: true,
            initial_user: true,
            identity_map: true,
            euid: Uid::from_raw(0),
            release: "6.18.4-generic".to_string(),
            label: None,
        }
    }

    #[cfg(test)]
    pub(super) fn of_a_pod() -> Self {
        Self {
            host_network: false,
            initial_ipc: false,
            initial_uts: false,
            initial_pid: false,
            initial_user: false,
            ..Self::of_the_node()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_as_two_numbers() {
        for (text, release) in [
            ("6.18.4-generic", (6, 18)),
            ("5.4", (5, 4)),
            ("unknown", (0, 0)),
        ] {
            let surroundings = Surroundings {
                release: text.to_string(),
                ..Surroundings::of_the_node()
            };
            assert_eq!(surroundings.release(), release, "{text}");
        }
    }
}
