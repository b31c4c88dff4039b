//! The formats that are unpacked, and how each is known by its content. Names of objects say nothing
//! here: an archive is what its bytes are.

use std::io::Read;

use super::tar::is_header;
use super::{gz, zst};
use crate::base::failure::{Failure, Kind};

/// Bytes of an archive that are looked at ahead. A block of zstd, the least of which anything can be
/// known, has up to 128 KiB.
pub(super) const LOOK_AHEAD: usize = 256 << 10;

/// Unpacked bytes that tell a tar from anything else. A disk image may begin with 1 KiB of zero bytes.
const TAR_SAMPLE: usize = 10 << 10;

/// Length of a tar's header.
const HEADER: usize = 512;

/// What `--unpack` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Format {
    /// A tar as such.
    Tar,
    /// A tar in gzip.
    TarGz,
    /// A tar in zstd.
    TarZst,
    /// A zip.
    Zip,
    /// One file in gzip.
    Gz,
    /// One file in zstd.
    Zst,
}

/// One row of the table of formats.
struct Row {
    format: Format,
    name: &'static str,
    /// How names of such files end; empty where nothing is taken off.
    suffix: &'static str,
    packing: Packing,
}

/// What the bytes are at their outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
    Zip,
}

/// Every format; to add one is a line here and a file beside this one.
const FORMATS: [Row; 6] = [
    row(Format::Tar, "tar", "", Packing::Plain),
    row(Format::TarGz, "tar.gz", "", Packing::Gzip),
    row(Format::TarZst, "tar.zst", "", Packing::Zstd),
    row(Format::Zip, "zip", "", Packing::Zip),
    row(Format::Gz, "gz", ".gz", Packing::Gzip),
    row(Format::Zst, "zst", ".zst", Packing::Zstd),
];

/// How the packings that are taken begin.
const MAGIC: [(Packing, &[u8]); 4] = [
    (Packing::Gzip, b"\x1f\x8b"),
    (Packing::Zstd, b"\x28\xb5\x2f\xfd"),
    (Packing::Zip, b"PK\x03\x04"),
    (Packing::Zip, b"PK\x05\x06"), // without any entry
];

/// How others begin, which are named in the failure.
const FOREIGN: [(&str, &[u8]); 6] = [
    ("xz", b"\xfd7zXZ\0"),
    ("bzip2", b"BZh"),
    ("lz4", b"\x04\x22\x4d\x18"),
    ("lzip", b"LZIP"),
    ("7z", b"7z\xbc\xaf\x27\x1c"),
    ("rar", b"Rar!\x1a\x07"),
];

const fn row(format: Format, name: &'static str, suffix: &'static str, packing: Packing) -> Row {
    Row {
        format,
        name,
        suffix,
        packing,
    }
}

impl Format {
    /// Every format, for `--help` and hints.
    pub(in super::super) fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|row| row.format)
    }

    /// The value of `--unpack`.
    pub(in super::super) fn name(self) -> &'static str {
        self.row().name
    }

    /// The format of this name.
    pub(in super::super) fn named(name: &str) -> Option<Self> {
        let row = FORMATS.iter().find(|row| row.name == name)?;
        Some(row.format)
    }

    /// Whether it fills a directory; else it gives one file.
    pub(in super::super) fn is_tree(self) -> bool {
        match self {
            Self::Tar | Self::TarGz | Self::TarZst | Self::Zip => true,
            Self::Gz | Self::Zst => false,
        }
    }

    /// Whether it is unpacked as it comes; else its end is needed first.
    pub(in super::super) fn is_streamed(self) -> bool {
        self != Self::Zip
    }

    /// What the one file is called that comes out of an object of this name: without `.gz` or `.zst`.
    pub(in super::super) fn bare_name(self, name: &[u8]) -> &[u8] {
        match name.strip_suffix(self.row().suffix.as_bytes()) {
            Some(bare) if !bare.is_empty() => bare,
            _ => name,
        }
    }

    fn row(self) -> &'static Row {
        let [tar, tar_gz, tar_zst, zip, gz, zst] = &FORMATS;
        match self {
            Self::Tar => tar,
            Self::TarGz => tar_gz,
            Self::TarZst => tar_zst,
            Self::Zip => zip,
            Self::Gz => gz,
            Self::Zst => zst,
        }
    }

    /// Refuses bytes that cannot be of this format by their beginning.
    pub(super) fn expect(self, beginning: &[u8]) -> Result<(), Failure> {
        let wanted = self.row().packing;
        let found = packing(beginning);
        if found == Some(wanted) && (wanted != Packing::Plain || is_tar(beginning)) {
            return Ok(());
        }
        if is_cut(wanted, beginning) {
            return Err(Failure::new(Kind::Corrupt, "the archive is cut short"));
        }
        let found = match found {
            Some(Packing::Gzip) => "gzip",
            Some(Packing::Zstd) => "zstd",
            Some(Packing::Zip) => "zip",
            Some(Packing::Plain) if is_tar(beginning) => "tar",
            Some(Packing::Plain) | None => return Err(unknown(beginning, self.name())),
        };
        let reason = format!("it is no {}: it begins as {found} does", self.name());
        Err(Failure::new(Kind::Corrupt, reason)
            .hint("give `--unpack` alone, and the format is known by its content"))
    }
}

