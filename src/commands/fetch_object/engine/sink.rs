//! Where the bytes of an object go: a part file, or an ordered stream.

use std::sync::Arc;

use super::disk::Disk;
use super::pool::{Buffer, Pool};
use super::window::Window;

/// One of the two.
#[derive(Clone)]
pub enum Sink {
    File(Arc<Disk>),
    Stream(Arc<Window>),
}

impl Sink {
    /// Takes an empty buffer as soon as there is one: what holds a connection back when writing is slow.
    pub async fn buffer(&self, of_run: &Pool) -> Buffer {
        match self {
            Self::File(_) => of_run.take().await,
            Self::Stream(window) => window.pool.take().await,
        }
    }

    /// The size of a buffer.
    pub fn buffer_size(&self, of_run: &Pool) -> usize {
        match self {
            Self::File(_) => of_run.size(),
            Self::Stream(window) => window.pool.size(),
        }
    }

    /// Hands over bytes that belong at `at`.
    pub fn put(&self, at: u64, buffer: Buffer) {
        match self {
            Self::File(disk) => disk.write(at, buffer),
            Self::Stream(window) => window.put(at, buffer),
        }
    }

    /// Waits until the bytes up to `end` may come.
    pub async fn reach(&self, end: u64) {
        match self {
            Self::File(_) => {}
            Self::Stream(window) => window.reach(end).await,
        }
    }
}
