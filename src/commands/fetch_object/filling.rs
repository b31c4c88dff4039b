//! A directory while it is filled: what has come gets its place and is noted, and at the end all of it is
//! published. Synchronous: it runs on blocking threads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use nix::errno::Errno;

use super::args::IfChanged;
use super::delete::extras;
use super::destination::denied;
use super::digest::Sha256;
use super::draft::{self, Draft};
use super::folders::{Folders, above};
use super::globs::Filter;
use super::hall::{self, Venue, Way};
use super::keys::Selection;
use super::places::{is_folder, open_dest, open_item, open_parts, open_root, sync};
use super::record::{Filed, Made, Record};
use super::state::{Item, State};
use super::survey::{Survey, Task, Terms, part_names, survey};
use super::tree;
use crate::base::failure::{Failure, Kind};
use crate::base::file::{Attributes, Folder};

/// The directory while it is filled.
#[derive(Debug)]
pub(super) struct Filling {
    way: Way,
    state: Arc<State>,
    terms: Terms,
    /// Where finished files go: DEST itself, or the staged tree.
    root: Folder,
    /// DEST, if it is there.
    dest: Option<Folder>,
    /// Where unfinished objects lie.
    pub(super) parts: Option<Arc<Folder>>,
    folders: Folders,
    /// Directories that earlier runs have made.
    known_folders: BTreeSet<OsString>,
    draft: Option<Draft>,
    /// Everything that is right, by its path.
    filed: BTreeMap<OsString, Filed>,
    /// Of that, what was right at DEST already.
    kept: BTreeSet<OsString>,
    /// Bytes that an earlier run has left in the staged tree.
    pub(super) resumed: u64,
    /// Whether the record says anything else than what is there.
    is_dirty: bool,
}

impl Filling {
    /// Removes what this run cannot use, and prepares the places for what is to come.
    ///
    /// # Errors
    /// As `survey`; `Local` for want of space.
    pub(super) fn begin(
        venue: &Venue,
        selection: &Selection,
        pins: &HashMap<String, Sha256>,
        terms: Terms,
    ) -> Result<(Self, Vec<Task>), Failure> {
        let state = Arc::clone(&venue.state);
        let kept = if terms.resumes { hall::KEPT } else { &[] };
        state.clear_except(kept)?;
        state.check_owner(terms.file.owner)?;
        let dest = open_dest(venue)?;
        if let Some(dest) = &dest {
            hall::tidy_record(dest);
            if venue.way == Way::ByFile || (venue.way == Way::Swap && !terms.deletes) {
                tree::check_ways(dest, selection.files.keys().map(OsStr::new))?;
            }
        }
        let survey = survey(dest.as_ref(), Some(&state), selection, pins, &terms)?;
        let parts = open_parts(&state, &survey.tasks)?;
        survey.check_room(&state.folder, parts.as_deref(), selection)?;
        let Survey {
            kept,
            staged,
            tasks,
            folders: known_folders,
            is_dirty,
        } = survey;
        let way = venue.way;
        let mut filling = Self {
            root: open_root(venue, &staged)?,
            way,
            state,
            dest,
            parts,
            folders: Folders::default(),
            known_folders,
            draft: None,
            resumed: staged.values().map(|filed| filed.size).sum(),
            kept: kept.keys().cloned().collect(),
            filed: kept,
            is_dirty,
            terms,
        };
        filling.take_over(staged)?;
        if filling.terms.resumes && !tasks.is_empty() {
            filling.begin_draft()?;
        }
        Ok((filling, tasks))
    }

    /// Takes what an earlier run has staged: it stays there, or goes to DEST if that is filled by file.
    fn take_over(&mut self, staged: BTreeMap<OsString, Filed>) -> Result<(), Failure> {
        if self.way == Way::ByFile && !staged.is_empty() {
            let tree = open_item(&self.state, Item::Tree)?;
            for path in staged.keys() {
                tree.dress_file(path, self.terms.file, true)
                    .map_err(|errno| denied(errno, format!("publish {}", path.display())))?;
                self.lead_to(path)?;
                tree::move_as(&tree, path, &self.root, path, &mut self.folders)?;
            }
            self.state.clear(Item::Tree)?;
        }
        self.filed.extend(staged);
        Ok(())
    }

