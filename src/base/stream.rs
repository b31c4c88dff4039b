//! Writing to stdout and stderr without hanging on a reader that does not read.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A pipe that poll calls writable takes this much without blocking: `PIPE_BUF` of Linux.
const SAFE_CHUNK: usize = 4096;

/// Writes all of `bytes`, waiting at most `limit` in total for a reader that is slow.
///
/// # Errors
/// `TimedOut` when nobody read in time; else what the system says.
pub fn write_within(
    stream: &mut (impl Write + AsFd),
    bytes: &[u8],
    limit: Duration,
) -> io::Result<()> {
    // A limit beyond the clock's range is no limit.
    let end = Instant::now().checked_add(limit);
    let mut rest = bytes;
    while !rest.is_empty() {
        let left = end.map_or(Duration::MAX, |end| {
            end.saturating_duration_since(Instant::now())
        });
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
        match poll(&mut ready, timeout) {
            Ok(0) if left.is_zero() => return Err(io::ErrorKind::TimedOut.into()),
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(errno.into()),
        }
        match stream.write(&rest[..rest.len().min(SAFE_CHUNK)]) {
            Ok(count) => rest = &rest[count..],
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_reader_gets_everything_and_one_that_does_not_read_holds_nobody_up() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        let bytes: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let sent = bytes.clone();
        let writing =
            std::thread::spawn(move || write_within(&mut writer, &sent, Duration::from_secs(20)));
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(received, bytes);

        let (_reader, mut writer) = io::pipe().unwrap();
        let error = write_within(&mut writer, &bytes, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
