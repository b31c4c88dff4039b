//! A real Azurite, which speaks Azure's blob service.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use super::server::{Server, folder, installed};
use super::sigv4::{hmac_base64, in_query};
use super::wire::{Request, Response, exchange, own_address};

/// The account that every Azurite has, and its key, which is public.
pub const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The version of the protocol that is spoken here.
const VERSION: &str = "2021-12-02";

/// A server under way.
pub struct Azurite {
    address: SocketAddr,
    _server: Server,
}

impl Azurite {
    /// The server that all tests use at the same time; each takes a container of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Azurite> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let program = installed("node/node_modules/azurite/dist/src/blob/main.js");
        let address = own_address();
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let program = program.display().to_string();
        let words = [
            "node",
            &program,
            "--blobHost",
            &ip,
            "--blobPort",
            &port,
            "--inMemoryPersistence",
            "--skipApiVersionCheck",
            "--disableTelemetry",
        ]
        .map(str::to_string);
        let server = Server::start(folder(), words);
        server.wait_for("Azurite", address);
        Self {
            address,
            _server: server,
        }
    }

    /// What stands for scheme, host and account.
    pub fn url(&self) -> String {
        format!("http://{}/{ACCOUNT}", self.address)
    }

    /// Makes a container; everyone may read one that is public.
    pub fn container(&self, name: &str, is_public: bool) {
        let access = [("x-ms-blob-public-access", "container")];
        let access: &[_] = if is_public { &access } else { &[] };
        self.call("PUT", name, &[("restype", "container")], access, b"");
    }

    /// Stores a blob. Its name needs no escaping.
    pub fn put(&self, container: &str, name: &str, bytes: &[u8]) {
        let kind = [("x-ms-blob-type", "BlockBlob")];
        self.call("PUT", &format!("{container}/{name}"), &[], &kind, bytes);
    }

    /// A token that may read and list a container for an hour, and its signature.
    pub fn sas(container: &str) -> (String, String) {
        let until = SystemTime::now() + Duration::from_hours(1);
        let until = humantime::format_rfc3339_seconds(until).to_string();
        let resource = format!("/blob/{ACCOUNT}/{container}");
        // Permissions, start, expiry, resource, identifier, address, protocol, version, kind, snapshot,
        // encryption scope, and five headers of the answer.
        let text = format!("rl\n\n{until}\n{resource}\n\n\n\n{VERSION}\nc\n\n\n\n\n\n\n");
        let signature = hmac_base64(KEY, &text);
        let token = format!(
            "sp=rl&se={}&sv={VERSION}&sr=c&sig={}",
            in_query(&until),
            in_query(&signature)
        );
        (token, signature)
    }

    fn call(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let date = httpdate(SystemTime::now());
        let mut all = vec![("x-ms-date", &*date), ("x-ms-version", VERSION)];
        all.extend(headers);
        all.sort_unstable();
        let canonical: Vec<_> = all
            .iter()
            .map(|(name, value)| {
                format!(
                    "{name}:{value}
"
                )
            })
            .collect();
        let canonical = canonical.concat();
        let words: Vec<_> = query
            .iter()
            .map(|(name, value)| {
                format!(
                    "
{name}:{value}"
                )
            })
            .collect();
        let words = words.concat();
        let length = if body.is_empty() {
            String::new()
        } else {
            body.len().to_string()
        };
        let text = format!(
            "{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n{canonical}/{ACCOUNT}/{ACCOUNT}/{path}{words}"
        );
        let signature = hmac_base64(KEY, &text);
        let words: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let target = format!("/{ACCOUNT}/{path}?{}", words.join("&"));
        let mut request = Request::new(method, &target)
            .with("Host", &self.address.to_string())
            .with("Authorization", &format!("SharedKey {ACCOUNT}:{signature}"));
        for (name, value) in all {
            request = request.with(name, value);
        }
        request.body = body.to_vec();
        let answer = exchange(self.address, &request).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(answer.status < 300, "{path}: {} {text}", answer.status);
        answer
    }
}

/// `Sun, 22 Nov 2026 20:30:00 GMT`.
fn httpdate(time: SystemTime) -> String {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let days = since.as_secs() / 86_400;
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        [usize::try_from(days % 7).expect("below 7")];
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month: usize = text[5..7].parse().expect("a month");
    format!(
        "{weekday}, {} {} {} {} GMT",
        &text[8..10],
        months[month - 1],
        &text[..4],
        &text[11..19]
    )
}

#[test]
fn a_date_is_as_http_wants_it() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
    assert_eq!(httpdate(time), "Sun, 06 Nov 1994 08:49:37 GMT");
}
