//! From secrets to files: every file's name, bytes and mode, before any is written. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::answer::{Fetched, null};
use super::decode::Decode;
use super::name::{check_segment, clash};
use super::pki;
use super::render::{Bytes, Format};
use super::spec::{Ask, Shape};
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;

/// What is to become of one SECRET, with all that flags add to it.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) ask: Ask,
    pub(super) kind: OutputKind,
    pub(super) mode: u32,
}

/// The forms of a SECRET, each with what it needs.
#[derive(Debug, Clone)]
pub(super) enum OutputKind {
    PerKey {
        folder: Option<String>,
        decode: Option<Decode>,
    },
    Key {
        key: String,
        file: String,
        decode: Option<Decode>,
    },
    Whole {
        file: String,
        format: &'static Format,
    },
}

/// A file to be.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Bytes,
    pub(super) mode: u32,
    /// The API path, or the template.
    pub(super) from: String,
    pub(super) version: Option<u64>,
}

impl Output {
    /// The file's name, if it is known before the secret is.
    pub(super) fn file(&self) -> Option<&str> {
        match &self.kind {
            OutputKind::PerKey { .. } => None,
            OutputKind::Key { file, .. } | OutputKind::Whole { file, .. } => Some(file),
        }
    }

    /// Its files.
    ///
    /// # Errors
    /// `Missing` for what is not in the secret, `Corrupt` for what cannot be written so.
    pub(super) fn files(&self, fetched: &Fetched) -> Result<Vec<File>, Failure> {
        let contents = match &self.kind {
            OutputKind::Whole { file, format } => {
                let bytes = (format.write)(fetched).map_err(|failure| {
                    failure.context(format!("write {} as {}", fetched.from, format.name))
                })?;
                vec![(file.clone(), bytes)]
            }
            OutputKind::Key { key, file, decode } => {
                vec![(
                    file.clone(),
                    decoded(key, fetched.bytes(key)?, *decode, fetched)?,
                )]
            }
            OutputKind::PerKey { folder, .. } if pki::is_split(&self.ask, fetched) => {
                let files = pki::split(fetched)?.into_iter();
                files
                    .map(|(name, bytes)| (below(folder.as_deref(), name), bytes))
                    .collect()
            }
            OutputKind::PerKey { folder, decode } => {
                let mut contents = Vec::new();
                for (key, value) in fetched.entries()? {
                    check_segment(key).map_err(|unfit| {
                        Failure::new(
                            Kind::Corrupt,
                            format!("a key of {} cannot name a file: {unfit}", fetched.from),
                        )
                        .hint("name the file: FILE=PATH#KEY, or FILE.json=PATH for all keys")
                    })?;
                    let bytes = value.bytes().ok_or_else(|| null(key, &fetched.from))?;
                    contents.push((
                        below(folder.as_deref(), key),
                        decoded(key, bytes, *decode, fetched)?,
                    ));
                }
                contents
            }
        };
        Ok(contents
            .into_iter()
            .map(|(name, bytes)| File {
                name,
                bytes,
                mode: self.mode,
                from: fetched.from.clone(),
                version: fetched.version,
            })
            .collect())
    }
}

impl OutputKind {
    /// Adds what flags say; the extension or `--format` gives a whole secret its format.
    pub(super) fn new(
        shape: Shape,
        decode: Option<Decode>,
        format: Option<&'static Format>,
    ) -> Option<Self> {
        Some(match shape {
            Shape::PerKey { folder } => Self::PerKey { folder, decode },
            Shape::Key { key, file } => Self::Key { key, file, decode },
            Shape::Whole { file } => Self::Whole {
                format: format?,
                file,
            },
        })
    }
}

fn below(folder: Option<&str>, name: &str) -> String {
    folder.map_or_else(|| name.to_string(), |folder| format!("{folder}/{name}"))
}

fn decoded(
    key: &str,
    bytes: Bytes,
    decode: Option<Decode>,
    fetched: &Fetched,
) -> Result<Bytes, Failure> {
    let Some(way) = decode else {
        return Ok(bytes);
    };
    way.read(&bytes).ok_or_else(|| {
        Failure::new(
            Kind::Corrupt,
            format!(
                "the key `{}` of {} is not {}",
                one_line(key),
                fetched.from,
                way.name()
            ),
        )
        .hint("leave decode out for a value that is stored as it is")
    })
}

/// All files of all outputs, in their order.
///
/// # Errors
/// As `Output::files`; `Usage` for two secrets that bring one name.
pub(super) fn render(
    outputs: &[Output],
    fetched: &BTreeMap<Ask, Arc<Fetched>>,
) -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for output in outputs {
        let fetched = fetched
            .get(&output.ask)
            .ok_or_else(|| Failure::new(Kind::Bug, "a secret was not fetched"))?;
        files.extend(output.files(fetched)?);
    }
    Ok(files)
}

