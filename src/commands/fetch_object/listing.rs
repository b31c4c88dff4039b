//! Everything under a prefix, before the first object is asked for: all pages, filters, safety, caps.

use std::time::Duration;

use tracing::warn;

use super::keys::{Selection, select};
use super::work::{Named, Work};
use crate::base::failure::{Failure, Kind};
use crate::base::retry::{Backoff, until};

/// How often a page is asked for again.
const AGAIN: Backoff = Backoff {
    first: Duration::from_millis(200),
    max: Duration::from_secs(5),
};

/// Lists and judges.
///
/// # Errors
/// Those of the source; `Corrupt` for unsafe keys and beyond the cap, `Missing` if there is nothing.
pub(super) async fn list(named: &Named<'_>, work: &Work<'_>) -> Result<Selection, Failure> {
    let options = &work.request.options;
    let location = &named.entry.location;
    let mut listed = Vec::new();
    let mut next: Option<String> = None;
    let what = format!("list {location}");
    loop {
        let page = until(work.deadline, AGAIN, &what, async || {
            named.source.list(&location.key, next.as_deref()).await
        })
        .await
        .map_err(|failure| failure.context(what.clone()))?;
        listed.extend(page.objects);
        if page.next.is_some() && page.next == next {
            return Err(Failure::new(
                Kind::Corrupt,
                "the store names the same page as the next one",
            )
            .context(what));
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    let selection = select(&location.key, listed, &options.filter);
    if options.skip_unsafe {
        if let Some(told) = selection.told_unsafe() {
            warn!("{location}: left out {told}");
        }
    } else {
        selection
            .refuse_unsafe()
            .map_err(|failure| failure.context(what.clone()))?;
    }
    check(&selection, options.max_size, options.allow_empty)
        .map_err(|failure| failure.context(what))?;
    Ok(selection)
}

/// What the flags say of so much, or so little.
fn check(selection: &Selection, max_size: Option<u64>, allow_empty: bool) -> Result<(), Failure> {
    if selection.is_empty() && !allow_empty {
        let reason = match (selection.filtered, selection.unsafe_keys.len()) {
            (0, 0) => "there is nothing under it".to_string(),
            (filtered, 0) => format!("--include and --exclude leave nothing of {filtered} keys"),
            (filtered, unsafe_keys) => format!(
                "nothing is left: {unsafe_keys} keys are unsafe, {filtered} were left out by --include and --exclude"
            ),
        };
        return Err(Failure::new(Kind::Missing, reason)
            .hint("check the prefix, or give --allow-empty if that is fine"));
    }
    let bytes = selection.bytes();
    match max_size {
        Some(cap) if bytes > cap => Err(Failure::new(
            Kind::Corrupt,
            format!("all of it has {bytes} bytes, and --max-size allows {cap}"),
        )
        .hint("raise --max-size if you trust the source")),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::fetch_object::globs::{Filter, Glob};
    use crate::commands::fetch_object::source::{Listed, Validator};

    #[test]
    fn too_much_and_nothing_are_refused() {
        let listed = vec![Listed {
            key: "p/a".to_string(),
            size: 10,
            validator: Validator::default(),
            checksums: Vec::new(),
        }];
        let all = select("p/", listed.clone(), &Filter::default());
        assert!(check(&all, Some(10), false).is_ok());
        assert_eq!(
            check(&all, Some(9), false).unwrap_err().kind(),
            Kind::Corrupt
        );
        let filter = Filter {
            include: vec![Glob::new("*.zip").unwrap()],
            exclude: Vec::new(),
        };
        let none = select("p/", listed, &filter);
        let failure = check(&none, None, false).unwrap_err();
        assert_eq!(failure.kind(), Kind::Missing);
        assert!(failure.to_string().contains("1 keys"), "{failure}");
        assert!(check(&none, None, true).is_ok());
    }
}
