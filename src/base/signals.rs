//! SIGTERM and SIGINT.
//!
//! The kernel drops a signal for PID 1 that has no handler, but keeps a blocked one until somebody
//! takes it. So both are blocked first thing in `main`, until the handlers are in place: none is lost,
//! however early it comes.

use std::sync::OnceLock;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::failure::{Failure, Kind};

/// What a kubelet (SIGTERM) and a terminal (SIGINT) send to end a program.
const HEARD: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// The mask as podinit received it.
static RECEIVED: OnceLock<SigSet> = OnceLock::new();

/// The two signals, kept by the kernel until somebody listens.
#[derive(Debug)]
pub struct Blocked(SigSet);

/// Blocks the signals; call it before any other thread exists.
///
/// # Errors
/// `Bug`: the call takes no input that could be wrong.
pub fn block() -> Result<Blocked, Failure> {
    let set: SigSet = HEARD.into_iter().collect();
    let received = set
        .thread_swap_mask(SigmaskHow::SIG_BLOCK)
        .map_err(|errno| Failure::caused_by(Kind::Bug, errno).context("block signals"))?;
    RECEIVED.get_or_init(|| received);
    Ok(Blocked(set))
}

/// Puts the mask back as podinit received it, for a program that takes its place.
pub fn restore() {
    if let Some(received) = RECEIVED.get() {
        // The call takes no input that could be wrong.
        let _ = received.thread_set_mask();
    }
}

/// Delivers the signals, also those that were kept.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
}

impl Blocked {
    /// Starts to listen; needs a running tokio runtime with its IO driver.
    ///
    /// # Errors
    /// `Local` when no handler can be set up.
    pub fn listen(self) -> Result<Signals, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                Failure::caused_by(Kind::Local, error).context("listen for signals")
            })
        };
        let signals = Signals {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        };
        self.0
            .thread_unblock()
            .map_err(|errno| Failure::caused_by(Kind::Bug, errno).context("unblock signals"))?;
        Ok(signals)
    }
}

impl Signals {
    /// The next signal that asks for an end.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.terminate.recv() => Signal::SIGTERM,
            Some(()) = self.interrupt.recv() => Signal::SIGINT,
            else => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    /// `raise` reaches this thread alone: the threads of the other tests block nothing.
    #[tokio::test]
    async fn a_signal_sent_before_anybody_listens_is_kept() {
        let blocked = block().unwrap();
        raise(Signal::SIGTERM).unwrap();
        let mut signals = blocked.listen().unwrap();
        assert_eq!(signals.next().await, Signal::SIGTERM);
        raise(Signal::SIGINT).unwrap();
        assert_eq!(signals.next().await, Signal::SIGINT);
    }
}
