//! The stores, opened with what flags and environment say of them. Nothing is asked of them yet.

use std::rc::Rc;

use super::args::{self, Flags};
use super::location::{Location, Store};
use super::source::{self, AzureOptions, GcsOptions, HttpOptions, Reach, S3Options, Source};
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};
use crate::base::http::Roots;

/// How each kind of store is reached.
#[derive(Debug)]
pub(super) struct Access {
    s3: S3Options,
    gcs: GcsOptions,
    azure: AzureOptions,
    http: HttpOptions,
    reach: Reach,
}

impl Access {
    /// Reads the secret files, and the variables that hold for one store only.
    ///
    /// # Errors
    /// `Usage`.
    pub(super) fn read(flags: &Flags, environment: Environment) -> Result<Self, Failure> {
        let endpoint = |names: &[&str]| match &flags.endpoint_url {
            Some(url) => Ok(Some(url.clone())),
            None => named(&environment, names),
        };
        let emulator = named(&environment, &["STORAGE_EMULATOR_HOST"])?;
        Ok(Self {
            s3: S3Options {
                endpoint: endpoint(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])?,
                region: flags.region.clone(),
                path_style: flags.path_style,
                anonymous: flags.anonymous,
                request_payer: flags.request_payer,
                profile: flags.profile.clone(),
            },
            gcs: GcsOptions {
                // Whoever talks to an emulator has no credentials to show.
                anonymous: flags.anonymous || (flags.endpoint_url.is_none() && emulator.is_some()),
                endpoint: flags.endpoint_url.clone().or(emulator),
            },
            azure: AzureOptions {
                endpoint: flags.endpoint_url.clone(),
                sas_token_file: flags.sas_token_file.clone(),
            },
            http: HttpOptions::read(
                flags.header_file.as_deref(),
                flags.basic_auth_file.as_deref(),
            )?,
            reach: Reach {
                roots: match flags.ca_file.as_slice() {
                    [] => Roots::System,
                    files => Roots::Files(files.to_vec()),
                },
                environment,
                patience: flags.stall_timeout,
            },
        })
    }

    /// The store of a SOURCE.
    ///
    /// # Errors
    /// `Usage` for credentials that cannot be read.
    pub(super) fn open(&self, location: &Location) -> Result<Rc<dyn Source>, Failure> {
        match &location.store {
            Store::S3 { bucket } => source::open_s3(bucket, self.s3.clone(), &self.reach),
            Store::Gcs { bucket } => source::open_gcs(bucket, self.gcs.clone(), &self.reach),
            Store::Azure { account, container } => {
                source::open_azure(account, container, self.azure.clone(), &self.reach)
            }
            Store::Http { address, .. } => {
                source::open_http(address.clone(), self.http.clone(), &self.reach)
            }
        }
    }

    /// The store of something that is fetched beside the SOURCEs: secrets for an HTTP server go to their
    /// origins only.
    ///
    /// # Errors
    /// As `open`.
    pub(super) fn open_beside(
        &self,
        location: &Location,
        sources: &[&Location],
    ) -> Result<Rc<dyn Source>, Failure> {
        let is_known = location
            .origin()
            .is_none_or(|origin| sources.iter().any(|source| source.origin() == Some(origin)));
        match &location.store {
            Store::Http { address, .. } if !is_known => {
                source::open_http(address.clone(), HttpOptions::default(), &self.reach)
            }
            _ => self.open(location),
        }
    }

    /// Where it is asked for, if not at the provider's.
    pub(super) fn endpoint(&self, location: &Location) -> Option<&str> {
        match &location.store {
            Store::S3 { .. } => self.s3.endpoint.as_deref(),
            Store::Gcs { .. } => self.gcs.endpoint.as_deref(),
            Store::Azure { .. } => self.azure.endpoint.as_deref(),
            Store::Http { .. } => None,
        }
    }
}

/// The endpoint that the first of these variables names; without a scheme it speaks plain HTTP.
fn named(environment: &Environment, names: &[&str]) -> Result<Option<String>, Failure> {
    let Some((name, value)) = names
        .iter()
        .find_map(|name| Some((name, environment.get(name)?)))
    else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let text = if text.contains("://") {
        text.to_string()
    } else {
        format!("http://{text}")
    };
    args::endpoint(&text).map(Some).map_err(|bad| {
        Failure::new(Kind::Usage, format!("the variable {name}: {}", bad.reason)).hint(bad.hint)
    })
}