/// Refuses two files that cannot both be there.
///
/// # Errors
/// `Usage`, with both origins.
pub(super) fn check_names(files: &[File]) -> Result<(), Failure> {
    let Some((one, other)) = clash(files.iter().map(|file| file.name.as_str())) else {
        return Ok(());
    };
    let mut origins: Vec<&str> = files
        .iter()
        .filter(|file| file.name == one || file.name == other)
        .map(|file| file.from.as_str())
        .collect();
    origins.dedup();
    let names = if one == other {
        format!("`{}`", one_line(one))
    } else {
        format!("`{}` beside `{}`", one_line(one), one_line(other))
    };
    Err(Failure::new(
        Kind::Usage,
        format!("{} would both be written: {names}", origins.join(" and ")),
    )
    .hint("give one of them a directory of its own: sub/=PATH"))
}

#[cfg(test)]
mod tests {
    use super::super::answer::secret;
    use super::super::render::named;
    use super::super::spec::SecretSpec;
    use super::*;

    fn render_one(text: &str, data: &str) -> Result<Vec<(String, String)>, Failure> {
        let spec: SecretSpec = text.parse().unwrap();
        let output = Output {
            ask: spec.ask.clone(),
            kind: OutputKind::new(spec.shape, spec.decode, named("json")).unwrap(),
            mode: 0o440,
        };
        let body = format!(r#"{{"data":{data}}}"#);
        let fetched = secret(
            body.as_bytes(),
            "application/json",
            "secret/app".into(),
            false,
        )?;
        let fetched = [(spec.ask, Arc::new(fetched))].into();
        let files = render(&[output], &fetched)?;
        check_names(&files)?;
        Ok(files
            .into_iter()
            .map(|file| (file.name, String::from_utf8_lossy(&file.bytes).into_owned()))
            .collect())
    }

    #[test]
    fn each_form_makes_its_files() {
        let data = r#"{"password":"p<w&>","user":"u","n":10,"b":"c2VjcmV0IHYx"}"#;
        let file = |name: &str, text: &str| (name.to_string(), text.to_string());
        assert_eq!(
            render_one("db/=secret/app", r#"{"password":"p<w&>","n":10}"#).unwrap(),
            [file("db/password", "p<w&>"), file("db/n", "10")]
        );
        assert_eq!(
            render_one("secret/app#user", data).unwrap(),
            [file("user", "u")]
        );
        assert_eq!(
            render_one("x=secret/app?decode=base64#b", data).unwrap(),
            [file("x", "secret v1")]
        );
        assert_eq!(
            render_one("a.json=secret/app", r#"{"n":10}"#).unwrap(),
            [file("a.json", "{\"n\":10}\n")]
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused_by_its_key_alone() {
        for (text, data, kind, gist) in [
            (
                "secret/app",
                r#"{"../x":"hunter2"}"#,
                Kind::Corrupt,
                "`../x`",
            ),
            ("secret/app", r#"{"a/b":"hunter2"}"#, Kind::Corrupt, "`a/b`"),
            ("secret/app", r#"{"":"hunter2"}"#, Kind::Corrupt, "empty"),
            ("secret/app", r#"{"k":null}"#, Kind::Missing, "`k`"),
            (
                "x=secret/app?decode=base64#k",
                r#"{"k":"hunter2!"}"#,
                Kind::Corrupt,
                "`k`",
            ),
            (
                "secret/app?decode=hex",
                r#"{"k":"hunter2"}"#,
                Kind::Corrupt,
                "`k`",
            ),
        ] {
            let failure = render_one(text, data).unwrap_err();
            assert_eq!(failure.kind(), kind, "{text} {data}");
            let words = failure.to_string();
            assert!(
                words.contains(gist) && !words.contains("hunter2"),
                "{words}"
            );
        }
    }

    #[test]
    fn two_secrets_must_not_bring_one_name() {
        let file = |name: &str, from: &str| File {
            name: name.into(),
            bytes: Bytes::default(),
            mode: 0o440,
            from: from.into(),
            version: None,
        };
        let failure = check_names(&[file("k", "secret/a"), file("k", "secret/b")]).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
        assert_eq!(
            failure.to_string(),
            "secret/a and secret/b would both be written: `k`"
        );
        assert!(check_names(&[file("k", "a"), file("k/x", "b")]).is_err());
        assert!(check_names(&[file("k", "a"), file("l", "b")]).is_ok());
    }
}
