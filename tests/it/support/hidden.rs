//! What no run may show, and the search for it in all that a run said.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::outcome::Outcome;
use super::proxy::{Proxy, Seen};

/// Shorter texts turn up by chance, in a timestamp or a path.
const SHORTEST: usize = 5;

/// Members of answers that are secret wherever they stand.
const SECRET_MEMBERS: &[&str] = &[
    "client_token",
    "accessor",
    "lease_id",
    "token",
    "secret_id",
    "private_key",
    "key",
    "id",
];

/// Members of requests that are credentials.
const CREDENTIALS: &[&str] = &["jwt", "secret_id", "password", "token"];

/// The secrets of one test.
#[derive(Default)]
pub struct Hidden {
    texts: Mutex<Vec<String>>,
}

impl Hidden {
    /// One more secret.
    pub fn add(&self, text: &str) {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.push(text.to_string());
    }

    /// Every string and every long number in a JSON text.
    pub fn add_json(&self, text: &str) {
        let value: Value = serde_json::from_str(text).expect("a JSON text");
        leaves(&value, &mut |leaf| self.add(leaf));
    }

    /// No run has shown any of it, nor any credential that went over the wire.
    #[track_caller]
    pub fn judge(&self, out: &Outcome, wire: &Proxy) {
        let mut all = self
            .texts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for seen in wire.seen() {
            from_the_wire(&seen, &mut all);
        }
        for text in &all {
            for form in forms(text) {
                out.never_shows(&form);
            }
        }
    }
}

impl Hidden {
    /// No run has shown any of it.
    #[track_caller]
    pub fn judge_run(&self, out: &Outcome) {
        for form in self.forms() {
            out.never_shows(&form);
        }
    }

    /// Every secret so far, in each way that it may be written.
    pub fn forms(&self) -> Vec<String> {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        texts.iter().flat_map(|text| forms(text)).collect()
    }
}

/// The ways a text may be written in a log: as it is, escaped, or one line of it.
fn forms(text: &str) -> Vec<String> {
    let quoted = serde_json::to_string(text).expect("a string");
    let mut forms = vec![
        text.to_string(),
        quoted.trim_matches('"').to_string(),
        format!("{text:?}").trim_matches('"').to_string(),
    ];
    // Every PEM begins and ends alike.
    forms.extend(
        text.lines()
            .filter(|line| !line.starts_with("-----"))
            .map(str::to_string),
    );
    forms.retain(|form| form.trim().len() >= SHORTEST);
    forms.sort();
    forms.dedup();
    forms
}

fn from_the_wire(seen: &Seen, all: &mut Vec<String>) {
    all.extend(seen.request.header("x-vault-token").map(str::to_string));
    let asked = serde_json::from_slice(&seen.request.body).unwrap_or_default();
    members(&asked, CREDENTIALS, all);
    // Which mounts there are is no secret, and their `accessor` names a mount.
    if let Some(answer) = &seen.response
        && !seen.request.target.contains("sys/internal/ui/mounts")
    {
        let answer = serde_json::from_slice(&answer.body).unwrap_or_default();
        members(&answer, SECRET_MEMBERS, all);
    }
}

/// The strings that stand under one of these names, at any depth.
fn members(value: &Value, names: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                match value {
                    Value::String(text) if names.contains(&&**name) => found.push(text.clone()),
                    _ => members(value, names, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| members(value, names, found)),
        _ => {}
    }
}

fn leaves(value: &Value, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Number(number) => each(&number.to_string()),
        Value::Object(object) => object.values().for_each(|value| leaves(value, each)),
        Value::Array(values) => values.iter().for_each(|value| leaves(value, each)),
        Value::Null | Value::Bool(_) => {}
    }
}

#[test]
fn a_secret_is_found_in_each_form() {
    let found = forms("line \"one\"\nno 2");
    for form in [
        "line \"one\"\nno 2",
        r#"line \"one\"\nno 2"#,
        "line \"one\"",
    ] {
        assert!(
            found.iter().any(|known| known == form),
            "{form:?} in {found:?}"
        );
    }
    assert_eq!(forms("1234"), [""; 0]);
    let mut all = Vec::new();
    let answer = r#"{"auth":{"client_token":"s.one"},"data":{"keys":["x"],"key":"otp"}}"#;
    members(
        &serde_json::from_str(answer).expect("JSON"),
        SECRET_MEMBERS,
        &mut all,
    );
    assert_eq!(all, ["s.one", "otp"]);
}
