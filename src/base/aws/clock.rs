//! The time that requests are signed with, which a server may correct.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;

/// The system's clock, shifted. Clones share their shift.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Milliseconds that the server is ahead.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// Shifts the clock so that it is `server` now.
    pub fn correct(&self, server: SystemTime) {
        let here = SystemTime::now();
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let ahead = match server.duration_since(here) {
            Ok(ahead) => millis(ahead),
            Err(behind) => -millis(behind.duration()),
        };
        self.ahead.store(ahead, Ordering::Relaxed);
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        let (here, ahead) = (SystemTime::now(), self.ahead.load(Ordering::Relaxed));
        let shift = Duration::from_millis(ahead.unsigned_abs());
        let shifted = if ahead < 0 {
            here.checked_sub(shift)
        } else {
            here.checked_add(shift)
        };
        shifted.unwrap_or(here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_server_both_ways() {
        let (clock, hour) = (Clock::default(), Duration::from_hours(1));
        for server in [SystemTime::now() + hour, SystemTime::now() - hour] {
            clock.clone().correct(server);
            let off = clock
                .now()
                .duration_since(server)
                .unwrap_or_else(|early| early.duration());
            assert!(off < Duration::from_secs(5), "{off:?}");
        }
    }
}
