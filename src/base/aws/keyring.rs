//! The credentials in force: asked for when they are needed, kept while they last, asked for again
//! before they end or when a store calls them expired.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_s3::config::Region;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_smithy_async::time::TimeSource as _;
use tokio::sync::Mutex as Turn;

use super::clock::Clock;
use super::door::{Door, Outcome};
use super::origin::{Origin, Profiles, choose, tried};
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};

/// Credentials with less time left than this are renewed, or with a quarter of their life.
const MARGIN: Duration = Duration::from_mins(5);

/// One answer of whoever gives credentials.
const MAX_ANSWER: Duration = Duration::from_secs(10);

/// How long a place that is only a guess is tried.
const MAX_GUESS: Duration = Duration::from_secs(3);

/// One answer of a guess.
const MAX_GUESS_ANSWER: Duration = Duration::from_secs(1);

/// Makes the credentials of one place.
#[derive(Debug)]
enum Maker {
    /// They are given.
    Given(Credentials),
    /// The SDK's own provider behind a door.
    Sdk(Box<dyn ProvideCredentials>, Door),
    Container(super::container::Endpoint, Door),
    None,
}

#[derive(Debug)]
struct Current {
    credentials: Credentials,
    since: SystemTime,
}

/// Shared by all requests of one source.
#[derive(Debug)]
pub struct Keyring {
    origin: Origin,
    maker: Maker,
    clock: Clock,
    /// Where else it was looked, for a message.
    tried: String,
    current: Arc<Mutex<Option<Current>>>,
    /// One request for credentials at a time.
    turn: Turn<()>,
}

impl Keyring {
    pub(super) fn new(
        environment: &Environment,
        profiles: &Profiles,
        region: &str,
        door: &Door,
        clock: &Clock,
    ) -> Result<Self, Failure> {
        let origin = choose(environment, profiles)?;
        let config = |door: &Door| {
            ProviderConfig::without_region()
                .with_region(Some(Region::new(region.to_string())))
                .with_http_client(door.clone())
                .with_time_source(clock.clone())
                .with_retry_config(RetryConfig::disabled())
        };
        let maker = match &origin {
            Origin::Variables => Maker::Given(variables(environment)),
            Origin::Profile(name) => {
                // A profile may lead to the container's or the instance's credentials.
                let hosts = ["169.254.169.254", "169.254.170.2", "169.254.170.23"];
                let hosts = hosts.iter().map(ToString::to_string).collect();
                let door = door.for_credentials(hosts, MAX_ANSWER);
                let provider = ProfileFileCredentialsProvider::builder()
                    .configure(&config(&door))
                    .profile_name(name)
                    .profile_files(profiles.files.clone())
                    .build();
                Maker::Sdk(Box::new(provider), door)
            }
            Origin::WebIdentity {
                file,
                role,
                session,
            } => {
                let door = door.for_credentials(Vec::new(), MAX_ANSWER);
                let provider = WebIdentityTokenCredentialsProvider::builder()
                    .configure(&config(&door))
                    .static_configuration(StaticConfiguration {
                        web_identity_token_file: file.clone(),
                        role_arn: role.clone(),
                        session_name: session.clone(),
                    })
                    .build();
                Maker::Sdk(Box::new(provider), door)
            }
            Origin::Container(endpoint) => Maker::Container(endpoint.clone(), door.clone()),
            Origin::Instance { url, is_named } => {
                let limit = if *is_named {
                    MAX_ANSWER
                } else {
                    MAX_GUESS_ANSWER
                };
                let host = url
                    .parse::<http::Uri>()
                    .ok()
                    .and_then(|uri| uri.host().map(str::to_string));
                let door = door.for_credentials(host.into_iter().collect(), limit);
                let client = imds::Client::builder()
                    .configure(&config(&door))
                    .max_attempts(if *is_named { 1 } else { 3 })
                    .endpoint(url)
                    .map_err(|_| {
                        Failure::new(
                            Kind::Usage,
                            "AWS_EC2_METADATA_SERVICE_ENDPOINT is not a URL",
                        )
                    })?
                    .build();
                let provider = ImdsCredentialsProvider::builder()
                    .configure(&config(&door))
                    .imds_client(client)
                    .build();
                Maker::Sdk(Box::new(provider), door)
            }
            Origin::Nowhere => Maker::None,
        };
        Ok(Self {
            tried: tried(environment, profiles),
            origin,
            maker,
            clock: clock.clone(),
            current: Arc::default(),
            turn: Turn::new(()),
        })
    }

