//! An object into a part file, as far as an earlier run has left of it, and whole and checked at the end.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use tokio::time::timeout;

use super::super::source::Crc;
use super::beside::Beside;
use super::course::Course;
use super::disk::{Disk, Totals};
use super::fetch::{Fetch, Trouble};
use super::journal::Header;
use super::judge::{Known, bare};
use super::ledger::Ledger;
use super::open::{Left, Opened, open};
use super::place::{Leftover, Place};
use super::report::{conclude, wanted_at_first, wanted_of};
use super::shared::Shared;
use super::sink::Sink;
use super::split::{Missing, block_size};
use super::{Brought, Job, Slot, ranges, whole};
use crate::base::deadline::Ended;
use crate::base::failure::{Failure, Kind};

/// How late the removal of what is not kept may be after the end of the run.
const TIDYING: std::time::Duration = std::time::Duration::from_millis(100);

/// Brings one object into the part file of `slot`: whole, and right as far as it can be checked.
///
/// # Errors
/// Those of the source; `Corrupt` for wrong bytes, `Local` and `Denied` of the disk, `Unavailable` at the
/// deadline. Both files are gone then, except that what a later run can use stays after the deadline.
pub async fn to_file(job: &Job, slot: &Slot<'_>, shared: &Shared) -> Result<Brought, Failure> {
    let fetch = Fetch::new(job, shared);
    let explain = |failure: Failure| failure.context(format!("fetch {}", fetch.shown));
    let unfinished = Unfinished::new(slot, shared).map_err(explain)?;
    let download = Download {
        fetch: &fetch,
        slot,
        unfinished: &unfinished,
    };
    let ended = shared.deadline.within(download.run()).await;
    unfinished.give_up();
    let is_late = matches!(ended, Err(Ended::Late));
    let result = match ended {
        Ok(result) => result,
        Err(Ended::Late) => Err(fetch.late()),
        Err(Ended::Stopped) => Err(fetch.stopped()),
    };
    let keeps = match &result {
        Ok(Brought::Fetched(_)) => true,
        Ok(Brought::Unchanged) => false,
        Err(_) => is_late && unfinished.is_resumable.get(),
    };
    if keeps {
        unfinished.is_kept.set(true);
    } else {
        let place = Arc::clone(&unfinished.place);
        let cleared = tokio::task::spawn_blocking(move || place.clear());
        // A disk that does not answer holds up nobody; the next run clears what is left.
        if let Ok(Ok(cleared)) = timeout(shared.deadline.left_or(TIDYING), cleared).await {
            unfinished.is_kept.set(true);
            if result.is_ok() {
                cleared.map_err(explain)?;
            }
        }
    }
    result.map_err(explain)
}

/// The files of a download, removed when it is dropped half done.
struct Unfinished<'a> {
    place: Arc<Place>,
    disk: RefCell<Option<Arc<Disk>>>,
    shared: &'a Shared,
    is_resumable: Cell<bool>,
    is_kept: Cell<bool>,
}

impl<'a> Unfinished<'a> {
    fn new(slot: &Slot<'_>, shared: &'a Shared) -> Result<Self, Failure> {
        Ok(Self {
            place: Arc::new(Place::of(slot)?),
            disk: RefCell::default(),
            shared,
            is_resumable: Cell::new(false),
            is_kept: Cell::new(false),
        })
    }

    /// Whoever still works on the files stops.
    fn give_up(&self) {
        self.place.give_up();
        if let Some(disk) = self.disk.take() {
            disk.give_up();
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.give_up();
        let keeps = self.shared.keeps_unfinished.get() && self.is_resumable.get();
        if !self.is_kept.get() && !keeps {
            // There is nobody left to tell; the next run clears what is left.
            let _ = self.place.clear();
        }
    }
}

/// Does work of the disk on a thread of its own.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|panic| Err(Failure::caused_by(Kind::Bug, panic)))
}

struct Download<'d, 'a> {
    fetch: &'d Fetch<'a>,
    slot: &'d Slot<'d>,
    unfinished: &'d Unfinished<'a>,
}

impl Download<'_, '_> {
    async fn run(&self) -> Result<Brought, Failure> {
        let mut course = Course::default();
        // As long as it is being proved, what is left may still be good.
        self.unfinished.is_resumable.set(self.slot.resumes);
        let mut leftover = self.find().await?;
        loop {
            let beside = Beside::new();
            let round = self.round(&course, leftover.take(), &beside);
            let ended = tokio::select! {
                // Asked for, it goes out before the ranges take all connections.
                biased;
                never = beside.ask(self.fetch) => never,
                ended = round => ended,
            };
            match ended {
                Ok(brought) => return Ok(brought),
                Err(trouble) => {
                    self.unfinished.is_resumable.set(false);
                    let disk = self.unfinished.disk.take();
                    if let Some(disk) = disk {
                        // Its space is free only when nobody writes it any more.
                        disk.stop().await;
                    }
                    course.turn(self.fetch, trouble).await?;
                }
            }
        }
    }

    /// What an earlier run has left, if it may be used.
    async fn find(&self) -> Result<Option<Leftover>, Failure> {
        if !self.slot.resumes {
            return Ok(None);
        }
        let place = Arc::clone(&self.unfinished.place);
        let identity = self.slot.identity.to_string();
        let wanted = wanted_at_first(self.fetch.job);
        let found = off_thread(move || place.find(&identity, wanted)).await?;
        let pins = &self.fetch.job.pins;
        let may_use = |left: &Leftover| {
            let etag = left.header.validator.etag.as_deref().map(bare);
            let is_pinned = pins
                .etag
                .as_deref()
                .is_none_or(|pin| etag == Some(bare(pin)));
            is_pinned && (left.header.validator.is_strong() || pins.sha256.is_some())
        };
        Ok(found.filter(may_use))
    }

