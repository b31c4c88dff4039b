//! A real `SeaweedFS`: S3 with one identity and, where asked for, a broker with its Kafka gateway.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;

use super::clock::until;
use super::pod::command;
use super::server::{Server, Start, folder_of, own_ports};

/// The identity that may do all.
pub const ACCESS_KEY: &str = "AKIAPODINITTESTS";
pub const SECRET_KEY: &str = "s3-s3cret-Xoh4-of-the-tests";

/// A server under way.
pub struct SeaweedFs {
    _server: Server,
    gateway: Option<Server>,
    ports: Vec<SocketAddr>,
    folder: TempDir,
}

impl SeaweedFs {
    /// With S3, and nothing in it.
    pub fn start() -> Self {
        Self::launch(&[])
    }

    /// The same with a Kafka gateway.
    pub fn with_kafka() -> Self {
        let mut all = Self::launch(&["-mq.broker"]);
        let [_, master, master_grpc, .., kafka] = all.ports[..] else {
            panic!("many ports");
        };
        // The gateway gives up for good when the broker is not there yet; then it is started again.
        let gateway = until("a gateway that finds its broker", || {
            let log = all.folder.path().join("gateway.log");
            drop(fs::remove_file(&log));
            let gateway = Start::new([weed()])
                .args(["-logtostderr", "mq.kafka.gateway"])
                .args([
                    format!("-ip={}", kafka.ip()),
                    format!("-ip.bind={}", kafka.ip()),
                    format!("-port={}", kafka.port()),
                    format!("-master={master}.{}", master_grpc.port()),
                    // It insists on a registry of schemas and does without when none answers.
                    format!("-schema-registry-url=http://{}:1", kafka.ip()),
                ])
                .env("HOME", all.folder.path())
                .log_to(&log);
            until("a word of the gateway's", || {
                let has_failed = gateway.log().contains("Failed to create");
                (has_failed || TcpStream::connect(kafka).is_ok()).then_some(())
            });
            TcpStream::connect(kafka).is_ok().then_some(gateway)
        });
        all.gateway = Some(gateway);
        all
    }

    fn launch(more: &[&str]) -> Self {
        let folder = folder_of(0);
        let ports = own_ports(10);
        let ip = ports[0].ip();
        let config = folder.path().join("s3.json");
        let identity = json!({"identities": [{
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }]});
        fs::write(&config, identity.to_string()).expect("the identities");
        let port = |at: usize| ports[at].port();
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder");
        let server = Start::new([weed()])
            .args(["-logtostderr", "server", "-master.telemetry=false", "-s3"])
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=20"])
            .args(["-master.volumeSizeLimitMB=64"])
            .args([
                format!("-dir={}", data.display()),
                format!("-ip={ip}"),
                format!("-ip.bind={ip}"),
                format!("-s3.config={}", config.display()),
                format!("-s3.port={}", port(0)),
                format!("-master.port={}", port(1)),
                format!("-master.port.grpc={}", port(2)),
                format!("-volume.port={}", port(3)),
                format!("-volume.port.grpc={}", port(4)),
                format!("-filer.port={}", port(5)),
                format!("-filer.port.grpc={}", port(6)),
                format!("-s3.port.grpc={}", port(7)),
                format!("-mq.broker.port={}", port(8)),
            ])
            .args(more)
            .env("HOME", folder.path())
            .log_to(&folder.path().join("log"));
        server.wait_for_port(ports[0]);
        Self {
            _server: server,
            gateway: None,
            ports,
            folder,
        }
    }

    /// Where S3 listens, as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.ports[0])
    }

    /// Where Kafka clients are served.
    pub fn kafka(&self) -> SocketAddr {
        assert!(self.gateway.is_some(), "started with the gateway");
        *self.ports.last().expect("ports")
    }

    /// Makes a bucket, or an empty object when the path has a key: curl does not sign a body.
    #[track_caller]
    pub fn put(&self, path: &str) {
        let url = format!("{}/{path}", self.url());
        // Until a volume has been found for it, an object is answered with an error.
        until(&url, || {
            let done = command(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}"])
                .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "-X", "PUT"])
                .args(["--user", &format!("{ACCESS_KEY}:{SECRET_KEY}")])
                .args(["--data-binary", ""])
                .arg(&url)
                .stdin(Stdio::null())
                .output()
                .expect("curl starts");
            (done.stdout == b"200").then_some(())
        });
    }
}

fn weed() -> PathBuf {
    let weed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/env/venv/bin/weed");
    assert!(
        weed.exists(),
        "no {}: `make test` installs it",
        weed.display()
    );
    weed
}
