//! Where the credentials come from: the first place that the environment names. Pure, but for the
//! profile files, which the SDK reads.

use std::path::{Path, PathBuf};

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use futures_util::FutureExt as _;

use super::container::Endpoint;
use crate::base::environment::Environment;
use crate::base::failure::{Failure, Kind};

/// Where instance metadata is, if nobody says otherwise.
pub(super) const INSTANCE: &str = "http://169.254.169.254";

/// The same in an IPv6 subnet.
const INSTANCE_V6: &str = "http://[fd00:ec2::254]";

/// One place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// `AWS_ACCESS_KEY_ID` and its companions.
    Variables,
    /// A profile of the files.
    Profile(String),
    /// A token in a file, exchanged for a role's credentials.
    WebIdentity {
        file: PathBuf,
        role: String,
        session: String,
    },
    /// The agent beside the container.
    Container(Endpoint),
    /// The metadata of the instance.
    Instance { url: String, is_named: bool },
    /// Nothing, not even a guess.
    Nowhere,
}

/// The profile files, read.
#[derive(Debug)]
pub(super) struct Profiles {
    pub(super) files: EnvConfigFiles,
    set: ProfileSet,
    /// The profile that was asked for, by a flag or a variable.
    asked: Option<String>,
    /// By a flag: then it goes before the keys in the environment.
    is_first: bool,
}

impl Profiles {
    /// Reads the files that the variables name, else those in the home directory.
    ///
    /// # Errors
    /// `Usage` for files that are none, and a profile that is not in them.
    pub(super) fn read(environment: &Environment, flag: Option<&str>) -> Result<Self, Failure> {
        let home = environment.get("HOME").map(PathBuf::from);
        let place = |variable: &str, name: &str| {
            let named = environment.get(variable).map(PathBuf::from);
            named.or_else(|| home.as_ref().map(|home| home.join(name)))
        };
        let mut files = EnvConfigFiles::builder();
        for (kind, variable, name) in [
            (EnvConfigFileKind::Config, "AWS_CONFIG_FILE", ".aws/config"),
            (
                EnvConfigFileKind::Credentials,
                "AWS_SHARED_CREDENTIALS_FILE",
                ".aws/credentials",
            ),
        ] {
            files = match place(variable, name).filter(|path| path.exists()) {
                Some(path) => files.with_file(kind, path),
                // The builder panics without a single file.
                None => files.with_contents(kind, ""),
            };
        }
        let files = files.build();
        let variable = environment
            .get("AWS_PROFILE")
            .and_then(|name| name.to_str());
        let asked = flag.or(variable).map(str::to_string);
        let name = asked.clone().unwrap_or_else(|| "default".to_string());
        // The files are read at once: nothing in it waits.
        let set = aws_config::profile::load(
            &Fs::real(),
            &Env::from_slice(&[]),
            &files,
            Some(name.into()),
        )
        .now_or_never()
        .ok_or_else(|| Failure::new(Kind::Bug, "the SDK waits for a file"))?
        .map_err(|error| {
            Failure::caused_by(Kind::Usage, error).context("read the profiles of AWS")
        })?;
        let profiles = Self {
            files,
            is_first: flag.is_some() && flag != variable,
            asked,
            set,
        };
        profiles.check()?;
        Ok(profiles)
    }

    fn check(&self) -> Result<(), Failure> {
        let name = self.set.selected_profile();
        let Some(profile) = self.set.get_profile(name) else {
            return match &self.asked {
                None => Ok(()),
                Some(name) => Err(Failure::new(
                    Kind::Usage,
                    format!("there is no profile `{name}`"),
                )
                .hint("mount ~/.aws or set AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE")),
            };
        };
        let unsupported = [
            ("sso_session", "SSO"),
            ("sso_start_url", "SSO"),
            ("login_session", "a login session"),
            ("credential_process", "a process"),
        ];
        let has_keys = ["aws_access_key_id", "role_arn"]
            .iter()
            .any(|key| profile.get(key).is_some());
        let needs = unsupported
            .iter()
            .find(|(key, _)| profile.get(key).is_some());
        match needs {
            Some((key, what)) if !has_keys => Err(Failure::new(
                Kind::Usage,
                format!("the profile `{name}` needs {what} ({key}), which is not supported"),
            )
            .hint("use keys, a role with a web identity, or Pod Identity")),
            _ => Ok(()),
        }
    }

    /// The region of the profile.
    pub(super) fn region(&self) -> Option<String> {
        self.set.get("region").map(str::to_string)
    }

    /// The profile, if it leads to credentials.
    fn with_credentials(&self) -> Option<String> {
        const LEADS: [&str; 4] = [
            "aws_access_key_id",
            "role_arn",
            "credential_source",
            "source_profile",
        ];
        LEADS
            .iter()
            .any(|key| self.set.get(key).is_some())
            .then(|| self.set.selected_profile().to_string())
    }
}

/// The first place that is named; the instance is the last, and only a guess.
///
/// # Errors
/// `Usage` for half of a pair of variables, and for an endpoint that must not be asked.
pub(super) fn choose(environment: &Environment, profiles: &Profiles) -> Result<Origin, Failure> {
    let text = |name: &str| environment.get(name).and_then(|value| value.to_str());
    let pair = |one: &'static str, other: &'static str| match (text(one), text(other)) {
        (Some(one), Some(other)) => Ok(Some((one, other))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(half(one, other)),
        (None, Some(_)) => Err(half(other, one)),
    };
    if profiles.is_first
        && let Some(name) = profiles.with_credentials()
    {
        return Ok(Origin::Profile(name));
    }
    if pair("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")?.is_some() {
        return Ok(Origin::Variables);
    }
    if let Some(name) = profiles.with_credentials() {
        return Ok(Origin::Profile(name));
    }
    // A role alone is nothing: other tools read it.
    if let Some(file) = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role = text("AWS_ROLE_ARN")
            .ok_or_else(|| half("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"))?;
        return Ok(Origin::WebIdentity {
            file: Path::new(file).to_path_buf(),
            role: role.to_string(),
            session: text("AWS_ROLE_SESSION_NAME")
                .unwrap_or("podinit")
                .to_string(),
        });
    }
    if let Some(endpoint) = Endpoint::named(environment)? {
        return Ok(Origin::Container(endpoint));
    }
    if text("AWS_EC2_METADATA_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true")) {
        return Ok(Origin::Nowhere);
    }
    let named = text("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let is_v6 = text("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")
        .is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let default = if is_v6 { INSTANCE_V6 } else { INSTANCE };
    Ok(Origin::Instance {
        url: named.unwrap_or(default).to_string(),
        is_named: named.is_some(),
    })
}

fn half(set: &str, missing: &str) -> Failure {
    Failure::new(Kind::Usage, format!("{set} is set and {missing} is not"))
        .hint("set both, or neither")
}

/// Why nothing before the instance was taken, for a message.
pub(super) fn tried(environment: &Environment, profiles: &Profiles) -> String {
    let profile = profiles.set.selected_profile();
    let disabled = environment.get("AWS_EC2_METADATA_DISABLED").is_some();
    let end = if disabled {
        ", AWS_EC2_METADATA_DISABLED is set"
    } else {
        ""
    };
    format!(
        "AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE and AWS_CONTAINER_CREDENTIALS_FULL_URI are not set, \
         no profile `{profile}` with credentials{end}"
    )
}
