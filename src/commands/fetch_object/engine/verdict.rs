//! Whether an object is right, now that all its bytes are there; and what was checked. Pure.

use super::super::source::{About, Checksum, Validator};
use super::Pins;
use super::disk::Totals;
use super::judge::{Known, bare, is_same};
use super::sums;
use crate::base::failure::{Failure, Kind};

/// What was checked, in the order of the report, and what could not be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    pub checked: Vec<&'static str>,
    pub unchecked: Option<String>,
}

/// The sums that belong to the object that was fetched: those told of another state do not count.
pub fn belonging<'a>(about: &'a About, known: &Known) -> &'a [Checksum] {
    let is_long = about.length.is_none() || about.length == known.length;
    if is_long && is_same(&about.validator, &known.validator) {
        &about.checksums
    } else {
        &[]
    }
}

/// Compares all that is known of the object with what came. `silence` says why no sum was told.
///
/// # Errors
/// `Corrupt`.
pub fn check(
    known: &Known,
    pins: &Pins,
    announced: &[Checksum],
    silence: Option<String>,
    totals: &Totals,
) -> Result<Checked, Failure> {
    let mut checked = Vec::new();
    if let Some(length) = known.length {
        if length != totals.sums.length {
            let came = totals.sums.length;
            return Err(Failure::new(
                Kind::Corrupt,
                format!("{length} bytes were announced, {came} came"),
            ));
        }
        checked.push("length");
    }
    if known.validator.generation.is_some() {
        checked.push("generation");
    } else if known.validator.strong_etag().is_some() || pins.etag.is_some() {
        checked.push("etag");
    }
    for checksum in announced {
        let name = sums::name(checksum.kind);
        let computed = totals.sums.get(checksum.kind);
        let Some((wanted, got)) = checksum.value.zip(computed) else {
            continue;
        };
        if wanted != got {
            return Err(wrong(name, &format!("{wanted:x}"), &format!("{got:x}")));
        }
        if !checked.contains(&name) {
            checked.push(name);
        }
    }
    let has_sum = announced.iter().any(|checksum| checksum.value.is_some());
    let unchecked = match announced.first() {
        Some(_) if !has_sum => Some("composite".to_string()),
        Some(_) => None,
        None => silence,
    };
    if let (Some(wanted), Some(got)) = (pins.sha256, totals.sha256) {
        if wanted != got {
            return Err(wrong("sha256", &hex(&wanted), &hex(&got)));
        }
        checked.push("sha256");
    }
    Ok(Checked { checked, unchecked })
}

