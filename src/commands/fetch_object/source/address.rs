//! A URL as it was given: sent byte for byte, and shown without its query.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ::http::Uri;
use percent_encoding::percent_decode_str;
use reqwest::Url;

/// An http or https URL. Dots, escapes and the query go out as they came in; only what cannot stand in
/// a request at all (blanks, quotes, angle brackets, letters beyond ASCII) is percent-encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
}

impl Address {
    /// Reads a URL. The reason why it is none is a lower-case fragment that never repeats it.
    ///
    /// # Errors
    /// What is wrong with it: not http, no host, a user or a password.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is not a URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("is neither http:// nor https://");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds a user or a password");
        }
        // The parser takes more for a URL than is sent as one: `http:/h`, `http:\\h`, line breaks.
        let (_, rest) = text.split_once("://").ok_or("lacks its //")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(start);
        if authority.contains(['\\', '@']) || authority.contains(char::is_whitespace) {
            return Err("has no proper host");
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or("has no host")?;
        let port = url.port().map_or(String::new(), |port| format!(":{port}"));
        let slash = if path.starts_with('/') { "" } else { "/" };
        let whole = format!("{}://{host}{port}{slash}{}", url.scheme(), sendable(path));
        let uri = whole.parse().map_err(|_| "is not a URL that can be sent")?;
        Ok(Self { uri })
    }

    /// As it is sent.
    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The path, still encoded; at least `/`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// Whether it is https.
    pub(super) fn is_secure(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The host, if it is an address and no name.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        let host = self.uri.host().unwrap_or_default();
        host.trim_matches(['[', ']']).parse().ok()
    }

    /// Whether both have one scheme, host and port: then what is secret may go to either.
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        let port = |address: &Self| {
            let default = if address.is_secure() { 443 } else { 80 };
            address.uri.port_u16().unwrap_or(default)
        };
        self.uri.scheme() == other.uri.scheme()
            && self.uri.host() == other.uri.host()
            && port(self) == port(other)
    }

    /// Where a `Location` leads from here (RFC 3986, 5.2).
    ///
    /// # Errors
    /// As `parse`.
    pub(super) fn join(&self, location: &str) -> Result<Self, &'static str> {
        let location = location.split('#').next().unwrap_or_default().trim();
        let scheme = location
            .split(['/', '?'])
            .next()
            .and_then(|head| head.split_once(':'));
        if scheme.is_some() {
            return Self::parse(location);
        }
        let origin = format!(
            "{}://{}",
            self.uri.scheme_str().unwrap_or("http"),
            self.uri
                .authority()
                .map_or("", |authority| authority.as_str())
        );
        if location.starts_with("//") {
            let scheme = self.uri.scheme_str().unwrap_or("http");
            return Self::parse(&format!("{scheme}:{location}"));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{origin}{location}"));
        }
        if location.is_empty() {
            return Ok(self.clone());
        }
        if location.starts_with('?') {
            return Self::parse(&format!("{origin}{}{location}", self.path()));
        }
        let folder = self
            .path()
            .rfind('/')
            .map_or("/", |end| &self.path()[..=end]);
        let (path, query) = match location.find('?') {
            Some(start) => location.split_at(start),
            None => (location, ""),
        };
        let path = without_dots(&format!("{folder}{path}"));
        Self::parse(&format!("{origin}{path}{query}"))
    }

    /// Names and values of the query, decoded.
    fn query(&self) -> impl Iterator<Item = (&str, String)> {
        let pairs = self.uri.query().unwrap_or_default().split('&');
        pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value).decode_utf8().ok()?;
            Some((name, value.into_owned()))
        })
    }

    /// What a server must not be quoted with: values of the query, as sent and decoded.
    pub(super) fn secrets(&self) -> Vec<String> {
        let raw = self.uri.query().unwrap_or_default().split('&');
        raw.filter_map(|pair| pair.split_once('='))
            .map(|(_, value)| value.to_string())
            .chain(self.query().map(|(_, value)| value))
            .collect()
    }

    /// When a signed URL ceases to be valid, if it says so.
    pub(super) fn expiry(&self) -> Option<SystemTime> {
        let value = |name: &str| {
            let mut pairs = self.query();
            pairs.find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
        };
        for (date, life) in [
            ("X-Amz-Date", "X-Amz-Expires"),
            ("X-Goog-Date", "X-Goog-Expires"),
        ] {
            if let (Some(date), Some(life)) = (value(date), value(life)) {
                let start = humantime::parse_rfc3339(&extended(&date)?).ok()?;
                return start.checked_add(Duration::from_secs(life.parse().ok()?));
            }
        }
        if let (Some(end), Some(_)) = (value("se"), value("sig")) {
            let whole = if end.contains('T') {
                end
            } else {
                format!("{end}T00:00:00Z")
            };
            return humantime::parse_rfc3339(&whole).ok();
        }
        // The older signatures of both stores: seconds since 1970.
        let seconds = value("Expires").filter(|_| value("Signature").is_some())?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?))
    }
}

/// `20260801T101500Z` in the form with its separators.
fn extended(date: &str) -> Option<String> {
    let digits = |range| {
        date.get(range)
            .filter(|part: &&str| part.bytes().all(|b| b.is_ascii_digit()))
    };
    Some(format!(
        "{}-{}-{}T{}:{}:{}Z",
        digits(0..4)?,
        digits(4..6)?,
        digits(6..8)?,
        digits(9..11)?,
        digits(11..13)?,
        digits(13..15)?
    ))
}

