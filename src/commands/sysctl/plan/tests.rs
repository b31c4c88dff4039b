use super::*;
use crate::commands::sysctl::merge::merge;
use crate::commands::sysctl::setting::{Setting, Source};

const DEFAULT: Rules = Rules {
    never_lower: false,
    compare_only: false,
};
const NEVER_LOWER: Rules = Rules {
    never_lower: true,
    ..DEFAULT
};

/// The decision about node-wide settings, in short.
fn decided(texts: &[&str], present: &str, rules: Rules) -> String {
    let settings: Vec<(Source, Setting)> = texts
        .iter()
        .map(|text| (Source::Argument, text.parse().unwrap()))
        .collect();
    let entries = merge(&settings, &[], &[]).unwrap();
    let reading = match present {
        "write-only" => Reading::WriteOnly,
        "unset" => Reading::Unset,
        value => Reading::Value(Secret::new(format!("{value}\n"))),
    };
    let text = |text: Secret| String::from_utf8_lossy(text.expose()).into_owned();
    match decide(&entries[0].key, &entries[0].wanted, &reading, true, rules) {
        Decision::Already => "already".to_string(),
        Decision::Kept => "kept".to_string(),
        Decision::Write { text: new, lowers } => {
            format!(
                "write {}{}",
                text(new),
                if lowers { " (lowers)" } else { "" }
            )
        }
        Decision::Send(new) => format!("send {}", text(new)),
        Decision::Refused { reason, .. } => format!("refused: {reason}"),
    }
}

#[test]
fn equal_sets_exactly_and_says_when_it_lowers() {
    for (setting, present, decision) in [
        ("vm.x=7", "7", "already"),
        ("vm.x=7", "6", "write 7"),
        ("vm.x=7", "8", "write 7 (lowers)"),
        ("vm.x=7 8", "6 9", "write 7 8 (lowers)"),
        ("vm.x=7 8", "7", "refused: takes 1 number, 2 given"),
        ("vm.x=", "7", "refused: takes 1 number, 0 given"),
        ("vm.x=abc", "7", "write abc"),
        ("vm.x=7", "unset", "write 7"),
        ("vm.x=7", "write-only", "send 7"),
        ("vm.drop_caches=3", "3", "send 3"),
        ("kernel.hostname=5", "8", "write 5"),
    ] {
        assert_eq!(
            decided(&[setting], present, DEFAULT),
            decision,
            "{setting} from {present}"
        );
    }
}

#[test]
fn never_lower_keeps_each_field_that_would_go_down() {
    assert_eq!(decided(&["vm.x=7"], "8", NEVER_LOWER), "kept");
    assert_eq!(decided(&["vm.x=7 8"], "6 9", NEVER_LOWER), "write 7 9");
    assert_eq!(decided(&["vm.x=7"], "6", NEVER_LOWER), "write 7");
}

#[test]
fn bounds_move_only_what_is_outside() {
    for (settings, present, decision) in [
        (&["vm.x>=5"][..], "4", "write 5"),
        (&["vm.x>=5"], "5", "already"),
        (&["vm.x>=5"], "6", "kept"),
        (&["vm.x<=5"], "6", "write 5"),
        (&["vm.x>=5", "vm.x<=8"], "9", "write 8"),
        (&["vm.x>=5", "vm.x<=8"], "6", "kept"),
        (
            &["vm.x>=4096 131072 16777216"],
            "8192 131072 6291456",
            "write 8192 131072 16777216",
        ),
        (&["vm.x>=1"], "1 2", "refused: takes 2 numbers, 1 given"),
        (
            &["vm.x>=1"],
            "-1",
            "refused: -1 is negative, which often means no limit",
        ),
        (&["vm.x>=1"], "", "refused: empty, so no bound can be kept"),
        (&["vm.x>=1"], "abc", "refused: abc is not a number"),
        (&["kernel.hostname>=5"], "8", "refused: 8 is not a number"),
        (
            &["net.ipv4.ip_local_reserved_ports>=5"],
            "80",
            "refused: 80 is not a number",
        ),
        (
            &["vm.x>=1"],
            "unset",
            "refused: unset, so no bound can be kept",
        ),
        (
            &["vm.x>=1"],
            "write-only",
            "refused: write-only, so no bound can be kept",
        ),
        (&["vm.x>=1"], "18446744073709551615", "kept"),
    ] {
        assert_eq!(
            decided(settings, present, DEFAULT),
            decision,
            "{settings:?} from {present}"
        );
    }
}

#[test]
fn comparing_alone_sends_nothing() {
    let compare = Rules {
        compare_only: true,
        ..DEFAULT
    };
    assert_eq!(decided(&["vm.drop_caches=3"], "3", compare), "already");
    assert_eq!(
        decided(&["vm.x=7"], "write-only", compare),
        "refused: write-only: its value cannot be checked"
    );
}

#[test]
fn a_choice_takes_only_what_it_offers() {
    let decided = |word: &str| {
        let key = Key::parse_sys("transparent_hugepage/enabled").unwrap();
        let reading = Reading::Value(Secret::new("always [madvise] never\n"));
        let wanted = Wanted::Exactly(Secret::new(word));
        match decide(&key, &wanted, &reading, true, DEFAULT) {
            Decision::Refused { reason, hint } => format!("{reason}, {hint}"),
            decision => format!("{decision:?}"),
        }
    };
    assert_eq!(
        decided("bogus"),
        "bogus is none of its choices, madvise is unchanged, one of always, madvise, never"
    );
    assert_eq!(
        decided("Never"),
        "Never is none of its choices, madvise is unchanged, one of always, madvise, never"
    );
    assert_eq!(decided("madvise"), "Already");
    assert!(decided("never").starts_with("Write"));
}
