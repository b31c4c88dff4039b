//! Which paths may be made beneath DEST: the rules that keys and the entries of archives share. Pure;
//! whose path it is, and what follows from a bad one, is the caller's word.

use std::fmt;

use crate::base::file::MAX_NAME;

/// podinit's own directory, at the top of DEST.
pub(super) const OWN_FOLDER: &[u8] = b".podinit";

/// Why a path cannot be made beneath a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It begins with `/`.
    Absolute,
    /// There is nothing before, between or after two `/`.
    Empty,
    /// A segment is `.`.
    Current,
    /// A segment is `..`.
    Parent,
    /// A segment is longer than a name may be.
    Long,
    /// A NUL, which no name can hold.
    Nul,
    /// It lies in podinit's own directory.
    Own,
}

/// What follows "the key …" or "the entry …".
impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absolute => "begins with `/`",
            Self::Empty => "has an empty segment",
            Self::Current => "has a segment `.`",
            Self::Parent => "has a segment `..`",
            Self::Long => "has a segment longer than 255 bytes",
            Self::Nul => "holds a NUL byte",
            Self::Own => "lies in `.podinit`, which is podinit's own",
        })
    }
}

/// Whether `path` is relative and each of its segments can be a name, byte for byte.
///
/// # Errors
/// The first flaw, from the left.
pub(super) fn check(path: &[u8]) -> Result<(), Flaw> {
    if path.starts_with(b"/") {
        return Err(Flaw::Absolute);
    }
    segments(path).try_for_each(check_segment)?;
    match segments(path).next() {
        Some(OWN_FOLDER) => Err(Flaw::Own),
        _ => Ok(()),
    }
}

/// The segments of a path; an empty path has one that is empty.
pub(super) fn segments(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

fn check_segment(segment: &[u8]) -> Result<(), Flaw> {
    match segment {
        b"" => Err(Flaw::Empty),
        b"." => Err(Flaw::Current),
        b".." => Err(Flaw::Parent),
        _ if segment.contains(&0) => Err(Flaw::Nul),
        _ if segment.len() > MAX_NAME => Err(Flaw::Long),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_names_are_names() {
        for path in [
            b"a".as_slice(),
            b"a/b/c",
            b" a b +%41",
            b"\xff\xfe",
            "é漢🎉/*?[".as_bytes(),
            b".hidden",
            b"...",
            b"..a/a..",
            b"-rf",
            b"new\nline",
            b"a\\..\\b",
            b"a/.podinit",
            b".podinit2/x",
            &[b'x'; 255],
        ] {
            assert_eq!(check(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn what_leads_elsewhere_or_is_no_name_is_refused() {
        for (path, flaw) in [
            (b"".as_slice(), Flaw::Empty),
            (b"/", Flaw::Absolute),
            (b"/etc/passwd", Flaw::Absolute),
            (b"a//b", Flaw::Empty),
            (b"a/", Flaw::Empty),
            (b".", Flaw::Current),
            (b"./a", Flaw::Current),
            (b"a/./b", Flaw::Current),
            (b"..", Flaw::Parent),
            (b"../a", Flaw::Parent),
            (b"a/../b", Flaw::Parent),
            (b"a/..", Flaw::Parent),
            (b"a\0b", Flaw::Nul),
            (b".podinit", Flaw::Own),
            (b".podinit/x", Flaw::Own),
            (&[b'x'; 256], Flaw::Long),
        ] {
            assert_eq!(check(path), Err(flaw), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn a_good_path_stays_beneath_its_root(path in "[./a\\x00é]{0,12}|[a.]{250,260}") {
            use std::os::unix::ffi::OsStrExt as _;
            let bytes = path.as_bytes();
            let components: Vec<Component> = Path::new(&path).components().collect();
            let is_plain = components.iter().all(|part| matches!(part, Component::Normal(_)));
            let joined: Vec<&[u8]> = components.iter().map(|part| part.as_os_str().as_bytes()).collect();
            // Good means: only names, and written in the one way in which they can be.
            let is_good = !bytes.is_empty()
                && is_plain
                && joined.join(&b'/') == bytes
                && !bytes.contains(&0)
                && joined.iter().all(|name| name.len() <= 255);
            prop_assert_eq!(check(bytes).is_ok(), is_good);
        }
    }
}
