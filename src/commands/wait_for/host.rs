//! Hosts and ports as targets write them. It touches nothing.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::base::text::one_line;

/// A host as written: a name goes to the resolver, an address never does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// To be looked up.
    Name(String),
    /// Four numbers.
    V4(Ipv4Addr),
    /// In brackets.
    V6(Ipv6Addr),
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::V4(address) => address.fmt(formatter),
            Self::V6(address) => write!(formatter, "[{address}]"),
        }
    }
}

/// Host and port, if there is one.
///
/// # Errors
/// Says what is wrong with the port.
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<u16>), String> {
    let colon = match authority.rfind(']') {
        Some(end) => match &authority[end + 1..] {
            "" => None,
            rest if rest.starts_with(':') => Some(end + 1),
            _ => return Err("there is something behind the brackets".to_string()),
        },
        None if authority.matches(':').count() > 1 => {
            return Err("an IPv6 address belongs in brackets".to_string());
        }
        None => authority.find(':'),
    };
    let Some(colon) = colon else {
        return Ok((authority, None));
    };
    let digits = &authority[colon + 1..];
    let port = digits.parse().ok().filter(|port| *port != 0);
    if port.is_none() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "the port `{}` is none of 1 to 65535",
            one_line(digits)
        ));
    }
    Ok((&authority[..colon], port))
}

/// A host as written.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn read_host(host: &str) -> Result<Host, String> {
    let shown = one_line(host);
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').unwrap_or(inner);
        let address = inner
            .parse()
            .map_err(|_| format!("`{shown}` is no IPv6 address (zone ids are not supported)"))?;
        return Ok(Host::V6(address));
    }
    if let Ok(address) = host.parse() {
        return Ok(Host::V4(address));
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(format!("`{shown}` is no host name"));
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("`{shown}` is neither a name nor an IPv4 address"));
    }
    Ok(Host::Name(host.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for name in ["db", "db.example.", "_pg._tcp.db", "a-b", "1a"] {
            assert_eq!(read_host(name), Ok(Host::Name(name.to_string())), "{name}");
        }
        assert_eq!(read_host("10.0.0.1"), Ok(Host::V4([10, 0, 0, 1].into())));
        assert_eq!(read_host("[::1]").unwrap().to_string(), "[::1]");
        for wrong in [
            "",
            "a..b",
            "a b",
            "10.0.0.256",
            "1",
            "[::1%eth0]",
            "é",
            "a/b",
        ] {
            assert!(read_host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_port_stands_behind_the_last_colon() {
        assert_eq!(split_port("h:1"), Ok(("h", Some(1))));
        assert_eq!(split_port("[::1]:65535"), Ok(("[::1]", Some(65535))));
        assert_eq!(split_port("[::1]"), Ok(("[::1]", None)));
        for wrong in ["h:", "h:0", "h:65536", "h:+1", "::1", "[::1]x"] {
            assert!(split_port(wrong).is_err(), "{wrong}");
        }
    }
}
