//! The client certificate of the TLS connection.

use serde::Serialize;

use super::{Given, Login, Method, Prepared, Request};
use crate::base::failure::{Failure, Kind};
use crate::base::secret::Secret;

pub(super) const METHOD: Method = Method {
    name: "cert",
    flags: &["--auth-path", "--role"],
    about: "--client-cert and --client-key; --role names one certificate role",
    prepare,
};

#[derive(Debug)]
struct Certificate {
    role: Option<String>,
}

/// vaultrs calls the field `cert_name`, which the server ignores.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

fn prepare(given: &Given) -> Result<Prepared, Failure> {
    if !given.has_certificate {
        return Err(Failure::new(
            Kind::Usage,
            "--auth cert needs --client-cert and --client-key",
        )
        .hint("give both, as PEM files"));
    }
    Ok(Prepared::Login(Box::new(Certificate {
        role: given.role.clone(),
    })))
}

impl Login for Certificate {
    fn request(&self, mount: &str) -> Result<Request, Failure> {
        let body = Body {
            name: self.role.as_deref(),
        };
        let body = serde_json::to_vec(&body)
            .map_err(|_| Failure::new(Kind::Bug, "the login could not be written as JSON"))?;
        Ok(Request {
            path: format!("auth/{mount}/login"),
            body: Secret::new(body),
            claims: None,
            credentials: Vec::new(),
        })
    }

    fn who(&self) -> String {
        self.role
            .as_ref()
            .map_or_else(String::new, |role| format!(" as role {role}"))
    }
}
