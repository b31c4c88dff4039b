//! Loops, with paused time and probes of our own.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::watch::{Receiver, Sender, channel};

use super::*;
use crate::base::failure::Kind;
use crate::commands::wait_for::protocol::Probe;
use crate::commands::wait_for::request::Watched;
use crate::commands::wait_for::verdict::{Goal, Unready};

/// Answers by the number of the attempt.
struct Scripted<F>(F, AtomicUsize);

#[async_trait(?Send)]
impl<F: Fn(usize) -> Option<Found> + Send> Probe for Scripted<F> {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        self.1.fetch_add(1, Ordering::Relaxed);
        if let Some(found) = (self.0)(attempt.number) {
            return found;
        }
        attempt.stage.asking("h:1", "PONG");
        std::future::pending().await
    }

    fn proves(&self) -> String {
        String::new()
    }
}

fn refused() -> Found {
    Err(Cause::new("refused").absence().into())
}

fn denied() -> Found {
    Err(Unready::Final(Failure::new(Kind::Denied, "wrong password")))
}

fn request(probes: Vec<Box<dyn Probe>>) -> Request {
    let watched = probes.into_iter().map(|probe| Watched {
        shown: "redis://h".into(),
        probe,
    });
    Request {
        watched: watched.collect(),
        is_any_enough: false,
        goal: Goal::Ready,
        successes: 1,
        interval: Duration::from_secs(1),
        attempt_timeout: Duration::from_secs(5),
        successor: None,
        is_unchecked: false,
        warnings: Vec::new(),
    }
}

fn probe(answer: impl Fn(usize) -> Option<Found> + Send + 'static) -> Box<dyn Probe> {
    Box::new(Scripted(answer, AtomicUsize::new(0)))
}

type Stop = Option<nix::sys::signal::Signal>;

fn deadline(limit: &str) -> (Sender<Stop>, Deadline) {
    let (stop, stopped): (Sender<Stop>, Receiver<Stop>) = channel(None);
    (stop, Deadline::new(limit.parse().unwrap(), stopped))
}

#[tokio::test(start_paused = true)]
async fn what_heals_is_tried_again_and_all_have_to_be_ready() {
    let (_stop, deadline) = deadline("1m");
    let slow = probe(|number| {
        if number < 3 {
            Some(refused())
        } else {
            Some(Ok(()))
        }
    });
    let ended = watch(&request(vec![probe(|_| Some(Ok(()))), slow]), &deadline).await;
    assert!(matches!(ended.how, How::Met));
    assert_eq!((ended.states[0].attempts, ended.states[1].attempts), (1, 4));
    // 50, 100 and 200 ms, each shortened by at most a fifth.
    assert!(
        (280..=353).contains(&deadline.elapsed().as_millis()),
        "{:?}",
        deadline.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_final_error_ends_all_and_takes_one_of_any_out() {
    let (_stop, deadline) = deadline("1m");
    let probes = || {
        vec![
            probe(|_| Some(denied())),
            probe(|number| {
                if number < 1 {
                    Some(refused())
                } else {
                    Some(Ok(()))
                }
            }),
        ]
    };
    let ended = watch(&request(probes()), &deadline).await;
    assert!(matches!(ended.how, How::Failed(failure) if failure.kind() == Kind::Denied));
    assert_eq!(deadline.elapsed(), Duration::ZERO);
    let mut any = request(probes());
    any.is_any_enough = true;
    assert!(matches!(watch(&any, &deadline).await.how, How::Met));
}

#[tokio::test(start_paused = true)]
async fn silence_is_cut_and_told_by_its_step() {
    let (_stop, deadline) = deadline("12s");
    let ended = watch(&request(vec![probe(|_| None)]), &deadline).await;
    assert!(matches!(ended.how, How::Cut));
    assert_eq!(deadline.elapsed(), Duration::from_secs(12));
    let cause = ended.states[0].cause.clone().unwrap();
    assert!(
        cause.text.contains("no answer") && cause.text.contains("PONG"),
        "{}",
        cause.text
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_last_attempt_does_not_hide_the_last_cause() {
    let (_stop, deadline) = deadline("400ms");
    let flaky = probe(|number| if number < 2 { Some(refused()) } else { None });
    let ended = watch(&request(vec![flaky]), &deadline).await;
    assert_eq!(ended.states[0].cause.clone().unwrap().text, "refused");
}

#[tokio::test(start_paused = true)]
async fn successes_count_in_a_row() {
    let (_stop, deadline) = deadline("1m");
    let flapping = probe(|number| {
        if number == 1 {
            Some(refused())
        } else {
            Some(Ok(()))
        }
    });
    let mut request = request(vec![flapping]);
    request.successes = 2;
    let ended = watch(&request, &deadline).await;
    assert!(matches!(ended.how, How::Met));
    assert_eq!(ended.states[0].attempts, 4);
}

#[tokio::test(start_paused = true)]
async fn gone_is_a_proof() {
    let (_stop, deadline) = deadline("3s");
    let mut request = request(vec![probe(|number| {
        if number < 2 {
            Some(Ok(()))
        } else {
            Some(refused())
        }
    })]);
    request.goal = Goal::Gone;
    assert!(matches!(watch(&request, &deadline).await.how, How::Met));
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_wait_at_once() {
    let (stop, deadline) = deadline("0");
    let sent = Cell::new(false);
    let request = request(vec![probe(|_| Some(refused()))]);
    let waiting = watch(&request, &deadline);
    let stopping = async {
        tokio::task::yield_now().await;
        stop.send(Some(nix::sys::signal::Signal::SIGTERM)).unwrap();
        sent.set(true);
    };
    let (ended, ()) = tokio::join!(waiting, stopping);
    assert!(sent.get() && matches!(ended.how, How::Cut));
    assert!(deadline.elapsed() < Duration::from_millis(60));
}
