//! One object on its way: what all its requests share, how a request is made, what is told at the end.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::super::source::{About, Checksum, Condition, Reply, Span, Validator};
use super::Job;
use super::patience::Patience;
use super::shared::{Permit, Shared};
use crate::base::failure::{Failure, Kind};

/// The first request may have to wait for credentials: no shorter stall than this is seen in it.
const FIRST_STALL: Duration = Duration::from_secs(5);

/// Silence for longer than this is worth telling at the deadline.
const SILENCE: Duration = Duration::from_secs(1);

/// Why a round did not end well.
#[derive(Debug)]
pub enum Trouble {
    /// For good.
    Failed(Failure),
    /// What an earlier run had left is of another state.
    Stale,
    /// The object became another one; how that showed.
    Changed(String),
    /// Ranges are not to be trusted; why.
    Distrust(String),
    /// A body without ranges was cut: it has to come again from its start.
    Cut(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// One object on its way.
pub struct Fetch<'a> {
    pub job: &'a Job,
    pub shared: &'a Shared,
    pub patience: Patience<'a>,
    /// As messages show it.
    pub shown: String,
    /// Body bytes that came over the wire.
    pub transferred: Cell<u64>,
    /// Bytes that an earlier run had left.
    pub resumed: Cell<u64>,
    /// Sums that came with the answer to a plain GET or with the metadata.
    pub announced: RefCell<Vec<Checksum>>,
    /// The length, once known, and how much of it is there.
    total: Cell<Option<u64>>,
    done: Cell<u64>,
    last_came: Cell<Instant>,
    has_asked: Cell<bool>,
}

impl fmt::Debug for Fetch<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fetch({})", self.shown)
    }
}

impl<'a> Fetch<'a> {
    pub fn new(job: &'a Job, shared: &'a Shared) -> Self {
        let shown = job.source.show(&job.object);
        Self {
            job,
            shared,
            patience: Patience::new(&shared.deadline, &shared.voice, format!("fetch {shown}")),
            shown,
            transferred: Cell::new(0),
            resumed: Cell::new(0),
            announced: RefCell::default(),
            total: Cell::new(None),
            done: Cell::new(0),
            last_came: Cell::new(Instant::now()),
            has_asked: Cell::new(false),
        }
    }

    /// Asks once, on a connection of its own.
    pub async fn get(
        &self,
        span: Span,
        condition: Condition<'_>,
    ) -> Result<(Reply, Permit<'a>), Failure> {
        let permit = self.shared.connection(self.job.host.as_deref()).await;
        let asked = self.job.source.get(&self.job.object, span, condition);
        Ok((self.answered(asked).await?, permit))
    }

    /// Asks once what is known of the object.
    pub async fn about(&self, condition: Condition<'_>) -> Result<Option<About>, Failure> {
        let _permit = self.shared.connection(self.job.host.as_deref()).await;
        self.answered(self.job.source.about(&self.job.object, condition))
            .await
    }

    /// Waits for the head of an answer no longer than for any other byte.
    async fn answered<T>(
        &self,
        asked: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let mut limit = self.shared.tuning.stall_timeout;
        if !self.has_asked.get() {
            limit = limit.max(FIRST_STALL);
        }
        let answer = timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(self.stalled()))?;
        self.has_asked.set(true);
        Ok(answer)
    }

    /// Nothing came for as long as a connection may be silent.
    pub fn stalled(&self) -> Failure {
        let limit = self.shared.tuning.stall_timeout;
        Failure::new(Kind::Unavailable, format!("nothing came for {limit:?}"))
    }

    /// The length is known; so many bytes of it are there already.
    pub fn begin(&self, length: Option<u64>, given: u64) {
        self.total.set(length);
        self.done.set(given);
        self.resumed.set(given);
        self.shared.progress.expect(length.unwrap_or(0));
        self.shared.progress.given(given);
    }

    /// What is there counts no more: the object begins anew.
    pub fn drop_back(&self) {
        self.shared
            .progress
            .drop_back(self.total.take().unwrap_or(0), self.done.take());
        self.resumed.set(0);
        self.announced.borrow_mut().clear();
    }

    /// So many bytes came.
    pub fn came(&self, bytes: u64) {
        self.transferred.set(self.transferred.get() + bytes);
        self.done.set(self.done.get() + bytes);
        self.last_came.set(Instant::now());
        self.shared.progress.add(bytes);
        self.patience.is_well();
    }

    /// So many bytes that came are of no use.
    pub fn wasted(&self, bytes: u64) {
        self.done.set(self.done.get().saturating_sub(bytes));
        self.shared.progress.drop_back(0, bytes);
    }

    /// The deadline came.
    pub fn late(&self) -> Failure {
        let seconds = self.shared.deadline.elapsed().as_secs_f64();
        let silence = self.last_came.get().elapsed();
        let cause = self.patience.cause().unwrap_or_else(|| {
            let reason = if silence > SILENCE {
                format!("nothing came for {:.1} s", silence.as_secs_f64())
            } else {
                "bytes were still coming".to_string()
            };
            Failure::new(Kind::Unavailable, reason)
        });
        let (done, total) = (self.done.get(), self.total.get());
        let share = total.and_then(|total| {
            let percent = u128::from(done) * 100 / u128::from(total.max(1));
            (total > 0).then(|| format!("{percent} % of {total} bytes done"))
        });
        let share = share.unwrap_or_else(|| format!("{done} bytes done"));
        let hint = cause.mend().map(str::to_string);
        cause
            .context(format!("not ready after {seconds:.1} s, {share}"))
            .hint(
                hint.unwrap_or_else(|| {
                    "give it more time with --timeout; a rerun resumes".to_string()
                }),
            )
    }

    /// A signal came.
    pub fn stopped(&self) -> Failure {
        Failure::new(Kind::Unavailable, "stopped by a signal")
    }

    /// Whether the answer is what the caller has already, of a server that ignores the condition.
    pub fn has(&self, validator: &Validator) -> bool {
        let have = self.job.have.as_ref();
        have.is_some_and(|have| super::judge::is_same(have, validator))
    }
}
