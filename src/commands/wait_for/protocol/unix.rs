//! `unix://`: a socket that accepts.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::net::UnixStream;

use super::{Probe, Protocol, Shape, User, scheme};
use crate::base::failure::{Failure, Kind};
use crate::commands::wait_for::attempt::Attempt;
use crate::commands::wait_for::connect::io_words;
use crate::commands::wait_for::setup::Setup;
use crate::commands::wait_for::talk::drain;
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found};

pub(super) const PROTOCOL: Protocol = Protocol {
    schemes: &[scheme("unix", None, false)],
    shape: Shape::Path,
    keys: &[],
    is_shared: false,
    is_query_theirs: false,
    user: User::None,
    example: "unix:///run/app.sock",
    about: "connected",
    prepare,
};

/// `sun_path` of Linux has 108 bytes, the last of them a NUL.
const MAX_PATH: usize = 107;

struct Unix(PathBuf);

fn prepare(target: &Target, _: &Setup<'_>) -> Result<Box<dyn Probe>, Failure> {
    let path = target.file_path()?;
    if path.as_os_str().len() > MAX_PATH {
        return Err(target.wrong(
            format!("the path of a socket has at most {MAX_PATH} bytes"),
            "mount the folder under a shorter name",
        ));
    }
    Ok(Box::new(Unix(path)))
}

#[async_trait(?Send)]
impl Probe for Unix {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let Self(path) = self;
        attempt.stage.asking(
            &path.display().to_string(),
            "room in the backlog of the socket",
        );
        match UnixStream::connect(path).await {
            Ok(mut stream) => {
                drain(&mut stream, 0).await;
                Ok(())
            }
            Err(error) => Err(explain(path, &error)?.into()),
        }
    }

    fn proves(&self) -> String {
        "the socket accepts a connection".to_string()
    }
}

/// The kernel says "refused" for a dead listener and for a plain file alike.
fn explain(path: &Path, error: &std::io::Error) -> Result<Cause, Failure> {
    Ok(match error.kind() {
        ErrorKind::NotFound => Cause::new("no such socket").absence(),
        ErrorKind::ConnectionRefused => {
            let is_socket = std::fs::metadata(path).is_ok_and(|it| it.file_type().is_socket());
            if is_socket {
                Cause::new("connection refused: nobody listens on the socket")
                    .hint("it was left behind by a process that has ended")
                    .absence()
            } else {
                Cause::new("there is no socket at that path, but something else")
            }
        }
        ErrorKind::PermissionDenied => {
            return Err(Failure::new(Kind::Denied, "permission denied")
                .context(format!("connect to {}", path.display()))
                .hint("let this user in: runAsUser, or fsGroup for the volume"));
        }
        _ => Cause::new(io_words(error)),
    })
}
