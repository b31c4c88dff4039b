//! SW: a real `SeaweedFS` with its S3 gateway, shared by all tests: each takes a bucket of its own.

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::server::{Server, folder, installed};
use super::sigv4::{AccessKey, in_path};
use super::wire::{Response, exchange, own_address};

/// Who may do all.
pub const ADMIN: AccessKey = AccessKey {
    id: "AKIAPODINITADMIN",
    secret: "hidden-Secret/Key+of.the.admin",
};

/// Whom nobody is asked for: reads the buckets `pub…`.
const IDENTITIES: &str = r#"{"identities":[
 {"name":"anonymous","actions":["Read:pub*","List:pub*"]},
 {"name":"admin","credentials":[{"accessKey":"AKIAPODINITADMIN","secretKey":"hidden-Secret/Key+of.the.admin"}],
  "actions":["Admin","Read","Write","List","Tagging"]}]}"#;

/// A server under way.
pub struct SeaweedFs {
    address: SocketAddr,
    _server: Server,
}

impl SeaweedFs {
    /// The server that all tests use at the same time.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<SeaweedFs> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let weed = installed("venv/bin/weed");
        let folder = folder();
        fs::create_dir(folder.path().join("data")).expect("the data directory");
        fs::write(folder.path().join("s3.json"), IDENTITIES).expect("the identities");
        let address = own_address();
        let ip = address.ip();
        let mut words = vec![weed.display().to_string(), "server".to_string()];
        words.extend(["-dir=data", "-s3", "-s3.config=s3.json"].map(str::to_string));
        words.extend(["-master.telemetry=false", "-volume.max=100"].map(str::to_string));
        words.extend([format!("-ip={ip}"), format!("-ip.bind={ip}")]);
        words.push(format!("-s3.port={}", address.port()));
        for flag in [
            "s3.port.grpc",
            "s3.port.iceberg",
            "s3.port.lance",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
        ] {
            words.push(format!("-{flag}={}", free_port(ip)));
        }
        let server = Server::start(folder, words);
        let ask = |method: &str, path: &str, body: &[u8]| {
            let mut request = ADMIN.signed(method, &address.to_string(), path, "");
            request.body = body.to_vec();
            exchange(address, &request).map_or(0, |answer| answer.status)
        };
        // The gateway listens before the volumes are there.
        server.wait_until("SeaweedFS", || {
            ask("PUT", "/pub-ready", b"");
            ask("PUT", "/pub-ready/one", b"1") == 200
        });
        Self {
            address,
            _server: server,
        }
    }

    /// Without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Makes a bucket of the test's own that nobody needs a key for, and tells its name.
    pub fn public_bucket(&self) -> String {
        self.bucket("pub")
    }

    /// Makes a bucket of the test's own that only the admin reads.
    pub fn private_bucket(&self) -> String {
        self.bucket("own")
    }

    fn bucket(&self, kind: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{kind}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.call("PUT", &format!("/{name}"), "", b"");
        name
    }

    /// Stores an object.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) -> Response {
        self.call("PUT", &path(bucket, key), "", bytes)
    }

    /// Removes an object, or marks it as removed.
    pub fn delete(&self, bucket: &str, key: &str) {
        self.call("DELETE", &path(bucket, key), "", b"");
    }

    /// Keeps old versions from now on.
    pub fn keep_versions(&self, bucket: &str) {
        let text = b"<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>Enabled</Status></VersioningConfiguration>";
        self.call("PUT", &format!("/{bucket}"), "versioning=", text);
    }

    /// One request as the admin, which must succeed.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, query: &str, body: &[u8]) -> Response {
        let answer = self.try_call(method, path, query, body);
        let answer = answer.unwrap_or_else(|| panic!("{method} {path}: no answer"));
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            answer.status < 300,
            "{method} {path}: {} {text}",
            answer.status
        );
        answer
    }

    fn try_call(&self, method: &str, path: &str, query: &str, body: &[u8]) -> Option<Response> {
        let mut request = ADMIN.signed(method, &self.host(), path, query);
        request.body = body.to_vec();
        exchange(self.address, &request).ok()
    }
}

/// The path of an object in a URL.
pub fn path(bucket: &str, key: &str) -> String {
    format!("/{bucket}/{}", in_path(key))
}

/// A port that nobody else has on an address of our own.
fn free_port(ip: IpAddr) -> u16 {
    let probe = TcpListener::bind((ip, 0)).expect("a free port");
    probe.local_addr().expect("it is bound").port()
}
