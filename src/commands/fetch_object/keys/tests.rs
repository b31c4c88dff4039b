use super::*;
use crate::commands::fetch_object::source::Validator;

fn listed(keys: &[(&str, u64)]) -> Vec<Listed> {
    keys.iter()
        .map(|(key, size)| Listed {
            key: (*key).to_string(),
            size: *size,
            validator: Validator::default(),
            checksums: Vec::new(),
        })
        .collect()
}

fn selected(keys: &[(&str, u64)]) -> Selection {
    select("p/", listed(keys), &Filter::default())
}

fn paths(selection: &Selection) -> Vec<&str> {
    selection.files.keys().map(String::as_str).collect()
}

#[test]
fn keys_become_paths_byte_for_byte() {
    let odd = [
        "p/a b+%41é漢\u{1f600}*?[",
        "p/.hidden",
        "p/-rf",
        "p/new\nline",
        "p/a\\..\\b",
        "p/x/.podinit",
        "p/__init__.py",
    ];
    let keys: Vec<(&str, u64)> = odd.iter().map(|key| (*key, 0)).collect();
    let selection = selected(&keys);
    assert!(selection.unsafe_keys.is_empty(), "{selection:?}");
    assert_eq!(selection.files.len(), odd.len());
    for key in odd {
        assert_eq!(selection.files[&key[2..]].key, key);
    }
}

#[test]
fn what_would_lead_elsewhere_is_unsafe() {
    let long = format!("p/{}", "x".repeat(256));
    for key in [
        "p/../e",
        "p/s/../../e",
        "p/./d",
        "p//x",
        "q/y",
        "p/.podinit/x",
        "p/.podinit",
        "p/a\0b",
        "p/a/..",
        "p",
        &long,
    ] {
        let selection = selected(&[("p/ok", 1), (key, 1)]);
        assert_eq!(paths(&selection), ["ok"], "{key:?}");
        assert_eq!(selection.unsafe_keys[0].0, key);
        assert_eq!(selection.refuse_unsafe().unwrap_err().kind(), Kind::Corrupt);
    }
    // In the whole bucket, too.
    let all = select("", listed(&[("/abs", 1), ("ok", 1)]), &Filter::default());
    assert_eq!(paths(&all), ["ok"]);
}

#[test]
fn a_slash_at_the_end_is_a_directory_only_without_bytes() {
    let selection = selected(&[("p/", 0), ("p/dir/", 0), ("p/e/f/", 0), ("p/bad/", 5)]);
    assert_eq!(selection.folders, ["dir", "e/f"]);
    assert_eq!(selection.unsafe_keys[0].0, "p/bad/");
    assert!(selection.files.is_empty());
    // The prefix itself with bytes would be a file without a name.
    assert_eq!(selected(&[("p/", 5)]).unsafe_keys.len(), 1);
    assert!(selected(&[("p/", 0)]).is_empty());
}

#[test]
fn the_file_in_the_way_of_a_directory_is_the_unsafe_one() {
    for others in [
        [("p/a", 1), ("p/a/b", 1)],
        [("p/a", 1), ("p/a/b/", 0)],
        [("p/a", 0), ("p/a/", 0)],
    ] {
        let selection = selected(&others);
        assert_eq!(selection.unsafe_keys.len(), 1, "{others:?}");
        assert_eq!(selection.unsafe_keys[0].0, "p/a");
        let told = selection.told_unsafe().unwrap();
        assert!(told.contains(&format!("`{}`", others[1].0)), "{told}");
    }
    // A name that only begins the same, and sorts between, is no clash.
    let selection = selected(&[("p/a", 1), ("p/a-b", 1), ("p/a.c", 1), ("p/ab/c", 1)]);
    assert!(selection.unsafe_keys.is_empty());
    let selection = selected(&[("p/a", 1), ("p/a-b", 1), ("p/a/c", 1)]);
    assert_eq!(paths(&selection), ["a-b", "a/c"]);
}

#[test]
fn filters_come_before_safety() {
    let filter = Filter {
        include: Vec::new(),
        exclude: vec![crate::commands::fetch_object::globs::Glob::new("*..*").unwrap()],
    };
    let selection = select("p/", listed(&[("p/../e", 1), ("p/ok", 2)]), &filter);
    assert!(selection.unsafe_keys.is_empty());
    assert_eq!((selection.filtered, selection.bytes()), (1, 2));
}

#[test]
fn a_failure_names_five_and_counts_the_rest() {
    let keys: Vec<String> = (0..7).map(|number| format!("p/../{number}")).collect();
    let keys: Vec<(&str, u64)> = keys.iter().map(|key| (key.as_str(), 1)).collect();
    let told = selected(&keys).told_unsafe().unwrap();
    assert!(told.starts_with("7 unsafe keys: `p/../0`"), "{told}");
    assert!(told.ends_with("; and 2 more"), "{told}");
}
