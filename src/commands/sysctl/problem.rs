//! Why one setting could not be brought to, or shown to be in, the wanted state.

use crate::base::failure::{Failure, Kind};

/// The problem of one setting; others go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) kind: Kind,
    /// What was attempted, outermost first: `set KEY to VALUE`, `open PATH`.
    pub(super) attempt: Vec<String>,
    /// The cause, short enough for the line of a skipped setting.
    pub(super) reason: String,
    /// What follows the reason in the whole message.
    pub(super) detail: String,
    pub(super) hint: Option<String>,
    /// A module or an interface can still bring the key: `--wait` waits for it.
    pub(super) is_awaited: bool,
    /// The kernel may accept the value once other keys have theirs: EINVAL, ERANGE.
    pub(super) may_depend_on_others: bool,
}

impl Problem {
    pub(super) fn new(kind: Kind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            attempt: Vec::new(),
            reason: reason.into(),
            detail: String::new(),
            hint: None,
            is_awaited: false,
            may_depend_on_others: false,
        }
    }

    #[must_use]
    pub(super) fn hint(mut self, mend: impl Into<String>) -> Self {
        self.hint = Some(mend.into());
        self
    }

    #[must_use]
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Says what was being done, outermost first.
    #[must_use]
    pub(super) fn during(mut self, attempt: &[&str]) -> Self {
        self.attempt = attempt.iter().map(ToString::to_string).collect();
        self
    }

    /// The problem as the failure of a run.
    pub(super) fn failure(&self) -> Failure {
        let mut failure = Failure::new(self.kind, format!("{}{}", self.reason, self.detail));
        for attempt in self.attempt.iter().rev() {
            failure = failure.context(attempt.clone());
        }
        match &self.hint {
            Some(hint) => failure.hint(hint.clone()),
            None => failure,
        }
    }
}
