//! What probes are made from: the checked arguments, before anything is sent.

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use http::Method;
use hyper_util::client::proxy::matcher::Matcher;
use regex::bytes::Regex;
use rustls::ClientConfig;

use super::args::Header;
use super::attempt::Endpoint;
use super::json::JsonCheck;
use super::status::StatusList;
use super::target::Target;
use super::verdict::Goal;
use crate::base::environment::Environment;
use crate::base::failure::Failure;
use crate::base::http::{Check, Roots, Trust, tls_config};
use crate::base::secret::Secret;

/// What an http(s) answer has to be, and how it is asked for.
#[derive(Debug)]
pub(super) struct HttpChecks {
    pub(super) status: StatusList,
    pub(super) fatal: Option<StatusList>,
    pub(super) method: Method,
    pub(super) headers: Vec<Header>,
    pub(super) body_regex: Option<Regex>,
    pub(super) json: Vec<JsonCheck>,
}

/// A password, and where it came from.
#[derive(Debug, Clone)]
pub(super) struct Password {
    pub(super) secret: Secret,
    /// `the file /secrets/db`
    pub(super) source: String,
}

/// What all probes of a run are made from.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    /// That of the target at hand.
    pub(super) password: Option<Password>,
    pub(super) http: Arc<HttpChecks>,
    pub(super) sql: Option<String>,
    pub(super) goal: Goal,
    pub(super) tls: Arc<Tls>,
    pub(super) proxies: &'a Matcher,
    pub(super) service_account: &'a Path,
    pub(super) environment: &'a Environment,
    /// What may surprise, to be logged once.
    pub(super) warnings: &'a RefCell<Vec<String>>,
}

impl Setup<'_> {
    /// Where a target of host and port is, encrypted if its scheme says so.
    ///
    /// # Errors
    /// `Usage` for roots that cannot be read.
    pub(super) fn endpoint(&self, target: &Target) -> Result<Endpoint, Failure> {
        Ok(Endpoint {
            host: target.host.clone(),
            port: target.port,
            tls: self.tls_of(target, &[])?,
        })
    }

    /// How a target is encrypted whose scheme says so.
    ///
    /// # Errors
    /// `Usage` for roots that cannot be read.
    pub(super) fn tls_of(
        &self,
        target: &Target,
        protocols: &[&[u8]],
    ) -> Result<Option<Arc<ClientConfig>>, Failure> {
        let make = || self.tls.config(Check::Full, protocols);
        target.scheme.is_tls.then(make).transpose()
    }

    /// Notes what may surprise.
    pub(super) fn warn(&self, words: String) {
        self.warnings.borrow_mut().push(words);
    }
}

/// TLS, set up by the first who needs it: reading the system's roots takes milliseconds.
#[derive(Debug)]
pub(super) struct Tls {
    roots: Roots,
    pub(super) is_unchecked: bool,
    trust: OnceLock<Trust>,
    made: Mutex<Vec<Made>>,
}

/// One configuration serves all connections of its kind.
#[derive(Debug)]
struct Made {
    check: Check,
    protocols: Vec<Vec<u8>>,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the roots at once if they are somebody's choice.
    ///
    /// # Errors
    /// `Usage` for files that cannot be read, or hold no certificate.
    pub(super) fn new(roots: Roots, is_unchecked: bool) -> Result<Self, Failure> {
        let is_chosen = roots != Roots::System;
        let tls = Self {
            roots,
            is_unchecked,
            trust: OnceLock::new(),
            made: Mutex::default(),
        };
        if is_chosen {
            tls.trust()?;
        }
        Ok(tls)
    }

    /// The roots that are somebody's choice.
    pub(super) fn own_roots(&self) -> Option<&Path> {
        match &self.roots {
            Roots::System => None,
            Roots::Path(path) => Some(path),
        }
    }

    fn trust(&self) -> Result<Option<&Trust>, Failure> {
        if self.trust.get().is_none() {
            let _ = self.trust.set(Trust::read(&self.roots)?);
        }
        Ok(self.trust.get())
    }

    /// The configuration for a protocol's connections.
    ///
    /// # Errors
    /// `Usage` for roots that cannot be read.
    pub(super) fn config(
        &self,
        check: Check,
        protocols: &[&[u8]],
    ) -> Result<Arc<ClientConfig>, Failure> {
        let check = if self.is_unchecked {
            Check::Nothing
        } else {
            check
        };
        let known = |made: &&Made| made.check == check && made.protocols == protocols;
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = all.iter().find(known) {
            return Ok(Arc::clone(&made.config));
        }
        let trust = match check {
            Check::Nothing => None,
            Check::Full | Check::Chain => self.trust()?,
        };
        let config = tls_config(trust, check, protocols)?;
        all.push(Made {
            check,
            protocols: protocols.iter().map(|name| name.to_vec()).collect(),
            config: Arc::clone(&config),
        });
        Ok(config)
    }
}
