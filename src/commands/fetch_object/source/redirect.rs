//! Which redirects are followed, and what is sent along. Pure.

use super::Address;
use crate::base::failure::{Failure, Kind};
use crate::base::http::is_link_local;

/// A longer chain is a loop that has not closed yet.
pub(super) const MAX_HOPS: usize = 10;

/// Whether a status sends the request elsewhere.
pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where to ask next, coming from the last of `visited`.
///
/// # Errors
/// `Corrupt` for a chain that leads nowhere, `Denied` for one that leads where nothing is sent: from
/// https to http, and to a link-local address unless `source` has one.
pub(super) fn next(
    source: &Address,
    visited: &[Address],
    location: Option<&str>,
) -> Result<Address, Failure> {
    let from = visited.last().unwrap_or(source);
    let corrupt = |words: String| Failure::new(Kind::Corrupt, words).context(format!("at {from}"));
    let Some(location) = location else {
        return Err(corrupt("redirected nowhere: no Location".to_string()));
    };
    let target = from
        .join(location)
        .map_err(|reason| corrupt(format!("redirected to what {reason}")))?;
    let denied = |words: String| {
        Failure::new(Kind::Denied, words)
            .context(format!("at {from}"))
            .hint("give the final URL, if that is really where the object is")
    };
    if from.is_secure() && !target.is_secure() {
        return Err(denied(format!("redirected from https to {target}")));
    }
    let leads_in = target.literal().is_some_and(is_link_local);
    if leads_in && !source.literal().is_some_and(is_link_local) {
        return Err(denied(format!(
            "redirected to a link-local address, {target}"
        )));
    }
    if visited.contains(&target) {
        return Err(corrupt(format!("redirected in a loop, to {target}")));
    }
    if visited.len() > MAX_HOPS {
        return Err(corrupt(format!(
            "redirected more than {MAX_HOPS} times, to {target}"
        )));
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Address {
        Address::parse(url).unwrap()
    }

    fn go(source: &str, visited: &[&str], location: &str) -> Result<String, Kind> {
        let visited: Vec<Address> = visited.iter().map(|url| at(url)).collect();
        next(&at(source), &visited, Some(location))
            .map(|target| target.uri().to_string())
            .map_err(|failure| failure.kind())
    }

    #[test]
    fn a_redirect_is_followed_or_refused() {
        for (source, location, expected) in [
            ("http://a/x", "http://b/y?z", Ok("http://b/y?z")),
            ("http://a/x", "https://b/y", Ok("https://b/y")),
            ("https://a/x", "https://b/y", Ok("https://b/y")),
            ("https://a/x", "/y", Ok("https://a/y")),
            ("https://a/x", "http://a/x", Err(Kind::Denied)),
            ("http://a/x", "ftp://a/x", Err(Kind::Corrupt)),
            ("http://a/x", "http://u:p@b/x", Err(Kind::Corrupt)),
            ("http://a/x", "http://a/x", Err(Kind::Corrupt)),
            ("http://a/x", "", Err(Kind::Corrupt)),
            (
                "http://a/x",
                "http://169.254.169.254/latest",
                Err(Kind::Denied),
            ),
            ("http://a/x", "http://[fe80::1]/", Err(Kind::Denied)),
            (
                "http://a/x",
                "http://[::ffff:a9fe:a9fe]/",
                Err(Kind::Denied),
            ),
            ("http://a/x", "http://2852039166/", Err(Kind::Denied)),
            ("http://a/x", "http://0xa9.254.43518/", Err(Kind::Denied)),
            (
                "http://169.254.1.1/x",
                "http://169.254.169.254/y",
                Ok("http://169.254.169.254/y"),
            ),
        ] {
            let result = go(source, &[source], location);
            assert_eq!(
                result.as_deref(),
                expected.as_deref(),
                "{source} -> {location}"
            );
        }
        let failure = next(&at("http://a/x"), &[], None).unwrap_err();
        assert_eq!(failure.kind(), Kind::Corrupt);
    }

    #[test]
    fn ten_hops_are_followed_and_the_eleventh_is_not() {
        let chain: Vec<String> = (0..=10).map(|hop| format!("http://a/{hop}")).collect();
        let visited: Vec<&str> = chain.iter().map(String::as_str).collect();
        assert!(go("http://a/0", &visited[..10], "/10").is_ok());
        assert_eq!(go("http://a/0", &visited, "/11"), Err(Kind::Corrupt));
    }

    #[test]
    fn no_message_shows_a_query() {
        let visited = [at("https://a/x?sig=hunter2")];
        for location in [
            "http://b/?sig=hunter2",
            "/x?sig=hunter2",
            "https://169.254.0.1/?hunter2",
        ] {
            let failure = next(&visited[0], &visited, Some(location)).unwrap_err();
            assert!(
                !format!("{failure} {failure:?}").contains("hunter2"),
                "{failure}"
            );
        }
    }
}
