//! Caps, and what else ends an unpacking.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::samples::{Head, Tar, gz, zst};
use super::*;

#[test]
fn bytes_are_capped_as_they_come_out() {
    let bytes = Tar::new()
        .file("a", &[b'x'; 600])
        .file("b", &[b'y'; 400])
        .end();
    let capped = |cap| Plan {
        cap: Cap::Bytes(cap),
        ..plan()
    };
    Target::new().unpack(&bytes, &capped(1000)).unwrap();
    let failure = Target::new().unpack(&bytes, &capped(999)).unwrap_err();
    assert_eq!(failure.kind(), Kind::Corrupt);
    assert_eq!(
        failure.to_string(),
        "it unpacks to more than 999 bytes (--max-unpacked)"
    );
    assert_eq!(
        failure.mend(),
        Some("raise --max-unpacked if you trust the source")
    );
    // What is left out is unpacked all the same.
    let strip = Plan {
        strip: 1,
        ..capped(999)
    };
    Target::new().refusal(&bytes, &strip);
    // So are zero bytes after the end, on their own account.
    let padded = [bytes.as_slice(), &[0; 2000]].concat();
    Target::new().refusal(&padded, &capped(1000));
    Target::new().unpack(&padded, &capped(2000)).unwrap();
    for (bytes, format) in [
        (gz(&[b'x'; 1000]), Format::Gz),
        (zst(&[b'x'; 1000]), Format::Zst),
    ] {
        let unpack = |cap| {
            let plan = capped(cap);
            let mut reader = bytes.as_slice();
            let input = Input::new(&mut reader, Arc::clone(&plan.halt));
            single(input, format, &mut std::io::sink(), &plan)
        };
        assert_eq!(unpack(1000).unwrap(), 1000);
        assert_eq!(unpack(999).unwrap_err().kind(), Kind::Corrupt);
    }
}

#[test]
fn a_length_that_is_only_claimed_costs_nothing() {
    let claimed = Head::new(b'0', b"f").with(124, b"\x80\0\0\0\x40\0\0\0\0\0\0\0");
    let said = refusal(&Tar::new().raw(claimed, b"abc").end());
    assert_eq!(said, "entry `f`: the archive is cut short");
}

#[test]
fn entries_are_capped_also_those_that_are_left_out() {
    let global = samples::pax_records(&[("comment", b"x")]);
    for (bytes, strip) in [
        (Tar::new().file("f", b"").file("g", b"").end(), 0),
        (Tar::new().file("f", b"").folder("g").end(), 1),
        (
            Tar::new()
                .entry(Head::new(b'g', b"g"), &global)
                .file("f", b"")
                .end(),
            0,
        ),
    ] {
        let unpack = |seen| {
            let plan = Plan { strip, ..plan() };
            let target = Target::new();
            let root = target.root();
            let staging = Staging::new(&root, &plan, Rc::default()).having_seen(seen);
            tar::unpack(&mut bytes.as_slice(), staging)
        };
        unpack(cap::MAX_ENTRIES - 2).unwrap();
        let failure = unpack(cap::MAX_ENTRIES - 1).unwrap_err();
        assert_eq!(failure.kind(), Kind::Corrupt);
        assert_eq!(failure.to_string(), "it has more than 1000000 entries");
    }
}

#[test]
fn a_download_that_fails_is_not_the_archives_fault() {
    let whole = Tar::new().file("a", &vec![b'x'; 700_000]).end();
    for (bytes, format) in [
        (whole.clone(), Format::Tar),
        (gz(&whole), Format::TarGz),
        (zst(&whole), Format::TarZst),
    ] {
        for end in [0, 1, 100, bytes.len() / 2, bytes.len() - 1, bytes.len()] {
            let plan = plan();
            let mut reader = Broken(&bytes[..end]);
            let input = Input::new(&mut reader, Arc::clone(&plan.halt));
            let failure = tree(input, format, &Target::new().root(), &plan).unwrap_err();
            assert_eq!(failure.kind(), Kind::Unavailable, "{end}");
            assert_eq!(failure.to_string(), "connection reset");
            assert_eq!(failure.mend(), Some("try again"));
        }
    }
    let plan = plan();
    let mut reader = Broken(b"");
    let mut input = Input::new(&mut reader, plan.halt);
    assert_eq!(input.recognise().unwrap_err().kind(), Kind::Unavailable);
}

#[test]
fn a_writer_that_fails_says_why() {
    struct Full(Option<Failure>);
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(match self.0.take() {
                Some(failure) => carry(failure),
                None => std::io::Error::from_raw_os_error(28),
            })
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let bytes = gz(b"content");
    let unpack = |mut out: Full| {
        let plan = plan();
        let mut reader = bytes.as_slice();
        let input = Input::new(&mut reader, Arc::clone(&plan.halt));
        single(input, Format::Gz, &mut out, &plan).unwrap_err()
    };
    assert_eq!(unpack(Full(None)).kind(), Kind::Local);
    let own = Failure::new(Kind::Denied, "no");
    assert_eq!(unpack(Full(Some(own))).kind(), Kind::Denied);
}

#[test]
fn it_stops_between_two_blocks_when_told() {
    let bytes = Tar::new().file("a", &vec![b'x'; 8 << 20]).end();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let halt: Halt = Arc::new(move || match counter.fetch_add(1, Ordering::Relaxed) {
        0..5 => Ok(()),
        _ => Err(Failure::new(Kind::Unavailable, "the deadline came")),
    });
    let plan = Plan { halt, ..plan() };
    let target = Target::new();
    let failure = target.unpack(&bytes, &plan).unwrap_err();
    assert_eq!(failure.to_string(), "the deadline came");
    assert_eq!(asked.load(Ordering::Relaxed), 6);
}

#[test]
fn an_owner_that_may_not_be_set_is_named_with_the_mend() {
    if nix::unistd::Uid::effective().is_root() {
        let target = Target::new();
        let bytes = Tar::new()
            .folder("d/")
            .file("d/f", b"x")
            .link("l", "d")
            .end();
        let plan = Plan {
            owner: Some((1234, 4321)),
            ..plan()
        };
        target.unpack(&bytes, &plan).unwrap();
        for path in ["d", "d/f", "l"] {
            let stat = std::fs::symlink_metadata(target.path(path)).unwrap();
            assert_eq!((stat.uid(), stat.gid()), (1234, 4321), "{path}");
        }
        let root = std::fs::metadata(target.path("")).unwrap();
        assert_ne!(root.uid(), 1234);
    } else {
        let plan = Plan {
            owner: Some((0, 0)),
            ..plan()
        };
        let bytes = Tar::new().file("f", b"x").end();
        let failure = Target::new().unpack(&bytes, &plan).unwrap_err();
        assert_eq!(failure.kind(), Kind::Denied);
    }
}
