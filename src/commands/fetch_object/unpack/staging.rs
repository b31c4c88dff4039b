//! Entries become files in a directory that nobody looks at yet. Everything in it comes from this one
//! archive, so what lies there already is an earlier entry. Which formats there are is not known here.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;

use super::cap::{Meter, count_entry};
use super::place::{self, Place};
use super::settle::{Made, Unpacked, disk, undressed};
use super::{BLOCK, Plan, of_entry, permission};
use crate::base::failure::Failure;
use crate::base::file::{Attributes, Backlog, Entry, Folder, NewFile};
use crate::base::text::one_line;

/// What an entry is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Nature {
    /// A regular file, whose content follows.
    File,
    /// A directory.
    Folder,
    /// A symbolic link to this target.
    Link(Vec<u8>),
    /// Another name of an earlier entry, which is named as the archive names it.
    HardLink(Vec<u8>),
}

/// One entry, as the archive describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Member {
    /// The name, byte for byte.
    pub(super) name: Vec<u8>,
    pub(super) nature: Nature,
    /// The mode, with whatever bits the archive has.
    pub(super) mode: Option<u32>,
    pub(super) mtime: Option<TimeSpec>,
}

/// The content of a file, piece by piece; 0 bytes are its end.
pub(super) type Content<'a> = dyn FnMut(&mut [u8]) -> Result<usize, Failure> + 'a;

/// A directory while it is filled.
pub(super) struct Staging<'a> {
    root: &'a Folder,
    plan: &'a Plan,
    meter: Meter,
    backlog: Backlog,
    block: Vec<u8>,
    seen: u64,
    unpacked: Unpacked,
}

impl<'a> Staging<'a> {
    /// Begins with an empty directory; `read` counts what was read of the archive.
    pub(super) fn new(root: &'a Folder, plan: &'a Plan, read: Rc<Cell<u64>>) -> Self {
        Self {
            root,
            plan,
            meter: Meter::new(plan.cap, read),
            backlog: Backlog::default(),
            block: vec![0; BLOCK],
            seen: 0,
            unpacked: Unpacked::new(plan.mode, plan.owner),
        }
    }

    /// As if so many entries had come before.
    #[cfg(test)]
    pub(super) fn having_seen(self, seen: u64) -> Self {
        Self { seen, ..self }
    }

    /// A count of bytes that are read and thrown away.
    pub(super) fn meter(&self) -> Meter {
        self.meter.again()
    }

    /// Makes one entry, or reads over it if `--strip-components` leaves nothing of its name.
    ///
    /// # Errors
    /// `Corrupt` for a bad entry, `Local` or `Denied` from the disk, and what `content` fails with.
    pub(super) fn make(
        &mut self,
        member: &Member,
        content: &mut Content<'_>,
    ) -> Result<(), Failure> {
        (self.plan.halt)()?;
        self.count()?;
        let bad = |reason: String| of_entry(&member.name, reason);
        let is_folder = member.nature == Nature::Folder;
        let place = place::of_entry(&member.name, is_folder, self.plan.strip).map_err(bad)?;
        let path = match place {
            Place::At(path) => path,
            Place::Top => {
                self.remember(Vec::new(), member);
                return Ok(());
            }
            Place::Nowhere => return self.pour(None, content),
        };
        match &member.nature {
            Nature::File => self.file(member, &path, content)?,
            Nature::Folder => self.folder(member, path)?,
            Nature::Link(target) => self.link(member, &path, target)?,
            Nature::HardLink(target) => self.hard_link(member, &path, target)?,
        }
        self.unpacked.entries += 1;
        Ok(())
    }

    /// Counts something of the archive that is not made.
    ///
    /// # Errors
    /// `Corrupt` when there are too many entries.
    pub(super) fn count(&mut self) -> Result<(), Failure> {
        count_entry(&mut self.seen)
    }

    /// Brings what was made to the disk. Directories still need `Unpacked::settle`.
    ///
    /// # Errors
    /// `Local` or `Denied`.
    pub(super) fn finish(mut self) -> Result<Unpacked, Failure> {
        (self.plan.halt)()?;
        self.backlog.drain()?;
        Ok(self.unpacked)
    }

    fn file(
        &mut self,
        member: &Member,
        path: &[u8],
        content: &mut Content<'_>,
    ) -> Result<(), Failure> {
        let path = OsStr::from_bytes(path);
        let mut file = self.fresh(member, path, |root| root.new_file(path))?;
        self.pour(Some(&mut file), content)?;
        let attributes = Attributes {
            mode: permission::of_file(member.mode, self.plan.mode),
            owner: self.plan.owner,
        };
        file.dress(attributes, member.mtime)
            .map_err(|errno| undressed(errno, file.path(), self.plan.owner))?;
        self.unpacked.bytes += file.length();
        self.backlog.push(file)
    }

    /// Writes all content to `file`, or throws it away; it counts in both cases.
    fn pour(
        &mut self,
        mut file: Option<&mut NewFile>,
        content: &mut Content<'_>,
    ) -> Result<(), Failure> {
        loop {
            let count = content(&mut self.block)?;
            if count == 0 {
                return Ok(());
            }
            (self.plan.halt)()?;
            self.meter.add(count)?;
            if let Some(file) = &mut file {
                file.write(&self.block[..count])
                    .map_err(|errno| disk(errno, format!("write {}", file.path().display())))?;
            }
        }
    }

