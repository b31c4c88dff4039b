//! The termination message: what `kubectl describe pod` shows of a finished container.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::failure::Failure;
use super::text::{cut, one_line};

/// Where the kubelet mounts the file unless `terminationMessagePath` says otherwise.
pub const DEFAULT_PATH: &str = "/dev/termination-log";

/// Many tools show only the first line; this much of it fits beside their own words.
const MAX_FIRST_LINE: usize = 200;

/// The whole message. The kubelet would keep 4096 bytes, shared by all containers of a Pod in 12 KiB.
const MAX_MESSAGE: usize = 1024;

/// A failure without its mend: `podinit sysctl: denied (77): set …: open …: read-only file system`.
pub fn verdict(program: &str, failure: &Failure) -> String {
    let kind = failure.kind();
    format!(
        "{program}: {} ({}): {failure}",
        kind.name(),
        kind.exit_code()
    )
}

/// A failure's whole line, with its mend: the last line of the log.
pub fn full_line(verdict: &str, mend: Option<&str>) -> String {
    let line = match mend {
        Some(mend) => format!("{verdict}. hint: {mend}"),
        None => verdict.to_string(),
    };
    one_line(&line)
}

/// Fits verdict and mend into the message. If one line is not enough, the first keeps both ends of
/// the verdict (what was attempted, and the innermost cause); the whole follows below.
///
/// `details` take the place of the whole verdict below the first line.
pub fn compose(verdict: &str, details: &[String], mend: Option<&str>) -> String {
    let line = full_line(verdict, mend);
    if line.len() <= MAX_FIRST_LINE {
        return line;
    }
    let verdict = one_line(verdict);
    let first = shorten_middle(&verdict, MAX_FIRST_LINE);
    let mut message = first.clone();
    // The mend is worth more than the middle of a long cause, so its room is set aside first.
    let mend = mend.map(|mend| format!("\nhint: {}", cut(&one_line(mend), MAX_MESSAGE / 2)));
    let room = MAX_MESSAGE - message.len() - mend.as_deref().map_or(0, str::len);
    if first != verdict {
        let lines = if details.is_empty() {
            std::slice::from_ref(&verdict)
        } else {
            details
        };
        let lines: Vec<String> = lines.iter().map(|line| one_line(line)).collect();
        let whole = format!("\n{}", lines.join("\n"));
        message.push_str(&cut(&whole, room));
    }
    message.push_str(mend.as_deref().unwrap_or_default());
    message
}

/// Cuts the middle out of a line, in favour of its beginning.
fn shorten_middle(line: &str, limit: usize) -> String {
    if line.len() <= limit {
        return line.to_string();
    }
    let tail_room = limit / 3;
    let tail = &line[line.ceil_char_boundary(line.len() - tail_room)..];
    format!("{}{tail}", cut(line, limit - tail.len()))
}

/// Writes the message over what the file held. The file is never created: it is the kubelet's.
///
/// # Errors
/// The errno of the open or the write; `ENOENT` is the normal case outside a Pod.
pub fn write(path: &Path, message: &str) -> Result<(), Errno> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_TRUNC
        | OFlag::O_CLOEXEC
        | OFlag::O_NOFOLLOW
        | OFlag::O_NOCTTY
        | OFlag::O_NONBLOCK;
    let file: OwnedFd = open(path, flags, Mode::empty())?;
    std::fs::File::from(file)
        .write_all(message.as_bytes())
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::*;
    use crate::base::failure::Kind;

    #[test]
    fn a_short_failure_is_one_line() {
        let failure = Failure::new(Kind::Denied, "read-only\nfile system").context("set a.b to 1");
        let verdict = verdict("podinit sysctl", &failure);
        assert_eq!(
            compose(&verdict, &[], Some("mend it")),
            "podinit sysctl: denied (77): set a.b to 1: read-only\\nfile system. hint: mend it"
        );
        assert_eq!(
            compose(&verdict, &[], None),
            "podinit sysctl: denied (77): set a.b to 1: read-only\\nfile system"
        );
    }

    #[test]
    fn a_long_hint_moves_to_a_line_of_its_own() {
        let message = compose(
            "podinit sysctl: denied (77): x",
            &[],
            Some(&"h".repeat(300)),
        );
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines[0], "podinit sysctl: denied (77): x");
        assert_eq!(lines[1], format!("hint: {}", "h".repeat(300)));
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn a_long_cause_keeps_both_ends_in_the_first_line_and_stands_whole_below() {
        let verdict = format!(
            "podinit sysctl: local (74): set {}: no space left",
            "k".repeat(300)
        );
        let message = compose(&verdict, &[], Some("make room"));
        let lines: Vec<&str> = message.lines().collect();
        assert!(lines[0].starts_with("podinit sysctl: local (74): set k"));
        assert!(lines[0].ends_with("k: no space left"));
        assert_eq!(lines[1], verdict);
        assert_eq!(lines[2], "hint: make room");
    }

    #[test]
    fn details_stand_below_the_first_line_one_by_one() {
        let verdict = format!("podinit wait-for: unavailable (69): {}", "k".repeat(300));
        let details = ["a: refused".to_string(), "b: no\nanswer".to_string()];
        let message = compose(&verdict, &details, Some("start them"));
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(
            lines[1..],
            ["a: refused", "b: no\\nanswer", "hint: start them"]
        );
    }

    proptest::proptest! {
        #[test]
        fn the_limits_hold_for_any_text(verdict in "\\PC{0,2000}", mend in proptest::option::of("\\PC{0,2000}")) {
            let details = vec![verdict.clone(); 3];
            let message = compose(&verdict, &details, mend.as_deref());
            assert!(message.len() <= MAX_MESSAGE);
            assert!(message.lines().next().unwrap_or_default().len() <= MAX_FIRST_LINE);
        }
    }

    #[test]
    fn the_file_is_overwritten_never_created_and_never_reached_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        assert_eq!(write(&log, "x"), Err(Errno::ENOENT));
        std::fs::write(&log, "a longer message of before").unwrap();
        assert_eq!(write(&log, "now"), Ok(()));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "now");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&log, &link).unwrap();
        assert_eq!(write(&link, "x"), Err(Errno::ELOOP));
    }
}
