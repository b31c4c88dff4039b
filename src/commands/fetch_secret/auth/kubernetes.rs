//! The Pod's service account token, which the server shows to Kubernetes.

use std::path::PathBuf;

use vaultrs::api::auth::kubernetes::requests::LoginWithKubernetesRequest;
use zeroize::Zeroize as _;

use super::file::credential;
use super::{DEFAULT_JWT, Given, Login, Method, Prepared, Request, claims, required, text, typed};
use crate::base::failure::Failure;

pub(super) const METHOD: Method = Method {
    name: "kubernetes",
    flags: &["--auth-path", "--role", "--jwt-file"],
    about: "--role, and the token in --jwt-file",
    prepare,
};

#[derive(Debug)]
struct Kubernetes {
    role: String,
    jwt_file: PathBuf,
}

fn prepare(given: &Given) -> Result<Prepared, Failure> {
    let login = Kubernetes {
        role: required(given.role.as_ref(), "--role", &METHOD)?.clone(),
        jwt_file: given.jwt_file.clone().unwrap_or_else(|| DEFAULT_JWT.into()),
    };
    credential(&login.jwt_file, "--jwt-file")?;
    Ok(Prepared::Login(Box::new(login)))
}

impl Login for Kubernetes {
    fn request(&self, mount: &str) -> Result<Request, Failure> {
        // Read each time: the kubelet replaces it while podinit waits.
        let jwt = credential(&self.jwt_file, "--jwt-file")?;
        let mut login = LoginWithKubernetesRequest {
            mount: mount.to_string(),
            role: self.role.clone(),
            jwt: text(&jwt)?,
        };
        let written = typed(&login);
        login.jwt.zeroize();
        let (path, body) = written?;
        Ok(Request {
            path,
            body,
            claims: Some(claims::read(&jwt)),
            credentials: vec![jwt],
        })
    }

    fn who(&self) -> String {
        format!(" as role {}", self.role)
    }

    fn is_ambiguous(&self) -> bool {
        true
    }
}
