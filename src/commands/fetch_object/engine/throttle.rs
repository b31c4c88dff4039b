//! The bandwidth that all connections share.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// What may come at once after a pause, in time: short against the least run that anybody measures.
const BURST: Duration = Duration::from_millis(100);

/// Bytes a second, all connections together.
#[derive(Debug)]
pub struct Throttle {
    rate: Option<u64>,
    /// When all that came so far is paid for.
    paid: Cell<Option<Instant>>,
}

impl Throttle {
    /// At most `rate` bytes a second; without a rate everything passes.
    pub fn new(rate: Option<u64>) -> Self {
        Self {
            rate: rate.map(|rate| rate.max(1)),
            paid: Cell::new(None),
        }
    }

    /// How long to wait now that `bytes` more came.
    pub fn pay(&self, bytes: usize) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        let oldest = now.checked_sub(BURST).unwrap_or(now);
        let paid = self.paid.get().map_or(oldest, |paid| paid.max(oldest));
        let nanos = bytes as u128 * 1_000_000_000 / u128::from(rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let paid = paid.checked_add(cost).unwrap_or(paid);
        self.paid.set(Some(paid));
        paid.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn bytes_pass_at_the_rate_whoever_asks() {
        let start = Instant::now();
        let throttle = Throttle::new(Some(5 << 20));
        for _ in 0..20 * 16 {
            tokio::time::advance(throttle.pay(64 << 10)).await;
        }
        let millis = start.elapsed().as_millis();
        assert!((3_890..=3_910).contains(&millis), "{millis}");
    }

    #[tokio::test(start_paused = true)]
    async fn time_not_used_is_not_saved() {
        let throttle = Throttle::new(Some(1000));
        assert_eq!(throttle.pay(100), Duration::ZERO);
        assert_eq!(throttle.pay(50), Duration::from_millis(50));
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(throttle.pay(600), Duration::from_millis(500));
        assert_eq!(Throttle::new(None).pay(usize::MAX), Duration::ZERO);
    }
}
