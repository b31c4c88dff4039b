//! Cases 16, 37, 44 and 50: disks that freeze, are full, are read-only, or lack a feature. Real file
//! systems lie in images and are mounted in namespaces that end with the test; a system call that no
//! file system here refuses is refused by strace.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::{OLD, Scene, big, warnings};
use crate::support::bucket::Bucket;
use crate::support::wire::{Request, exchange};
use crate::support::{Answer, MIB, Object, Origin, Outcome, Pod, machine_to_itself, noise, sha256};

/// A file system in an image, mounted in a pod.
struct Disk {
    pod: Pod,
    mount: PathBuf,
    scene: Scene,
    _image: TempDir,
}

impl Disk {
    /// Made by `make`, so large, and mounted with these options.
    fn new(make: &str, size: &str, options: &str) -> Self {
        let scene = Scene::new();
        // What happens to the image is no change of what is published.
        let folder = crate::support::server::folder();
        let (image, mount) = (folder.path().join("image"), scene.beside("mount"));
        std::fs::create_dir(&mount).expect("the mount point");
        let (image, at) = (image.display(), mount.display());
        let pod = Pod::mounted(&format!(
            "truncate -s {size} {image} && {make} {image} && mount -o loop,{options} {image} {at} && chmod 777 {at}"
        ));
        Self {
            pod,
            mount,
            scene,
            _image: folder,
        }
    }

    /// `podinit fetch-object SOURCE MOUNT/DEST` in the pod.
    fn fetch(&self, source: &str, dest: &str) -> super::scene::Fetch<'_> {
        let dest = format!("{}/{dest}", self.mount.display());
        self.scene.bare([source, &dest]).inside(&self.pod)
    }

    /// What a shell in the pod says of the mounted folder.
    fn sh(&self, script: &str) -> String {
        self.pod
            .sh(&format!("cd {} && {script}", self.mount.display()))
    }

    /// A file has these bytes.
    #[track_caller]
    fn has(&self, name: &str, bytes: &[u8]) {
        let said = self.sh(&format!("sha256sum < {name}"));
        assert_eq!(
            said.split(' ').next(),
            Some(&*sha256(bytes)),
            "SHA-256 of {name}"
        );
    }

    /// These names are all there is, hidden ones too.
    #[track_caller]
    fn names(&self, wanted: &[&str]) {
        let said = self.sh("ls -A");
        let found: Vec<_> = said.lines().collect();
        assert_eq!(found, wanted, "names on the disk");
    }
}

/// A disk that takes no write until this is dropped.
struct Frozen<'d>(&'d Disk);

impl<'d> Frozen<'d> {
    fn new(disk: &'d Disk) -> Self {
        disk.pod
            .sh(&format!("fsfreeze -f {}", disk.mount.display()));
        Self(disk)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // A disk that stays frozen would outlive the test.
        let disk = self.0;
        disk.pod
            .sh(&format!("fsfreeze -u {}", disk.mount.display()));
    }
}

/// Waits so long, by a server that answers no sooner.
fn pass(time: Duration) {
    let clock = Origin::new(move |_, _| Answer::new(200).late(time));
    exchange(clock.address(), &Request::new("GET", "/")).expect("an answer");
}

#[test]
fn a_frozen_disk_is_no_stall() {
    let disk = Disk::new("mkfs.ext4 -q", "300M", "rw");
    let bytes = noise(1, 96 * MIB);
    let object = Object::new(bytes.clone());
    let x = Origin::new(move |request, _| object.answer(request));
    x.hold_after(32 * MIB as u64);
    let run = disk
        .fetch(&x.at("/x"), "x")
        .with("--stall-timeout", "1s")
        .spawn();
    x.wait_for_bytes(32 * MIB as u64);
    let frozen = Frozen::new(&disk);
    x.release();
    pass(Duration::from_secs(6));
    drop(frozen);
    let out = run.finish();
    out.succeeds();
    assert!(!out.stderr.to_lowercase().contains("stall"), "{out:?}");
    disk.has("x", &bytes);
    assert!(
        x.sent() <= bytes.len() as u64 + MIB as u64,
        "{} bytes: some came twice",
        x.sent()
    );
}

