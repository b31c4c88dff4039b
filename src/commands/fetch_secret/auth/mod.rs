//! How podinit proves who it is: a table of login methods, one file each. A login makes a request
//! from files; it knows no server and no secrets.

mod approle;
mod cert;
mod claims;
mod file;
mod jwt;
mod kubernetes;
mod token;
mod userpass;

use std::fmt;
use std::path::PathBuf;

use rustify::Endpoint;

pub(super) use self::claims::Claims;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;

/// Where Kubernetes puts a Pod's token.
pub(super) const DEFAULT_JWT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Everything that the arguments say about the login.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) auth_path: Option<String>,
    pub(super) role: Option<String>,
    pub(super) jwt_file: Option<PathBuf>,
    pub(super) role_id_file: Option<PathBuf>,
    pub(super) secret_id_file: Option<PathBuf>,
    pub(super) secret_id_wrapped: bool,
    pub(super) username: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) token_file: Option<PathBuf>,
    pub(super) has_certificate: bool,
    /// For the token itself, and for HOME.
    pub(super) environment: Environment,
}

impl Given {
    /// The flags that belong to some login method, and whether each is given.
    fn flags(&self) -> [(&'static str, bool); 9] {
        [
            ("--auth-path", self.auth_path.is_some()),
            ("--role", self.role.is_some()),
            ("--jwt-file", self.jwt_file.is_some()),
            ("--role-id-file", self.role_id_file.is_some()),
            ("--secret-id-file", self.secret_id_file.is_some()),
            ("--secret-id-wrapped", self.secret_id_wrapped),
            ("--username", self.username.is_some()),
            ("--password-file", self.password_file.is_some()),
            ("--token-file", self.token_file.is_some()),
        ]
    }
}

/// One login method.
#[derive(Debug)]
pub(super) struct Method {
    /// The name in `--auth`, and of the mount unless `--auth-path` says otherwise.
    pub(super) name: &'static str,
    /// The flags that have a meaning for it.
    flags: &'static [&'static str],
    /// What it needs, for `--help`.
    pub(super) about: &'static str,
    /// Reads and checks what is given.
    prepare: fn(&Given) -> Result<Prepared, Failure>,
}

/// All methods, in the order of `--help`.
pub(super) const METHODS: &[Method] = &[
    kubernetes::METHOD,
    approle::METHOD,
    jwt::METHOD,
    userpass::METHOD,
    cert::METHOD,
    token::METHOD,
];

/// What is there to get a token with.
#[derive(Debug)]
pub(super) enum Prepared {
    /// A token that somebody else has made.
    Given(Secret),
    /// A login.
    Login(Box<dyn Login>),
}

/// A login that can be tried, again and again.
pub(super) trait Login: fmt::Debug + Send {
    /// Makes the request for the method's mount; files may be read again.
    fn request(&self, mount: &str) -> Result<Request, Failure>;

    /// As whom, for messages: ` as role app`.
    fn who(&self) -> String {
        String::new()
    }

    /// A bare `permission denied` may come from trouble of the server's own.
    fn is_ambiguous(&self) -> bool {
        false
    }

    /// A credential that is wrapped and has to be unwrapped first.
    fn wrapped(&self) -> Option<Wrapped> {
        None
    }

    /// Takes the credential that was unwrapped.
    fn unwrap(&mut self, _: Secret) {}
}

/// A response-wrapping token, and whose credential it has to hold.
#[derive(Debug)]
pub(super) struct Wrapped {
    pub(super) token: Secret,
    pub(super) role: Option<String>,
}

/// The request of a login.
#[derive(Debug)]
pub(super) struct Request {
    /// Behind `/v1/`, encoded.
    pub(super) path: String,
    pub(super) body: Secret,
    /// What no message may show.
    pub(super) credentials: Vec<Secret>,
    /// What the token says of itself, to explain a refusal.
    pub(super) claims: Option<Claims>,
}

/// The method of that name.
pub(super) fn named(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}

/// All names, for hints.
pub(super) fn names() -> String {
    let names: Vec<&str> = METHODS.iter().map(|method| method.name).collect();
    names.join(", ")
}

