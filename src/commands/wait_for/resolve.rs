//! Names to addresses and records, asked anew every time: hosts file, search list and ndots as libc
//! has them, but within the attempt.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, TokioResolver};

use super::stage::Stage;
use super::verdict::Cause;
use crate::base::failure::{Failure, Kind};

/// Who answers names, and how they are completed.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What libc assumes when no name server is named.
const LOCAL_SERVER: &[u8] = b"\nnameserver 127.0.0.1\n";

/// One lost packet must fit into an attempt of five seconds.
const MAX_TRY: Duration = Duration::from_secs(2);

/// A resolver and the rules that complete a name.
pub(super) struct Resolver {
    inner: TokioResolver,
    hosts: Hosts,
    search: Vec<Name>,
    ndots: usize,
}

/// Why there are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// NXDOMAIN
    NoName,
    /// The name exists, without such a record.
    NoRecord,
    /// An answer that is none, such as SERVFAIL.
    Refused(ResponseCode),
    /// Nobody answered.
    Silent,
}

impl Resolver {
    /// The system's: `/etc/resolv.conf` and `/etc/hosts`.
    ///
    /// # Errors
    /// `Usage` when they cannot be read.
    pub(super) fn of_system() -> Result<Self, Failure> {
        let text = fs::read(RESOLV_CONF).unwrap_or_default();
        let parsed =
            parse_resolv_conf(&text).or_else(|_| parse_resolv_conf([&text, LOCAL_SERVER].concat()));
        let (config, options) = parsed.map_err(|error| {
            Failure::new(Kind::Usage, error.to_string()).context(format!("read {RESOLV_CONF}"))
        })?;
        let (search, ndots) = (config.search.clone(), options.ndots);
        Ok(Self {
            inner: build(config, options)?,
            hosts: Hosts::from_system().unwrap_or_default(),
            search,
            ndots,
        })
    }

    /// One name server, asked for names as they are.
    ///
    /// # Errors
    /// `Bug`
    pub(super) fn of_server(server: SocketAddr) -> Result<Self, Failure> {
        let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
        for connection in &mut connections {
            connection.port = server.port();
        }
        let server = NameServerConfig::new(server.ip(), true, connections);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        Ok(Self {
            inner: build(config, ResolverOpts::default())?,
            hosts: Hosts::default(),
            search: Vec::new(),
            ndots: 0,
        })
    }

    /// The addresses of a name, of both families.
    ///
    /// # Errors
    /// The cause names the kind of the lack, and the names tried.
    pub(super) async fn addresses(&self, host: &str, stage: &Stage) -> Result<Vec<IpAddr>, Cause> {
        let kinds = [RecordType::AAAA, RecordType::A];
        let records = self.records(host, &kinds, stage).await?;
        Ok(records.iter().filter_map(RData::ip_addr).collect())
    }

    /// The records of a name, of any of `kinds`.
    ///
    /// # Errors
    /// The cause names the kind of the lack, and the names tried.
    pub(super) async fn records(
        &self,
        host: &str,
        kinds: &[RecordType],
        stage: &Stage,
    ) -> Result<Vec<RData>, Cause> {
        stage.resolving(host);
        let name =
            Name::from_ascii(host).map_err(|error| Cause::new(format!("{host}: {error}")))?;
        let known = self.in_hosts(&name, kinds);
        if !known.is_empty() {
            return Ok(known);
        }
        let names = complete(&name, &self.search, self.ndots);
        let mut worst = Lack::NoName;
        for name in &names {
            let asks = kinds.iter().map(|kind| self.ask(name, *kind));
            let answers = futures_util::future::join_all(asks).await;
            let mut found = Vec::new();
            let mut lacks = Vec::new();
            for answer in answers {
                match answer {
                    Ok(records) => found.extend(records),
                    Err(lack) => lacks.push(lack),
                }
            }
            if !found.is_empty() {
                return Ok(found);
            }
            worst = lacks.into_iter().fold(worst, worse);
            if worst == Lack::Silent {
                break;
            }
        }
        Err(explain(host, &names, kinds, worst))
    }

