//! Names of kernel settings: between what people write and the path below a root.

use std::fmt;

use crate::base::argument::BadArgument;
use crate::base::text::one_line;

/// The directory that holds the settings with dotted names.
pub(super) const PROC_SYS: &str = "/proc/sys";

/// Below this part of sysfs lies all that `--sys` may reach.
const KERNEL_MM: &str = "kernel/mm";

/// What `--sys` may name, as its error message shows it.
const SYS_ALLOWED: &str = "transparent_hugepage/{enabled,defrag,shmem_enabled}, \
     transparent_hugepage/khugepaged/<name>, ksm/<name>";

/// Which file system a key lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Tree {
    /// `/proc/sys`
    ProcSys,
    /// `kernel/mm` of the sysfs at `--sys-root`
    KernelMm,
}

/// One setting. No component is empty, `.` or `..`, or holds a `/` or a control character: joined,
/// they never leave their root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) tree: Tree,
    components: Vec<String>,
}

impl Key {
    /// Reads a key of `/proc/sys`. The first separator decides: after a dot, dots separate and a
    /// slash stands for a dot inside a component; after a slash it is a path.
    ///
    /// # Errors
    /// The component that cannot be one.
    pub(super) fn parse(text: &str) -> Result<Self, BadArgument> {
        if let Some(path) = text.strip_prefix("/proc/sys/") {
            return Self::new(Tree::ProcSys, path, text);
        }
        let is_dotted = text
            .find(['.', '/'])
            .is_some_and(|at| text[at..].starts_with('.'));
        if is_dotted {
            Self::new(Tree::ProcSys, &swapped(text), text)
        } else {
            Self::new(Tree::ProcSys, text, text)
        }
    }

    /// Reads a key of `--sys`.
    ///
    /// # Errors
    /// A key that is not on the list of those allowed.
    pub(super) fn parse_sys(text: &str) -> Result<Self, BadArgument> {
        let below = ["/sys/kernel/mm/", "kernel/mm/"]
            .into_iter()
            .find_map(|prefix| text.strip_prefix(prefix))
            .unwrap_or(text);
        let not_allowed = || BadArgument {
            reason: format!(
                "--sys {}: not a setting that podinit changes",
                one_line(text)
            ),
            hint: format!("allowed are {SYS_ALLOWED}"),
        };
        let key = Self::new(Tree::KernelMm, below, text).map_err(|_| not_allowed())?;
        let names: Vec<&str> = key.components().collect();
        match names.as_slice() {
            [
                "transparent_hugepage",
                "enabled" | "defrag" | "shmem_enabled",
            ]
            | ["transparent_hugepage", "khugepaged", _]
            | ["ksm", _] => Ok(key),
            _ => Err(not_allowed()),
        }
    }

    /// A key of `/proc/sys` from its path below it.
    pub(super) fn from_relative(path: &str) -> Option<Self> {
        Self::new(Tree::ProcSys, path, path).ok()
    }

    fn new(tree: Tree, path: &str, text: &str) -> Result<Self, BadArgument> {
        let components: Vec<String> = path.split('/').map(str::to_string).collect();
        let bad = components.iter().find(|name| {
            matches!(name.as_str(), "" | "." | "..") || name.chars().any(char::is_control)
        });
        match bad {
            None => Ok(Self { tree, components }),
            Some(name) if text.is_empty() || name.is_empty() => Err(BadArgument {
                reason: format!("`{}` is not a key: a part of it is empty", one_line(text)),
                hint: "write KEY=VALUE with a key like vm.max_map_count".to_string(),
            }),
            Some(name) => Err(BadArgument {
                reason: format!(
                    "`{}` is not a key: `{}` cannot be a part of it",
                    one_line(text),
                    one_line(name)
                ),
                hint: "write a key below /proc/sys, like vm.max_map_count".to_string(),
            }),
        }
    }

    /// The parts, outermost first.
    pub(super) fn components(&self) -> impl Iterator<Item = &str> {
        self.components.iter().map(String::as_str)
    }

    /// The last part.
    pub(super) fn last(&self) -> &str {
        self.components.last().map_or("", String::as_str)
    }

