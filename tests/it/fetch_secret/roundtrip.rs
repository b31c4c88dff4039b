//! A thousand random values through each format and back, read by somebody else's parser.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Map, Value};

use super::Scene;
use super::formats::loaded;
use crate::support::pod::command;

/// The server takes no more than a thousand strings in one request.
const SECRETS: usize = 4;
const KEYS: usize = 250;

/// What shells, YAML, Java and terminals find special.
const SPECIAL: &[char] = &[
    '\'', '"', '$', '`', '\\', '\n', '\r', '\t', ' ', '#', '=', ':', '!', ';', '&', '|', '(', ')',
    '<', '>', '*', '?', '[', ']', '{', '}', '~', '%', '-', ',', '@', '\u{1}', '\u{1b}', '\u{7f}',
    '\u{85}', '\u{a0}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{fffe}', '\u{ffff}', 'é', 'ß', '中',
    '🐶', '𝄞', 'a', 'Z', '0', 'n', 'u', 'x',
];

fn random_text(dice: &mut fastrand::Rng, without: &[char]) -> String {
    (0..dice.usize(0..24))
        .map(|_| SPECIAL[dice.usize(0..SPECIAL.len())])
        .filter(|letter| !without.contains(letter))
        .collect()
}

/// Writes the secrets `secret/NAME/0` and so on; tells their values.
fn random_secrets(
    scene: &Scene<'_>,
    name: &str,
    without: &[char],
) -> Vec<BTreeMap<String, String>> {
    let mut dice = fastrand::Rng::with_seed(42);
    (0..SECRETS)
        .map(|turn| {
            let values: BTreeMap<String, String> = (0..KEYS)
                .map(|key| (format!("V_{key:03}"), random_text(&mut dice, without)))
                .collect();
            let object = serde_json::to_string(&values).expect("a JSON text");
            // Short random texts turn up anywhere by chance; no run may show a long one.
            scene.server.put(&format!("secret/{name}/{turn}"), &object);
            for value in values.values().filter(|value| value.chars().count() > 12) {
                scene.hide(value);
            }
            values
        })
        .collect()
}

/// One file for each of those secrets.
fn fetch(scene: &Scene<'_>, name: &str, extension: &str, flags: &[&str]) {
    let secrets: Vec<_> = (0..SECRETS)
        .map(|turn| format!("{turn}.{extension}=secret/{name}/{turn}"))
        .collect();
    scene.fs(flags).args(&secrets).run().succeeds();
}

#[test]
fn a_shell_gets_the_exact_bytes_back() {
    let scene = Scene::new();
    let all = random_secrets(&scene, "shell", &[]);
    fetch(&scene, "shell", "env", &[]);
    for (turn, values) in all.iter().enumerate() {
        let names: Vec<_> = values.keys().map(String::as_str).collect();
        let script =
            ". \"$1\"; shift; for name; do eval \"printf '%s\\\\0' \\\"\\$$name\\\"\"; done";
        let done = command(["sh", "-euc", script, "sh"])
            .arg(scene.dir.at(&format!("{turn}.env")))
            .args(&names)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("PATH is set"))
            .output()
            .expect("sh starts");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{said}");
        let back: Vec<&[u8]> = done.stdout.split(|byte| *byte == 0).collect();
        let wanted: Vec<&[u8]> = values
            .values()
            .map(String::as_bytes)
            .chain([&[][..]])
            .collect();
        assert_eq!(back.len(), wanted.len());
        for ((name, back), wanted) in names.iter().zip(back).zip(wanted) {
            assert_eq!(
                std::ffi::OsStr::from_bytes(back),
                std::ffi::OsStr::from_bytes(wanted),
                "{name}"
            );
        }
    }
}

/// Reads a file as KEP-3721 has it: `NAME='value'` lines, where the value is all between the two
/// quotes, over as many lines as it takes, and nothing follows the second.
fn kep_3721(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').expect("a name before =");
        let mut letters = name.bytes();
        let first = letters.next().expect("a name is not empty");
        assert!(first.is_ascii_alphabetic() || first == b'_', "{name:?}");
        assert!(
            letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_'),
            "{name:?}"
        );
        let quoted = after.strip_prefix('\'').expect("a quote after =");
        let (value, after) = quoted.split_once('\'').expect("a second quote");
        rest = after.strip_prefix('\n').expect("the line ends after it");
        let twice = found.insert(name.to_string(), value.to_string());
        assert_eq!(twice, None, "{name} comes twice");
    }
    found
}

