//! A token that somebody else has made: from a file, a variable, or where the CLI left it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::file::{credential, printable};
use super::{DEFAULT_JWT, Given, Method, Prepared};
use crate::base::failure::{Failure, Kind};

/// The variables that hold the token itself, in their order.
const VARIABLES: [&str; 2] = ["BAO_TOKEN", "VAULT_TOKEN"];

pub(super) const METHOD: Method = Method {
    name: "token",
    flags: &["--token-file"],
    about: "--token-file, or BAO_TOKEN, VAULT_TOKEN, $HOME/.vault-token",
    prepare,
};

fn prepare(given: &Given) -> Result<Prepared, Failure> {
    if let Some(file) = &given.token_file {
        return credential(file, "--token-file").map(Prepared::Given);
    }
    for name in VARIABLES {
        if let Some(value) = given.environment.get(name) {
            return printable(value.as_bytes())
                .map(Prepared::Given)
                .map_err(|failure| failure.context(format!("read the variable {name}")));
        }
    }
    let left = given
        .environment
        .get("HOME")
        .map(|home| Path::new(home).join(".vault-token"))
        .filter(|file| file.exists());
    if let Some(file) = left {
        return credential(&file, "--token-file").map(Prepared::Given);
    }
    Err(Failure::new(
        Kind::Usage,
        format!("no service account token at {DEFAULT_JWT}, and no token anywhere else"),
    )
    .hint("set automountServiceAccountToken: true, or say --auth, or --token-file"))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use super::super::nothing_given;
    use super::*;
    use crate::base::environment::Environment;

    fn token(given: &Given) -> String {
        match prepare(given) {
            Ok(Prepared::Given(secret)) => String::from_utf8(secret.expose().to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_that_is_found_counts() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join(".vault-token"), "of-home\n").unwrap();
        std::fs::write(home.path().join("t"), "of-file\n").unwrap();
        let variable = |name: &str, value: &str| (name.into(), value.into());
        let mut pairs = vec![("HOME".into(), home.path().into())];
        let given = |pairs: &Vec<_>| Given {
            environment: Environment::of(pairs.clone()),
            ..nothing_given()
        };
        assert_eq!(token(&given(&pairs)), "of-home");
        pairs.push(variable("VAULT_TOKEN", "of-vault"));
        assert_eq!(token(&given(&pairs)), "of-vault");
        pairs.push(variable("BAO_TOKEN", "of-bao"));
        assert_eq!(token(&given(&pairs)), "of-bao");
        let with_file = Given {
            token_file: Some(home.path().join("t")),
            ..given(&pairs)
        };
        assert_eq!(token(&with_file), "of-file");
        let failure = prepare(&given(&vec![variable("BAO_TOKEN", "a hunter2")])).unwrap_err();
        assert!(!failure.to_string().contains("hunter2"));
    }
}
