//! Archives made byte by byte, because no honest tool makes the hostile ones.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// Tar's unit.
const BLOCK: usize = 512;

/// One member of a tar archive.
#[derive(Clone)]
pub struct Member {
    pub name: Vec<u8>,
    /// As POSIX numbers the kinds: `0` a file, `1` a hard link, `2` a symlink, `5` a folder.
    pub kind: u8,
    pub link: Vec<u8>,
    pub mode: u32,
    pub mtime: u64,
    pub body: Vec<u8>,
    /// What the header says the size is.
    pub size: u64,
}

/// A regular file.
pub fn file(name: &str, body: &[u8]) -> Member {
    Member {
        name: name.as_bytes().to_vec(),
        kind: b'0',
        link: Vec::new(),
        mode: 0o644,
        mtime: 1_700_000_000,
        body: body.to_vec(),
        size: body.len() as u64,
    }
}

/// A folder.
pub fn folder(name: &str) -> Member {
    special(name, b'5').mode(0o755)
}

/// A symlink.
pub fn symlink(name: &str, target: &str) -> Member {
    special(name, b'2').to(target)
}

/// A hard link.
pub fn hard_link(name: &str, target: &str) -> Member {
    special(name, b'1').to(target)
}

/// A member of this kind without a body.
pub fn special(name: &str, kind: u8) -> Member {
    let mut member = file(name, b"");
    member.kind = kind;
    member
}

impl Member {
    /// With this mode.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Last changed then, in seconds since 1970.
    pub fn at(mut self, mtime: u64) -> Self {
        self.mtime = mtime;
        self
    }

    /// With this target.
    pub fn to(mut self, target: &str) -> Self {
        self.link = target.as_bytes().to_vec();
        self
    }

    /// Whose header says that it has this size.
    pub fn claiming(mut self, size: u64) -> Self {
        self.size = size;
        self
    }
}

/// The bytes of a tar archive with these members and its end.
pub fn tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = open_tar(members);
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// The same without the end.
pub fn open_tar(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for member in members {
        append(&mut bytes, member);
    }
    bytes
}

/// A pax header for the member that follows.
pub fn pax(pairs: &[(&str, &str)]) -> Member {
    let mut body = String::new();
    for (name, value) in pairs {
        let rest = format!(" {name}={value}\n");
        // The number counts itself.
        let mut length = rest.len() + 1;
        while length.to_string().len() + rest.len() != length {
            length = length.to_string().len() + rest.len();
        }
        body.push_str(&format!("{length}{rest}"));
    }
    let mut member = file("pax", body.as_bytes());
    member.kind = b'x';
    member
}

/// GNU's header for the long name (`L`) or the long target (`K`) of the member that follows.
pub fn gnu_long(kind: u8, text: &str) -> Member {
    let mut body = text.as_bytes().to_vec();
    body.push(0);
    let mut member = file("././@LongLink", &body);
    member.kind = kind;
    member
}

