//! Work that may take long without waiting for anything, kept off the thread that heeds the deadline and
//! signals.

use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};

/// Does `work` on a thread of its own.
///
/// # Errors
/// Those of `work`; `Bug` if it panics.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(Failure::caused_by(Kind::Bug, panic)))
}

/// Waits for `work` as long as the run may last. `what` names it.
///
/// # Errors
/// Those of `work`; `Unavailable` when the deadline or a signal came first.
pub(super) async fn in_time<T>(
    deadline: &Deadline,
    what: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    deadline.within(work).await.unwrap_or_else(|_| {
        Err(Failure::new(Kind::Unavailable, "not done in time")
            .context(what.to_string())
            .hint("give it more time with --timeout"))
    })
}
