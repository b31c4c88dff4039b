//! Archives that lie, climb or end early.

use super::super::samples::{Head, Tar, gz, pax_records, zst};
use super::*;

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../e",
        "/abs",
        "a/../../e",
        "a/..",
        "a//b",
        "././a",
        ".podinit/record.json",
        "..",
    ] {
        let said = refusal(&Tar::new().file(name, b"x").end());
        assert!(said.starts_with(&format!("entry `{name}`: ")), "{said}");
        refusal(&Tar::new().folder(name).end());
        refusal(&Tar::new().link(name, "x").end());
        refusal(&Tar::new().file("f", b"x").hard_link(name, "f").end());
        refusal(
            &Tar::new()
                .pax(&[("path", name.as_bytes())])
                .file("f", b"x")
                .end(),
        );
    }
    refusal(&Tar::new().pax(&[("path", b"a\0b")]).file("f", b"x").end());
    refusal(
        &Tar::new()
            .file(&format!("a/{}", "n".repeat(98)), b"x")
            .cut(),
    );
    let long = "n".repeat(256);
    refusal(
        &Tar::new()
            .pax(&[("path", long.as_bytes())])
            .file("f", b"x")
            .end(),
    );
    let deep = vec!["d"; 2100].join("/");
    let said = refusal(
        &Tar::new()
            .pax(&[("path", deep.as_bytes())])
            .file("f", b"x")
            .end(),
    );
    assert!(said.ends_with("is longer than 4095 bytes"), "{said}");
}

#[test]
fn a_name_is_shown_in_one_line() {
    let said = refusal(&Tar::new().file("../a\nb\x1b[2J", b"x").end());
    assert_eq!(said, "entry `../a\\nb\\u{1b}[2J`: has a segment `..`");
}

#[test]
fn links_that_lead_elsewhere_are_refused() {
    for (name, target) in [
        ("l", "/etc"),
        ("l", ".."),
        ("l", "../x"),
        ("d/l", "../../x"),
        ("d/l", "a/../../x"),
        ("d/l", "./../x"),
        ("l", ""),
    ] {
        let said = refusal(&Tar::new().link(name, target).end());
        let start = format!("entry `{name}`: its target `{target}` ");
        assert!(said.starts_with(&start), "{said}");
    }
    // What is left of the name counts, not what was dropped.
    let strip = Plan { strip: 1, ..plan() };
    let bytes = Tar::new().link("a/l", "../x").end();
    Target::new().refusal(&bytes, &strip);
    for target in [
        "/etc/passwd",
        "../x",
        "missing",
        "d",
        "l",
        "./",
        "a/../f",
        "",
    ] {
        let bytes = Tar::new()
            .folder("d/")
            .file("f", b"x")
            .link("l", "f")
            .hard_link("h", target)
            .end();
        refusal(&bytes);
    }
    // A hard link to a later file is one to nothing.
    refusal(&Tar::new().hard_link("h", "f").file("f", b"x").end());
    // A link moved to another depth would point elsewhere.
    refusal(
        &Tar::new()
            .link("d/e/l", "../../x")
            .hard_link("l", "d/e/l")
            .end(),
    );
}

#[test]
fn nothing_is_written_through_a_link_or_a_file() {
    for (first, name) in [
        (Tar::new().folder("d/").link("l", "d"), "l/x"),
        (Tar::new().link("l", "missing"), "l/x"),
        (Tar::new().folder("a/d/").link("a/l", "d"), "a/l/x/y"),
        (Tar::new().file("l", b"x"), "l/x"),
    ] {
        for second in [
            first.clone().file(name, b"x"),
            first.clone().folder(name),
            first.clone().link(name, "y"),
            first.clone().file("f", b"x").hard_link(name, "f"),
        ] {
            let said = refusal(&second.end());
            assert!(said.ends_with("nothing is written through it"), "{said}");
        }
    }
    // Neither is a file found through one, nor a mode set.
    refusal(
        &Tar::new()
            .file("d/f", b"x")
            .link("l", "d")
            .hard_link("h", "l/f")
            .end(),
    );
    let bytes = Tar::new()
        .entry(Head::new(b'5', b"d").mode(0o755), b"")
        .entry(Head::new(b'5', b"x").mode(0o700), b"")
        .link("x", "d")
        .end();
    let target = Target::new();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!(target.mode("d"), 0o755);
    assert_eq!(
        std::fs::read_link(target.path("x")).unwrap(),
        Path::new("d")
    );
}

