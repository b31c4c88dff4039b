//! What was done, in text and JSON. Pure.

use serde::Serialize;

use super::source::Validator;
use crate::base::failure::{Failure, Kind};
use crate::base::text::{counted, one_line};
use crate::commands::Output;

/// What became of one SOURCE.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Done {
    /// Without values of a query.
    pub(super) source: String,
    pub(super) dest: String,
    /// Objects that the source has, as far as they are wanted.
    pub(super) objects: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// Body bytes that came over the wire.
    pub(super) transferred: u64,
    /// Bytes that an earlier run had left.
    pub(super) resumed: u64,
    /// Objects that were right already.
    pub(super) unchanged: u64,
    /// Files that were removed since the source lacks them.
    pub(super) deleted: u64,
    /// What was checked of every object that was fetched.
    pub(super) checked: Vec<&'static str>,
    /// The object's state; `None` for several.
    pub(super) validator: Option<String>,
    pub(super) seconds: f64,
    /// What could not be checked, and why.
    #[serde(skip)]
    pub(super) unchecked: Option<String>,
    /// Whether it is about one object.
    #[serde(skip)]
    pub(super) is_single: bool,
}

#[derive(Debug, Serialize)]
struct Document<'a, T> {
    sources: &'a [T],
}

/// How a state is told: the strongest that is known of it.
pub(super) fn told(validator: &Validator) -> Option<String> {
    [
        &validator.generation,
        &validator.etag,
        &validator.last_modified,
    ]
    .into_iter()
    .flatten()
    .next()
    .cloned()
}

impl Done {
    /// Whether nothing had to be done.
    fn is_unchanged(&self) -> bool {
        self.unchanged == self.objects && self.deleted == 0 && self.objects > 0
    }

    fn line(&self) -> String {
        let verb = if self.is_unchanged() {
            "unchanged"
        } else {
            "fetched"
        };
        let mut line = format!("{verb} {} to {}: ", self.source, self.dest);
        if !self.is_single {
            line.push_str(&format!("{}, ", counted_u64(self.objects, "object")));
        }
        line.push_str(&counted_u64(self.bytes, "byte"));
        if !self.is_single && self.unchanged > 0 && !self.is_unchanged() {
            line.push_str(&format!(", {} unchanged", self.unchanged));
        }
        if self.resumed > 0 {
            line.push_str(&format!(", {} resumed", self.resumed));
        }
        if self.deleted > 0 {
            line.push_str(&format!(", {} deleted", self.deleted));
        }
        if !self.checked.is_empty() {
            line.push_str(&format!(", checked {}", self.checked.join(" ")));
        }
        if let Some(reason) = &self.unchecked {
            line.push_str(&format!(", not checked: {reason}"));
        }
        one_line(&line) + "\n"
    }
}

fn counted_u64(count: u64, noun: &str) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), noun)
}

/// The result for stdout.
///
/// # Errors
/// `Bug`: it can always be written.
pub(super) fn render(all: &[Done], form: Output) -> Result<Vec<u8>, Failure> {
    match form {
        Output::Text => Ok(all.iter().map(Done::line).collect::<String>().into_bytes()),
        Output::Json => json(all),
    }
}

