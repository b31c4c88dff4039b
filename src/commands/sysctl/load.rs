//! `--load`: files in the format of sysctl.conf, folders of them, and standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tracing::{error, info};

use super::key::Subject;
use super::offload::off_thread;
use super::setting::{Line, Setting, Source, parse_line};
use crate::base::deadline::Deadline;
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;

/// All input together; a bigger one is a mistake, such as a device.
const MAX_INPUT: u64 = 4 << 20;

/// What the files say, in their order.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) settings: Vec<(Source, Setting)>,
    pub(super) exclusions: Vec<Subject>,
}

/// Reads all the files.
///
/// # Errors
/// `Usage` for a file that cannot be read or a line that cannot be obeyed (every bad line is logged,
/// the first is named), `Unavailable` when reading outlasts the deadline.
pub(super) async fn load(paths: Vec<PathBuf>, deadline: &Deadline) -> Result<Loaded, Failure> {
    if paths.is_empty() {
        return Ok(Loaded::default());
    }
    if paths.iter().filter(|path| is_stdin(path)).count() > 1 {
        return Err(Failure::new(Kind::Usage, "--load - is given twice")
            .hint("standard input can be read only once"));
    }
    // A pipe may stay silent, and the deadline still holds.
    let reading = off_thread(move || interpret(&read_all(&paths)?));
    deadline.within(reading).await.unwrap_or_else(|_| {
        Err(Failure::new(Kind::Unavailable, "no end of the input came")
            .context("read the --load files")
            .hint("is the writer of standard input or of the pipe still running?"))
    })
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The name and the content of each file.
fn read_all(paths: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut left = MAX_INPUT;
    let mut texts = Vec::new();
    for path in paths {
        for file in expand(path)? {
            let name = if is_stdin(&file) {
                "-".to_string()
            } else {
                one_line(&file.to_string_lossy())
            };
            let bytes =
                read(&file, left).map_err(|failure| failure.context(format!("read {name}")))?;
            left = left.saturating_sub(bytes.len() as u64);
            texts.push((name, bytes));
        }
    }
    Ok(texts)
}

/// A folder's `*.conf` in the order of their bytes; anything else is one file.
fn expand(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if is_stdin(path) || !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let unusable = |reason: String| {
        Failure::new(Kind::Usage, reason)
            .context(format!("read the folder {}", path.display()))
            .hint("--load takes a file, a folder with *.conf files, or - for standard input")
    };
    let entries = std::fs::read_dir(path).map_err(|error| unusable(error.to_string()))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| unusable(error.to_string()))?.path();
        let name = file.file_name().unwrap_or_default().as_bytes();
        if name.ends_with(b".conf") && !name.starts_with(b".") && !file.is_dir() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(unusable("no *.conf file in it".to_string()));
    }
    files.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(files)
}

fn read(path: &Path, left: u64) -> Result<Vec<u8>, Failure> {
    let source: Result<Box<dyn Read>, _> = if is_stdin(path) {
        Ok(Box::new(std::io::stdin()))
    } else {
        File::open(path).map(|file| Box::new(file) as Box<dyn Read>)
    };
    let mut bytes = Vec::new();
    source
        .and_then(|source| source.take(left + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            Failure::new(Kind::Usage, error.to_string())
                .hint("mount the file, or correct its name in --load")
        })?;
    if bytes.len() as u64 > left {
        return Err(Failure::new(Kind::Usage, "the input is over 4 MiB")
            .hint("this is no file of settings; correct its name in --load"));
    }
    Ok(bytes)
}

/// Parses every line of every file, so that all mistakes are told at once.
fn interpret(texts: &[(String, Vec<u8>)]) -> Result<Loaded, Failure> {
    let mut loaded = Loaded::default();
    let mut first: Option<Failure> = None;
    for (name, bytes) in texts {
        let before = loaded.settings.len() + loaded.exclusions.len();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let place = format!("{name}:{number}");
            match line_of(line) {
                Ok(None) => {}
                Ok(Some(Line::Setting(setting))) => {
                    loaded.settings.push((Source::Line(place), setting));
                }
                Ok(Some(Line::Exclusion(subject))) => loaded.exclusions.push(subject),
                Err(failure) => {
                    let failure = failure.context(place);
                    error!("{failure}");
                    first.get_or_insert(failure);
                }
            }
        }
        if loaded.settings.len() + loaded.exclusions.len() == before && first.is_none() {
            info!("{name} has no settings");
        }
    }
    first.map_or(Ok(loaded), Err)
}

fn line_of(line: &[u8]) -> Result<Option<Line>, Failure> {
    let text = OsStr::from_bytes(line).to_str().ok_or_else(|| {
        Failure::new(Kind::Usage, "the line is not UTF-8").hint("save the file as UTF-8")
    })?;
    parse_line(text).map_err(|bad| Failure::new(Kind::Usage, bad.reason).hint(bad.hint))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::*;

    fn interpreted(text: &[u8]) -> Result<Vec<String>, String> {
        interpret(&[("f".to_string(), text.to_vec())])
            .map(|loaded| {
                loaded
                    .settings
                    .iter()
                    .map(|(source, setting)| format!("{source} {}", setting.subject.key()))
                    .collect()
            })
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn byte_order_mark_carriage_return_and_missing_newline_are_fine() {
        assert_eq!(
            interpreted(b"\xef\xbb\xbfa.b=1\r\n\r\n# c\r\nc.d = 2"),
            Ok(vec!["f:1 a.b".to_string(), "f:4 c.d".to_string()])
        );
    }

    #[test]
    fn the_first_bad_line_is_named() {
        let message = interpreted(b"a.b=1\nbad\nworse\n").unwrap_err();
        assert_eq!(message, "f:2: `bad` has no operator");
        assert_eq!(
            interpreted(b"a.b=\xff").unwrap_err(),
            "f:1: the line is not UTF-8"
        );
    }

    #[test]
    fn a_folder_is_its_conf_files_sorted_by_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.conf", "B.conf", ".c.conf", "d.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("e.conf")).unwrap();
        let files = expand(folder.path()).unwrap();
        assert_eq!(
            files,
            [folder.path().join("B.conf"), folder.path().join("b.conf")]
        );
        assert!(expand(&folder.path().join("e.conf")).is_err());
    }

    #[test]
    fn input_without_end_is_refused() {
        let failure = read_all(&["/dev/zero".into()]).unwrap_err();
        assert_eq!(failure.kind(), Kind::Usage);
        assert_eq!(
            failure.to_string(),
            "read /dev/zero: the input is over 4 MiB"
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(5_000))]
        #[test]
        fn no_file_makes_the_reader_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            let _ = interpreted(&bytes);
        }
    }
}
