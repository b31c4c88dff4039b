//! What is done when a round of an object did not end well: begin anew in another way, or give up.

use tracing::warn;

use super::fetch::{Fetch, Trouble};
use crate::base::failure::{Failure, Kind};

/// What the rounds so far have shown.
#[derive(Debug, Default)]
pub struct Course {
    /// Ranges are not trusted any more.
    pub is_plain: bool,
    /// How often the object became another one.
    pub changes: u32,
    cuts: u32,
    how: Option<String>,
}

impl Course {
    /// Prepares the next round.
    ///
    /// # Errors
    /// There is none.
    pub async fn turn(&mut self, fetch: &Fetch<'_>, trouble: Trouble) -> Result<(), Failure> {
        fetch.drop_back();
        match trouble {
            Trouble::Failed(failure) => return Err(failure),
            Trouble::Stale => {}
            Trouble::Changed(how) => {
                self.changes += 1;
                if let Some(first) = self.how.replace(how.clone()) {
                    return Err(Failure::new(
                        Kind::Unavailable,
                        format!("the object changed twice while it was fetched: {first}; {how}"),
                    )
                    .hint("pin a version, or fetch it when nobody writes it"));
                }
                warn!(
                    "{}: changed while it was fetched ({how}): it is fetched anew",
                    fetch.shown
                );
            }
            Trouble::Distrust(why) => {
                if self.is_plain {
                    return Err(Failure::new(Kind::Corrupt, why));
                }
                self.is_plain = true;
                warn!(
                    "{}: ranges cannot be trusted ({why}): it is fetched anew with one plain GET",
                    fetch.shown
                );
            }
            Trouble::Cut(failure) => {
                fetch.patience.wait(self.cuts, failure).await;
                self.cuts = self.cuts.saturating_add(1);
            }
        }
        Ok(())
    }
}
