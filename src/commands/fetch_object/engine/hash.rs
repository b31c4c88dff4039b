//! SHA-256 in order behind the contiguous front of a part file, by one worker at a time. It knows no file:
//! the worker reads.

use std::sync::Mutex;

use ring::digest::{Context, SHA256};

use super::pool::held;

/// The digest so far.
pub struct Hash(Mutex<State>);

struct State {
    /// Out while the worker uses it.
    context: Option<Context>,
    done: u64,
    has_worker: bool,
    /// How often it had to begin anew.
    round: u64,
}

/// What the worker does next: hash what lies between the two, or the beginning of it.
pub struct Step {
    pub at: u64,
    pub end: u64,
    context: Context,
    round: u64,
}

impl Hash {
    pub fn new() -> Self {
        Self(Mutex::new(State {
            context: Some(Context::new(&SHA256)),
            done: 0,
            has_worker: false,
            round: 0,
        }))
    }

    /// Whether a worker has to be started now that the front is at `front`.
    pub fn wakes(&self, front: u64) -> bool {
        let mut state = held(&self.0);
        let wakes = !state.has_worker && state.done < front;
        state.has_worker |= wakes;
        wakes
    }

    /// The next step; without one the worker ends. The front is asked for under the lock, so that whoever
    /// moves it later finds the worker gone and starts another.
    pub fn begin(&self, front: impl Fn() -> u64) -> Option<Step> {
        let mut state = held(&self.0);
        let (at, end) = (state.done, front());
        let context = if at < end { state.context.take() } else { None };
        state.has_worker = context.is_some();
        Some(Step {
            at,
            end,
            context: context?,
            round: state.round,
        })
    }

    /// Takes in the bytes of a step, unless they have become void; `tell` hears how far it is.
    pub fn end(&self, step: Step, bytes: &[u8], tell: impl Fn(u64)) {
        let Step {
            at,
            mut context,
            round,
            ..
        } = step;
        context.update(bytes);
        let mut state = held(&self.0);
        if state.round == round {
            state.context = Some(context);
            state.done = at + bytes.len() as u64;
        }
        tell(state.done);
    }

    /// What lies from `at` on is void: what has seen it begins anew; `tell` hears of it.
    pub fn rewind(&self, at: u64, tell: impl Fn()) {
        let mut state = held(&self.0);
        if state.done > at || state.context.is_none() {
            state.round += 1;
            state.done = 0;
            state.context = Some(Context::new(&SHA256));
            tell();
        }
    }

    /// The digest of all that it has seen.
    pub fn finish(&self) -> Option<[u8; 32]> {
        let context = held(&self.0).context.take()?;
        context.finish().as_ref().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
        ring::digest::digest(&SHA256, bytes)
            .as_ref()
            .try_into()
            .ok()
    }

    #[test]
    fn it_follows_the_front_and_begins_anew_when_bytes_are_void() {
        let hash = Hash::new();
        assert!(!hash.wakes(0));
        assert!(hash.wakes(3));
        assert!(!hash.wakes(4));
        let step = hash.begin(|| 4).unwrap();
        assert_eq!((step.at, step.end), (0, 4));
        hash.end(step, b"ab", |done| assert_eq!(done, 2));
        hash.rewind(2, || panic!("nothing was void"));
        let step = hash.begin(|| 4).unwrap();
        hash.rewind(1, || {});
        hash.end(step, b"cd", |done| assert_eq!(done, 0));
        let step = hash.begin(|| 4).unwrap();
        hash.end(step, b"wxyz", |done| assert_eq!(done, 4));
        assert!(hash.begin(|| 4).is_none());
        assert!(hash.wakes(5));
        assert_eq!(hash.finish(), sha256(b"wxyz"));
    }
}
