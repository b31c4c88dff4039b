//! Which redirects are followed: one, and never to another server, which would get the token. Pure.

use http::Method;
use reqwest::Url;

use crate::base::failure::{Failure, Kind};
use crate::base::http::{is_same_origin, origin};

/// Where to ask again, if anywhere; `hops` redirects have been followed already.
///
/// # Errors
/// `Usage` for an address that should have been given instead, `Unavailable` for a standby that points
/// to the active node: it may become active itself.
pub(super) fn follow(
    status: u16,
    method: &Method,
    asked: &Url,
    target: Option<Url>,
    hops: usize,
) -> Result<Option<Url>, Failure> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(target) = target else {
        return Err(Failure::new(
            Kind::Corrupt,
            format!("{status} redirects nowhere"),
        ));
    };
    let place = origin(&target);
    if !is_same_origin(asked, &target) {
        return Err(if status == 307 {
            Failure::new(
                Kind::Unavailable,
                format!("a standby redirects to {place}, where no credentials are sent"),
            )
            .hint("address the active node's Service with --addr")
        } else {
            Failure::new(Kind::Usage, format!("{status} redirects to {place}"))
                .hint(format!("set --addr to {}", address(&target)))
        });
    }
    if hops > 0 || (*method != Method::GET && !matches!(status, 307 | 308)) {
        return Err(Failure::new(
            Kind::Usage,
            format!("{status} redirects once more, to {place}{}", target.path()),
        )
        .hint(format!(
            "set --addr to where it ends, such as {}",
            address(&target)
        )));
    }
    Ok(Some(target))
}

/// The address to which `/v1/…` would be added.
fn address(target: &Url) -> String {
    let path = target.path();
    let prefix = path.find("/v1/").map_or("", |at| &path[..at]);
    format!("{}{prefix}", origin(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_redirect_within_the_same_server() {
        let asked = Url::parse("http://a:1/vault/v1/x").unwrap();
        let judge = |status, method: &Method, target: &str, hops| {
            follow(status, method, &asked, Url::parse(target).ok(), hops)
                .map(|url| url.map(|url| url.to_string()))
                .map_err(|failure| {
                    (
                        failure.kind(),
                        failure.mend().unwrap_or_default().to_string(),
                    )
                })
        };
        let (get, post) = (&Method::GET, &Method::POST);
        let here = "http://a:1/v1/y";
        assert_eq!(judge(200, get, here, 0), Ok(None));
        assert_eq!(judge(301, get, here, 0), Ok(Some(here.into())));
        assert_eq!(judge(308, post, here, 0), Ok(Some(here.into())));
        for (status, method, target, hops, kind, mend) in [
            (307, get, here, 1, Kind::Usage, "http://a:1"),
            (302, post, here, 0, Kind::Usage, "http://a:1"),
            (
                301,
                get,
                "https://a:1/vault/v1/x",
                0,
                Kind::Usage,
                "https://a:1/vault",
            ),
            (
                307,
                get,
                "http://b:1/v1/x",
                0,
                Kind::Unavailable,
                "active node",
            ),
            (307, get, "", 0, Kind::Corrupt, ""),
        ] {
            let (is, says) = judge(status, method, target, hops).unwrap_err();
            assert_eq!(is, kind, "{status} {target}");
            assert!(says.contains(mend), "{says}");
        }
    }
}
