use super::*;

fn parsed(text: &str) -> String {
    let setting: Setting = text.parse().unwrap_or_else(|bad| panic!("{text}: {bad}"));
    let ask = match &setting.ask {
        Ask::Exactly(value) => format!("= {}", String::from_utf8_lossy(value.expose())),
        Ask::AtLeast(numbers) => format!(">= {numbers:?}"),
        Ask::AtMost(numbers) => format!("<= {numbers:?}"),
    };
    let dash = if setting.optional { "-" } else { "" };
    format!("{dash}{} {ask}", setting.subject.key())
}

fn refused<T: FromStr<Err = BadArgument>>(text: &str) -> BadArgument {
    text.parse::<T>()
        .err()
        .unwrap_or_else(|| panic!("{text:?} was accepted"))
}

#[test]
fn the_first_operator_splits() {
    assert_eq!(parsed("a.b=1"), "a.b = 1");
    assert_eq!(parsed(" - a.b = x = y "), "-a.b = x = y");
    assert_eq!(parsed("a.b=x>=1"), "a.b = x>=1");
    assert_eq!(parsed("a.b >= 1  2\t3"), "a.b >= [1, 2, 3]");
    assert_eq!(parsed("a.b<=0"), "a.b <= [0]");
    assert_eq!(
        parsed("a.b>=18446744073709551615"),
        "a.b >= [18446744073709551615]"
    );
    assert_eq!(parsed("a.b="), "a.b = ");
    assert_eq!(
        parsed("net.ipv4.conf.*.rp_filter=1"),
        "net.ipv4.conf.*.rp_filter = 1"
    );
}

#[test]
fn what_is_misspelt_is_refused_with_the_right_spelling() {
    for text in [
        "a.b",
        "",
        "-",
        "=5",
        "a.b>5",
        "a.b<5",
        "a.b=>5",
        "a.b==5",
        "a.b= =5",
        "a.b>==5",
        "a.b=1\n2",
        "a.b=\u{0}",
        "a.b>=",
        "a.b>=1k",
        "a.b>=-1",
        "a.b>=+1",
        "a.b>=010",
        "a.b>=0x10",
        "a.b>=18446744073709551616",
        "a.b>=1,2",
    ] {
        refused::<Setting>(text);
    }
    assert!(refused::<Setting>("a.b").hint.contains("--min a.b="));
    assert!(refused::<Setting>("a.b").hint.contains("quote"));
    assert!(refused::<Setting>("a.b>1024").hint.contains("a.b>=1024"));
    assert!(refused::<Setting>("a.b=>5").hint.contains("a.b>=5"));
    assert!(refused::<Setting>("a.b=<5").hint.contains("a.b<=5"));
    assert!(refused::<Setting>("a.b<5").hint.contains("a.b<=5"));
}

#[test]
fn a_refusal_never_repeats_a_value_that_could_be_secret() {
    for text in [
        "net.ipv4.tcp_fastopen_key==hunter2",
        "net.ipv4.tcp_fastopen_key>hunter2",
    ] {
        let bad = refused::<Setting>(text);
        assert!(!format!("{bad} {}", bad.hint).contains("hunter2"), "{bad}");
    }
}

#[test]
fn flags_say_the_operator_themselves() {
    let Minimum(setting) = "-a.b=1 2".parse().unwrap();
    assert!(
        setting.optional && matches!(&setting.ask, Ask::AtLeast(numbers) if *numbers == [1, 2])
    );
    let Maximum(setting) = "a.b=7".parse().unwrap();
    assert!(!setting.optional && matches!(&setting.ask, Ask::AtMost(numbers) if *numbers == [7]));
    assert_eq!(refused::<Minimum>("a.b>=5").hint, "write --min a.b=5");
    assert!(refused::<Minimum>("a.b=1k").reason.contains("--min a.b"));
    let SysSetting(setting) = "ksm/run=1".parse().unwrap();
    assert_eq!(setting.subject.key().to_string(), "ksm/run");
    assert!(
        refused::<SysSetting>("ksm/run>=1")
            .reason
            .contains("= only")
    );
}

#[test]
fn lines_are_settings_exclusions_or_nothing() {
    for nothing in ["", "  ", "# a", "\t; b=1"] {
        assert!(parse_line(nothing).unwrap().is_none(), "{nothing:?}");
    }
    assert!(matches!(
        parse_line("a.b = 1").unwrap(),
        Some(Line::Setting(_))
    ));
    assert!(matches!(
        parse_line("-a.b").unwrap(),
        Some(Line::Exclusion(_))
    ));
    assert!(
        matches!(parse_line("-a.b=1").unwrap(), Some(Line::Setting(setting)) if setting.optional)
    );
    assert!(matches!(
        parse_line("a.b=x#y").unwrap(),
        Some(Line::Setting(_))
    ));
    for bad in [
        "-a.b # note",
        "a.b = 1 # note",
        "a.b=1\t;x",
        "garbage",
        "this is garbage",
    ] {
        assert!(parse_line(bad).is_err(), "{bad}");
    }
}

#[test]
fn values_are_shown_on_one_line_or_not_at_all() {
    let key = |text| Key::parse(text).unwrap();
    assert_eq!(shown(&key("a.b"), ""), "(empty)");
    assert_eq!(shown(&key("a.b"), "x\u{1b}y"), "x\\u{1b}y");
    assert_eq!(shown(&key("a.b"), &"x".repeat(300)).len(), 200);
    assert_eq!(
        shown(&key("net.ipv6.conf.lo.stable_secret"), "::1"),
        "(hidden)"
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
    #[test]
    fn no_text_makes_the_parsers_panic(text in "[-a-c./*\\[=<># ;0-9\u{0}\n]{0,24}|\\PC{0,16}") {
        let _ = (text.parse::<Setting>(), text.parse::<Minimum>(), text.parse::<SysSetting>(), parse_line(&text));
    }
}
