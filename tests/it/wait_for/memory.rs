//! Memory and output of many targets at once.

use std::fs;
use std::thread;

use nix::sys::signal::Signal;

use super::run::Watched;
use super::{Wait, closed, plainly};
use crate::support::authority::Authority;
use crate::support::scripted::Scripted;
use crate::support::tls_front::TlsFront;
use crate::support::wire::Response;
use crate::support::{Outcome, Proxy, Reply};

/// The peak of the resident set, in KiB. Of the executable itself at most the whole of a release
/// build is counted: a debug build's code is many times that.
fn peak(run: &Watched) -> u64 {
    const RELEASE: u64 = 9 * MIB;
    let status = fs::read_to_string(format!("/proc/{}/status", run.pid())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.expect("a figure").trim().trim_end_matches(" kB");
        number.parse::<u64>().expect("a number")
    };
    let code = field("RssFile:");
    field("VmHWM:") - code + code.min(RELEASE)
}

const MIB: u64 = 1024;

/// Runs until the first summary of these targets, and tells the peak and what was said.
fn until_summary(run: Wait<'_>, summary: &str) -> (u64, Outcome) {
    let run = run.spawn();
    run.line_with(summary);
    let kib = peak(&run);
    run.signal(Signal::SIGTERM);
    let out = run.finish();
    out.ends_with(143);
    (kib, out)
}

/// Three runs at the same time: each waits ten seconds for its first summary.
#[test]
fn many_targets_fit() {
    let silent = Scripted::silent();
    let closes = Scripted::start(|_| Ok(()));
    let authority = Authority::new();
    let down = Proxy::alone(|_, _| Reply::Say(Response::text(503, "text/plain", "")));
    let front = TlsFront::before(down.address(), &authority, "good");
    let ca = authority.root().display().to_string();

    let many = (0..40).flat_map(|turn| {
        [
            format!("tcp://{}?expect=x{turn}", silent.address()),
            format!("redis://{}", closes.address()),
            format!("postgres://{}/db{turn}", closed()),
            format!("http://{}/{turn}", down.address()),
            format!("mysql://{}/db{turn}", closes.address()),
        ]
    });
    let secure = (0..100).map(|turn| format!("https://{}/{turn}", front.address()));
    let mixed = [
        "redis",
        "postgres",
        "mysql",
        "amqp",
        "kafka",
        "nats",
        "memcached",
        "mongodb",
        "grpc",
        "https",
    ];
    let mixed = mixed.map(|scheme| format!("{scheme}://{}", silent.address()));

    let many = plainly(many);
    let secure = plainly(["--ca-file", &ca]).args(secure);
    let mixed = plainly(["--attempt-timeout=1s"]).args(mixed);
    thread::scope(|scope| {
        let many = scope.spawn(|| until_summary(many, "200 of 200"));
        let secure = scope.spawn(|| until_summary(secure, "100 of 100"));
        let mixed = scope.spawn(|| until_summary(mixed, "10 of 10"));
        let (kib, out) = many.join().expect("a run");
        assert!(kib <= 32 * MIB, "{kib} KiB for 200 targets");
        // One line for all of them, besides the changes of each.
        out.logs_once("200 of 200 targets: ");
        let lines = out.stderr.lines().count();
        assert!(lines < 3 * 200, "{lines} lines");
        let (kib, _) = secure.join().expect("a run");
        assert!(kib <= 32 * MIB, "{kib} KiB for 100 https targets");
        let (kib, _) = mixed.join().expect("a run");
        assert!(kib <= 16 * MIB, "{kib} KiB for 10 mixed targets");
    });
}
