//! Bytes that must not be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretSlice};

/// A value without `Display`, wiped when dropped. Reading it takes the word `expose`, so every place
/// that could leak one can be found.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

impl Secret {
    /// Takes over the bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(SecretSlice::from(bytes.into()))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// Keeps secrets out of core dumps. A kernel that refuses leaves things as they were.
pub fn forbid_core_dumps() {
    let _ = nix::sys::prctl::set_dumpable(false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_hides_the_bytes() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", secret.clone()),
            "(hidden) (hidden)"
        );
        assert_eq!(secret.expose(), b"hunter2");
    }
}
