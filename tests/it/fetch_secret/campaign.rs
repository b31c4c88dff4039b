//! SIGKILL at any moment: no reader sees half of anything, and the next run heals all.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use super::Scene;
use crate::support::pod::command;
use crate::support::{binary, machine_to_itself};

/// How many runs are killed.
const KILLS: u32 = 200;

/// Long enough to be seen half-written.
const REPEATS: usize = 1000;

/// What the file `name` holds in the `turn`th generation.
fn content(name: &str, turn: u32) -> String {
    format!("{name} of turn {turn:03}\n").repeat(REPEATS)
}

/// Whether these bytes are one whole content, and of which turn.
fn turn_of(name: &str, bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = text.lines().next()?;
    let turn = line
        .strip_prefix(&format!("{name} of turn "))?
        .parse()
        .ok()?;
    (text == content(name, turn)).then_some(turn)
}

/// One look at the volume: both files of one generation, through the link that is swapped.
/// Tells what is wrong with it.
fn look(dir: &Path) -> Result<bool, String> {
    for name in ["one", "two"] {
        match fs::read(dir.join(name)) {
            Ok(bytes) if turn_of(name, &bytes).is_none() => {
                return Err(format!("{name} has {} wrong bytes", bytes.len()));
            }
            _ => {}
        }
    }
    // A reader who holds on to a generation sees both files of it, or that it is gone.
    let Ok(generation) = fs::canonicalize(dir.join("..data")) else {
        return Ok(false);
    };
    let [one, two] = ["one", "two"].map(|name| {
        let mut bytes = Vec::new();
        let file = fs::File::open(generation.join(name));
        file.and_then(|mut file| file.read_to_end(&mut bytes))
            .ok()
            .and(turn_of(name, &bytes))
    });
    match (one, two) {
        (Some(one), Some(two)) if one != two => Err(format!("turns {one} and {two} at once")),
        (Some(_), Some(_)) => Ok(true),
        _ => Ok(false),
    }
}

/// Tells the reader to stop.
struct Ends<'t>(&'t AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_sigkill_at_any_moment_is_healed_by_the_next_run() {
    let _turn = machine_to_itself();
    let scene = Scene::new();
    let put = |turn: u32| {
        let object = serde_json::json!({"one": content("one", turn), "two": content("two", turn)});
        scene.server.put("secret/campaign", &object.to_string());
    };
    let check = |turn: u32| {
        let (one, two) = (content("one", turn), content("two", turn));
        let files: &[(&str, &[u8])] = &[("one", one.as_bytes()), ("two", two.as_bytes())];
        scene.dir.holds(files);
    };
    put(0);
    let began = Instant::now();
    scene.fs(["secret/campaign"]).run().succeeds();
    let whole = began.elapsed().as_secs_f64();
    check(0);
    let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut dice = fastrand::Rng::with_seed(7);
    let killed = thread::scope(|threads| {
        let reader = threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let seen = look(scene.dir.path()).expect("no torn file");
                looks.fetch_add(usize::from(seen), Ordering::Relaxed);
            }
        });
        // The reader ends with this scope, also when an assertion ends it early.
        let _ends = Ends(&over);
        let mut killed = 0;
        for turn in 1..=KILLS {
            // A reader that has panicked has seen enough.
            if reader.is_finished() {
                break;
            }
            put(turn);
            // The log would keep both files of every turn.
            scene.proxy.forget();
            let moment = format!("{:.4}", dice.f64() * whole);
            let status = command(["timeout", "-s", "KILL", &moment])
                .arg(binary())
                .args(["fetch-secret", "secret/campaign", "--auth", "token", "-q"])
                .args(["--addr", &scene.proxy.url(), "--dir"])
                .arg(scene.dir.path())
                .env("VAULT_TOKEN", &scene.token)
                .stdout(Stdio::null())
                .status()
                .expect("timeout starts");
            killed += u32::from(!status.success());
            scene.fs(["secret/campaign"]).run().succeeds();
            check(turn);
        }
        killed
    });
    assert!(killed >= KILLS / 4, "only {killed} runs were killed");
    assert!(looks.into_inner() > 100, "the reader hardly looked");
}
