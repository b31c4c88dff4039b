//! A role ID and a secret ID, which may come wrapped.

use vaultrs::api::auth::approle::requests::LoginWithApproleRequest;
use zeroize::Zeroize as _;

use super::file::credential;
use super::{Given, Login, Method, Prepared, Request, Wrapped, required, text, typed};
use crate::base::failure::Failure;
use crate::base::secret::Secret;

pub(super) const METHOD: Method = Method {
    name: "approle",
    flags: &[
        "--auth-path",
        "--role",
        "--role-id-file",
        "--secret-id-file",
        "--secret-id-wrapped",
    ],
    about: "--role-id-file and --secret-id-file",
    prepare,
};

#[derive(Debug)]
struct AppRole {
    role_id: Secret,
    secret_id: Secret,
    /// The secret ID is a wrapping token still.
    is_wrapped: bool,
    role: Option<String>,
}

fn prepare(given: &Given) -> Result<Prepared, Failure> {
    let role_id = required(given.role_id_file.as_ref(), "--role-id-file", &METHOD)?;
    let secret_id = required(given.secret_id_file.as_ref(), "--secret-id-file", &METHOD)?;
    Ok(Prepared::Login(Box::new(AppRole {
        role_id: credential(role_id, "--role-id-file")?,
        secret_id: credential(secret_id, "--secret-id-file")?,
        is_wrapped: given.secret_id_wrapped,
        role: given.role.clone(),
    })))
}

impl Login for AppRole {
    fn request(&self, mount: &str) -> Result<Request, Failure> {
        let mut login = LoginWithApproleRequest {
            mount: mount.to_string(),
            role_id: text(&self.role_id)?,
            secret_id: text(&self.secret_id)?,
        };
        let written = typed(&login);
        login.role_id.zeroize();
        login.secret_id.zeroize();
        let (path, body) = written?;
        Ok(Request {
            path,
            body,
            claims: None,
            credentials: vec![self.role_id.clone(), self.secret_id.clone()],
        })
    }

    fn who(&self) -> String {
        self.role
            .as_ref()
            .map_or_else(String::new, |role| format!(" as role {role}"))
    }

    fn wrapped(&self) -> Option<Wrapped> {
        self.is_wrapped.then(|| Wrapped {
            token: self.secret_id.clone(),
            role: self.role.clone(),
        })
    }

    fn unwrap(&mut self, secret_id: Secret) {
        self.secret_id = secret_id;
        self.is_wrapped = false;
    }
}