    async fn round(
        &self,
        course: &Course,
        leftover: Option<Leftover>,
        beside: &Beside,
    ) -> Result<Brought, Trouble> {
        let fetch = self.fetch;
        let part_size = fetch.shared.part_size();
        let left_known = leftover.as_ref().map(|left| Known {
            length: Some(left.header.length),
            validator: left.header.validator.clone(),
        });
        let left = leftover
            .as_ref()
            .zip(left_known.as_ref())
            .map(|(left, known)| {
                let runs = left.ledger.missing();
                let missing = Missing::new(runs, part_size, left.ledger.block()).peek();
                let last = left.header.length.saturating_sub(1);
                Left {
                    known,
                    range: missing.unwrap_or(last..left.header.length),
                }
            });
        self.unfinished.is_resumable.set(leftover.is_some());
        match open(fetch, course, left, part_size, beside).await? {
            Opened::Unchanged => Ok(Brought::Unchanged),
            Opened::Ranged(known, begun) => {
                let length = known.length;
                let (disk, ledger) = self.prepare(&known, leftover).await?;
                let sink = Sink::File(Arc::clone(&disk));
                let missing = Missing::new(ledger.missing(), part_size, ledger.block());
                let first = (ledger.front() != length.unwrap_or(0)).then_some(begun);
                self.fill(
                    &disk,
                    beside,
                    ranges::all(fetch, &sink, &known, missing, first),
                )
                .await?;
                self.finish(&disk, known, beside).await
            }
            Opened::Whole {
                mut known,
                answer,
                permit,
                may_range,
            } => {
                drop(leftover);
                let (disk, _) = self.prepare(&known, None).await?;
                let sink = Sink::File(Arc::clone(&disk));
                let work = whole::receive(fetch, course, &sink, &known, answer, permit, may_range);
                let length = self.fill(&disk, beside, work).await?;
                known.length = Some(length);
                self.finish(&disk, known, beside).await
            }
            Opened::Empty(known) => {
                drop(leftover);
                let (disk, _) = self.prepare(&known, None).await?;
                self.finish(&disk, known, beside).await
            }
        }
    }

    /// Makes the files, or goes on with those that are there.
    async fn prepare(
        &self,
        known: &Known,
        leftover: Option<Leftover>,
    ) -> Result<(Arc<Disk>, Ledger), Failure> {
        let hashes = self.fetch.job.pins.sha256.is_some();
        let wanted = wanted_at_first(self.fetch.job);
        let length = known.length;
        let (part, ledger, log) = match leftover {
            Some(left) => {
                // What is allocated already is no longer to be had from the free space.
                let allocated = left.part.size()?.1.max(left.ledger.held());
                (self.slot.room)(left.header.length.saturating_sub(allocated))?;
                self.fetch.begin(length, left.ledger.held());
                (left.part, left.ledger, Some(left.log))
            }
            None => {
                let place = Arc::clone(&self.unfinished.place);
                off_thread(move || place.clear()).await?;
                (self.slot.room)(length.unwrap_or(0))?;
                let header = self.header(known);
                let place = Arc::clone(&self.unfinished.place);
                let (part, log) = off_thread(move || place.create(length, header.as_ref())).await?;
                self.fetch.begin(length, 0);
                (part, Ledger::new(length), log)
            }
        };
        self.unfinished.is_resumable.set(log.is_some());
        let disk = Disk::new(part, ledger.clone(), log, wanted, hashes);
        self.unfinished.disk.replace(Some(Arc::clone(&disk)));
        Ok((disk, ledger))
    }

    /// The header of the journal, if a later run may resume.
    fn header(&self, known: &Known) -> Option<Header> {
        let is_sure = known.validator.is_strong() || self.fetch.job.pins.sha256.is_some();
        let length = known.length.filter(|_| self.slot.resumes && is_sure)?;
        Some(Header {
            identity: self.slot.identity.to_string(),
            validator: known.validator.clone(),
            length,
            block: block_size(Some(length)),
            crc: Crc::Crc64Nvme,
        })
    }

    /// Waits for the bytes, unless writing them fails; learns meanwhile which sums are needed.
    async fn fill<T>(
        &self,
        disk: &Disk,
        beside: &Beside,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let narrow = async {
            let about = beside.said().await;
            disk.narrow(wanted_of(&about.checksums));
            std::future::pending().await
        };
        tokio::select! {
            done = work => done,
            failure = disk.failed() => Err(failure.into()),
            never = narrow => never,
        }
    }

    /// Waits until all is written, then checks it.
    async fn finish(
        &self,
        disk: &Arc<Disk>,
        known: Known,
        beside: &Beside,
    ) -> Result<Brought, Trouble> {
        let totals: Option<Totals> = tokio::select! {
            totals = disk.finish() => totals?,
            failure = disk.failed() => return Err(failure.into()),
        };
        let missing = || Failure::new(Kind::Bug, "some blocks were never written");
        let totals = totals.ok_or_else(missing)?;
        let fetched = conclude(self.fetch, &known, beside.settled().await, &totals);
        match fetched {
            Err(_) if self.fetch.resumed.get() > 0 && !known.validator.is_strong() => {
                // What was left may have been of another state: nothing but the pin could tell.
                Err(Trouble::Changed(
                    "what an earlier run had left does not fit".to_string(),
                ))
            }
            fetched => Ok(Brought::Fetched(fetched?)),
        }
    }
}
