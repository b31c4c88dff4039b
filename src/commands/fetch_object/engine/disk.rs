//! Writing a part file and its journal off the network's thread. Buffers are written in the order in which
//! they were handed over, by one worker at a time, which exists only while there is something to write.
//! sha256 follows the contiguous front on a second one, bringing bytes to the disk is a third.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::watch;

use super::hash::Hash;
use super::journal;
use super::ledger::Ledger;
use super::pool::{Buffer, held};
use super::sums::{Sums, Wanted};
use crate::base::failure::{Failure, Kind};
use crate::base::file::Part;

/// How much may be written before it has to be on its way to the disk, so that dirty memory stays small.
pub const WINDOW: u64 = 64 << 20;

/// What sha256 reads at once.
const READ: usize = 256 << 10;

/// What is done on the disk, in order.
#[derive(Debug)]
enum Order {
    Write(u64, Buffer),
    Forget(Range<u64>),
}

/// How far the worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct State {
    /// Orders that are not carried out.
    pending: usize,
    has_failed: bool,
    /// Threads that are at work.
    workers: usize,
    /// How many bytes sha256 has seen.
    hashed: u64,
}

/// The journal while it grows.
#[derive(Debug)]
pub struct Log {
    pub file: Part,
    /// Where the next record goes.
    pub end: u64,
    pub seal: u64,
}

/// What only the worker touches.
#[derive(Debug)]
struct Store {
    ledger: Ledger,
    log: Option<Log>,
    /// Bytes written since write-back was started.
    unsynced: u64,
}

#[derive(Debug, Default)]
struct Queue {
    orders: VecDeque<Order>,
    has_worker: bool,
    failure: Option<Failure>,
}

/// A part file that is being written.
pub struct Disk {
    part: Part,
    wanted: AtomicU8,
    is_given_up: AtomicBool,
    queue: Mutex<Queue>,
    store: Mutex<Store>,
    /// How many bytes are there from the start on.
    front: AtomicU64,
    hash: Option<Hash>,
    syncing: Mutex<bool>,
    synced: Condvar,
    state: watch::Sender<State>,
    runtime: tokio::runtime::Handle,
}

/// What the whole is.
#[derive(Debug, Clone, Copy)]
pub struct Totals {
    pub sums: Sums,
    pub sha256: Option<[u8; 32]>,
}

impl Disk {
    /// Writes `part`, of which `ledger` says what is there. Needs a runtime.
    pub fn new(
        part: Part,
        ledger: Ledger,
        log: Option<Log>,
        wanted: Wanted,
        hashes: bool,
    ) -> Arc<Self> {
        let front = ledger.front();
        let disk = Arc::new(Self {
            part,
            wanted: AtomicU8::new(wanted.bits()),
            is_given_up: AtomicBool::new(false),
            queue: Mutex::default(),
            store: Mutex::new(Store {
                ledger,
                log,
                unsynced: 0,
            }),
            front: AtomicU64::new(front),
            hash: hashes.then(Hash::new),
            syncing: Mutex::new(false),
            synced: Condvar::new(),
            state: watch::Sender::new(State::default()),
            runtime: tokio::runtime::Handle::current(),
        });
        disk.wake_hash();
        disk
    }

    /// From now on only these sums are needed.
    pub fn narrow(&self, wanted: Wanted) {
        self.wanted.store(wanted.bits(), Ordering::Relaxed);
    }

    /// Hands over bytes that belong at `at`.
    pub fn write(self: &Arc<Self>, at: u64, buffer: Buffer) {
        self.hand_over(Order::Write(at, buffer));
    }

    /// Takes back all blocks that `range` touches.
    pub fn forget(self: &Arc<Self>, range: Range<u64>) {
        self.hand_over(Order::Forget(range));
    }

    fn hand_over(self: &Arc<Self>, order: Order) {
        let mut queue = held(&self.queue);
        queue.orders.push_back(order);
        self.state.send_modify(|state| state.pending += 1);
        if !queue.has_worker {
            queue.has_worker = true;
            self.start(Self::work);
        }
    }