/// The format of what begins so. `beginning` is `LOOK_AHEAD` bytes, or all there are.
///
/// # Errors
/// `Corrupt` if it is none of the formats.
pub(super) fn recognise(beginning: &[u8]) -> Result<Format, Failure> {
    Ok(match packing(beginning) {
        Some(Packing::Zip) => Format::Zip,
        Some(Packing::Gzip) if is_tar(&sample(&mut gz::Decoder::new(beginning))) => Format::TarGz,
        Some(Packing::Gzip) => Format::Gz,
        Some(Packing::Zstd) if is_tar(&sample(&mut zst::Decoder::new(beginning)?)) => {
            Format::TarZst
        }
        Some(Packing::Zstd) => Format::Zst,
        Some(Packing::Plain) if is_tar(beginning) => Format::Tar,
        Some(Packing::Plain) | None => {
            return Err(unknown(beginning, "tar, gzip, zstd or zip"));
        }
    })
}

/// The outside of what begins so; `None` for a packing that is not taken.
fn packing(beginning: &[u8]) -> Option<Packing> {
    if FOREIGN
        .iter()
        .any(|(_, magic)| beginning.starts_with(magic))
        && !is_tar(beginning)
    {
        return None;
    }
    // The 16 kinds of skippable frames of zstd.
    if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = beginning {
        return Some(Packing::Zstd);
    }
    let known = MAGIC.iter().find(|(_, magic)| beginning.starts_with(magic));
    Some(known.map_or(Packing::Plain, |(packing, _)| *packing))
}

/// Whether there is less than what tells that it is of this packing.
fn is_cut(wanted: Packing, beginning: &[u8]) -> bool {
    match wanted {
        Packing::Plain => beginning.is_empty() || (beginning.len() < HEADER && beginning[0] == 0),
        _ => MAGIC
            .iter()
            .any(|(packing, magic)| *packing == wanted && magic.starts_with(beginning)),
    }
}

/// Whether a tar begins so: with a header whose checksum is right, or with its end.
fn is_tar(beginning: &[u8]) -> bool {
    let sample = &beginning[..beginning.len().min(TAR_SAMPLE)];
    let Some(header) = sample.first_chunk::<HEADER>() else {
        return false;
    };
    is_header(header) || (sample.len() >= 2 * HEADER && sample.iter().all(|byte| *byte == 0))
}

/// The beginning of what is packed, as far as it can be had.
fn sample(decoder: &mut dyn Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Whatever fails here fails again when it is unpacked, and is reported then.
    let _ = decoder.take(TAR_SAMPLE as u64).read_to_end(&mut bytes);
    bytes
}

