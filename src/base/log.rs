//! Events on stderr: one line each, in text or JSON.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::progress::aside;
use super::stream::write_within;
use super::text::one_line;

/// How long a line waits for a reader of stderr that is behind: less than the grace after a signal.
const PATIENCE: Duration = Duration::from_millis(50);

/// Whether a terminal shows lines for people, so that a bar may stand below them.
static IS_ON_TERMINAL: AtomicBool = AtomicBool::new(false);

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `TIME LEVEL MESSAGE`, for people: the message says it all.
    Text,
    /// One JSON object a line, with `timestamp`, `level`, `message` and the event's fields.
    Json,
}

/// The least severe level that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Threshold {
    /// Only what ends the run, or must not be missed.
    Error,
    /// Also what may surprise later.
    Warn,
    /// Also what changes, and what is waited for.
    Info,
    /// Also each step.
    Debug,
    /// Everything.
    Trace,
}

impl Threshold {
    const fn level(self) -> Level {
        match self {
            Self::Error => Level::ERROR,
            Self::Warn => Level::WARN,
            Self::Info => Level::INFO,
            Self::Debug => Level::DEBUG,
            Self::Trace => Level::TRACE,
        }
    }
}

/// Sends all events from here on to stderr. A second call changes nothing.
pub fn start(format: Format, threshold: Threshold) {
    let lines = Lines {
        format,
        level: threshold.level(),
        is_heard: AtomicBool::new(true),
    };
    let is_on_terminal = format == Format::Text && std::io::stderr().is_terminal();
    IS_ON_TERMINAL.store(is_on_terminal, Ordering::Relaxed);
    // The only possible error is that logging has been started before.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

/// Whether a terminal shows lines for people, so that a bar may stand below them.
pub fn is_on_terminal() -> bool {
    IS_ON_TERMINAL.load(Ordering::Relaxed)
}

struct Lines {
    format: Format,
    level: Level,
    is_heard: AtomicBool,
}

impl<S: Subscriber> Layer<S> for Lines {
    /// Only podinit's own events pass: a library's may hold what must not be printed.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let own = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
        own && *metadata.level() <= self.level
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = render(self.format, SystemTime::now(), event);
        line.push('\n');
        // When nobody reads stderr there is nobody left to tell; then no further line waits for it.
        if self.is_heard.load(Ordering::Relaxed) {
            let write = || write_within(&mut std::io::stderr().lock(), line.as_bytes(), PATIENCE);
            let written = aside(write);
            self.is_heard.store(written.is_ok(), Ordering::Relaxed);
        }
    }
}

fn render(format: Format, now: SystemTime, event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let timestamp = humantime::format_rfc3339_millis(now).to_string();
    let level = event.metadata().level().as_str().to_lowercase();
    match format {
        Format::Text => format!("{timestamp} {level:<5} {}", one_line(&fields.message)),
        Format::Json => {
            let mut object = Map::new();
            object.insert("timestamp".to_string(), timestamp.into());
            object.insert("level".to_string(), level.into());
            object.insert("message".to_string(), fields.message.into());
            object.extend(fields.others);
            Value::Object(object).to_string()
        }
    }
}

/// What an event carries.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                self.others.insert(name.to_string(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::UNIX_EPOCH;

    use super::*;

    /// Renders events instead of writing them.
    struct Capture(Format, Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let now = UNIX_EPOCH + Duration::from_millis(1_500);
            self.1.lock().unwrap().push(render(self.0, now, event));
        }
    }

    fn captured(format: Format, log: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let layer = Capture(format, Arc::clone(&lines));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        lines.lock().unwrap().clone()
    }

    #[test]
    fn a_text_line_has_time_level_and_message() {
        let lines = captured(Format::Text, || {
            tracing::warn!(code = 77_u64, hint = "a\tb", "two\nlines");
        });
        assert_eq!(lines, ["1970-01-01T00:00:01.500Z warn  two\\nlines"]);
    }

    #[test]
    fn a_json_line_is_one_object() {
        let lines = captured(Format::Json, || {
            tracing::error!(code = 77_u64, kind = "denied", "two\nlines");
        });
        let object: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(
            object,
            serde_json::json!({
                "timestamp": "1970-01-01T00:00:01.500Z",
                "level": "error",
                "message": "two\nlines",
                "code": 77,
                "kind": "denied",
            })
        );
        assert!(!lines[0].contains('\n'));
    }
}
