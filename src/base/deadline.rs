//! One absolute moment by which a run is over, and the word that it is to stop now.
//!
//! `main` makes the one `Deadline`; everything that waits asks it.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;
use tokio::time::Instant;

/// A limit as written in `--timeout`: `500ms`, `30s`, `5m`, `1h30m`; `0` means none.
///
/// Written by hand because the common duration crates take `5M` for five months.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(pub Option<Duration>);

/// What is wrong with a limit that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLimit;

impl fmt::Display for BadLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a duration like 500ms, 30s, 5m, 1h30m, or 0 for none")
    }
}

impl std::error::Error for BadLimit {}

impl FromStr for Limit {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        if text == "0" {
            return Ok(Self(None));
        }
        let total = parse_units(text).ok_or(BadLimit)?;
        Ok(Self((!total.is_zero()).then_some(total)))
    }
}

/// Sums `<number><unit>` pairs; the units must get smaller from left to right.
fn parse_units(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let place = units
            .iter()
            .position(|(name, _)| *name == &rest[..letters])?;
        total = total.checked_add(number.checked_mul(units[place].1)?)?;
        units = &units[place + 1..];
        rest = &rest[letters..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// Why a wait ended without its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The deadline came.
    Late,
    /// A signal asked the run to stop.
    Stopped,
}

/// The end of a run: an absolute moment, if there is one, and the channel of the stop word.
#[derive(Debug, Clone)]
pub struct Deadline {
    start: Instant,
    limit: Option<Duration>,
    at: Option<Instant>,
    stop: watch::Receiver<Option<Signal>>,
}

impl Deadline {
    /// A deadline `limit` after now; `stop` says when a signal has asked for an earlier end.
    pub fn new(limit: Limit, stop: watch::Receiver<Option<Signal>>) -> Self {
        let start = Instant::now();
        Self {
            start,
            limit: limit.0,
            // A limit beyond the clock's range is no limit.
            at: limit.0.and_then(|limit| start.checked_add(limit)),
            stop,
        }
    }

    /// The limit of the whole run, if there is one.
    pub fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Time left until the deadline, if there is one.
    pub fn remaining(&self) -> Option<Duration> {
        self.at
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether the run has to end now, and why.
    pub fn ended(&self) -> Option<Ended> {
        if self.stop.borrow().is_some() {
            return Some(Ended::Stopped);
        }
        self.at
            .is_some_and(|at| at <= Instant::now())
            .then_some(Ended::Late)
    }

    /// The time left, or `least` if that is more: for telling the result of a run that is over.
    pub fn left_or(&self, least: Duration) -> Duration {
        let left = self.at.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        });
        left.max(least)
    }

    /// Runs `work` until it is done, the deadline comes or a signal does.
    ///
    /// # Errors
    /// Says which of the two came first; `work` is dropped then.
    pub async fn within<T>(&self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut stop = self.stop.clone();
        let stopped = async {
            if stop.wait_for(Option::is_some).await.is_err() {
                // Nobody is left who could ask for a stop.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => Err(Ended::Stopped),
            result = self.in_time(work) => result,
        }
    }

    /// Runs `work` until it is done or the deadline comes, for a step that a signal must not cut in
    /// half. `main` bounds how long such a step may hold up the exit.
    ///
    /// # Errors
    /// `Ended::Late` when the deadline came first; `work` is dropped then.
    pub async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Ended> {
        match self.at {
            None => Ok(work.await),
            Some(at) => tokio::time::timeout_at(at, work)
                .await
                .map_err(|_| Ended::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sender is handed back, since dropping it would be no stop either.
    fn deadline(limit: &str) -> (watch::Sender<Option<Signal>>, Deadline) {
        let (stop, stopped) = watch::channel(None);
        (stop, Deadline::new(limit.parse().unwrap(), stopped))
    }

    #[test]
    fn limits_are_read_as_documented() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1m1ms", 60_001),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Limit(Some(Duration::from_millis(millis)))),
                "{text}"
            );
        }
        for none in ["0", "0s"] {
            assert_eq!(none.parse(), Ok(Limit(None)), "{none}");
        }
        for bad in [
            "",
            "5",
            "5M",
            "1.5s",
            "-1s",
            "+1s",
            "s",
            "1s1s",
            "1s1h",
            "5 m",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
            "1é",
        ] {
            assert!(bad.parse::<Limit>().is_err(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_end_at_the_deadline() {
        let (_stop, deadline) = deadline("3s");
        assert_eq!(deadline.ended(), None);
        let ended = deadline.within(std::future::pending::<()>()).await;
        assert_eq!(ended, Err(Ended::Late));
        assert_eq!(deadline.elapsed(), Duration::from_secs(3));
        assert_eq!(deadline.ended(), Some(Ended::Late));
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_a_wait_but_not_a_step_that_must_be_whole() {
        let (stop, deadline) = deadline("3s");
        stop.send(Some(Signal::SIGTERM)).unwrap();
        assert_eq!(deadline.ended(), Some(Ended::Stopped));
        assert_eq!(deadline.within(async { 1 }).await, Err(Ended::Stopped));
        assert_eq!(deadline.in_time(async { 1 }).await, Ok(1));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_only_the_work_ends_the_wait() {
        let (stop, deadline) = deadline("0");
        drop(stop);
        let work = tokio::time::timeout(Duration::from_hours(24), async { 7 });
        assert_eq!(deadline.within(work).await, Ok(Ok(7)));
        assert_eq!(deadline.ended(), None);
    }
}