#[test]
fn a_fresh_volume_is_filled_at_its_root() {
    let disk = Disk::new("mkfs.ext4 -q", "64M", "rw");
    disk.names(&["lost+found"]);
    let bucket = Bucket::of([("p/a", "a"), ("p/s/b", "b")]);
    let x = Origin::new(move |request, _| bucket.s3(request));
    let run = || {
        disk.fetch("s3://b/p/", "")
            .args(["--anonymous", "--endpoint-url", &x.url()])
    };
    run().args(["--atomic"]).run().fails(64).hints("below");
    disk.names(&["lost+found"]);
    run().args(["--delete"]).run().succeeds();
    disk.names(&[".podinit", "a", "lost+found", "s"]);
    assert_eq!(disk.sh("cat a s/b; ls -A .podinit"), "abrecord.json\n");
    run().run().succeeds();
    disk.names(&[".podinit", "a", "lost+found", "s"]);
}

#[test]
fn an_archive_is_unpacked_at_the_root_of_a_volume() {
    use crate::support::archive::{file, folder, gz, tar};
    let disk = Disk::new("mkfs.ext4 -q", "64M", "rw");
    let packed = gz(&tar(&[folder("s/"), file("s/a", b"a"), file("b", b"b")]));
    let x = Origin::new(move |request, _| Object::new(packed.clone()).answer(request));
    disk.fetch(&x.at("/x.tar.gz"), "")
        .args(["--unpack"])
        .run()
        .succeeds();
    disk.names(&[".podinit", "b", "lost+found", "s"]);
    assert_eq!(disk.sh("cat s/a b"), "ab");
}

#[test]
fn a_killed_run_at_the_root_of_a_volume_is_completed() {
    let disk = Disk::new("mkfs.ext4 -q", "64M", "rw");
    let bucket = Bucket::of((0..8).map(|n| (format!("p/{n}"), noise(n, MIB))));
    let x = Origin::new(move |request, _| bucket.s3(request));
    let run = || {
        disk.fetch("s3://b/p/", "")
            .args(["--anonymous", "--endpoint-url", &x.url()])
    };
    x.hold_after(5 * MIB as u64);
    let killed = run().spawn();
    x.wait_for_bytes(5 * MIB as u64);
    killed.kill();
    assert_eq!(disk.sh("ls"), "lost+found\n", "nothing is published yet");
    x.release();
    run().run().succeeds();
    disk.names(&[
        ".podinit",
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "lost+found",
    ]);
    for n in 0..8 {
        disk.has(&n.to_string(), &noise(n, MIB));
    }
    assert_eq!(disk.sh("ls -A .podinit"), "record.json\n");
}

#[test]
fn a_disk_too_small_is_told_before_a_byte_is_written() {
    let disk = Disk::new("mkfs.ext4 -q", "16M", "rw");
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let out = disk.fetch(&x.at("/x"), "x").run();
    out.fails(74).says(&(20 * MIB).to_string());
    disk.names(&["lost+found"]);
    assert!(
        x.sent() <= 8 * MIB as u64 + MIB as u64,
        "{} bytes",
        x.sent()
    );
    // The sum of a prefix counts, not its largest object.
    let bucket = Bucket::of((0..5).map(|n| (format!("p/{n}"), noise(n, 4 * MIB))));
    let x = Origin::new(move |request, _| bucket.s3(request));
    let run = disk
        .fetch("s3://b/p/", "new")
        .args(["--anonymous", "--endpoint-url", &x.url()]);
    run.run().fails(74);
    disk.names(&["lost+found"]);
    assert!(
        x.log().iter().all(|line| line.contains("list-type")),
        "{:?}",
        x.log()
    );
}

#[test]
fn a_disk_that_fills_up_is_local_and_tried_once() {
    // No length is announced, so nothing can be known before.
    let disk = Disk::new("mkfs.ext4 -q", "16M", "rw");
    let object = Object::new(big());
    let x = Origin::new(move |_, _| object.whole().chunked());
    disk.sh("printf old > x");
    let out = disk.fetch(&x.at("/x"), "x").run();
    out.fails(74);
    disk.names(&["lost+found", "x"]);
    assert_eq!(disk.sh("cat x"), "old");
    assert_eq!(x.count("GET"), 1);
}

#[test]
fn no_inodes_left_is_local() {
    let disk = Disk::new("mkfs.ext4 -q -N 32", "64M", "rw");
    let bucket = Bucket::of((0..200).map(|n| (format!("p/{n}"), noise(n, 10))));
    let x = Origin::new(move |request, _| bucket.s3(request));
    let run = disk
        .fetch("s3://b/p/", "new")
        .args(["--anonymous", "--endpoint-url", &x.url()]);
    run.run().fails(74);
    disk.names(&["lost+found"]);
    assert!(
        x.log().iter().all(|line| line.contains("list-type")),
        "{:?}",
        x.log()
    );
}

