//! NG: a real nginx with static files, which tells afterwards what it was asked and what it sent.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::certificates::Identity;
use super::server::{Server, folder};
use super::wire::own_address;

/// An nginx under way, until dropped.
pub struct Nginx {
    server: Server,
    address: SocketAddr,
    tls: Option<SocketAddr>,
}

/// One line of its access log, written when the answer has ended.
#[derive(Clone, Debug)]
pub struct Served {
    pub target: String,
    pub status: u16,
    /// Bytes of the body that went out.
    pub sent: u64,
    pub range: String,
    pub accept_encoding: String,
}

impl Nginx {
    /// Serves an empty folder.
    pub fn start() -> Self {
        Self::with("", None)
    }

    /// The same with these lines in its `server` block.
    pub fn scripted(lines: &str) -> Self {
        Self::with(lines, None)
    }

    /// The same, which also listens with TLS at the identity's address.
    pub fn with_tls(lines: &str, identity: &Identity) -> Self {
        Self::with(lines, Some(identity))
    }

    fn with(lines: &str, identity: Option<&Identity>) -> Self {
        let folder = folder();
        let address = own_address();
        fs::create_dir(folder.path().join("www")).expect("the folder of files");
        fs::write(folder.path().join("access"), "").expect("the access log");
        let tls = identity.map_or(String::new(), |identity| {
            format!(
                "listen {} ssl; ssl_certificate {}; ssl_certificate_key {};",
                identity.address,
                identity.certificate.display(),
                identity.key.display()
            )
        });
        let config = format!(
            "daemon off; master_process off; worker_rlimit_nofile 4096; pid pid; error_log stderr warn;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n\
             log_format it '$request_uri\t$status\t$body_bytes_sent\t$http_range\t$http_accept_encoding';\n\
             access_log access it; sendfile on; keepalive_requests 100000; default_type application/octet-stream;\n\
             client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n\
             server {{ listen {address}; {tls} root www;\n{lines}\n}}\n}}\n"
        );
        fs::write(folder.path().join("nginx.conf"), config).expect("the configuration");
        let prefix = format!("{}/", folder.path().display());
        let words = ["nginx", "-p", &prefix, "-c", "nginx.conf", "-e", "stderr"];
        let server = Server::start(folder, words);
        server.wait_for("nginx", address);
        Self {
            server,
            address,
            tls: identity.map(|identity| identity.address),
        }
    }

    /// Serves this file at this path.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let file = self.file(path);
        fs::create_dir_all(file.parent().expect("it lies in a folder")).expect("its folder");
        fs::write(file, bytes).expect("the file");
    }

    /// Where the file of this path lies.
    pub fn file(&self, path: &str) -> PathBuf {
        self.server
            .folder()
            .join("www")
            .join(path.trim_start_matches('/'))
    }

    /// The URL of a path.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same with TLS.
    pub fn tls_at(&self, path: &str) -> String {
        format!("https://{}{path}", self.tls.expect("started with TLS"))
    }

    /// All answers that have ended.
    pub fn served(&self) -> Vec<Served> {
        let log = fs::read_to_string(self.server.folder().join("access")).expect("the access log");
        log.lines().map(parsed).collect()
    }

    /// Bytes of all bodies of all answers that have ended.
    pub fn sent(&self) -> u64 {
        self.served().iter().map(|one| one.sent).sum()
    }

    /// Forgets what has been served.
    pub fn forget(&self) {
        fs::write(self.server.folder().join("access"), "").expect("the access log");
    }
}

fn parsed(line: &str) -> Served {
    let fields: Vec<_> = line.split('\t').collect();
    let [target, status, sent, range, accept_encoding] = fields[..] else {
        panic!("a line of the access log: {line:?}");
    };
    Served {
        target: target.to_string(),
        status: status.parse().expect("a status"),
        sent: sent.parse().expect("a number of bytes"),
        range: range.to_string(),
        accept_encoding: accept_encoding.to_string(),
    }
}

#[test]
fn nginx_serves_ranges_and_tells() {
    use super::wire::{Request, exchange};
    let nginx = Nginx::start();
    nginx.put("a/b", b"0123456789");
    let request = Request::new("GET", "/a/b").with("Range", "bytes=2-4");
    let answer = exchange(nginx.address, &request).expect("an answer");
    assert_eq!((answer.status, &answer.body[..]), (206, &b"234"[..]));
    nginx
        .server
        .wait_until("its log", || !nginx.served().is_empty());
    let served = nginx.served().remove(0);
    assert_eq!((served.sent, &*served.range), (3, "bytes=2-4"));
}
