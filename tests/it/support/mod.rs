//! What the tests share: the executable under test, its surroundings, real and scripted servers.

pub mod certificates;
pub mod furniture;
pub mod hidden;
pub mod jwt;
pub mod kubelet;
pub mod node;
pub mod openbao;
pub mod outcome;
pub mod pod;
pub mod podinit;
pub mod proxy;
pub mod running;
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
