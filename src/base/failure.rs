//! Why a run failed: the kind that decides exit code and retry, the chain of contexts, the mend.
//!
//! There is deliberately no `From<io::Error>`: whoever sees an error says its kind, so an
//! unclassified `?` does not compile.

use std::fmt;
use std::time::Duration;

/// What went wrong, as an operator would sort it. The codes are those of sysexits.h, except `Unmet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A `--check` found the state not as wanted.
    Unmet,
    /// Arguments, environment or a configuration file cannot be obeyed; nothing was touched.
    Usage,
    /// Bytes came, but wrong ones.
    Corrupt,
    /// The source says that it does not exist.
    Missing,
    /// Not reachable, or not ready when the deadline came.
    Unavailable,
    /// A fault of podinit's own.
    Bug,
    /// This pod's disk or kernel refused.
    Local,
    /// The right is missing, or the credential is wrong.
    Denied,
}

impl Kind {
    /// Every kind, in the order of the exit codes; the source of the table in `--help`.
    pub const ALL: [Self; 8] = [
        Self::Unmet,
        Self::Usage,
        Self::Corrupt,
        Self::Missing,
        Self::Unavailable,
        Self::Bug,
        Self::Local,
        Self::Denied,
    ];

    /// The process exit code, an interface that `restartPolicyRules` and `podFailurePolicy` read.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Unmet => 1,
            Self::Usage => 64,
            Self::Corrupt => 65,
            Self::Missing => 66,
            Self::Unavailable => 69,
            Self::Bug => 70,
            Self::Local => 74,
            Self::Denied => 77,
        }
    }

    /// The word in messages and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmet => "unmet",
            Self::Usage => "usage",
            Self::Corrupt => "corrupt",
            Self::Missing => "missing",
            Self::Unavailable => "unavailable",
            Self::Bug => "bug",
            Self::Local => "local",
            Self::Denied => "denied",
        }
    }

    /// One line for the table of exit codes.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Unmet => "a --check found the state not as wanted",
            Self::Usage => "arguments, environment or a file cannot be obeyed; nothing was touched",
            Self::Corrupt => "bytes came, but wrong: digest, size cap, archive, changed migration",
            Self::Missing => "the source says that it does not exist",
            Self::Unavailable => "not reachable or not ready when the deadline came",
            Self::Bug => "a fault of podinit's own",
            Self::Local => "this pod's disk or kernel refused",
            Self::Denied => "not permitted, or a wrong credential",
        }
    }

    /// Whether trying again within the deadline can help.
    pub const fn is_retried(self) -> bool {
        match self {
            Self::Unavailable => true,
            Self::Unmet
            | Self::Usage
            | Self::Corrupt
            | Self::Missing
            | Self::Bug
            | Self::Local
            | Self::Denied => false,
        }
    }
}

/// A classified error: what was attempted, on what, why it failed, and how to mend it.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    chain: anyhow::Error,
    hint: Option<String>,
    pause: Option<Duration>,
    details: Vec<String>,
}

impl Failure {
    /// A failure whose innermost cause is `reason`: a lower-case fragment without a full stop.
    pub fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            chain: anyhow::Error::msg(reason.into()),
            hint: None,
            pause: None,
            details: Vec::new(),
        }
    }

    /// A failure caused by an error of a library or of the system.
    pub fn caused_by(kind: Kind, error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            kind,
            chain: anyhow::Error::new(error),
            hint: None,
            pause: None,
            details: Vec::new(),
        }
    }

    /// Says around the cause what was being done, and on what.
    #[must_use]
    pub fn context(mut self, attempt: impl Into<String>) -> Self {
        self.chain = self.chain.context(attempt.into());
        self
    }

    /// Says how to mend it; a later hint replaces an earlier one.
    #[must_use]
    pub fn hint(mut self, mend: impl Into<String>) -> Self {
        self.hint = Some(mend.into());
        self
    }

    /// Says that trying again sooner is in vain: what a server asked for.
    #[must_use]
    pub fn not_before(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Says of each of several things what is wrong with it: lines of their own where there is room for
    /// them.
    #[must_use]
    pub fn details(mut self, lines: Vec<String>) -> Self {
        self.details = lines;
        self
    }

    /// Adds words to the end of the innermost cause's line.
    #[must_use]
    pub fn append(self, words: &str) -> Self {
        Self {
            chain: anyhow::Error::msg(format!("{self}{words}")),
            ..self
        }
    }

    /// The kind, given where the evidence was.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The least pause before the next attempt.
    pub fn pause(&self) -> Duration {
        self.pause.unwrap_or_default()
    }

    /// One line for each of several things, if there are several.
    pub fn lines(&self) -> &[String] {
        &self.details
    }

    /// The mend, if one is known.
    pub fn mend(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// The whole chain, outermost first, without the hint.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:#}", self.chain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_reads_from_the_attempt_to_the_cause() {
        let failure = Failure::new(Kind::Denied, "permission denied")
            .context("open /proc/sys/vm/x")
            .context("set vm.x to 1")
            .hint("first")
            .hint("second");
        assert_eq!(
            failure.to_string(),
            "set vm.x to 1: open /proc/sys/vm/x: permission denied"
        );
        assert_eq!(failure.mend(), Some("second"));
        assert_eq!(failure.kind(), Kind::Denied);
    }

    #[test]
    fn a_system_error_keeps_its_own_words() {
        let failure = Failure::caused_by(Kind::Local, nix::errno::Errno::ENOSPC).context("write x");
        assert_eq!(
            failure.to_string(),
            "write x: ENOSPC: No space left on device"
        );
    }

    #[test]
    fn codes_and_names_are_distinct_and_only_unavailable_is_retried() {
        let mut codes: Vec<u8> = Kind::ALL.iter().map(|kind| kind.exit_code()).collect();
        let mut names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 8);
        assert!(codes.is_sorted());
        codes.dedup();
        assert_eq!(codes, [1, 64, 65, 66, 69, 70, 74, 77]);
        let retried: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|kind| kind.is_retried())
            .collect();
        assert_eq!(retried, [Kind::Unavailable]);
    }
}
