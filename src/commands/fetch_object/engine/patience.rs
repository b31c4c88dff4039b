//! Trying again: what is waited for is told once for all connections, and remembered for the end.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::base::deadline::Deadline;
use crate::base::failure::Failure;
use crate::base::retry::{Backoff, REMINDER, pause};

/// Between two attempts at one range.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(100),
    max: Duration::from_secs(5),
};

/// More causes than this at a time are not told apart.
const MAX_CAUSES: usize = 16;

/// What is waited for, over all connections of a run.
#[derive(Debug, Default)]
pub struct Voice {
    said: RefCell<HashMap<String, Instant>>,
}

impl Voice {
    /// Tells what is waited for, unless it was told just now.
    fn tell(&self, state: String) {
        let mut said = self.said.borrow_mut();
        said.retain(|_, when| when.elapsed() < REMINDER);
        if said.len() < MAX_CAUSES && !said.contains_key(&state) {
            info!("waiting: {state}");
            said.insert(state, Instant::now());
        }
    }
}

/// The patience for one object.
#[derive(Debug)]
pub struct Patience<'a> {
    deadline: &'a Deadline,
    voice: &'a Voice,
    /// What the log names.
    what: String,
    /// Why the last attempt failed, until bytes come again.
    cause: RefCell<Option<Failure>>,
}

impl<'a> Patience<'a> {
    /// For the object that is shown as `what`.
    pub fn new(deadline: &'a Deadline, voice: &'a Voice, what: String) -> Self {
        Self {
            deadline,
            voice,
            what,
            cause: RefCell::default(),
        }
    }

    /// Waits before the attempt after number `number` (from 0), which failed. Never returns once the run
    /// has to end: who waits for the end says so.
    pub async fn wait(&self, number: u32, failure: Failure) {
        self.voice.tell(format!("{}: {failure}", self.what));
        let length = BACKOFF.pause(number).max(failure.pause());
        self.cause.replace(Some(failure));
        if pause(self.deadline, length).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// As `wait`, for what nobody else waits for: without a word.
    pub async fn doze(&self, number: u32, failure: &Failure) {
        self.hold(BACKOFF.pause(number).max(failure.pause())).await;
    }

    /// Waits for `length` where nothing has failed.
    pub async fn hold(&self, length: Duration) {
        if !length.is_zero() && pause(self.deadline, length).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Makes attempts until one succeeds or fails for good.
    pub async fn persist<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut number = 0;
        loop {
            match attempt().await {
                Err(failure) if failure.kind().is_retried() => self.wait(number, failure).await,
                settled => return settled,
            }
            number = number.saturating_add(1);
        }
    }

    /// Bytes come: what failed has healed.
    pub fn is_well(&self) {
        if self.cause.borrow().is_some() {
            self.cause.replace(None);
        }
    }

    /// Why the last attempt failed, if nothing has come since.
    pub fn cause(&self) -> Option<Failure> {
        self.cause.take()
    }
}
