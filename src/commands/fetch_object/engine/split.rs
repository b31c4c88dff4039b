//! How an object is cut: blocks, which the journal knows, and parts, which one request asks for. Pure.

use std::collections::VecDeque;
use std::ops::Range;

/// The least block; a journal has one record for each.
pub const LEAST_BLOCK: u64 = 1 << 20;

/// The most blocks that an object is cut into, so that a journal stays below a few MiB.
pub const MOST_BLOCKS: u64 = 65_536;

/// The length of the blocks of an object of `length` bytes: 1 MiB, and above 64 GiB the least larger
/// power of two that needs no more than `MOST_BLOCKS`.
pub fn block_size(length: Option<u64>) -> u64 {
    let least = length.unwrap_or(0).div_ceil(MOST_BLOCKS);
    least
        .max(LEAST_BLOCK)
        .checked_next_power_of_two()
        .unwrap_or(1 << 63)
}

/// The length of a part as it is asked for: whole blocks, never less than one.
pub fn part_size(wanted: u64) -> u64 {
    (wanted - wanted % LEAST_BLOCK).max(LEAST_BLOCK)
}

/// What is still to be asked for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    runs: VecDeque<Range<u64>>,
    part: u64,
}

impl Missing {
    /// Cuts `runs`, which begin at blocks, into parts of `part` bytes, or of a block if that is more.
    pub fn new(runs: impl IntoIterator<Item = Range<u64>>, part: u64, block: u64) -> Self {
        Self {
            runs: runs.into_iter().filter(|run| !run.is_empty()).collect(),
            part: part
                .max(1)
                .checked_next_multiple_of(block)
                .unwrap_or(u64::MAX),
        }
    }

    /// What would be asked for next.
    pub fn peek(&self) -> Option<Range<u64>> {
        let run = self.runs.front()?;
        Some(run.start..run.start.saturating_add(self.part).min(run.end))
    }

    /// Takes the next part.
    pub fn take(&mut self) -> Option<Range<u64>> {
        let part = self.peek()?;
        let run = self.runs.front_mut()?;
        run.start = part.end;
        if run.is_empty() {
            self.runs.pop_front();
        }
        Some(part)
    }

    /// How many parts there are.
    pub fn count(&self) -> u64 {
        let parts = |run: &Range<u64>| (run.end - run.start).div_ceil(self.part);
        self.runs.iter().map(parts).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn there_are_never_more_blocks_than_the_journal_holds() {
        assert_eq!(block_size(None), MIB);
        for (length, block) in [
            (0, MIB),
            (1, MIB),
            (MOST_BLOCKS * MIB, MIB),
            (MOST_BLOCKS * MIB + 1, 2 * MIB),
            (5 << 40, 128 * MIB),
        ] {
            assert_eq!(block_size(Some(length)), block, "{length}");
            assert!(length.div_ceil(block) <= MOST_BLOCKS);
        }
        assert!(u64::MAX.div_ceil(block_size(Some(u64::MAX))) <= MOST_BLOCKS);
    }

    #[test]
    fn parts_are_whole_blocks() {
        assert_eq!(part_size(8 * MIB), 8 * MIB);
        assert_eq!(part_size(1_500_000), MIB);
        assert_eq!(part_size(1), MIB);
    }

    #[test]
    fn parts_cover_what_is_missing_once() {
        let mut missing = Missing::new([0..0, 2..12, 20..25], 4, 4);
        assert_eq!(missing.count(), 5);
        let parts: Vec<_> = std::iter::from_fn(|| missing.take()).collect();
        assert_eq!(parts, [2..6, 6..10, 10..12, 20..24, 24..25]);
        assert_eq!(missing.count(), 0);
        let mut large = Missing::new([0..10], 3, 8);
        assert_eq!(large.take(), Some(0..8));
    }
}
