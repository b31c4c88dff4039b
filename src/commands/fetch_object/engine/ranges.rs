//! The ranges of an object over several connections, each asked for again until it is whole.

use std::cell::RefCell;
use std::ops::Range;

use futures_util::future::try_join_all;

use super::super::source::{Answer, Condition, Framing, Reply, Span};
use super::fetch::{Fetch, Trouble};
use super::judge::{Head, Known, Verdict, difference, part};
use super::pour::{Pour, Poured};
use super::shared::Permit;
use super::sink::Sink;
use super::split::Missing;
use crate::base::failure::{Failure, Kind};

/// An attempt that brought so much was no failure of the range: the next one is made soon.
const PROGRESS: u64 = 64 << 10;

/// The answer to a range, judged: its body is the bytes up to `end`.
pub struct Begun<'a> {
    pub answer: Answer,
    pub permit: Permit<'a>,
    pub end: u64,
}

/// Brings all that is missing. `first` is the answer to the first part, if it is there already.
///
/// # Errors
/// What ends the round.
pub async fn all<'a>(
    fetch: &Fetch<'a>,
    sink: &Sink,
    known: &Known,
    missing: Missing,
    first: Option<Begun<'a>>,
) -> Result<(), Trouble> {
    let width = fetch.shared.width(fetch.job.host.as_deref());
    let width = usize::try_from(missing.count()).unwrap_or(width).min(width);
    let missing = RefCell::new(missing);
    let worker = async |mut first: Option<Begun<'a>>| {
        loop {
            let Some(range) = missing.borrow_mut().take() else {
                return Ok(());
            };
            sink.reach(range.end).await;
            one(fetch, sink, known, range, first.take()).await?;
        }
    };
    let firsts = std::iter::once(first).chain(std::iter::repeat_with(|| None));
    try_join_all(firsts.take(width).map(worker)).await.map(drop)
}

/// Brings one range.
///
/// # Errors
/// What ends the round.
pub async fn one<'a>(
    fetch: &Fetch<'a>,
    sink: &Sink,
    known: &Known,
    range: Range<u64>,
    mut first: Option<Begun<'a>>,
) -> Result<(), Trouble> {
    let mut pour = Pour::new(sink, range.start);
    let mut has_erred = false;
    let mut number = 0;
    while pour.at < range.end {
        let from = pour.at;
        let begun = match first.take() {
            Some(begun) => Ok(begun),
            None => ask(fetch, known, pour.at..range.end).await,
        };
        let failure = match begun {
            Ok(begun) => match receive(fetch, &mut pour, begun).await? {
                None => {
                    number = 0;
                    continue;
                }
                Some(Error::Unready(failure)) => failure,
                Some(Error::Wrong(why)) => {
                    let is_whole = range.start % super::split::LEAST_BLOCK == 0;
                    let (Sink::File(disk), true, false) = (sink, is_whole, has_erred) else {
                        return Err(Trouble::Distrust(why));
                    };
                    // Nothing of it may stay, nor be written after what comes next.
                    fetch.wasted(pour.at - range.start);
                    pour.flush();
                    disk.forget(range.clone());
                    disk.settle().await;
                    pour = Pour::new(sink, range.start);
                    has_erred = true;
                    continue;
                }
            },
            Err(Trouble::Distrust(_)) if !has_erred => {
                has_erred = true;
                continue;
            }
            Err(Trouble::Failed(failure)) if failure.kind().is_retried() => failure,
            Err(trouble) => return Err(trouble),
        };
        if pour.at - from >= PROGRESS {
            number = 0;
        }
        pour.pause();
        fetch.patience.wait(number, failure).await;
        number = number.saturating_add(1);
    }
    pour.flush();
    Ok(())
}

/// What is wrong with a body.
enum Error {
    Unready(Failure),
    Wrong(String),
}

/// Takes in the body of a range.
async fn receive(
    fetch: &Fetch<'_>,
    pour: &mut Pour<'_>,
    begun: Begun<'_>,
) -> Result<Option<Error>, Failure> {
    let Begun {
        answer,
        permit,
        end,
    } = begun;
    let poured = pour.run(fetch, answer.body, Some(end)).await?;
    drop(permit);
    Ok(match poured {
        Poured::Over => Some(Error::Wrong("a range was longer than declared".to_string())),
        // All that was declared is there; only its seal is missing.
        Poured::End | Poured::Cut(_) if pour.at == end => None,
        Poured::Cut(failure) => Some(Error::Unready(failure)),
        Poured::End => {
            let reason = format!("a range ended {} bytes early", end - pour.at);
            Some(Error::Unready(Failure::new(Kind::Unavailable, reason)))
        }
    })
}

/// Asks for a range of an object that is known, and judges the answer.
async fn ask<'a>(
    fetch: &Fetch<'a>,
    known: &Known,
    range: Range<u64>,
) -> Result<Begun<'a>, Trouble> {
    let condition = Condition::Same(&known.validator);
    let (reply, permit) = fetch.get(Span::Part(range.clone()), condition).await?;
    match reply {
        Reply::Answer(answer) => judge(answer, &range, known).map(|(answer, end)| Begun {
            answer,
            permit,
            end,
        }),
        Reply::Changed => Err(Trouble::Changed(
            "it is no longer the one that was begun".to_string(),
        )),
        Reply::OutOfRange => Err(Trouble::Changed(format!(
            "it has no byte {} any more",
            range.start
        ))),
        Reply::Unchanged => Err(unasked_304().into()),
    }
}

/// Judges the answer to a range of an object that is known; says where its body ends.
///
/// # Errors
/// `Changed` or `Distrust`.
pub fn judge(answer: Answer, range: &Range<u64>, known: &Known) -> Result<(Answer, u64), Trouble> {
    if !answer.is_partial {
        let length = match answer.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::Close => None,
        };
        let is_long = length
            .zip(known.length)
            .is_some_and(|(one, other)| one != other);
        return Err(match difference(&known.validator, &answer.validator) {
            Some(how) => Trouble::Changed(how),
            None if is_long => Trouble::Changed("another length".to_string()),
            None => Trouble::Distrust("a range was answered with the whole object".to_string()),
        });
    }
    let head = Head {
        content_range: answer.content_range.as_deref(),
        framing: answer.framing,
        validator: &answer.validator,
    };
    match part(range, head, Some(known)) {
        Verdict::Part { end, .. } => Ok((answer, end)),
        Verdict::Changed(how) => Err(Trouble::Changed(how)),
        Verdict::Wrong(why) => Err(Trouble::Distrust(why)),
    }
}

/// A 304 to a request without a condition.
pub fn unasked_304() -> Failure {
    Failure::new(
        Kind::Corrupt,
        "304 to a request that did not ask whether the object had changed",
    )
}
