//! The images that the manifests name, built on this machine when the first Pod asks for one; no registry is asked.
//! podinit's is the real one. The others hold Debian's own programs with the libraries they need, or a small stand-in:
//! tests/env/images/ has a folder for each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, OnceLock};

use super::podman::{say, with_store};
use crate::support::binary;

/// An image of a name, put together here.
struct Image {
    name: &'static str,
    /// The folder of tests/env/images/ that has its Dockerfile.
    folder: &'static str,
    /// Programs of this machine that go into it.
    programs: &'static [&'static str],
    built: OnceLock<()>,
}

const fn image(
    name: &'static str,
    folder: &'static str,
    programs: &'static [&'static str],
) -> Image {
    Image {
        name,
        folder,
        programs,
        built: OnceLock::new(),
    }
}

const PODINIT: &str = concat!("ghcr.io/podinit/podinit:", env!("CARGO_PKG_VERSION"));

static BUILT_PODINIT: LazyLock<()> = LazyLock::new(build_podinit);

/// podman's own pause image, which its first Pod makes it build; two at once would both try.
static PAUSE: LazyLock<()> = LazyLock::new(|| {
    let first = format!("first-{}", std::process::id());
    say(["pod", "create", "--network", "none", "--name", &first]);
    say(["pod", "rm", "--force", &first]);
});

static IMAGES: [Image; 8] = [
    image(
        "docker.elastic.co/elasticsearch/elasticsearch:9.4.0",
        "elasticsearch",
        &["/bin/busybox"],
    ),
    image(
        "docker.io/dockurr/stunnel:5.82",
        "stunnel",
        &["/usr/bin/stunnel4"],
    ),
    image(
        "docker.io/library/busybox:1.37.0",
        "busybox",
        &["/bin/busybox"],
    ),
    image(
        "docker.io/library/nginx:1.28.0",
        "nginx",
        &["/usr/sbin/nginx"],
    ),
    image(
        "docker.io/library/postgres:17.6",
        "postgres",
        &["/usr/lib/postgresql/15/bin/psql"],
    ),
    image(
        "docker.io/library/redis:8.2.1",
        "redis",
        &["/usr/bin/redis-check-rdb", "/usr/bin/redis-cli"],
    ),
    image(
        "quay.io/prometheuscommunity/elasticsearch-exporter:v1.11.0",
        "elasticsearch-exporter",
        &["/usr/bin/prometheus-elasticsearch-exporter"],
    ),
    image(
        "registry.k8s.io/pause:3.10",
        "pause",
        &["/usr/bin/catatonit"],
    ),
];

/// Makes podman able to start a Pod at all.
pub fn provide_pause() {
    LazyLock::force(&PAUSE);
}

/// Puts the image of this name into the store, once for all tests.
pub fn provide(name: &str) {
    if name == PODINIT {
        return LazyLock::force(&BUILT_PODINIT).to_owned();
    }
    let found = IMAGES.iter().find(|image| image.name == name);
    let image = found.unwrap_or_else(|| panic!("tests/env/images has nothing for {name}"));
    image.built.get_or_init(|| build(image));
}

/// Builds the tested binary's image with images/build.
fn build_podinit() {
    let found = Command::new("podman").arg("--version").output();
    assert!(found.is_ok(), "podman is not here; `make test` installs it");
    let ldd = said_by(Command::new("ldd").arg(binary()));
    assert!(
        ldd.contains("statically linked"),
        "an image FROM scratch needs a static binary: `make test` sets CARGO_BUILD_TARGET so"
    );
    let mut command = Command::new(source().join("images/build"));
    command.arg(binary()).env("ENGINE", "podman");
    let output = with_store(&mut command).output().expect("bash is here");
    assert!(
        output.status.success(),
        "images/build: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Lays out the folder, the programs, and below `libraries` what they load, and builds.
fn build(image: &Image) {
    let context = tempfile::tempdir().expect("a temporary folder");
    let folder = source().join("tests/env/images").join(image.folder);
    let to = context.path();
    let libraries = to.join("libraries");
    fs::create_dir(&libraries).expect("a folder");
    copy(&["-R"], &folder.join("."), to);
    for program in image.programs {
        copy(&["-L"], Path::new(program), to);
        for library in libraries_of(program) {
            copy(&["-L", "--parents"], &library, &libraries);
        }
    }
    let to = to.to_str().expect("a UTF-8 path");
    say(["build", "--quiet", "--tag", image.name, to]);
}

fn copy(flags: &[&str], from: &Path, to: &Path) {
    let copied = Command::new("cp").args(flags).arg(from).arg(to).status();
    assert!(
        copied.expect("cp starts").success(),
        "{} could not be copied; `make test` installs it",
        from.display()
    );
}

/// What the loader would load for a program, the loader too; nothing for a static one.
fn libraries_of(program: &str) -> Vec<PathBuf> {
    let said = said_by(Command::new("ldd").arg(program));
    let found = said.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.find(|word| word.starts_with('/') && !word.ends_with(':'))
    });
    let mut found: Vec<PathBuf> = found.map(PathBuf::from).collect();
    // The C library loads this one by itself when a thread ends, so that no program names it.
    let libc = found.iter().find(|path| path.ends_with("libc.so.6"));
    found.extend(libc.map(|path| path.with_file_name("libgcc_s.so.1")));
    found
}

fn said_by(command: &mut Command) -> String {
    let output = command.output().expect("ldd is part of libc");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn source() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
