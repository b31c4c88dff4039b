//! `grpc://`, `grpcs://`: the health check of grpc.health.v1 says SERVING.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method};

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::base::http::probe::Reply;
use crate::base::text::{cut, one_line};
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::escape::decode_text;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};
use crate::commands::wait_for::web::{Ask, Site};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("grpc", None, false), scheme("grpcs", None, true)],
    shape: Shape::Net,
    keys: &[],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "grpc://orders:50051/orders.v1.Orders",
    about: "the health check says SERVING, for a service or for all",
    prepare,
};

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// The answer is a few bytes.
const MAX_BODY: usize = 4 << 10;

struct Grpc {
    site: Site,
    service: String,
}

fn prepare(target: &Target, setup: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let tls = setup.tls_of(target, &[b"h2"])?;
    Ok(Box::new(Grpc {
        site: Site::direct(target.host.clone(), target.port, tls, "gRPC").always_h2(),
        service: target.decoded_path()?,
    }))
}

#[async_trait(?Send)]
impl Probe for Grpc {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let mut headers = HeaderMap::new();
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let ask = Ask {
            method: Method::POST,
            target: CHECK.to_string(),
            headers,
            body: request(&self.service),
            wanted: Some(MAX_BODY),
        };
        let reply = self.site.fetch(attempt, ask).await?;
        judge(&reply)
    }

    fn proves(&self) -> String {
        match self.service.as_str() {
            "" => "its health check says SERVING".to_string(),
            service => format!("its health check says SERVING for {service}"),
        }
    }
}

/// A length-prefixed `HealthCheckRequest`: field 1 is the name of the service.
fn request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length > 0x7f {
            message.push(u8::try_from(length & 0x7f | 0x80).unwrap_or_default());
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or_default());
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], &message].concat().into()
}

/// The `status` of a `HealthCheckResponse`; what is not written is 0.
fn status(body: &[u8]) -> Option<u8> {
    let (head, message) = body.split_at_checked(5)?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if head[0] != 0 || usize::try_from(length).ok() != Some(message.len()) {
        return None;
    }
    match message {
        [] => Some(0),
        [0x08, status] if *status < 0x80 => Some(*status),
        _ => None,
    }
}

fn judge(reply: &Reply) -> Found {
    if reply.status != 200 {
        return Err(Cause::new(format!(
            "HTTP status {} in place of a gRPC answer",
            reply.status
        ))
        .hint("a proxy answers for a dead upstream, or another service is on this port")
        .into());
    }
    // An answer without a body has its status in the headers.
    let field = |name| reply.trailers.get(name).or_else(|| reply.headers.get(name));
    let code = field("grpc-status").and_then(|value| value.to_str().ok()?.parse::<u16>().ok());
    let words = field("grpc-message").and_then(|value| decode_text(value.to_str().ok()?));
    let words = cut(&one_line(&words.unwrap_or_default()), 200);
    let said = |name: &str| {
        format!(
            "the server says {name}{}{words}",
            if words.is_empty() { "" } else { ": " }
        )
    };
    match code {
        Some(0) => match status(&reply.body) {
            Some(1) => Ok(()),
            Some(2) => Err(Cause::new("the health check says NOT_SERVING").into()),
            Some(3) => Err(Cause::new("the health check says SERVICE_UNKNOWN").into()),
            Some(0) => Err(Cause::new("the health check says UNKNOWN").into()),
            _ => Err(Cause::new("the answer is no HealthCheckResponse").into()),
        },
        Some(12) => Err(Failure::new(Kind::Missing, said("12 UNIMPLEMENTED"))
            .context("ask for grpc.health.v1.Health")
            .hint("register grpc.health.v1 in the server, or wait with tcp://")
            .into()),
        Some(7) => Err(denied(said("7 PERMISSION_DENIED")).into()),
        Some(16) => Err(denied(said("16 UNAUTHENTICATED")).into()),
        Some(5) => Err(Cause::new(said("5 NOT_FOUND"))
            .hint("the server does not know a service of that name yet")
            .into()),
        Some(14) => Err(Cause::new(said("14 UNAVAILABLE")).into()),
        Some(code) => Err(Cause::new(said(&format!("grpc-status {code}"))).into()),
        None => Err(Cause::new("the answer has no grpc-status").into()),
    }
}

fn denied(words: String) -> Failure {
    Failure::new(Kind::Denied, words)
        .context("ask for grpc.health.v1.Health")
        .hint("let the health check pass without a login")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::wait_for::verdict::Unready;

    #[test]
    fn the_request_names_the_service() {
        assert_eq!(request("").as_ref(), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab").as_ref(), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"x".repeat(200));
        assert_eq!(long[5..8], [0x0a, 0xc8, 0x01]);
    }

    fn judged(body: &[u8], code: Option<&str>) -> Result<(), (Option<Kind>, String)> {
        let mut trailers = HeaderMap::new();
        if let Some(code) = code {
            trailers.insert("grpc-status", code.parse().unwrap());
        }
        let reply = Reply {
            status: 200,
            headers: HeaderMap::new(),
            body: body.to_vec(),
            is_longer: false,
            trailers,
        };
        judge(&reply).map_err(|unready| match unready {
            Unready::Yet(cause) => (None, cause.text),
            Unready::Final(failure) => (Some(failure.kind()), failure.to_string()),
        })
    }

    #[test]
    fn body_and_trailers_have_to_agree() {
        let serving = [0, 0, 0, 0, 2, 8, 1];
        assert_eq!(judged(&serving, Some("0")), Ok(()));
        for (body, code) in [
            (&[0, 0, 0, 0, 2, 8, 2][..], Some("0")),
            (&[0, 0, 0, 0, 0], Some("0")),
            (&[0, 0, 0, 0, 0], Some("5")),
            (&[], Some("14")),
            (&serving, Some("2")),
            (&serving, None),
            (&serving[..6], Some("0")),
        ] {
            assert_eq!(judged(body, code).unwrap_err().0, None, "{body:?} {code:?}");
        }
        assert_eq!(judged(&[], Some("12")).unwrap_err().0, Some(Kind::Missing));
        for code in ["7", "16"] {
            assert_eq!(judged(&[], Some(code)).unwrap_err().0, Some(Kind::Denied));
        }
    }
}
