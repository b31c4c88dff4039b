//! Which permission bits files and directories get. Pure.

/// Every `r` bit.
const READ: u32 = 0o444;

/// The owner's `x` bit.
const OWNER_EXECUTES: u32 = 0o100;

/// What files get when neither the archive nor a flag says anything.
const FILE: u32 = 0o644;

/// What directories get when neither the archive nor a flag says anything.
const FOLDER: u32 = 0o755;

/// Permission bits alone: set-ID and sticky are dropped.
const BITS: u32 = 0o777;

/// The mode of a file: as archived, or `--mode`, with `x` for each `r` if the entry's owner had `x`.
pub(super) fn of_file(archived: Option<u32>, asked: Option<u32>) -> u32 {
    match (asked, archived) {
        (None, archived) => archived.unwrap_or(FILE) & BITS,
        (Some(asked), Some(archived)) if archived & OWNER_EXECUTES != 0 => with_execute(asked),
        (Some(asked), _) => asked & BITS,
    }
}

/// The mode of a directory: as archived, or `--mode` with `x` for each `r`.
pub(super) fn of_folder(archived: Option<u32>, asked: Option<u32>) -> u32 {
    asked.map_or_else(|| archived.unwrap_or(FOLDER) & BITS, with_execute)
}

fn with_execute(mode: u32) -> u32 {
    (mode | ((mode & READ) >> 2)) & BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_archived_without_set_id_and_sticky() {
        assert_eq!(of_file(Some(0o4755), None), 0o755);
        assert_eq!(of_file(Some(0o107_600), None), 0o600);
        assert_eq!(of_folder(Some(0o43_777), None), 0o777);
        assert_eq!(of_folder(Some(0), None), 0);
        assert_eq!(of_file(None, None), 0o644);
        assert_eq!(of_folder(None, None), 0o755);
    }

    #[test]
    fn the_mode_asked_for_gets_execute_where_it_belongs() {
        assert_eq!(of_file(Some(0o755), Some(0o440)), 0o550);
        assert_eq!(of_file(Some(0o677), Some(0o440)), 0o440);
        assert_eq!(of_file(None, Some(0o640)), 0o640);
        assert_eq!(of_folder(Some(0o700), Some(0o440)), 0o550);
        assert_eq!(of_folder(None, Some(0o644)), 0o755);
        assert_eq!(of_folder(None, Some(0o200)), 0o200);
    }
}
