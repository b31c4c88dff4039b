//! What was done, in text and JSON. Pure.

use serde::Serialize;

use super::output::{File, Output, OutputKind};
use super::template::Template;
use super::token::Fate;
use crate::base::failure::{Failure, Kind};
use crate::base::text::{counted, one_line};
use crate::commands::Output as Form;

/// What became of a lease.
#[derive(Debug, Serialize)]
pub(super) struct Lease {
    pub(super) path: String,
    /// What the server promised.
    pub(super) seconds: u64,
    /// When the credentials die in truth.
    pub(super) ends_in: u64,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    changed: bool,
    dir: String,
    files: Vec<Record<'a>>,
    leases: &'a [Lease],
    token: Fate,
}

#[derive(Debug, Serialize)]
struct Record<'a> {
    file: &'a str,
    bytes: usize,
    mode: String,
    from: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
}

/// The result for stdout.
///
/// # Errors
/// `Bug`: it can always be written.
pub(super) fn render(
    files: &[File],
    is_changed: bool,
    dir: &std::path::Path,
    leases: &[Lease],
    token: Fate,
    form: Form,
) -> Result<Vec<u8>, Failure> {
    match form {
        Form::Text if !is_changed => Ok(b"unchanged\n".to_vec()),
        Form::Text => Ok(files.iter().map(line).collect::<String>().into_bytes()),
        Form::Json => json(&Document {
            changed: is_changed,
            dir: dir.display().to_string(),
            files: files
                .iter()
                .map(|file| Record {
                    file: &file.name,
                    bytes: file.bytes.len(),
                    mode: format!("{:04o}", file.mode),
                    from: &file.from,
                    version: file.version,
                })
                .collect(),
            leases,
            token,
        }),
    }
}

fn line(file: &File) -> String {
    let version = file
        .version
        .map_or_else(String::new, |version| format!(" version {version}"));
    let line = format!(
        "{} {} {:04o} from {}{version}",
        file.name,
        counted(file.bytes.len(), "byte"),
        file.mode,
        file.from
    );
    one_line(&line) + "\n"
}

fn json(document: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec(document).map_err(|error| {
        Failure::caused_by(Kind::Bug, error).context("write the result as JSON")
    })?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// `3 secrets in 4 files, 0.21 s`
pub(super) fn summary(secrets: usize, files: usize, seconds: f64) -> String {
    format!(
        "{} in {}, {seconds:.2} s",
        counted(secrets, "secret"),
        counted(files, "file")
    )
}

/// One file of a plan.
#[derive(Debug, Serialize)]
pub(super) struct Planned {
    /// A `*` stands for the keys.
    file: String,
    mode: String,
    from: String,
}

#[derive(Debug, Serialize)]
struct Plan<'a> {
    changed: bool,
    dir: String,
    planned: &'a [Planned],
    token: Option<Fate>,
}

/// What a run would write, as far as that is known without reading a secret. `path` gives the API
/// path of the secret, if it is known.
pub(super) fn planned(
    outputs: &[(&Output, String)],
    templates: &[Template],
    template_mode: u32,
) -> Vec<Planned> {
    let secrets = outputs.iter().map(|(output, from)| Planned {
        file: match &output.kind {
            OutputKind::PerKey { folder: None, .. } => "*".to_string(),
            OutputKind::PerKey {
                folder: Some(folder),
                ..
            } => format!("{folder}/*"),
            OutputKind::Key { file, .. } | OutputKind::Whole { file, .. } => file.clone(),
        },
        mode: format!("{:04o}", output.mode),
        from: from.clone(),
    });
    let templates = templates.iter().map(|template| Planned {
        file: template.file.clone(),
        mode: format!("{template_mode:04o}"),
        from: template.source.clone(),
    });
    secrets.chain(templates).collect()
}

/// The plan for stdout.
///
/// # Errors
/// `Bug`: it can always be written.
pub(super) fn render_plan(
    planned: &[Planned],
    dir: &std::path::Path,
    token: Option<Fate>,
    form: Form,
) -> Result<Vec<u8>, Failure> {
    match form {
        Form::Text => Ok(planned
            .iter()
            .map(|Planned { file, mode, from }| {
                one_line(&format!("would write {file} {mode} from {from}")) + "\n"
            })
            .collect::<String>()
            .into_bytes()),
        Form::Json => json(&Plan {
            changed: false,
            dir: dir.display().to_string(),
            planned,
            token,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::commands::fetch_secret::render::Bytes;

    fn files() -> Vec<File> {
        vec![File {
            name: "password".into(),
            bytes: Bytes::new(b"hunter2".to_vec()),
            mode: 0o440,
            from: "secret/data/app".into(),
            version: Some(3),
        }]
    }

    #[test]
    fn a_line_for_each_file_and_one_word_if_nothing_changed() {
        let text = |is_changed| {
            let bytes = render(
                &files(),
                is_changed,
                Path::new("/s"),
                &[],
                Fate::Kept,
                Form::Text,
            );
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        assert_eq!(
            text(true),
            "password 7 bytes 0440 from secret/data/app version 3\n"
        );
        assert_eq!(text(false), "unchanged\n");
        assert_eq!(summary(1, 2, 0.214), "1 secret in 2 files, 0.21 s");
    }

    #[test]
    fn the_document_has_no_value() {
        let leases = [Lease {
            path: "ssh/creds/otp".into(),
            seconds: 2_764_800,
            ends_in: 600,
        }];
        let bytes = render(
            &files(),
            true,
            Path::new("/s"),
            &leases,
            Fate::Revoked,
            Form::Json,
        );
        assert_eq!(
            String::from_utf8(bytes.unwrap()).unwrap(),
            "{\"changed\":true,\"dir\":\"/s\",\"files\":[{\"file\":\"password\",\"bytes\":7,\
             \"mode\":\"0440\",\"from\":\"secret/data/app\",\"version\":3}],\
             \"leases\":[{\"path\":\"ssh/creds/otp\",\"seconds\":2764800,\"ends_in\":600}],\
             \"token\":\"revoked\"}\n"
        );
    }
}
