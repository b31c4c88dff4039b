//! A pod's namespaces: made by `unshare`, held open by a shell, entered by `nsenter`.
//!
//! A pod outlives the single command, so a test can set the starting point, run the executable
//! and read the kernel back, each as a process of its own, all in the same namespaces.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// What every shell of a holder does last: tell its pid as the node sees it, then stay.
const HOLD: &str = "read -r pid rest < /proc/self/stat; echo $pid; read -r _";

/// Runs what follows as the user that owns nothing on the node.
const AS_NOBODY: &[&str] = &[
    "setpriv",
    "--reuid",
    "65534",
    "--regid",
    "65534",
    "--clear-groups",
];

/// Namespaces of their own, kept until dropped.
pub struct Pod {
    holder: Child,
    target: String,
    outer: &'static [&'static str],
    flags: &'static [&'static str],
}

impl Pod {
    /// User, network, IPC, pid and UTS namespaces with a root of their own.
    pub fn new() -> Self {
        Self::hold(&[], &["-U", "-r", "-n", "-i", "-p", "-u"], "")
    }

    /// The same with `/proc/sys` read-only, as the runtime hands it to an ordinary container.
    pub fn read_only() -> Self {
        Self::hold(
            &[],
            &["-U", "-r", "-n", "-i", "-p", "-u", "-m"],
            "mount --rbind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && ",
        )
    }

    /// The same as `new`, started by a user who is nobody on the node: its root is no real root.
    pub fn of_nobody() -> Self {
        Self::hold(AS_NOBODY, &["-U", "-r", "-n", "-i", "-p", "-u"], "")
    }

    /// Real root with nothing of its own but the network.
    pub fn own_network() -> Self {
        Self::hold(&[], &["-n", "-p"], "")
    }

    /// Real root with nothing of its own but the network, all processes of the machine in sight, and its loopback up.
    pub fn network_alone() -> Self {
        Self::hold(&[], &["-n"], "ip link set lo up && ")
    }

    /// Real root whose `/proc/sys` is read-only, as an ordinary container without user namespace.
    pub fn proc_sys_read_only() -> Self {
        Self::hold(
            &[],
            &["-m", "-p"],
            "mount --rbind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && ",
        )
    }

    /// Real root whose `/sys` is read-only, as in a container without a hostPath.
    pub fn sys_read_only() -> Self {
        Self::hold(&[], &["-m", "-p"], "mount -o remount,bind,ro /sys && ")
    }

    fn hold(outer: &'static [&'static str], flags: &'static [&'static str], prepare: &str) -> Self {
        let words = outer
            .iter()
            .chain(&["unshare", "-f", "--kill-child"])
            .chain(flags);
        let mut holder = command(words)
            .args(["sh", "-c", &format!("{prepare}{HOLD}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut target = String::new();
        BufReader::new(holder.stdout.take().expect("stdout is piped"))
            .read_line(&mut target)
            .expect("the holder speaks");
        assert!(
            !target.is_empty(),
            "the namespaces could not be made: unshare {flags:?}"
        );
        Self {
            holder,
            target: target.trim().to_string(),
            outer,
            flags,
        }
    }

    /// The words that put a command into this pod, to be written before it.
    pub fn entrance(&self) -> Vec<OsString> {
        let enter: Vec<_> = self
            .outer
            .iter()
            .chain(&["nsenter", "--preserve-credentials", "-t", &self.target])
            // `-r` maps the user of a new namespace; entering an old one has no use for it.
            .chain(self.flags.iter().filter(|flag| **flag != "-r"))
            .map(OsString::from)
            .collect();
        enter
    }

    /// A process in the pod, as the node counts.
    pub fn process(&self) -> &str {
        &self.target
    }

    /// Runs a shell script in the pod, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let words = self.entrance();
        let done = command(&words)
            .args(["sh", "-ec", script])
            .stdin(Stdio::null())
            .output()
            .expect("nsenter starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "in the pod: {script}: {said}");
        String::from_utf8(done.stdout).expect("UTF-8 from the script")
    }

    /// A key below `/proc/sys`, by its path, with every run of white space as one space.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let shown = self.sh(&format!("cat '/proc/sys/{path}'"));
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Sets a starting point, and proves that the kernel took it.
    #[track_caller]
    pub fn set(&self, path: &str, value: &str) {
        self.sh(&format!("printf '%s\\n' '{value}' > '/proc/sys/{path}'"));
        assert_eq!(self.read(path), value, "the starting point of {path}");
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        // The holder's `read` ends with its input; its end takes the pid namespace with it.
        drop(self.holder.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("could not wait for the pod's holder: {error}");
        }
    }
}

/// A command from its words, the first of which names the program.
pub fn command<I>(words: I) -> Command
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().expect("a program to run"));
    command.args(words);
    command
}
