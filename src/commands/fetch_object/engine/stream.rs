//! An object as an ordered stream for a consumer on a blocking thread. It is read again from its start when
//! it changes, or when ranges turn out to be worth nothing; nothing of it can be resumed by a later run.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::beside::Beside;
use super::course::Course;
use super::fetch::{Fetch, Trouble};
use super::judge::Known;
use super::open::{Opened, open};
use super::report::{conclude, wanted_at_first};
use super::shared::Shared;
use super::sink::Sink;
use super::split::{LEAST_BLOCK, Missing};
use super::window::{Reader, Window};
use super::{Brought, Job, ranges, whole};
use crate::base::deadline::Ended;
use crate::base::failure::{Failure, Kind};

/// How long the consumer may take to notice the end of the run.
const PARTING: std::time::Duration = std::time::Duration::from_millis(100);

/// Brings one object to `consume`, which reads it on a thread of its own. It may be called again, with the
/// object from its start: each call begins with nothing, whatever an earlier one has made.
///
/// What `consume` made counts only when this succeeds: the bytes are checked after the last one came. What it
/// leaves unread is read for the checks. When it fails the download stops.
///
/// # Errors
/// Those of the source and of `consume`; `Corrupt` for wrong bytes, `Unavailable` at the deadline. A failure of
/// the download outranks what the consumer makes of the broken stream.
pub async fn to_stream<T: Send + 'static>(
    job: &Job,
    shared: &Shared,
    consume: impl Fn(Reader) -> Result<T, Failure> + Send + Sync + 'static,
) -> Result<(Brought, Option<T>), Failure> {
    let fetch = Fetch::new(job, shared);
    let consume = Arc::new(consume);
    let mut consumer = None;
    let work = async {
        let _turn = shared.streams.acquire().await;
        run(&fetch, &consume, &mut consumer).await
    };
    let ended = shared.deadline.within(work).await;
    if let Some(consumer) = consumer.take() {
        // Whoever removes what it has made should find it at rest.
        let _ = timeout(PARTING, consumer.part()).await;
    }
    let result = match ended {
        Ok(result) => result,
        Err(Ended::Late) => Err(fetch.late()),
        Err(Ended::Stopped) => Err(fetch.stopped()),
    };
    result.map_err(|failure| failure.context(format!("fetch {}", fetch.shown)))
}

/// The thread that reads.
struct Consumer<T> {
    window: Arc<Window>,
    thread: JoinHandle<Result<T, Failure>>,
}

impl<T: Send + 'static> Consumer<T> {
    fn start<F>(window: &Arc<Window>, consume: &Arc<F>) -> Self
    where
        F: Fn(Reader) -> Result<T, Failure> + Send + Sync + 'static,
    {
        let (window, consume) = (Arc::clone(window), Arc::clone(consume));
        let of_thread = Arc::clone(&window);
        let thread = tokio::task::spawn_blocking(move || {
            let made = consume(of_thread.reader())?;
            let rest = std::io::copy(&mut of_thread.reader(), &mut std::io::sink());
            match rest {
                Ok(_) => Ok(made),
                Err(error) => Err(Failure::caused_by(Kind::Unavailable, error)),
            }
        });
        Self { window, thread }
    }

    /// Waits for its end.
    async fn end(&mut self) -> Result<T, Failure> {
        (&mut self.thread)
            .await
            .unwrap_or_else(|panic| Err(Failure::caused_by(Kind::Bug, panic)))
    }

    /// Breaks the stream and waits until the thread has noticed.
    async fn part(mut self) {
        self.window.break_off();
        let _ = (&mut self.thread).await;
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.window.break_off();
    }
}

async fn run<T, F>(
    fetch: &Fetch<'_>,
    consume: &Arc<F>,
    consumer: &mut Option<Consumer<T>>,
) -> Result<(Brought, Option<T>), Failure>
where
    T: Send + 'static,
    F: Fn(Reader) -> Result<T, Failure> + Send + Sync + 'static,
{
    let mut course = Course::default();
    loop {
        let beside = Beside::new();
        let ended = tokio::select! {
            // Asked for, it goes out before the ranges take all connections.
            biased;
            never = beside.ask(fetch) => never,
            ended = round(fetch, &course, &beside, consume, consumer) => ended,
        };
        match ended {
            Ok(brought) => return Ok(brought),
            Err(trouble) => {
                if let Some(consumer) = consumer.take() {
                    consumer.part().await;
                }
                course.turn(fetch, trouble).await?;
            }
        }
    }
}

async fn round<T, F>(
    fetch: &Fetch<'_>,
    course: &Course,
    beside: &Beside,
    consume: &Arc<F>,
    consumer: &mut Option<Consumer<T>>,
) -> Result<(Brought, Option<T>), Trouble>
where
    T: Send + 'static,
    F: Fn(Reader) -> Result<T, Failure> + Send + Sync + 'static,
{
    let part_size = fetch.shared.stream_part_size(fetch.job.host.as_deref());
    let opened = match open(fetch, course, None, part_size, beside).await? {
        Opened::Unchanged => return Ok((Brought::Unchanged, None)),
        opened => opened,
    };
    let window = Window::new(wanted_at_first(fetch.job), fetch.job.pins.sha256.is_some());
    let sink = Sink::Stream(Arc::clone(&window));
    let reading = consumer.insert(Consumer::start(&window, consume));
    let bytes = async {
        let (known, length) = fill(fetch, course, &sink, opened).await?;
        window.end(length);
        Ok::<_, Trouble>(known)
    };
    let mut bytes = std::pin::pin!(bytes);
    let mut known = None;
    let made = loop {
        tokio::select! {
            // The failure of the download comes before what the consumer makes of it.
            biased;
            filled = &mut bytes, if known.is_none() => known = Some(filled?),
            made = reading.end() => break made,
        }
    };
    consumer.take();
    let made = made?;
    let known =
        known.ok_or_else(|| Failure::new(Kind::Bug, "the stream ended before its bytes came"))?;
    let fetched = conclude(fetch, &known, beside.settled().await, &window.totals())?;
    Ok((Brought::Fetched(fetched), Some(made)))
}

/// Fills the window; says what is known of the object and how long it is.
async fn fill<'a>(
    fetch: &Fetch<'a>,
    course: &Course,
    sink: &Sink,
    opened: Opened<'a>,
) -> Result<(Known, u64), Trouble> {
    match opened {
        Opened::Ranged(known, begun) => {
            let length = known.length.unwrap_or(0);
            fetch.begin(known.length, 0);
            let part_size = fetch.shared.stream_part_size(fetch.job.host.as_deref());
            let missing = Missing::new(std::iter::once(0..length), part_size, LEAST_BLOCK);
            ranges::all(fetch, sink, &known, missing, Some(begun)).await?;
            Ok((known, length))
        }
        Opened::Whole {
            mut known,
            answer,
            permit,
            may_range,
        } => {
            fetch.begin(known.length, 0);
            let length =
                whole::receive(fetch, course, sink, &known, answer, permit, may_range).await?;
            known.length = Some(length);
            Ok((known, length))
        }
        Opened::Empty(known) => Ok((known, 0)),
        Opened::Unchanged => Ok((
            Known {
                length: None,
                validator: super::super::source::Validator::default(),
            },
            0,
        )),
    }
}
