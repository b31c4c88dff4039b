//! The first request of an object, and what its answer is taken for.

use std::ops::Range;

use tracing::warn;

use super::super::source::{About, Answer, Condition, Framing, Metadata, Reply, Span};
use super::beside::Beside;
use super::course::Course;
use super::fetch::{Fetch, Trouble};
use super::judge::{Head, Known, Verdict, difference, part};
use super::ranges::{Begun, unasked_304};
use super::shared::Permit;
use super::verdict::{check_cap, check_pin};
use crate::base::failure::{Failure, Kind};

/// What the first answer is.
pub enum Opened<'a> {
    /// The caller has the object already.
    Unchanged,
    /// Ranges work; the body is that of the first range.
    Ranged(Known, Begun<'a>),
    /// The body is the whole object.
    Whole {
        known: Known,
        answer: Answer,
        permit: Permit<'a>,
        /// No range was asked for yet, so they may work.
        may_range: bool,
    },
    /// There are no bytes.
    Empty(Known),
}

/// What an earlier run has left, as far as the first request needs it.
pub struct Left<'a> {
    pub known: &'a Known,
    /// The first range that is missing; the last byte when nothing is.
    pub range: Range<u64>,
}

/// Asks for the object for the first time in this round.
///
/// # Errors
/// What ends the round.
pub async fn open<'a>(
    fetch: &Fetch<'a>,
    course: &Course,
    left: Option<Left<'_>>,
    part_size: u64,
    beside: &Beside,
) -> Result<Opened<'a>, Trouble> {
    let job = fetch.job;
    let before = match metadata(fetch, course).await? {
        Some(about) if fetch.has(&about.validator) => {
            return Ok(Opened::Unchanged);
        }
        Some(about) => Some(take_in(fetch, about)?),
        None if job.source.metadata() == Metadata::Before => {
            return Ok(Opened::Unchanged);
        }
        None => None,
    };
    if let (Some(left), Some(before)) = (&left, &before)
        && (difference(&left.known.validator, &before.validator).is_some()
            || left.known.length != before.length)
    {
        return Err(Trouble::Stale);
    }
    if let Some(known) = &before
        && known.length == Some(0)
    {
        return Ok(Opened::Empty(known.clone()));
    }
    let question = Question {
        fetch,
        known: left.as_ref().map(|left| left.known).or(before.as_ref()),
        is_left: left.is_some(),
    };
    let listed = job.listed.as_ref().map(|listed| listed.size);
    let expected = before.as_ref().and_then(|known| known.length).or(listed);
    let width = fetch.shared.width(job.host.as_deref());
    let is_plain =
        course.is_plain || width == 1 || expected.is_some_and(|length| length <= part_size);
    let range = match left {
        Some(left) => left.range,
        None if is_plain => return question.whole(false).await,
        None => 0..expected.unwrap_or(u64::MAX).min(part_size),
    };
    if job.have.is_none() {
        beside.send(fetch).await;
    }
    let opened = question.part(range).await?;
    if let Opened::Ranged(known, _) = &opened {
        beside.send(fetch).await;
        if !known.validator.is_strong() {
            warn!(
                "{}: no strong ETag: every answer has to have the same date and length, and a later run cannot resume",
                fetch.shown
            );
        }
    }
    Ok(opened)
}

/// What is known before the first GET, where that is needed; `None` also when the object has not changed.
async fn metadata(fetch: &Fetch<'_>, course: &Course) -> Result<Option<About>, Failure> {
    let job = fetch.job;
    if job.source.metadata() != Metadata::Before {
        return Ok(None);
    }
    if let Some(listed) = job
        .listed
        .as_ref()
        .filter(|listed| course.changes == 0 && listed.validator.generation.is_some())
    {
        return Ok(Some(About {
            length: Some(listed.size),
            validator: listed.validator.clone(),
            checksums: listed.checksums.clone(),
        }));
    }
    let condition = job
        .have
        .as_ref()
        .map_or(Condition::Always, Condition::Other);
    fetch
        .patience
        .persist(async || fetch.about(condition).await)
        .await
}

fn take_in(fetch: &Fetch<'_>, about: About) -> Result<Known, Failure> {
    let known = Known {
        length: about.length,
        validator: about.validator,
    };
    check(fetch, &known)?;
    *fetch.announced.borrow_mut() = about.checksums;
    Ok(known)
}

/// Whether the object is the one that is wanted, and not too long.
fn check(fetch: &Fetch<'_>, known: &Known) -> Result<(), Failure> {
    check_pin(&fetch.job.pins, &known.validator)?;
    check_cap(fetch.job.max_size, known.length.unwrap_or(0))
}

/// The first GET.
struct Question<'q, 'a> {
    fetch: &'q Fetch<'a>,
    /// From metadata, or from an earlier run.
    known: Option<&'q Known>,
    /// Whether an earlier run has left something.
    is_left: bool,
}

