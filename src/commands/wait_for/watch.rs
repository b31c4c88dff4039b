//! The wait itself: a loop for each target, all at the same time, under one deadline.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::info;

use super::attempt::{Attempt, Tools};
use super::news::News;
use super::request::Request;
use super::schedule::{between_successes, pause};
use super::stage::Stage;
use super::verdict::{Cause, Decision, Found, Standing, Verdict, combine, judge};
use crate::base::deadline::Deadline;
use crate::base::failure::Failure;
use crate::base::retry;

/// While targets are waited for, a summary says so this often.
const REMINDER: Duration = Duration::from_secs(10);

/// An attempt that the end of the run cuts before this says less than the whole one before it.
const TELLING: Duration = Duration::from_millis(900);

/// How long the end of a run waits for an exchange that a server holds against those who cut it.
const MANNERS: Duration = Duration::from_millis(100);

/// How one target stands, and what is known of it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) shown: String,
    pub(super) standing: Standing,
    pub(super) attempts: usize,
    /// Since the run began, when it was decided.
    pub(super) elapsed: Duration,
    /// Why it is not as wanted.
    pub(super) cause: Option<Cause>,
    failure: Option<Failure>,
    /// When the attempt under way began.
    begun: Option<Instant>,
}

/// How the wait ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) states: Vec<State>,
    pub(super) how: How,
}

/// Met, in vain, or cut by the deadline or a signal.
#[derive(Debug)]
pub(super) enum How {
    /// As wanted.
    Met,
    /// A target can never be, for this reason.
    Failed(Failure),
    /// The run had to end first.
    Cut,
}

/// All that the loops share; they run in turn, on one thread.
struct Watch<'a> {
    request: &'a Request,
    deadline: &'a Deadline,
    tools: Tools,
    stages: Vec<Stage>,
    states: RefCell<Vec<State>>,
    news: News,
    decision: Cell<Decision>,
    decided: Notify,
}

/// Asks all targets until it is decided, the deadline comes or a signal does.
pub(super) async fn watch(request: &Request, deadline: &Deadline) -> Ended {
    let states = request.watched.iter().map(|watched| State {
        shown: watched.shown.clone(),
        standing: Standing::Waiting,
        attempts: 0,
        elapsed: Duration::ZERO,
        cause: None,
        failure: None,
        begun: None,
    });
    let watch = Watch {
        request,
        deadline,
        tools: Tools::default(),
        stages: request.watched.iter().map(|_| Stage::default()).collect(),
        states: RefCell::new(states.collect()),
        news: News::default(),
        decision: Cell::new(Decision::Open),
        decided: Notify::new(),
    };
    watch.run().await;
    let Watch {
        states, decision, ..
    } = watch;
    let mut states = states.into_inner();
    let how = match decision.get() {
        Decision::Success => How::Met,
        Decision::Open => How::Cut,
        Decision::Failure(at) => match states[at].failure.take() {
            Some(failure) => How::Failed(failure),
            None => How::Cut,
        },
    };
    Ended { states, how }
}