#[test]
fn a_full_folder_is_not_replaced() {
    let first = Tar::new().file("d/f", b"x");
    for second in [
        first.clone().file("d", b"x"),
        first.clone().link("d", "x"),
        first.clone().file("g", b"x").hard_link("d", "g"),
    ] {
        let said = refusal(&second.end());
        assert_eq!(
            said,
            "entry `d`: a directory of this name has entries already"
        );
    }
}

#[test]
fn what_is_no_file_folder_or_link_is_refused() {
    for kind in [b'3', b'4', b'6', b'S', b'D', b'V', b'M', b'X', b'z', 0xff] {
        let said = refusal(&Tar::new().entry(Head::new(kind, b"odd"), b"").end());
        assert!(said.starts_with("entry `odd`: is "), "{said}");
    }
    for records in [
        [("GNU.sparse.major", b"1".as_slice())],
        [("GNU.sparse.size", b"9")],
        [("SCHILY.realsize", b"9")],
    ] {
        let said = refusal(&Tar::new().pax(&records).file("s", b"x").end());
        assert!(said.contains("is a sparse file"), "{said}");
    }
    for kind in [b'1', b'2', b'5'] {
        let bytes = Tar::new()
            .file("f", b"x")
            .entry(Head::new(kind, b"l").target(b"f"), b"content")
            .end();
        refusal(&bytes);
    }
}

#[test]
fn a_length_that_contradicts_the_header_is_refused() {
    for size in [b"0".as_slice(), b"1024", b"511", b"8589934591"] {
        let said = refusal(
            &Tar::new()
                .pax(&[("size", size)])
                .file("f", &[b'x'; 512])
                .end(),
        );
        assert_eq!(
            said,
            "entry `f`: its extended header contradicts its length"
        );
    }
    // Said where the header says nothing, or the same.
    let target = Target::new();
    let bytes = Tar::new()
        .pax(&[("size", b"3")])
        .raw(Head::new(b'0', b"a"), b"abc")
        .pax(&[("size", b"3")])
        .file("b", b"abc")
        .end();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!([target.read("a"), target.read("b")].concat(), b"abcabc");
    // In binary, every length can be said by the header itself.
    let binary = Head::new(b'0', b"f").with(124, b"\x80\0\0\0\0\0\0\0\0\0\0\x03");
    let bytes = Tar::new()
        .pax(&[("size", b"8589934592")])
        .raw(binary.clone(), b"abc")
        .end();
    refusal(&bytes);
    Target::new()
        .unpack(&Tar::new().raw(binary, b"abc").end(), &plan())
        .unwrap();
    let huge = Head::new(b'0', b"f").with(124, b"\x80\0\0\x01\0\0\0\0\0\0\0\0");
    refusal(&Tar::new().raw(huge, b"abc").end());
    // Above 8 GiB the extended header counts.
    let cut = Tar::new()
        .pax(&[("size", b"8589934592")])
        .file("f", b"abc")
        .end();
    assert_eq!(refusal(&cut), "entry `f`: the archive is cut short");
}

#[test]
fn an_extended_header_never_measures_another_one() {
    // A reader that applied the size to the long name would see `hidden` instead of `seen`.
    let inner = Tar::new().file("hidden", b"x").cut();
    let bytes = Tar::new()
        .pax(&[("size", b"1024")])
        .entry(Head::new(b'L', b"././@LongLink"), b"seen\0")
        .file("short", &inner)
        .end();
    let target = Target::new();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!(target.paths(), ["seen"]);
    assert_eq!(target.read("seen"), inner);
}

