//! What the tests share: the executable under test, its surroundings, real and scripted servers.

pub mod archive;
pub mod authority;
pub mod azurite;
pub mod backlog;
pub mod bucket;
pub mod certificates;
pub mod clock;
pub mod daemon;
pub mod dns;
pub mod fakegcs;
pub mod furniture;
pub mod grpc;
pub mod hidden;
pub mod jwt;
pub mod kubelet;
pub mod mariadb;
pub mod nginx;
pub mod node;
pub mod object;
pub mod openbao;
pub mod origin;
pub mod outcome;
pub mod pgbouncer;
pub mod pod;
pub mod podinit;
pub mod postgres;
pub mod proxy;
pub mod rabbitmq;
pub mod redis;
pub mod running;
pub mod scripted;
pub mod seaweedfs;
pub mod seaweedfs_own;
pub mod server;
pub mod sigv4;
pub mod small_servers;
pub mod tls_front;
pub mod tokenreview;
pub mod trace;
pub mod tree;
pub mod turn;
pub mod volume;
pub mod wire;

pub use nginx::Nginx;
pub use object::{MIB, Object, noise, sha256};
pub use openbao::OpenBao;
pub use origin::{Answer, Origin};
pub use outcome::Outcome;
pub use pod::Pod;
pub use podinit::Podinit;
pub use proxy::{Proxy, Reply};
pub use seaweedfs::SeaweedFs;
pub use turn::machine_to_itself;

use std::path::Path;

/// The executable under test, as cargo has just built it.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_podinit"))
}
