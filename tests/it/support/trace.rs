//! What the executable asked of the kernel, as `strace` saw it.

use std::fs;
use std::path::Path;

use super::pod::{Pod, command};

/// The system calls worth seeing: everything that opens, reads or writes a file.
pub const CALLS: &str = "trace=open,openat,openat2,creat,read,pread64,readv,write,writev,pwrite64,pwritev,pwritev2,sendfile,splice";

/// The lines of one trace, descriptors annotated with their paths (`strace -f -y`).
pub struct Trace {
    lines: Vec<String>,
}

impl Trace {
    /// Reads the trace that `strace -o` left behind.
    pub fn load(path: &Path) -> Self {
        let bytes = fs::read(path).expect("strace wrote its file");
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().map(str::to_string).collect();
        // An empty trace would satisfy every assertion that something did not happen.
        assert!(
            lines.iter().any(|line| line.contains("exited with")),
            "not a trace: {text}"
        );
        Self { lines }
    }

    /// Opens of kernel settings, for whatever purpose.
    pub fn opens(&self) -> Vec<&str> {
        self.lines
            .iter()
            .map(String::as_str)
            .filter(|line| line.contains(" open") || line.contains(" creat("))
            .filter(|line| concerns_a_setting(line))
            .collect()
    }

    /// Opens of kernel settings that ask for the right to write.
    pub fn opens_for_writing(&self) -> Vec<&str> {
        let mut opens = self.opens();
        opens.retain(|line| {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", " creat("]
                .iter()
                .any(|word| line.contains(word))
        });
        opens
    }

    /// Reads of the setting at `path`.
    pub fn reads_of(&self, path: &str) -> Vec<&str> {
        let target = format!("<{path}>");
        self.lines
            .iter()
            .map(String::as_str)
            .filter(|line| {
                [" read(", " pread64(", " readv("]
                    .iter()
                    .any(|call| line.contains(call))
            })
            .filter(|line| line.contains(&target))
            .collect()
    }

    /// Writes into the setting at `path`, each with its bytes as `strace` prints them.
    pub fn writes_to(&self, path: &str) -> Vec<&str> {
        let target = format!("<{path}>");
        self.lines
            .iter()
            .map(String::as_str)
            .filter(|line| {
                [
                    "write(",
                    "write64(",
                    "writev(",
                    "writev2(",
                    "sendfile(",
                    "splice(",
                ]
                .iter()
                .any(|call| line.contains(call))
            })
            // The entry of a call names the descriptor; a resumption of it does not.
            .filter(|line| line.contains(&target) && !line.contains(" open"))
            .collect()
    }
}

/// Whether a line names something below `/proc/sys` or `/sys`, in a path or a descriptor.
fn concerns_a_setting(line: &str) -> bool {
    [
        "\"/proc/sys",
        "</proc/sys",
        "\"/sys/",
        "\"/sys\"",
        "</sys/",
        "</sys>",
    ]
    .iter()
    .any(|mark| line.contains(mark))
}

#[test]
fn a_trace_sees_a_write_and_tells_it_from_a_read() {
    const PATH: &str = "/proc/sys/net/core/somaxconn";
    let pod = Pod::new();
    let directory = tempfile::tempdir().expect("a directory");
    let trace = |script: &str| {
        let file = directory.path().join("trace");
        let mut strace = command(["strace", "-f", "-y", "-e", CALLS, "-o"]);
        strace
            .arg(&file)
            .args(pod.entrance())
            .args(["sh", "-c", script]);
        assert!(
            strace.status().expect("strace starts").success(),
            "{script}"
        );
        Trace::load(&file)
    };
    let written = trace("cd /proc/sys/net && echo 9 > core/somaxconn && echo 8 > core/somaxconn");
    assert_eq!(written.writes_to(PATH).len(), 2);
    // A relative path is one of a setting all the same, by its directory.
    assert_eq!(written.opens_for_writing().len(), 2);
    let read = trace("cat /proc/sys/net/core/somaxconn > /dev/null");
    assert_eq!(read.writes_to(PATH).len(), 0);
    assert_eq!(read.opens_for_writing().len(), 0);
    assert_eq!(read.opens().len(), 1);
    assert!(!read.reads_of(PATH).is_empty());
    assert!(written.reads_of(PATH).is_empty());
}
