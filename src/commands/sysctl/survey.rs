//! Finds, reads and decides: the state of every setting, before anything is written.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::diagnose::{Absence, Evidence, Sysfs, diagnose};
use super::key::{Key, Tree};
use super::merge::{Entry, Wanted, has_globs, merge};
use super::plan::{Decision, Rules, asked, decide, displayed, is_octal, rejected_hint};
use super::problem::Problem;
use super::proc::{Facts, Kernel, Reading, Step, Trouble};
use super::request::Request;
use super::scope::{Bringer, Scope, bringer, is_safe};
use super::surroundings::Surroundings;
use super::value::{integers, normal};
use crate::base::failure::{Failure, Kind};
use crate::base::text::nearest;

/// One setting on its way from asked to done.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) entry: Entry,
    pub(super) path: String,
    pub(super) scope: Scope,
    pub(super) is_safe: bool,
    pub(super) facts: Option<Facts>,
    /// The value found at the start.
    pub(super) before: Option<Reading>,
    /// The value read last.
    pub(super) now: Option<Reading>,
    /// What to do, by the value read last.
    pub(super) decision: Option<Decision>,
    /// Why it cannot be done.
    pub(super) problem: Option<Problem>,
    /// Whether podinit has written it.
    pub(super) is_written: bool,
    /// Whether an `=` has made a node-wide number smaller.
    pub(super) is_lowered: bool,
}

impl Item {
    /// `set KEY to VALUE`, or `check KEY` when nothing is to be written.
    pub(super) fn attempt(&self, rules: Rules) -> String {
        let key = &self.entry.key;
        if rules.compare_only {
            return format!("check {key}");
        }
        let wanted = asked(key, &self.entry.wanted);
        format!(
            "set {key} to {}",
            wanted.strip_prefix("= ").unwrap_or(&wanted)
        )
    }

    /// Whether it asks for a bound, not for a value.
    pub(super) fn is_bound(&self) -> bool {
        matches!(self.entry.wanted, Wanted::Between { .. })
    }

    /// The value read last, as it is shown.
    pub(super) fn present(&self) -> Option<String> {
        self.now
            .as_ref()
            .and_then(|now| displayed(&self.entry.key, now))
    }
}

/// The kernel and where podinit stands in it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kernel: Kernel,
    pub(super) surroundings: Surroundings,
    /// The keys there are, walked at most once in a survey.
    walk: Mutex<Option<Arc<Vec<Key>>>>,
}

impl Node {
    /// Opens the kernel's trees and looks around.
    ///
    /// # Errors
    /// As `Kernel::open`.
    pub(super) fn observe(sys_root: &Path, uses_sys: bool) -> Result<Arc<Self>, Failure> {
        let kernel = Kernel::open(sys_root, uses_sys)?;
        let surroundings = Surroundings::observe(&kernel);
        Ok(Arc::new(Self {
            kernel,
            surroundings,
            walk: Mutex::default(),
        }))
    }

    fn keys(&self) -> Arc<Vec<Key>> {
        let mut walk = self.walk.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(walk.get_or_insert_with(|| Arc::new(Kernel::keys())))
    }

    /// The state of every setting asked for.
    ///
    /// # Errors
    /// `Usage` for bounds that contradict each other.
    pub(super) fn survey(&self, request: &Request, rules: Rules) -> Result<Vec<Item>, Failure> {
        *self.walk.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let existing = if has_globs(&request.settings) {
            self.keys()
        } else {
            Arc::default()
        };
        let entries = merge(&request.settings, &request.exclusions, &existing)?;
        Ok(entries
            .into_iter()
            .map(|entry| self.item(entry, rules))
            .collect())
    }

    fn item(&self, entry: Entry, rules: Rules) -> Item {
        let mut item = Item {
            path: self.kernel.path(&entry.key),
            scope: Scope::of(&entry.key, &self.surroundings),
            is_safe: is_safe(&entry.key),
            facts: None,
            before: None,
            now: None,
            decision: None,
            problem: None,
            is_written: false,
            is_lowered: false,
            entry,
        };
        self.examine(&mut item, rules);
        item.before.clone_from(&item.now);
        item
    }

    /// Reads the setting anew and decides what to do.
    pub(super) fn examine(&self, item: &mut Item, rules: Rules) {
        if item.entry.is_empty_glob {
            item.problem = Some(Self::empty_glob(item, rules));
            return;
        }
        let key = &item.entry.key;
        let read = self.kernel.look(key).and_then(|facts| {
            item.facts = Some(facts);
            self.kernel.read(key, facts)
        });
        match read {
            Ok(reading) => {
                let is_node_wide = item.scope == Scope::Node;
                let decision = decide(key, &item.entry.wanted, &reading, is_node_wide, rules);
                item.now = Some(reading);
                if let Decision::Refused { reason, hint } = &decision {
                    let problem = Problem::new(Kind::Local, reason.clone()).hint(hint.clone());
                    item.problem = Some(problem.during(&[&item.attempt(rules)]));
                }
                item.decision = Some(decision);
            }
            Err(trouble) => item.problem = Some(self.explain(item, trouble, rules)),
        }
    }

