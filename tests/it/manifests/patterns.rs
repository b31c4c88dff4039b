//! manifests/patterns run for real: podman, the built image, and Debian's nginx, Redis, `PostgreSQL`, stunnel and
//! `elasticsearch_exporter` under the names of the images that the manifests use. `kubelet` plays what podman 4.3 lacks.
//! Elasticsearch can't be had here: a small static stand-in takes its name, its settings and its log file.

mod ambassador;
mod sidecar;
mod tunnel;
mod volume;
mod waited;

use std::fs;
use std::time::{Duration, Instant};

use super::kubelet::Kubelet;
use crate::support::certificates::run_in;

/// What has not been printed by then will not be.
const PATIENCE: Duration = Duration::from_secs(30);

/// An authority, and a certificate of its making for one name.
const SCRIPT: &str = r#"
key() { openssl ecparam -name prime256v1 -genkey -noout > "$1"; }
key ca.key
openssl req -x509 -new -key ca.key -days 2 -subj "/CN=an authority" -out ca.crt
key tls.key
openssl req -new -key tls.key -subj "/CN=$1" -out tls.csr
echo "subjectAltName=DNS:$1" > tls.ext
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile tls.ext -out tls.crt
"#;

/// PEM texts.
pub struct Certificate {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

/// A certificate for this name, by an authority that nobody else has.
pub fn certificate_for(name: &str) -> Certificate {
    let folder = tempfile::tempdir().expect("a temporary directory");
    run_in(folder.path(), SCRIPT, &[name]);
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a PEM");
    Certificate {
        authority: file("ca.crt"),
        certificate: file("tls.crt"),
        key: file("tls.key"),
    }
}

/// What a container has printed on standard output and standard error, once this is so.
fn printed(pod: &Kubelet, container: &str, is_so: impl Fn(&str, &str) -> bool) -> (String, String) {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let (stdout, stderr) = pod.stage_of(container).logs(container);
        if is_so(&stdout, &stderr) {
            return (stdout, stderr);
        }
        assert!(Instant::now() < give_up, "{container}: {stdout}\n{stderr}");
        std::thread::yield_now();
    }
}