fn json(sources: &[impl Serialize]) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec(&Document { sources }).map_err(|error| {
        Failure::caused_by(Kind::Bug, error).context("write the result as JSON")
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// `3 objects, 1024 bytes, 0.21 s`
pub(super) fn summary(all: &[Done], seconds: f64) -> String {
    let sum = |of: fn(&Done) -> u64| all.iter().map(of).fold(0, u64::saturating_add);
    let unchanged = sum(|done| done.unchanged);
    let aside = if unchanged > 0 {
        format!(" ({unchanged} unchanged)")
    } else {
        String::new()
    };
    format!(
        "{}{aside}, {}, {seconds:.2} s",
        counted_u64(sum(|done| done.objects), "object"),
        counted_u64(sum(|done| done.bytes), "byte")
    )
}

/// What would be done with one SOURCE.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Planned {
    pub(super) source: String,
    pub(super) dest: String,
    /// Objects that would be fetched.
    pub(super) objects: u64,
    /// Their bytes; `None` where the server does not tell.
    pub(super) bytes: Option<u64>,
    /// Objects that are right already.
    pub(super) unchanged: u64,
    /// What would be removed.
    pub(super) deleted: Vec<String>,
    #[serde(skip)]
    pub(super) is_single: bool,
}

impl Planned {
    fn lines(&self) -> String {
        let mut line = if self.objects == 0 && self.deleted.is_empty() {
            format!(
                "would leave {} as it is: {} is unchanged",
                self.dest, self.source
            )
        } else {
            let mut line = format!("would fetch {} to {}: ", self.source, self.dest);
            if !self.is_single {
                line.push_str(&format!("{}, ", counted_u64(self.objects, "object")));
            }
            line.push_str(&match self.bytes {
                Some(bytes) => counted_u64(bytes, "byte"),
                None => "of unknown length".to_string(),
            });
            line
        };
        if !self.is_single && self.unchanged > 0 {
            line.push_str(&format!(", {} unchanged", self.unchanged));
        }
        let mut lines = one_line(&line) + "\n";
        for path in &self.deleted {
            lines.push_str(&one_line(&format!("would delete {path}")));
            lines.push('\n');
        }
        lines
    }
}

/// The plan for stdout.
///
/// # Errors
/// `Bug`: it can always be written.
pub(super) fn render_plan(all: &[Planned], form: Output) -> Result<Vec<u8>, Failure> {
    match form {
        Output::Text => Ok(all
            .iter()
            .map(Planned::lines)
            .collect::<String>()
            .into_bytes()),
        Output::Json => json(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done() -> Done {
        Done {
            source: "s3://b/k".to_string(),
            dest: "/d/k".to_string(),
            objects: 1,
            bytes: 1_073_741_824,
            transferred: 1_073_741_824,
            checked: vec!["length", "etag", "crc64nvme"],
            validator: Some("\"abc\"".to_string()),
            seconds: 1.5,
            is_single: true,
            ..Done::default()
        }
    }

    fn text(done: Done) -> String {
        String::from_utf8(render(&[done], Output::Text).unwrap()).unwrap()
    }

    #[test]
    fn one_line_tells_one_source() {
        assert_eq!(
            text(done()),
            "fetched s3://b/k to /d/k: 1073741824 bytes, checked length etag crc64nvme\n"
        );
        let unchecked = Done {
            checked: vec!["length"],
            unchecked: Some("composite".to_string()),
            ..done()
        };
        assert_eq!(
            text(unchecked),
            "fetched s3://b/k to /d/k: 1073741824 bytes, checked length, not checked: composite\n"
        );
        let unchanged = Done {
            unchanged: 1,
            checked: Vec::new(),
            ..done()
        };
        assert_eq!(
            text(unchanged),
            "unchanged s3://b/k to /d/k: 1073741824 bytes\n"
        );
        let several = Done {
            is_single: false,
            objects: 3,
            bytes: 10,
            unchanged: 1,
            deleted: 2,
            resumed: 4,
            checked: vec!["length"],
            dest: "/d\n".to_string(),
            ..done()
        };
        assert_eq!(
            text(several),
            "fetched s3://b/k to /d\\n: 3 objects, 10 bytes, 1 unchanged, 4 resumed, 2 deleted, checked length\n"
        );
    }

    #[test]
    fn json_is_one_document() {
        let bytes = render(&[done()], Output::Json).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(
            document,
            serde_json::json!({"sources": [{
                "source": "s3://b/k", "dest": "/d/k", "objects": 1, "bytes": 1_073_741_824,
                "transferred": 1_073_741_824, "resumed": 0, "unchanged": 0, "deleted": 0,
                "checked": ["length", "etag", "crc64nvme"], "validator": "\"abc\"", "seconds": 1.5,
            }]})
        );
    }

    #[test]
    fn a_plan_tells_what_would_be() {
        let planned = Planned {
            source: "s3://b/p/".to_string(),
            dest: "/d".to_string(),
            objects: 2,
            bytes: Some(5),
            unchanged: 1,
            deleted: vec!["/d/old".to_string()],
            is_single: false,
        };
        let text = String::from_utf8(render_plan(&[planned], Output::Text).unwrap()).unwrap();
        assert_eq!(
            text,
            "would fetch s3://b/p/ to /d: 2 objects, 5 bytes, 1 unchanged\nwould delete /d/old\n"
        );
        let summary = summary(&[done(), done()], 0.214);
        assert_eq!(summary, "2 objects, 2147483648 bytes, 0.21 s");
    }
}
