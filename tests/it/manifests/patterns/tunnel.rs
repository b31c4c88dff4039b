//! The tunnel to a database outside: a real `PostgreSQL` that lets nobody in without TLS and a client's certificate.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::{Child, Stdio};

use tempfile::TempDir;

use super::super::kubelet::{INSIDE, Kubelet, OUTSIDE};
use super::{Certificate, certificate_for, printed};
use crate::support::certificates::run_in;
use crate::support::pod::command;

/// The name in the manifest, for which the database's certificate is made.
const NAME: &str = "database.example.com";

/// Debian's programs; another `postgres` earlier in PATH may lack the half of them.
const BIN: &str = "/usr/lib/postgresql/15/bin";

/// Whose database it is: the server refuses root.
const NOBODY: u32 = 65534;

/// A cluster whose users need TLS, and a certificate for their name.
const PREPARE: &str = r#"
chown -R "$1" . && chmod 600 server.key
setpriv --reuid "$1" --regid "$1" --clear-groups "$2/initdb" --no-sync --auth=trust --username=postgres -D data
echo "local all all trust
hostssl all all all cert" > data/pg_hba.conf
"#;

/// A database at the outer end of a Pod's link, until dropped.
struct Database {
    holder: Child,
    folder: TempDir,
    /// Whose word for the server is to be taken.
    authority: String,
    /// What the user app shows.
    client: Certificate,
}

impl Database {
    fn outside_of(pod: &Kubelet) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = folder.path();
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("chmod");
        chown(path, Some(NOBODY), Some(NOBODY)).expect("chown");
        let tls = certificate_for(NAME);
        fs::write(path.join("server.crt"), tls.certificate).expect("a file");
        fs::write(path.join("server.key"), tls.key).expect("a file");
        let client = certificate_for("app");
        fs::write(path.join("clients.crt"), &client.authority).expect("a file");
        run_in(path, PREPARE, &[&NOBODY.to_string(), BIN]);
        let run = format!(
            "setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {BIN}/postgres -D data \
             -c listen_addresses={OUTSIDE} -c unix_socket_directories={at} -c fsync=off -c ssl=on \
             -c ssl_cert_file={at}/server.crt -c ssl_key_file={at}/server.key -c ssl_ca_file={at}/clients.crt 2>&1 & read -r _",
            at = path.display()
        );
        let words = pod.outside().entrance();
        let mut holder = command(&words)
            .args(["unshare", "-f", "-p", "--kill-child", "sh", "-c", &run])
            .current_dir(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let said = BufReader::new(holder.stdout.take().expect("stdout is piped"));
        let database = Self {
            holder,
            folder,
            authority: tls.authority,
            client,
        };
        let mut log = String::new();
        let mut lines = said.lines().map_while(Result::ok);
        while !log.contains("ready to accept connections") {
            let line = lines.next();
            log += &line.unwrap_or_else(|| panic!("PostgreSQL does not start: {log}"));
        }
        database.sql("create role app login");
        database.sql("create database app owner app");
        database
    }

    fn sql(&self, statement: &str) {
        run_in(
            self.folder.path(),
            r#""$1/psql" --host "$PWD" --username=postgres --no-psqlrc --command "$2""#,
            &[BIN, statement],
        );
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("could not wait for the database's holder: {error}");
        }
    }
}

/// Puts the Pod before this database, which it trusts by this authority.
fn connect(pod: &mut Kubelet, database: &Database, authority: &str) {
    for (name, text) in [
        ("ca.crt", authority),
        ("tls.crt", &database.client.certificate),
        ("tls.key", &database.client.key),
    ] {
        pod.give("database-client", name, text);
    }
    pod.replace(
        &format!("connect = {NAME}"),
        &format!("connect = {OUTSIDE}"),
    );
}

#[test]
fn the_apps_plain_query_goes_through_tls() {
    let mut pod = Kubelet::of("patterns/ambassador-db-tunnel.yaml");
    let database = Database::outside_of(&pod);
    connect(&mut pod, &database, &database.authority);
    pod.start();
    let waited = pod.stage_of("app").state("wait-for-database");
    assert!(waited.finished <= pod.stage_of("app").state("app").started);
    // The app asks whether the server sees TLS on its connection, and asks again.
    let (rows, _) = printed(&pod, "app", |stdout, _| stdout.contains("\n\n"));
    assert_eq!(rows.lines().rfind(|line| !line.is_empty()), Some(" t"));
    assert_eq!(pod.stage_of("app").state("app").status, "running");
    // The app itself speaks no TLS, and without the tunnel the database lets nobody in.
    let direct = format!("host={OUTSIDE} user=app dbname=app");
    let refused = pod
        .stage_of("app")
        .try_exec("app", &["psql", &direct, "-c", "select 1"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("no encryption"), "{said}");
    // The tunnel is the Pod's alone. curl's 7: nobody listens.
    let ask = format!("curl -sS --max-time 10 telnet://{INSIDE}:5432 2>&1 || echo \"curl: $?\"");
    let said = pod.outside().sh(&ask);
    assert!(said.ends_with("curl: 7\n"), "{said}");
}

#[test]
fn a_database_that_another_authority_vouches_for_is_not_spoken_to() {
    let mut pod = Kubelet::of("patterns/ambassador-db-tunnel.yaml");
    let database = Database::outside_of(&pod);
    let other = certificate_for(NAME);
    assert_ne!(other.authority, database.authority);
    connect(&mut pod, &database, &other.authority);
    pod.replace("--timeout=2m", "--timeout=2s");
    let stage = pod.start_until(1);
    assert!(!stage.finish().status.success(), "the Pod started");
    assert_eq!(stage.state("wait-for-database").exit_code, 69);
    assert_eq!(stage.state("app").status, "created");
    printed(&pod, "tunnel", |_, stderr| {
        stderr.contains("certificate verify failed")
    });
}
