//! AWS: which credentials, which region, and a client of S3 made of them. The SDK signs and addresses;
//! connections are `base::http`'s, retries the caller's.

mod clock;
mod container;
mod door;
mod keyring;
mod origin;

use std::rc::Rc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use http::Response;

pub use self::clock::Clock;
pub use self::door::{Door, Errand, Outcome};
pub use self::keyring::Keyring;
use self::origin::Profiles;
use super::environment::Environment;
use super::failure::{Failure, Kind};
use super::text::{cut, one_line};

/// The region of whoever names none.
const DEFAULT_REGION: &str = "us-east-1";

/// This much of a refusal is passed on; bytes.
const MAX_WORDS: usize = 200;

/// How the store is found and who asks.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Instead of Amazon's own.
    pub endpoint: Option<String>,
    /// Beats the environment's.
    pub region: Option<String>,
    /// Beats the environment's, and its keys.
    pub profile: Option<String>,
    /// The bucket stands in the path.
    pub in_path: bool,
    /// No credentials are sent.
    pub anonymous: bool,
}

/// A store of S3, and how to ask it.
#[derive(Debug)]
pub struct Store {
    wish: Wish,
    region: String,
    keyring: Option<Rc<Keyring>>,
    clock: Clock,
    door: Door,
}

impl Store {
    /// Chooses region and credentials; nothing is asked yet.
    ///
    /// # Errors
    /// `Usage` for variables, files and profiles that cannot be used.
    pub fn new(wish: Wish, environment: &Environment, door: Door) -> Result<Self, Failure> {
        let profiles = Profiles::read(environment, wish.profile.as_deref())?;
        let variable = |name| environment.get(name).and_then(|value| value.to_str());
        let region = wish
            .region
            .clone()
            .or_else(|| variable("AWS_REGION").map(str::to_string))
            .or_else(|| variable("AWS_DEFAULT_REGION").map(str::to_string))
            .or_else(|| profiles.region())
            .unwrap_or_else(|| DEFAULT_REGION.to_string());
        let clock = Clock::default();
        let keyring = if wish.anonymous {
            None
        } else {
            let keyring = Keyring::new(environment, &profiles, &region, &door, &clock)?;
            Some(Rc::new(keyring))
        };
        Ok(Self {
            wish,
            region,
            keyring,
            clock,
            door,
        })
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The clock that requests are signed with.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sees to it that there are credentials which last. Call it before every request.
    ///
    /// # Errors
    /// As `Keyring::ready`.
    pub async fn ready(&self) -> Result<(), Failure> {
        match &self.keyring {
            Some(keyring) => keyring.ready().await,
            None => Ok(()),
        }
    }

    /// Lets go of credentials that the store calls expired; whether there are others to hope for.
    pub fn forget(&self) -> bool {
        if let Some(keyring) = &self.keyring {
            keyring.forget();
        }
        self.keyring.is_some()
    }

    /// A client for buckets of `region`. One attempt each, and nothing of a body is looked at: the SDK
    /// would compare a range with the checksum of the whole, and call a slow disk a stalled server.
    pub fn client(&self, region: &str) -> Client {
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version_latest()
            .http_client(self.door.clone())
            .region(Region::new(region.to_string()))
            .time_source(self.clock.clone())
            .disable_clock_skew_correction(Some(true))
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .identity_cache(IdentityCache::no_cache())
            .force_path_style(self.wish.in_path);
        if let Some(endpoint) = &self.wish.endpoint {
            config = config.endpoint_url(endpoint);
        }
        config = match &self.keyring {
            Some(keyring) => config.credentials_provider(keyring.provider()),
            None => config.allow_no_auth(),
        };
        Client::from_conf(config.build())
    }
}

/// What an answer that should hold credentials says instead; `None` for a success.
fn refused(answer: &Response<Vec<u8>>) -> Option<Failure> {
    let status = answer.status();
    if status.is_success() {
        return None;
    }
    let kind = match status.as_u16() {
        400 | 401 | 403 => Kind::Denied,
        // The agent may be up before it knows the Pod.
        _ => Kind::Unavailable,
    };
    let text = String::from_utf8_lossy(answer.body());
    let words = cut(&one_line(text.trim()), MAX_WORDS);
    Some(Failure::new(kind, format!("{}: {words}", status.as_u16())))
}

#[cfg(test)]
mod tests;
