//! Cases 5 to 10: what an answer must be like to be believed, and what follows when it is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{OLD, Scene, big, warnings};
use crate::support::origin::range;
use crate::support::{Answer, MIB, Object, Origin, noise};

/// The same validator for both states is the fault that no client can see; here they differ.
fn two_states() -> (Object, Object) {
    let old = Object::random(1, 20 * MIB);
    let new = Object::random(2, 20 * MIB);
    (old, new)
}

#[test]
fn an_object_that_changes_once_is_fetched_anew() {
    let (first, second) = two_states();
    let wanted = second.bytes.clone();
    let changed = Arc::new(AtomicUsize::new(0));
    let x = Origin::new(move |request, _| {
        let later = range(request).is_none_or(|(from, _)| from > 0);
        if later {
            changed.store(1, Ordering::SeqCst);
        }
        if changed.load(Ordering::SeqCst) == 0 {
            first.answer(request)
        } else {
            second.answer(request)
        }
    });
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", &wanted)]);
    let asked = x.asked();
    assert!(asked.iter().any(|one| one.status == 412), "{:?}", x.log());
}

#[test]
fn an_object_that_changes_all_the_time_is_unavailable() {
    let x = Origin::new(|request, turn| {
        // Another state at every look.
        Object::random(turn as u64, 20 * MIB).answer(request)
    });
    let scene = Scene::new();
    let out = scene.old("x").fetch(&x.at("/x"), "x").run();
    out.fails(69).says("changed").hints("pin");
    scene.has("x", OLD);
    assert_no_parts(&scene);
}

#[test]
fn a_changed_object_whose_pin_is_gone_is_corrupt() {
    let (first, second) = two_states();
    let etag = first.etag.clone().expect("it has one");
    let changed = AtomicUsize::new(0);
    let x = Origin::new(move |request, _| {
        if range(request).is_none_or(|(from, _)| from > 0) {
            changed.store(1, Ordering::SeqCst);
        }
        [&first, &second][changed.load(Ordering::SeqCst)].answer(request)
    });
    let scene = Scene::new();
    let out = scene
        .old("x")
        .fetch(&x.at("/x"), "x")
        .with("--etag", &etag)
        .run();
    out.fails(65);
    scene.has("x", OLD);
}

#[test]
fn a_pinned_etag_is_what_the_object_must_have() {
    let x = Origin::new(|request, _| {
        Object::new("text")
            .tagged(Some("\"right\""))
            .answer(request)
    });
    let scene = Scene::new();
    for etag in ["right", "\"right\""] {
        let run = scene.fetch(&x.at("/x"), "x").args(["--if-changed", "off"]);
        run.with("--etag", etag).run().succeeds();
    }
    let out = scene
        .old("x")
        .fetch(&x.at("/x"), "x")
        .with("--etag", "wrong")
        .run();
    out.fails(65).says("wrong");
    scene.has("x", OLD);
}

#[test]
fn a_server_without_ranges_sends_the_body_once() {
    let object = Object::new(big());
    let x = Origin::new(move |_, _| object.whole());
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
    assert_eq!(x.sent(), big().len() as u64, "{:?}", x.log());
    assert_eq!(x.count("GET"), 1);
}

/// Ranges that lie are given up for one plain GET, with one warning.
fn is_fetched_plainly(lie: impl Fn(Answer) -> Answer + Send + Sync + 'static) {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| match range(request) {
        Some(_) => lie(object.answer(request)),
        None => object.answer(request),
    });
    let scene = Scene::new();
    let out = scene.old("x").fetch(&x.at("/x"), "x").run();
    out.succeeds();
    scene.holds([("x", big())]);
    let plain = x.asked().iter().filter(|one| one.range().is_none()).count();
    assert_eq!(plain, 1, "plain requests: {:?}", x.log());
    assert_eq!(warnings(&out).len(), 1, "warnings of {out:?}");
}

#[test]
fn a_range_that_starts_elsewhere_is_not_believed() {
    is_fetched_plainly(|answer| {
        let length = answer.body.len();
        let shifted = format!("bytes 1-{length}/{}", big().len());
        answer.instead("Content-Range", &shifted)
    });
}

#[test]
fn a_range_that_always_starts_at_zero_is_not_believed() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| match range(request) {
        Some((from, to)) => object.part(0, (to - from).min(object.len() - 1)),
        None => object.answer(request),
    });
    let scene = Scene::new();
    let out = scene.old("x").fetch(&x.at("/x"), "x").run();
    out.succeeds();
    scene.holds([("x", big())]);
    assert_eq!(warnings(&out).len(), 1, "warnings of {out:?}");
}

#[test]
fn a_range_without_its_header_is_not_believed() {
    is_fetched_plainly(|answer| answer.without("Content-Range"));
}

#[test]
fn a_range_of_an_unknown_total_is_not_believed() {
    is_fetched_plainly(|answer| {
        let range = answer
            .headers
            .iter()
            .find(|(name, _)| name == "Content-Range")
            .map(|(_, value)| {
                value
                    .rsplit_once('/')
                    .map_or("", |(span, _)| span)
                    .to_string()
            });
        match range {
            Some(span) => answer.instead("Content-Range", &format!("{span}/*")),
            None => answer,
        }
    });
}

#[test]
fn a_range_that_is_one_byte_too_long_is_not_believed() {
    is_fetched_plainly(|answer| {
        let mut longer = answer.body.to_vec();
        longer.push(b'!');
        answer.body(longer).chunked()
    });
}

