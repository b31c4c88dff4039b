//! The specification's figures that a debug build does not change: stopping, and servers that flap.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{Wait, closed, wait_for};
use crate::support::clock::after;
use crate::support::machine_to_itself;
use crate::support::scripted::Scripted;

const STOPPED: Duration = Duration::from_millis(200);

/// How often a run is stopped.
const TIMES: usize = 25;

fn stopped_at_random_moments<'p>(arrange: impl Fn(Wait<'p>) -> Wait<'p>) {
    let _turn = machine_to_itself();
    let silent = Scripted::silent();
    let closes = Scripted::start(|_| Ok(()));
    let targets = [
        format!("tcp://{}", closed()),
        format!("redis://{}", silent.address()),
        format!("postgres://{}", closes.address()),
        format!("https://{}", silent.address()),
    ];
    let mut dice = fastrand::Rng::with_seed(3);
    for turn in 0..TIMES {
        let signal = if turn % 2 == 0 {
            Signal::SIGTERM
        } else {
            Signal::SIGINT
        };
        let run = arrange(wait_for(&targets)).spawn();
        run.listens();
        after(Duration::from_millis(dice.u64(0..400)), || ()).at();
        let sent = run.signal(signal);
        let out = run.finish();
        out.ends_with(128 + signal as i32).within_of(STOPPED, sent);
    }
}

#[test]
fn a_signal_is_obeyed_wherever_it_comes() {
    stopped_at_random_moments(|run| run);
}

#[test]
fn a_signal_is_obeyed_by_the_first_process_of_a_container() {
    stopped_at_random_moments(Wait::pid1);
}

#[test]
fn a_server_that_starts_restarts_and_stays() {
    // Refused, then a port that closes, loads, answers once and is gone again, then stays.
    for turn in 0..10 {
        let server = Scripted::start(move |visitor| {
            match (visitor.turn() + turn) % 7 {
                _ if visitor.turn() >= 9 => {
                    visitor.hear_until(b"\r\n")?;
                    visitor.say(b"+PONG\r\n")?;
                }
                0 | 3 => visitor.reset()?,
                1 => visitor.say(b"-LOADING soon\r\n")?,
                4 => visitor.say(b"+PO")?,
                _ => return Ok(()),
            }
            visitor.stay()
        });
        let out = wait_for([
            "--interval=20ms",
            "--attempt-timeout=100ms",
            "--successes=2",
        ])
        .args([format!("redis://{}", server.address())])
        .run();
        out.succeeds();
        assert!(server.visits().len() >= 11, "{}", server.visits().len());
    }
}
