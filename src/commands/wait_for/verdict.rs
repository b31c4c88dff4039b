//! From what an attempt brought to what it means: met, not yet, or never. It touches nothing.

use std::time::Duration;

use crate::base::failure::Failure;

/// Why a target is not as wanted yet; it can heal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) text: String,
    /// What stays the same while numbers in the text change.
    gist: Option<&'static str>,
    pub(super) hint: Option<String>,
    /// It proves that nothing is there.
    is_absence: bool,
    /// Nobody answered while podinit looked up or connected: the next attempt need not wait.
    pub(super) is_silence: bool,
    /// The least pause before the next attempt.
    pub(super) pause: Duration,
}

impl Cause {
    /// A lower-case fragment without a full stop.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            gist: None,
            hint: None,
            is_absence: false,
            is_silence: false,
            pause: Duration::ZERO,
        }
    }

    /// Says what stays the same while numbers in the text change: their change is no news.
    #[must_use]
    pub(super) fn gist(mut self, gist: &'static str) -> Self {
        self.gist = Some(gist);
        self
    }

    /// Whether it is the same as before, but for numbers.
    pub(super) fn key(&self) -> &str {
        self.gist.unwrap_or(&self.text)
    }

    /// What may mend it.
    #[must_use]
    pub(super) fn hint(mut self, mend: impl Into<String>) -> Self {
        self.hint = Some(mend.into());
        self
    }

    /// Says around the cause what was being done.
    #[must_use]
    pub(super) fn context(mut self, attempt: &str) -> Self {
        self.text = format!("{attempt}: {}", self.text);
        self
    }

    /// Marks the proof that nothing is there.
    #[must_use]
    pub(super) fn absence(mut self) -> Self {
        self.is_absence = true;
        self
    }

    /// Takes the proof away: what is absent is not what was asked for.
    #[must_use]
    pub(super) fn no_proof(mut self) -> Self {
        self.is_absence = false;
        self
    }

    /// Marks that nobody answered.
    #[must_use]
    pub(super) fn silence(mut self) -> Self {
        self.is_silence = true;
        self
    }

    /// Says that trying again sooner is in vain, or does harm.
    #[must_use]
    pub(super) fn not_before(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

/// Why an attempt did not find its target ready.
#[derive(Debug)]
pub(super) enum Unready {
    /// It can heal.
    Yet(Cause),
    /// Trying again is in vain.
    Final(Failure),
}

impl From<Cause> for Unready {
    fn from(cause: Cause) -> Self {
        Self::Yet(cause)
    }
}

impl From<Failure> for Unready {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// What one attempt found: ready, or why not.
pub(super) type Found = Result<(), Unready>;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// That the target is ready.
    Ready,
    /// That it is proven absent.
    Gone,
}

/// What an attempt means for the goal.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The goal is reached, as far as one attempt can tell.
    Met,
    /// Not yet.
    Waiting(Cause),
    /// Never.
    Final(Failure),
}

/// Judges an attempt. Whoever answers at all is still there, so nothing is final when the target is
/// to be gone, and only a proof is enough.
pub(super) fn judge(found: Found, goal: Goal) -> Verdict {
    match (goal, found) {
        (Goal::Ready, Ok(())) => Verdict::Met,
        (Goal::Ready, Err(Unready::Yet(cause))) => Verdict::Waiting(cause),
        (Goal::Ready, Err(Unready::Final(failure))) => Verdict::Final(failure),
        (Goal::Gone, Ok(())) => Verdict::Waiting(Cause::new("still there")),
        (Goal::Gone, Err(Unready::Yet(cause))) if cause.is_absence => Verdict::Met,
        (Goal::Gone, Err(Unready::Yet(mut cause))) => {
            cause.text = format!("not proven gone: {}", cause.text);
            Verdict::Waiting(cause)
        }
        (Goal::Gone, Err(Unready::Final(failure))) => {
            Verdict::Waiting(Cause::new(format!("still there: {failure}")))
        }
    }
}

/// How one target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its goal is reached.
    Met,
    /// Not yet.
    Waiting,
    /// It never will be.
    Failed,
}

/// What the standing of all targets means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Done.
    Success,
    /// In vain, because of the target of this number.
    Failure(usize),
    /// Neither yet.
    Open,
}

/// All have to be met, or any one. In vain it is with the first failure, or with the last: then the
/// first in order counts.
pub(super) fn combine(standings: &[Standing], is_any_enough: bool) -> Decision {
    let count = |wanted| standings.iter().filter(|it| **it == wanted).count();
    let first_failed = standings.iter().position(|it| *it == Standing::Failed);
    match (is_any_enough, first_failed) {
        (true, _) if count(Standing::Met) > 0 => Decision::Success,
        (true, Some(first)) if count(Standing::Failed) == standings.len() => {
            Decision::Failure(first)
        }
        (false, Some(first)) => Decision::Failure(first),
        (false, None) if count(Standing::Met) == standings.len() => Decision::Success,
        _ => Decision::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::failure::Kind;

    #[test]
    fn only_a_proof_makes_a_target_gone() {
        let gone = |found| judge(found, Goal::Gone);
        let refused = || Cause::new("refused").absence();
        assert!(matches!(gone(Err(refused().into())), Verdict::Met));
        assert!(matches!(gone(Ok(())), Verdict::Waiting(cause) if cause.text == "still there"));
        for unproven in [Cause::new("no answer"), refused().no_proof()] {
            assert!(matches!(gone(Err(unproven.into())), Verdict::Waiting(_)));
        }
        let failure = Failure::new(Kind::Denied, "wrong password");
        assert!(matches!(
            gone(Err(failure.into())),
            Verdict::Waiting(cause) if cause.text == "still there: wrong password"
        ));
    }

    #[test]
    fn a_ready_answer_is_enough_and_a_final_one_ends_it() {
        let ready = |found| judge(found, Goal::Ready);
        assert!(matches!(ready(Ok(())), Verdict::Met));
        let cause = Cause::new("refused").absence();
        assert!(matches!(ready(Err(cause.into())), Verdict::Waiting(_)));
        let failure = Failure::new(Kind::Denied, "wrong password");
        assert!(matches!(ready(Err(failure.into())), Verdict::Final(_)));
    }

    #[test]
    fn all_fail_with_the_first_and_any_with_the_last() {
        use Standing::{Failed, Met, Waiting};
        for (standings, all, any) in [
            (vec![Met, Met], Decision::Success, Decision::Success),
            (vec![Met, Waiting], Decision::Open, Decision::Success),
            (vec![Waiting, Failed], Decision::Failure(1), Decision::Open),
            (
                vec![Failed, Failed],
                Decision::Failure(0),
                Decision::Failure(0),
            ),
            (vec![Failed, Met], Decision::Failure(0), Decision::Success),
            (vec![Waiting, Waiting], Decision::Open, Decision::Open),
        ] {
            assert_eq!(combine(&standings, false), all, "all of {standings:?}");
            assert_eq!(combine(&standings, true), any, "any of {standings:?}");
        }
    }
}
