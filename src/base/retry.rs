//! Trying again what can heal: the only module that sleeps.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tracing::info;

use super::deadline::{Deadline, Ended};
use super::failure::{Failure, Kind};

/// While nothing changes, a wait says so this often.
pub const REMINDER: Duration = Duration::from_secs(10);

/// The largest share by which a pause is shortened at random, so that replicas spread out.
const JITTER: f64 = 0.2;

/// How long to pause between two attempts: `first`, doubled each time up to `max`.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The pause after the first attempt.
    pub first: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Backoff {
    /// The pause after attempt `number` (from 0), shortened at random.
    pub fn pause(self, number: u32) -> Duration {
        self.shortened(number, fastrand::f64())
    }

    /// The pause after attempt `number` (from 0), shortened by `share` (0 to 1) of the jitter.
    fn shortened(self, number: u32, share: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2_u32.saturating_pow(number))
            .min(self.max);
        doubled.mul_f64(1.0 - JITTER * share)
    }
}

/// Makes attempts until one succeeds, one fails for good, the deadline comes or a signal does.
///
/// `what` names the attempt, should not even one of them end.
///
/// What is waited for is logged when it changes and every ten seconds, never per attempt.
///
/// # Errors
/// A failure that trying again cannot mend, as it stands. At the deadline or a signal the last
/// failure, with how long it was tried; `Unavailable` if not even one attempt ended.
pub async fn until<T>(
    deadline: &Deadline,
    backoff: Backoff,
    what: &str,
    mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut last: Option<Failure> = None;
    let mut spoke: Option<(String, Instant)> = None;
    let mut number = 0;
    loop {
        let failure = match deadline.within(attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(_) => return Err(gave_up(deadline, what, last)),
        };
        if !failure.kind().is_retried() {
            return Err(failure);
        }
        let state = failure.to_string();
        let is_news = spoke
            .as_ref()
            .is_none_or(|(said, when)| *said != state || when.elapsed() >= REMINDER);
        if is_news {
            info!("waiting: {state}");
            spoke = Some((state, Instant::now()));
        }
        let length = backoff.pause(number).max(failure.pause());
        last = Some(failure);
        if pause(deadline, length).await.is_err() {
            return Err(gave_up(deadline, what, last));
        }
        number = number.saturating_add(1);
    }
}

/// Sleeps for `length`, or less if the run has to end.
///
/// # Errors
/// Says why the sleep was cut short.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub async fn pause(deadline: &Deadline, length: Duration) -> Result<(), Ended> {
    deadline.within(sleep(length)).await
}

/// The last cause, told as the outcome of the whole wait.
fn gave_up(deadline: &Deadline, what: &str, last: Option<Failure>) -> Failure {
    let seconds = deadline.elapsed().as_secs_f64();
    last.unwrap_or_else(|| {
        Failure::new(Kind::Unavailable, "no answer yet")
            .context(what.to_string())
            .hint("give it more time with --timeout")
    })
    .context(format!("not ready after {seconds:.1} s"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use nix::sys::signal::Signal;
    use tokio::sync::watch;

    use super::*;

    const BACKOFF: Backoff = Backoff {
        first: Duration::from_millis(100),
        max: Duration::from_secs(1),
    };

    fn deadline(limit: &str) -> (watch::Sender<Option<Signal>>, Deadline) {
        let (stop, stopped) = watch::channel(None);
        (stop, Deadline::new(limit.parse().unwrap(), stopped))
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_jitter_only_shortens_them() {
        let millis: Vec<u128> = (0..6)
            .map(|n| BACKOFF.shortened(n, 0.0).as_millis())
            .collect();
        assert_eq!(millis, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(BACKOFF.shortened(0, 1.0), Duration::from_millis(80));
        assert_eq!(BACKOFF.shortened(u32::MAX, 1.0), Duration::from_millis(800));
    }

    #[tokio::test(start_paused = true)]
    async fn what_heals_is_tried_again() {
        let (_stop, deadline) = deadline("1m");
        let attempts = Cell::new(0);
        let result = until(&deadline, BACKOFF, "ask", async || {
            attempts.set(attempts.get() + 1);
            match attempts.get() {
                3 => Ok("ready"),
                _ => Err(Failure::new(Kind::Unavailable, "refused")),
            }
        })
        .await;
        assert_eq!(result.unwrap(), "ready");
        assert_eq!(attempts.get(), 3);
        // 100 ms and 200 ms, each shortened by at most a fifth.
        assert!(deadline.elapsed() >= Duration::from_millis(240));
        assert!(deadline.elapsed() <= Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_was_asked_for_is_kept() {
        let (_stop, deadline) = deadline("1m");
        let attempts = Cell::new(0);
        let asked = Duration::from_secs(7);
        let result = until(&deadline, BACKOFF, "ask", async || {
            attempts.set(attempts.get() + 1);
            match attempts.get() {
                2 => Ok(()),
                _ => Err(Failure::new(Kind::Unavailable, "too many").not_before(asked)),
            }
        })
        .await;
        assert!(result.is_ok());
        assert_eq!(deadline.elapsed(), asked);
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_heal_ends_the_wait_at_once() {
        let (_stop, deadline) = deadline("1m");
        let failure = until(&deadline, BACKOFF, "ask", async || {
            Err::<(), _>(Failure::new(Kind::Denied, "wrong password"))
        })
        .await
        .unwrap_err();
        assert_eq!(failure.kind(), Kind::Denied);
        assert_eq!(failure.to_string(), "wrong password");
        assert_eq!(deadline.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_reports_the_last_cause_and_its_hint() {
        let (_stop, deadline) = deadline("3s");
        let failure = until(&deadline, BACKOFF, "ask", async || {
            Err::<(), _>(Failure::new(Kind::Unavailable, "refused").hint("start it"))
        })
        .await
        .unwrap_err();
        assert_eq!(failure.kind(), Kind::Unavailable);
        assert_eq!(failure.to_string(), "not ready after 3.0 s: refused");
        assert_eq!(failure.mend(), Some("start it"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_never_ends_is_cut_at_the_deadline() {
        let (_stop, deadline) = deadline("2s");
        let failure = until(&deadline, BACKOFF, "ask", async || {
            std::future::pending::<Result<(), Failure>>().await
        })
        .await
        .unwrap_err();
        assert_eq!(failure.kind(), Kind::Unavailable);
        assert_eq!(
            failure.to_string(),
            "not ready after 2.0 s: ask: no answer yet"
        );
        assert_eq!(deadline.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_ends_the_pause() {
        let (stop, deadline) = deadline("0");
        let failure = until(&deadline, BACKOFF, "ask", async || {
            stop.send(Some(Signal::SIGTERM)).unwrap();
            Err::<(), _>(Failure::new(Kind::Unavailable, "refused"))
        })
        .await
        .unwrap_err();
        assert_eq!(failure.to_string(), "not ready after 0.0 s: refused");
        assert_eq!(deadline.elapsed(), Duration::ZERO);
    }
}
