//! Reads of a few bytes here and there, from two blocks of the archive: one for the directory, one for
//! the local headers.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

use super::end::unreadable;
use crate::commands::fetch_object::unpack::carry;

/// Bytes of one block, which begins at a multiple of it.
const BLOCK: u64 = 4096;

/// A file that is read without being moved in.
pub(super) struct Window<'a> {
    archive: &'a File,
    length: u64,
    position: u64,
    /// The block that was used last is the first one.
    blocks: [Block; 2],
}

#[derive(Default)]
struct Block {
    /// `None` before anything was read.
    start: Option<u64>,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    /// Begins at the beginning.
    pub(super) fn new(archive: &'a File, length: u64) -> Self {
        Self {
            archive,
            length,
            position: 0,
            blocks: <[Block; 2]>::default(),
        }
    }

    fn load(&mut self, start: u64) -> io::Result<()> {
        if self.blocks[0].start == Some(start) {
            return Ok(());
        }
        self.blocks.swap(0, 1);
        let block = &mut self.blocks[0];
        if block.start == Some(start) {
            return Ok(());
        }
        block.start = None;
        let left = self.length.saturating_sub(start).min(BLOCK);
        block.bytes.resize(usize::try_from(left).unwrap_or(0), 0);
        self.archive
            .read_exact_at(&mut block.bytes, start)
            .map_err(|error| carry(unreadable(&error)))?;
        block.start = Some(start);
        Ok(())
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let start = self.position - self.position % BLOCK;
        self.load(start)?;
        let at = usize::try_from(self.position - start).unwrap_or(0);
        let available = self.blocks[0].bytes.get(at..).unwrap_or_default();
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_reads_what_is_there_wherever_it_is_moved() {
        let bytes: Vec<u8> = (0..10_000_u32)
            .map(|number| number.to_le_bytes()[1])
            .collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        proptest!(|(moves in proptest::collection::vec((0..11_000_u64, 0..500_usize), 1..20))| {
            let mut window = Window::new(&file, bytes.len() as u64);
            for (position, count) in moves {
                window.seek(SeekFrom::Start(position)).unwrap();
                let mut found = Vec::new();
                Read::take(&mut window, count as u64).read_to_end(&mut found).unwrap();
                let start = bytes.len().min(usize::try_from(position).unwrap());
                let end = bytes.len().min(start + count);
                prop_assert_eq!(&found, &bytes[start..end]);
            }
        });
    }
}
