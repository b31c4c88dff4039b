//! Where beneath DEST an entry goes, and where a link may point. Pure: no file system is asked, so a
//! path that is fine here is still made without following any link.

use crate::commands::fetch_object::name::{self, Flaw, segments};

/// The longest path that programs can open, without its final NUL (`PATH_MAX`).
const MAX_PATH: usize = 4095;

/// Where an entry goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// It is DEST itself.
    Top,
    /// A path beneath DEST.
    At(Vec<u8>),
    /// Nothing is left of its name.
    Nowhere,
}

/// The place of an entry after `strip` segments were dropped. Directories may be named with a final `/`.
///
/// # Errors
/// What is wrong with the name.
pub(super) fn of_entry(name: &[u8], is_folder: bool, strip: usize) -> Result<Place, String> {
    let name = match name.strip_suffix(b"/") {
        Some(shorter) if is_folder && !shorter.is_empty() => shorter,
        _ => name,
    };
    let name = name.strip_prefix(b"./").unwrap_or(name);
    if is_folder && name == b"." {
        return Ok(if strip == 0 {
            Place::Top
        } else {
            Place::Nowhere
        });
    }
    name::check(name).map_err(|flaw| flaw.to_string())?;
    let mut rest = name;
    for _ in 0..strip {
        let Some(slash) = rest.iter().position(|byte| *byte == b'/') else {
            return Ok(Place::Nowhere);
        };
        rest = &rest[slash + 1..];
    }
    if rest.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} bytes"));
    }
    // What was dropped may have hidden it.
    name::check(rest).map_err(|flaw| flaw.to_string())?;
    Ok(Place::At(rest.to_vec()))
}

/// Whether the symbolic link at `place` may point to `target`: relative, with `..` only at the start, and
/// no more of them than lead to DEST.
///
/// # Errors
/// What is wrong with the target.
pub(super) fn check_target(place: &[u8], target: &[u8]) -> Result<(), String> {
    if target.is_empty() {
        return Err("is empty".to_string());
    }
    if target.starts_with(b"/") {
        return Err(Flaw::Absolute.to_string());
    }
    if target.contains(&0) {
        return Err(Flaw::Nul.to_string());
    }
    if target.len() > MAX_PATH {
        return Err(format!("is longer than {MAX_PATH} bytes"));
    }
    let is_parent = |segment: &&[u8]| *segment == b"..";
    let depth = segments(place).count() - 1;
    let leading = segments(target).take_while(is_parent).count();
    if leading > depth {
        return Err("leads out of the destination".to_string());
    }
    if segments(target)
        .skip(leading)
        .any(|segment| segment == b"..")
    {
        return Err("has a segment `..` after another one".to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(path: &str) -> Place {
        Place::At(path.as_bytes().to_vec())
    }

    #[test]
    fn a_name_leads_to_its_place() {
        for (name, is_folder, strip, place) in [
            ("a", false, 0, at("a")),
            ("./a/b", false, 0, at("a/b")),
            ("a/", true, 0, at("a")),
            ("./a/", true, 0, at("a")),
            (".", true, 0, Place::Top),
            ("./", true, 0, Place::Top),
            ("./", true, 1, Place::Nowhere),
            (".", true, 2, Place::Nowhere),
            ("a", false, 1, Place::Nowhere),
            ("a/", true, 1, Place::Nowhere),
            ("a/b", false, 1, at("b")),
            ("./a/b/c/", true, 2, at("c")),
            ("a/b", false, 9, Place::Nowhere),
        ] {
            let found = of_entry(name.as_bytes(), is_folder, strip);
            assert_eq!(found, Ok(place), "{name} {strip}");
        }
    }

    #[test]
    fn bad_names_are_refused_before_anything_is_dropped() {
        for (name, is_folder) in [
            ("../e", false),
            ("/abs", false),
            ("/", true),
            ("a/../../e", false),
            ("././a", false),
            ("a//b", false),
            ("a//", true),
            ("a/", false),
            ("./", false),
            (".", false),
            ("", false),
            ("", true),
            (".podinit/x", false),
            ("a/./b", false),
            ("..", true),
            (".//", true),
        ] {
            for strip in [0, 1] {
                of_entry(name.as_bytes(), is_folder, strip).unwrap_err();
            }
        }
        of_entry(b"a/.podinit/x", false, 1).unwrap_err();
        assert_eq!(of_entry(b"a/.podinit/x", false, 2), Ok(at("x")));
    }

    #[test]
    fn links_stay_in_the_destination() {
        for (place, target) in [
            ("l", "a"),
            ("l", "a/b/"),
            ("l", "."),
            ("l", "./a"),
            ("d/l", ".."),
            ("d/l", "../x"),
            ("d/e/l", "../../x/y"),
            ("lib.so", "lib.so.1"),
            ("l", "..."),
        ] {
            check_target(place.as_bytes(), target.as_bytes()).unwrap();
        }
        for (place, target) in [
            ("l", ".."),
            ("l", "../x"),
            ("d/l", "../.."),
            ("d/l", "../../x"),
            ("l", "/etc"),
            ("l", ""),
            ("d/l", "a/.."),
            ("d/l", "./../x"),
            ("d/l", "..//.."),
            ("l", "a\0b"),
        ] {
            check_target(place.as_bytes(), target.as_bytes()).unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn a_place_is_a_good_name_whatever_is_dropped(name in "[./ab]{0,14}", folder: bool, strip in 0..4_usize) {
            if let Ok(Place::At(place)) = of_entry(name.as_bytes(), folder, strip) {
                prop_assert_eq!(name::check(&place), Ok(()));
                prop_assert!(name.as_bytes().windows(place.len()).any(|part| part == place));
            }
        }

        #[test]
        fn no_target_climbs_above_the_destination(place in "[ab](/[ab]){0,3}", target in "[./ab]{0,12}") {
            if check_target(place.as_bytes(), target.as_bytes()).is_ok() {
                let mut depth = place.split('/').count() - 1;
                for segment in target.split('/') {
                    match segment {
                        "" | "." => {}
                        ".." => {
                            prop_assert!(depth > 0);
                            depth -= 1;
                        }
                        _ => depth += 1,
                    }
                }
            }
        }
    }
}
