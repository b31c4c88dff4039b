//! A whole object in one body. Cut, it goes on with ranges where they may work, else from its start.

use super::super::source::Answer;
use super::course::Course;
use super::fetch::{Fetch, Trouble};
use super::judge::Known;
use super::pour::{Pour, Poured};
use super::ranges;
use super::shared::Permit;
use super::sink::Sink;
use crate::base::failure::{Failure, Kind};

/// Takes the body in; says how long the object is.
///
/// # Errors
/// What ends the round.
pub async fn receive<'a>(
    fetch: &Fetch<'a>,
    course: &Course,
    sink: &Sink,
    known: &Known,
    answer: Answer,
    permit: Permit<'a>,
    may_range: bool,
) -> Result<u64, Trouble> {
    let mut pour = Pour::new(sink, 0);
    let poured = pour.run(fetch, answer.body, known.length).await?;
    drop(permit);
    let failure = match (poured, known.length) {
        (Poured::End, None) => {
            pour.flush();
            return Ok(pour.at);
        }
        (Poured::End | Poured::Cut(_), Some(length)) if pour.at == length => {
            pour.flush();
            return Ok(length);
        }
        (Poured::Over, _) => {
            let reason = "the body is longer than declared";
            return Err(Failure::new(Kind::Corrupt, reason).into());
        }
        (Poured::Cut(failure), _) => failure,
        (Poured::End, Some(length)) => {
            let reason = format!("the body ended {} bytes early", length - pour.at);
            Failure::new(Kind::Unavailable, reason)
        }
    };
    match known.length {
        Some(length) if may_range && !course.is_plain && pour.at > 0 => {
            pour.flush();
            let at = pour.at;
            fetch.patience.wait(0, failure).await;
            ranges::one(fetch, sink, known, at..length, None).await?;
            Ok(length)
        }
        _ => Err(Trouble::Cut(failure)),
    }
}
