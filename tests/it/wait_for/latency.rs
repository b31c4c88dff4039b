//! How soon a server that has become ready is noticed.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use super::plainly;
use super::run::spread;
use crate::support::backlog::Full;
use crate::support::clock::after;
use crate::support::machine_to_itself;
use crate::support::scripted::{Scripted, Visitor, hex, silence};
use crate::support::server::own_ports;

/// The bars: the next to last of a hundred, and the middle.
const TAIL: Duration = Duration::from_millis(1100);
const MEDIAN: Duration = Duration::from_millis(600);

/// How many trials of a protocol, all at the same time.
const TRIALS: usize = 100;

/// Servers come up between these, when the pauses have reached their longest.
const FIRST: Duration = Duration::from_millis(1500);
const SPAN: Duration = Duration::from_secs(3);

/// A random moment in each of as many equal parts of the span: chance alone would need many more
/// trials for a median.
fn moments() -> impl Iterator<Item = Duration> {
    let mut dice = fastrand::Rng::with_seed(5);
    let part = SPAN / u32::try_from(TRIALS).expect("a few");
    (0..)
        .take(TRIALS)
        .map(move |turn| FIRST + part * turn + part.mul_f64(dice.f64()))
}

/// What a ready server does with one visitor.
type Serve = fn(&mut Visitor<'_>) -> io::Result<()>;

/// When each server came up and when its run ended after that.
fn noticed(scheme: &'static str, serve: Serve) -> Vec<Duration> {
    let trials: Vec<_> = own_ports(TRIALS)
        .into_iter()
        .zip(moments())
        .map(|(address, moment)| thread::spawn(move || trial(scheme, serve, address, moment)))
        .collect();
    let times = trials.into_iter().map(|one| one.join().expect("a trial"));
    times.collect()
}

fn trial(scheme: &str, serve: Serve, address: SocketAddr, moment: Duration) -> Duration {
    let run = plainly([format!("{scheme}://{address}")]).spawn();
    let opened = after(moment, move || {
        let listener = TcpListener::bind(address).expect("the address is ours");
        (Instant::now(), Scripted::on(listener, serve))
    });
    let out = run.finish();
    let (_, (at, _server)) = opened.happened();
    out.succeeds();
    out.ended.saturating_duration_since(at)
}

#[track_caller]
fn judge(scheme: &str, times: Vec<Duration>) {
    let (median, tail) = spread(times);
    assert!(
        median <= MEDIAN && tail <= TAIL,
        "{scheme}: median {median:?}, tail {tail:?}"
    );
}

#[test]
fn tcp_and_redis_are_noticed() {
    let _turn = machine_to_itself();
    judge("tcp", noticed("tcp", silence));
    let pong: Serve = |visitor| {
        visitor.hear_until(b"\r\n")?;
        visitor.say(b"+PONG\r\n")?;
        visitor.stay()
    };
    judge("redis", noticed("redis", pong));
}

#[test]
fn http_and_postgres_are_noticed() {
    let _turn = machine_to_itself();
    let ok: Serve = |visitor| {
        visitor.hear_until(b"\r\n\r\n")?;
        visitor.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        visitor.stay()
    };
    judge("http", noticed("http", ok));
    let asks: Serve = |visitor| {
        visitor.hear(8)?;
        visitor.say(&hex("52 00 00 00 08 00 00 00 03"))?;
        visitor.stay()
    };
    judge("postgres", noticed("postgres", asks));
}

#[test]
fn a_port_that_dropped_packets_is_noticed() {
    let _turn = machine_to_itself();
    let trials: Vec<_> = own_ports(TRIALS)
        .into_iter()
        .zip(moments())
        .map(|(address, moment)| {
            thread::spawn(move || {
                let full = Full::at(address);
                let run = plainly([format!("tcp://{address}")]).spawn();
                let opened = after(moment, move || (Instant::now(), full.accept_all()));
                let out = run.finish();
                let (_, (at, _accepting)) = opened.happened();
                out.succeeds();
                out.ended.saturating_duration_since(at)
            })
        })
        .collect();
    let times = trials
        .into_iter()
        .map(|one| one.join().expect("a trial"))
        .collect();
    judge("tcp, dropped before", times);
}