fn append(bytes: &mut Vec<u8>, member: &Member) {
    let mut header = [0_u8; BLOCK];
    let mut put = |at: usize, text: &[u8], room: usize| {
        let length = text.len().min(room);
        header[at..at + length].copy_from_slice(&text[..length]);
    };
    put(0, &member.name, 100);
    put(100, format!("{:07o}\0", member.mode).as_bytes(), 8);
    put(108, b"0000000\0", 8);
    put(116, b"0000000\0", 8);
    put(124, format!("{:011o}\0", member.size).as_bytes(), 12);
    put(136, format!("{:011o}\0", member.mtime).as_bytes(), 12);
    put(148, b"        ", 8);
    put(156, &[member.kind], 1);
    put(157, &member.link, 100);
    put(257, b"ustar\x0000", 8);
    put(329, b"0000000\0", 8);
    put(337, b"0000000\0", 8);
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes.extend(header);
    bytes.extend(&member.body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}

/// Compressed as gzip.
pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Compressed as zstd.
pub fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

/// One entry of a zip archive, each of whose facts may lie.
#[derive(Clone)]
pub struct Entry {
    pub name: Vec<u8>,
    /// The name in the header before the bytes.
    pub local_name: Vec<u8>,
    pub stored: Vec<u8>,
    /// 0 stored, 8 deflate, 93 zstd.
    pub method: u16,
    pub flags: u16,
    pub crc: u32,
    pub size: u32,
    pub mode: u32,
    /// Where the central directory says that it begins; nothing for the truth.
    pub offset: Option<u32>,
}

/// A stored file.
pub fn stored(name: &str, body: &[u8]) -> Entry {
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, body);
    Entry {
        name: name.as_bytes().to_vec(),
        local_name: name.as_bytes().to_vec(),
        stored: body.to_vec(),
        method: 0,
        flags: 0,
        crc: u32::try_from(crc).expect("32 bits"),
        size: u32::try_from(body.len()).expect("small"),
        mode: 0o100_644,
        offset: None,
    }
}

/// A symlink.
pub fn zip_symlink(name: &str, target: &str) -> Entry {
    let mut entry = stored(name, target.as_bytes());
    entry.mode = 0o120_777;
    entry
}

/// The bytes of a zip archive with these entries.
pub fn zip(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut central = Vec::new();
    for entry in entries {
        let at = u32::try_from(bytes.len()).expect("small");
        let compressed = u32::try_from(entry.stored.len()).expect("small");
        let mut facts = Vec::new();
        facts.extend(20_u16.to_le_bytes());
        facts.extend(entry.flags.to_le_bytes());
        facts.extend(entry.method.to_le_bytes());
        // 1980-01-01, midnight.
        facts.extend([0, 0, 0x21, 0]);
        facts.extend(entry.crc.to_le_bytes());
        facts.extend(compressed.to_le_bytes());
        facts.extend(entry.size.to_le_bytes());
        let name_length = |name: &[u8]| u16::try_from(name.len()).expect("short").to_le_bytes();
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&facts);
        bytes.extend(name_length(&entry.local_name));
        bytes.extend([0, 0]);
        bytes.extend(&entry.local_name);
        bytes.extend(&entry.stored);
        central.extend(b"PK\x01\x02");
        // Made by version 2.0 on Unix, so that the mode counts.
        central.extend([20, 3]);
        central.extend(&facts);
        central.extend(name_length(&entry.name));
        central.extend([0; 8]);
        central.extend((entry.mode << 16).to_le_bytes());
        central.extend(entry.offset.unwrap_or(at).to_le_bytes());
        central.extend(&entry.name);
    }
    let count = u16::try_from(entries.len()).expect("few").to_le_bytes();
    let start = u32::try_from(bytes.len()).expect("small");
    let length = u32::try_from(central.len()).expect("small");
    bytes.extend(&central);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend(length.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn other_tools_read_these_archives() {
    use std::fs;

    use super::certificates::run_in;
    let folder_ = tempfile::tempdir().expect("a temporary directory");
    let members = [
        folder("d/"),
        pax(&[("path", "d/pax name")]),
        file("d/x", b"one"),
        gnu_long(b'L', "d/long"),
        file("d/short", b"two"),
        symlink("l", "d/x"),
    ];
    fs::write(folder_.path().join("a.tar.gz"), gz(&tar(&members))).expect("an archive");
    let entries = [stored("a", b"one"), zip_symlink("l", "a")];
    fs::write(folder_.path().join("a.zip"), zip(&entries)).expect("an archive");
    let said = run_in(
        folder_.path(),
        "tar tzf a.tar.gz; python3 -m zipfile -l a.zip | tail -n 2 | cut -c 1-2; python3 -m zipfile -t a.zip",
        &[],
    );
    assert_eq!(said, "d/\nd/pax name\nd/long\nl\na \nl \nDone testing\n");
}
