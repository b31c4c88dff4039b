//! Checksums of pieces, and of pieces joined. Pure.

use crc_fast::{CrcAlgorithm, Digest};

use super::super::source::Crc;

/// Which sums are computed beside CRC-64/NVME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    pub crc32: bool,
    pub crc32c: bool,
}

impl Wanted {
    /// Whatever a store may announce.
    pub const ALL: Self = Self {
        crc32: true,
        crc32c: true,
    };

    /// What it takes to check these.
    pub fn of(kinds: impl IntoIterator<Item = Crc>) -> Self {
        let mut wanted = Self::default();
        for kind in kinds {
            match kind {
                Crc::Crc32 => wanted.crc32 = true,
                Crc::Crc32c => wanted.crc32c = true,
                Crc::Crc64Nvme => {}
            }
        }
        wanted
    }

    /// As a number, for an atomic.
    pub fn bits(self) -> u8 {
        u8::from(self.crc32) | u8::from(self.crc32c) << 1
    }

    /// Back from the number.
    pub fn from_bits(bits: u8) -> Self {
        Self {
            crc32: bits & 1 != 0,
            crc32c: bits & 2 != 0,
        }
    }
}

/// The sums of some bytes, and how many they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    pub length: u64,
    pub crc64: u64,
    pub crc32: Option<u64>,
    pub crc32c: Option<u64>,
}

impl Sums {
    /// Those of no bytes.
    pub const EMPTY: Self = Self {
        length: 0,
        crc64: 0,
        crc32: Some(0),
        crc32c: Some(0),
    };

    /// One of them.
    pub fn get(&self, kind: Crc) -> Option<u64> {
        match kind {
            Crc::Crc32 => self.crc32,
            Crc::Crc32c => self.crc32c,
            Crc::Crc64Nvme => Some(self.crc64),
        }
    }
}

/// Sums that grow with their bytes.
#[derive(Debug, Clone)]
pub struct Running {
    crc64: Digest,
    crc32: Option<Digest>,
    crc32c: Option<Digest>,
}

impl Running {
    /// Those of no bytes yet.
    pub fn new(wanted: Wanted) -> Self {
        let digest = |kind| Digest::new(algorithm(kind));
        Self {
            crc64: digest(Crc::Crc64Nvme),
            crc32: wanted.crc32.then(|| digest(Crc::Crc32)),
            crc32c: wanted.crc32c.then(|| digest(Crc::Crc32c)),
        }
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        let others = self.crc32.iter_mut().chain(&mut self.crc32c);
        for digest in std::iter::once(&mut self.crc64).chain(others) {
            digest.update(bytes);
        }
    }

    /// How many bytes there were.
    pub fn length(&self) -> u64 {
        self.crc64.get_amount()
    }

    /// The sums so far.
    pub fn sums(&self) -> Sums {
        Sums {
            length: self.length(),
            crc64: self.crc64.finalize(),
            crc32: self.crc32.as_ref().map(Digest::finalize),
            crc32c: self.crc32c.as_ref().map(Digest::finalize),
        }
    }
}

/// Joins the sums of pieces to those of the whole. What `length` more bytes do to a sum is linear, so it is
/// computed once for each bit, and again only when the length of a piece is another one: to compute it for
/// each of many blocks would cost more than the sums themselves.
#[derive(Debug)]
pub struct Joiner {
    whole: Sums,
    length: u64,
    columns: [(Crc, Box<[u64]>); 3],
}

impl Joiner {
    pub fn new() -> Self {
        Self {
            whole: Sums::EMPTY,
            length: 0,
            columns: [Crc::Crc64Nvme, Crc::Crc32, Crc::Crc32c].map(|kind| (kind, Box::default())),
        }
    }

    /// Appends a piece; a sum that it lacks is lost.
    pub fn push(&mut self, piece: Sums) {
        if self.length != piece.length {
            self.length = piece.length;
            for (kind, columns) in &mut self.columns {
                let width = if *kind == Crc::Crc64Nvme { 64 } else { 32 };
                let shifted = |bit| {
                    crc_fast::checksum_combine(algorithm(*kind), 1_u64 << bit, 0, piece.length)
                };
                *columns = (0..width).map(shifted).collect();
            }
        }
        let [crc64, crc32, crc32c] = &self.columns;
        let join = |(_, columns): &(Crc, Box<[u64]>), one: u64, two: u64| {
            let bits = columns.iter().enumerate();
            bits.filter(|(bit, _)| one >> bit & 1 == 1)
                .fold(two, |sum, (_, column)| sum ^ column)
        };
        let whole = &self.whole;
        self.whole = Sums {
            length: whole.length + piece.length,
            crc64: join(crc64, whole.crc64, piece.crc64),
            crc32: (whole.crc32.zip(piece.crc32)).map(|(one, two)| join(crc32, one, two)),
            crc32c: (whole.crc32c.zip(piece.crc32c)).map(|(one, two)| join(crc32c, one, two)),
        };
    }

    /// The sums of all pieces.
    pub fn whole(&self) -> Sums {
        self.whole
    }
}

/// As the report names it.
pub fn name(kind: Crc) -> &'static str {
    match kind {
        Crc::Crc32 => "crc32",
        Crc::Crc32c => "crc32c",
        Crc::Crc64Nvme => "crc64nvme",
    }
}

fn algorithm(kind: Crc) -> CrcAlgorithm {
    match kind {
        Crc::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        Crc::Crc32c => CrcAlgorithm::Crc32Iscsi,
        Crc::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(bytes: &[u8], wanted: Wanted) -> Sums {
        let mut running = Running::new(wanted);
        running.update(bytes);
        running.sums()
    }

    #[test]
    fn sums_are_those_of_the_catalogue() {
        let told = sums(b"123456789", Wanted::ALL);
        assert_eq!(told.crc64, 0xae8b_1486_0a79_9888);
        assert_eq!(told.crc32, Some(0xcbf4_3926));
        assert_eq!(told.crc32c, Some(0xe306_9283));
        assert_eq!(sums(b"", Wanted::ALL), Sums::EMPTY);
        assert_eq!(sums(b"a", Wanted::default()).crc32, None);
    }

    #[test]
    fn joined_sums_are_those_of_the_whole() {
        let bytes: Vec<u8> = (0..5000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for length in [1, 7, 1024, 4999, 5000] {
            let mut joiner = Joiner::new();
            for piece in bytes.chunks(length) {
                joiner.push(sums(piece, Wanted::ALL));
            }
            assert_eq!(joiner.whole(), sums(&bytes, Wanted::ALL), "{length}");
        }
        let mut joiner = Joiner::new();
        assert_eq!(joiner.whole(), Sums::EMPTY);
        joiner.push(sums(b"a", Wanted::ALL));
        joiner.push(sums(b"b", Wanted::default()));
        assert_eq!((joiner.whole().crc32, joiner.whole().length), (None, 2));
    }

    #[test]
    fn what_is_wanted_survives_as_a_number() {
        for kinds in [vec![], vec![Crc::Crc32], vec![Crc::Crc32c, Crc::Crc64Nvme]] {
            let wanted = Wanted::of(kinds);
            assert_eq!(Wanted::from_bits(wanted.bits()), wanted);
        }
        assert_eq!(Wanted::from_bits(Wanted::ALL.bits()), Wanted::ALL);
    }
}
