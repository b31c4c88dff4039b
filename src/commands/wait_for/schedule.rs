//! How long to pause between two attempts. It touches no clock.

use std::time::Duration;

/// The pause after the first attempt that was not ready.
const FIRST: Duration = Duration::from_millis(50);

/// So many pauses double; from then on each is `--interval`.
const DOUBLINGS: u32 = 5;

/// The largest share by which a pause is shortened at random, so that replicas spread out.
const JITTER: f64 = 0.2;

/// The pause after attempt `number` (from 0): doubled from the first on, and never longer than
/// `interval`. `share` (0 to 1) of the jitter shortens it.
pub(super) fn pause(number: u32, interval: Duration, share: f64) -> Duration {
    let whole = if number < DOUBLINGS {
        FIRST.saturating_mul(2_u32.pow(number)).min(interval)
    } else {
        interval
    };
    shorten(whole, share)
}

/// The pause between two ready answers in a row.
pub(super) fn between_successes(interval: Duration, share: f64) -> Duration {
    shorten(interval, share)
}

fn shorten(pause: Duration, share: f64) -> Duration {
    pause.mul_f64(1.0 - JITTER * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_then_stay_and_are_only_ever_shortened() {
        let second = Duration::from_secs(1);
        let millis = |interval, share| -> Vec<u128> {
            (0..8)
                .map(|number| pause(number, interval, share).as_millis())
                .collect()
        };
        assert_eq!(
            millis(second, 0.0),
            [50, 100, 200, 400, 800, 1000, 1000, 1000]
        );
        assert_eq!(millis(second, 1.0), [40, 80, 160, 320, 640, 800, 800, 800]);
        assert_eq!(
            millis(second / 5, 0.0),
            [50, 100, 200, 200, 200, 200, 200, 200]
        );
        assert_eq!(millis(second * 5, 0.0)[4..6], [800, 5000]);
        assert_eq!(millis(second / 50, 0.0)[0], 20);
        assert_eq!(pause(u32::MAX, second, 0.5), Duration::from_millis(900));
        assert_eq!(between_successes(second, 1.0), Duration::from_millis(800));
    }
}
