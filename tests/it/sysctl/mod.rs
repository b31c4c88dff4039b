//! `podinit sysctl`, from outside: the numbered cases of its specification and the traps beside
//! them. `net.core.somaxconn` is the key most tests use: it is the pod's own, one number, and
//! 4096 in every new network namespace.

mod bounds;
mod edges;
mod files;
mod hidden;
mod json;
mod list;
mod node;
mod races;
mod refused;
mod scope;
mod set;
mod sysfs;
mod tables;
mod traps;
mod usage;
mod values;
mod wait;

use crate::support::{Outcome, Pod, Podinit};

/// The path of the key most tests use, below `/proc/sys`.
const S: &str = "net/core/somaxconn";

/// The same, whole.
const S_PATH: &str = "/proc/sys/net/core/somaxconn";

/// `podinit sysctl` with these arguments.
fn sysctl<'pod>(args: impl AsRef<[&'pod str]>) -> Podinit<'pod> {
    Podinit::new(["sysctl"]).args(args.as_ref())
}

/// `podinit sysctl` with these arguments in this pod, its system calls recorded.
fn traced(pod: &Pod, args: impl AsRef<[&'static str]>) -> Outcome {
    sysctl(args).inside(pod).traced().run()
}

/// `podinit sysctl` with these arguments in this pod.
fn within(pod: &Pod, args: impl AsRef<[&'static str]>) -> Outcome {
    sysctl(args).inside(pod).run()
}
