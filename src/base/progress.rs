//! How far a long transfer is: a bar with rate and time left on a terminal, a line every ten seconds
//! elsewhere. It only shows; what is transferred is counted by whoever does it.

use std::cell::Cell;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;
use tracing::{Level, enabled, info};

use super::log;
use super::retry::REMINDER;

/// How often the bar is drawn; a thread of its own does it, so a slow terminal holds nothing up.
const REDRAW: Duration = Duration::from_millis(250);

/// The bar that is on the terminal now, for `aside`.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// How far the transfers of a run are, all together.
pub struct Progress {
    bar: Option<ProgressBar>,
    start: Instant,
    /// When the last line was written.
    told: Cell<Instant>,
    done: Cell<u64>,
    /// Of `done`, what an earlier run had left: it says nothing of the rate.
    given: Cell<u64>,
    total: Cell<u64>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "Progress({} of {})",
            self.done.get(),
            self.total.get()
        )
    }
}

impl Progress {
    /// Begins to show. A bar needs a terminal, text logs at `info` or more, and a result for people
    /// (`has_reader`).
    pub fn start(has_reader: bool) -> Self {
        let is_shown = has_reader && enabled!(Level::INFO) && log::is_on_terminal();
        let now = Instant::now();
        Self {
            bar: is_shown.then(draw),
            start: now,
            told: Cell::new(now),
            done: Cell::new(0),
            given: Cell::new(0),
            total: Cell::new(0),
        }
    }

    /// So many bytes more are to come.
    pub fn expect(&self, bytes: u64) {
        self.total.set(self.total.get().saturating_add(bytes));
        self.show();
    }

    /// So many bytes are there already.
    pub fn given(&self, bytes: u64) {
        self.given.set(self.given.get().saturating_add(bytes));
        self.done.set(self.done.get().saturating_add(bytes));
        self.show();
    }

    /// So many bytes have come.
    pub fn add(&self, bytes: u64) {
        self.done.set(self.done.get().saturating_add(bytes));
        self.show();
    }

    /// An object is begun anew: of its `total` bytes, `done` came in vain.
    pub fn drop_back(&self, total: u64, done: u64) {
        self.total.set(self.total.get().saturating_sub(total));
        self.done.set(self.done.get().saturating_sub(done));
        self.show();
    }

    fn show(&self) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(self.total.get().max(self.done.get()));
                bar.set_position(self.done.get());
            }
            None if self.told.get().elapsed() >= REMINDER => {
                self.told.set(Instant::now());
                let seconds = self.start.elapsed().as_secs_f64();
                info!(
                    "{}",
                    line(self.done.get(), self.given.get(), self.total.get(), seconds)
                );
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn draw() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(4));
    let template = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left";
    // The template is a constant that its test covers; without it the bar looks plain.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(REDRAW);
    *SHOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
    bar
}

/// Writes what has to be written beside the bar, without tearing it.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    let bar = SHOWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The line that is written where no bar can be.
fn line(done: u64, given: u64, total: u64, seconds: f64) -> String {
    let came = done.saturating_sub(given);
    #[expect(clippy::cast_precision_loss, reason = "a rate is told in three digits")]
    let rate = came as f64 / seconds.max(0.001);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "neither negative nor above the bytes that came"
    )]
    let shown = HumanBytes(rate as u64);
    let Some(percent) = (done.saturating_mul(100))
        .checked_div(total)
        .filter(|_| done <= total)
    else {
        return format!("{} so far, {shown}/s", HumanBytes(done));
    };
    let mut text = format!(
        "{} of {} ({percent} %), {shown}/s",
        HumanBytes(done),
        HumanBytes(total)
    );
    #[expect(
        clippy::cast_precision_loss,
        reason = "a time is told in its largest unit"
    )]
    let left = (total - done) as f64 / rate;
    if let Ok(left) = Duration::try_from_secs_f64(left) {
        text.push_str(&format!(", {} left", HumanDuration(left)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(
            ProgressStyle::with_template(
                "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left"
            )
            .is_ok()
        );
    }

    #[test]
    fn a_line_tells_share_rate_and_time_left() {
        let line =
            |done: u64, given: u64, total: u64| line(done << 20, given << 20, total << 20, 10.0);
        assert_eq!(
            line(512, 0, 1024),
            "512.00 MiB of 1.00 GiB (50 %), 51.20 MiB/s, 10 seconds left"
        );
        assert_eq!(
            line(512, 502, 1024),
            "512.00 MiB of 1.00 GiB (50 %), 1.00 MiB/s, 9 minutes left"
        );
        assert_eq!(line(0, 0, 1), "0 B of 1.00 MiB (0 %), 0 B/s");
        assert_eq!(line(5, 0, 0), "5.00 MiB so far, 512.00 KiB/s");
    }
}
