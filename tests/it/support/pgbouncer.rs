//! A real `PgBouncer`: it answers for a database that may be dead.

use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use super::server::{NOBODY, Server, Start, folder_of};
use super::wire::own_address;

/// A pooler under way.
pub struct PgBouncer {
    _server: Server,
    address: SocketAddr,
    _folder: TempDir,
}

impl PgBouncer {
    /// In front of this address, for one user.
    pub fn before(database: SocketAddr, user: &str, password: &str) -> Self {
        let folder = folder_of(NOBODY);
        let address = own_address();
        let users = folder.path().join("users");
        fs::write(&users, format!("\"{user}\" \"{password}\"\n")).expect("the users");
        let config = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             auth_type = scram-sha-256\nauth_file = {}\nunix_socket_dir =\npool_mode = session\n",
            database.ip(),
            database.port(),
            address.ip(),
            address.port(),
            users.display(),
        );
        let path = folder.path().join("pgbouncer.ini");
        fs::write(&path, config).expect("the configuration");
        let server = Start::new(["pgbouncer"])
            .for_nobody()
            .args([&path])
            .log_to(&folder.path().join("log"));
        server.wait_for_port(address);
        Self {
            _server: server,
            address,
            _folder: folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