    /// The path below the root: `vm/max_map_count`, `kernel/mm/ksm/run`.
    pub(super) fn relative(&self) -> String {
        match self.tree {
            Tree::ProcSys => self.components.join("/"),
            Tree::KernelMm => format!("{KERNEL_MM}/{}", self.components.join("/")),
        }
    }

    /// Whether `rule` covers the key: dotted parts, of which `name*` is a prefix, and a lone `*`
    /// stands for one or more parts.
    pub(super) fn fits(&self, rule: &str) -> bool {
        let rule: Vec<&str> = rule.split('.').collect();
        let names: Vec<&str> = self.components().collect();
        self.tree == Tree::ProcSys && fits(&rule, &names)
    }

    /// Whether the key lies in the group `other`, or is it.
    pub(super) fn is_below(&self, other: &Self) -> bool {
        self.tree == other.tree && self.components.starts_with(&other.components)
    }

    /// The group that the key lies in.
    pub(super) fn group(&self) -> Option<Self> {
        let (_, groups) = self.components.split_last()?;
        (!groups.is_empty()).then(|| Self {
            tree: self.tree,
            components: groups.to_vec(),
        })
    }

    /// The key below `self` that joins parts of `names` by dots, if `exists` knows one; groups that
    /// do not exist are not looked into.
    pub(super) fn regrouped(
        prefix: &[String],
        names: &[&str],
        exists: &impl Fn(&Self) -> bool,
    ) -> Option<Self> {
        (1..=names.len()).find_map(|count| {
            let mut components = prefix.to_vec();
            components.push(names[..count].join("."));
            let candidate = Self {
                tree: Tree::ProcSys,
                components,
            };
            if !exists(&candidate) {
                None
            } else if count == names.len() {
                Some(candidate)
            } else {
                Self::regrouped(&candidate.components, &names[count..], exists)
            }
        })
    }
}

fn fits(rule: &[&str], names: &[&str]) -> bool {
    match (rule, names) {
        ([], []) => true,
        (["*", rest @ ..], [_, after @ ..]) => fits(rest, after) || fits(rule, after),
        ([part, rest @ ..], [name, after @ ..]) => {
            let fit = match part.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => part == name,
            };
            fit && fits(rest, after)
        }
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

/// Every dot for a slash, and every slash for a dot.
fn swapped(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect()
}

/// The dotted form, which `parse` reads back to the same key; `--sys` keys keep their slashes.
impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.components.join("/");
        match self.tree {
            Tree::KernelMm => formatter.write_str(&path),
            // A dot in the first part would be taken for the path's own separator.
            Tree::ProcSys
                if self
                    .components
                    .first()
                    .is_some_and(|name| name.contains('.')) =>
            {
                write!(formatter, "{PROC_SYS}/{path}")
            }
            Tree::ProcSys => formatter.write_str(&swapped(&path)),
        }
    }
}

/// A key, or a glob over keys: `*`, `?` and `[…]` match within one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    One(Key),
    Glob(Key, Vec<glob::Pattern>),
}

impl Subject {
    /// Reads a key that may hold a glob.
    ///
    /// # Errors
    /// As `Key::parse`, and a pattern that cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, BadArgument> {
        let key = Key::parse(text)?;
        if !text.contains(['*', '?', '[', ']']) {
            return Ok(Self::One(key));
        }
        let patterns: Result<Vec<_>, _> = key.components().map(glob::Pattern::new).collect();
        match patterns {
            Ok(patterns) => Ok(Self::Glob(key, patterns)),
            Err(error) => Err(BadArgument {
                reason: format!("`{}` is not a pattern: {}", one_line(text), error.msg),
                hint: "* and ? and [...] match within one part of the name".to_string(),
            }),
        }
    }

    /// The key as written, patterns and all.
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::One(key) | Self::Glob(key, _) => key,
        }
    }

    /// Whether `key` is meant.
    pub(super) fn covers(&self, key: &Key) -> bool {
        match self {
            Self::One(own) => own == key,
            Self::Glob(own, patterns) => {
                own.tree == key.tree
                    && patterns.len() == key.components.len()
                    && patterns
                        .iter()
                        .zip(key.components())
                        .all(|(pattern, name)| pattern.matches(name))
            }
        }
    }
}

#[cfg(test)]
mod tests;
