//! What a test does with time: it looks until something is so, and lets things happen later.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What is not so by then will not be so; the slowest server to start is an Erlang one.
const PATIENCE: Duration = Duration::from_secs(45);

/// Between two looks: a spinning test would take the time from the server it waits for.
const BLINK: Duration = Duration::from_millis(5);

/// Looks until there is something to see.
#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        thread::park_timeout(BLINK);
    }
}

/// Something that happens in a while, beside the test.
pub struct Later<T> {
    under_way: JoinHandle<(Instant, T)>,
}

/// Lets `act` happen when `delay` is over.
pub fn after<T, F>(delay: Duration, act: F) -> Later<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let due = Instant::now() + delay;
    let under_way = thread::spawn(move || {
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
        let made = act();
        (Instant::now(), made)
    });
    Later { under_way }
}

impl<T> Later<T> {
    /// When it had happened, and what came of it.
    #[track_caller]
    pub fn happened(self) -> (Instant, T) {
        self.under_way.join().expect("what was to happen happened")
    }

    /// When it had happened.
    #[track_caller]
    pub fn at(self) -> Instant {
        self.happened().0
    }
}

#[test]
fn what_happens_later_is_seen() {
    let begun = Instant::now();
    let later = after(Duration::from_millis(40), || 7);
    let (at, made) = later.happened();
    assert_eq!(made, 7);
    assert!(at - begun >= Duration::from_millis(40));
    let mut looks = 0;
    let seen = until("a third look", || {
        looks += 1;
        (looks == 3).then_some("so")
    });
    assert_eq!((seen, looks), ("so", 3));
}
