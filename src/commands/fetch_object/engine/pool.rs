//! Buffers of one size, used again and again: what bounds the memory of a run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest buffer. A write of 1 MiB costs a tenth less, but the buffers of 16 connections no longer fit
/// the processor's cache then, which costs more. A block begins at a multiple of it.
pub const MAX_BUFFER: usize = 256 << 10;

/// The least buffer.
const MIN_BUFFER: usize = 64 << 10;

/// Buffers beyond one for each connection: what is being written meanwhile.
const SPARE: usize = 16;

/// What all connections' buffers may take together.
const BUDGET: usize = 24 << 20;

/// A bounded number of buffers.
#[derive(Debug, Clone)]
pub struct Pool {
    size: usize,
    permits: Arc<Semaphore>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Bytes on their way; its room goes back to the pool with it.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    size: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Enough for `connections` that each fill one while some are written.
    pub fn for_connections(connections: usize) -> Self {
        let count = connections + SPARE;
        let fair = (BUDGET / count).clamp(MIN_BUFFER, MAX_BUFFER);
        // A power of two divides every block.
        let size = if fair.is_power_of_two() {
            fair
        } else {
            fair.next_power_of_two() / 2
        };
        Self::new(size, count)
    }

    /// `count` buffers of `size` bytes.
    pub fn new(size: usize, count: usize) -> Self {
        Self {
            size,
            permits: Arc::new(Semaphore::new(count)),
            free: Arc::default(),
        }
    }

    /// The bytes of a buffer.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes a buffer as soon as there is one. Buffers come when they are needed and then stay.
    pub async fn take(&self) -> Buffer {
        let permits = Arc::clone(&self.permits);
        let permit = match permits.acquire_owned().await {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        };
        let spare = held(&self.free).pop();
        Buffer {
            bytes: spare.unwrap_or_else(|| Vec::with_capacity(self.size)),
            size: self.size,
            free: Arc::clone(&self.free),
            _permit: permit,
        }
    }
}

impl Buffer {
    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends as much of `bytes` as fits below `limit` bytes in all; says how much that was.
    pub fn append(&mut self, bytes: &[u8], limit: usize) -> usize {
        let room = limit.min(self.size).saturating_sub(self.bytes.len());
        let count = room.min(bytes.len());
        self.bytes.extend_from_slice(&bytes[..count]);
        count
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        held(&self.free).push(bytes);
    }
}

/// The lock, also after a panic of another thread: what it guards is never half done.
pub fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_divide_blocks_and_keep_to_the_budget() {
        for (connections, size) in [
            (1, 256 << 10),
            (16, 256 << 10),
            (80, 256 << 10),
            (81, 128 << 10),
            (256, 64 << 10),
        ] {
            let pool = Pool::for_connections(connections);
            assert_eq!(pool.size(), size, "{connections}");
            assert!(pool.size() * (connections + SPARE) <= BUDGET);
        }
    }

    #[tokio::test]
    async fn a_buffer_comes_back_empty() {
        let pool = Pool::new(4, 1);
        let mut buffer = pool.take().await;
        assert_eq!(buffer.append(b"abc", 2), 2);
        assert_eq!(buffer.append(b"cdef", 9), 2);
        assert_eq!(buffer.bytes(), b"abcd");
        let mut next = Box::pin(pool.take());
        assert!(futures_util::poll!(&mut next).is_pending());
        drop(buffer);
        assert_eq!(next.await.bytes(), b"");
    }
}
