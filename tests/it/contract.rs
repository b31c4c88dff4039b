//! What every subcommand promises, from one table: a new command adds its row and is held to all of it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::support::{Podinit, binary, machine_to_itself, running};

/// One subcommand.
struct Subject {
    name: &'static str,
    /// Succeeds for anybody, anywhere, and changes nothing.
    works: &'static [&'static str],
    /// Waits for ever, if it can wait.
    waits: Option<&'static [&'static str]>,
    /// Exit codes and the arguments that bring them about.
    fails: &'static [(i32, &'static [&'static str])],
    /// Arguments that hold `CANARY` where a secret belongs.
    hides: &'static [&'static [&'static str]],
}

/// A secret that must turn up nowhere.
const CANARY: &str = "c4n4ry-0f-a-s3cr3t";

const SUBJECTS: &[Subject] = &[
    Subject {
        name: "sysctl",
        works: &["sysctl", "--check", "vm.max_map_count>=1"],
        waits: Some(&["sysctl", "--wait", "--timeout=0", "vm.max_map_count<=1"]),
        fails: &[
            (1, &["sysctl", "--check", "vm.max_map_count<=1"]),
            (64, &["sysctl", "vm.max_map_count"]),
            (64, &["sysctl", "--no-such-flag"]),
            (64, &["sysctl", "--timeout=soon", "vm.max_map_count>=1"]),
            (64, &["sysctl", "--output=xml", "vm.max_map_count>=1"]),
            (66, &["sysctl", "vm.no_such_key=1"]),
            (
                69,
                &["sysctl", "--wait", "--timeout=300ms", "vm.max_map_count<=1"],
            ),
            (74, &["sysctl", "--check", "vm.max_map_count>=1 2"]),
            (77, &["sysctl", "kernel.osrelease=x"]),
        ],
        hides: &[
            &[
                "sysctl",
                "--check",
                "net.ipv4.tcp_fastopen_key=c4n4ry-0f-a-s3cr3t",
            ],
            &[
                "sysctl",
                "--dry-run",
                "net.ipv6.conf.lo.stable_secret=c4n4ry-0f-a-s3cr3t",
            ],
            &["sysctl", "net.ipv4.tcp_fastopen_key==c4n4ry-0f-a-s3cr3t"],
            &[
                "sysctl",
                "--output=json",
                "--check",
                "net.ipv4.tcp_fastopen_key=c4n4ry-0f-a-s3cr3t",
            ],
        ],
    },
    // Without a secret to fetch there is no server to ask, so a dry run of a template that wants
    // none works anywhere. A process's own name is a file that every system has: it serves as that
    // template, and as a token.
    Subject {
        name: "fetch-secret",
        works: &[
            "fetch-secret",
            "--dry-run",
            "--dir=/dev/shm",
            "--addr=http://127.0.0.1:1",
            "--auth=token",
            "--token-file=/proc/self/comm",
            "--template=/proc/self/comm:name",
        ],
        waits: Some(&[
            "fetch-secret",
            "--dry-run",
            "--timeout=0",
            "--dir=/dev/shm",
            "--addr=http://127.0.0.1:1",
            "--auth=token",
            "--token-file=/proc/self/comm",
            "secret/app",
        ]),
        fails: &[
            (64, &["fetch-secret", "secret/app"]),
            (64, &["fetch-secret", "--no-such-flag"]),
            (
                64,
                &[
                    "fetch-secret",
                    "--dir=/dev/shm",
                    "--addr=http://127.0.0.1:1",
                    "--auth=token",
                    "--token-file=/proc/self/comm",
                    "app.toml=secret/app",
                ],
            ),
            (
                69,
                &[
                    "fetch-secret",
                    "--dry-run",
                    "--timeout=300ms",
                    "--dir=/dev/shm",
                    "--addr=http://127.0.0.1:1",
                    "--auth=token",
                    "--token-file=/proc/self/comm",
                    "secret/app",
                ],
            ),
            (
                74,
                &[
                    "fetch-secret",
                    "--dry-run",
                    "--require-tmpfs",
                    "--dir=/proc",
                    "--addr=http://127.0.0.1:1",
                    "--auth=token",
                    "--token-file=/proc/self/comm",
                    "secret/app",
                ],
            ),
        ],
        hides: &[
            &[
                "fetch-secret",
                "--dir=/dev/shm",
                "--addr=https://app:c4n4ry-0f-a-s3cr3t@127.0.0.1:1",
                "secret/app",
            ],
            // The token of these is the environment's.
            &[
                "fetch-secret",
                "--dry-run",
                "--timeout=300ms",
                "--dir=/dev/shm",
                "--addr=http://127.0.0.1:1",
                "--auth=token",
                "secret/app",
            ],
        ],
    },
    Subject {
        name: "wait-for",
        works: &["wait-for", "--dry-run", "tcp://127.0.0.1:1"],
        waits: Some(&["wait-for", "--timeout=0", "tcp://127.0.0.1:1"]),
        fails: &[
            (64, &["wait-for"]),
            (64, &["wait-for", "--no-such-flag"]),
            (64, &["wait-for", "xxx://127.0.0.1:1"]),
            (69, &["wait-for", "--timeout=300ms", "tcp://127.0.0.1:1"]),
            (
                69,
                &["wait-for", "--timeout=300ms", "file:///nonexistent/x"],
            ),
        ],
        hides: &[
            &["wait-for", "postgres://app:c4n4ry-0f-a-s3cr3t@127.0.0.1/db"],
            &[
                "wait-for",
                "redis://127.0.0.1:1?password=c4n4ry-0f-a-s3cr3t",
            ],
            &[
                "wait-for",
                "--timeout=300ms",
                "http://127.0.0.1:1/?token=c4n4ry-0f-a-s3cr3t",
            ],
            &[
                "wait-for",
                "--timeout=300ms",
                "tcp://127.0.0.1:1?expect=c4n4ry-0f-a-s3cr3t",
            ],
            &[
                "wait-for",
                "--http-header=Authorization: c4n4ry-0f-a-s3cr3t",
                "http://127.0.0.1:1/",
            ],
        ],
    },
    Subject {
        name: "completions",
        works: &["completions", "bash"],
        waits: None,
        fails: &[
            (64, &["completions", "no-such-shell"]),
            (64, &["completions"]),
        ],
        hides: &[],
    },
    Subject {
        name: "man",
        works: &["man"],
        waits: None,
        fails: &[(64, &["man", "no-such-command"])],
        hides: &[],
    },
];

/// Credentials of the field's standard names, which podinit finds in its environment.
const CREDENTIALS: &[&str] = &[
    "VAULT_TOKEN",
    "BAO_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DATABASE_URL",
    "HTTPS_PROXY",
];

fn podinit<'a>(args: &[&str]) -> Podinit<'a> {
    Podinit::new(args.iter().copied())
}

#[test]
fn the_table_has_every_command_that_help_lists() {
    let help = podinit(&["--help"]).run();
    let listed: Vec<&str> = help
        .stdout
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    let tabled: Vec<&str> = SUBJECTS.iter().map(|subject| subject.name).collect();
    assert_eq!(listed, tabled);
}

#[test]
fn success_is_code_0_and_silence_on_stderr() {
    for Subject { works, .. } in SUBJECTS {
        let out = podinit(works).termination_log().run();
        out.succeeds();
        assert_eq!(out.stderr, "", "{works:?}");
        assert!(
            out.stdout.ends_with('\n'),
            "{works:?} prints {:?}",
            out.stdout
        );
        assert!(
            !out.termination().is_empty(),
            "{works:?} leaves no termination message"
        );
    }
}

#[test]
fn each_failure_has_its_code_everywhere_and_fits_the_termination_log() {
    for Subject { fails, .. } in SUBJECTS {
        for (code, args) in *fails {
            let out = podinit(args).termination_log().run();
            out.fails(*code);
            let message = out.termination();
            let first = message.lines().next().unwrap_or_default();
            assert!(message.len() <= 1024, "{args:?}: {message}");
            assert!(first.len() <= 200, "{args:?}: {first}");
            let said = out.last_line();
            assert!(
                said.contains(first) || first.contains('…'),
                "{args:?}: {first} | {said}"
            );
            assert!(said.contains(". hint: "), "{args:?} has no hint: {said}");
        }
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    for Subject { name, .. } in SUBJECTS {
        for flag in ["--help", "-h", "--version", "-V"] {
            let out = podinit(&[name, flag]).run();
            out.succeeds();
            assert_eq!(out.stderr, "", "{name} {flag}");
            let wanted = if flag.to_lowercase().contains('v') {
                env!("CARGO_PKG_VERSION")
            } else {
                "Usage:"
            };
            assert!(out.stdout.contains(wanted), "{name} {flag}: {}", out.stdout);
        }
    }
    // Somebody looking for the right name of a variable must get to read the help.
    podinit(&["sysctl", "--help"])
        .env("PODINIT_TYPO", "1")
        .run()
        .succeeds();
}

#[test]
fn log_lines_are_json_when_asked_for() {
    for Subject { fails, .. } in SUBJECTS {
        for (code, args) in *fails {
            let out = podinit(args).args(["--log-format=json", "-vv"]).run();
            out.ends_with(*code);
            let lines: Vec<Value> = out
                .stderr
                .lines()
                .map(|line| {
                    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
                })
                .collect();
            for line in &lines {
                for field in ["timestamp", "level", "message"] {
                    assert!(line[field].is_string(), "{field} of {line}");
                }
            }
            // The last word may be followed by what -vv says of the termination log.
            let verdict = lines
                .iter()
                .rfind(|line| line["level"] == "error")
                .expect("an error line");
            assert_eq!(verdict["code"], *code, "{args:?}: {verdict}");
            assert!(
                verdict["kind"].is_string() && verdict["hint"].is_string(),
                "{verdict}"
            );
        }
    }
}

#[test]
fn a_signal_ends_pid_1_within_200_ms() {
    let _turn = machine_to_itself();
    for args in SUBJECTS.iter().filter_map(|subject| subject.waits) {
        for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
            let waiting = podinit(args).pid1().termination_log().spawn();
            waiting.line_with("waiting");
            let sent = waiting.signal(signal);
            let out = waiting.finish();
            out.ends_with(code)
                .within_of(Duration::from_millis(200), sent);
            let said = format!("stopped ({code}) by {}", signal.as_str());
            assert!(out.termination().contains(&said), "{}", out.termination());
        }
    }
}

#[test]
fn a_signal_that_comes_before_anything_else_is_not_lost() {
    let _turn = machine_to_itself();
    for args in SUBJECTS.iter().filter_map(|subject| subject.waits) {
        // The shell, PID 1 as well, blocks nothing: the signal is sent while podinit starts.
        for _ in 0..20 {
            let waiting = podinit(args).spawn();
            let sent = waiting.signal(Signal::SIGTERM);
            waiting
                .finish()
                .ends_with(143)
                .within_of(Duration::from_millis(200), sent);
        }
    }
}

#[test]
fn no_secret_shows_at_any_level() {
    for Subject {
        works,
        fails,
        hides,
        ..
    } in SUBJECTS
    {
        let all = hides
            .iter()
            .chain([works])
            .chain(fails.iter().map(|(_, args)| args));
        for args in all {
            for format in ["text", "json"] {
                let mut run = podinit(args)
                    .args(["-vv", "--log-format", format])
                    .termination_log();
                for name in CREDENTIALS {
                    run = run.env(name, CANARY);
                }
                let out = run.run();
                out.never_shows(CANARY);
                assert!(
                    !out.termination().contains(CANARY),
                    "{args:?}: {}",
                    out.termination()
                );
            }
        }
    }
    assert!(
        SUBJECTS
            .iter()
            .flat_map(|subject| subject.hides)
            .flat_map(|args| *args)
            .any(|arg| arg.contains(CANARY))
    );
}

#[test]
fn a_variable_that_no_flag_reads_is_refused_unless_a_service_brings_it() {
    for Subject { works, .. } in SUBJECTS {
        let out = podinit(works)
            .env("PODINIT_DRY_RUM", "true")
            .termination_log()
            .run();
        out.fails(64)
            .says("PODINIT_DRY_RUM")
            .hints("did you mean PODINIT_DRY_RUN");
        assert!(
            out.termination().contains("PODINIT_DRY_RUM"),
            "{}",
            out.termination()
        );
        podinit(works)
            .env("PODINIT_SERVICE_HOST", "10.0.0.1")
            .env("PODINIT_SERVICE_PORT", "80")
            .env("PODINIT_SERVICE_PORT_HTTP", "80")
            .env("PODINIT_PORT", "tcp://10.0.0.1:80")
            .env("PODINIT_PORT_80_TCP_ADDR", "10.0.0.1")
            .run()
            .succeeds();
        podinit(works)
            .env("PODINIT_TIMEOUT", "")
            .env("PODINIT_QUIET", "false")
            .run()
            .succeeds();
    }
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_defaults() {
    let failing = || podinit(&["sysctl", "vm.no_such_key=1"]);
    let is_json = |out: &super::support::Outcome| out.stderr.starts_with('{');
    assert!(is_json(&failing().env("PODINIT_LOG_FORMAT", "json").run()));
    let both = failing()
        .args(["--log-format=text"])
        .env("PODINIT_LOG_FORMAT", "json")
        .run();
    assert!(!is_json(&both));
    // Also when the command line itself cannot be read.
    assert!(is_json(
        &podinit(&["sysctl", "--nope"])
            .env("PODINIT_LOG_FORMAT", "json")
            .run()
    ));
}

/// A root file system with the executable, /proc and /dev/shm, read-only: no /tmp, no /etc/passwd,
/// no such user.
#[test]
fn every_command_works_for_a_stranger_in_an_empty_image() {
    for Subject { works, .. } in SUBJECTS {
        let root = tempfile::tempdir().expect("a temporary directory");
        let script = format!(
            "set -e; mount -t tmpfs -o mode=755 none '{root}'; mkdir -p '{root}/proc' '{root}/dev/shm'; \
             mount --rbind /proc '{root}/proc'; mount -t tmpfs -o mode=1777 none '{root}/dev/shm'; cp '{podinit}' '{root}/podinit'; \
             mount -o remount,ro,bind '{root}'; \
             exec chroot --userspec=1234567:1234567 '{root}' /podinit {args}",
            root = root.path().display(),
            podinit = binary().display(),
            args = works
                .iter()
                .map(|word| format!("'{word}'"))
                .collect::<Vec<_>>()
                .join(" "),
        );
        let out = Command::new("unshare")
            .args(["-m", "sh", "-c", &script])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .expect("unshare starts");
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{works:?}: {:?} {stderr}", out.status);
        assert_eq!(stderr, "", "{works:?}");
        assert!(!out.stdout.is_empty(), "{works:?}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    for Subject { works, .. } in SUBJECTS {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let out = Command::new(binary())
            .args(*works)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .expect("it starts");
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(74), "{works:?}: {stderr}");
        assert!(
            stderr.contains("write the result to stdout: No space left on device"),
            "{stderr}"
        );
    }
}

#[test]
fn a_reader_that_has_left_is_no_failure() {
    for Subject { works, .. } in SUBJECTS {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let out = Command::new(binary())
            .args(*works)
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .expect("it starts");
        assert_eq!(
            out.status.code(),
            Some(0),
            "{works:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = podinit(&["completions", shell]).run();
        script.succeeds();
        assert!(
            script.stdout.contains("sysctl") && script.stdout.contains("never-lower"),
            "{shell}"
        );
    }
    let script = tempfile::NamedTempFile::new().expect("a temporary file");
    fs::write(
        script.path(),
        podinit(&["completions", "bash"]).run().stdout,
    )
    .expect("a script");
    let checked = Command::new("bash")
        .arg("-n")
        .arg(script.path())
        .status()
        .expect("bash starts");
    assert!(checked.success(), "bash cannot read its completions");
    for Subject { name, .. } in SUBJECTS {
        let page = podinit(&["man", name]).run();
        page.succeeds();
        assert!(
            page.stdout.contains(".TH") && page.stdout.contains(name),
            "{name}"
        );
    }
}

/// The reader of a pipe that is full already, and never reads.
fn stuck_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    let size = nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_GETPIPE_SZ).expect("its size");
    writer
        .write_all(&vec![b'x'; usize::try_from(size).expect("a size")])
        .expect("room");
    (reader, writer)
}

#[test]
fn a_reader_that_does_not_read_outlasts_neither_the_deadline_nor_a_signal() {
    let _turn = machine_to_itself();
    for Subject { works, .. } in SUBJECTS {
        let (_reader, writer) = stuck_pipe();
        let started = Instant::now();
        let out = Command::new(binary())
            .args(*works)
            .args(["--timeout", "500ms"])
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .expect("it starts");
        assert_eq!(out.status.code(), Some(69), "{works:?}");
        assert!(
            String::from_utf8_lossy(&out.stderr).contains("nobody reads it"),
            "{works:?}"
        );
        assert!(
            started.elapsed() < Duration::from_millis(900),
            "{works:?} took {:?}",
            started.elapsed()
        );

        let (_reader, writer) = stuck_pipe();
        let child = Command::new(binary())
            .args(*works)
            .args(["--timeout", "0"])
            .stdout(writer)
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let mut child = child;
        running::wait_until_listening(pid);
        kill(pid, Signal::SIGTERM).expect("it still runs");
        let sent = Instant::now();
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(143), "{works:?}");
        assert!(
            sent.elapsed() < Duration::from_millis(250),
            "{works:?} took {:?}",
            sent.elapsed()
        );
    }
    for (code, args) in SUBJECTS.iter().flat_map(|subject| subject.fails) {
        let (_reader, writer) = stuck_pipe();
        let started = Instant::now();
        let mut child = Command::new(binary())
            .args(*args)
            .stdout(Stdio::null())
            .stderr(writer)
            .spawn()
            .expect("it starts");
        assert_eq!(
            child.wait().expect("it ends").code(),
            Some(*code),
            "{args:?}"
        );
        assert!(
            started.elapsed() < Duration::from_millis(900),
            "{args:?} took {:?}",
            started.elapsed()
        );
    }
}

