//! Logins to databases: one connection by the driver, over a wire of podinit's own.

pub(super) mod mysql;
pub(super) mod postgres;
mod relay;

use super::setup::{Password, Setup};
use super::target::Target;
use super::verdict::Cause;
use crate::base::failure::{Failure, Kind};
use crate::base::http::tls_trouble;

/// Whom to log in as.
fn user(target: &Target) -> Result<String, Failure> {
    target.user.clone().ok_or_else(|| {
        target.wrong(
            "--sql logs in, and the target names no user",
            format!("write {}", target.protocol.example),
        )
    })
}

/// The password as the drivers want it.
fn password(target: &Target, setup: &Setup<'_>) -> Result<Option<(String, Password)>, Failure> {
    let Some(password) = &setup.password else {
        return Ok(None);
    };
    match std::str::from_utf8(password.secret.expose()) {
        Ok(text) if !text.contains('\0') => Ok(Some((text.to_string(), password.clone()))),
        _ => Err(target.wrong(
            "the password is not UTF-8, or holds a NUL",
            "correct the Secret",
        )),
    }
}

fn source_of(password: Option<&(String, Password)>) -> String {
    match password {
        Some((_, password)) => format!("the password came from {}", password.source),
        None => "no password was given: --password-file or --password-env".to_string(),
    }
}

/// A connection that ended, or an answer that is none.
fn broken(error: &sqlx::Error, protocol: &str) -> super::verdict::Unready {
    match error {
        sqlx::Error::Io(error) => match tls_trouble(error) {
            Some(distrust) => distrust.into(),
            None => Cause::new(format!(
                "connected, then closed before the end of a {protocol} login: {error}"
            ))
            .hint("a mesh proxy accepts for a dead upstream, or the server is starting or stopping")
            .into(),
        },
        sqlx::Error::Tls(error) => {
            let is_distrust = error
                .downcast_ref::<rustls::Error>()
                .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)));
            if is_distrust {
                Failure::new(
                    Kind::Denied,
                    format!("the server's certificate is not trusted: {error}"),
                )
                .hint("give the authority's certificate with --ca-file")
                .into()
            } else {
                Cause::new(format!("no TLS: {error}")).into()
            }
        }
        sqlx::Error::Protocol(words) => Cause::new(format!("not {protocol}: {words}")).into(),
        other => Cause::new(format!("no {protocol} login: {other}")).into(),
    }
}
