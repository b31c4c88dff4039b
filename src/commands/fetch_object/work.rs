//! What all entries of a run share, and how one of them ends: what is kept for the next run, what is
//! removed, and that the first failure stops the rest.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::watch;

use super::digest::Sha256;
use super::engine::{Connections, Shared};
use super::location::Location;
use super::offload::at_the_end;
use super::request::{Entry, Request};
use super::source::{Object, Source};
use super::space::Space;
use super::state::{Item, State};
use super::sums::Digests;
use crate::base::deadline::{Deadline, Ended};
use crate::base::failure::{Failure, Kind};

/// What all entries share.
pub(super) struct Work<'a> {
    pub(super) request: &'a Request,
    pub(super) shared: &'a Shared,
    pub(super) deadline: &'a Deadline,
    pub(super) digests: Option<Digests>,
    pub(super) space: Space,
    hosts: RefCell<HashMap<String, Rc<Connections>>>,
    halt: watch::Sender<bool>,
    /// Whether the run ends in a way after which the next one goes on.
    keeps: Cell<bool>,
}

/// The state of one entry while it works, for the end that may come from elsewhere.
#[derive(Default)]
pub(super) struct Held {
    state: RefCell<Option<Arc<State>>>,
    kept: Cell<&'static [Item]>,
    last: RefCell<Option<Last>>,
}

/// What is to be done when an entry fails; it is told whether the next run goes on.
type Last = Box<dyn FnOnce(bool) + Send>;

impl Held {
    /// From here on the entry has something on the disk. `kept` is what the next run could use.
    pub(super) fn hold(&self, state: &Arc<State>, kept: &'static [Item]) {
        self.state.replace(Some(Arc::clone(state)));
        self.kept.set(kept);
    }

    /// What is to be done when the entry fails, before what it has left is removed.
    pub(super) fn at_last(&self, last: impl FnOnce(bool) + Send + 'static) {
        self.last.replace(Some(Box::new(last)));
    }
}

impl<'a> Work<'a> {
    pub(super) fn new(
        request: &'a Request,
        shared: &'a Shared,
        deadline: &'a Deadline,
        digests: Option<Digests>,
    ) -> Self {
        Self {
            request,
            shared,
            deadline,
            digests,
            space: Space::default(),
            hosts: RefCell::default(),
            halt: watch::Sender::new(false),
            keeps: Cell::new(false),
        }
    }

    /// The connections to the host of an HTTP server, beside those of the run.
    pub(super) fn host(&self, location: &Location) -> Option<Rc<Connections>> {
        let tuning = &self.request.tuning;
        let host = location
            .origin()
            .filter(|_| tuning.per_host < tuning.parallel)?;
        let mut hosts = self.hosts.borrow_mut();
        let count = usize::from(tuning.per_host);
        let connections = hosts
            .entry(host.to_string())
            .or_insert_with(|| Rc::new(Connections::new(count)));
        Some(Rc::clone(connections))
    }

    /// The digest that the one object of an entry has to have.
    ///
    /// # Errors
    /// As `digest`.
    pub(super) fn digest_of(&self, entry: &Entry) -> Result<Option<Sha256>, Failure> {
        let is_only = self.request.entries.len() == 1;
        self.digest(entry.sha256, &entry.digest_name(), is_only)
    }

    /// The digest that an object has to have: its own, else that of the file of digests.
    ///
    /// # Errors
    /// `Missing` if it is not in the file, `Corrupt` if the two contradict.
    pub(super) fn digest(
        &self,
        own: Option<Sha256>,
        name: &[u8],
        is_only: bool,
    ) -> Result<Option<Sha256>, Failure> {
        let Some(digests) = &self.digests else {
            return Ok(own);
        };
        let listed = digests
            .of(name, is_only)
            .map_err(|failure| failure.context("look into --sha256-file"))?;
        match own {
            Some(own) if own != listed => Err(Failure::new(
                Kind::Corrupt,
                format!("the digest {own} is asked for, and --sha256-file says {listed}"),
            )
            .hint("one of the two is wrong")),
            Some(_) | None => Ok(Some(listed)),
        }
    }

    /// Does the work of one entry, and cleans up however it ends. `None` is the failure of an entry that
    /// only stopped since another one had failed.
    ///
    /// # Errors
    /// Those of the work; `Unavailable` after a signal.
    pub(super) async fn supervise<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
        held: &Held,
    ) -> Result<T, Option<Failure>> {
        let mut halted = self.halt.subscribe();
        let result = tokio::select! {
            biased;
            () = self.deadline.stopped() => {
                Err(Some(Failure::new(Kind::Unavailable, "a signal ended it")))
            }
            _ = halted.wait_for(|halt| *halt) => Err(None),
            result = work => result.map_err(Some),
        };
        if let Err(Some(failure)) = &result {
            self.stop_rest(failure);
        }
        if let Some(state) = held.state.take() {
            let keeps = result.is_err() && self.keeps.get() && state.is_lasting();
            let kept = if keeps {
                held.kept.get()
            } else {
                &[Item::Record]
            };
            let last = held.last.take().filter(|_| result.is_err());
            let deadline = self.deadline.clone();
            at_the_end(self.deadline, move || {
                if let Some(last) = last {
                    last(keeps);
                }
                state.tidy(kept, &deadline);
                state.leave();
            })
            .await;
        }
        result
    }

    /// The first failure says whether the next run may go on where this one ends.
    fn stop_rest(&self, failure: &Failure) {
        let is_first = !self.halt.send_replace(true);
        if is_first {
            let is_stopped = self.deadline.ended() == Some(Ended::Stopped);
            let keeps =
                failure.kind() == Kind::Unavailable && !is_stopped && self.request.options.resumes;
            self.keeps.set(keeps);
            self.shared.keeps_unfinished.set(keeps);
        }
    }
}

/// The object that an entry names, and its store.
pub(super) struct Named<'a> {
    pub(super) entry: &'a Entry,
    pub(super) source: Rc<dyn Source>,
    /// What identifies it in records.
    pub(super) identity: String,
}

impl Named<'_> {
    /// The object, if it is one.
    pub(super) fn object(&self) -> Object {
        Object {
            key: self.entry.location.key.clone(),
            version: self.entry.location.version.clone(),
        }
    }
}
