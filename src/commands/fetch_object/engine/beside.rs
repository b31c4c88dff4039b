//! The question for a sum of the whole object, asked beside the first GET. Its answer is welcome, its failure
//! does no harm, and nobody waits for it longer than for a connection that stalls.

use std::rc::Rc;

use tokio::sync::watch;

use super::super::source::{About, Condition, Metadata};
use super::fetch::Fetch;

/// How far the question is.
#[derive(Debug, Clone)]
pub enum Told {
    /// There was no need for it.
    NotAsked,
    /// It is on its way.
    Asking,
    /// It failed in a way that may heal, and is asked again soon.
    Pausing(String),
    /// It is answered.
    Said(Rc<About>),
    /// It failed; why.
    Silent(String),
}

/// The question of one round.
#[derive(Debug)]
pub struct Beside(watch::Sender<Told>);

impl Beside {
    pub fn new() -> Self {
        Self(watch::Sender::new(Told::NotAsked))
    }

    /// Lets the question go out, if the source has an answer beside the first GET.
    pub async fn send(&self, fetch: &Fetch<'_>) {
        let is_asked = fetch.job.source.metadata() == Metadata::Beside;
        self.0.send_if_modified(|told| {
            let is_first = is_asked && matches!(told, Told::NotAsked);
            if is_first {
                *told = Told::Asking;
            }
            is_first
        });
        // Whoever asks gets a turn.
        tokio::task::yield_now().await;
    }

    /// Asks, once it was sent; never ends.
    pub async fn ask<T>(&self, fetch: &Fetch<'_>) -> T {
        let mut told = self.0.subscribe();
        // The sender is alive as long as this is.
        let _ = told.wait_for(|told| matches!(told, Told::Asking)).await;
        let mut number = 0;
        loop {
            match fetch.about(Condition::Always).await {
                Ok(about) => {
                    let about = Rc::new(about.unwrap_or_default());
                    self.0.send_replace(Told::Said(about));
                    break;
                }
                Err(failure) if failure.kind().is_retried() => {
                    self.0.send_replace(Told::Pausing(failure.to_string()));
                    fetch.patience.doze(number, &failure).await;
                    number += 1;
                    self.0.send_replace(Told::Asking);
                }
                Err(failure) => {
                    self.0.send_replace(Told::Silent(failure.to_string()));
                    break;
                }
            }
        }
        std::future::pending().await
    }

    /// What is known at the end: waits for an answer that is on its way, and for no further attempt.
    pub async fn settled(&self) -> Told {
        let mut told = self.0.subscribe();
        match told.wait_for(|told| !matches!(told, Told::Asking)).await {
            Ok(told) => told.clone(),
            Err(_) => Told::NotAsked,
        }
    }

    /// Ends with the answer, if there is one.
    pub async fn said(&self) -> Rc<About> {
        let mut told = self.0.subscribe();
        loop {
            if let Told::Said(about) = &*told.borrow_and_update() {
                return Rc::clone(about);
            }
            if told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
