//! Which bytes of an object are there, block by block, with their sums. Pure.

use std::collections::BTreeMap;
use std::ops::Range;

use super::split::block_size;
use super::sums::{Joiner, Running, Sums, Wanted};

/// The blocks of one object. Within a block bytes arrive in order, blocks in any order.
#[derive(Debug, Clone)]
pub struct Ledger {
    block: u64,
    length: Option<u64>,
    done: Vec<Option<Sums>>,
    /// Blocks that have begun, by number: what is there of them.
    begun: BTreeMap<usize, Running>,
    /// How many blocks are done from the start on.
    front: usize,
}

/// Bytes came that do not continue what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfOrder;

impl Ledger {
    /// Nothing is there yet of `length` bytes; without a length it grows.
    pub fn new(length: Option<u64>) -> Self {
        let block = block_size(length);
        let count = length.map_or(0, |length| length.div_ceil(block));
        Self {
            block,
            length,
            done: vec![None; usize::try_from(count).unwrap_or(0)],
            begun: BTreeMap::new(),
            front: 0,
        }
    }

    /// The length of a block.
    pub fn block(&self) -> u64 {
        self.block
    }

    /// The number of the block that `at` lies in.
    fn number(&self, at: u64) -> usize {
        usize::try_from(at / self.block).unwrap_or(usize::MAX)
    }

    /// Where block `number` lies.
    pub fn range(&self, number: usize) -> Range<u64> {
        let start = number as u64 * self.block;
        let end = start.saturating_add(self.block);
        start..self.length.map_or(end, |length| end.min(length))
    }

    /// Adds bytes that lie within one block; says which block they complete. A block that begins gets the
    /// sums that are `wanted` by then.
    ///
    /// # Errors
    /// They do not continue what is there of the block.
    pub fn add(
        &mut self,
        at: u64,
        bytes: &[u8],
        wanted: Wanted,
    ) -> Result<Option<(usize, Sums)>, OutOfOrder> {
        let number = self.number(at);
        let range = self.range(number);
        let running = self
            .begun
            .entry(number)
            .or_insert_with(|| Running::new(wanted));
        if range.start + running.length() != at || at + bytes.len() as u64 > range.end {
            return Err(OutOfOrder);
        }
        running.update(bytes);
        if range.start + running.length() < range.end {
            return Ok(None);
        }
        let sums = running.sums();
        self.begun.remove(&number);
        self.mark(number, sums);
        Ok(Some((number, sums)))
    }

    /// Notes that a block is there.
    pub fn mark(&mut self, number: usize, sums: Sums) {
        if self.done.len() <= number {
            self.done.resize(number + 1, None);
        }
        self.done[number] = Some(sums);
        while self.done.get(self.front).is_some_and(Option::is_some) {
            self.front += 1;
        }
    }

    /// Drops all blocks that `range` touches; says which of them were done.
    pub fn forget(&mut self, range: &Range<u64>) -> Vec<usize> {
        let (first, end) = (
            self.number(range.start),
            self.number(range.end.saturating_sub(1)) + 1,
        );
        self.begun
            .retain(|number, _| !(first..end).contains(number));
        self.front = self.front.min(first);
        let end = end.min(self.done.len());
        (first..end)
            .filter(|number| self.done[*number].take().is_some())
            .collect()
    }

    /// The object has ended where its bytes end.
    pub fn end(&mut self) {
        if self.length.is_none() {
            let tail = self.begun.pop_last();
            if let Some((number, running)) = tail {
                self.mark(number, running.sums());
            }
            self.length = Some(self.done.iter().flatten().map(|sums| sums.length).sum());
        }
    }

    /// How many bytes are there from the start on, in whole blocks.
    pub fn front(&self) -> u64 {
        match self.front.checked_sub(1) {
            None => 0,
            Some(last) => {
                let last_length = self.done[last].map_or(0, |sums| sums.length);
                last as u64 * self.block + last_length
            }
        }
    }

    /// How many bytes are there, in whole blocks.
    pub fn held(&self) -> u64 {
        self.done.iter().flatten().map(|sums| sums.length).sum()
    }

