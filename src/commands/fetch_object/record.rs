//! The record that a run leaves beside what it has published: what it came from and what it was, so that
//! the next run can tell that nothing has changed. Pure. It holds no secret and no value of a query.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use super::args::IfChanged;
use super::digest::Sha256;
use super::request::{Choice, Entry, What};
use super::source::Validator;
use super::unpack::Format;
use crate::base::file::{Facts, Shape};

/// Another number, another form: such a record is none.
const FORMAT: u32 = 1;

/// What paths are written with: all but printable ASCII is escaped, since a path is any bytes.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// What was published, and from what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// What identifies the source.
    pub(super) source: String,
    /// What was made of it.
    pub(super) made: Made,
    /// The object's state; that of a prefix is its files'.
    pub(super) validator: Validator,
    /// Bytes of the object, or of all of them.
    pub(super) length: u64,
    /// CRC-64/NVME of the object's bytes.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "hexadecimal")]
    pub(super) crc64: Option<u64>,
    /// SHA-256 of the object's bytes, if it was pinned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) sha256: Option<String>,
    /// Each file; that of a single one has no path.
    pub(super) files: Vec<Filed>,
    /// Directories that were made, escaped.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    folders: Vec<String>,
}

/// What became of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Made {
    /// One file, byte for byte.
    File,
    /// A directory of the prefix's objects.
    Prefix,
    /// What was unpacked of it.
    Unpacked {
        /// The name of the format.
        format: String,
        /// Segments that were dropped.
        strip: usize,
    },
}

/// One file, or link, as it was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Filed {
    /// Beneath DEST, escaped.
    path: String,
    inode: u64,
    mtime: (i64, i64),
    /// Bytes.
    pub(super) size: u64,
    /// CRC-64/NVME of its bytes.
    #[serde(with = "hexadecimal")]
    pub(super) crc64: Option<u64>,
    /// SHA-256, if it was pinned.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) sha256: Option<String>,
    /// The state of the object that it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) validator: Option<Validator>,
    /// Where it points, escaped, if it is a link.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    link: Option<String>,
}

/// What can be said of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is as it was left.
    Same,
    /// It may be: only its bytes can tell.
    Unsure,
    /// It is another one, or none.
    Other,
}

/// A CRC as text: JSON's readers elsewhere know no 64 bits.
mod hexadecimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "the form that serde asks for")]
    pub(super) fn serialize<S: Serializer>(sum: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match sum {
            Some(sum) => to.serialize_some(&format!("{sum:016x}")),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        Option::<String>::deserialize(from)?
            .map(|text| u64::from_str_radix(&text, 16).map_err(D::Error::custom))
            .transpose()
    }
}

fn escape(path: &OsStr) -> String {
    percent_encode(path.as_bytes(), ESCAPED).to_string()
}

fn unescape(text: &str) -> OsString {
    OsString::from_vec(percent_decode_str(text).collect())
}

impl Filed {
    /// A file as it lies on the disk now.
    pub(super) fn new(path: &OsStr, facts: &Facts, crc64: Option<u64>) -> Self {
        Self {
            path: escape(path),
            inode: facts.inode,
            mtime: facts.mtime,
            size: facts.size,
            crc64,
            sha256: None,
            validator: None,
            link: None,
        }
    }

    /// A link.
    pub(super) fn of_link(path: &OsStr, facts: &Facts, target: &OsStr) -> Self {
        Self {
            link: Some(escape(target)),
            ..Self::new(path, facts, None)
        }
    }

    /// A file that is a state of an object.
    pub(super) fn of_state(mut self, validator: &Validator) -> Self {
        self.validator = Some(validator.clone());
        self
    }

    /// The path beneath DEST.
    pub(super) fn path(&self) -> OsString {
        unescape(&self.path)
    }

    /// Where it points, if it is a link.
    pub(super) fn link(&self) -> Option<OsString> {
        self.link.as_deref().map(unescape)
    }

    /// The same file with another number or time.
    pub(super) fn refreshed(mut self, facts: &Facts) -> Self {
        self.inode = facts.inode;
        self.mtime = facts.mtime;
        self
    }

