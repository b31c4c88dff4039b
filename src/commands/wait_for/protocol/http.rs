//! `http://`, `https://`: status, body and JSON as asked. Redirects are never followed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap};
use serde_json::Value;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::http::probe::Reply;
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::setup::{HttpChecks, Setup};
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Goal, Unready};
use crate::commands::wait_for::web::{Ask, EITHER_VERSION, Site, basic};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[
        scheme("http", Some(80), false),
        scheme("https", Some(443), true),
    ],
    shape: Shape::Net,
    keys: &[],
    is_shared: false,
    is_query_theirs: true,
    user: User::Named,
    example: "https://api.example/health",
    about: "status, body, JSON as asked; with a password: Basic login",
    prepare,
};

/// So much of a body is read at most.
const MAX_BODY: usize = 1 << 20;

struct Http {
    site: Site,
    target: String,
    headers: HeaderMap,
    checks: Arc<HttpChecks>,
    goal: Goal,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(http::header::ACCEPT, http::HeaderValue::from_static("*/*"));
    if let (Some(user), Some(password)) = (&target.user, &setup.password) {
        let value = basic(user, password.secret.expose());
        headers.extend(value.map(|value| (AUTHORIZATION, value)));
    }
    for header in &setup.http.headers {
        headers.remove(&header.name);
    }
    for header in &setup.http.headers {
        headers.append(&header.name, header.value.clone());
    }
    let path = if target.path.is_empty() {
        "/"
    } else {
        &target.path
    };
    let query = target
        .raw_query
        .as_ref()
        .map_or_else(String::new, |query| format!("?{query}"));
    Ok(Box::new(Http {
        site: Site::new(target, "HTTP", EITHER_VERSION, setup)?,
        target: sendable(&format!("{path}{query}")),
        headers,
        checks: Arc::clone(&setup.http),
        goal: setup.goal,
    }))
}

/// What a request line cannot hold is escaped; everything else goes as it was written.
fn sendable(text: &str) -> String {
    let mut sent = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'`') {
            sent.push(char::from(byte));
        } else {
            sent.push_str(&format!("%{byte:02X}"));
        }
    }
    sent
}

#[async_trait(?Send)]
impl Probe for Http {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let checks = &self.checks;
        let is_body_wanted = checks.body_regex.is_some() || !checks.json.is_empty();
        let ask = Ask {
            method: checks.method.clone(),
            target: self.target.clone(),
            headers: self.headers.clone(),
            body: Bytes::new(),
            wanted: is_body_wanted.then_some(MAX_BODY),
        };
        let reply = self.site.fetch(attempt, ask).await?;
        judge(&reply, checks, self.goal, &self.site.via())
    }

    fn proves(&self) -> String {
        let mut wants = vec![format!(
            "{} answers {}",
            self.checks.method, self.checks.status
        )];
        wants.extend(
            self.checks
                .body_regex
                .as_ref()
                .map(|it| format!("its body matches {it}")),
        );
        let count = self.checks.json.len();
        wants.extend((count > 0).then(|| format!("its JSON passes {count} checks")));
        wants.join(" and ")
    }
}

