//! `s3://`: an object or a bucket that HEAD finds, by the usual configuration of AWS.

use std::error::Error;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{Builder, Region, SharedHttpClient, StalledStreamProtectionConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Unready};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("s3", None, false)],
    shape: Shape::Bucket,
    keys: &[],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "s3://models/v1/model.bin",
    about: "HEAD finds the object or the bucket; AWS_* as usual",
    prepare,
};

/// Where no region is configured: other servers than Amazon's take any.
const REGION: &str = "us-east-1";

/// Variables that name another server than Amazon's.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

struct S3 {
    bucket: String,
    key: Option<String>,
    roots: Option<PathBuf>,
    has_endpoint: bool,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    if target.host.to_string().contains(char::is_whitespace) {
        return Err(target.wrong("a bucket's name holds no white space", ""));
    }
    let key = target.path.strip_prefix('/').unwrap_or_default();
    Ok(Box::new(S3 {
        bucket: target.host.to_string(),
        key: (!key.is_empty()).then(|| key.to_string()),
        roots: setup.tls.own_roots().map(Path::to_path_buf),
        has_endpoint: ENDPOINTS
            .iter()
            .any(|name| setup.environment.get(name).is_some()),
    }))
}

#[async_trait(?Send)]
impl Probe for S3 {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        attempt.stage.asking("S3", "region and credentials");
        let making = attempt.tools.s3.get_or_try_init(|| self.client());
        let client = making.await?;
        attempt.stage.asking("S3", "the answer to HEAD");
        let bucket = &self.bucket;
        let Some(key) = &self.key else {
            let head = client.head_bucket().bucket(bucket);
            return head
                .send()
                .await
                .map(drop)
                .map_err(|error| self.explain(&error));
        };
        let head = client.head_object().bucket(bucket).key(key);
        head.send()
            .await
            .map(drop)
            .map_err(|error| self.explain(&error))
    }

    fn proves(&self) -> String {
        match self.key {
            Some(_) => "HEAD finds the object".to_string(),
            None => "HEAD finds the bucket".to_string(),
        }
    }
}

impl S3 {
    /// One client for all targets; each request makes a connection of its own.
    async fn client(&self) -> Result<Client, Failure> {
        let http = http_client(self.roots.as_deref())?;
        let shared = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .load()
            .await;
        let has_endpoint = self.has_endpoint || shared.endpoint_url().is_some();
        let mut config = Builder::from(&shared).force_path_style(has_endpoint);
        if shared.region().is_none() {
            config = config.region(Region::new(REGION));
        }
        Ok(Client::from_conf(config.build()))
    }

    fn name(&self) -> String {
        match &self.key {
            Some(key) => format!("s3://{}/{}", self.bucket, one_line(key)),
            None => format!("s3://{}", self.bucket),
        }
    }

    fn explain<E>(&self, error: &SdkError<E>) -> Unready
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let head = format!("HEAD {}", self.name());
        if let Some(answer) = error.raw_response() {
            let status = answer.status().as_u16();
            let code = error
                .code()
                .map_or_else(String::new, |code| format!(" {}", one_line(code)));
            return judge(status, &code, &head, self.key.is_some());
        }
        for cause in causes(error) {
            if let Some(rustls::Error::InvalidCertificate(reason)) = cause.downcast_ref() {
                return Failure::new(
                    Kind::Denied,
                    format!("the server's certificate is not trusted: {reason}"),
                )
                .context(head)
                .hint("give the authority's certificate with --ca-file")
                .into();
            }
            if let Some(io) = cause.downcast_ref::<std::io::Error>()
                && io.raw_os_error().is_some()
            {
                let words = crate::commands::wait_for::connect::io_words(io);
                return Cause::new(format!("{head}: {words}"))
                    .hint("is the endpoint right? AWS_ENDPOINT_URL names another than Amazon's")
                    .into();
            }
        }
        let innermost = causes(error)
            .last()
            .map_or_else(String::new, ToString::to_string);
        let all: Vec<String> = causes(error).iter().map(ToString::to_string).collect();
        if all
            .iter()
            .any(|words| words.to_lowercase().contains("credential"))
        {
            return Failure::new(
                Kind::Denied,
                format!("no credentials: {}", one_line(&innermost)),
            )
            .context(head)
            .hint(
                "give the Pod a role (IRSA, Pod Identity), or AWS_ACCESS_KEY_ID and \
                     AWS_SECRET_ACCESS_KEY",
            )
            .into();
        }
        let is_foreign = causes(error).iter().any(|cause| {
            let error = cause.downcast_ref::<hyper::Error>();
            // Bytes that come before the request is sent are of no kind that hyper tells.
            let is_early = cause.to_string().contains("unexpected message");
            is_early || error.is_some_and(hyper::Error::is_parse)
        });
        if is_foreign {
            return Cause::new(format!("{head}: not S3: the answer is not HTTP"))
                .hint("TLS on one side only? another service on this port?")
                .into();
        }
        Cause::new(format!("{head}: {}", one_line(&innermost))).into()
    }
}

/// HEAD has no body, so the status has to say it all.
fn judge(status: u16, code: &str, head: &str, has_key: bool) -> Unready {
    match status {
        404 => {
            let what = if has_key { "no such object, or no such bucket" } else { "no such bucket" };
            Cause::new(format!("status 404{code}: {what}")).absence().into()
        }
        401 | 403 => Failure::new(Kind::Denied, format!("status {status}{code}"))
            .context(head)
            .hint(
                "allow s3:GetObject, and s3:ListBucket: without the second a key that does not exist looks \
                 like this too",
            )
            .into(),
        301 | 307 => Failure::new(
            Kind::Usage,
            format!("status {status}{code}: the bucket is in another region"),
        )
        .context(head)
        .hint("set AWS_REGION to the bucket's region")
        .into(),
        _ => Cause::new(format!("{head}: status {status}{code}")).into(),
    }
}

fn http_client(roots: Option<&Path>) -> Result<SharedHttpClient, Failure> {
    let builder = aws_smithy_http_client::Builder::new()
        // An idle connection would be taken again.
        .pool_max_idle_per_host(0)
        .tls_provider(Provider::Rustls(CryptoMode::Ring));
    let Some(path) = roots else {
        return Ok(builder.build_https());
    };
    let mut store = TrustStore::empty();
    for file in crate::base::http::root_files(path)? {
        let pem = std::fs::read(&file).map_err(|error| {
            Failure::caused_by(Kind::Usage, error).context(format!("read {}", file.display()))
        })?;
        store.add_pem_certificate(pem);
    }
    let context = TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| Failure::caused_by(Kind::Usage, error).context("use the roots"))?;
    Ok(builder.tls_context(context).build_https())
}

/// The error and its causes, outermost first. An `io::Error` hides the error that it wraps.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        chain.push(cause);
        next = match cause.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => cause.source(),
        };
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::wait_for::verdict::{Goal, Verdict, judge as conclude};

    #[test]
    fn the_status_says_it_all() {
        let judged = |status| judge(status, "", "HEAD s3://b/k", true);
        assert!(matches!(judged(403), Unready::Final(failure) if failure.kind() == Kind::Denied));
        assert!(matches!(judged(301), Unready::Final(failure) if failure.kind() == Kind::Usage));
        for status in [400, 404, 429, 500, 503] {
            assert!(matches!(judged(status), Unready::Yet(_)), "{status}");
        }
        assert!(matches!(
            conclude(Err(judged(404)), Goal::Gone),
            Verdict::Met
        ));
        assert!(matches!(
            conclude(Err(judged(403)), Goal::Gone),
            Verdict::Waiting(_)
        ));
    }
}