fn unknown(beginning: &[u8], wanted: &str) -> Failure {
    if beginning.is_empty() {
        return Failure::new(Kind::Corrupt, format!("it is empty, and no {wanted}"));
    }
    let foreign = FOREIGN
        .iter()
        .find(|(_, magic)| beginning.starts_with(magic));
    match foreign {
        Some((name, _)) => Failure::new(Kind::Corrupt, format!("it is {name}, and no {wanted}"))
            .hint("repack it as tar.zst"),
        None => Failure::new(Kind::Corrupt, format!("by its content it is no {wanted}"))
            .hint("leave --unpack out to fetch it as it is, or repack it as tar.zst"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Tar, gz, zip_of, zst};
    use super::*;

    fn tar() -> Vec<u8> {
        Tar::new().file("a", b"content").end()
    }

    #[test]
    fn formats_are_known_by_their_content() {
        let skippable = b"\x5f\x2a\x4d\x18\0\0\0\0".to_vec();
        for (bytes, format) in [
            (tar(), Format::Tar),
            (vec![0; 10240], Format::Tar),
            (gz(&tar()), Format::TarGz),
            (gz(&[0; 10240]), Format::TarGz),
            (zst(&tar()), Format::TarZst),
            ([skippable, zst(&tar())].concat(), Format::TarZst),
            ([gz(b""), gz(&tar())].concat(), Format::TarGz),
            (gz(b"text"), Format::Gz),
            (gz(b""), Format::Gz),
            (zst(b"text"), Format::Zst),
            (zst(&vec![b'x'; 1 << 20]), Format::Zst),
            (zip_of(&[("a", b"x")]), Format::Zip),
            (zip_of(&[]), Format::Zip),
        ] {
            let beginning = &bytes[..bytes.len().min(LOOK_AHEAD)];
            assert_eq!(recognise(beginning).unwrap(), format);
            format.expect(beginning).unwrap();
        }
    }

    #[test]
    fn a_disk_image_that_begins_with_zero_bytes_is_no_tar() {
        let mut image = vec![0; 64 << 10];
        image[1080] = 0x53;
        assert_eq!(recognise(&gz(&image)).unwrap(), Format::Gz);
        recognise(&image).unwrap_err();
    }

    #[test]
    fn a_tar_whose_first_name_begins_as_another_format_is_a_tar() {
        let bytes = Tar::new().file("BZhello", b"x").end();
        assert_eq!(recognise(&bytes).unwrap(), Format::Tar);
    }

    #[test]
    fn other_formats_are_named_with_the_mend() {
        let failure = recognise(b"\xfd7zXZ\0\0\x04").unwrap_err();
        assert_eq!(failure.kind(), Kind::Corrupt);
        assert_eq!(
            failure.to_string(),
            "it is xz, and no tar, gzip, zstd or zip"
        );
        assert_eq!(failure.mend(), Some("repack it as tar.zst"));
        for bytes in [b"<html>".as_slice(), b"", &[0; 100], &[b'x'; 4096]] {
            assert_eq!(recognise(bytes).unwrap_err().kind(), Kind::Corrupt);
        }
    }

    #[test]
    fn a_format_that_was_asked_for_must_be_there() {
        let failure = Format::TarGz.expect(&zst(&tar())).unwrap_err();
        assert_eq!(
            failure.to_string(),
            "it is no tar.gz: it begins as zstd does"
        );
        for format in Format::all() {
            for bytes in [b"".as_slice(), b"text", &[b'x'; 4096]] {
                assert_eq!(format.expect(bytes).unwrap_err().kind(), Kind::Corrupt);
            }
        }
        let failure = Format::Tar.expect(&gz(&tar())).unwrap_err();
        assert_eq!(failure.to_string(), "it is no tar: it begins as gzip does");
        let failure = Format::Zst.expect(b"\x28\xb5").unwrap_err();
        assert_eq!(failure.to_string(), "the archive is cut short");
    }

    #[test]
    fn the_table_is_the_enum() {
        for format in Format::all() {
            assert_eq!(Format::named(format.name()), Some(format));
        }
        assert_eq!(Format::named("tar.xz"), None);
        assert_eq!(Format::Gz.bare_name(b"app.gz"), b"app");
        assert_eq!(Format::Gz.bare_name(b"app.zst"), b"app.zst");
        assert_eq!(Format::Zst.bare_name(b"a.tar.zst"), b"a.tar");
        assert_eq!(Format::Gz.bare_name(b".gz"), b".gz");
        assert_eq!(Format::Tar.bare_name(b"a.tar"), b"a.tar");
    }
}