/// The checks in their order: status, body, JSON. A whole answer that does not fit proves that what was
/// asked for is not there.
fn judge(reply: &Reply, checks: &HttpChecks, goal: Goal, via: &str) -> Found {
    let status = reply.status;
    let is_fatal = checks
        .fatal
        .as_ref()
        .is_some_and(|list| list.contains(status));
    if is_fatal && goal == Goal::Ready {
        return Err(fatal(status, via).into());
    }
    let unfit = |words: String| -> Unready { Cause::new(format!("{words}{via}")).absence().into() };
    if !checks.status.contains(status) {
        let words = format!("status {status}, want {}", checks.status);
        let cause = Cause::new(format!("{words}{via}")).absence();
        return Err(match via {
            "" => cause.hint("--http-status says which are ready, --http-fatal which end the wait"),
            _ => cause.hint("was it the proxy? NO_PROXY names hosts that need none"),
        }
        .into());
    }
    if checks.body_regex.is_none() && checks.json.is_empty() {
        return Ok(());
    }
    if reply.is_longer {
        return Err(unfit(format!("the body is over {} MiB", MAX_BODY >> 20)));
    }
    if let Some(regex) = &checks.body_regex
        && !regex.is_match(&reply.body)
    {
        return Err(unfit(format!(
            "the body does not match --http-body-regex {regex}"
        )));
    }
    if checks.json.is_empty() {
        return Ok(());
    }
    let document: Value = serde_json::from_slice(&reply.body)
        .map_err(|_| unfit("the body is not JSON".to_string()))?;
    for check in &checks.json {
        check.check(&document).map_err(unfit)?;
    }
    Ok(())
}

fn fatal(status: u16, via: &str) -> Failure {
    let kind = match status {
        401 | 403 | 407 => Kind::Denied,
        404 | 410 => Kind::Missing,
        _ => Kind::Unmet,
    };
    Failure::new(kind, format!("status {status}{via}"))
        .hint("--http-fatal says that this status ends the wait")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::wait_for::verdict::{Verdict, judge as conclude};

    fn checks() -> HttpChecks {
        HttpChecks {
            status: "200-399".parse().unwrap(),
            fatal: None,
            method: http::Method::GET,
            headers: Vec::new(),
            body_regex: None,
            json: Vec::new(),
        }
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
            is_longer: false,
            trailers: HeaderMap::new(),
        }
    }

    fn cause(found: Found) -> String {
        match found {
            Err(Unready::Yet(cause)) => cause.text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_status_comes_first_then_the_body_then_the_json() {
        let mut checks = checks();
        let judged = |checks: &HttpChecks, status, body| {
            judge(&reply(status, body), checks, Goal::Ready, "")
        };
        assert!(judged(&checks, 302, "").is_ok());
        checks.body_regex = Some(regex::bytes::Regex::new("all.+ready").unwrap());
        checks.json = vec!["/a=1".parse().unwrap(), "/b=2".parse().unwrap()];
        assert_eq!(cause(judged(&checks, 500, "x")), "status 500, want 200-399");
        assert!(cause(judged(&checks, 200, "x")).contains("--http-body-regex all.+ready"));
        assert_eq!(
            cause(judged(&checks, 200, "all are ready")),
            "the body is not JSON"
        );
        assert_eq!(
            cause(judged(&checks, 200, r#"{"a":1,"c":"all are ready"}"#)),
            "no /b in the JSON"
        );
        assert!(judged(&checks, 200, r#"{"a":1,"b":2,"c":"all are ready"}"#).is_ok());
        let long = Reply {
            is_longer: true,
            ..reply(200, "")
        };
        assert_eq!(
            cause(judge(&long, &checks, Goal::Ready, "")),
            "the body is over 1 MiB"
        );
    }

    #[test]
    fn a_fatal_status_has_its_kind_and_is_not_fatal_for_what_shall_go() {
        let mut checks = checks();
        checks.fatal = Some("401,404,500-599".parse().unwrap());
        for (status, kind) in [
            (401, Kind::Denied),
            (404, Kind::Missing),
            (503, Kind::Unmet),
        ] {
            assert!(matches!(
                judge(&reply(status, ""), &checks, Goal::Ready, ""),
                Err(Unready::Final(failure)) if failure.kind() == kind
            ));
            let found = judge(&reply(status, ""), &checks, Goal::Gone, "");
            assert!(matches!(conclude(found, Goal::Gone), Verdict::Met));
        }
    }

    #[test]
    fn the_query_is_sent_as_written() {
        assert_eq!(
            sendable("/a%2fb?x=a+b&y=é\"{}|^"),
            "/a%2fb?x=a+b&y=%C3%A9%22{}|^"
        );
    }
}