    /// What is not there, in runs of whole blocks.
    pub fn missing(&self) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for number in (0..self.done.len()).filter(|number| self.done[*number].is_none()) {
            let range = self.range(number);
            match runs.last_mut() {
                Some(run) if run.end == range.start => run.end = range.end,
                _ => runs.push(range),
            }
        }
        runs
    }

    /// The sums of the whole, if it is whole.
    pub fn whole(&self) -> Option<Sums> {
        let mut joiner = Joiner::new();
        for block in &self.done {
            joiner.push((*block)?);
        }
        let whole = joiner.whole();
        (Some(whole.length) == self.length).then_some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn bytes(byte: u8, length: u64) -> Vec<u8> {
        vec![byte; usize::try_from(length).unwrap()]
    }

    fn sums(bytes: &[u8]) -> Sums {
        let mut running = Running::new(Wanted::ALL);
        running.update(bytes);
        running.sums()
    }

    fn add(
        ledger: &mut Ledger,
        at: u64,
        byte: u8,
        length: u64,
    ) -> Result<Option<usize>, OutOfOrder> {
        let done = ledger.add(at, &bytes(byte, length), Wanted::ALL)?;
        Ok(done.map(|(number, _)| number))
    }

    #[test]
    fn blocks_come_in_any_order_and_their_bytes_in_order() {
        let mut ledger = Ledger::new(Some(2 * MIB + 5));
        assert_eq!(add(&mut ledger, 2 * MIB, 3, 5), Ok(Some(2)));
        assert_eq!(ledger.front(), 0);
        assert_eq!(ledger.missing(), [0..2 * MIB]);
        assert_eq!(add(&mut ledger, 0, 1, 10), Ok(None));
        assert_eq!(add(&mut ledger, 10, 1, MIB - 10), Ok(Some(0)));
        assert_eq!(ledger.front(), MIB);
        assert_eq!(ledger.whole(), None);
        assert_eq!(add(&mut ledger, MIB, 2, MIB), Ok(Some(1)));
        assert_eq!((ledger.front(), ledger.held()), (2 * MIB + 5, 2 * MIB + 5));
        let whole = [bytes(1, MIB), bytes(2, MIB), bytes(3, 5)].concat();
        assert_eq!(ledger.whole(), Some(sums(&whole)));
    }

    #[test]
    fn what_does_not_continue_is_refused() {
        let mut ledger = Ledger::new(Some(2 * MIB));
        assert_eq!(add(&mut ledger, 1, 1, 1), Err(OutOfOrder));
        assert_eq!(add(&mut ledger, MIB - 1, 1, 2), Err(OutOfOrder));
        assert_eq!(add(&mut ledger, 0, 1, 5), Ok(None));
        assert_eq!(add(&mut ledger, 6, 1, 5), Err(OutOfOrder));
        assert_eq!(add(&mut ledger, 0, 1, 5), Err(OutOfOrder));
    }

    #[test]
    fn what_is_forgotten_is_missing_again() {
        let mut ledger = Ledger::new(Some(4 * MIB));
        for block in 0..4 {
            ledger.mark(block, sums(&bytes(0, MIB)));
        }
        assert_eq!(ledger.forget(&(MIB..3 * MIB)), [1, 2]);
        assert_eq!(ledger.missing(), [MIB..3 * MIB]);
        assert_eq!(ledger.front(), MIB);
        assert_eq!(ledger.held(), 2 * MIB);
    }

    #[test]
    fn without_a_length_the_end_makes_the_last_block() {
        let mut ledger = Ledger::new(None);
        assert_eq!(add(&mut ledger, 0, 1, MIB), Ok(Some(0)));
        assert_eq!(add(&mut ledger, MIB, 2, 7), Ok(None));
        ledger.end();
        assert_eq!(ledger.front(), MIB + 7);
        assert_eq!(
            ledger.whole(),
            Some(sums(&[bytes(1, MIB), bytes(2, 7)].concat()))
        );
        let mut empty = Ledger::new(None);
        empty.end();
        assert_eq!(empty.whole(), Some(Sums::EMPTY));
        assert_eq!(Ledger::new(Some(0)).whole(), Some(Sums::EMPTY));
    }
}