#[test]
fn extended_headers_change_one_member_and_agree() {
    let bytes = Tar::new()
        .pax(&[("path", b"long")])
        .file("a", b"1")
        .file("b", b"2")
        .end();
    let target = Target::new();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!(target.paths(), ["b", "long"]);
    let long = |name: &[u8]| Tar::new().entry(Head::new(b'L', b"L"), name);
    refusal(
        &long(b"a\0")
            .entry(Head::new(b'L', b"L"), b"a\0")
            .file("f", b"")
            .end(),
    );
    refusal(
        &Tar::new()
            .pax(&[("path", b"a")])
            .pax(&[("path", b"a")])
            .file("f", b"")
            .end(),
    );
    refusal(&long(b"a\0").pax(&[("path", b"b")]).file("f", b"").end());
    refusal(&long(b"a\0b\0").file("f", b"").end());
    refusal(&long(b"\0").file("f", b"").end());
    let target = Target::new();
    let bytes = long(b"same\0")
        .pax(&[("path", b"same")])
        .file("f", b"")
        .end();
    target.unpack(&bytes, &plan()).unwrap();
    assert_eq!(target.paths(), ["same"]);
    // One that precedes no member.
    assert_eq!(
        refusal(&Tar::new().file("f", b"").pax(&[("path", b"a")]).end()),
        "it ends with an extended header that belongs to no member"
    );
    // Malformed, too large, cut.
    refusal(
        &Tar::new()
            .entry(Head::new(b'x', b"x"), b"garbage")
            .file("f", b"")
            .end(),
    );
    refusal(
        &Tar::new()
            .raw(Head::new(b'x', b"x").size(2 << 20), b"")
            .file("f", b"")
            .end(),
    );
    refusal(
        &Tar::new()
            .raw(Head::new(b'L', b"x").size(1 << 20), b"")
            .cut(),
    );
    // One for all members may not name or measure one.
    for keyword in ["path", "linkpath", "size", "GNU.sparse.name"] {
        let records = pax_records(&[(keyword, b"1")]);
        refusal(
            &Tar::new()
                .entry(Head::new(b'g', b"g"), &records)
                .file("f", b"1")
                .end(),
        );
    }
}

#[test]
fn every_cut_of_an_archive_is_noticed() {
    let whole = Tar::new()
        .pax(&[("mtime", b"1")])
        .file("a", &[b'x'; 600])
        .folder("d/")
        .end();
    for end in (0..whole.len()).step_by(64) {
        refusal(&whole[..end]);
    }
    let said = refusal(&whole[..whole.len() - 1024]);
    assert_eq!(said, "the archive is cut short: it has no end marker");
    refusal(&whole[..whole.len() - 512]);
    // What is known by its content would be one file in gzip, if it is cut early enough.
    for (packed, format) in [(gz(&whole), Format::TarGz), (zst(&whole), Format::TarZst)] {
        for end in 0..packed.len() {
            let plan = plan();
            let mut reader = &packed[..end];
            let input = Input::new(&mut reader, Arc::clone(&plan.halt));
            let failure = tree(input, format, &Target::new().root(), &plan).unwrap_err();
            assert_eq!(failure.kind(), Kind::Corrupt, "{end}");
        }
    }
}

#[test]
fn after_the_end_there_are_zero_bytes_only() {
    let whole = Tar::new().file("a", b"x").end();
    let zeros = [whole.as_slice(), &[0; 3000]].concat();
    Target::new().unpack(&zeros, &plan()).unwrap();
    let second = Tar::new().file("b", b"x").end();
    for rest in [
        b"x".as_slice(),
        &[&[0_u8; 3000][..], b"x"].concat(),
        &second,
    ] {
        let bytes = [whole.as_slice(), rest].concat();
        refusal(&bytes);
        refusal(&gz(&bytes));
        refusal(&[gz(&whole).as_slice(), rest].concat());
        refusal(&[zst(&whole).as_slice(), rest].concat());
    }
    // A single block of zero bytes ends nothing.
    let mut lone = Tar::new().file("a", b"x").cut();
    lone.extend_from_slice(&[0; 512]);
    lone.extend_from_slice(&second);
    refusal(&lone);
    // What follows in another member or frame belongs to the tar.
    let middle = whole.len() / 2;
    let (one, two) = whole.split_at(middle);
    Target::new()
        .unpack(&[gz(one), gz(two)].concat(), &plan())
        .unwrap();
    Target::new()
        .unpack(&[zst(one), zst(two)].concat(), &plan())
        .unwrap();
}

#[test]
fn damaged_headers_are_refused() {
    let whole = Tar::new().file("a", b"x").file("b", b"y").end();
    let mut flipped = whole.clone();
    flipped[1024] ^= 1;
    assert_eq!(
        refusal(&flipped),
        "the archive is damaged: a header's checksum is wrong"
    );
    for (at, field) in [(100, b"zzz".as_slice()), (124, b"-1"), (136, b"9")] {
        refusal(
            &Tar::new()
                .raw(Head::new(b'0', b"f").with(at, field), b"")
                .end(),
        );
    }
}