/// The method in force: the one asked for, else kubernetes if there is a token of its own, else token.
pub(super) fn choose(asked: Option<&'static Method>, given: &Given) -> &'static Method {
    let jwt = given.jwt_file.as_deref().unwrap_or(DEFAULT_JWT.as_ref());
    asked.unwrap_or(if jwt.exists() || given.jwt_file.is_some() {
        &kubernetes::METHOD
    } else {
        &token::METHOD
    })
}

impl Method {
    /// Refuses flags of other methods, then reads the files of this one.
    ///
    /// # Errors
    /// `Usage`.
    pub(super) fn prepare(&self, given: &Given) -> Result<Prepared, Failure> {
        let foreign = given
            .flags()
            .into_iter()
            .find(|(flag, is_given)| *is_given && !self.flags.contains(flag));
        if let Some((flag, _)) = foreign {
            let owners: Vec<&str> = METHODS
                .iter()
                .filter(|method| method.flags.contains(&flag))
                .map(|method| method.name)
                .collect();
            return Err(Failure::new(
                Kind::Usage,
                format!("{flag} is not a flag of --auth {}", self.name),
            )
            .hint(format!(
                "leave it out, or say --auth {}",
                owners.join(" or ")
            )));
        }
        (self.prepare)(given)
    }
}

/// What a method cannot do without.
fn required<'a, T>(value: Option<&'a T>, flag: &str, method: &Method) -> Result<&'a T, Failure> {
    value.ok_or_else(|| {
        Failure::new(Kind::Usage, format!("--auth {} needs {flag}", method.name))
            .hint(format!("give {flag}; {}", method.about))
    })
}

/// Path and body of one of vaultrs' typed logins. Its client is not used: see `wire`.
fn typed(login: &impl Endpoint) -> Result<(String, Secret), Failure> {
    let body = login
        .body()
        .map_err(|_| Failure::new(Kind::Bug, "the login could not be written as JSON"))?;
    let path = login.path().trim_start_matches('/').to_string();
    Ok((path, Secret::new(body.unwrap_or_default())))
}

/// A credential as text for a JSON string.
fn text(secret: &Secret) -> Result<String, Failure> {
    String::from_utf8(secret.expose().to_vec())
        .map_err(|_| Failure::new(Kind::Bug, "a credential is not UTF-8"))
}

#[cfg(test)]
pub(super) fn nothing_given() -> Given {
    Given {
        auth_path: None,
        role: None,
        jwt_file: None,
        role_id_file: None,
        secret_id_file: None,
        secret_id_wrapped: false,
        username: None,
        password_file: None,
        token_file: None,
        has_certificate: false,
        environment: Environment::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_method_is_found_and_refuses_the_flags_of_others() {
        assert_eq!(names(), "kubernetes, approle, jwt, userpass, cert, token");
        for method in METHODS {
            assert_eq!(named(method.name).unwrap().name, method.name);
            for (flag, _) in nothing_given().flags() {
                let all = Given {
                    auth_path: (flag == "--auth-path").then(|| "x".into()),
                    role: (flag == "--role").then(|| "x".into()),
                    jwt_file: (flag == "--jwt-file").then(|| "/x".into()),
                    role_id_file: (flag == "--role-id-file").then(|| "/x".into()),
                    secret_id_file: (flag == "--secret-id-file").then(|| "/x".into()),
                    secret_id_wrapped: flag == "--secret-id-wrapped",
                    username: (flag == "--username").then(|| "x".into()),
                    password_file: (flag == "--password-file").then(|| "/x".into()),
                    token_file: (flag == "--token-file").then(|| "/x".into()),
                    ..nothing_given()
                };
                let words = method
                    .prepare(&all)
                    .map_or_else(|failure| failure.to_string(), |_| String::new());
                let is_foreign = words.contains(&format!("{flag} is not a flag"));
                assert_eq!(
                    is_foreign,
                    !method.flags.contains(&flag),
                    "{} {flag}",
                    method.name
                );
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (name, flag) in [
            ("kubernetes", "--role"),
            ("approle", "--role-id-file"),
            ("userpass", "--username"),
            ("cert", "--client-cert"),
        ] {
            let failure = named(name).unwrap().prepare(&nothing_given()).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage);
            assert!(failure.to_string().contains(flag), "{failure}");
        }
        let failure = named("token")
            .unwrap()
            .prepare(&nothing_given())
            .unwrap_err();
        assert!(
            failure
                .mend()
                .unwrap()
                .contains("automountServiceAccountToken")
        );
    }
}