/// Encodes what no request line can hold, and nothing else.
fn sendable(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'"' | b'<' | b'>' | b'`') => out.push(byte.into()),
            _ => out.push_str(percent_encoding::percent_encode_byte(byte)),
        }
    }
    out
}

/// Resolves the segments `.` and `..` of a relative reference.
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in path.split('/').skip(1) {
        is_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    let end = if is_folder { "/" } else { "" };
    let joined = kept.join("/");
    if joined.is_empty() {
        return "/".to_string();
    }
    format!("/{joined}{end}")
}

/// Without the values of the query.
impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.uri.scheme_str().unwrap_or_default();
        let authority = self
            .uri
            .authority()
            .map_or("", |authority| authority.as_str());
        let query = if self.uri.query().is_some() {
            "?…"
        } else {
            ""
        };
        write!(formatter, "{scheme}://{authority}{}{query}", self.path())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> String {
        Address::parse(text).unwrap().uri().to_string()
    }

    #[test]
    fn a_url_goes_out_as_it_came_in() {
        for text in [
            "https://h/a/../b/./c//d",
            "https://h/%2e%2e/%2E/a%2Fb",
            "https://h:8443/a+b%20c?x=%27'&y=a+b&sig=a%2Bb%3D",
            "https://h/a;b=c,d$e!f(g)*~",
            "https://h/?",
        ] {
            assert_eq!(sent(text), text);
        }
        assert_eq!(sent("https://h"), "https://h/");
        assert_eq!(sent("https://h?x=1"), "https://h/?x=1");
        assert_eq!(sent("HTTPS://H:443/A#frag"), "https://h/A");
        assert_eq!(sent("http://h/a b\"é<"), "http://h/a%20b%22%C3%A9%3C");
        assert_eq!(sent("http://[::1]:8080/x"), "http://[::1]:8080/x");
        assert_eq!(sent("http://0xa9fea9fe/x"), "http://169.254.169.254/x");
        assert_eq!(
            sent("http://bücher.example/x"),
            "http://xn--bcher-kva.example/x"
        );
    }

    #[test]
    fn what_is_no_plain_url_is_refused_and_never_repeated() {
        for text in [
            "ftp://hunter2/x",
            "https://u:hunter2@h/x",
            "https://hunter2@h/x",
            "https:///hunter2@",
            "https:/hunter2",
            "http://hun ter2/",
            "http://h\\hunter2@x/",
            "hunter2",
            "http://",
            "http://h:99999/",
        ] {
            let reason = Address::parse(text).unwrap_err();
            assert!(!reason.contains("hunter2"), "{reason}");
        }
    }

    #[test]
    fn no_form_of_it_shows_the_query() {
        let address = Address::parse("https://h:1/a%20b?X-Amz-Signature=hunter2").unwrap();
        assert_eq!(
            format!("{address} {address:?}"),
            "https://h:1/a%20b?… https://h:1/a%20b?…"
        );
    }

    #[test]
    fn a_location_is_resolved_like_a_browser_does() {
        let base = Address::parse("https://h:1/a/b/c?q=1").unwrap();
        for (location, target) in [
            ("http://o/x/../y?z", "http://o/x/../y?z"),
            ("//o/x", "https://o/x"),
            ("/x//y", "https://h:1/x//y"),
            ("x?y=a:b", "https://h:1/a/b/x?y=a:b"),
            ("../x", "https://h:1/a/x"),
            ("../../../x", "https://h:1/x"),
            ("./", "https://h:1/a/b/"),
            ("..", "https://h:1/a/"),
            ("?z", "https://h:1/a/b/c?z"),
            ("", "https://h:1/a/b/c?q=1"),
            ("#f", "https://h:1/a/b/c?q=1"),
        ] {
            assert_eq!(
                base.join(location).unwrap().uri().to_string(),
                target,
                "{location}"
            );
        }
        for wrong in ["ftp://h/x", "javascript:x", "http://u:p@h/", "mailto:x@y"] {
            assert!(base.join(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signed_url_says_when_it_ends() {
        let end = |query: &str| {
            let address = Address::parse(&format!("https://h/x?{query}")).unwrap();
            address
                .expiry()
                .map(|end| humantime::format_rfc3339_seconds(end).to_string())
        };
        let day = Some("2026-08-01T10:16:40Z".to_string());
        assert_eq!(
            end("X-Amz-Date=20260801T101500Z&X-Amz-Expires=100&X-Amz-Signature=x"),
            day
        );
        assert_eq!(end("X-Goog-Expires=100&X-Goog-Date=20260801T101500Z"), day);
        assert_eq!(end("sv=1&se=2026-08-01T10%3A16%3A40Z&sig=x"), day);
        assert_eq!(end("AWSAccessKeyId=k&Expires=1785579400&Signature=x"), day);
        assert_eq!(
            end("se=2026-08-01&sig=x"),
            Some("2026-08-01T00:00:00Z".to_string())
        );
        for none in [
            "",
            "se=2026-08-01",
            "Expires=5",
            "X-Amz-Date=é&X-Amz-Expires=1",
        ] {
            assert_eq!(end(none), None, "{none}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let one = Address::parse("https://a/x").unwrap();
        for (other, same) in [
            ("https://A:443/y?z", true),
            ("http://a/x", false),
            ("https://b/x", false),
            ("https://a:444/x", false),
            ("https://a./x", false),
        ] {
            assert_eq!(
                one.is_same_origin(&Address::parse(other).unwrap()),
                same,
                "{other}"
            );
        }
    }
}
