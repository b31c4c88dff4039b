//! Zips, good and hostile ones.

use std::io::{Seek as _, Write as _};

use super::super::samples::{Zipped, zip as zipped, zip_of, zip_saying};
use super::*;

fn unpack(target: &Target, bytes: &[u8], plan: &Plan) -> Result<Unpacked, Failure> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    let unpacked = zip(&file, &target.root(), plan)?;
    unpacked.settle(&target.root(), &(..), &plan.halt)?;
    Ok(unpacked)
}

fn refused(bytes: &[u8]) -> String {
    let target = Target::new();
    let failure = unpack(&target, bytes, &plan()).unwrap_err();
    assert_eq!(failure.kind(), Kind::Corrupt, "{failure}");
    assert_eq!(std::fs::read_dir(target.outer.path()).unwrap().count(), 1);
    failure.to_string()
}

fn good() -> Vec<Zipped> {
    vec![
        Zipped::stored("stored", b"stored content"),
        Zipped::deflated("d/deflated", &[b'x'; 70_000]),
        Zipped::zstd("d/zstd", &[b'y'; 70_000]),
    ]
}

#[test]
fn all_packings_come_out() {
    let mut entries = good();
    entries[0].mode = 0o104_755;
    entries.push(Zipped {
        mode: 0o120_777,
        ..Zipped::stored("d/link", b"../stored")
    });
    entries.push(Zipped {
        mode: 0o040_711,
        ..Zipped::stored("empty/", b"")
    });
    entries.push(Zipped {
        // An extended timestamp: modified, at 5.
        extra: b"UT\x05\0\x01\x05\0\0\0".to_vec(),
        ..Zipped::stored("timed", b"")
    });
    let target = Target::new();
    let unpacked = unpack(&target, &zipped(&entries), &plan()).unwrap();
    assert_eq!((unpacked.entries, unpacked.bytes), (6, 140_014));
    assert_eq!(target.read("stored"), b"stored content");
    assert_eq!(target.read("d/deflated"), vec![b'x'; 70_000]);
    assert_eq!(target.read("d/zstd"), vec![b'y'; 70_000]);
    assert_eq!(target.mode("stored"), 0o755);
    assert_eq!(target.mode("empty"), 0o711);
    assert_eq!(target.mtime("stored"), 981_173_106);
    assert_eq!(target.mtime("timed"), 5);
    let link = std::fs::read_link(target.path("d/link")).unwrap();
    assert_eq!(link, Path::new("../stored"));
}

#[test]
fn an_empty_zip_has_no_entries() {
    let target = Target::new();
    let unpacked = unpack(&target, &zip_of(&[]), &plan()).unwrap();
    assert_eq!(unpacked.entries, 0);
}

#[test]
fn zip64_descriptors_and_a_comment_come_out() {
    let mut writer = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default()
        .large_file(true)
        .compression_method(::zip::CompressionMethod::Stored);
    writer.start_file("large", options).unwrap();
    writer.write_all(b"content").unwrap();
    let bytes = writer.finish().unwrap().into_inner();
    let target = Target::new();
    unpack(&target, &bytes, &plan()).unwrap();
    assert_eq!(target.read("large"), b"content");

    let content = b"some content";
    let mut entry = Zipped::deflated("f", content);
    entry.flags = 8;
    let mut descriptor = b"PK\x07\x08".to_vec();
    descriptor.extend_from_slice(&entry.crc.to_le_bytes());
    descriptor.extend_from_slice(&entry.packed_size.to_le_bytes());
    descriptor.extend_from_slice(&entry.size.to_le_bytes());
    entry.descriptor = descriptor.clone();
    let mut bytes = zipped(&[entry.clone(), Zipped::stored("g", b"x")]);
    let last = bytes.len() - 2;
    bytes[last] = 7;
    bytes.extend_from_slice(b"comment");
    unpack(&Target::new(), &bytes, &plan()).unwrap();
    descriptor[4] ^= 1;
    entry.descriptor = descriptor;
    let said = refused(&zipped(&[entry, Zipped::stored("g", b"x")]));
    assert_eq!(
        said,
        "entry `f`: its descriptor disagrees with the directory"
    );
}