    /// Compares with what lies there. A file that is to be verified is never more than unsure.
    pub(super) fn look(&self, facts: Option<&Facts>, if_changed: IfChanged) -> Look {
        let shape = match self.link {
            Some(_) => Shape::Link,
            None => Shape::File,
        };
        match facts {
            Some(facts) if facts.shape == shape && facts.size == self.size => {
                let is_same = facts.inode == self.inode && facts.mtime == self.mtime;
                if is_same && if_changed == IfChanged::Record && self.link.is_none() {
                    Look::Same
                } else {
                    Look::Unsure
                }
            }
            Some(_) | None => Look::Other,
        }
    }
}

impl Record {
    /// A record of files that have been made.
    pub(super) fn new(source: &str, made: Made, files: Vec<Filed>) -> Self {
        Self {
            format: FORMAT,
            source: source.to_string(),
            made,
            validator: Validator::default(),
            length: 0,
            crc64: None,
            sha256: None,
            files,
            folders: Vec::new(),
        }
    }

    /// The directories that were made; `.` is DEST itself.
    pub(super) fn folders(&self) -> impl Iterator<Item = OsString> {
        self.folders.iter().map(|path| unescape(path))
    }

    /// Remembers the directories that were made.
    pub(super) fn set_folders<'a>(&mut self, folders: impl Iterator<Item = &'a OsString>) {
        self.folders = folders.map(|path| escape(path)).collect();
        self.folders.sort_unstable();
        self.folders.dedup();
    }

    /// Reads a record; one that is damaged, or of another form, is none.
    pub(super) fn read(from: impl Read) -> Option<Self> {
        serde_json::from_reader::<_, Self>(std::io::BufReader::new(from))
            .ok()
            .filter(|record| record.format == FORMAT)
    }

    /// Writes it, with a final newline.
    ///
    /// # Errors
    /// What the writer says.
    pub(super) fn write(&self, to: &mut dyn Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut *to, self)?;
        to.write_all(b"\n")
    }

    /// Whether it is about a directory, and not about one file.
    pub(super) fn is_tree(&self) -> bool {
        !matches!(self.files.as_slice(), [filed] if filed.path.is_empty())
    }

    /// Whether it is about what this entry asks for.
    pub(super) fn fits(&self, identity: &str, entry: &Entry, wanted_strip: usize) -> bool {
        let is_same_kind = match (&self.made, entry.what) {
            (Made::File, What::Object) | (Made::Prefix, What::Prefix) => true,
            (Made::Unpacked { format, strip }, What::Archive(choice)) => {
                let is_format = match choice {
                    Choice::Auto => true,
                    Choice::Format(wanted) => wanted.name() == format,
                };
                is_format && *strip == wanted_strip
            }
            (_, _) => false,
        };
        self.source == identity && is_same_kind
    }

    /// Whether what it holds is what the entry pins, so that nothing has to be asked.
    pub(super) fn is_pinned(&self, entry: &Entry, sha256: Option<Sha256>) -> bool {
        match self.agrees(entry, sha256) {
            Agreement::Refuted => false,
            Agreement::Confirmed => true,
            Agreement::Open => entry.location.is_pinned(),
        }
    }

    /// What it says of the entry's digest and `ETag`.
    pub(super) fn agrees(&self, entry: &Entry, sha256: Option<Sha256>) -> Agreement {
        let recorded = self.sha256.as_deref().and_then(|text| text.parse().ok());
        let etag = self.validator.etag.as_deref().map(bare);
        let pins = [
            sha256.map(|wanted| recorded.map(|recorded: Sha256| recorded == wanted)),
            entry
                .etag
                .as_deref()
                .map(|wanted| etag.map(|etag| etag == bare(wanted))),
        ];
        if pins.contains(&Some(Some(false))) || pins.contains(&Some(None)) {
            return Agreement::Refuted;
        }
        if pins.contains(&Some(Some(true))) {
            return Agreement::Confirmed;
        }
        Agreement::Open
    }

    /// Whether the store could be asked whether it has changed.
    pub(super) fn is_askable(&self) -> bool {
        self.validator.etag.is_some()
            || self.validator.generation.is_some()
            || self.validator.last_modified.is_some()
    }
}

/// What a record says of the pins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// There are some, and it has all of them.
    Confirmed,
    /// There are none.
    Open,
    /// One is another one, or not in it.
    Refuted,
}

/// An `ETag` without quotes and mark.
fn bare(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// The name of a format, as records have it.
pub(super) fn unpacked(format: Format, strip: usize) -> Made {
    Made::Unpacked {
        format: format.name().to_string(),
        strip,
    }
}

#[cfg(test)]
mod tests;
