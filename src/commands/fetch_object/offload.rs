//! Work of the disk, off the thread that heeds signals and the network.

use super::state::TIDYING;
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};

/// Runs disk work on a thread of its own, since a disk may never answer.
///
/// # Errors
/// Those of the work; `Unavailable` when the disk had not answered at the deadline.
pub(super) async fn blocking<T: Send + 'static>(
    deadline: &Deadline,
    attempt: &str,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match deadline.in_time(tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Failure::caused_by(Kind::Bug, panic).context(attempt)),
        Err(_) => Err(Failure::new(
            Kind::Unavailable,
            "the disk had not answered when the deadline came",
        )
        .context(attempt)),
    }
}

/// Runs the last disk work of an entry: up to the deadline, and after it or a signal not for long.
pub(super) async fn at_the_end(deadline: &Deadline, work: impl FnOnce() + Send + 'static) {
    let done = tokio::task::spawn_blocking(work);
    let hurry = async {
        tokio::select! {
            biased;
            () = deadline.stopped() => {}
            _ = deadline.in_time(std::future::pending::<()>()) => {}
        }
    };
    tokio::pin!(done);
    tokio::select! {
        biased;
        _ = &mut done => return,
        () = hurry => {}
    }
    // What is not done in time is done by the next run.
    let _ = tokio::time::timeout(TIDYING * 2, done).await;
}
