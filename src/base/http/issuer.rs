//! Who issued a certificate, read from its DER for a message. Nothing is verified here. Pure.

use crate::base::text::{cut, one_line};

/// The parts of a name that are shown: object identifiers in DER, and their letters (RFC 4519).
const PARTS: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 10], "O"),
];

/// The tag of the one optional field before a certificate's serial number.
const VERSION: u8 = 0xa0;

/// How much of a name is shown, in bytes: the message has 200 in all.
const MAX_NAME: usize = 80;

/// The name of the issuer, as `CN=the root, O=example`.
pub(super) fn issuer(certificate: &[u8]) -> Option<String> {
    let (_, whole) = Der(certificate).next()?;
    let (_, fields) = Der(whole).next()?;
    // The serial number and the algorithm come first.
    let (_, name) = Der(fields).skip_while(|(tag, _)| *tag == VERSION).nth(2)?;
    let parts: Vec<String> = Der(name)
        .flat_map(|(_, set)| Der(set))
        .filter_map(|(_, pair)| part(pair))
        .collect();
    (!parts.is_empty()).then(|| cut(&parts.join(", "), MAX_NAME))
}

fn part(pair: &[u8]) -> Option<String> {
    let mut pair = Der(pair);
    let (_, id) = pair.next()?;
    let (_, text) = pair.next()?;
    let (_, letters) = PARTS.iter().find(|(known, _)| *known == id)?;
    Some(format!(
        "{letters}={}",
        one_line(&String::from_utf8_lossy(text))
    ))
}

/// Elements one after the other: tag and content. Ends at the first that is not whole.
struct Der<'a>(&'a [u8]);

impl<'a> Iterator for Der<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            // One or two bytes of length: no certificate is longer than 64 KiB.
            0x81 | 0x82 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = digits
                    .iter()
                    .fold(0, |length, digit| length << 8 | usize::from(*digit));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
        let content = contents.concat();
        let [.., high, low] = content.len().to_be_bytes();
        let head: &[u8] = match content.len() {
            0..=0x7f => &[tag, low],
            0x80..=0xff => &[tag, 0x81, low],
            _ => &[tag, 0x82, high, low],
        };
        [head, &content].concat()
    }

    fn name(parts: &[(&[u8], &str)]) -> Vec<u8> {
        let sets: Vec<Vec<u8>> = parts
            .iter()
            .map(|(id, text)| {
                let pair = [element(6, &[id]), element(12, &[text.as_bytes()])];
                element(0x31, &[&element(0x30, &[&pair[0], &pair[1]])])
            })
            .collect();
        element(0x30, &sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn certificate(version: &[u8], issuer: &[u8]) -> Vec<u8> {
        let rest = element(0x30, &[&[0; 300]]);
        let body = element(0x30, &[version, &[2, 1, 7], &[0x30, 0], issuer, &rest]);
        element(0x30, &[&body, &[0x30, 0]])
    }

    #[test]
    fn an_issuer_is_named_by_its_known_parts() {
        let country: &[u8] = &[0x55, 4, 6];
        let root = name(&[
            (country, "AT"),
            (PARTS[2].0, "example\n"),
            (PARTS[0].0, "é"),
        ]);
        for version in [&[][..], &[0xa0, 3, 2, 1, 2]] {
            assert_eq!(
                issuer(&certificate(version, &root)).as_deref(),
                Some("O=example\\n, CN=é")
            );
        }
        assert_eq!(issuer(&certificate(&[], &name(&[(country, "AT")]))), None);
        let long = "x".repeat(200);
        let cut = issuer(&certificate(&[], &name(&[(PARTS[0].0, &long)])));
        assert_eq!(cut.map(|name| name.len()), Some(MAX_NAME));
    }

    #[test]
    fn what_is_no_certificate_has_no_issuer() {
        let whole = certificate(&[], &name(&[(PARTS[0].0, "x")]));
        for length in 0..whole.len() {
            assert_eq!(issuer(&whole[..length]), None, "{length}");
        }
        assert_eq!(issuer(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
    }
}
