//! `dns://`: records of a name.

use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::Failure;
use crate::base::text::{cut, one_line};
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::host::Host;
use crate::commands::wait_for::resolve::Resolver;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("dns", None, false)],
    shape: Shape::Name,
    keys: &["type", "expect", "server"],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "dns://db.prod?type=SRV&expect=db:5432",
    about: "at least one record [A or AAAA]; expect: an equal one",
    prepare,
};

/// The port of name servers.
const PORT: u16 = 53;

struct Dns {
    name: String,
    kinds: Vec<RecordType>,
    expect: Option<Expect>,
    server: Option<SocketAddr>,
}

/// What one of the records has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expect {
    Address(IpAddr),
    /// Host without its final dot, in lower case, and port.
    Service(String),
    Part(String),
}

fn prepare(target: &Target, _: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    target.refuse_path()?;
    let Host::Name(name) = &target.host else {
        return Err(target.wrong("an address is not looked up", "write a name"));
    };
    let kinds = match target.text("type")? {
        None => vec![RecordType::AAAA, RecordType::A],
        Some(text) => vec![read_type(text).ok_or_else(|| {
            target.wrong(
                format!("?type={} is not supported", one_line(text)),
                "one of A, AAAA, SRV, TXT",
            )
        })?],
    };
    let expect = match target.text("expect")? {
        None => None,
        Some(text) => Some(read_expect(kinds[0], text).ok_or_else(|| {
            target.wrong(
                "?expect= does not fit the type of record",
                "an address for A and AAAA, HOST:PORT for SRV, a part of the text for TXT",
            )
        })?),
    };
    let server = match target.text("server")? {
        None => None,
        Some(text) => Some(read_server(text).ok_or_else(|| {
            target.wrong("?server= is no IP:PORT", "such as ?server=10.96.0.10:53")
        })?),
    };
    Ok(Box::new(Dns {
        name: name.clone(),
        kinds,
        expect,
        server,
    }))
}

fn read_type(text: &str) -> Option<RecordType> {
    match text.to_ascii_uppercase().as_str() {
        "A" => Some(RecordType::A),
        "AAAA" => Some(RecordType::AAAA),
        "SRV" => Some(RecordType::SRV),
        "TXT" => Some(RecordType::TXT),
        _ => None,
    }
}

fn read_expect(kind: RecordType, text: &str) -> Option<Expect> {
    match kind {
        RecordType::SRV => {
            let (host, port) = text.rsplit_once(':')?;
            port.parse::<u16>().ok()?;
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            (!host.is_empty()).then(|| Expect::Service(format!("{host}:{port}")))
        }
        RecordType::TXT => (!text.is_empty()).then(|| Expect::Part(text.to_string())),
        _ => text
            .trim_matches(['[', ']'])
            .parse()
            .ok()
            .map(Expect::Address),
    }
}

fn read_server(text: &str) -> Option<SocketAddr> {
    let alone = || {
        text.trim_matches(['[', ']'])
            .parse()
            .ok()
            .map(|ip| SocketAddr::new(ip, PORT))
    };
    text.parse()
        .ok()
        .or_else(alone)
        .filter(|server| server.port() != 0)
}

#[async_trait(?Send)]
impl Probe for Dns {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let records = match self.server {
            Some(server) => {
                let resolver = Resolver::of_server(server)?;
                resolver
                    .records(&self.name, &self.kinds, attempt.stage)
                    .await?
            }
            None => {
                attempt
                    .resolver()?
                    .records(&self.name, &self.kinds, attempt.stage)
                    .await?
            }
        };
        let Some(expect) = &self.expect else {
            return Ok(());
        };
        if records.iter().any(|record| fits(record, expect)) {
            return Ok(());
        }
        let mut found: Vec<String> = records.iter().map(show).collect();
        found.sort();
        let found = cut(&one_line(&found.join(", ")), 200);
        Err(
            Cause::new(format!("{} has {found}, not what ?expect= says", self.name))
                .absence()
                .into(),
        )
    }

    fn proves(&self) -> String {
        let kinds: Vec<String> = self.kinds.iter().rev().map(ToString::to_string).collect();
        let expected = if self.expect.is_some() {
            " as expected"
        } else {
            ""
        };
        format!("it has a record of type {}{expected}", kinds.join(" or "))
    }
}

fn show(record: &RData) -> String {
    match record {
        RData::SRV(service) => {
            let host = service.target.to_string();
            format!(
                "{}:{}",
                host.trim_end_matches('.').to_ascii_lowercase(),
                service.port
            )
        }
        RData::TXT(text) => {
            let parts = text
                .txt_data
                .iter()
                .map(|part| String::from_utf8_lossy(part));
            parts.collect()
        }
        other => other
            .ip_addr()
            .map_or_else(|| other.to_string(), |address| address.to_string()),
    }
}

fn fits(record: &RData, expect: &Expect) -> bool {
    match expect {
        Expect::Address(address) => record.ip_addr() == Some(*address),
        Expect::Service(service) => matches!(record, RData::SRV(_)) && show(record) == *service,
        Expect::Part(part) => matches!(record, RData::TXT(_)) && show(record).contains(part),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::{A, SRV, TXT};

    use super::*;

    #[test]
    fn records_are_compared_as_their_type_is() {
        let service = RData::SRV(SRV::new(
            0,
            0,
            5432,
            Name::from_ascii("DB.example.").unwrap(),
        ));
        let text = RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()]));
        let address = RData::A(A::new(10, 0, 0, 1));
        let expect = |kind, text: &str| read_expect(kind, text).unwrap();
        assert!(fits(&service, &expect(RecordType::SRV, "db.example.:5432")));
        assert!(!fits(&service, &expect(RecordType::SRV, "db.example:5433")));
        assert!(fits(&text, &expect(RecordType::TXT, "spf1 -all")));
        assert!(!fits(&text, &expect(RecordType::TXT, "SPF")));
        assert!(fits(&address, &expect(RecordType::A, "10.0.0.1")));
        assert!(!fits(&address, &expect(RecordType::A, "10.0.0.11")));
    }

    #[test]
    fn options_are_read_or_refused() {
        assert_eq!(read_type("srv"), Some(RecordType::SRV));
        assert_eq!(read_type("MX"), None);
        for (kind, wrong) in [
            (RecordType::SRV, "db"),
            (RecordType::A, "db"),
            (RecordType::TXT, ""),
        ] {
            assert_eq!(read_expect(kind, wrong), None, "{wrong}");
        }
        assert_eq!(read_server("10.0.0.1").unwrap().to_string(), "10.0.0.1:53");
        assert_eq!(read_server("[::1]:54").unwrap().to_string(), "[::1]:54");
        assert_eq!(read_server("dns:53"), None);
        assert_eq!(read_server("10.0.0.1:0"), None);
    }
}
