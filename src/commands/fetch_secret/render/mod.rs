//! How a whole secret is written into one file: a table of formats, one file each. Pure.

mod env;
mod json;
mod k8s_env;
mod properties;
mod raw;
mod yaml;

use zeroize::Zeroizing;

use super::answer::Fetched;
use crate::base::failure::Failure;

/// A file's content.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// One format.
#[derive(Debug)]
pub(super) struct Format {
    /// The name in `--format`.
    pub(super) name: &'static str,
    /// The extension that asks for it.
    extension: Option<&'static str>,
    /// What it is, for `--help`.
    pub(super) about: &'static str,
    /// Writes a secret.
    pub(super) write: fn(&Fetched) -> Result<Bytes, Failure>,
}

/// All formats, in the order of `--help`.
pub(super) const FORMATS: &[Format] = &[
    json::FORMAT,
    yaml::FORMAT,
    env::FORMAT,
    k8s_env::FORMAT,
    properties::FORMAT,
    raw::FORMAT,
];

/// The format of that name.
pub(super) fn named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The format that the extension of `file` asks for.
pub(super) fn by_extension(file: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| {
        format
            .extension
            .is_some_and(|extension| file.ends_with(extension))
    })
}

/// All names, for hints.
pub(super) fn names() -> String {
    let names: Vec<&str> = FORMATS.iter().map(|format| format.name).collect();
    names.join(", ")
}

/// All extensions, for hints.
pub(super) fn extensions() -> String {
    let all: Vec<&str> = FORMATS
        .iter()
        .filter_map(|format| format.extension)
        .collect();
    all.join(", ")
}

#[cfg(test)]
fn written(format: &Format, data: &str) -> Result<String, Failure> {
    let body = format!(r#"{{"data":{data}}}"#);
    let fetched = super::answer::secret(
        body.as_bytes(),
        "application/json",
        "secret/app".to_string(),
        false,
    )?;
    (format.write)(&fetched).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_found_by_its_name_and_extension() {
        for format in FORMATS {
            assert_eq!(named(format.name).unwrap().name, format.name);
            if let Some(extension) = format.extension {
                let found = by_extension(&format!("a/b{extension}")).unwrap();
                assert_eq!(found.name, format.name);
            }
        }
        assert!(by_extension("app.toml").is_none());
        assert_eq!(names(), "json, yaml, env, k8s-env, properties, raw");
        assert_eq!(extensions(), ".json, .yaml, .env, .properties");
    }
}