fn wrong(what: &str, wanted: &str, got: &str) -> Failure {
    Failure::new(
        Kind::Corrupt,
        format!("{what} is {got}, wanted {wanted}; nothing was published"),
    )
    .hint("the object or the pin is wrong: compare the digest with that of whoever made the object")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the answer is the object that is pinned.
///
/// # Errors
/// `Corrupt`.
pub fn check_pin(pins: &Pins, validator: &Validator) -> Result<(), Failure> {
    let Some(wanted) = &pins.etag else {
        return Ok(());
    };
    let got = validator.etag.as_deref().map(bare);
    if got == Some(bare(wanted)) {
        return Ok(());
    }
    let failure = Failure::new(
        Kind::Corrupt,
        format!(
            "the object's ETag is {}, wanted {wanted}; nothing was published",
            got.unwrap_or("not told")
        ),
    );
    Err(failure.hint("the object is another one by now, or --etag is wrong"))
}

/// Whether `length` bytes are allowed.
///
/// # Errors
/// `Corrupt`.
pub fn check_cap(cap: Option<u64>, length: u64) -> Result<(), Failure> {
    match cap {
        Some(cap) if length > cap => {
            let reason = format!("the object has at least {length} bytes, --max-size allows {cap}");
            Err(Failure::new(Kind::Corrupt, reason)
                .hint("raise --max-size if you trust the source"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::source::Crc;
    use super::super::sums::{Running, Wanted};
    use super::*;

    fn known(etag: &str) -> Known {
        Known {
            length: Some(3),
            validator: Validator {
                etag: Some(etag.to_string()),
                ..Validator::default()
            },
        }
    }

    fn totals() -> Totals {
        let mut running = Running::new(Wanted::ALL);
        running.update(b"abc");
        Totals {
            sums: running.sums(),
            sha256: Some([7; 32]),
        }
    }

    fn sum(kind: Crc, value: Option<u64>) -> Checksum {
        Checksum { kind, value }
    }

    #[test]
    fn what_was_checked_is_told_in_order() {
        let pins = Pins {
            sha256: Some([7; 32]),
            etag: None,
        };
        let announced = [Crc::Crc32, Crc::Crc32c, Crc::Crc64Nvme]
            .map(|kind| sum(kind, totals().sums.get(kind)));
        let told = check(&known("\"a\""), &pins, &announced, None, &totals()).unwrap();
        assert_eq!(
            told.checked,
            ["length", "etag", "crc32", "crc32c", "crc64nvme", "sha256"]
        );
        assert_eq!(told.unchecked, None);
        let told = check(
            &known("W/\"a\""),
            &Pins::default(),
            &[],
            Some("x".to_string()),
            &totals(),
        )
        .unwrap();
        assert_eq!(
            (told.checked, told.unchecked.as_deref()),
            (vec!["length"], Some("x"))
        );
    }

    #[test]
    fn a_composite_sum_is_not_checked() {
        let announced = [sum(Crc::Crc32c, None)];
        let told = check(
            &known("\"a\""),
            &Pins::default(),
            &announced,
            None,
            &totals(),
        )
        .unwrap();
        assert_eq!(told.unchecked.as_deref(), Some("composite"));
    }

    #[test]
    fn every_wrong_sum_is_refused() {
        let refused = |known: &Known, pins: &Pins, announced: &[Checksum]| {
            let failure = check(known, pins, announced, None, &totals()).unwrap_err();
            assert_eq!(failure.kind(), Kind::Corrupt);
            failure.to_string()
        };
        let long = Known {
            length: Some(4),
            ..known("\"a\"")
        };
        assert_eq!(
            refused(&long, &Pins::default(), &[]),
            "4 bytes were announced, 3 came"
        );
        for kind in [Crc::Crc32, Crc::Crc32c, Crc::Crc64Nvme] {
            refused(&known("\"a\""), &Pins::default(), &[sum(kind, Some(1))]);
        }
        let pins = Pins {
            sha256: Some([8; 32]),
            etag: None,
        };
        let text = refused(&known("\"a\""), &pins, &[]);
        assert!(
            text.contains(&"07".repeat(32)) && text.contains(&"08".repeat(32)),
            "{text}"
        );
    }

    #[test]
    fn a_sum_of_another_state_does_not_count() {
        let about = |etag: &str, length| About {
            length,
            validator: known(etag).validator,
            checksums: vec![sum(Crc::Crc32, Some(1))],
        };
        assert_eq!(
            belonging(&about("\"a\"", Some(3)), &known("\"a\"")).len(),
            1
        );
        assert_eq!(
            belonging(&about("\"b\"", Some(3)), &known("\"a\"")).len(),
            0
        );
        assert_eq!(
            belonging(&about("\"a\"", Some(4)), &known("\"a\"")).len(),
            0
        );
        assert_eq!(
            belonging(&about("W/\"a\"", None), &known("W/\"a\"")).len(),
            0
        );
    }

    #[test]
    fn pins_and_caps_hold() {
        let pins = Pins {
            sha256: None,
            etag: Some("a".to_string()),
        };
        assert!(check_pin(&pins, &known("\"a\"").validator).is_ok());
        assert!(check_pin(&pins, &known("a").validator).is_ok());
        assert!(check_pin(&pins, &known("\"b\"").validator).is_err());
        assert!(check_pin(&pins, &Validator::default()).is_err());
        assert!(check_cap(Some(3), 3).is_ok());
        assert_eq!(check_cap(Some(3), 4).unwrap_err().kind(), Kind::Corrupt);
        assert!(check_cap(None, u64::MAX).is_ok());
    }
}