    /// Sees to it that there are credentials which last.
    ///
    /// # Errors
    /// `Unavailable` for a place that was named and does not answer yet, `Denied` where credentials are
    /// refused or nowhere to be found, `Usage` for a profile that cannot be used.
    pub async fn ready(&self) -> Result<(), Failure> {
        if self.lasts() {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        if self.lasts() {
            return Ok(());
        }
        match self.make().await {
            Ok(credentials) => {
                let since = self.clock.now();
                *self.hold() = Some(Current { credentials, since });
                Ok(())
            }
            // What is there is good for a while yet.
            Err(_) if self.is_valid() => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Lets go of credentials that a store calls expired.
    pub fn forget(&self) {
        *self.hold() = None;
    }

    /// What the SDK asks for credentials.
    pub(super) fn provider(&self) -> Held {
        Held(Arc::clone(&self.current))
    }

    fn hold(&self) -> std::sync::MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lasts(&self) -> bool {
        self.hold()
            .as_ref()
            .is_some_and(|current| lasts(current, self.clock.now()))
    }

    fn is_valid(&self) -> bool {
        let now = self.clock.now();
        self.hold()
            .as_ref()
            .is_some_and(|current| current.credentials.expiry().is_none_or(|end| now < end))
    }

    async fn make(&self) -> Result<Credentials, Failure> {
        match &self.maker {
            Maker::Given(credentials) => Ok(credentials.clone()),
            Maker::None => Err(self.nowhere("no other place to look")),
            Maker::Container(endpoint, door) => endpoint
                .ask(door.straight(), MAX_ANSWER)
                .await
                .map_err(|failure| self.explain(failure)),
            Maker::Sdk(provider, door) => {
                if let Origin::WebIdentity { file, .. } = &self.origin {
                    std::fs::metadata(file).map_err(|error| {
                        Failure::new(Kind::Denied, error.to_string())
                            .context(format!("read the token {}", file.display()))
                            .hint("mount the service account token that the role's annotation promises")
                    })?;
                }
                if !matches!(
                    self.origin,
                    Origin::Instance {
                        is_named: false,
                        ..
                    }
                ) {
                    let result = provider.provide_credentials().await;
                    return result.map_err(|error| self.explain(why(&error, door.witnessed())));
                }
                match tokio::time::timeout(MAX_GUESS, provider.provide_credentials()).await {
                    Ok(Ok(credentials)) => Ok(credentials),
                    Ok(Err(error)) => Err(self.nowhere(&why(&error, door.witnessed()).to_string())),
                    Err(_) => Err(self.nowhere(&format!(
                        "no answer within {:.0} s",
                        MAX_GUESS.as_secs_f64()
                    ))),
                }
            }
        }
    }

    /// Says that it is credentials that are waited for, and whose.
    fn explain(&self, failure: Failure) -> Failure {
        let place = match &self.origin {
            Origin::Variables | Origin::Nowhere => "the environment".to_string(),
            Origin::Profile(name) => format!("the profile `{name}`"),
            Origin::WebIdentity { role, .. } => format!("STS for the role {role}"),
            Origin::Container(endpoint) => format!("the container's agent at {}", endpoint.uri),
            Origin::Instance { url, .. } => format!("the instance's metadata at {url}"),
        };
        let is_waited_for = failure.kind() == Kind::Unavailable;
        let failure = failure.context(format!("get credentials from {place}"));
        if is_waited_for {
            failure.hint("the agent that gives credentials may start after the Pod; it is waited for until --timeout")
        } else if failure.mend().is_none() {
            failure.hint("check the role, its trust policy and the service account")
        } else {
            failure
        }
    }

    /// Nobody gave any.
    fn nowhere(&self, last: &str) -> Failure {
        let instance = match &self.origin {
            Origin::Instance { url, .. } => format!("; instance metadata at {url}: {last}"),
            _ => String::new(),
        };
        Failure::new(Kind::Denied, format!("{}{instance}", self.tried))
            .context("no credentials of AWS")
            .hint("give the Pod a role or keys, or say --anonymous for a public bucket")
    }
}

fn lasts(current: &Current, now: SystemTime) -> bool {
    let Some(end) = current.credentials.expiry() else {
        return true;
    };
    let life = end.duration_since(current.since).unwrap_or_default();
    now + MARGIN.min(life / 4) < end
}

fn variables(environment: &Environment) -> Credentials {
    let text = |name: &str| environment.get(name).and_then(|value| value.to_str());
    Credentials::new(
        text("AWS_ACCESS_KEY_ID").unwrap_or_default(),
        text("AWS_SECRET_ACCESS_KEY").unwrap_or_default(),
        text("AWS_SESSION_TOKEN").map(str::to_string),
        None,
        "environment",
    )
}

/// The evidence on the wire goes before the SDK's words.
fn why(error: &CredentialsError, outcome: Option<Outcome>) -> Failure {
    match (error, outcome) {
        (_, Some(Outcome::Failed(failure))) => failure,
        (CredentialsError::InvalidConfiguration(_), _) => Failure::new(Kind::Usage, chain(error))
            .hint("use keys, a role with a web identity, or Pod Identity"),
        (_, Some(Outcome::Whole(answer))) => {
            super::refused(&answer).unwrap_or_else(|| Failure::new(Kind::Unavailable, chain(error)))
        }
        (CredentialsError::ProviderTimedOut(_), _) => Failure::new(Kind::Unavailable, chain(error)),
        _ => Failure::new(Kind::Denied, chain(error)),
    }
}

/// An error of the SDK with its causes. No credential is part of them.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The credentials as the SDK asks for them: those that are there.
#[derive(Debug)]
pub(super) struct Held(Arc<Mutex<Option<Current>>>);

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        future::ProvideCredentials::ready(match held.as_ref() {
            Some(current) => Ok(current.credentials.clone()),
            None => Err(CredentialsError::not_loaded("nobody has asked for them")),
        })
    }
}
