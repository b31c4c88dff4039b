//! Templates: minijinja with one function, `secret(PATH)`. What it asks for is collected, fetched by
//! the caller, and the template rendered again. Pure, but for the collection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value};
use zeroize::Zeroizing;

use super::answer::{Content, Fetched};
use super::json::Json;
use super::render::Bytes;
use super::spec::{Ask, SecretSpec, Shape};
use crate::base::failure::{Failure, Kind};

/// Steps of one rendering; a template that needs more has lost its way.
const MAX_STEPS: u64 = 10_000_000;

/// A template that can be compiled.
#[derive(Debug, Clone)]
pub(super) struct Template {
    /// The file it was read from, for messages.
    pub(super) source: String,
    pub(super) text: String,
    /// The file it becomes.
    pub(super) file: String,
}

/// What a value that is not there yet reads as. No path holds a control character.
const PENDING: &str = "\u{1}pending\u{1}";

/// What a rendering came to.
#[derive(Debug)]
pub(super) enum Rendered {
    Whole(Bytes),
    /// These have to be fetched first.
    Wants(BTreeSet<Ask>),
}

#[derive(Default)]
struct Wanted {
    asks: BTreeSet<Ask>,
    /// A path that cannot be read, and why; the first counts.
    bad: Option<(String, String)>,
}

impl Template {
    /// Compiles it, and says which secrets it asks for as far as that can be told beforehand.
    ///
    /// # Errors
    /// `Usage`, with the line.
    pub(super) fn check(&self) -> Result<BTreeSet<Ask>, Failure> {
        Environment::empty()
            .template_from_named_str(&self.source, &self.text)
            .map_err(|error| self.explain(&error, Kind::Usage))?;
        match self.render(&BTreeMap::new()) {
            Ok(Rendered::Wants(asks)) => Ok(asks),
            Err(failure) if failure.kind() == Kind::Usage => Err(failure),
            // It may go well once its secrets are there.
            Ok(Rendered::Whole(_)) | Err(_) => Ok(BTreeSet::new()),
        }
    }

    /// Renders it with the secrets that are there.
    ///
    /// # Errors
    /// `Missing` for what is undefined, `Corrupt` for what fails on a value, `Usage` for a path that
    /// cannot be read: each with file and line, none with a value.
    pub(super) fn render(
        &self,
        fetched: &BTreeMap<Ask, Arc<Fetched>>,
    ) -> Result<Rendered, Failure> {
        let wanted = Arc::new(Mutex::new(Wanted::default()));
        let environment = environment(fetched, &wanted);
        let result = environment
            .template_from_named_str(&self.source, &self.text)
            .and_then(|template| template.render(()));
        let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((path, reason)) = wanted.bad.take() {
            // A path that the template does not spell out is made of values.
            let reason = if self.text.contains(&path) {
                reason
            } else {
                "a PATH made of values cannot be one".to_string()
            };
            return Err(Failure::new(
                Kind::Usage,
                format!("template {}: secret(): {reason}", self.source),
            )
            .hint("write secret(\"PATH\"), or secret(\"PATH?PARAM=VALUE\") for a write"));
        }
        if !wanted.asks.is_empty() {
            return Ok(Rendered::Wants(std::mem::take(&mut wanted.asks)));
        }
        match result {
            Ok(text) => Ok(Rendered::Whole(Zeroizing::new(text.into_bytes()))),
            Err(error) => {
                let kind = match error.kind() {
                    ErrorKind::UndefinedError => Kind::Missing,
                    _ => Kind::Corrupt,
                };
                Err(self.explain(&error, kind))
            }
        }
    }

    /// Only the kind of an error and its place are told: its details may hold a value.
    fn explain(&self, error: &Error, kind: Kind) -> Failure {
        let line = error.line().unwrap_or_default();
        let reason = match kind {
            Kind::Missing => "a value that is not there, or null".to_string(),
            _ => error.kind().to_string(),
        };
        Failure::new(
            kind,
            format!("template {} line {line}: {reason}", self.source),
        )
    }
}

fn environment<'a>(
    fetched: &BTreeMap<Ask, Arc<Fetched>>,
    wanted: &Arc<Mutex<Wanted>>,
) -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // It fails only for delimiters, which stay as they are.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(MAX_STEPS));
    environment.set_formatter(|output, state, value| {
        if value.is_none() {
            return Err(ErrorKind::UndefinedError.into());
        }
        minijinja::escape_formatter(output, state, value)
    });
    environment.add_filter("b64decode", |text: String| -> Result<String, Error> {
        let solid: Vec<u8> = text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        STANDARD
            .decode(solid)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| Error::from(ErrorKind::InvalidOperation))
    });
    // minijinja's own would write `<` as an escape.
    environment.add_filter("tojson", |value: Value| -> Result<String, Error> {
        serde_json::to_string(&value).map_err(|_| ErrorKind::BadSerialization.into())
    });
    let (fetched, wanted) = (fetched.clone(), Arc::clone(wanted));
    environment.add_function("secret", move |path: String| -> Result<Value, Error> {
        if path.contains(PENDING) {
            // The path depends on a secret that is not there yet: the next round will know it.
            return Ok(Value::from_object(Pending));
        }
        let mut wanted = wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = match read_path(&path) {
            Ok(ask) => ask,
            Err(reason) => {
                wanted.bad.get_or_insert((path, reason));
                return Err(ErrorKind::InvalidOperation.into());
            }
        };
        match fetched.get(&ask).map(|fetched| &fetched.content) {
            Some(Content::Object { entries, .. }) => Ok(object(entries)),
            Some(Content::Plain { .. }) => Err(ErrorKind::InvalidOperation.into()),
            None => {
                wanted.asks.insert(ask);
                Ok(Value::from_object(Pending))
            }
        }
    });
    environment
}

