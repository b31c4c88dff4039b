//! What the tests share: the executable under test, its surroundings, real and scripted servers.

pub mod node;

use std::path::Path;

/// The executable under test, as cargo has just built it.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_podinit"))
}
