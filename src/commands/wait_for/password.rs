//! Which target gets which password: one server's never reaches another.

use std::fs;
use std::path::{Path, PathBuf};

use super::protocol::User;
use super::setup::Password;
use super::target::Target;
use super::verdict::Goal;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;
use crate::base::text::one_line;

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// `--password-file`, `?password-file=`
    File(PathBuf),
    /// `--password-env`, `?password-env=`
    Variable(String),
}

/// The password of each target, in their order.
///
/// # Errors
/// `Usage`: a password that cannot be read, or not exactly one target for that of the flags.
pub(super) fn assign(
    targets: &[Target],
    flag: Option<Source>,
    goal: Goal,
    environment: &Environment,
) -> Result<Vec<Option<Password>>, Failure> {
    let mut passwords = Vec::with_capacity(targets.len());
    for target in targets {
        passwords.push(own(target, environment)?);
    }
    if let Some(source) = flag {
        let takers: Vec<usize> = (0..targets.len())
            .filter(|at| takes(&targets[*at]) && passwords[*at].is_none())
            .collect();
        match takers[..] {
            [taker] => passwords[taker] = Some(read(&source, environment)?),
            [] => {
                return Err(Failure::new(Kind::Usage, "no target takes the password")
                    .hint("name the user in the target, such as postgres://USER@HOST/DB"));
            }
            _ => {
                let names: Vec<&str> = takers
                    .iter()
                    .map(|at| targets[*at].shown.as_str())
                    .collect();
                return Err(Failure::new(
                    Kind::Usage,
                    format!(
                        "several targets would take the password: {}",
                        names.join(", ")
                    ),
                )
                .hint("give each its own: ?password-env=NAME or ?password-file=PATH"));
            }
        }
    }
    if goal == Goal::Gone {
        // Whoever is to be gone is never logged in to.
        passwords.fill_with(|| None);
    }
    Ok(passwords)
}

fn takes(target: &Target) -> bool {
    match target.protocol.user {
        User::Named => target.user.is_some(),
        User::Optional => true,
        User::Ignored | User::None => false,
    }
}

/// The password that a target brings itself.
fn own(target: &Target, environment: &Environment) -> Result<Option<Password>, Failure> {
    let file = target.key("password-file").map(|path| {
        use std::os::unix::ffi::OsStrExt as _;
        Source::File(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
    });
    let variable = target
        .text("password-env")?
        .map(|name| Source::Variable(name.to_string()));
    let sources: Vec<Source> = file.into_iter().chain(variable).collect();
    let is_in_url = target.password.is_some();
    let source = match (&sources[..], is_in_url) {
        ([], false) => return Ok(None),
        ([], true) => None,
        ([source], false) => Some(source),
        _ => return Err(target.wrong("it names its password twice", "leave one of them out")),
    };
    if !takes(target) {
        return Err(target.wrong(
            "it brings a password, but names no user",
            format!("write {}", target.protocol.example),
        ));
    }
    match source {
        Some(source) => read(source, environment)
            .map(Some)
            .map_err(|failure| failure.context(target.shown.clone())),
        None => Ok(target.password.clone().map(|secret| Password {
            secret,
            source: "the target in PODINIT_TARGETS".to_string(),
        })),
    }
}

fn read(source: &Source, environment: &Environment) -> Result<Password, Failure> {
    let (bytes, source) = match source {
        Source::File(path) => (read_file(path)?, format!("the file {}", path.display())),
        Source::Variable(name) => {
            use std::os::unix::ffi::OsStrExt as _;
            let shown = one_line(name);
            let value = environment.get(name).ok_or_else(|| {
                Failure::new(
                    Kind::Usage,
                    format!("the variable {shown} is not set, or empty"),
                )
                .context("read the password")
                .hint("--password-env takes the name of a variable, not a password")
            })?;
            (value.as_bytes().to_vec(), format!("the variable {shown}"))
        }
    };
    let bare = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let bare = bare
        .strip_suffix(b"\r")
        .filter(|_| bare.len() < bytes.len())
        .unwrap_or(bare);
    if bare.is_empty() {
        return Err(Failure::new(Kind::Usage, format!("{source} is empty"))
            .context("read the password")
            .hint("is the Secret mounted, and its key the right one?"));
    }
    Ok(Password {
        secret: Secret::new(bare),
        source,
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    /// Longer than any password; a device would have no end. Bytes.
    const MAX: u64 = 64 << 10;
    let failed = |words: String| {
        Failure::new(Kind::Usage, words)
            .context(format!("read the password in {}", path.display()))
            .hint("mount the Secret there, or correct the path")
    };
    let metadata = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > MAX {
        return Err(failed(format!(
            "it is no file of at most {} KiB",
            MAX >> 10
        )));
    }
    fs::read(path).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::super::target::{Origin, parse};
    use super::*;

    fn assigned(targets: &[&str], flag: Option<Source>) -> Result<Vec<Option<String>>, String> {
        let environment = Environment::of(vec![("PW".into(), "s3cret\n".into())]);
        let targets: Vec<Target> = targets
            .iter()
            .map(|text| parse(text, Origin::Environment).unwrap())
            .collect();
        assign(&targets, flag, Goal::Ready, &environment)
            .map(|passwords| {
                let text = |password: Password| {
                    String::from_utf8(password.secret.expose().to_vec()).unwrap()
                };
                passwords
                    .into_iter()
                    .map(|password| password.map(text))
                    .collect()
            })
            .map_err(|failure| failure.to_string())
    }

    fn pw() -> Source {
        Source::Variable("PW".into())
    }

    #[test]
    fn exactly_one_target_takes_the_password_of_the_flags() {
        let given = Some("s3cret".to_string());
        assert_eq!(
            assigned(&["postgres://a@h/x", "tcp://h:1"], Some(pw())),
            Ok(vec![given.clone(), None])
        );
        assert_eq!(
            assigned(&["redis://h"], Some(pw())),
            Ok(vec![given.clone()])
        );
        assert_eq!(
            assigned(&["redis://:own@g", "http://u@h/"], Some(pw())),
            Ok(vec![Some("own".into()), given.clone()])
        );
        assert_eq!(
            assigned(&["nats://u@h?password-env=PW"], None),
            Ok(vec![given])
        );
        let two = assigned(&["postgres://a@h1/x", "postgres://b@h2/y"], Some(pw())).unwrap_err();
        assert!(two.contains("postgres://h1/x, postgres://h2/y"), "{two}");
        for none in [&["tcp://h:1"][..], &["postgres://h/x"], &["mongodb://h"]] {
            assert!(assigned(none, Some(pw())).is_err(), "{none:?}");
        }
        assert!(assigned(&["postgres://h/x?password-env=PW"], None).is_err());
        assert!(assigned(&["redis://:own@h?password-env=PW"], None).is_err());
    }

    #[test]
    fn a_password_is_a_file_without_its_final_newline() {
        let folder = tempfile::tempdir().unwrap();
        let lay_and_read = |bytes: &str| {
            let path = folder.path().join("pw");
            fs::write(&path, bytes).unwrap();
            read(&Source::File(path), &Environment::default())
        };
        assert_eq!(lay_and_read(" a\nb\r\n").unwrap().secret.expose(), b" a\nb");
        assert_eq!(lay_and_read("a\n\n").unwrap().secret.expose(), b"a\n");
        assert!(lay_and_read("\n").is_err() && lay_and_read("").is_err());
        let absent = Source::File(folder.path().join("absent"));
        assert_eq!(
            read(&absent, &Environment::default()).unwrap_err().kind(),
            Kind::Usage
        );
    }
}
