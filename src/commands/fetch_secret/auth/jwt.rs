//! A JWT of any issuer that the server knows.

use std::path::PathBuf;

use serde::Serialize;

use super::file::credential;
use super::{DEFAULT_JWT, Given, Login, Method, Prepared, Request, claims, text};
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;

pub(super) const METHOD: Method = Method {
    name: "jwt",
    flags: &["--auth-path", "--role", "--jwt-file"],
    about: "the token in --jwt-file; --role unless the mount has a default",
    prepare,
};

#[derive(Debug)]
struct Jwt {
    role: Option<String>,
    jwt_file: PathBuf,
}

/// vaultrs has no request for this one.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    jwt: zeroize::Zeroizing<String>,
}

fn prepare(given: &Given) -> Result<Prepared, Failure> {
    let login = Jwt {
        role: given.role.clone(),
        jwt_file: given.jwt_file.clone().unwrap_or_else(|| DEFAULT_JWT.into()),
    };
    credential(&login.jwt_file, "--jwt-file")?;
    Ok(Prepared::Login(Box::new(login)))
}

impl Login for Jwt {
    fn request(&self, mount: &str) -> Result<Request, Failure> {
        let jwt = credential(&self.jwt_file, "--jwt-file")?;
        let body = Body {
            role: self.role.as_deref(),
            jwt: zeroize::Zeroizing::new(text(&jwt)?),
        };
        let body = serde_json::to_vec(&body)
            .map_err(|_| Failure::new(Kind::Bug, "the login could not be written as JSON"))?;
        Ok(Request {
            path: format!("auth/{mount}/login"),
            body: Secret::new(body),
            claims: Some(claims::read(&jwt)),
            credentials: vec![jwt],
        })
    }

    fn who(&self) -> String {
        self.role
            .as_ref()
            .map_or_else(String::new, |role| format!(" as role {role}"))
    }
}
