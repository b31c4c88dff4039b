//! What the tests share: the executable under test, its surroundings, real and scripted servers.

pub mod authority;
pub mod backlog;
pub mod certificates;
pub mod clock;
pub mod dns;
pub mod furniture;
pub mod grpc;
pub mod hidden;
pub mod jwt;
pub mod mariadb;
pub mod node;
pub mod openbao;
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
pub mod server;
pub mod small_servers;
pub mod tls_front;
pub mod tokenreview;
pub mod trace;
pub mod turn;
pub mod volume;
pub mod wire;

pub use openbao::OpenBao;
pub use outcome::Outcome;
pub use pod::Pod;
pub use podinit::Podinit;
pub use proxy::{Proxy, Reply};
pub use turn::machine_to_itself;

use std::path::Path;

/// The executable under test, as cargo has just built it.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_podinit"))
}
