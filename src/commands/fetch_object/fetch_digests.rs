//! The file of digests that a URL names.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::location::Location;
use super::request::{DigestsFrom, Request};
use super::source::{Condition, Framing, Object, Reply, Source, Span};
use super::sums::{self, Digests, MAX_BYTES};
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::retry::{Backoff, until};

/// How often it is asked for again.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(200),
    max: Duration::from_secs(5),
};

/// Fetches the digests, if they have to be fetched.
///
/// # Errors
/// Those of the source; `Corrupt` if it is no such file.
pub(super) async fn fetch(
    request: &mut Request,
    deadline: &Deadline,
) -> Result<Option<Digests>, Failure> {
    let location = match std::mem::replace(&mut request.digests, DigestsFrom::Nowhere) {
        DigestsFrom::Nowhere => return Ok(None),
        DigestsFrom::File(digests) => return Ok(Some(digests)),
        DigestsFrom::Url(location) => location,
    };
    let sources: Vec<&Location> = request
        .entries
        .iter()
        .map(|entry| &entry.location)
        .collect();
    let source = request.access.open_beside(&location, &sources)?;
    let object = Object {
        key: location.key.clone(),
        version: location.version.clone(),
    };
    let what = format!("fetch --sha256-file {location}");
    let explain = |failure: Failure| failure.context(what.clone());
    let bytes = until(deadline, AGAIN, &what, async || {
        read(&*source, &object).await
    })
    .await
    .map_err(explain)?;
    sums::parse(&bytes).map(Some).map_err(explain)
}

/// One attempt.
async fn read(source: &dyn Source, object: &Object) -> Result<Vec<u8>, Failure> {
    let corrupt = |reason: &str| Failure::new(Kind::Corrupt, reason.to_string());
    let mut answer = match source.get(object, Span::All, Condition::Always).await? {
        Reply::Answer(answer) if !answer.is_partial => answer,
        Reply::Answer(_) => return Err(corrupt("the server sends a part of it unasked")),
        Reply::Unchanged | Reply::Changed | Reply::OutOfRange => {
            return Err(corrupt("the server answers what was not asked"));
        }
    };
    let mut bytes = Vec::new();
    while let Some(piece) = answer.body.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > MAX_BYTES {
            return Err(corrupt("it is longer than 1 MiB").hint("it holds lines `HEX  NAME`"));
        }
    }
    match answer.framing {
        Framing::Close => Err(corrupt(
            "it has neither a length nor chunks, so its end is not sure",
        )),
        Framing::Length(length) if length != bytes.len() as u64 => {
            Err(Failure::new(Kind::Unavailable, "it ended before its end"))
        }
        Framing::Length(_) | Framing::Chunked => Ok(bytes),
    }
}
