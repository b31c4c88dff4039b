//! X as a store: keys and objects, spoken for as S3, GCS and Azure do. It checks no signature.

use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::object::Object;
use super::origin::Answer;
use super::sigv4::in_query;
use super::wire::Request;

/// What a bucket holds, and how it tells of it.
#[derive(Clone, Default)]
pub struct Bucket {
    pub objects: BTreeMap<String, Object>,
    /// Keys that are listed as they are and in this order, with their sizes: a hostile list.
    pub listed: Option<Vec<(String, usize)>>,
    /// How many keys a page of the list has; 0 is all.
    pub page: usize,
    /// Whether a page without keys, but not the last, comes first.
    pub empty_page_first: bool,
}

impl Bucket {
    /// With these keys and contents.
    pub fn of<K, B>(objects: impl IntoIterator<Item = (K, B)>) -> Self
    where
        K: Into<String>,
        B: Into<Bytes>,
    {
        let mut bucket = Self::default();
        for (key, bytes) in objects {
            bucket.objects.insert(key.into(), Object::new(bytes));
        }
        bucket
    }

    /// A list that says so, whatever there is.
    pub fn listing<'k>(mut self, keys: impl IntoIterator<Item = (&'k str, usize)>) -> Self {
        let keys = keys.into_iter().map(|(key, size)| (key.to_string(), size));
        self.listed = Some(keys.collect());
        self
    }

    /// Pages of so many keys.
    pub fn pages_of(mut self, keys: usize) -> Self {
        self.page = keys;
        self
    }

    /// As S3 with the bucket in the path: `/BUCKET/KEY`.
    pub fn s3(&self, request: &Request) -> Answer {
        let (path, query) = split(&request.target);
        let rest = path.trim_start_matches('/');
        let (_, key) = rest.split_once('/').unwrap_or((rest, ""));
        if key.is_empty() {
            return self.s3_list(&query);
        }
        match self.objects.get(&decoded(key)) {
            Some(object) if request.method == "HEAD" => object.whole(),
            Some(object) => object.answer(request),
            None => Answer::s3_error(404, "NoSuchKey"),
        }
    }

    fn s3_list(&self, query: &BTreeMap<String, String>) -> Answer {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let encodes = query.get("encoding-type").is_some_and(|kind| kind == "url");
        let write = |key: &str| {
            if encodes {
                in_query(key).replace("%2F", "/")
            } else {
                escaped(key)
            }
        };
        let (keys, next) = self.page_at(prefix, query.get("continuation-token"));
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>b</Name><Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys>\
             <IsTruncated>{}</IsTruncated>",
            write(prefix),
            keys.len(),
            next.is_some()
        );
        if encodes {
            text.push_str("<EncodingType>url</EncodingType>");
        }
        if let Some(next) = next {
            text.push_str(&format!(
                "<NextContinuationToken>{next}</NextContinuationToken>"
            ));
        }
        for (key, size, etag) in keys {
            text.push_str(&format!(
                "<Contents><Key>{}</Key><LastModified>2026-11-01T10:00:00.000Z</LastModified>\
                 <ETag>{}</ETag><Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                write(&key),
                escaped(&etag)
            ));
        }
        text.push_str("</ListBucketResult>");
        Answer::text(200, "application/xml", &text)
    }

    /// As the JSON API of GCS. Every object is of generation 1.
    pub fn gcs(&self, request: &Request) -> Answer {
        let (path, query) = split(&request.target);
        let path = path.trim_start_matches("/download");
        let Some(rest) = path.strip_prefix("/storage/v1/b/") else {
            return Answer::text(404, "text/plain", "no such path");
        };
        let (_, rest) = rest.split_once("/o").unwrap_or((rest, ""));
        let key = decoded(rest.trim_start_matches('/'));
        if key.is_empty() {
            return self.gcs_list(&query);
        }
        let Some(object) = self.objects.get(&key) else {
            return Answer::json(
                404,
                &json!({"error": {"code": 404, "message": "No such object"}}),
            );
        };
        if query.get("generation").is_some_and(|wanted| wanted != "1") {
            return Answer::json(
                404,
                &json!({"error": {"code": 404, "message": "No such object"}}),
            );
        }
        if query.get("alt").is_some_and(|alt| alt == "media") {
            return object.answer(request).with("x-goog-generation", "1");
        }
        Answer::json(200, &gcs_object(&key, object))
    }

    fn gcs_list(&self, query: &BTreeMap<String, String>) -> Answer {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let (keys, next) = self.page_at(prefix, query.get("pageToken"));
        let items: Vec<_> = keys
            .iter()
            .map(|(key, size, _)| match self.objects.get(key) {
                Some(object) => gcs_object(key, object),
                None => json!({"name": key, "size": size.to_string(), "generation": "1"}),
            })
            .collect();
        let mut list = json!({"kind": "storage#objects", "items": items});
        if let Some(next) = next {
            list["nextPageToken"] = json!(next.to_string());
        }
        Answer::json(200, &list)
    }

    /// As Azure's blob service: `/CONTAINER/BLOB`.
    pub fn azure(&self, request: &Request) -> Answer {
        let (path, query) = split(&request.target);
        let rest = path.trim_start_matches('/');
        let (_, key) = rest.split_once('/').unwrap_or((rest, ""));
        if key.is_empty() {
            return self.azure_list(&query);
        }
        match self.objects.get(&decoded(key)) {
            Some(object) => object.answer(request),
            None => Answer::text(
                404,
                "application/xml",
                "<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code><Message>no</Message></Error>",
            )
            .with("x-ms-error-code", "BlobNotFound"),
        }
    }

    fn azure_list(&self, query: &BTreeMap<String, String>) -> Answer {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let (keys, next) = self.page_at(prefix, query.get("marker"));
        // Azure writes a byte order mark before its XML.
        let mut text = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <EnumerationResults ContainerName=\"c\"><Prefix>{}</Prefix><Blobs>",
            escaped(prefix)
        );
        for (key, size, etag) in keys {
            text.push_str(&format!(
                "<Blob><Name>{}</Name><Properties><Last-Modified>Sun, 01 Nov 2026 10:00:00 GMT\
                 </Last-Modified><Etag>{}</Etag><Content-Length>{size}</Content-Length>\
                 <BlobType>BlockBlob</BlobType></Properties></Blob>",
                escaped(&key),
                escaped(&etag)
            ));
        }
        let next = next.map_or(String::new(), |next| next.to_string());
        text.push_str(&format!(
            "</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        ));
        Answer::text(200, "application/xml", &text)
    }

    /// The keys of one page, with size and `ETag`, and where the next page begins.
    fn page_at(
        &self,
        prefix: &str,
        token: Option<&String>,
    ) -> (Vec<(String, usize, String)>, Option<usize>) {
        let all: Vec<_> = match &self.listed {
            Some(listed) => listed
                .iter()
                .map(|(key, size)| (key.clone(), *size, "\"listed\"".to_string()))
                .collect(),
            None => self
                .objects
                .iter()
                .filter(|(key, _)| key.starts_with(prefix))
                .map(|(key, object)| {
                    let etag = object.etag.clone().unwrap_or_default();
                    (key.clone(), object.len(), etag)
                })
                .collect(),
        };
        let token = token.filter(|token| !token.is_empty());
        if token.is_none() && self.empty_page_first {
            return (Vec::new(), Some(0));
        }
        let from: usize = token.map_or(0, |token| token.parse().expect("a token of ours"));
        let page = if self.page == 0 { all.len() } else { self.page };
        let to = (from + page).min(all.len());
        let next = (to < all.len()).then_some(to);
        (all[from..to].to_vec(), next)
    }
}

