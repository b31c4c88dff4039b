use super::*;

fn shown(text: &str) -> String {
    let key = Key::parse(text).unwrap_or_else(|bad| panic!("{text}: {bad}"));
    format!("{key} at {}", key.relative())
}

#[test]
fn the_first_separator_decides() {
    for text in [
        "net.core.somaxconn",
        "net/core/somaxconn",
        "/proc/sys/net/core/somaxconn",
    ] {
        assert_eq!(shown(text), "net.core.somaxconn at net/core/somaxconn");
    }
    for text in [
        "net.ipv4.conf.eno2/100.rp_filter",
        "net/ipv4/conf/eno2.100/rp_filter",
    ] {
        assert_eq!(
            shown(text),
            "net.ipv4.conf.eno2/100.rp_filter at net/ipv4/conf/eno2.100/rp_filter"
        );
    }
    assert_eq!(shown("/proc/sys/a.b/c"), "/proc/sys/a.b/c at a.b/c");
}

#[test]
fn what_could_leave_the_root_is_refused() {
    for text in [
        "",
        ".",
        "/",
        "..",
        ".a",
        "a.",
        "a..b",
        "a//b",
        "/etc/x",
        "../../etc/x",
        "a/../b",
        "a/./b",
        "net.//.x",
        "/proc/sys/",
        "/proc/sys/../x",
        "a.b\nc",
        "a.\u{0}b",
    ] {
        assert!(Key::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn sys_keys_are_those_on_the_list() {
    for text in [
        "transparent_hugepage/enabled",
        "kernel/mm/transparent_hugepage/enabled",
        "/sys/kernel/mm/transparent_hugepage/enabled",
    ] {
        let key = Key::parse_sys(text).unwrap();
        assert_eq!(key.to_string(), "transparent_hugepage/enabled");
        assert_eq!(key.relative(), "kernel/mm/transparent_hugepage/enabled");
    }
    assert!(Key::parse_sys("transparent_hugepage/khugepaged/defrag").is_ok());
    assert!(Key::parse_sys("ksm/run").is_ok());
    for text in [
        "block/sda/queue/scheduler",
        "ksm/../x",
        "ksm",
        "ksm/a/b",
        "ksm/",
        "ksm.run",
        "transparent_hugepage/hpage_pmd_size",
        "transparent_hugepage/khugepaged",
        "/sys/kernel/mm/ksm/.",
    ] {
        let bad = Key::parse_sys(text).unwrap_err();
        assert!(bad.hint.contains("transparent_hugepage/{enabled"), "{text}");
    }
}

#[test]
fn rules_cover_parts_prefixes_and_groups() {
    let key = Key::parse("net.core.netdev_max_backlog").unwrap();
    for rule in [
        "net.core.netdev_*",
        "net.*",
        "net.*.netdev_*",
        "*.netdev_max_backlog",
        "*",
    ] {
        assert!(key.fits(rule), "{rule}");
    }
    for rule in [
        "net.core",
        "net.core.netdev",
        "net.core.netdev_*.*",
        "core.*",
        "*.net.*",
    ] {
        assert!(!key.fits(rule), "{rule}");
    }
}

#[test]
fn dots_are_regrouped_along_what_exists() {
    let there = [
        "net",
        "net.ipv4",
        "net.ipv4.conf",
        "net.ipv4.conf.eno2/100",
        "net.ipv4.conf.eno2/100.rp_filter",
    ];
    let asked = std::cell::Cell::new(0);
    let exists = |key: &Key| {
        asked.set(asked.get() + 1);
        there.contains(&key.to_string().as_str())
    };
    let names = ["net", "ipv4", "conf", "eno2", "100", "rp_filter"];
    let found = Key::regrouped(&[], &names, &exists).map(|key| key.to_string());
    assert_eq!(found.as_deref(), Some("net.ipv4.conf.eno2/100.rp_filter"));
    asked.set(0);
    assert_eq!(Key::regrouped(&[], &["a"; 40], &exists), None);
    assert_eq!(asked.get(), 40);
}

#[test]
fn globs_stay_within_one_component() {
    let glob = Subject::parse("net.ipv4.conf.*.rp_filter").unwrap();
    let covers = |text: &str| glob.covers(&Key::parse(text).unwrap());
    assert!(covers("net.ipv4.conf.eno2/100.rp_filter"));
    assert!(!covers("net.ipv4.conf.rp_filter"));
    assert!(!covers("net.ipv4.conf.a.b.rp_filter"));
    assert!(Subject::parse("net.[a.b").is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
    #[test]
    fn no_key_leaves_its_root_and_names_read_back(text in "[a-z./*\\[\\] \u{0}\n-]{0,24}|\\PC{0,12}") {
        for key in [Key::parse(&text), Key::parse_sys(&text)].into_iter().flatten() {
            let relative = key.relative();
            assert!(!relative.starts_with('/') && !relative.ends_with('/'));
            assert!(relative.split('/').all(|part| !matches!(part, "" | "." | "..")));
            let again = match key.tree {
                Tree::ProcSys => Key::parse(&key.to_string()),
                Tree::KernelMm => Key::parse_sys(&key.to_string()),
            };
            assert_eq!(again.unwrap(), key);
        }
    }
}
