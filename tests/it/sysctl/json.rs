//! `--output json`: whole documents, one a run, printed also when the run fails.

use serde_json::{Value, json};

use super::{S, sysctl, within};
use crate::support::Pod;

/// The one document of a run, with its free text (messages, hints) replaced by whether it is
/// there, so that the rest can be compared whole.
#[track_caller]
fn document(pod: &Pod, args: &[&'static str]) -> (i32, Value) {
    let out = sysctl(args).args(["--output", "json"]).inside(pod).run();
    let mut document = out.json();
    for setting in document["settings"]
        .as_array_mut()
        .expect("an array of settings")
    {
        if let Some(error) = setting.get_mut("error").and_then(Value::as_object_mut) {
            for (name, text) in error {
                if (name == "message" || name == "hint") && text.is_string() {
                    assert_ne!(text, "", "an empty {name} in {out:?}");
                    *text = json!("some text");
                }
            }
        }
    }
    (out.code, document)
}

/// What every entry about `net.core.somaxconn` has in common.
fn somaxconn(wanted: &str, before: &str, after: &str, action: &str) -> Value {
    json!({
        "key": "net.core.somaxconn", "path": "/proc/sys/net/core/somaxconn",
        "wanted": wanted, "before": before, "after": after, "action": action,
        "scope": "network", "safe": false, "optional": false, "source": "argument",
    })
}

#[test]
fn the_document_of_a_change() {
    let pod = Pod::new();
    let (code, found) = document(&pod, &["net.core.somaxconn=7"]);
    assert_eq!(code, 0);
    assert_eq!(
        found,
        json!({"changed": true, "settings": [somaxconn("= 7", "4096", "7", "set")]})
    );
    let (code, found) = document(&pod, &["net.core.somaxconn=7"]);
    assert_eq!(code, 0);
    assert_eq!(
        found,
        json!({"changed": false, "settings": [somaxconn("= 7", "7", "7", "already")]})
    );
    let (code, found) = document(&pod, &["net.core.somaxconn>=2", "net.core.somaxconn<=9"]);
    assert_eq!(code, 0);
    assert_eq!(
        found,
        json!({"changed": false, "settings": [somaxconn(">= 2, <= 9", "7", "7", "kept")]})
    );
}

#[test]
fn the_document_of_a_check_and_of_a_dry_run() {
    let pod = Pod::new();
    let (code, found) = document(&pod, &["--check", "net.core.somaxconn>=5000"]);
    assert_eq!(code, 1);
    // Nothing was changed, so the value after is the value before.
    let unmet = somaxconn(">= 5000", "4096", "4096", "unmet");
    assert_eq!(found, json!({"changed": false, "settings": [unmet]}));

    let (code, found) = document(&pod, &["--dry-run", "net.core.somaxconn=7"]);
    assert_eq!(code, 0);
    let would = somaxconn("= 7", "4096", "4096", "would-set");
    assert_eq!(found, json!({"changed": false, "settings": [would]}));
    assert_eq!(pod.read(S), "4096");
}

#[test]
fn case_81_the_document_of_a_failure() {
    let pod = Pod::new();
    let (code, found) = document(
        &pod,
        &["net.core.somaxconn=abc", "kernel.shm_rmid_forced=1"],
    );
    assert_eq!(code, 74);
    let mut failed = somaxconn("= abc", "4096", "4096", "failed");
    let error = found["settings"][0]["error"].clone();
    assert_eq!(error["kind"], "local", "{found}");
    assert_eq!(error["code"], 74, "{found}");
    assert_eq!(error["message"], "some text", "{found}");
    assert!(
        error.as_object().expect("an object").contains_key("hint"),
        "{found}"
    );
    failed["error"] = error;
    let set = json!({
        "key": "kernel.shm_rmid_forced", "path": "/proc/sys/kernel/shm_rmid_forced",
        "wanted": "= 1", "before": "0", "after": "1", "action": "set",
        "scope": "ipc", "safe": true, "optional": false, "source": "argument",
    });
    assert_eq!(found, json!({"changed": true, "settings": [failed, set]}));
}

#[test]
fn the_document_of_what_was_skipped() {
    let pod = Pod::new();
    let (code, found) = document(&pod, &["-net.bogus.key=1", "net.core.somaxconn=7"]);
    assert_eq!(code, 0);
    let error = found["settings"][0]["error"].clone();
    assert_eq!(error["kind"], "missing", "{found}");
    assert_eq!(error["code"], 66, "{found}");
    assert_eq!(error["message"], "some text", "{found}");
    let skipped = json!({
        "key": "net.bogus.key", "path": "/proc/sys/net/bogus/key",
        "wanted": "= 1", "before": null, "after": null, "action": "skipped",
        "scope": "network", "safe": false, "optional": true, "source": "argument",
        "error": error,
    });
    let set = somaxconn("= 7", "4096", "7", "set");
    assert_eq!(found, json!({"changed": true, "settings": [skipped, set]}));
}

#[test]
fn the_document_names_where_each_setting_came_from() {
    let pod = Pod::new();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("a.conf");
    std::fs::write(&file, "# one\n\nkernel.shm_rmid_forced=0\n").expect("a file");
    let file = file.to_str().expect("UTF-8");
    let out = sysctl(["--load", file, "net.core.somaxconn=7", "--output", "json"])
        .args([
            "--min",
            "net.ipv4.tcp_fin_timeout=1",
            "--max",
            "net.ipv4.tcp_keepalive_time=9000",
        ])
        .args(["--sys", "-transparent_hugepage/enabled=no-such-choice"])
        .inside(&pod)
        .run();
    out.succeeds();
    let found = out.json();
    let settings = found["settings"].as_array().expect("an array");
    let sources: Vec<_> = settings.iter().map(|one| one["source"].clone()).collect();
    let line = format!("{file}:3");
    assert_eq!(
        sources,
        [&line, "argument", "--min", "--max", "--sys"].map(|text| json!(text))
    );
    assert_eq!(settings[4]["key"], "transparent_hugepage/enabled");
    assert_eq!(
        settings[4]["path"],
        "/sys/kernel/mm/transparent_hugepage/enabled"
    );
    assert_eq!(settings[4]["scope"], "node");
    assert_eq!(settings[4]["optional"], true);
    assert_eq!(settings[4]["action"], "skipped");
}

#[test]
fn the_document_of_what_cannot_be_read_back() {
    let pod = Pod::new();
    let mut sent = json!({
        "key": "net.ipv4.route.flush", "path": "/proc/sys/net/ipv4/route/flush",
        "wanted": "= 1", "before": null, "after": null, "action": "sent",
        "scope": "network", "safe": false, "optional": false, "source": "argument",
    });
    let (code, found) = document(&pod, &["net.ipv4.route.flush=1"]);
    assert_eq!(code, 0);
    assert_eq!(found, json!({"changed": true, "settings": [sent]}));
    let (code, found) = document(&pod, &["--dry-run", "net.ipv4.route.flush=1"]);
    assert_eq!(code, 0);
    sent["action"] = json!("would-send");
    assert_eq!(found, json!({"changed": false, "settings": [sent]}));
}

#[test]
fn a_usage_error_prints_no_document() {
    let pod = Pod::new();
    within(&pod, ["--output", "json", "net.core.somaxconn"]).fails(64);
}

#[test]
fn the_line_and_the_document_tell_the_same_failure() {
    let pod = Pod::new();
    let out = within(&pod, ["--output", "json", "vm.max_map_cuont>=1"]);
    out.fails(66);
    let found = out.json();
    let error = &found["settings"][0]["error"];
    assert_eq!(
        error["message"].as_str(),
        Some(out.message().trim_end_matches('.')),
        "{out:?}"
    );
    assert_eq!(error["hint"].as_str(), Some(out.hint()), "{out:?}");
}
