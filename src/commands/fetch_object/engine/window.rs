//! The ordered window: ranges arrive in any order, a reader on a blocking thread gets the bytes in theirs.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use ring::digest::{Context, SHA256};
use tokio::sync::watch;

use super::disk::Totals;
use super::pool::{Buffer, MAX_BUFFER, Pool, held};
use super::sums::{Running, Wanted};

/// How far ahead of the reader bytes may arrive.
pub const WINDOW: u64 = 32 << 20;

/// Between the connections and the reader.
pub struct Window {
    pub(super) pool: Pool,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Up to where the reader is done.
    taken: watch::Sender<u64>,
}

struct Inner {
    ready: BTreeMap<u64, Buffer>,
    /// Where the next buffer begins.
    front: u64,
    end: Option<u64>,
    is_broken: bool,
    running: Running,
    sha256: Option<Context>,
}

/// The bytes of an object in their order, as they come. It ends with an error when the download does.
pub struct Reader {
    window: Arc<Window>,
    current: Option<Buffer>,
    /// How much of the current buffer has been read.
    read: usize,
}

impl Window {
    pub fn new(wanted: Wanted, hashes: bool) -> Arc<Self> {
        Arc::new(Self {
            // As many buffers as the window holds.
            pool: Pool::new(
                MAX_BUFFER,
                usize::try_from(WINDOW).unwrap_or(MAX_BUFFER) / MAX_BUFFER,
            ),
            inner: Mutex::new(Inner {
                ready: BTreeMap::new(),
                front: 0,
                end: None,
                is_broken: false,
                running: Running::new(wanted),
                sha256: hashes.then(|| Context::new(&SHA256)),
            }),
            changed: Condvar::new(),
            taken: watch::Sender::new(0),
        })
    }

    /// A reader from where the last one stopped.
    pub fn reader(self: &Arc<Self>) -> Reader {
        Reader {
            window: Arc::clone(self),
            current: None,
            read: 0,
        }
    }

    /// Hands over bytes that belong at `at`.
    pub fn put(&self, at: u64, buffer: Buffer) {
        held(&self.inner).ready.insert(at, buffer);
        self.changed.notify_all();
    }

    /// The object ends at `end`.
    pub fn end(&self, end: u64) {
        held(&self.inner).end = Some(end);
        self.changed.notify_all();
    }

    /// Nothing more will come.
    pub fn break_off(&self) {
        held(&self.inner).is_broken = true;
        self.changed.notify_all();
    }

    /// Waits until all bytes up to `end` fit into the window.
    pub async fn reach(&self, end: u64) {
        let mut taken = self.taken.subscribe();
        // The sender is alive as long as this is.
        let _ = taken
            .wait_for(|taken| end <= taken.saturating_add(WINDOW))
            .await;
    }

    /// What all bytes are, once they have been read.
    pub fn totals(&self) -> Totals {
        let mut inner = held(&self.inner);
        let digest = inner.sha256.take();
        Totals {
            sums: inner.running.sums(),
            sha256: digest.and_then(|context| context.finish().as_ref().try_into().ok()),
        }
    }

    /// Takes the next buffer; `None` at the end.
    fn next(&self) -> io::Result<Option<Buffer>> {
        let mut inner = held(&self.inner);
        let front = inner.front;
        self.taken.send_replace(front);
        let buffer = loop {
            if inner.is_broken {
                return Err(io::Error::other("the download has stopped"));
            }
            if let Some(buffer) = inner.ready.remove(&front) {
                break buffer;
            }
            if inner.end == Some(front) {
                return Ok(None);
            }
            inner = self
                .changed
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
        };
        inner.front += buffer.bytes().len() as u64;
        // Out of the lock: only the one reader is here, and connections may hand over more meanwhile.
        let (mut running, mut sha256) = (inner.running.clone(), inner.sha256.take());
        drop(inner);
        running.update(buffer.bytes());
        if let Some(context) = &mut sha256 {
            context.update(buffer.bytes());
        }
        let mut inner = held(&self.inner);
        (inner.running, inner.sha256) = (running, sha256);
        Ok(Some(buffer))
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self
            .current
            .as_ref()
            .is_some_and(|buffer| buffer.bytes().len() <= self.read)
        {
            self.current = None;
        }
        if self.current.is_none() {
            self.current = self.window.next()?;
            self.read = 0;
        }
        let bytes = self.current.as_ref().map_or(&[][..], Buffer::bytes);
        Ok(&bytes[self.read.min(bytes.len())..])
    }

    fn consume(&mut self, count: usize) {
        self.read += count;
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        self.consume(count);
        Ok(count)
    }
}