#[test]
fn the_kubelet_gets_the_exact_bytes_back() {
    let scene = Scene::new();
    let all = random_secrets(&scene, "kubelet", &['\'']);
    fetch(&scene, "kubelet", "env", &["--format", "k8s-env"]);
    for (turn, values) in all.iter().enumerate() {
        let text = scene.dir.text(&format!("{turn}.env"));
        assert_eq!(&kep_3721(&text), values);
    }
}

#[test]
fn pyyaml_gets_the_exact_texts_back() {
    let scene = Scene::new();
    let all = random_secrets(&scene, "yaml", &[]);
    fetch(&scene, "yaml", "yaml", &[]);
    for (turn, values) in all.iter().enumerate() {
        let back = loaded(&scene, &format!("{turn}.yaml"));
        assert_eq!(back, serde_json::to_value(values).expect("an object"));
    }
    // Keys as wild as the values, and a value of each kind.
    let mut dice = fastrand::Rng::with_seed(43);
    let mut object: Map<String, Value> = (0..200)
        .map(|key| {
            let name = format!("{}{key}", random_text(&mut dice, &[]));
            (name, Value::from(random_text(&mut dice, &[])))
        })
        .collect();
    object.insert("yes".to_string(), true.into());
    object.insert("1.5".to_string(), 1.5.into());
    object.insert("null".to_string(), Value::Null);
    object.insert("list".to_string(), serde_json::json!([1, {"a: b": "- c"}]));
    let object = Value::Object(object);
    scene.server.post("kv1/yaml", &object.to_string());
    scene.fs(["wild.yaml=kv1/yaml"]).run().succeeds();
    assert_eq!(loaded(&scene, "wild.yaml"), object);
}

/// Reads a file as `java.util.Properties.load` does.
fn java_properties(text: &str) -> BTreeMap<String, String> {
    let is_blank = |letter: char| [' ', '\t', '\u{c}'].contains(&letter);
    let mut found = BTreeMap::new();
    // An escaped line break would join two lines; podinit has no reason to write one.
    for line in text.split(['\n', '\r']) {
        let line = line.trim_start_matches(is_blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut escaped = false;
        let end = line.find(|letter: char| {
            let ends = !escaped && (is_blank(letter) || ['=', ':'].contains(&letter));
            escaped = !escaped && letter == '\\';
            ends
        });
        let (key, rest) = line.split_at(end.unwrap_or(line.len()));
        let rest = rest.trim_start_matches(is_blank);
        let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
        let value = rest.trim_start_matches(is_blank);
        let twice = found.insert(unescaped(key), unescaped(value));
        assert_eq!(twice, None, "{key:?} comes twice");
    }
    found
}

/// Resolves backslashes as Java does, in units of UTF-16.
fn unescaped(text: &str) -> String {
    assert!(text.is_ascii(), "Java reads Latin-1: {text:?}");
    let mut letters = text.chars();
    let mut units: Vec<u16> = Vec::new();
    while let Some(letter) = letters.next() {
        let unit = match letter {
            '\\' => match letters.next().expect("something after a backslash") {
                'u' => {
                    let digits: String = letters.by_ref().take(4).collect();
                    assert_eq!(digits.len(), 4, "{text:?}");
                    u16::from_str_radix(&digits, 16).expect("four hex digits")
                }
                'n' => 10,
                'r' => 13,
                't' => 9,
                'f' => 12,
                other => u16::try_from(u32::from(other)).expect("ASCII"),
            },
            plain => u16::try_from(u32::from(plain)).expect("ASCII"),
        };
        units.push(unit);
    }
    String::from_utf16(&units).expect("whole pairs")
}

#[test]
fn java_gets_the_exact_texts_back() {
    let scene = Scene::new();
    let all = random_secrets(&scene, "java", &[]);
    fetch(&scene, "java", "properties", &[]);
    for (turn, values) in all.iter().enumerate() {
        let text = scene.dir.text(&format!("{turn}.properties"));
        assert_eq!(&java_properties(&text), values);
    }
    let mut dice = fastrand::Rng::with_seed(44);
    let wild: BTreeMap<String, String> = (0..200)
        .map(|key| {
            let name = format!("{}{key}", random_text(&mut dice, &[]));
            (name, random_text(&mut dice, &[]))
        })
        .collect();
    let object = serde_json::to_string(&wild).expect("a JSON text");
    scene.server.put("secret/java/wild", &object);
    scene
        .fs(["wild.properties=secret/java/wild"])
        .run()
        .succeeds();
    assert_eq!(java_properties(&scene.dir.text("wild.properties")), wild);
}
