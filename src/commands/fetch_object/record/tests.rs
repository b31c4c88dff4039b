use super::*;
use crate::commands::fetch_object::destination::Destination;

const FACTS: Facts = Facts {
    shape: Shape::File,
    inode: 7,
    device: 1,
    mtime: (1, 2),
    size: 3,
    stored: 4096,
    mode: 0o644,
    owner: (0, 0),
};

fn entry(source: &str) -> Entry {
    Entry {
        number: None,
        location: source.parse().unwrap(),
        destination: Destination::parse("d".as_ref()).unwrap(),
        what: What::Object,
        sha256: None,
        etag: None,
        mode: None,
    }
}

fn record() -> Record {
    let mut record = Record::new(
        "s3://b/k",
        Made::File,
        vec![Filed::new(
            OsStr::from_bytes(b"a\n%\xff"),
            &FACTS,
            Some(u64::MAX),
        )],
    );
    record.validator.etag = Some("\"abc\"".to_string());
    record.sha256 = Some("11".repeat(32));
    record
}

#[test]
fn a_record_is_read_as_it_was_written() {
    let mut bytes = Vec::new();
    record().write(&mut bytes).unwrap();
    let read = Record::read(bytes.as_slice()).unwrap();
    assert_eq!(read, record());
    assert_eq!(read.files[0].path(), OsStr::from_bytes(b"a\n%\xff"));
    assert_eq!(read.files[0].crc64, Some(u64::MAX));
}

#[test]
fn a_damaged_or_foreign_record_is_none() {
    let mut bytes = Vec::new();
    record().write(&mut bytes).unwrap();
    assert_eq!(Record::read(&bytes[..bytes.len() / 2]), None);
    assert_eq!(Record::read(&b""[..]), None);
    let other = String::from_utf8(bytes)
        .unwrap()
        .replace("\"format\":1", "\"format\":2");
    assert_eq!(Record::read(other.as_bytes()), None);
}

#[test]
fn inode_time_and_size_together_are_trusted() {
    let filed = Filed::new(OsStr::new(""), &FACTS, Some(1));
    let look = |facts: Facts, way| filed.look(Some(&facts), way);
    assert_eq!(look(FACTS, IfChanged::Record), Look::Same);
    assert_eq!(look(FACTS, IfChanged::Verify), Look::Unsure);
    let moved = Facts { inode: 8, ..FACTS };
    assert_eq!(look(moved, IfChanged::Record), Look::Unsure);
    let touched = Facts {
        mtime: (1, 3),
        ..FACTS
    };
    assert_eq!(look(touched, IfChanged::Record), Look::Unsure);
    let longer = Facts { size: 4, ..FACTS };
    assert_eq!(look(longer, IfChanged::Record), Look::Other);
    let folder = Facts {
        shape: Shape::Folder,
        ..FACTS
    };
    assert_eq!(look(folder, IfChanged::Record), Look::Other);
    assert_eq!(filed.look(None, IfChanged::Record), Look::Other);
}

#[test]
fn a_pin_that_the_record_confirms_needs_no_request() {
    let digest = |byte: &str| byte.repeat(32).parse::<Sha256>().ok();
    let plain = entry("s3://b/k");
    assert!(!record().is_pinned(&plain, None));
    assert!(record().is_pinned(&plain, digest("11")));
    assert!(!record().is_pinned(&plain, digest("22")));
    let mut tagged = entry("s3://b/k");
    tagged.etag = Some("abc".to_string());
    assert!(record().is_pinned(&tagged, None));
    assert!(record().is_pinned(&tagged, digest("11")));
    assert!(!record().is_pinned(&tagged, digest("22")));
    tagged.etag = Some("abd".to_string());
    assert!(!record().is_pinned(&tagged, digest("11")));
    let versioned = entry("s3://b/k?versionId=v");
    assert!(record().is_pinned(&versioned, None));
    assert!(!record().is_pinned(&entry("s3://b/k?versionId=null"), None));
    let unpinned = Record {
        sha256: None,
        ..record()
    };
    assert_eq!(unpinned.agrees(&plain, digest("11")), Agreement::Refuted);
}

#[test]
fn a_record_of_something_else_does_not_fit() {
    let mut wanted = entry("s3://b/k");
    assert!(record().fits("s3://b/k", &wanted, 0));
    assert!(!record().fits("s3://b/other", &wanted, 0));
    wanted.what = What::Archive(Choice::Auto);
    assert!(!record().fits("s3://b/k", &wanted, 0));
    let made = unpacked(Format::TarGz, 1);
    let archive = Record { made, ..record() };
    assert!(archive.fits("s3://b/k", &wanted, 1));
    assert!(!archive.fits("s3://b/k", &wanted, 0));
    wanted.what = What::Archive(Choice::Format(Format::Tar));
    assert!(!archive.fits("s3://b/k", &wanted, 1));
}