    fn folder(&mut self, member: &Member, path: Vec<u8>) -> Result<(), Failure> {
        let name = OsStr::from_bytes(&path);
        let is_there = self.root.look_beneath(name) == Ok(Some(Entry::Folder));
        if !is_there {
            let mode = permission::of_folder(member.mode, self.plan.mode) | 0o700;
            self.fresh(member, name, |root| root.new_folder(name, mode))?;
        }
        self.remember(path, member);
        Ok(())
    }

    fn link(&mut self, member: &Member, path: &[u8], target: &[u8]) -> Result<(), Failure> {
        place::check_target(path, target).map_err(|reason| {
            let target = one_line(&String::from_utf8_lossy(target));
            of_entry(&member.name, format!("its target `{target}` {reason}"))
        })?;
        let (path, target) = (OsStr::from_bytes(path), OsStr::from_bytes(target));
        let (owner, mtime) = (self.plan.owner, member.mtime);
        self.fresh(member, path, |root| {
            root.new_link(path, target, owner, mtime)
        })
    }

    fn hard_link(&mut self, member: &Member, path: &[u8], target: &[u8]) -> Result<(), Failure> {
        let bad = |reason: &str| {
            let target = one_line(&String::from_utf8_lossy(target));
            of_entry(&member.name, format!("its target `{target}` {reason}"))
        };
        let existing = match place::of_entry(target, false, self.plan.strip) {
            Ok(Place::At(existing)) => existing,
            Ok(Place::Top | Place::Nowhere) => return Err(bad("was left out")),
            Err(reason) => return Err(bad(&reason)),
        };
        let existing_path = OsStr::from_bytes(&existing);
        // A link to a link would be one in another place, and so would point elsewhere.
        if self.root.look_beneath(existing_path) != Ok(Some(Entry::Other)) {
            return Err(bad("is no earlier file of the archive"));
        }
        if existing == path {
            return Ok(());
        }
        let path = OsStr::from_bytes(path);
        self.fresh(member, path, |root| root.new_hard_link(path, existing_path))
    }

    /// Makes something at `path`: with the directories that lead there, and in place of an earlier entry.
    fn fresh<T>(
        &mut self,
        member: &Member,
        path: &OsStr,
        make: impl Fn(&Folder) -> Result<T, Errno>,
    ) -> Result<T, Failure> {
        match make(self.root) {
            Err(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR) => self.lead_to(member, path)?,
            Err(Errno::EEXIST) => self.clear(member, path)?,
            // Finished files that are not on the disk yet are held open.
            Err(Errno::EMFILE | Errno::ENFILE) => self.backlog.drain()?,
            other => return other.map_err(|errno| self.unmade(path, errno)),
        }
        make(self.root).map_err(|errno| self.unmade(path, errno))
    }

    fn unmade(&self, path: &OsStr, errno: Errno) -> Failure {
        let path = self.root.path().join(path);
        disk(errno, format!("make {}", path.display()))
    }

    /// Makes the directories above `path` that are missing.
    fn lead_to(&mut self, member: &Member, path: &OsStr) -> Result<(), Failure> {
        let bytes = path.as_bytes();
        let mode = permission::of_folder(None, self.plan.mode);
        for (slash, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let above = OsStr::from_bytes(&bytes[..slash]);
            let what = match self.root.look_beneath(above) {
                Ok(Some(Entry::Folder)) => continue,
                Ok(Some(Entry::Link(_))) => "a link",
                Ok(Some(Entry::Other)) => "a file",
                Ok(None) => {
                    self.root
                        .new_folder(above, mode | 0o700)
                        .map_err(|errno| self.unmade(above, errno))?;
                    let unnamed = Made::default();
                    self.unpacked
                        .folders
                        .insert(above.as_bytes().to_vec(), unnamed);
                    continue;
                }
                Err(errno) => return Err(self.unmade(above, errno)),
            };
            let above = one_line(&above.to_string_lossy());
            return Err(of_entry(
                &member.name,
                format!("`{above}` is {what}, and nothing is written through it"),
            ));
        }
        Ok(())
    }

    /// Removes an earlier entry of the same name: the last one wins. A directory goes only if it is empty.
    fn clear(&mut self, member: &Member, path: &OsStr) -> Result<(), Failure> {
        let is_folder = self.root.look_beneath(path) == Ok(Some(Entry::Folder));
        let removed = if is_folder {
            self.root.remove_empty_folder(path)
        } else {
            self.root.remove_file(path)
        };
        match removed {
            Ok(()) => {
                self.unpacked.folders.remove(path.as_bytes());
                Ok(())
            }
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Err(of_entry(
                &member.name,
                "a directory of this name has entries already",
            )),
            Err(errno) => {
                let path = self.root.path().join(path);
                Err(disk(errno, format!("replace {}", path.display())))
            }
        }
    }

    fn remember(&mut self, path: Vec<u8>, member: &Member) {
        let made = Made {
            mode: member.mode,
            mtime: member.mtime,
        };
        self.unpacked.folders.insert(path, made);
    }
}