    /// Stops at once: what is not written yet is dropped.
    pub fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
        self.synced.notify_all();
    }

    fn has_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    fn work(self: &Arc<Self>) {
        loop {
            let order = {
                let mut queue = held(&self.queue);
                if self.has_given_up() || queue.failure.is_some() {
                    queue.orders.clear();
                }
                let Some(order) = queue.orders.pop_front() else {
                    queue.has_worker = false;
                    return;
                };
                order
            };
            let result = self.carry_out(order);
            let has_failed = result.is_err();
            if let Err(failure) = result {
                held(&self.queue).failure.get_or_insert(failure);
            }
            self.state.send_modify(|state| {
                state.pending = state.pending.saturating_sub(1);
                state.has_failed |= has_failed;
            });
        }
    }

    fn carry_out(self: &Arc<Self>, order: Order) -> Result<(), Failure> {
        let mut store = held(&self.store);
        match order {
            Order::Forget(range) => {
                for number in store.ledger.forget(&range) {
                    store.note(number, None)?;
                }
                self.front.store(store.ledger.front(), Ordering::Release);
                if let Some(hash) = &self.hash {
                    hash.rewind(range.start, || {
                        self.state.send_modify(|state| state.hashed = 0)
                    });
                }
            }
            Order::Write(at, buffer) => {
                let wanted = Wanted::from_bits(self.wanted.load(Ordering::Relaxed));
                self.part.write_at(buffer.bytes(), at)?;
                let length = buffer.bytes().len() as u64;
                let done = store.ledger.add(at, buffer.bytes(), wanted).map_err(|_| {
                    Failure::new(Kind::Bug, format!("bytes at {at} continue nothing"))
                })?;
                // The connection that waits for it need not wait for the journal.
                drop(buffer);
                if let Some((number, sums)) = done {
                    store.note(number, Some(sums.crc64))?;
                    self.front.store(store.ledger.front(), Ordering::Release);
                    self.wake_hash();
                }
                store.unsynced += length;
                if store.unsynced >= WINDOW {
                    store.unsynced = 0;
                    self.start_write_back();
                }
            }
        }
        Ok(())
    }

    /// Waits for the window before this one, then brings this one to the disk meanwhile.
    fn start_write_back(self: &Arc<Self>) {
        let mut is_syncing = held(&self.syncing);
        while *is_syncing && !self.has_given_up() {
            is_syncing = self
                .synced
                .wait(is_syncing)
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        *is_syncing = true;
        drop(is_syncing);
        self.start(Self::write_back);
    }

    fn write_back(self: &Arc<Self>) {
        let result = if self.has_given_up() {
            Ok(())
        } else {
            self.part.sync_bytes()
        };
        *held(&self.syncing) = false;
        self.synced.notify_all();
        if let Err(failure) = result {
            self.fail(failure);
        }
    }

    /// Does work on a thread of its own.
    fn start(self: &Arc<Self>, work: fn(&Arc<Self>)) {
        self.state.send_modify(|state| state.workers += 1);
        let disk = Arc::clone(self);
        self.runtime.spawn_blocking(move || {
            work(&disk);
            disk.state.send_modify(|state| state.workers -= 1);
        });
    }

    /// Stops, and waits until nobody is at work.
    pub async fn stop(&self) {
        self.give_up();
        let mut state = self.state.subscribe();
        // The sender is alive as long as this is.
        let _ = state.wait_for(|state| state.workers == 0).await;
    }

    fn fail(&self, failure: Failure) {
        held(&self.queue).failure.get_or_insert(failure);
        self.state.send_modify(|state| state.has_failed = true);
    }

    /// Sees to it that sha256 follows the front.
    fn wake_hash(self: &Arc<Self>) {
        let front = self.front.load(Ordering::Acquire);
        if self.hash.as_ref().is_some_and(|hash| hash.wakes(front)) {
            self.start(Self::follow);
        }
    }

    /// Reads behind the front until there is nothing more, in order.
    fn follow(self: &Arc<Self>) {
        let Some(hash) = &self.hash else { return };
        let mut bytes = vec![0; READ];
        loop {
            let front = || {
                if self.has_given_up() {
                    0
                } else {
                    self.front.load(Ordering::Acquire)
                }
            };
            let Some(step) = hash.begin(front) else {
                return;
            };
            let count = usize::try_from(step.end - step.at)
                .unwrap_or(READ)
                .min(READ);
            if let Err(failure) = self.part.read_at(&mut bytes[..count], step.at) {
                return self.fail(failure);
            }
            hash.end(step, &bytes[..count], |hashed| {
                self.state.send_modify(|state| state.hashed = hashed);
            });
        }
    }

    /// Ends when writing has failed.
    pub async fn failed(&self) -> Failure {
        let mut state = self.state.subscribe();
        if state.wait_for(|state| state.has_failed).await.is_err() {
            std::future::pending::<()>().await;
        }
        held(&self.queue)
            .failure
            .take()
            .unwrap_or_else(|| Failure::new(Kind::Bug, "writing failed before"))
    }

    /// Waits until all is written and hashed; then says what it is. `None` when something is missing.
    pub async fn finish(self: &Arc<Self>) -> Result<Option<Totals>, Failure> {
        let mut state = self.state.subscribe();
        // The sender is alive as long as this is.
        let _ = state.wait_for(|state| state.pending == 0).await;
        let disk = Arc::clone(self);
        let end = self.runtime.spawn_blocking(move || {
            let mut store = held(&disk.store);
            store.ledger.end();
            disk.front.store(store.ledger.front(), Ordering::Release);
            let whole = store.ledger.whole();
            drop(store);
            disk.wake_hash();
            whole
        });
        let sums = match end.await {
            Ok(Some(sums)) => sums,
            Ok(None) => return Ok(None),
            Err(panic) => return Err(Failure::caused_by(Kind::Bug, panic)),
        };
        let Some(hash) = &self.hash else {
            return Ok(Some(Totals { sums, sha256: None }));
        };
        let _ = state.wait_for(|state| state.hashed >= sums.length).await;
        Ok(Some(Totals {
            sums,
            sha256: hash.finish(),
        }))
    }

    /// Waits until nothing is in the hands of the worker.
    pub async fn settle(&self) {
        let mut state = self.state.subscribe();
        let _ = state
            .wait_for(|state| state.pending == 0 || state.has_failed)
            .await;
    }
}

impl Store {
    /// Notes in the journal that a block is there, or is not after all.
    fn note(&mut self, number: usize, crc: Option<u64>) -> Result<(), Failure> {
        if let Some(log) = &mut self.log {
            let record = journal::record(number, crc, log.seal);
            log.file.write_at(&record, log.end)?;
            log.end += record.len() as u64;
        }
        Ok(())
    }
}
