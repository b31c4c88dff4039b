//! What X serves: an object that answers ranges and conditions as a good HTTP server does, and
//! bytes to fill it with. Faults are the script's business.

use bytes::Bytes;
use ring::digest::{SHA256, digest};

use super::origin::{Answer, range};
use super::wire::Request;

/// Bytes in a MiB.
pub const MIB: usize = 1024 * 1024;

/// Random bytes, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes.into()
}

/// The SHA-256 of some bytes, in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Some bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// An object and its validators.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Bytes,
    /// With its quotes, if it has any.
    pub etag: Option<String>,
    pub modified: Option<String>,
    /// Headers of every answer that brings it or tells of it.
    pub headers: Vec<(String, String)>,
    /// Headers of HEAD and of whole answers only: checksums of the whole.
    pub checksums: Vec<(String, String)>,
}

impl Object {
    /// With a strong `ETag` made from its bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let etag = format!("\"{}\"", &sha256(&bytes)[..32]);
        Self {
            bytes,
            etag: Some(etag),
            modified: Some("Sun, 01 Nov 2026 10:00:00 GMT".to_string()),
            headers: Vec::new(),
            checksums: Vec::new(),
        }
    }

    /// Random bytes.
    pub fn random(seed: u64, length: usize) -> Self {
        Self::new(noise(seed, length))
    }

    /// With this `ETag`, as it stands in the header, or with none.
    pub fn tagged(mut self, etag: Option<&str>) -> Self {
        self.etag = etag.map(str::to_string);
        self
    }

    /// With this checksum on HEAD and on whole answers.
    pub fn checksum(mut self, name: &str, value: &str) -> Self {
        let name = format!("x-amz-checksum-{name}");
        self.checksums.push((name, value.to_string()));
        self
    }

    /// One byte differs; everything that is said of the object stays.
    pub fn flipped(mut self, at: usize) -> Self {
        let mut bytes = self.bytes.to_vec();
        bytes[at] ^= 0x10;
        self.bytes = bytes.into();
        self
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What a good server answers.
    pub fn answer(&self, request: &Request) -> Answer {
        if let Some(wanted) = request.header("if-match")
            && Some(wanted) != self.etag.as_deref()
            && wanted != "*"
        {
            return Answer::new(412);
        }
        if self.is_known(request) {
            return self.describe(Answer::new(304));
        }
        match range(request) {
            Some((from, _)) if from >= self.len() => {
                Answer::new(416).with("Content-Range", &format!("bytes */{}", self.len()))
            }
            Some((from, to)) => {
                let to = to.min(self.len() - 1);
                self.part(from, to)
            }
            None => self.whole(),
        }
    }

    /// The whole in one answer.
    pub fn whole(&self) -> Answer {
        let mut answer = self.describe(Answer::new(200)).body(self.bytes.clone());
        answer.headers.extend(self.checksums.iter().cloned());
        answer
    }

    /// A range of it, both ends included.
    pub fn part(&self, from: usize, to: usize) -> Answer {
        let range = format!("bytes {from}-{to}/{}", self.len());
        self.describe(Answer::new(206))
            .with("Content-Range", &range)
            .body(self.bytes.slice(from..=to))
    }

    fn describe(&self, mut answer: Answer) -> Answer {
        answer = answer.with("Accept-Ranges", "bytes");
        if let Some(etag) = &self.etag {
            answer = answer.with("ETag", etag);
        }
        if let Some(modified) = &self.modified {
            answer = answer.with("Last-Modified", modified);
        }
        answer.headers.extend(self.headers.iter().cloned());
        answer
    }

    /// Whether the client has told the validator of what it has.
    fn is_known(&self, request: &Request) -> bool {
        if let Some(etag) = request.header("if-none-match") {
            return Some(etag) == self.etag.as_deref();
        }
        let since = request.header("if-modified-since");
        since.is_some() && since == self.modified.as_deref()
    }
}

#[test]
fn an_object_answers_as_a_server_does() {
    let object = Object::new(b"0123456789".to_vec()).tagged(Some("\"e\""));
    let ask = |name: &str, value: &str| object.answer(&Request::new("GET", "/").with(name, value));
    assert_eq!(ask("Range", "bytes=2-4").body, b"234"[..]);
    assert_eq!(ask("Range", "bytes=8-99").body, b"89"[..]);
    assert_eq!(ask("Range", "bytes=10-19").status, 416);
    assert_eq!(ask("If-Match", "\"f\"").status, 412);
    assert_eq!(ask("If-None-Match", "\"e\"").status, 304);
    assert_eq!(ask("Accept", "*/*").body, b"0123456789"[..]);
    assert_eq!(object.clone().flipped(0).bytes[..], b" 123456789"[..]);
}
