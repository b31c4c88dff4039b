//! Real Redis servers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use tempfile::TempDir;

use super::pod::Pod;
use super::server::{NOBODY, Server, Start, folder_of};
use super::wire::own_address;

/// A server under way.
pub struct Redis {
    server: Option<Server>,
    folder: TempDir,
    address: SocketAddr,
}

impl Redis {
    /// On an address of the test's own; the arguments are settings such as `--requirepass x`.
    pub fn start(settings: &[&str]) -> Self {
        let mut server = Self::prepare();
        server.run(settings);
        server.wait();
        server
    }

    /// Its folder and address, and no server yet.
    pub fn prepare() -> Self {
        Self {
            server: None,
            folder: folder_of(NOBODY),
            address: own_address(),
        }
    }

    /// Starts it without waiting for anything.
    pub fn run(&mut self, settings: &[&str]) {
        let start = self.words(self.address, settings);
        self.server = Some(start.log_to(&self.folder.path().join("log")));
    }

    /// In a pod, at this address of the pod's; whoever asks waits for its log.
    pub fn inside(pod: &Pod, address: SocketAddr, settings: &[&str]) -> Self {
        let mut server = Self {
            server: None,
            folder: folder_of(NOBODY),
            address,
        };
        let start = server.words(address, settings).inside(pod);
        let started = start.log_to(&server.folder.path().join("log"));
        started.wait_until(|| started.log().contains("Ready to accept connections"));
        server.server = Some(started);
        server
    }

    fn words(&self, address: SocketAddr, settings: &[&str]) -> Start {
        Start::new(["redis-server", "--save", "", "--dir"])
            .for_nobody()
            .args([self.folder.path()])
            .args(["--bind", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .args(settings)
    }

    /// Waits until it takes commands.
    pub fn wait(&self) {
        let server = self.server.as_ref().expect("it runs");
        server.wait_until(|| server.log().contains("Ready to accept connections"));
    }

    /// Kills it.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.server.as_ref().expect("it runs").log()
    }

    /// One command, and the first line of what comes back.
    #[track_caller]
    pub fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address).expect("Redis listens");
        write!(stream, "{command}\r\n").expect("Redis hears");
        let mut line = String::new();
        let mut from = BufReader::new(stream);
        from.read_line(&mut line).expect("Redis answers");
        line.trim_end().to_string()
    }
}