    fn in_hosts(&self, name: &Name, kinds: &[RecordType]) -> Vec<RData> {
        let lookups = kinds.iter().filter_map(|kind| {
            self.hosts
                .lookup_static_host(&Query::query(name.clone(), *kind))
        });
        lookups
            .flat_map(|lookup| {
                let records = lookup.answers().iter().map(|record| record.data.clone());
                records.collect::<Vec<_>>()
            })
            .collect()
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Vec<RData>, Lack> {
        let lookup = self
            .inner
            .lookup(name.clone(), kind)
            .await
            .map_err(|error| lack(&error))?;
        let found: Vec<RData> = lookup
            .answers()
            .iter()
            .map(|record| record.data.clone())
            .filter(|data| data.record_type() == kind)
            .collect();
        // An alias alone is no record.
        if found.is_empty() {
            Err(Lack::NoRecord)
        } else {
            Ok(found)
        }
    }
}

fn build(config: ResolverConfig, mut options: ResolverOpts) -> Result<TokioResolver, Failure> {
    options.cache_size = 0;
    options.timeout = options.timeout.min(MAX_TRY);
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder
        .build()
        .map_err(|error| Failure::caused_by(Kind::Bug, error).context("set up the resolver"))
}

/// The names to ask for, in order, all of them complete: with enough dots the name itself comes first.
fn complete(name: &Name, search: &[Name], ndots: usize) -> Vec<Name> {
    let mut whole = name.clone();
    whole.set_fqdn(true);
    if name.is_fqdn() {
        return vec![whole];
    }
    let dots = usize::from(name.num_labels()).saturating_sub(1);
    let searched = search
        .iter()
        .filter_map(|domain| name.clone().append_domain(domain).ok());
    let mut names: Vec<Name> = searched.collect();
    let place = if dots >= ndots || name.is_localhost() {
        0
    } else {
        names.len()
    };
    names.insert(place, whole);
    for name in &mut names {
        name.set_fqdn(true);
    }
    names
}

fn lack(error: &NetError) -> Lack {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(found)) => match found.response_code {
            ResponseCode::NXDomain => Lack::NoName,
            ResponseCode::NoError => Lack::NoRecord,
            other => Lack::Refused(other),
        },
        NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => Lack::NoName,
        NetError::Dns(DnsError::ResponseCode(code)) => Lack::Refused(*code),
        NetError::Dns(_) => Lack::Refused(ResponseCode::ServFail),
        _ => Lack::Silent,
    }
}

/// What is less of a proof counts for more: nobody may call a name absent that was not answered for.
fn worse(one: Lack, other: Lack) -> Lack {
    let weight = |lack| match lack {
        Lack::NoName => 0,
        Lack::NoRecord => 1,
        Lack::Refused(_) => 2,
        Lack::Silent => 3,
    };
    if weight(other) > weight(one) {
        other
    } else {
        one
    }
}

fn explain(host: &str, names: &[Name], kinds: &[RecordType], lack: Lack) -> Cause {
    let tried: Vec<String> = names.iter().map(ToString::to_string).collect();
    let tried = tried.join(", ");
    let kinds: Vec<String> = kinds.iter().rev().map(ToString::to_string).collect();
    let kinds = kinds.join(" or ");
    match lack {
        Lack::NoName => Cause::new(format!("look up {host}: NXDOMAIN, no such name; tried {tried}"))
            .hint(
                "CoreDNS keeps a \"no\" for up to 30 s; is the Service in another namespace? use the full \
                 name with a final dot",
            )
            .absence(),
        Lack::NoRecord => Cause::new(format!(
            "look up {host}: the name exists, but has no {kinds} record; tried {tried}"
        ))
        .hint("a headless Service has no address until one of its Pods is ready")
        .absence(),
        Lack::Refused(code) => {
            let word = match code {
                ResponseCode::ServFail => "SERVFAIL".to_string(),
                ResponseCode::Refused => "REFUSED".to_string(),
                other => other.to_string(),
            };
            Cause::new(format!("look up {host}: the name server says {word}; tried {tried}"))
                .hint("the cluster's DNS cannot answer: is its upstream reachable?")
        }
        Lack::Silent => Cause::new(format!(
            "look up {host}: no answer from the name server; tried {tried}"
        ))
        .hint("is the cluster's DNS reachable? a NetworkPolicy has to let UDP and TCP 53 through")
        .silence(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::wait_for::verdict::{Goal, Unready, Verdict, judge};

    fn completed(name: &str, search: &[&str], ndots: usize) -> Vec<String> {
        let search: Vec<Name> = search
            .iter()
            .map(|text| Name::from_ascii(text).unwrap())
            .collect();
        complete(&Name::from_ascii(name).unwrap(), &search, ndots)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn short_names_are_completed_and_whole_ones_are_not() {
        let search = ["ns.svc.cluster.local", "svc.cluster.local"];
        assert_eq!(
            completed("db", &search, 5),
            ["db.ns.svc.cluster.local.", "db.svc.cluster.local.", "db."]
        );
        assert_eq!(completed("db.example.", &search, 5), ["db.example."]);
        assert_eq!(completed("a.b", &search, 1)[0], "a.b.");
        assert_eq!(completed("a.b", &search, 2)[2], "a.b.");
        assert_eq!(completed("a", &[], 1), ["a."]);
    }

    #[test]
    fn only_a_no_is_a_proof() {
        let explained = |lack| explain("db", &[], &[RecordType::AAAA, RecordType::A], lack);
        let is_gone = |lack| {
            matches!(
                judge(Err(Unready::Yet(explained(lack))), Goal::Gone),
                Verdict::Met
            )
        };
        assert!(is_gone(Lack::NoName) && is_gone(Lack::NoRecord));
        assert!(!is_gone(Lack::Silent) && !is_gone(Lack::Refused(ResponseCode::ServFail)));
        assert!(
            explained(Lack::NoRecord)
                .text
                .contains("no A or AAAA record")
        );
        assert!(
            explained(Lack::Refused(ResponseCode::ServFail))
                .text
                .contains("SERVFAIL")
        );
        assert_eq!(worse(Lack::NoName, Lack::Silent), Lack::Silent);
        assert_eq!(worse(Lack::NoRecord, Lack::NoName), Lack::NoRecord);
    }
}
