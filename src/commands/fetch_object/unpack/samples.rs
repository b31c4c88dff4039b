//! Archives for tests, built byte by byte, so that they can lie.

use std::io::Write as _;

/// One gzip member.
pub(super) fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// One zstd frame with a checksum.
pub(super) fn zst(content: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Records of a pax header.
pub(super) fn pax_records(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (keyword, value) in records {
        let rest = keyword.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        bytes.extend_from_slice(format!("{length} {keyword}=").as_bytes());
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
    bytes
}

/// A header of tar, field by field.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) bytes: [u8; 512],
}

impl Head {
    /// A header of POSIX with mode 0644 and time 1,000,000,000.
    pub(super) fn new(kind: u8, name: &[u8]) -> Self {
        let mut head = Self { bytes: [0; 512] };
        let fits = name.len().min(100);
        head.bytes[..fits].copy_from_slice(&name[..fits]);
        head.octal(100, 8, 0o644);
        head.octal(108, 8, 0);
        head.octal(116, 8, 0);
        head.octal(124, 12, 0);
        head.octal(136, 12, 1_000_000_000);
        head.bytes[156] = kind;
        head.bytes[257..265].copy_from_slice(b"ustar\x0000");
        head
    }

    fn octal(&mut self, at: usize, length: usize, value: u64) {
        let text = format!("{value:0width$o}\0", width = length - 1);
        self.put(at, text.as_bytes());
    }

    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(super) fn size(mut self, size: u64) -> Self {
        self.octal(124, 12, size);
        self
    }

    pub(super) fn mode(mut self, mode: u64) -> Self {
        self.octal(100, 8, mode);
        self
    }

    pub(super) fn mtime(mut self, mtime: u64) -> Self {
        self.octal(136, 12, mtime);
        self
    }

    pub(super) fn target(mut self, target: &[u8]) -> Self {
        self.put(157, target);
        self
    }

    pub(super) fn with(mut self, at: usize, bytes: &[u8]) -> Self {
        self.put(at, bytes);
        self
    }

    /// With the right checksum.
    fn sealed(mut self) -> [u8; 512] {
        self.put(148, b"        ");
        let sum: u64 = self.bytes.iter().map(|byte| u64::from(*byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.bytes
    }
}

/// A tar that grows.
#[derive(Clone, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A header and exactly this content, padded.
    pub(super) fn raw(mut self, head: Head, content: &[u8]) -> Self {
        self.0.extend_from_slice(&head.sealed());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// A header that tells the length of its content.
    pub(super) fn entry(self, head: Head, content: &[u8]) -> Self {
        let head = head.size(content.len() as u64);
        self.raw(head, content)
    }

    pub(super) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(Head::new(b'0', name.as_bytes()), content)
    }

    pub(super) fn folder(self, name: &str) -> Self {
        self.entry(Head::new(b'5', name.as_bytes()).mode(0o755), b"")
    }

    pub(super) fn link(self, name: &str, target: &str) -> Self {
        self.entry(
            Head::new(b'2', name.as_bytes()).target(target.as_bytes()),
            b"",
        )
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(
            Head::new(b'1', name.as_bytes()).target(target.as_bytes()),
            b"",
        )
    }

    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.entry(Head::new(b'x', b"pax"), &pax_records(records))
    }

    /// Without the end marker.
    pub(super) fn cut(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// An entry of a zip, with what each of its headers says.
#[derive(Clone)]
pub(super) struct Zipped {
    pub(super) name: Vec<u8>,
    /// The packed bytes.
    pub(super) packed: Vec<u8>,
    pub(super) method: u16,
    pub(super) flags: u16,
    pub(super) crc: u32,
    /// What the directory says.
    pub(super) size: u32,
    pub(super) packed_size: u32,
    pub(super) mode: u32,
    pub(super) extra: Vec<u8>,
    pub(super) local_name: Option<Vec<u8>>,
    pub(super) local_size: Option<u32>,
    /// Where the directory says the local header is, if it lies.
    pub(super) offset: Option<u32>,
    pub(super) descriptor: Vec<u8>,
}

impl Zipped {
    pub(super) fn stored(name: &str, content: &[u8]) -> Self {
        Self::packed(name, content, 0, content.to_vec())
    }

    pub(super) fn deflated(name: &str, content: &[u8]) -> Self {
        let level = flate2::Compression::fast();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(content).unwrap();
        Self::packed(name, content, 8, encoder.finish().unwrap())
    }

    pub(super) fn zstd(name: &str, content: &[u8]) -> Self {
        Self::packed(name, content, 93, zst(content))
    }

    fn packed(name: &str, content: &[u8], method: u16, packed: Vec<u8>) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            method,
            flags: 0,
            crc: crc_fast::crc32_iso_hdlc(content),
            size: u32::try_from(content.len()).unwrap(),
            packed_size: u32::try_from(packed.len()).unwrap(),
            packed,
            mode: 0o100_644,
            extra: Vec::new(),
            local_name: None,
            local_size: None,
            offset: None,
            descriptor: Vec::new(),
        }
    }

    fn common(&self, size: u32, name: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&45_u16.to_le_bytes());
        bytes.extend_from_slice(&self.flags.to_le_bytes());
        bytes.extend_from_slice(&self.method.to_le_bytes());
        // 2001-02-03, 04:05:06.
        bytes.extend_from_slice(&(4_u16 << 11 | 5 << 5 | 3).to_le_bytes());
        bytes.extend_from_slice(&(21_u16 << 9 | 2 << 5 | 3).to_le_bytes());
        bytes.extend_from_slice(&self.crc.to_le_bytes());
        bytes.extend_from_slice(&self.packed_size.to_le_bytes());
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(self.extra.len()).unwrap().to_le_bytes());
        bytes
    }

    fn local(&self) -> Vec<u8> {
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let size = self.local_size.unwrap_or(self.size);
        let fields = self.common(size, name);
        [
            b"PK\x03\x04",
            fields.as_slice(),
            name,
            &self.extra,
            &self.packed,
            &self.descriptor,
        ]
        .concat()
    }

    fn central(&self, offset: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02\x2d\x03".to_vec();
        bytes.extend_from_slice(&self.common(self.size, &self.name));
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&(self.mode << 16).to_le_bytes());
        bytes.extend_from_slice(&self.offset.unwrap_or(offset).to_le_bytes());
        bytes.extend_from_slice(&self.name);
        bytes.extend_from_slice(&self.extra);
        bytes
    }
}

/// A zip of these entries.
pub(super) fn zip(entries: &[Zipped]) -> Vec<u8> {
    zip_saying(entries, u16::try_from(entries.len()).unwrap())
}

/// A zip whose end record tells this number of entries.
pub(super) fn zip_saying(entries: &[Zipped], count: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        directory.extend_from_slice(&entry.central(u32::try_from(bytes.len()).unwrap()));
        bytes.extend_from_slice(&entry.local());
    }
    let start = u32::try_from(bytes.len()).unwrap();
    bytes.extend_from_slice(&directory);
    bytes.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&count.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(directory.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(&start.to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes
}

/// A zip of stored files.
pub(super) fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<Zipped> = files
        .iter()
        .map(|(name, content)| Zipped::stored(name, content))
        .collect();
    zip(&entries)
}
