use nix::sys::signal::Signal;
use tokio::sync::watch;

use super::*;
use crate::commands::fetch_object::parents::is_writable;

fn deadline(limit: &str) -> (watch::Sender<Option<Signal>>, Deadline) {
    let (stop, stopped) = watch::channel(None);
    (stop, Deadline::new(limit.parse().unwrap(), stopped))
}

#[tokio::test]
async fn a_state_comes_and_goes_with_its_directories() {
    let place = tempfile::tempdir().unwrap();
    let (_stop, deadline) = deadline("5s");
    let holder = place.path().join("a/b");
    let state = State::lock(holder.clone(), "x".into(), &deadline)
        .await
        .unwrap();
    std::fs::write(state.path(Item::Part), "x").unwrap();
    std::fs::create_dir_all(state.path(Item::Tree).join("deep/er")).unwrap();
    assert!(state.has(Item::Part) && !state.has(Item::Journal));
    state.clear_except(&[Item::Part]).unwrap();
    assert!(state.has(Item::Part) && !state.has(Item::Tree));
    state.tidy(&[], &deadline);
    state.leave();
    assert!(!place.path().join("a").exists());
}

#[tokio::test]
async fn a_second_one_waits_and_says_for_whom() {
    let place = tempfile::tempdir().unwrap();
    let (_stop, deadline) = deadline("300ms");
    let lock = |base: &str| State::lock(place.path().to_path_buf(), base.into(), &deadline);
    let first = lock("x").await.unwrap();
    let beside = lock("y").await.unwrap();
    let failure = lock("x").await.unwrap_err();
    assert_eq!(failure.kind(), Kind::Unavailable);
    let pid = format!("process {} of", std::process::id());
    assert!(failure.to_string().contains(&pid), "{failure}");
    first.leave();
    assert!(place.path().join(STATE).exists());
    beside.leave();
    assert!(!place.path().join(STATE).exists());
}

#[test]
fn long_names_are_cut_and_stay_apart() {
    let long = |last: char| OsString::from("x".repeat(254) + &last.to_string());
    assert_ne!(base_of(&long('a')), base_of(&long('b')));
    assert!(base_of(&long('a')).len() + ".journal".len() <= 255);
    assert_eq!(base_of(OsStr::new("short")), "short");
}

#[test]
fn a_file_on_the_way_is_refused() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("f"), "").unwrap();
    let failure = make_folders(&place.path().join("f/x/y")).unwrap_err();
    assert_eq!(failure.kind(), Kind::Usage);
    assert!(is_writable(&place.path().join("n/e/w")));
}