impl Answer {
    /// A JSON document.
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::text(status, "application/json", &value.to_string())
    }
}

fn gcs_object(key: &str, object: &Object) -> serde_json::Value {
    json!({
        "kind": "storage#object",
        "name": key,
        "bucket": "b",
        "size": object.len().to_string(),
        "generation": "1",
        "metageneration": "1",
        "etag": "CAE=",
        "crc32c": crc32c(&object.bytes),
        "updated": "2026-11-01T10:00:00.000Z",
    })
}

/// CRC-32C as GCS and S3 write it.
pub fn crc32c(bytes: &[u8]) -> String {
    base64_tail(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes, 4)
}

/// CRC-32 as S3 writes it.
pub fn crc32(bytes: &[u8]) -> String {
    base64_tail(crc_fast::CrcAlgorithm::Crc32IsoHdlc, bytes, 4)
}

/// CRC-64/NVME as S3 writes it.
pub fn crc64nvme(bytes: &[u8]) -> String {
    base64_tail(crc_fast::CrcAlgorithm::Crc64Nvme, bytes, 8)
}

/// The last bytes of a checksum, in Base64.
fn base64_tail(kind: crc_fast::CrcAlgorithm, bytes: &[u8], width: usize) -> String {
    use base64::Engine as _;
    let sum = crc_fast::checksum(kind, bytes).to_be_bytes();
    base64::prelude::BASE64_STANDARD.encode(&sum[8 - width..])
}

/// A target's path, still encoded, and its query.
pub fn split(target: &str) -> (String, BTreeMap<String, String>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(&value.replace('+', " ")))
        })
        .collect();
    (path.to_string(), query)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A text as it stands in XML; what XML cannot hold is written as a reference all the same.
fn escaped(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '&' => "&amp;".to_string(),
            '<' => "&lt;".to_string(),
            '>' => "&gt;".to_string(),
            '"' => "&quot;".to_string(),
            control if control.is_control() => format!("&#{};", u32::from(control)),
            other => other.to_string(),
        })
        .collect()
}

#[test]
fn checksums_are_the_known_ones() {
    // The check values of the catalogue of parametrised CRC algorithms.
    use base64::Engine as _;
    let base64 = |bytes: &[u8]| base64::prelude::BASE64_STANDARD.encode(bytes);
    assert_eq!(crc32c(b"123456789"), base64(&0xE306_9283_u32.to_be_bytes()));
    assert_eq!(crc32(b"123456789"), base64(&0xCBF4_3926_u32.to_be_bytes()));
    let crc64 = base64(&0xAE8B_1486_0A79_9888_u64.to_be_bytes());
    assert_eq!(crc64nvme(b"123456789"), crc64);
}

#[test]
fn a_bucket_lists_in_pages() {
    let bucket = Bucket::of([("p/a", "1"), ("p/b", "22"), ("q", "3")]).pages_of(1);
    let ask = |target: &str| {
        let answer = bucket.s3(&Request::new("GET", target));
        String::from_utf8(answer.body.to_vec()).expect("XML")
    };
    let first = ask("/b?list-type=2&prefix=p%2F");
    assert!(
        first.contains("<Key>p/a</Key>") && first.contains("Token>1</"),
        "{first}"
    );
    let last = ask("/b/?list-type=2&prefix=p%2F&continuation-token=1");
    assert!(
        last.contains("<Key>p/b</Key>") && !last.contains("Token"),
        "{last}"
    );
    assert_eq!(ask("/b/p/b"), "22");
}
