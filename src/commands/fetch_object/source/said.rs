//! What a server said beside its status, cut to one short line in which no secret is quoted. Pure.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::base::text::{cut, one_line};

/// This much of a server's words is passed on; bytes.
const MAX_WORDS: usize = 200;

/// A shorter text is found in any sentence by chance; bytes.
const MIN_SECRET: usize = 6;

/// This much of an error's body is read; bytes.
pub(super) const MAX_ERROR: usize = 64 << 10;

/// A store's own error: what it is called, what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StoreError {
    /// `NoSuchKey`
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    /// Where the bucket is (s3).
    pub(super) region: Option<String>,
}

/// Reads an error document of S3 or Azure, as far as it is one.
pub(super) fn xml_error(body: &[u8]) -> StoreError {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let mut found = StoreError::default();
    let mut reader = Reader::from_reader(body);
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => path.push(tag.local_name().as_ref().to_string()),
            Ok(Event::End(_)) => {
                path.pop();
            }
            Ok(Event::Text(text)) => {
                let Some(place) = path.last().and_then(|name| found.place(name)) else {
                    continue;
                };
                place.get_or_insert_default().push_str(&text);
            }
            Ok(Event::GeneralRef(name)) => {
                let Some(place) = path.last().and_then(|name| found.place(name)) else {
                    continue;
                };
                let letter = super::xml::reference(&name).unwrap_or_default();
                place.get_or_insert_default().push_str(&letter);
            }
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

impl StoreError {
    fn place(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "Code" => Some(&mut self.code),
            "Message" => Some(&mut self.message),
            "Region" => Some(&mut self.region),
            _ => None,
        }
    }

    /// `NoSuchKey: The specified key does not exist.`
    fn words(&self) -> Option<String> {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => {
                // Azure adds lines that only its own support reads.
                let message = message.split("\nRequestId:").next().unwrap_or_default();
                Some(format!("{code}: {}", message.trim()))
            }
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }
}

/// The line to quote: code and message of a known form of error, else the text itself.
pub(super) fn words(body: &[u8], secrets: &[String]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let found = if text.starts_with(['<', '\u{feff}']) {
        // A page for people: its title is all there is to say.
        xml_error(body)
            .words()
            .or_else(|| title(text))
            .unwrap_or_default()
    } else {
        json_message(body).unwrap_or_else(|| text.to_string())
    };
    let found = without(found, secrets);
    // Messages have no full stop at their end.
    cut(&one_line(found.trim().trim_end_matches('.')), MAX_WORDS)
}

/// Takes out every secret, the longest first: one may be part of another.
pub(super) fn without(mut text: String, secrets: &[String]) -> String {
    let mut secrets: Vec<&String> = secrets
        .iter()
        .filter(|secret| secret.len() >= MIN_SECRET)
        .collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        if text.contains(secret.as_str()) {
            text = text.replace(secret.as_str(), "…");
        }
    }
    text
}

fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    Some(page[start..end].to_string())
}

/// `{"error":{"message":…}}` of Google's API, `{"error":…,"error_description":…}` of OAuth.
fn json_message(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = value.get("error")?;
    let message = error
        .get("message")
        .or_else(|| value.get("error_description"));
    let message = message.and_then(serde_json::Value::as_str);
    match (error.as_str(), message) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (Some(one), None) | (None, Some(one)) => Some(one.to_string()),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_document_is_read_wherever_its_fields_stand() {
        let body = b"\xef\xbb\xbf<?xml version=\"1.0\"?><Error xmlns=\"x\"><Code>A&amp;B</Code><Message>no &#65;\nmore</Message><Region>eu-1</Region></Error>";
        assert_eq!(
            xml_error(body),
            StoreError {
                code: Some("A&B".into()),
                message: Some("no A\nmore".into()),
                region: Some("eu-1".into()),
            }
        );
        assert_eq!(words(body, &[]), "A&B: no A\\nmore");
        assert_eq!(
            xml_error(b"<Error><Code>X"),
            StoreError {
                code: Some("X".into()),
                ..StoreError::default()
            }
        );
        assert_eq!(xml_error(b"not xml"), StoreError::default());
    }

    #[test]
    fn pages_and_json_are_told_in_a_line_without_secrets() {
        for (body, line) in [
            (
                "<html><head><title>404 Not Found</title></head>",
                "404 Not Found",
            ),
            ("<html>nothing", ""),
            (
                r#"{"error":{"code":403,"message":"no access"}}"#,
                "no access",
            ),
            (
                r#"{"error":"invalid_grant","error_description":"bad"}"#,
                "invalid_grant: bad",
            ),
            ("plain\ttext hunter2 hunter2%3D\n", "plain\\ttext … …"),
            ("", ""),
        ] {
            let secrets = [
                "hunter2".to_string(),
                "hunter2%3D".to_string(),
                "x".to_string(),
            ];
            assert_eq!(words(body.as_bytes(), &secrets), line, "{body}");
        }
        assert!(words(&[b'a'; 500], &[]).len() <= 200);
    }

    #[test]
    fn a_signature_in_an_s3_error_is_not_quoted() {
        let body = b"<Error><Code>SignatureDoesNotMatch</Code><Message>The signature abcdef012345 differs</Message><SignatureProvided>abcdef012345</SignatureProvided></Error>";
        assert_eq!(
            words(body, &["abcdef012345".to_string()]),
            "SignatureDoesNotMatch: The signature … differs"
        );
    }
}
