//! `-- CMD`: the process becomes another, and that one finds everything as podinit did.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use super::run::Files;
use super::{closed, plainly, wait_for};
use crate::support::binary;
use crate::support::clock::after;
use crate::support::pod::command;
use crate::support::scripted::{Scripted, shown};
use crate::support::wire::own_address;

fn open() -> (Scripted, String) {
    let server = Scripted::silent();
    let target = format!("tcp://{}", server.address());
    (server, target)
}

#[test]
fn case_24_a_failure_runs_nothing() {
    let files = Files::new();
    let made = files.at("M");
    let target = format!("tcp://{}", closed());
    let out = wait_for(["--timeout", "1s", &target, "--", "touch", &made]).run();
    out.fails(69);
    assert!(!files.path("M").exists());
}

#[test]
fn case_32_the_command_takes_the_process_over() {
    let (_server, target) = open();
    plainly([&target, "--", "sh", "-c", "exit 42"])
        .run()
        .ends_with(42);
    // The pid is seen from outside while podinit still waits.
    let address = own_address();
    let run = plainly([
        format!("tcp://{address}").as_str(),
        "--",
        "sh",
        "-c",
        "echo $$; exit 42",
    ])
    .spawn();
    let pid = run.pid();
    let opened = after(Duration::from_millis(300), move || {
        TcpListener::bind(address).expect("the address is ours")
    });
    let out = run.finish();
    let _listener = opened.happened();
    out.ends_with(42).prints(&format!("{pid}\n"));
}

#[test]
fn case_33_the_environment_passes_through() {
    let (_server, target) = open();
    for names in [
        &[][..],
        &[
            ("HOST", "h"),
            ("PORT", "1"),
            ("TIMEOUT", "x"),
            ("PODINIT_TIMEOUT", "9s"),
        ],
    ] {
        let mut run = plainly([&target, "--", "env"]);
        for (name, value) in names {
            run = run.env(name, *value);
        }
        let out = run.run();
        out.succeeds();
        let mut seen: Vec<_> = out
            .stdout
            .lines()
            .filter(|line| {
                !line.starts_with("PATH=") && !line.starts_with("PODINIT_TERMINATION_LOG=")
            })
            .collect();
        seen.sort_unstable();
        let mut wanted: Vec<_> = names
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        wanted.sort_unstable();
        assert_eq!(seen, wanted, "{out:?}");
    }
}

#[test]
fn arguments_of_any_bytes_pass_through() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    let (_server, target) = open();
    let odd = OsString::from_vec(b"a\xff b\n--timeout".to_vec());
    let script = "printf '%s|' \"$@\" | od -An -tx1 | tr -d ' \\n'";
    let out = plainly([&target, "--", "sh", "-c", script, "sh", "--any", ""])
        .args([odd])
        .run();
    out.succeeds();
    let wanted = shown(b"--any||a\xff b\n--timeout|").replace(' ', "");
    out.prints(&wanted);
}

/// A line of what the kernel says of a process, from what it printed.
#[track_caller]
fn line<'t>(said: &'t str, name: &str) -> &'t str {
    let found = said.lines().find_map(|line| line.strip_prefix(name));
    found
        .unwrap_or_else(|| panic!("no {name} in {said}"))
        .trim()
}

/// Tells its own masks; a shell in between would change them.
const TELL_MASKS: &[&str] = &["grep", "-E", "^Sig(Blk|Ign|Cgt):", "/proc/self/status"];

#[test]
fn the_command_has_clean_signals_and_files() {
    let (_server, target) = open();
    // What a process has that was never podinit's.
    let plain = command(TELL_MASKS).output().expect("grep starts");
    let plain = String::from_utf8_lossy(&plain.stdout).into_owned();
    let out = plainly([&target, "--"]).args(TELL_MASKS).run();
    out.succeeds();
    for name in ["SigBlk:", "SigIgn:"] {
        assert_eq!(line(&out.stdout, name), line(&plain, name), "{name}");
    }
    // `ls` itself opens one, the folder it lists.
    let list = ["ls", "/proc/self/fd"];
    let plain = command(list)
        .stdin(Stdio::null())
        .output()
        .expect("ls starts");
    let out = plainly([&target, "--"]).args(list).run();
    out.succeeds()
        .prints(&String::from_utf8_lossy(&plain.stdout));
}

#[test]
fn a_mask_that_was_there_stays() {
    let (_server, target) = open();
    // SIGUSR1 is blocked and SIGHUP ignored by whoever starts podinit.
    let done = command(["/usr/bin/python3", "-c"])
        .arg(
            "import os, signal, sys\n\
             signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])\n\
             signal.signal(signal.SIGHUP, signal.SIG_IGN)\n\
             os.execv(sys.argv[1], sys.argv[1:])",
        )
        .arg(binary())
        .args(["wait-for", &target, "--"])
        .args(TELL_MASKS)
        .stdin(Stdio::null())
        .output()
        .expect("python3 starts");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(line(&said, "SigBlk:"), "0000000000000200", "{said}");
    let ignored = u64::from_str_radix(line(&said, "SigIgn:"), 16).expect("hexadecimal");
    // SIGHUP is signal 1; SIGPIPE, which Python ignores, is 13 and back at its default.
    assert_eq!((ignored & 1, ignored & (1 << 12)), (1, 0), "{said}");
}

#[test]
fn the_working_folder_stays() {
    let (_server, target) = open();
    let done = command([binary()])
        .args(["wait-for", &target, "--", "pwd"])
        .current_dir("/usr")
        .output()
        .expect("podinit starts");
    assert_eq!(done.stdout, b"/usr\n");
}

#[test]
fn a_broken_pipe_ends_the_command_as_usual() {
    let (_server, target) = open();
    let script = "yes | head -n 1 > /dev/null; echo ${PIPESTATUS[0]}";
    let out = plainly([&target, "--", "bash", "-c", script]).run();
    out.succeeds().prints("141\n");
}

#[test]
fn case_34_the_termination_log_belongs_to_the_last() {
    let (_server, target) = open();
    let out = wait_for([&target]).run();
    out.succeeds();
    assert!(
        out.termination().contains("ready"),
        "{:?}",
        out.termination()
    );
    let out = wait_for([&target, "--", "true"]).run();
    out.succeeds();
    assert_eq!(out.termination(), "");
    // A failure is told there in any case.
    let shut = format!("tcp://{}", closed());
    let out = wait_for(["--timeout", "300ms", &shut, "--", "true"]).run();
    out.fails(69);
    assert!(
        out.termination().contains("refused"),
        "{:?}",
        out.termination()
    );
}

#[test]
fn a_command_is_found_by_the_path() {
    let (_server, target) = open();
    let files = Files::new();
    let script = files.put("says-hello", "#!/bin/sh\necho hello \"$1\"\n");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("chmod");
    plainly([&target, "--", &script, "you"])
        .run()
        .succeeds()
        .prints("hello you\n");
    let path = format!("/nonexistent:{}:/usr/bin:/bin", files.at(""));
    let done = command([binary()])
        .args(["wait-for", &target, "--", "says-hello", "you"])
        .env("PATH", path)
        .output()
        .expect("podinit starts");
    assert_eq!(done.stdout, b"hello you\n");
}

#[test]
fn the_first_process_of_a_container_hands_over_too() {
    let (_server, target) = open();
    let out = plainly([&target, "--", "sh", "-c", "echo $$"]).pid1().run();
    out.succeeds().prints("1\n");
}