#[test]
fn the_commands_failure_outranks_a_result_that_cannot_be_written() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let out = Command::new(binary())
        .args([
            "sysctl",
            "--check",
            "vm.max_map_count>=1",
            "vm.no_such_key=1",
        ])
        .stdout(full)
        .output()
        .expect("it starts");
    assert_eq!(out.status.code(), Some(66));
    assert!(String::from_utf8_lossy(&out.stderr).contains("vm.no_such_key"));
}

#[test]
fn one_bad_variable_costs_none_of_the_others() {
    let out = podinit(&["sysctl", "vm.max_map_count>=1"])
        .env("PODINIT_TIMEOUT", "soon")
        .env("PODINIT_LOG_FORMAT", "json")
        .termination_log()
        .run();
    out.ends_with(64);
    assert!(out.stderr.starts_with('{'), "{}", out.stderr);
    assert!(
        out.termination().contains("PODINIT_TIMEOUT"),
        "{}",
        out.termination()
    );
    // How much to log is one question, and a flag answers it before any variable.
    podinit(&["sysctl", "--check", "vm.max_map_count>=1", "-v"])
        .env("PODINIT_QUIET", "true")
        .run()
        .succeeds();
}

#[test]
fn no_core_is_dumped() {
    for args in SUBJECTS.iter().filter_map(|subject| subject.waits) {
        let waiting = podinit(args).uid(1000).spawn();
        waiting.line_with("waiting");
        // The files of a process that may not be dumped belong to root, whoever it runs as.
        let owner = fs::metadata(format!("/proc/{}/maps", waiting.pid()))
            .expect("it runs")
            .uid();
        waiting.signal(Signal::SIGTERM);
        waiting.finish().ends_with(143);
        assert_eq!(owner, 0, "{args:?}");
    }
}
