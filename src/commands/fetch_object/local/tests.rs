use nix::sys::signal::Signal;
use tokio::sync::watch;

use super::*;
use crate::commands::fetch_object::destination::Destination;
use crate::commands::fetch_object::request::What;

const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

struct Stage {
    place: tempfile::TempDir,
    entry: Entry,
    deadline: Deadline,
    _stop: watch::Sender<Option<Signal>>,
}

impl Stage {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("f"), "hello\n").unwrap();
        let (stop, stopped) = watch::channel(None);
        Self {
            place,
            entry: Entry {
                number: None,
                location: "s3://b/k".parse().unwrap(),
                destination: Destination::parse("f".as_ref()).unwrap(),
                what: What::Object,
                sha256: None,
                etag: None,
                mode: None,
            },
            deadline: Deadline::new("1m".parse().unwrap(), stopped),
            _stop: stop,
        }
    }

    fn judge(&self, record: Option<Record>, pin: Option<&str>, way: IfChanged) -> Local {
        let folder = Folder::open(self.place.path()).unwrap();
        let wanted = Wanted {
            entry: &self.entry,
            identity: "s3://b/k",
            sha256: pin.map(|pin| pin.parse().unwrap()),
            if_changed: way,
            deadline: &self.deadline,
        };
        wanted.judge(&folder, OsStr::new("f"), record).unwrap()
    }

    fn record(&self) -> Record {
        let folder = Folder::open(self.place.path()).unwrap();
        let facts = folder.facts(OsStr::new("f")).unwrap().unwrap();
        let sums = read(&folder, OsStr::new("f"), false, &self.deadline).unwrap();
        let filed = Filed::new(OsStr::new(""), &facts, Some(sums.crc64));
        let mut record = Record::new("s3://b/k", Made::File, vec![filed]);
        record.validator.etag = Some("\"e\"".to_string());
        record
    }
}

#[test]
fn an_unchanged_file_is_asked_about_and_a_pinned_one_is_not() {
    let stage = Stage::new();
    let record = Some(stage.record());
    let way = IfChanged::Record;
    assert!(matches!(
        stage.judge(record.clone(), None, way),
        Local::Ask(..)
    ));
    let Local::Right(now) = stage.judge(record, Some(HELLO), way) else {
        panic!("the digest is right");
    };
    assert_eq!(now.sha256.as_deref(), Some(HELLO));
    let other = "0".repeat(64);
    let record = Some(stage.record());
    assert_eq!(stage.judge(record, Some(&other), way), Local::Wrong);
}

#[test]
fn bytes_of_the_same_length_are_read_when_the_file_is_another_one() {
    let stage = Stage::new();
    let record = stage.record();
    let path = stage.place.path().join("f");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(stage.place.path().join("g"), "").unwrap();
    std::fs::write(&path, "hello\n").unwrap();
    let Local::Ask(now, _) = stage.judge(Some(record.clone()), None, IfChanged::Record) else {
        panic!("the bytes are the same");
    };
    assert_ne!(*now, record);
    std::fs::write(&path, "hellO\n").unwrap();
    let judged = stage.judge(Some(record), None, IfChanged::Record);
    assert_eq!(judged, Local::Wrong);
}

#[test]
fn without_a_record_only_a_digest_can_tell() {
    let stage = Stage::new();
    assert_eq!(stage.judge(None, None, IfChanged::Record), Local::Wrong);
    let judged = stage.judge(None, Some(HELLO), IfChanged::Record);
    assert!(matches!(judged, Local::Right(_)));
    assert_eq!(stage.judge(None, Some(HELLO), IfChanged::Off), Local::Wrong);
    let record = Some(stage.record());
    assert_eq!(stage.judge(record, None, IfChanged::Off), Local::Wrong);
}