    /// What a failed step means for the setting.
    pub(super) fn explain(&self, item: &Item, trouble: Trouble, rules: Rules) -> Problem {
        let key = &item.entry.key;
        let evidence = Evidence {
            key,
            scope: item.scope,
            surroundings: &self.surroundings,
            absence: match trouble.step {
                Step::Find | Step::Read | Step::Open => self.absence(key),
                Step::Write => Absence::default(),
            },
            rejected_hint: rejected_hint(
                key,
                &item.entry.wanted,
                item.now.as_ref().unwrap_or(&Reading::Unset),
            ),
            algorithms: self.algorithms(key, trouble.step),
        };
        let verb = match trouble.step {
            Step::Find | Step::Open => "open",
            Step::Read => "read",
            Step::Write => "write",
        };
        let step = format!("{verb} {}", item.path);
        diagnose(trouble, &evidence).during(&[&item.attempt(rules), &step])
    }

    fn empty_glob(item: &Item, rules: Rules) -> Problem {
        Problem {
            is_awaited: bringer(&item.entry.key).is_some(),
            ..Problem::new(Kind::Missing, "no such key")
        }
        .detail(", nothing matches the pattern")
        .hint("podinit sysctl --list shows the keys there are")
        .during(&[&item.attempt(rules)])
    }

    /// What could still bring a missing key; nothing, if its group is there already.
    fn bringer(&self, key: &Key) -> Option<Bringer> {
        let proof = if key.fits("net.netfilter.*") {
            Key::from_relative("net/netfilter/nf_conntrack_max")
        } else {
            key.group()
        };
        bringer(key).filter(|_| !proof.is_some_and(|proof| self.kernel.exists(&proof)))
    }

    fn absence(&self, key: &Key) -> Absence {
        let is_there = |key: &Key| self.kernel.exists(key);
        if is_there(key) {
            return Absence::default();
        }
        if key.tree == Tree::KernelMm {
            let has_group = key.group().is_some_and(|group| is_there(&group));
            return Absence {
                sysfs: match (has_group, self.kernel.has_sysfs()) {
                    (true, _) => Sysfs::Group,
                    (false, true) => Sysfs::Mounted,
                    (false, false) => Sysfs::Missing,
                },
                ..Absence::default()
            };
        }
        let names: Vec<&str> = key.components().flat_map(|part| part.split('.')).collect();
        if let Some(joined) = Key::regrouped(&[], &names, &is_there) {
            return Absence {
                joined: Some(joined),
                ..Absence::default()
            };
        }
        let keys = self.keys();
        let mut interfaces: Vec<String> = keys
            .iter()
            .filter(|key| key.fits("net.ipv4.conf.*"))
            .filter_map(|key| key.components().nth(3).map(str::to_string))
            .filter(|name| !matches!(name.as_str(), "all" | "default"))
            .collect();
        interfaces.dedup();
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let nearest = nearest(&key.to_string(), names.iter().map(String::as_str), 3);
        Absence {
            nearest: nearest.map(str::to_string),
            bringer: self.bringer(key),
            interfaces,
            ..Absence::default()
        }
    }

    /// The congestion controls that a rejected name could have been.
    fn algorithms(&self, key: &Key, step: Step) -> Option<String> {
        if step != Step::Write || key.last() != "tcp_congestion_control" {
            return None;
        }
        let list = Key::from_relative("net/ipv4/tcp_available_congestion_control")?;
        let facts = self.kernel.look(&list).ok()?;
        displayed(&list, &self.kernel.read(&list, facts).ok()?)
    }
}

/// Warns of numbers that the kernel reads otherwise than most people.
pub(super) fn warn_of_octal(items: &[Item]) {
    for Item {
        entry: Entry { key, wanted, .. },
        now,
        ..
    } in items
    {
        if now.as_ref().is_some_and(|now| is_octal(key, wanted, now)) {
            let asked = asked(key, wanted);
            warn!("{key} {asked}: a leading zero makes the number octal for the kernel");
        }
    }
}

/// Warns of waits that may never end: for equality with less than what is there.
pub(super) fn warn_of_equality(items: &[Item]) {
    for Item {
        entry: Entry { key, wanted, .. },
        now,
        scope,
        ..
    } in items
    {
        if let Some(now) = now
            && *scope == Scope::Node
            && is_higher(key, wanted, now)
        {
            let present = displayed(key, now).unwrap_or_default();
            let bound = as_bound(key, wanted);
            warn!("{key} is {present} already, so equality may never come. hint: write {bound}");
        }
    }
}

/// Whether an `=` asks for less than a number that is there.
pub(super) fn is_higher(key: &Key, wanted: &Wanted, now: &Reading) -> bool {
    let rules = Rules {
        never_lower: false,
        compare_only: true,
    };
    matches!(
        decide(key, wanted, now, true, rules),
        Decision::Write { lowers: true, .. }
    )
}

/// `KEY>=N` for an `=` of N, in decimal numbers, as a bound takes them.
pub(super) fn as_bound(key: &Key, wanted: &Wanted) -> String {
    let numbers = match wanted {
        Wanted::Exactly(text) => integers(&normal(text.expose())),
        Wanted::Between { .. } => None,
    };
    let numbers: Vec<String> = numbers.iter().flatten().map(ToString::to_string).collect();
    format!("{key}>={}", numbers.join(" "))
}
