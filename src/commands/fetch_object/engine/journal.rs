//! The journal of a part file: a header that says of what the part is, and one record for each block that
//! is there. Only its form; pure.

use serde::{Deserialize, Serialize};

use super::super::source::{Crc, Validator};
use super::split::{MOST_BLOCKS, block_size};

/// What a journal begins with: name and version of the form.
const MAGIC: &[u8] = b"podinit part journal 1\n";

/// The bytes of a record: block number, seal, CRC.
pub const RECORD: usize = 16;

/// Set in the number of a record that takes an earlier one back.
const TAKEN_BACK: u32 = 1 << 31;

/// The largest journal that is read: each block can be noted and taken back a few times.
pub const MAX_JOURNAL: u64 = 16 << 20;

/// Of what the part file is a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What identifies the source.
    pub identity: String,
    /// The state of the object.
    pub validator: Validator,
    /// Its length in bytes.
    pub length: u64,
    /// The length of a block.
    pub block: u64,
    /// Which sum the records hold.
    pub crc: Crc,
}

/// A journal as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub header: Header,
    /// The number and the CRC of each block that claims to be there.
    pub blocks: Vec<(usize, u64)>,
    /// How many bytes of it are good: what follows is torn.
    pub used: u64,
    /// For the records to come.
    pub seal: u64,
}

/// The bytes of a header, and the seal of its records.
///
/// # Errors
/// The header cannot be told in JSON, which no header is.
pub fn encode(header: &Header) -> Result<(Vec<u8>, u64), serde_json::Error> {
    let text = serde_json::to_vec(header)?;
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&text);
    let seal = crc_fast::crc64_nvme(&bytes);
    bytes.extend_from_slice(&seal.to_le_bytes());
    Ok((bytes, seal))
}

/// The record that block `number` is there, or with `None` that it is not after all.
pub fn record(number: usize, crc: Option<u64>, seal: u64) -> [u8; RECORD] {
    let number = u32::try_from(number).unwrap_or(TAKEN_BACK - 1);
    let number = number | if crc.is_none() { TAKEN_BACK } else { 0 };
    let mut bytes = [0; RECORD];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[8..].copy_from_slice(&crc.unwrap_or(0).to_le_bytes());
    let check = check(&bytes, seal);
    bytes[4..8].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// What ties a record to its header and shows a torn one.
fn check(record: &[u8; RECORD], seal: u64) -> u32 {
    let mut bytes = [0; RECORD + 4];
    bytes[..4].copy_from_slice(&record[..4]);
    bytes[4..12].copy_from_slice(&record[8..]);
    bytes[12..].copy_from_slice(&seal.to_le_bytes());
    crc_fast::crc32_iscsi(&bytes)
}

/// Reads a journal; `None` if its header is damaged or contradicts itself.
pub fn decode(bytes: &[u8]) -> Option<Found> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (text, rest) = rest.split_at_checked(length)?;
    let (told, rest) = rest.split_first_chunk::<8>()?;
    let seal = u64::from_le_bytes(*told);
    let before = bytes.len() - rest.len();
    if crc_fast::crc64_nvme(&bytes[..before - 8]) != seal {
        return None;
    }
    let header: Header = serde_json::from_slice(text).ok()?;
    let count = header.length.div_ceil(header.block.max(1));
    if header.block != block_size(Some(header.length)) || count > MOST_BLOCKS {
        return None;
    }
    let mut crcs = vec![None; usize::try_from(count).ok()?];
    let mut used = before;
    for record in rest.as_chunks::<RECORD>().0 {
        let (Some(number), Some(seal_of_it), Some(crc)) = (
            record.first_chunk::<4>(),
            record[4..].first_chunk::<4>(),
            record.last_chunk::<8>(),
        ) else {
            break;
        };
        let number = u32::from_le_bytes(*number);
        let place = usize::try_from(number & !TAKEN_BACK).ok()?;
        if u32::from_le_bytes(*seal_of_it) != check(record, seal) || place >= crcs.len() {
            break;
        }
        crcs[place] = (number & TAKEN_BACK == 0).then_some(u64::from_le_bytes(*crc));
        used += RECORD;
    }
    let claims = crcs.iter().enumerate();
    Some(Found {
        header,
        blocks: claims
            .filter_map(|(number, crc)| Some((number, (*crc)?)))
            .collect(),
        used: used as u64,
        seal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            identity: "s3://b/k".to_string(),
            validator: Validator {
                etag: Some("\"x\"".to_string()),
                ..Validator::default()
            },
            length: (3 << 20) + 1,
            block: 1 << 20,
            crc: Crc::Crc64Nvme,
        }
    }

    fn written() -> Vec<u8> {
        let (mut bytes, seal) = encode(&header()).unwrap();
        bytes.extend(record(3, Some(30), seal));
        bytes.extend(record(0, Some(1), seal));
        bytes.extend(record(1, Some(5), seal));
        bytes.extend(record(0, None, seal));
        bytes
    }

    #[test]
    fn what_was_written_is_found() {
        let bytes = written();
        let found = decode(&bytes).unwrap();
        assert_eq!(found.header, header());
        assert_eq!(found.blocks, [(1, 5), (3, 30)]);
        assert_eq!(found.used, bytes.len() as u64);
    }

    #[test]
    fn a_cut_journal_is_good_up_to_its_last_whole_record() {
        let bytes = written();
        let start = bytes.len() - 4 * RECORD;
        for cut in 0..bytes.len() {
            match decode(&bytes[..cut]) {
                None => assert!(cut < start),
                Some(found) => {
                    assert!(cut >= start);
                    assert_eq!(found.used as usize, cut - (cut - start) % RECORD);
                }
            }
        }
    }

    #[test]
    fn no_flipped_bit_passes() {
        let bytes = written();
        let whole = decode(&bytes).unwrap();
        let start = bytes.len() - 4 * RECORD;
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            match decode(&flipped) {
                None => assert!(at / 8 < start, "bit {at}"),
                Some(found) => assert!(found.used < whole.used, "bit {at}"),
            }
        }
    }

    #[test]
    fn a_record_of_another_part_does_not_count() {
        let other = Header {
            identity: "s3://b/other".to_string(),
            ..header()
        };
        let (mut bytes, _) = encode(&header()).unwrap();
        let (_, seal) = encode(&other).unwrap();
        bytes.extend(record(0, Some(1), seal));
        assert_eq!(decode(&bytes).unwrap().blocks, []);
    }

    #[test]
    fn a_number_or_a_block_size_out_of_bounds_does_not_count() {
        let (mut bytes, seal) = encode(&header()).unwrap();
        bytes.extend(record(4, Some(1), seal));
        assert_eq!(decode(&bytes).unwrap().blocks, []);
        for (length, block) in [(1 << 50, 1 << 20), (5, 0), (u64::MAX, 1 << 20)] {
            let (bytes, _) = encode(&Header {
                length,
                block,
                ..header()
            })
            .unwrap();
            assert_eq!(decode(&bytes), None);
        }
    }
}