impl<'a> Question<'_, 'a> {
    fn condition(&self) -> Condition<'_> {
        match (self.known, &self.fetch.job.have) {
            (Some(known), _) => Condition::Same(&known.validator),
            (None, Some(have)) => Condition::Other(have),
            (None, None) => Condition::Always,
        }
    }

    async fn ask(&self, span: &Span) -> Result<(Reply, Permit<'a>), Failure> {
        let patience = &self.fetch.patience;
        patience
            .persist(async || self.fetch.get(span.clone(), self.condition()).await)
            .await
    }

    /// Asks for a range; one bad answer is forgiven.
    async fn part(&self, range: Range<u64>) -> Result<Opened<'a>, Trouble> {
        let mut has_erred = false;
        loop {
            let (reply, permit) = self.ask(&Span::Part(range.clone())).await?;
            let answer = match reply {
                Reply::Answer(answer) => answer,
                Reply::OutOfRange if self.is_left => return Err(Trouble::Stale),
                Reply::OutOfRange => {
                    drop(permit);
                    return self.whole(true).await;
                }
                other => return self.without_body(&other),
            };
            if !answer.is_partial {
                return self.judge_whole(answer, permit, false);
            }
            let head = Head {
                content_range: answer.content_range.as_deref(),
                framing: answer.framing,
                validator: &answer.validator,
            };
            match part(&range, head, self.known) {
                Verdict::Part { end, total } => {
                    let known = Known {
                        length: Some(total),
                        // Metadata may know more than an answer repeats.
                        validator: self.known.map_or_else(
                            || answer.validator.clone(),
                            |known| known.validator.clone(),
                        ),
                    };
                    if !self.is_left && self.fetch.has(&known.validator) {
                        return Ok(Opened::Unchanged);
                    }
                    check(self.fetch, &known)?;
                    return Ok(Opened::Ranged(
                        known,
                        Begun {
                            answer,
                            permit,
                            end,
                        },
                    ));
                }
                Verdict::Changed(how) => return Err(self.changed(how)),
                Verdict::Wrong(why) if has_erred => return Err(Trouble::Distrust(why)),
                Verdict::Wrong(_) => has_erred = true,
            }
        }
    }

    /// Asks for the whole, by a plain GET; after a 416 that should be empty.
    async fn whole(&self, is_confirmation: bool) -> Result<Opened<'a>, Trouble> {
        let (reply, permit) = self.ask(&Span::All).await?;
        let wrong = |what: &str| Trouble::Failed(Failure::new(Kind::Corrupt, what));
        match reply {
            Reply::Answer(answer) if answer.is_partial => {
                Err(wrong("206 to a GET without a range"))
            }
            Reply::Answer(answer) => self.judge_whole(answer, permit, !is_confirmation),
            Reply::OutOfRange if is_confirmation => {
                Err(wrong("416 to a GET with a range and to one without"))
            }
            Reply::OutOfRange => Err(wrong("416 to a GET without a range")),
            other => self.without_body(&other),
        }
    }

    /// 304 and 412.
    fn without_body(&self, reply: &Reply) -> Result<Opened<'a>, Trouble> {
        match (reply, self.known, &self.fetch.job.have) {
            (Reply::Unchanged, None, Some(_)) => Ok(Opened::Unchanged),
            (Reply::Unchanged, _, _) => Err(unasked_304().into()),
            (_, Some(_), _) => {
                Err(self.changed("it is no longer the one that was known".to_string()))
            }
            (_, None, _) => Err(Failure::new(
                Kind::Corrupt,
                "412 to a request without a condition on the state",
            )
            .into()),
        }
    }

    /// What is left of another state is no change of the object in this run.
    fn changed(&self, how: String) -> Trouble {
        if self.is_left {
            Trouble::Stale
        } else {
            Trouble::Changed(how)
        }
    }

    /// Judges a 200.
    fn judge_whole(
        &self,
        answer: Answer,
        permit: Permit<'a>,
        may_range: bool,
    ) -> Result<Opened<'a>, Trouble> {
        let length = match answer.framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::Close => None,
        };
        let mut known = Known {
            length,
            validator: answer.validator.clone(),
        };
        if let Some(before) = self.known.filter(|_| !self.is_left) {
            if let Some(how) = difference(&before.validator, &known.validator) {
                return Err(Trouble::Changed(how));
            }
            if length.is_some() && before.length.is_some() && length != before.length {
                return Err(Trouble::Changed(
                    "another length than that of its metadata".to_string(),
                ));
            }
            known = before.clone();
        }
        if self.fetch.has(&known.validator) {
            return Ok(Opened::Unchanged);
        }
        check(self.fetch, &known)?;
        let is_proven = answer.framing != Framing::Close || known.length.is_some();
        if !is_proven && self.fetch.job.pins.sha256.is_none() {
            let reason =
                "the answer has neither a length nor chunks: nothing proves that it is whole";
            return Err(Failure::new(Kind::Corrupt, reason)
                .hint("pin the object with --sha256")
                .into());
        }
        self.fetch
            .announced
            .borrow_mut()
            .extend(answer.checksums.iter().cloned());
        if known.length == Some(0) {
            return Ok(Opened::Empty(known));
        }
        Ok(Opened::Whole {
            known,
            answer,
            permit,
            may_range,
        })
    }
}
