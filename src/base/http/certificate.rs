//! What a certificate says of itself, for messages. It decides nothing: rustls does that.

use std::fmt;
use std::net::IpAddr;

use crate::base::text::one_line;

/// Tags of DER that are met on the way.
mod tag {
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const OID: u8 = 0x06;
    pub(super) const OCTETS: u8 = 0x04;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const VERSION: u8 = 0xa0;
    pub(super) const EXTENSIONS: u8 = 0xa3;
    pub(super) const DNS_NAME: u8 = 0x82;
    pub(super) const ADDRESS: u8 = 0x87;
}

/// 2.5.4.3, the common name.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// 2.5.29.17, the names that the certificate is for.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// Subject, issuer, dates and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Summary {
    subject: String,
    issuer: String,
    from: String,
    to: String,
    names: Vec<String>,
}

impl Summary {
    /// Reads a certificate in DER, if it is one.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate, _) = element(der)?;
        let (_, body, _) = element(certificate)?;
        let mut fields = elements(body).skip_while(|(tag, _)| *tag == tag::VERSION);
        let (_serial, _algorithm) = (fields.next()?, fields.next()?);
        let (_, issuer) = fields.next()?;
        let (_, validity) = fields.next()?;
        let (_, subject) = fields.next()?;
        let mut dates = elements(validity).filter_map(|(tag, text)| date(tag, text));
        let extensions = fields.find(|(tag, _)| *tag == tag::EXTENSIONS);
        Some(Self {
            subject: common_name(subject),
            issuer: common_name(issuer),
            from: dates.next()?,
            to: dates.next()?,
            names: extensions
                .and_then(|(_, list)| alternative_names(list))
                .unwrap_or_default(),
        })
    }

    /// The names that the certificate is for.
    pub(super) fn names(&self) -> String {
        if self.names.is_empty() {
            return "it has none".to_string();
        }
        self.names.join(", ")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "subject {}, issuer {}, valid from {} to {}",
            self.subject, self.issuer, self.from, self.to
        )
    }
}

/// Tag and content of the first element, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let (digits, rest) = rest.split_at_checked(count).filter(|_| count <= 3)?;
        let length = digits
            .iter()
            .fold(0, |sum, digit| sum << 8 | usize::from(*digit));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn elements(der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = der;
    std::iter::from_fn(move || {
        let (tag, content, more) = element(rest)?;
        rest = more;
        Some((tag, content))
    })
}

/// The common name; without one, the last part.
fn common_name(name: &[u8]) -> String {
    let mut found = None;
    for (_, part) in elements(name) {
        for (_, pair) in elements(part) {
            let mut fields = elements(pair);
            let (Some((tag::OID, kind)), Some((_, text))) = (fields.next(), fields.next()) else {
                continue;
            };
            let text = one_line(&String::from_utf8_lossy(text));
            if kind == COMMON_NAME {
                return format!("`{text}`");
            }
            found = Some(text);
        }
    }
    found.map_or_else(|| "(empty)".to_string(), |text| format!("`{text}`"))
}

/// `2026-11-22`
fn date(tag: u8, text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.is_ascii())?;
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            // RFC 5280: two digits below 50 are of this century.
            let century = if year < "50" { "20" } else { "19" };
            (format!("{century}{year}"), rest)
        }
        tag::GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.to_string(), rest)
        }
        _ => return None,
    };
    Some(format!("{year}-{}-{}", rest.get(..2)?, rest.get(2..4)?))
}

fn alternative_names(list: &[u8]) -> Option<Vec<String>> {
    let (_, extensions, _) = element(list)?;
    for (_, extension) in elements(extensions) {
        let mut fields = elements(extension);
        if fields.next()? != (tag::OID, ALTERNATIVE_NAMES) {
            continue;
        }
        let (_, value) = fields.find(|(tag, _)| *tag == tag::OCTETS)?;
        let (_, names, _) = element(value).filter(|(tag, _, _)| *tag == tag::SEQUENCE)?;
        return Some(
            elements(names)
                .filter_map(|(tag, name)| alternative_name(tag, name))
                .collect(),
        );
    }
    None
}

fn alternative_name(tag: u8, name: &[u8]) -> Option<String> {
    match tag {
        tag::DNS_NAME => Some(one_line(&String::from_utf8_lossy(name))),
        tag::ADDRESS => match name.len() {
            4 => <[u8; 4]>::try_from(name)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(name)
                .ok()
                .map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    }

    fn name(text: &str) -> Vec<u8> {
        let pair = [tlv(tag::OID, COMMON_NAME), tlv(0x0c, text.as_bytes())].concat();
        tlv(0x30, &tlv(0x31, &tlv(0x30, &pair)))
    }

    fn certificate() -> Vec<u8> {
        let dates = [tlv(0x17, b"260101000000Z"), tlv(0x18, b"20520203000000Z")].concat();
        let names = [tlv(0x82, b"db.example"), tlv(0x87, &[10, 0, 0, 1])].concat();
        let extension = [
            tlv(tag::OID, ALTERNATIVE_NAMES),
            tlv(0x04, &tlv(0x30, &names)),
        ];
        let body = [
            tlv(0xa0, &tlv(0x02, &[2])),
            tlv(0x02, &[1]),
            tlv(0x30, &[]),
            name("the authority"),
            tlv(0x30, &dates),
            name("db"),
            tlv(0x30, &[]),
            tlv(0xa3, &tlv(0x30, &tlv(0x30, &extension.concat()))),
        ];
        tlv(0x30, &tlv(0x30, &body.concat()))
    }

    #[test]
    fn a_certificate_tells_who_it_is_and_until_when() {
        let summary = Summary::read(&certificate()).unwrap();
        assert_eq!(
            summary.to_string(),
            "subject `db`, issuer `the authority`, valid from 2026-01-01 to 2052-02-03"
        );
        assert_eq!(summary.names(), "db.example, 10.0.0.1");
    }

    #[test]
    fn what_is_no_certificate_is_no_summary() {
        let whole = certificate();
        for end in [0, 1, 3, 40] {
            assert_eq!(Summary::read(&whole[..end]), None, "{end}");
        }
        assert_eq!(Summary::read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
