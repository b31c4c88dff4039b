//! Runs against the store, each in a folder of its own.

use std::ffi::OsStr;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::watch;

use super::super::super::source::{Object, Source, Span};
use super::super::{Brought, Fetched, Job, Pins, Shared, Slot, Tuning, to_file};
use super::store::{MIB, Store};
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::file::Folder;
use crate::base::progress::Progress;

/// A run with a folder of its own.
pub struct Bench {
    pub store: Rc<Store>,
    pub place: tempfile::TempDir,
    pub tuning: Tuning,
    pub pins: Pins,
    pub resumes: bool,
    pub limit: &'static str,
    pub stop: watch::Sender<Option<Signal>>,
    pub job: Box<dyn Fn(&mut Job)>,
}

impl Bench {
    pub fn new(store: Store) -> Self {
        Self {
            store: Rc::new(store),
            place: tempfile::tempdir().unwrap(),
            tuning: Tuning {
                parallel: 4,
                part_size: MIB,
                max_bandwidth: None,
                stall_timeout: Duration::from_secs(20),
            },
            pins: Pins::default(),
            resumes: true,
            limit: "5m",
            stop: watch::channel(None).0,
            job: Box::new(|_| {}),
        }
    }

    pub fn of(length: u64) -> Self {
        Self::new(Store::new(length))
    }

    pub fn shared(&self) -> Shared {
        let deadline = Deadline::new(self.limit.parse().unwrap(), self.stop.subscribe());
        Shared::new(deadline, self.tuning, Progress::start(false))
    }

    pub fn job(&self) -> Job {
        let source: Rc<dyn Source> = Rc::<Store>::clone(&self.store);
        let mut job = Job {
            source,
            object: Object {
                key: "k".to_string(),
                version: None,
            },
            pins: self.pins.clone(),
            listed: None,
            max_size: None,
            have: None,
            host: None,
        };
        (self.job)(&mut job);
        job
    }

    pub async fn bring(&self, shared: &Shared) -> Result<Brought, Failure> {
        let folder = Folder::open(self.place.path()).unwrap();
        let slot = Slot {
            folder: &folder,
            part: OsStr::new("k.part"),
            journal: OsStr::new("k.journal"),
            identity: "x://b/k",
            resumes: self.resumes,
            room: &|_| Ok(()),
        };
        to_file(&self.job(), &slot, shared).await
    }

    pub async fn run(&self) -> Result<Brought, Failure> {
        self.bring(&self.shared()).await
    }

    /// The run has to bring the right bytes.
    pub async fn fetched(&self) -> Fetched {
        let fetched = match self.run().await.unwrap() {
            Brought::Fetched(fetched) => fetched,
            Brought::Unchanged => panic!("unchanged"),
        };
        self.is_right(&fetched);
        fetched
    }

    pub fn is_right(&self, fetched: &Fetched) {
        let bytes = self.store.bytes.borrow();
        assert_eq!(fetched.length, bytes.len() as u64);
        assert!(
            std::fs::read(self.place.path().join("k.part")).unwrap() == **bytes,
            "wrong bytes"
        );
        assert_eq!(fetched.crc64, crc_fast::crc64_nvme(&bytes));
    }

    /// The run has to fail with this kind and leave nothing.
    pub async fn refused(&self, kind: Kind) -> Failure {
        let failure = self.run().await.unwrap_err();
        assert_eq!(failure.kind(), kind, "{failure}");
        assert_eq!(self.left(), [""; 0]);
        failure
    }

    /// The files that are there.
    pub fn left(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.place.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn spans(&self) -> Vec<Span> {
        self.store
            .asked
            .borrow()
            .iter()
            .map(|asked| asked.span.clone())
            .collect()
    }
}
