//! What was brought, once it is checked; and which sums that takes.

use super::super::source::{Checksum, Metadata};
use super::beside::Told;
use super::disk::Totals;
use super::fetch::Fetch;
use super::judge::Known;
use super::sums::Wanted;
use super::verdict::{Checked, belonging, check};
use super::{Fetched, Job};
use crate::base::failure::Failure;

/// Which sums may be needed as long as nothing was told.
pub fn wanted_at_first(job: &Job) -> Wanted {
    match job.source.metadata() {
        Metadata::None => Wanted::default(),
        Metadata::Beside | Metadata::Before => Wanted::ALL,
    }
}

/// Which sums it takes to check these.
pub fn wanted_of(announced: &[Checksum]) -> Wanted {
    Wanted::of(announced.iter().map(|checksum| checksum.kind))
}

/// Checks the whole and says what it is.
///
/// # Errors
/// `Corrupt`.
pub fn conclude(
    fetch: &Fetch<'_>,
    known: &Known,
    told: Told,
    totals: &Totals,
) -> Result<Fetched, Failure> {
    let mut announced = fetch.announced.borrow().clone();
    let silence = match &told {
        Told::NotAsked | Told::Asking => None,
        Told::Pausing(why) | Told::Silent(why) => Some(why.clone()),
        Told::Said(about) => {
            announced.extend_from_slice(belonging(about, known));
            None
        }
    };
    let pins = &fetch.job.pins;
    let Checked { checked, unchecked } = check(known, pins, &announced, silence, totals)?;
    Ok(Fetched {
        length: totals.sums.length,
        validator: known.validator.clone(),
        crc64: totals.sums.crc64,
        sha256: totals.sha256,
        checked,
        unchecked,
        transferred: fetch.transferred.get(),
        resumed: fetch.resumed.get(),
    })
}