impl Watch<'_> {
    async fn run(&self) {
        let mut loops = std::pin::pin!(join_all(
            (0..self.request.watched.len()).map(|at| self.wait_for(at))
        ));
        let race = async {
            tokio::select! {
                biased;
                _ = &mut loops => {}
                () = self.decided.notified() => {}
                () = self.remind() => {}
            }
        };
        let _ = self.deadline.within(race).await;
        self.note_cut_attempts();
        if self.tools.is_careful() {
            let finish = async {
                while self.tools.is_careful() {
                    let step = timeout(Duration::from_millis(1), &mut loops);
                    if step.await.is_ok() {
                        break;
                    }
                }
            };
            let _ = timeout(MANNERS, finish).await;
        }
    }

    async fn remind(&self) {
        while retry::pause(self.deadline, REMINDER).await.is_ok() {
            info!("{}", super::news::summary(&self.states.borrow()));
        }
        std::future::pending::<()>().await;
    }

    /// What the attempts were waiting for that the end of the run cuts.
    fn note_cut_attempts(&self) {
        if self.decision.get() != Decision::Open {
            return;
        }
        for (state, stage) in self.states.borrow_mut().iter_mut().zip(&self.stages) {
            let Some(begun) = state.begun.filter(|_| state.standing == Standing::Waiting) else {
                continue;
            };
            if state.cause.is_none() || begun.elapsed() >= TELLING {
                state.cause = Some(stage.cut(begun.elapsed()));
            }
        }
    }

    /// The loop of one target: attempt, judge, pause.
    async fn wait_for(&self, at: usize) {
        let request = self.request;
        let mut unready = 0;
        let mut streak = 0;
        loop {
            let begun = Instant::now();
            let found = self.attempt(at, begun).await;
            let is_late = self.deadline.ended().is_some();
            let length = match judge(found, request.goal) {
                // A ready answer that comes after the deadline does not count.
                Verdict::Met if is_late => return std::future::pending().await,
                Verdict::Met => {
                    streak += 1;
                    if streak >= request.successes {
                        return self.settle(at, Standing::Met, None);
                    }
                    let wanted = request.successes;
                    let words = format!("ready {streak} of {wanted} times in a row");
                    self.note(at, Cause::new(words).gist("ready, not often enough"));
                    between_successes(request.interval, fastrand::f64())
                }
                Verdict::Final(failure) => return self.settle(at, Standing::Failed, Some(failure)),
                Verdict::Waiting(cause) => {
                    streak = 0;
                    let planned = pause(unready, request.interval, fastrand::f64());
                    unready += 1;
                    // Where nobody answered the attempt itself was the pause.
                    let planned = if cause.is_silence {
                        planned.saturating_sub(begun.elapsed())
                    } else {
                        planned
                    };
                    let length = planned.max(cause.pause);
                    self.note(at, cause);
                    length
                }
            };
            if retry::pause(self.deadline, length).await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    async fn attempt(&self, at: usize, begun: Instant) -> Found {
        let limit = self.request.attempt_timeout;
        let left = self.deadline.remaining().unwrap_or(Duration::MAX);
        let stage = &self.stages[at];
        stage.reset();
        let number = {
            let one = &mut self.states.borrow_mut()[at];
            one.begun = Some(begun);
            one.attempts += 1;
            one.attempts - 1
        };
        let until = |limit| begun.checked_add(limit);
        let attempt = Attempt {
            number,
            until: until(limit.min(left)),
            stage,
            tools: &self.tools,
        };
        let probe = &self.request.watched[at].probe;
        let asking = probe.attempt(&attempt);
        let found = match until(limit) {
            None => Ok(asking.await),
            Some(end) => timeout_at(end, asking).await,
        };
        self.states.borrow_mut()[at].begun = None;
        found.unwrap_or_else(|_| {
            let cause = stage.cut(limit);
            let care = if stage.is_connected() {
                probe.pause_after_cut()
            } else {
                Duration::ZERO
            };
            Err(cause.not_before(care).into())
        })
    }

    fn note(&self, at: usize, cause: Cause) {
        let one = &mut self.states.borrow_mut()[at];
        self.news.tell(at, &one.shown, &cause);
        one.cause = Some(cause);
    }

    fn settle(&self, at: usize, standing: Standing, failure: Option<Failure>) {
        let mut states = self.states.borrow_mut();
        let state = &mut states[at];
        state.standing = standing;
        state.elapsed = self.deadline.elapsed();
        match failure {
            None => state.cause = None,
            Some(failure) => {
                state.cause = Some(Cause::new(failure.to_string()));
                state.failure = Some(failure);
            }
        }
        if states.len() > 1 {
            super::news::settled(&states[at], self.request.goal);
        }
        let standings: Vec<Standing> = states.iter().map(|state| state.standing).collect();
        let decision = combine(&standings, self.request.is_any_enough);
        if self.decision.get() == Decision::Open && decision != Decision::Open {
            self.decision.set(decision);
            self.decided.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
