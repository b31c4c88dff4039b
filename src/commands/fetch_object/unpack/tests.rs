//! Whole archives, good and hostile ones, and what they leave behind.

mod good;
mod hostile;
mod limits;
mod zips;

use std::io::Read;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;

/// A directory to unpack into, beside which nothing may appear.
struct Target {
    outer: tempfile::TempDir,
}

impl Target {
    fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        Folder::open(outer.path())
            .unwrap()
            .make_folder("root", 0o755)
            .unwrap();
        Self { outer }
    }

    fn root(&self) -> Folder {
        Folder::open(&self.path("")).unwrap()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.outer.path().join("root").join(path)
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.path(path)).unwrap()
    }

    fn mode(&self, path: &str) -> u32 {
        let stat = std::fs::symlink_metadata(self.path(path)).unwrap();
        stat.permissions().mode() & 0o7777
    }

    fn mtime(&self, path: &str) -> i64 {
        std::fs::symlink_metadata(self.path(path)).unwrap().mtime()
    }

    /// All paths, sorted.
    fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.root()
            .walk(&mut |path: &Path, _: &nix::sys::stat::FileStat| {
                paths.push(path.display().to_string());
                Ok(())
            })
            .unwrap();
        paths.sort();
        paths
    }

    /// Unpacks a tar in any packing, and gives directories what is theirs.
    fn unpack(&self, bytes: &[u8], plan: &Plan) -> Result<Unpacked, Failure> {
        let mut reader = bytes;
        let mut input = Input::new(&mut reader, Arc::clone(&plan.halt));
        let format = input.recognise()?;
        assert!(format.is_tree() && format.is_streamed());
        let unpacked = tree(input, format, &self.root(), plan)?;
        assert!(reader.is_empty());
        unpacked.settle(&self.root(), &(..), &plan.halt)?;
        Ok(unpacked)
    }

    /// What an archive is refused for. Nothing may be left outside of the root.
    fn refusal(&self, bytes: &[u8], plan: &Plan) -> String {
        let failure = self.unpack(bytes, plan).unwrap_err();
        assert_eq!(failure.kind(), Kind::Corrupt, "{failure}");
        let beside = std::fs::read_dir(self.outer.path()).unwrap().count();
        assert_eq!(beside, 1, "{failure}");
        failure.to_string()
    }
}

fn plan() -> Plan {
    Plan {
        strip: 0,
        mode: None,
        owner: None,
        cap: Cap::Relative { length: None },
        halt: Arc::new(|| Ok(())),
    }
}

fn refusal(bytes: &[u8]) -> String {
    Target::new().refusal(bytes, &plan())
}

/// A stream that brings some bytes and then fails.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(carry(
                Failure::new(Kind::Unavailable, "connection reset").hint("try again"),
            )),
            count => Ok(count),
        }
    }
}