#[test]
fn names_and_links_obey_the_same_rules() {
    for name in [
        "../e",
        "/abs",
        "a//b",
        "a/../b",
        ".podinit/x",
        "./.podinit/x",
        "a\0b",
    ] {
        refused(&zip_of(&[(name, b"x")]));
    }
    for target in ["../x", "/etc/passwd", "a/../../x", ""] {
        refused(&zipped(&[Zipped {
            mode: 0o120_777,
            ..Zipped::stored("l", target.as_bytes())
        }]));
    }
    let link = Zipped {
        mode: 0o120_777,
        ..Zipped::stored("l", b"d")
    };
    refused(&zipped(&[link, Zipped::stored("l/x", b"x")]));
    for mode in [0o020_644, 0o060_644, 0o010_644, 0o140_644] {
        refused(&zipped(&[Zipped {
            mode,
            ..Zipped::stored("odd", b"")
        }]));
    }
    refused(&zip_of(&[("folder/", b"content")]));
    let target = Target::new();
    let strip = Plan { strip: 1, ..plan() };
    let bytes = zip_of(&[("a/b", b"1"), ("c", b"2"), ("a/b", b"3")]);
    assert_eq!(unpack(&target, &bytes, &strip).unwrap().entries, 2);
    assert_eq!(target.read("b"), b"3");
}

#[test]
fn what_the_directory_says_has_to_be_true() {
    let entry = |change: fn(&mut Zipped)| {
        let mut entries = good();
        change(&mut entries[1]);
        zipped(&entries)
    };
    let said = refused(&entry(|entry| entry.flags = 1));
    assert_eq!(said, "entry `d/deflated`: is encrypted");
    refused(&entry(|entry| {
        entry.local_name = Some(b"d/another!".to_vec());
    }));
    refused(&entry(|entry| entry.local_size = Some(7)));
    refused(&entry(|entry| entry.crc ^= 1));
    refused(&entry(|entry| entry.method = 12));
    let said = refused(&entry(|entry| entry.size += 1));
    assert_eq!(
        said,
        "entry `d/deflated`: is shorter than the directory says"
    );
    let said = refused(&entry(|entry| entry.size -= 1));
    assert_eq!(
        said,
        "entry `d/deflated`: is longer than the directory says"
    );
    refused(&entry(|entry| entry.packed[20] ^= 0x55));
    let said = refused(&entry(|entry| {
        entry.packed.extend_from_slice(b"rest");
        entry.packed_size += 4;
    }));
    assert_eq!(
        said,
        "entry `d/deflated`: its packed content is longer than the directory says"
    );
    let said = refused(&entry(|entry| entry.packed_size -= 1));
    assert!(said.starts_with("entry `d/deflated`: "), "{said}");
    refused(&entry(|entry| entry.packed_size = 1 << 30));
}

#[test]
fn entries_may_not_share_bytes() {
    let mut twice = vec![
        Zipped::stored("a", b"content"),
        Zipped::stored("a", b"content"),
    ];
    twice[1].offset = Some(0);
    let said = refused(&zipped(&twice));
    assert_eq!(said, "entry `a`: it shares bytes with another entry");
    // A stored file that holds another one, headers and all.
    let inner = zip_of(&[("b", b"inner content")]);
    let mut nested = vec![
        Zipped::stored("a", &inner),
        Zipped::stored("b", b"inner content"),
    ];
    nested[1].offset = Some(31);
    refused(&zipped(&nested));
}

#[test]
fn the_directory_has_to_be_complete_and_last() {
    let entries = good();
    for count in [0, 1, 2] {
        refused(&zip_saying(&entries, count));
    }
    refused(&zip_saying(&entries, 4));
    let bytes = zipped(&entries);
    for end in (0..bytes.len()).step_by(7) {
        refused(&bytes[..end]);
    }
    refused(&[bytes.as_slice(), b"x"].concat());
    unpack(
        &Target::new(),
        &[bytes.as_slice(), &[0; 9]].concat(),
        &plan(),
    )
    .unwrap();
    // One that unpacks itself begins with a program.
    let program = [b"#!/bin/sh\n".as_slice(), &bytes].concat();
    unpack(&Target::new(), &program, &plan()).unwrap();
    refused(b"no zip at all");
    refused(b"");
}

#[test]
fn a_zip_is_capped_like_any_other_archive() {
    let bytes = zipped(&good());
    let plan = Plan {
        cap: Cap::Bytes(140_013),
        ..plan()
    };
    let failure = unpack(&Target::new(), &bytes, &plan).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "it unpacks to more than 140013 bytes (--max-unpacked)"
    );
}
