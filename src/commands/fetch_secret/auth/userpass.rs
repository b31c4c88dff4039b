//! A user name and a password.

use vaultrs::api::auth::userpass::requests::LoginRequest;
use zeroize::Zeroize as _;

use super::file::password;
use super::{Given, Login, Method, Prepared, Request, required, text, typed};
use crate::base::failure::Failure;
use crate::base::secret::Secret;
use crate::commands::fetch_secret::spec::encode;

pub(super) const METHOD: Method = Method {
    name: "userpass",
    flags: &["--auth-path", "--username", "--password-file"],
    about: "--username and --password-file",
    prepare,
};

#[derive(Debug)]
struct UserPass {
    username: String,
    password: Secret,
}

fn prepare(given: &Given) -> Result<Prepared, Failure> {
    let username = required(given.username.as_ref(), "--username", &METHOD)?;
    let file = required(given.password_file.as_ref(), "--password-file", &METHOD)?;
    Ok(Prepared::Login(Box::new(UserPass {
        username: username.clone(),
        password: password(file, "--password-file")?,
    })))
}

impl Login for UserPass {
    fn request(&self, mount: &str) -> Result<Request, Failure> {
        let mut login = LoginRequest {
            mount: mount.to_string(),
            username: encode(&self.username),
            password: text(&self.password)?,
        };
        let written = typed(&login);
        login.password.zeroize();
        let (path, body) = written?;
        Ok(Request {
            path,
            body,
            claims: None,
            credentials: vec![self.password.clone()],
        })
    }

    fn who(&self) -> String {
        format!(" as user {}", self.username)
    }
}
