//! What all objects of a run share: connections, buffers, bandwidth, the end, the progress.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::patience::Voice;
use super::pool::Pool;
use super::split;
use super::throttle::Throttle;
use super::window::WINDOW;
use crate::base::deadline::Deadline;
use crate::base::progress::Progress;

/// What the flags say of how to fetch.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// `--parallel`: connections, all objects together.
    pub parallel: usize,
    /// `--part-size`: the bytes of one range.
    pub part_size: u64,
    /// `--max-bandwidth`: bytes a second, all connections together.
    pub max_bandwidth: Option<u64>,
    /// `--stall-timeout`: a connection that brings nothing for so long is dropped.
    pub stall_timeout: Duration,
}

/// A number of connections that may be open at a time.
#[derive(Debug)]
pub struct Connections {
    permits: Semaphore,
    count: usize,
}

/// The right to one connection, of the run's and of the host's.
pub(super) type Permit<'a> = (Option<SemaphorePermit<'a>>, SemaphorePermit<'a>);

impl Connections {
    /// `count` of them, at least one.
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        Self {
            permits: Semaphore::new(count),
            count,
        }
    }

    async fn take(&self) -> SemaphorePermit<'_> {
        match self.permits.acquire().await {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }
}

/// What all objects of a run share.
pub struct Shared {
    /// When the run has to be over.
    pub deadline: Deadline,
    /// What is shown of the run.
    pub progress: Progress,
    /// Set it before dropping a download that is to be resumed by the next run: when another object of
    /// the run was `Unavailable`. A download that is dropped otherwise leaves nothing.
    pub keeps_unfinished: Cell<bool>,
    pub(super) tuning: Tuning,
    pub(super) connections: Connections,
    pub(super) pool: Pool,
    pub(super) throttle: Throttle,
    pub(super) voice: Voice,
    /// One ordered window at a time: it is the largest piece of memory.
    pub(super) streams: Semaphore,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// For one run.
    pub fn new(deadline: Deadline, tuning: Tuning, progress: Progress) -> Self {
        Self {
            deadline,
            progress,
            keeps_unfinished: Cell::new(false),
            connections: Connections::new(tuning.parallel),
            pool: Pool::for_connections(tuning.parallel.max(1)),
            throttle: Throttle::new(tuning.max_bandwidth),
            voice: Voice::default(),
            streams: Semaphore::new(1),
            tuning,
        }
    }

    /// The right to one connection. The host's comes first: who waits for it holds nothing.
    pub(super) async fn connection<'a>(&'a self, host: Option<&'a Connections>) -> Permit<'a> {
        let of_host = match host {
            Some(host) => Some(host.take().await),
            None => None,
        };
        (of_host, self.connections.take().await)
    }

    /// How many ranges of one object are asked for at a time.
    pub(super) fn width(&self, host: Option<&Connections>) -> usize {
        let of_host = host.map_or(usize::MAX, |host| host.count);
        self.connections.count.min(of_host)
    }

    /// The bytes of one range of a file.
    pub(super) fn part_size(&self) -> u64 {
        split::part_size(self.tuning.part_size)
    }

    /// The bytes of one range of a stream: all connections have to fit into its window.
    pub(super) fn stream_part_size(&self, host: Option<&Connections>) -> u64 {
        let fair = WINDOW / self.width(host) as u64;
        split::part_size(self.tuning.part_size.min(fair))
    }
}
