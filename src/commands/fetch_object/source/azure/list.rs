//! The XML of Azure's List Blobs. Pure.

use percent_encoding::percent_decode_str;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::super::xml::reference;
use super::super::{Listed, Page, Validator};
use crate::base::failure::{Failure, Kind};

/// One `Blob` as far as it has been read.
#[derive(Default)]
struct Blob {
    name: Option<String>,
    is_encoded: bool,
    size: Option<String>,
    etag: Option<String>,
    is_folder: bool,
}

/// Reads one page; a byte order mark in front is nothing.
///
/// # Errors
/// `Corrupt` for anything else than a whole list.
pub(super) fn read(body: &[u8]) -> Result<Page, Failure> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let corrupt = |words: String| Failure::new(Kind::Corrupt, words);
    let mut reader = Reader::from_reader(body);
    let mut path: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut blob = Blob::default();
    let mut page = Page::default();
    let mut is_whole = false;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| corrupt(error.to_string()))?;
        match event {
            Event::Start(tag) => {
                let name = tag.local_name().as_ref().to_string();
                match (path.last().map_or("", String::as_str), name.as_str()) {
                    ("Blobs", "Blob") => blob = Blob::default(),
                    // Metadata may have a `Name` too.
                    ("Blob", "Name") => blob.is_encoded = is_encoded(&tag),
                    _ => {}
                }
                path.push(name);
                text.clear();
            }
            Event::Text(piece) => text.push_str(&piece),
            Event::CData(piece) => text.push_str(&piece),
            Event::GeneralRef(name) => text.push_str(
                &reference(&name)
                    .ok_or_else(|| corrupt("a reference to an unknown letter".to_string()))?,
            ),
            Event::End(_) => {
                let name = path.pop().unwrap_or_default();
                let parent = path.last().map_or("", String::as_str);
                match (parent, name.as_str()) {
                    ("Blob", "Name") => blob.name = Some(std::mem::take(&mut text)),
                    ("Properties", "Content-Length") => blob.size = Some(std::mem::take(&mut text)),
                    ("Properties", "Etag") => blob.etag = Some(std::mem::take(&mut text)),
                    ("Properties", "ResourceType") => blob.is_folder = text.trim() == "directory",
                    ("Blobs", "Blob") => page.objects.push(std::mem::take(&mut blob).listed()?),
                    ("EnumerationResults", "NextMarker") => {
                        page.next = Some(std::mem::take(&mut text)).filter(|next| !next.is_empty());
                    }
                    ("", "EnumerationResults") => is_whole = true,
                    _ => {}
                }
                text.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !is_whole {
        return Err(corrupt("it is no whole list of blobs".to_string()));
    }
    Ok(page)
}

fn is_encoded(tag: &BytesStart<'_>) -> bool {
    tag.try_get_attribute("Encoded")
        .ok()
        .flatten()
        .is_some_and(|attribute| attribute.value.eq_ignore_ascii_case("true"))
}

impl Blob {
    fn listed(self) -> Result<Listed, Failure> {
        let corrupt = |words: &str| Failure::new(Kind::Corrupt, words);
        let mut key = self.name.ok_or_else(|| corrupt("a blob without a name"))?;
        if self.is_encoded {
            let decoded = percent_decode_str(&key).decode_utf8();
            key = decoded
                .map_err(|_| corrupt("a name that is not UTF-8"))?
                .into_owned();
        }
        // A folder of a hierarchical account is listed like a blob without bytes.
        if self.is_folder && !key.ends_with('/') {
            key.push('/');
        }
        let size = self.size.and_then(|size| size.trim().parse().ok());
        // Lists leave out the quotes that answers have.
        let etag = self
            .etag
            .filter(|etag| !etag.is_empty())
            .map(|etag| match etag.as_str() {
                quoted if quoted.starts_with(['"', 'W']) => etag,
                bare => format!("\"{bare}\""),
            });
        Ok(Listed {
            key,
            size: size.ok_or_else(|| corrupt("a blob without a length"))?,
            validator: Validator {
                etag,
                ..Validator::default()
            },
            checksums: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_with_odd_names_and_folders() {
        let xml = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"x\" ContainerName=\"c\">\
            <Prefix>p/</Prefix><Blobs>\
            <Blob><Name>p/a &amp; b+%41 </Name><Properties><Etag>0x8D</Etag><Content-Length>3</Content-Length><Content-MD5/></Properties></Blob>\
            <Blob><Name Encoded=\"true\">p/%EF%BF%BE%41</Name><Properties><Content-Length>0</Content-Length><Etag>\"0x1\"</Etag></Properties><Metadata><Name>x</Name></Metadata></Blob>\
            <Blob><Name>p/dir</Name><Properties><Content-Length>0</Content-Length><ResourceType>directory</ResourceType></Properties></Blob>\
            </Blobs><NextMarker>m&amp;1</NextMarker></EnumerationResults>";
        let page = read(xml.as_bytes()).unwrap();
        let found: Vec<(&str, u64, Option<&str>)> = page
            .objects
            .iter()
            .map(|blob| (blob.key.as_str(), blob.size, blob.validator.etag.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("p/a & b+%41 ", 3, Some("\"0x8D\"")),
                ("p/\u{fffe}A", 0, Some("\"0x1\"")),
                ("p/dir/", 0, None),
            ]
        );
        assert_eq!(page.next.as_deref(), Some("m&1"));
        let empty = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
        let page = read(empty.as_bytes()).unwrap();
        assert!(page.objects.is_empty() && page.next.is_none());
    }

    #[test]
    fn what_is_no_whole_list_is_corrupt() {
        for wrong in [
            "",
            "<html><body></body></html>",
            "<EnumerationResults><Blobs><Blob><Name>a</Name>",
            "<EnumerationResults><Blobs><Blob><Properties><Content-Length>1</Content-Length></Properties></Blob></Blobs></EnumerationResults>",
            "<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>",
            "<EnumerationResults><Blobs></EnumerationResults>",
        ] {
            assert_eq!(
                read(wrong.as_bytes()).unwrap_err().kind(),
                Kind::Corrupt,
                "{wrong}"
            );
        }
    }
}
