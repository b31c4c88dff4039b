//! What a run left behind, and the assertions every test makes of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::trace::Trace;

/// The kind that stands beside each exit code in a failure's last line.
const KINDS: &[(i32, &str)] = &[
    (1, "unmet"),
    (64, "usage"),
    (65, "corrupt"),
    (66, "missing"),
    (69, "unavailable"),
    (70, "bug"),
    (74, "local"),
    (77, "denied"),
];

/// A finished run. Every assertion returns it, so that several read as one sentence.
pub struct Outcome {
    /// The arguments, for messages.
    pub what: String,
    /// The subcommand that was run.
    pub command: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// Just before the first process of the command line was made: a little before the
    /// executable itself began, so durations here are upper bounds.
    pub started: Instant,
    pub ended: Instant,
    pub termination: Option<String>,
    pub trace: Option<Trace>,
}

impl Outcome {
    /// Exit code 0.
    #[track_caller]
    pub fn succeeds(&self) -> &Self {
        self.ends_with(0)
    }

    /// This exit code, whatever was said.
    #[track_caller]
    pub fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "exit code of {self:?}");
        self
    }

    /// A failure of this code: its last line on stderr names kind and code, and a usage error
    /// leaves stdout empty.
    #[track_caller]
    pub fn fails(&self, code: i32) -> &Self {
        self.ends_with(code);
        let mark = prefix(&self.command, code);
        assert!(
            self.last_line().contains(&mark),
            "no {mark:?} in the last line of {self:?}"
        );
        if code == 64 {
            self.prints("");
        }
        self
    }

    /// Exactly this on stdout.
    #[track_caller]
    pub fn prints(&self, stdout: &str) -> &Self {
        assert_eq!(self.stdout, stdout, "stdout of {self:?}");
        self
    }

    /// Somewhere in the failure's message.
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(
            self.message().contains(part),
            "no {part:?} in the message of {self:?}"
        );
        self
    }

    /// Nowhere in the failure's message.
    #[track_caller]
    pub fn does_not_say(&self, part: &str) -> &Self {
        assert!(
            !self.message().contains(part),
            "{part:?} in the message of {self:?}"
        );
        self
    }

    /// Somewhere in the failure's hint.
    #[track_caller]
    pub fn hints(&self, part: &str) -> &Self {
        assert!(
            self.hint().contains(part),
            "no {part:?} in the hint of {self:?}"
        );
        self
    }

    /// Nowhere in the failure's hint.
    #[track_caller]
    pub fn does_not_hint(&self, part: &str) -> &Self {
        assert!(
            !self.hint().contains(part),
            "{part:?} in the hint of {self:?}"
        );
        self
    }

    /// In exactly one line of stderr, which is returned.
    #[track_caller]
    pub fn logs_once(&self, part: &str) -> &str {
        let lines: Vec<_> = self
            .stderr
            .lines()
            .filter(|line| line.contains(part))
            .collect();
        assert_eq!(lines.len(), 1, "lines with {part:?} in {self:?}");
        lines[0]
    }

    /// Nowhere on stderr.
    #[track_caller]
    pub fn does_not_log(&self, part: &str) -> &Self {
        assert!(
            !self.stderr.contains(part),
            "{part:?} on stderr of {self:?}"
        );
        self
    }

    /// Nowhere at all: stdout, stderr, termination log.
    #[track_caller]
    pub fn never_shows(&self, secret: &str) -> &Self {
        let termination = self.termination.as_deref().unwrap_or_default();
        for (place, text) in [
            ("stdout", &*self.stdout),
            ("stderr", &*self.stderr),
            ("termination log", termination),
        ] {
            assert!(!text.contains(secret), "{secret:?} on {place} of {self:?}");
        }
        self
    }

    /// Ended within this time of its start.
    #[track_caller]
    pub fn within(&self, limit: Duration) -> &Self {
        let took = self.ended - self.started;
        assert!(
            took <= limit,
            "took {took:?}, more than {limit:?}: {self:?}"
        );
        self
    }

    /// Ended no sooner than this after its start.
    #[track_caller]
    pub fn no_sooner_than(&self, limit: Duration) -> &Self {
        let took = self.ended - self.started;
        assert!(
            took >= limit,
            "took {took:?}, less than {limit:?}: {self:?}"
        );
        self
    }

    /// Ended within this time of an event.
    #[track_caller]
    pub fn within_of(&self, limit: Duration, event: Instant) -> &Self {
        assert!(
            self.ended >= event,
            "ended before what it should have waited for: {self:?}"
        );
        let late = self.ended - event;
        assert!(
            late <= limit,
            "ended {late:?} after it, more than {limit:?}: {self:?}"
        );
        self
    }

    /// Opened no kernel setting for writing.
    #[track_caller]
    pub fn no_write(&self) -> &Self {
        let opens = self.trace().opens_for_writing();
        assert!(opens.is_empty(), "{opens:#?} in {self:?}");
        self
    }

    /// Opened no kernel setting at all.
    #[track_caller]
    pub fn no_open(&self) -> &Self {
        let opens: Vec<_> = self
            .trace()
            .opens()
            .into_iter()
            // A runtime may ask the kernel about itself (cgroups, huge pages) under /sys.
            .filter(|line| line.contains("/proc/sys"))
            .collect();
        assert!(opens.is_empty(), "{opens:#?} in {self:?}");
        self
    }

    /// Wrote exactly once into this file.
    #[track_caller]
    pub fn one_write(&self, path: &str) -> &Self {
        self.writes(path, 1)
    }

    /// Wrote this many times into this file.
    #[track_caller]
    pub fn writes(&self, path: &str, times: usize) -> &Self {
        let writes = self.trace().writes_to(path);
        assert_eq!(writes.len(), times, "{writes:#?} to {path} in {self:?}");
        self
    }

    /// The one JSON document that stdout is.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not one JSON document: {error}: {self:?}"))
    }

    /// What the termination log holds.
    #[track_caller]
    pub fn termination(&self) -> &str {
        self.termination
            .as_deref()
            .expect("the run was given a termination log")
    }

    /// The failure's message: what stands between its code and its hint.
    #[track_caller]
    pub fn message(&self) -> &str {
        let line = self.last_line();
        let mark = prefix(&self.command, self.code);
        let start = line
            .find(&mark)
            .unwrap_or_else(|| panic!("no {mark:?} in {self:?}"));
        let rest = &line[start + mark.len()..];
        rest.split_once(" hint: ")
            .map_or(rest, |(message, _)| message)
    }

    /// The failure's hint.
    #[track_caller]
    pub fn hint(&self) -> &str {
        let hint = self.last_line().split_once(". hint: ");
        hint.unwrap_or_else(|| panic!("no hint in {self:?}")).1
    }

    /// The last line on stderr, where a failure stands.
    #[track_caller]
    pub fn last_line(&self) -> &str {
        self.stderr
            .lines()
            .last()
            .unwrap_or_else(|| panic!("nothing on stderr of {self:?}"))
    }

    #[track_caller]
    fn trace(&self) -> &Trace {
        self.trace.as_ref().expect("the run was traced")
    }
}

/// How the last line of a failure begins, after its timestamp and level.
fn prefix(command: &str, code: i32) -> String {
    let kind = KINDS.iter().find(|(known, _)| *known == code);
    let (_, kind) = kind.unwrap_or_else(|| panic!("{code} is the code of no kind"));
    format!("podinit {command}: {kind} ({code}): ")
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`podinit {}`: code {}, {:?}\n--- stdout\n{}--- stderr\n{}---",
            self.what,
            self.code,
            self.ended - self.started,
            self.stdout,
            self.stderr
        )
    }
}