#[test]
fn a_read_only_disk_is_denied() {
    let disk = Disk::new("mkfs.ext4 -q", "64M", "rw");
    disk.pod
        .sh(&format!("mount -o remount,ro {}", disk.mount.display()));
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let out = disk.fetch(&x.at("/x"), "x").run();
    out.fails(77).hints("readOnly");
}

#[test]
fn a_folder_that_may_not_be_written_is_denied() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let out = scene.fetch(&x.at("/x"), "x").uid(1000).run();
    out.fails(77).hints("fsGroup");
    scene.is_bare();
}

/// A run whose system calls fail this way.
#[track_caller]
fn with_fault(fault: &str, code: i32) -> Outcome {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let out = scene
        .old("x")
        .fetch(&x.at("/x"), "x")
        .injecting(&[fault])
        .run();
    out.ends_with(code);
    if code == 0 {
        scene.holds([("x", big())]);
    } else {
        out.fails(code);
        scene.holds([("x", OLD)]);
    }
    out
}

#[test]
fn a_disk_that_refuses_a_write_is_local() {
    for error in ["EIO", "EDQUOT", "ENOSPC", "EFBIG"] {
        with_fault(&format!("pwrite64:error={error}:when=7"), 74);
    }
    with_fault("fsync:error=EIO", 74);
    with_fault("fallocate:error=EDQUOT", 74);
    with_fault("fallocate:error=ENOSPC", 74);
}

#[test]
fn a_write_that_is_interrupted_is_repeated() {
    with_fault("pwrite64:error=EINTR:when=3+5", 0);
}

#[test]
fn without_fallocate_it_works() {
    for error in ["EOPNOTSUPP", "ENOSYS"] {
        let out = with_fault(&format!("fallocate:error={error}"), 0);
        assert!(warnings(&out).len() <= 1, "{out:?}");
    }
    let disk = Disk::new("mkfs.ext2 -q", "64M", "rw");
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let out = disk.fetch(&x.at("/x"), "x").run();
    out.succeeds();
    assert!(warnings(&out).len() <= 1, "{out:?}");
    disk.has("x", &big());
}

#[test]
fn without_flock_it_works_with_a_warning() {
    for error in ["ENOLCK", "EOPNOTSUPP"] {
        let out = with_fault(&format!("flock:error={error}"), 0);
        assert_eq!(warnings(&out).len(), 1, "{out:?}");
    }
}

#[test]
fn without_openat2_it_works() {
    for error in ["ENOSYS", "EPERM"] {
        let bucket = Bucket::of([("p/a", "a"), ("p/s/t/b", "b")]);
        let x = Origin::new(move |request, _| bucket.s3(request));
        let scene = Scene::new();
        let fault = format!("openat2:error={error}");
        scene
            .s3(&x.url(), "s3://b/p/", "new")
            .injecting(&[&fault])
            .run()
            .succeeds();
        scene.holds([("new/a", "a"), ("new/s/t/b", "b")]);
        // A link in the way is refused all the same.
        std::fs::create_dir(scene.beside("outside")).expect("a folder");
        scene.old("more/own");
        std::os::unix::fs::symlink(scene.beside("outside"), scene.at("more/s")).expect("a link");
        let run = scene
            .s3(&x.url(), "s3://b/p/", "more")
            .injecting(&[&fault])
            .may_leave_files();
        run.run().fails(74);
        assert_eq!(
            std::fs::read_dir(scene.beside("outside"))
                .expect("a folder")
                .count(),
            0
        );
    }
}

#[test]
fn without_an_exchange_atomic_is_local() {
    let bucket = Bucket::of([("p/a", "a")]);
    let x = Origin::new(move |request, _| bucket.s3(request));
    let scene = Scene::new();
    scene.old("new/own");
    let run = scene.s3(&x.url(), "s3://b/p/", "new").args(["--atomic"]);
    run.injecting(&["renameat2:error=EINVAL"])
        .run()
        .fails(74)
        .hints("--atomic");
    scene.holds([("new/own", OLD)]);
}

#[test]
fn a_slow_disk_does_not_delay_the_end() {
    use nix::sys::signal::Signal;
    let object = Object::new(noise(1, 64 * MIB));
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    let _turn = machine_to_itself();
    // Each write takes 100 ms.
    let run = scene
        .old("x")
        .fetch(&x.at("/x"), "x")
        .injecting(&["pwrite64:delay_enter=100000"])
        .spawn();
    x.wait_for_bytes(4 * MIB as u64);
    let sent = run.signal(Signal::SIGTERM);
    let out = run.finish();
    out.ends_with(143)
        .within_of(Duration::from_millis(400), sent);
    scene.has("x", OLD);
}