#[test]
fn nonsense_in_a_content_range_is_not_believed() {
    for nonsense in [
        "",
        "bytes",
        "bytes 5",
        "items 0-1/2",
        "bytes 0-18446744073709551616/5",
        "bytes 9-3/20",
        "bytes -5-3/10",
    ] {
        is_fetched_plainly(move |answer| answer.instead("Content-Range", nonsense));
    }
}

#[test]
fn a_later_range_that_is_the_whole_is_not_written() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| match range(request) {
        Some((from, _)) if from > 0 => object.whole(),
        _ => object.answer(request),
    });
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
}

#[test]
fn a_total_that_changes_is_a_changed_object() {
    // Once: the new bytes. At every look: unavailable.
    let (first, second) = (Object::random(1, 20 * MIB), Object::random(2, 21 * MIB));
    let wanted = second.bytes.clone();
    let same = |object: &Object| object.clone().tagged(Some("\"same\""));
    let (first, second) = (same(&first), same(&second));
    let later = Arc::new(AtomicUsize::new(0));
    let x = Origin::new(move |request, _| {
        if range(request).is_none_or(|(from, _)| from > 0) {
            later.store(1, Ordering::SeqCst);
        }
        [&first, &second][later.load(Ordering::SeqCst)].answer(request)
    });
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", &wanted)]);

    let x = Origin::new(|request, turn| {
        let length = 20 * MIB + turn;
        Object::random(9, length)
            .tagged(Some("\"same\""))
            .answer(request)
    });
    let scene = Scene::new();
    let out = scene.old("x").fetch(&x.at("/x"), "x").run();
    out.fails(69);
    scene.has("x", OLD);
}

#[test]
fn shorter_ranges_are_completed_by_more_requests() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| match range(request) {
        Some((from, to)) => object.part(from, to.min(from + MIB - 1).min(object.len() - 1)),
        None => object.answer(request),
    });
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
    assert_eq!(x.sent(), big().len() as u64);
}

#[test]
fn an_object_without_a_strong_etag_is_fetched_with_a_warning() {
    for etag in [None, Some("W/\"weak\"")] {
        let object = Object::new(big()).tagged(etag);
        let x = Origin::new(move |request, _| object.answer(request));
        let scene = Scene::new();
        let out = scene.fetch(&x.at("/x"), "x").run();
        out.succeeds();
        scene.holds([("x", big())]);
        assert_eq!(warnings(&out).len(), 1, "warnings of {out:?}");
        let conditions = x.asked();
        let conditions = conditions
            .iter()
            .filter_map(|one| one.request.header("if-match"));
        assert_eq!(
            conditions.count(),
            0,
            "a weak validator was sent as a strong one"
        );
    }
}

#[test]
fn a_change_behind_a_weak_etag_is_seen_by_its_date() {
    let mut first = Object::random(1, 20 * MIB).tagged(None);
    let mut second = Object::random(2, 20 * MIB).tagged(None);
    first.modified = Some("Sun, 01 Nov 2026 10:00:00 GMT".to_string());
    second.modified = Some("Sun, 01 Nov 2026 10:00:01 GMT".to_string());
    let wanted = second.bytes.clone();
    let x = Origin::new(move |request, turn| match (turn, range(request)) {
        (0, _) => first.answer(request),
        _ => second.answer(request),
    });
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", &wanted)]);
}

#[test]
fn an_unquoted_etag_goes_back_as_it_came() {
    let object = Object::new(big()).tagged(Some("abc"));
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
    let asked = x.asked();
    let sent: Vec<_> = asked
        .iter()
        .filter_map(|one| one.request.header("if-match"))
        .collect();
    assert!(
        !sent.is_empty() && sent.iter().all(|etag| *etag == "abc"),
        "{sent:?}"
    );
}

#[test]
fn a_plain_get_that_is_answered_with_a_part_is_corrupt() {
    let object = Object::random(3, 3 * MIB);
    let x = Origin::new(move |_, _| object.part(0, MIB));
    let scene = Scene::new();
    let out = scene
        .old("x")
        .fetch(&x.at("/x"), "x")
        .args(["--parallel", "1"])
        .run();
    out.fails(65).says("206");
    scene.has("x", OLD);
}

#[test]
fn with_one_connection_there_is_one_plain_get() {
    let object = Object::new(big());
    let x = Origin::new(move |request, _| object.answer(request));
    let scene = Scene::new();
    scene
        .fetch(&x.at("/x"), "x")
        .args(["--parallel", "1"])
        .run()
        .succeeds();
    scene.holds([("x", big())]);
    assert_eq!((x.count("GET"), x.asked()[0].range()), (1, None));
}

#[test]
fn connections_are_no_more_than_allowed() {
    let object = Object::new(noise(5, 32 * MIB));
    let x = Origin::new(move |request, _| object.answer(request).slow(40 << 20));
    for (flags, most) in [
        (&[][..], 4),
        (&["--parallel", "2"], 2),
        (&["--parallel", "8"], 8),
    ] {
        let scene = Scene::new();
        let run = scene.fetch(&x.at("/x"), "x").args(["--part-size", "1MiB"]);
        run.args(flags).run().succeeds();
        let mut connections: Vec<_> = x.asked().iter().map(|one| one.connection).collect();
        connections.sort_unstable();
        connections.dedup();
        assert!(
            connections.len() <= most,
            "{} connections, not {most}",
            connections.len()
        );
        x.forget();
    }
}

/// Nothing to go on from is left.
#[track_caller]
fn assert_no_parts(scene: &Scene) {
    let left = crate::support::tree::leftovers(&scene.tree());
    assert!(left.is_empty(), "left over: {left:?}");
}