    fn begin_draft(&mut self) -> Result<(), Failure> {
        let state = &self.state;
        let (name, temporary) = (state.name(Item::Draft), state.name(Item::Temporary));
        let draft = Draft::begin(
            &state.folder,
            &name,
            &temporary,
            &self.terms.identity,
            self.filed.values(),
        );
        self.draft = Some(draft.map_err(|error| self.unlogged(&error))?);
        Ok(())
    }

    fn unlogged(&self, error: &std::io::Error) -> Failure {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let path = self.state.path(Item::Draft);
        denied(errno, format!("write {}", path.display()))
    }

    fn lead_to(&mut self, path: &OsStr) -> Result<(), Failure> {
        match above(path).last() {
            None => Ok(()),
            Some(folder) => self
                .folders
                .make(&self.root, folder, self.terms.folder.mode),
        }
    }

    /// Gives an object that is whole its place, and notes it.
    ///
    /// # Errors
    /// `Denied` or `Local`.
    pub(super) fn add(&mut self, task: &Task, filed: Filed) -> Result<(), Failure> {
        let path = OsStr::new(&task.path);
        let (part, journal) = part_names(&task.path);
        let parts = self
            .parts
            .clone()
            .ok_or_else(|| Failure::new(Kind::Bug, "there is no place for parts"))?;
        self.lead_to(path)?;
        tree::move_as(&parts, &part, &self.root, path, &mut self.folders)?;
        if let Some(draft) = &mut self.draft
            && let Err(error) = draft.add(&filed)
        {
            return Err(self.unlogged(&error));
        }
        self.filed.insert(path.to_os_string(), filed);
        // Were it removed before, a kill in between would cost the whole object.
        match parts.remove_file(&journal) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(denied(errno, format!("remove {}", journal.display()))),
        }
    }

    /// Mode and owner of the files.
    pub(super) fn file(&self) -> Attributes {
        self.terms.file
    }

    /// Whether files are brought to the disk one by one, since each appears at once.
    pub(super) fn syncs_files(&self) -> bool {
        !self.way.is_staged()
    }

    fn record(&self) -> Record {
        let files = self.filed.values().cloned().collect();
        let mut record = Record::new(&self.terms.identity, Made::Prefix, files);
        record.length = self.filed.values().map(|filed| filed.size).sum();
        record.set_folders(self.folders.made.iter().chain(&self.known_folders));
        record
    }

    /// Brings all of it to its place, and says how many files were removed.
    ///
    /// # Errors
    /// `Denied` or `Local`; `Unavailable` when the run has to end.
    pub(super) fn publish(
        &mut self,
        venue: &Venue,
        selection: &Selection,
        filter: &Filter,
    ) -> Result<u64, Failure> {
        hall::check(&self.terms.deadline)?;
        let is_swap = self.way == Way::Swap;
        for folder in &selection.folders {
            let path = OsStr::new(folder);
            let is_kept = is_swap && self.dest.as_ref().is_some_and(|dest| is_folder(dest, path));
            if !is_kept {
                self.folders
                    .make(&self.root, path, self.terms.folder.mode)?;
            }
        }
        let extras = match (&self.dest, self.terms.deletes) {
            (Some(dest), true) => extras(tree::list(dest)?, selection, filter),
            (_, _) => Vec::new(),
        };
        let deleted = extras.len() as u64;
        self.is_dirty |= !self.folders.made.is_empty();
        match self.way {
            Way::ByFile => self.settle(&extras)?,
            Way::Swap if !self.is_dirty && extras.is_empty() => self.settle_old()?,
            Way::Swap => self.swap(venue, &extras)?,
            Way::Whole => self.rename(venue)?,
            Way::Inside => self.move_in(venue)?,
        }
        self.state.clear_except(&[])?;
        Ok(deleted)
    }

    /// The end of filling by file.
    fn settle(&mut self, extras: &[OsString]) -> Result<(), Failure> {
        for path in extras {
            self.remove(path)?;
        }
        self.put_right(&self.root)?;
        self.folders.dress(&self.root, self.terms.folder)?;
        if self.is_dirty {
            sync(&self.root)?;
            self.leave_record(&self.root)?;
        }
        Ok(())
    }

    /// Nothing is to be swapped: only mode and owner may be wrong.
    fn settle_old(&mut self) -> Result<(), Failure> {
        match &self.dest {
            Some(dest) => self.put_right(dest),
            None => Ok(()),
        }
    }

    fn remove(&mut self, path: &OsStr) -> Result<(), Failure> {
        let removed = match self.root.remove_file(path) {
            Err(Errno::EACCES) => {
                let parent = above(path).last().unwrap_or(OsStr::new("."));
                self.folders.open_up(&self.root, parent)?;
                self.root.remove_file(path)
            }
            other => other,
        };
        removed.map_err(|errno| {
            denied(
                errno,
                format!("remove {}", self.root.path().join(path).display()),
            )
        })
    }

    /// Gives files that are right already their mode and owner, and directories of earlier runs too.
    fn put_right(&self, root: &Folder) -> Result<(), Failure> {
        let explain = |path: &OsStr, errno| {
            let shown = root.path().join(path);
            denied(errno, format!("set mode and owner of {}", shown.display()))
        };
        for path in &self.kept {
            root.dress_file(path, self.terms.file, false)
                .map_err(|errno| explain(path, errno))?;
        }
        for path in &self.known_folders {
            match root.dress_folder(path, self.terms.folder) {
                // It may have become somebody else's in between.
                Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Err(errno) => return Err(explain(path, errno)),
            }
        }
        Ok(())
    }

    fn leave_record(&self, root: &Folder) -> Result<(), Failure> {
        if self.terms.if_changed == IfChanged::Off {
            hall::remove_record(root);
            return Ok(());
        }
        hall::write_record(root, &self.record())
    }

    /// Finishes the staged tree: the record in it, its directories as they are to be, all on the disk.
    fn finish_tree(&mut self) -> Result<(), Failure> {
        if self.terms.if_changed != IfChanged::Off {
            hall::write_record(&self.root, &self.record())?;
        }
        self.folders.dress(&self.root, self.terms.folder)?;
        sync(&self.root)?;
        hall::check(&self.terms.deadline)
    }

    fn rename(&mut self, venue: &Venue) -> Result<(), Failure> {
        if self.dest.is_none() {
            self.known_folders.insert(OsString::from("."));
        }
        self.finish_tree()?;
        hall::rename(venue, &mut self.folders, &self.terms)
    }

    fn swap(&mut self, venue: &Venue, extras: &[OsString]) -> Result<(), Failure> {
        let Some(dest) = self.dest.take() else {
            return Err(Failure::new(Kind::Bug, "there is nothing to swap with"));
        };
        for path in std::mem::take(&mut self.kept) {
            self.lead_to(&path)?;
            tree::link(&dest, &self.root, &path)?;
            self.kept.insert(path);
        }
        let stays = |path: &OsStr| !extras.iter().any(|extra| extra == path);
        tree::link_rest(
            &dest,
            &self.root,
            &stays,
            &mut self.folders,
            &self.terms.deadline,
        )?;
        self.put_right(&self.root)?;
        self.finish_tree()?;
        hall::swap(venue)
    }

    fn move_in(&mut self, venue: &Venue) -> Result<(), Failure> {
        // Directories keep the rights that a rename needs until they are where they belong.
        sync(&self.root)?;
        hall::check(&self.terms.deadline)?;
        let holder = &venue.state.holder;
        tree::merge(&self.root, holder, &mut self.folders, &self.terms.deadline)?;
        self.folders.dress(holder, self.terms.folder)?;
        sync(holder)?;
        self.leave_record(holder)
    }

    /// The run ends before all is there: what was published stays, and is known to the next run.
    pub(super) fn abandon(&mut self, keeps: bool) {
        if self.way != Way::ByFile {
            return;
        }
        // The failure that is reported is the one that has brought us here.
        let _ = self.folders.dress(&self.root, self.terms.folder);
        if !keeps && self.is_dirty && !self.filed.is_empty() {
            let _ = self.leave_record(&self.root);
        }
    }
}