/// `PATH[?PARAMS]`, as in a SECRET.
fn read_path(text: &str) -> Result<Ask, String> {
    let spec: SecretSpec = text
        .parse()
        .map_err(|bad: crate::base::argument::BadArgument| bad.reason)?;
    match spec {
        SecretSpec {
            ask,
            shape: Shape::PerKey { folder: None },
            decode: None,
            mode: None,
        } => Ok(ask),
        _ => Err("takes PATH[?PARAMS] only, without FILE, KEY, decode or mode".to_string()),
    }
}

fn object(entries: &[(String, Json)]) -> Value {
    let read = entries.iter().map(|(key, json)| (key.clone(), value(json)));
    Value::from_object(Entries(read.collect()))
}

/// An object whose keys keep their order.
struct Entries(Vec<(String, Value)>);

impl fmt::Debug for Entries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl Object for Entries {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let found = self.0.iter().find(|(name, _)| key.as_str() == Some(name));
        found.map(|(_, value)| value.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.0.iter().map(|(name, _)| Value::from(name.as_str()));
        Enumerator::Values(names.collect())
    }
}

/// A number that minijinja would write in other digits stays the text that it was.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(value).collect(),
        Json::Object(entries) => object(entries),
        Json::Number(digits) => {
            let integer = digits.parse::<i128>().map(Value::from).ok();
            let float = || digits.parse::<f64>().map(Value::from).ok();
            integer
                .or_else(float)
                .filter(|number| number.to_string() == digits.as_str())
                .unwrap_or_else(|| Value::from(digits.as_str()))
        }
    }
}

/// Stands in for a secret that is still to be fetched: whatever is asked of it is there, and empty.
#[derive(Debug)]
struct Pending;

impl Object for Pending {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_object(Self))
    }

    fn render(self: &Arc<Self>, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(PENDING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: &str = r#"{"password":"p<w&>","n":9007199254740993,"f":1.10,"null":null,
        "o":{"a":["x","y"]},"b":"aGk="}"#;

    fn template(text: &str) -> Template {
        Template {
            source: "app.j2".into(),
            text: text.into(),
            file: "app.yaml".into(),
        }
    }

    fn rendered(text: &str) -> Result<String, Failure> {
        let template = template(text);
        let mut fetched = BTreeMap::new();
        for ask in template.check()? {
            let body = format!(r#"{{"data":{DATA}}}"#);
            let found = super::super::answer::secret(
                body.as_bytes(),
                "application/json",
                ask.path.to_string(),
                false,
            );
            fetched.insert(ask, Arc::new(found.unwrap()));
        }
        match template.render(&fetched)? {
            Rendered::Whole(bytes) => Ok(String::from_utf8(bytes.to_vec()).unwrap()),
            Rendered::Wants(asks) => panic!("still wants {asks:?}"),
        }
    }

    #[test]
    fn values_come_out_as_they_are() {
        for (text, result) in [
            ("x={{ secret(\"secret/app\").password }}\n", "x=p<w&>\n"),
            (
                "{{ secret('/secret/app').n }} {{ secret('secret/app').f }}",
                "9007199254740993 1.10",
            ),
            (
                "{% for x in secret('secret/app').o.a %}{{ x }},{% endfor %}",
                "x,y,",
            ),
            ("{{ secret('secret/app').password | tojson }}", "\"p<w&>\""),
            ("{{ secret('secret/app').b | b64decode }}", "hi"),
            ("{{ secret('secret/app').nokey | default('d') }}", "d"),
            ("plain\n\n", "plain\n\n"),
        ] {
            assert_eq!(rendered(text).unwrap(), result, "{text}");
        }
    }

    #[test]
    fn failures_name_file_and_line_and_never_a_value() {
        for (text, kind, gist) in [
            (
                "\n{{ secret('secret/app').nokey }}",
                Kind::Missing,
                "line 2",
            ),
            ("{{ secret('secret/app').null }}", Kind::Missing, "line 1"),
            ("\n\n{% if %}", Kind::Usage, "line 3"),
            (
                "{{ secret('secret/app').password | b64decode }}",
                Kind::Corrupt,
                "line 1",
            ),
            (
                "{{ secret('secret/app').password + 1 }}",
                Kind::Corrupt,
                "line 1",
            ),
            ("{{ secret('a=secret/app') }}", Kind::Usage, "PATH"),
            ("{{ secret('secret/../app') }}", Kind::Usage, "`..`"),
            ("{{ nosuch }}", Kind::Missing, "line 1"),
        ] {
            let failure = rendered(text).unwrap_err();
            assert_eq!(failure.kind(), kind, "{text}: {failure}");
            let words = failure.to_string();
            assert!(words.contains("app.j2") && words.contains(gist), "{words}");
            assert!(!words.contains("p<w"), "{words}");
        }
    }

    #[test]
    fn what_it_asks_for_is_known_beforehand() {
        let asks = template(
            "{{ secret('a/b').x }}{{ secret('a/b').y }}{{ secret('c/d?ttl=1h').x | b64decode }}",
        )
        .check()
        .unwrap();
        let paths: Vec<String> = asks.iter().map(|ask| ask.path.to_string()).collect();
        assert_eq!(paths, ["a/b", "c/d"]);
    }
}
