//! The program that podinit becomes when its work is done: the only place that calls `execve`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};

use super::failure::{Failure, Kind};
use super::signals;
use super::text::one_line;

/// Where programs are looked for when PATH is not set, as in an image without any.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that has been found, and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    path: PathBuf,
    /// The name as typed, then the arguments: any bytes.
    words: Vec<OsString>,
}

impl Successor {
    /// Finds the program that `words` begin with, as a shell would.
    ///
    /// # Errors
    /// `Usage` when there is none, or it cannot be executed.
    pub fn find(words: Vec<OsString>, search: Option<&OsStr>) -> Result<Self, Failure> {
        let Some(name) = words.first().filter(|name| !name.is_empty()) else {
            return Err(Failure::new(Kind::Usage, "the command behind -- is empty"));
        };
        let search = search.unwrap_or(OsStr::new(USUAL_PATH));
        let shown = one_line(&name.to_string_lossy());
        let fault = |words: String, hint: &str| {
            Err(Failure::new(Kind::Usage, words)
                .context(format!("find the command {shown}"))
                .hint(hint))
        };
        let candidates: Vec<PathBuf> = if name.as_bytes().contains(&b'/') {
            vec![PathBuf::from(name)]
        } else {
            // An empty part is the working folder.
            let parts = search.as_bytes().split(|byte| *byte == b':');
            parts
                .map(|part| if part.is_empty() { &b"."[..] } else { part })
                .map(|part| Path::new(OsStr::from_bytes(part)).join(name))
                .collect()
        };
        let mut is_there = false;
        for path in candidates {
            if !path.is_file() {
                continue;
            }
            if eaccess(&path, AccessFlags::X_OK).is_ok() {
                return Ok(Self { path, words });
            }
            is_there = true;
        }
        match (is_there, name.as_bytes().contains(&b'/')) {
            (true, _) => fault(
                "it is not executable".to_string(),
                "give it the right to be executed (chmod +x)",
            ),
            (false, true) => fault("no such file".to_string(), "correct the path"),
            (false, false) => fault(
                format!("not found in PATH={}", one_line(&search.to_string_lossy())),
                "write its whole path; is it in this image?",
            ),
        }
    }

    /// Becomes the program: environment, working folder and signal mask as podinit received them, no
    /// further file descriptor. It only returns when that has failed.
    pub fn replace(self) -> Failure {
        signals::restore();
        // Handled signals fall back to their defaults by themselves; exec() does it for SIGPIPE.
        let error = Command::new(&self.path)
            .arg0(&self.words[0])
            .args(&self.words[1..])
            .exec();
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        let kind = match errno {
            Errno::EACCES | Errno::EPERM => Kind::Denied,
            _ => Kind::Local,
        };
        let hint = match errno {
            Errno::ENOEXEC => {
                "it is no program of this architecture, and no script with #! in its first line"
            }
            Errno::ENOENT => "its interpreter or loader is not in this image",
            Errno::EACCES => "is the volume mounted noexec?",
            _ => "run it by itself to see why",
        };
        Failure::new(kind, errno.desc().to_lowercase())
            .context(format!("become {}", self.path.display()))
            .hint(hint)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_would() {
        let folder = tempfile::tempdir().unwrap();
        let lay = |name: &str, mode: u32| {
            let path = folder.path().join(name);
            std::fs::write(&path, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        let (good, bad) = (lay("good", 0o755), lay("bad", 0o644));
        let search = format!("/no/such:{}", folder.path().display());
        let find = |name: &OsStr| {
            let words = vec![name.to_os_string(), "x".into()];
            Successor::find(words, Some(OsStr::new(&search)))
        };
        assert_eq!(find(OsStr::new("good")).unwrap().path, good);
        assert_eq!(find(good.as_os_str()).unwrap().path, good);
        for (name, gist) in [
            (OsStr::new("bad"), "not executable"),
            (bad.as_os_str(), "not executable"),
            (OsStr::new("absent"), "not found in PATH=/no/such:"),
            (OsStr::new("/no/such/absent"), "no such file"),
            (folder.path().as_os_str(), "no such file"),
            (OsStr::new(""), "is empty"),
        ] {
            let failure = find(name).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage);
            assert!(failure.to_string().contains(gist), "{failure}");
        }
    }
}
