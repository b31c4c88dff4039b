//! Lends a connection to a driver that makes its own: a socket without a name in the file system, that
//! only this process may connect to.
//!
//! So names, addresses, deadlines and TLS are podinit's here too, where a driver would ask libc on a thread
//! that nobody can stop.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::UnixListener;
use tokio::time::timeout;

use crate::base::failure::{Failure, Kind};
use crate::commands::wait_for::connect::BoxedWire;

/// Time for the last bytes of a driver that has said goodbye.
const FAREWELL: Duration = Duration::from_millis(100);

/// An address that nobody else has. A driver adds its own ending, if it has one.
pub(super) fn address() -> PathBuf {
    // A first byte of zero keeps it out of the file system.
    let name = format!(
        "\0podinit-{}-{:032x}",
        std::process::id(),
        fastrand::u128(..)
    );
    PathBuf::from(OsString::from_vec(name.into_bytes()))
}

/// What a driver says first, and how much of it is passed on.
pub(super) type Opening = fn(&[u8]) -> Option<Vec<u8>>;

/// Runs `work` while whatever it sends to `address` goes over `wire`, and back.
///
/// # Errors
/// `Local` when the socket cannot be made.
///
/// `opening` is asked what to pass on of the first bytes, until it knows.
pub(super) async fn lend<T>(
    mut wire: BoxedWire,
    address: &Path,
    opening: Option<Opening>,
    work: impl Future<Output = T>,
) -> Result<T, Failure> {
    let listener = UnixListener::bind(address)
        .map_err(|error| Failure::caused_by(Kind::Local, error).context("lend a connection"))?;
    let mut relay = pin!(async move {
        let own = i32::try_from(std::process::id()).ok();
        let mut near = loop {
            let (stream, _) = listener.accept().await?;
            // Others in this network namespace may connect too; they are hung up on.
            if stream.peer_cred()?.pid() == own {
                break stream;
            }
        };
        drop(listener);
        if let Some(opening) = opening {
            let mut said = Vec::new();
            let passed = loop {
                if near.read_buf(&mut said).await? == 0 {
                    break said;
                }
                if let Some(passed) = opening(&said) {
                    break passed;
                }
            };
            wire.write_all(&passed).await?;
        }
        copy_bidirectional(&mut near, &mut wire).await
    });
    let mut work = pin!(work);
    let done = tokio::select! {
        done = &mut work => done,
        _ = &mut relay => return Ok(work.await),
    };
    let _ = timeout(FAREWELL, relay).await;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn what_one_side_sends_the_other_gets_after_the_opening() {
        let (near, mut far) = tokio::io::duplex(64);
        let address = address();
        let work = async {
            let mut stream = UnixStream::connect(&address).await.unwrap();
            stream.write_all(b"ask").await.unwrap();
            let mut answer = [0; 6];
            stream.read_exact(&mut answer).await.unwrap();
            answer
        };
        let serving = async {
            let mut asked = [0; 3];
            far.read_exact(&mut asked).await.unwrap();
            far.write_all(b"answer").await.unwrap();
            asked
        };
        let (answer, asked) = tokio::join!(
            lend(
                Box::new(near),
                &address,
                Some(|said| Some(said.to_ascii_uppercase())),
                work
            ),
            serving
        );
        assert_eq!((&answer.unwrap(), &asked), (b"answer", b"ASK"));
    }
}
