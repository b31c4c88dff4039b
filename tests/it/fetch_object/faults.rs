//! Cases 11 to 15: what is tried again and for how long, and what is not.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use super::{OLD, Scene, big};
use crate::support::origin::range;
use crate::support::{Answer, MIB, Object, Origin, machine_to_itself, noise};

/// What may come twice when bodies are cut.
const TWICE: u64 = 16 * MIB as u64;

/// Every first try of a range ends in its middle, in this way.
fn is_completed(cut: fn(Answer, usize) -> Answer) {
    let object = Object::new(big());
    let tried = Mutex::new(BTreeSet::new());
    let x = Origin::new(move |request, _| {
        let answer = object.answer(request);
        // What is left of a range ends where the range ends.
        let end = range(request).map(|(_, to)| to);
        let is_first = tried.lock().expect("no panic").insert(end);
        let half = answer.body.len() / 2;
        if is_first { cut(answer, half) } else { answer }
    });
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
    assert!(x.sent() <= big().len() as u64 + TWICE, "{} bytes", x.sent());
}

#[test]
fn a_body_that_is_cut_is_completed() {
    is_completed(Answer::cut_at);
}

#[test]
fn a_body_that_is_reset_is_completed() {
    is_completed(Answer::reset_at);
}

#[test]
fn a_chunked_body_that_is_cut_is_completed() {
    is_completed(|answer, half| answer.chunked().cut_at(half));
}

#[test]
fn without_ranges_a_cut_body_starts_from_zero() {
    let object = Object::new(big());
    let x = Origin::new(move |_, turn| match turn {
        0 | 1 => object.whole().cut_at(5 * MIB),
        _ => object.whole(),
    });
    let scene = Scene::new();
    scene.old("x").fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let object = Object::new(big());
    let x = Origin::new(move |request, turn| match turn % 3 {
        2 => Answer::new(503).with("Retry-After", "2"),
        _ => object.answer(request),
    });
    let scene = Scene::new();
    let _turn = machine_to_itself();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
    let asked = x.asked();
    for busy in asked.iter().filter(|one| one.status == 503) {
        let again = asked
            .iter()
            .find(|one| one.at > busy.at && one.range() == busy.range());
        let again = again.expect("the range was asked for again");
        let after = again.at - busy.at;
        assert!(
            after >= Duration::from_secs(2),
            "asked again after {after:?}"
        );
    }
}

#[test]
fn what_can_heal_is_tried_again() {
    for status in [408, 425, 429, 500, 502, 503, 504] {
        let object = Object::new("text");
        let x = Origin::new(move |request, turn| match turn {
            0 | 1 => Answer::new(status),
            _ => object.answer(request),
        });
        let scene = Scene::new();
        scene.fetch(&x.at("/x"), "x").run().succeeds();
        scene.holds([("x", "text")]);
        assert_eq!(x.asked().len(), 3, "{status}: {:?}", x.log());
    }
}

#[test]
fn words_of_s3_that_can_heal_are_tried_again() {
    for (status, code) in [
        (503, "SlowDown"),
        (500, "InternalError"),
        (400, "RequestTimeout"),
    ] {
        let object = Object::new("text");
        let x = Origin::new(move |request, _| {
            static GETS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
            let is_first =
                request.method == "GET" && GETS.lock().expect("no panic").insert(code.to_string());
            if is_first {
                Answer::s3_error(status, code)
            } else {
                object.answer(request)
            }
        });
        let scene = Scene::new();
        scene.s3(&x.url(), "s3://b/k", "x").run().succeeds();
        scene.holds([("x", "text")]);
    }
}

#[test]
fn a_connection_that_ends_without_an_answer_is_tried_again() {
    let object = Object::new(big());
    let x = Origin::new(move |request, turn| match turn {
        0 | 3 => Answer::hang_up(),
        _ => object.answer(request),
    });
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", big())]);
}

#[test]
fn a_server_that_appears_later_is_waited_for() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let scene = Scene::new();
    let run = scene.fetch(&format!("http://{address}/x"), "x").spawn();
    run.running.listens();
    let listener = std::net::TcpListener::bind(address).expect("the same port");
    let x = Origin::on(listener, |request, _| Object::new("text").answer(request));
    run.finish().succeeds();
    scene.holds([("x", "text")]);
    assert!(x.count("GET") > 0);
}

#[test]
fn the_deadline_ends_all_tries_and_names_the_last_cause() {
    let x = Origin::new(|_, _| Answer::new(500));
    let scene = Scene::new();
    let _turn = machine_to_itself();
    let out = scene.old("x").fetch(&x.at("/x"), "x").timeout("5s").run();
    out.fails(69).says("500").hints("--timeout");
    out.no_sooner_than(Duration::from_secs(5))
        .within(Duration::from_millis(5250));
    scene.has("x", OLD);
}

#[test]
fn the_deadline_ends_each_kind_of_waiting() {
    let _turn = machine_to_itself();
    let whole = Object::new(big());
    let silent = Origin::new(|_, _| Answer::new(200).late(Duration::from_mins(1)));
    let halfway = Origin::new(move |request, _| whole.answer(request).silent_from(MIB));
    let refused = "http://127.0.0.1:9/x".to_string();
    let nowhere = "http://no-such-host.invalid/x".to_string();
    for url in [silent.at("/x"), halfway.at("/x"), refused, nowhere] {
        let scene = Scene::new();
        let out = scene
            .old("x")
            .fetch(&url, "x")
            .timeout("2s")
            .may_leave_parts()
            .run();
        out.fails(69);
        out.no_sooner_than(Duration::from_secs(2))
            .within(Duration::from_millis(2250));
        scene.has("x", OLD);
    }
}

#[test]
fn what_cannot_heal_fails_at_once() {
    for (status, code) in [
        (401, 77),
        (403, 77),
        (404, 66),
        (410, 66),
        (400, 65),
        (451, 65),
        (405, 65),
        (418, 65),
    ] {
        let x = Origin::new(move |_, _| Answer::text(status, "text/plain", "words of the server"));
        let scene = Scene::new();
        let _turn = machine_to_itself();
        let out = scene.old("x").fetch(&x.at("/x"), "x").run();
        out.fails(code).within(Duration::from_secs(1));
        if code == 65 {
            out.says(&status.to_string()).says("words of the server");
        }
        scene.has("x", OLD);
        assert_eq!(x.log(), ["GET /x"], "{status}");
    }
}

#[test]
fn what_a_server_says_is_cut_to_200_bytes_and_one_line() {
    let words = format!("{}\n\u{1b}[31mred{}", "w".repeat(150), "v".repeat(5000));
    let x = Origin::new(move |_, _| Answer::text(400, "text/plain", &words));
    let scene = Scene::new();
    let out = scene.fetch(&x.at("/x"), "x").run();
    out.fails(65).never_shows("\u{1b}");
    out.does_not_say(&"v".repeat(100));
}

#[test]
fn a_stalled_range_is_asked_for_again() {
    let object = Object::new(big());
    let tried = Mutex::new(BTreeSet::new());
    let x = Origin::new(move |request, _| {
        let is_first = tried.lock().expect("no panic").insert(range(request));
        let answer = object.answer(request);
        match range(request) {
            Some((from, _)) if is_first && from > 0 => answer.silent_from(0),
            _ => answer,
        }
    });
    let scene = Scene::new();
    let _turn = machine_to_itself();
    let out = scene
        .fetch(&x.at("/x"), "x")
        .with("--stall-timeout", "2s")
        .run();
    out.succeeds()
        .no_sooner_than(Duration::from_secs(2))
        .within(Duration::from_secs(8));
    scene.holds([("x", big())]);
}

#[test]
fn a_slow_body_is_no_stall() {
    // 10 KiB a second: four seconds for 40 KiB, with a stall allowed for no more than two.
    let object = Object::new(noise(1, 40 * 1024));
    let wanted = object.bytes.clone();
    let x = Origin::new(move |request, _| object.answer(request).slow(10 * 1024));
    let scene = Scene::new();
    scene
        .fetch(&x.at("/x"), "x")
        .with("--stall-timeout", "2s")
        .run()
        .succeeds();
    scene.holds([("x", &wanted)]);
    assert_eq!(x.count("GET"), 1);
}

#[test]
fn a_body_that_only_the_end_of_the_connection_ends_proves_nothing() {
    let object = Object::new(noise(1, MIB));
    let wanted = object.bytes.clone();
    let x = Origin::new(move |_, _| object.whole().until_close());
    let scene = Scene::new();
    let out = scene.old("x").fetch(&x.at("/x"), "x").run();
    out.fails(65).hints("--sha256");
    scene.has("x", OLD);
    let digest = crate::support::sha256(&wanted);
    scene
        .fetch(&x.at("/x"), "x")
        .with("--sha256", digest)
        .run()
        .succeeds();
    scene.holds([("x", &wanted)]);
}

#[test]
fn a_chunked_whole_body_is_proof_enough() {
    let object = Object::new(noise(1, MIB));
    let wanted = object.bytes.clone();
    let x = Origin::new(move |_, _| object.whole().chunked());
    let scene = Scene::new();
    scene.fetch(&x.at("/x"), "x").run().succeeds();
    scene.holds([("x", &wanted)]);
}

#[test]
fn a_body_shorter_or_longer_than_declared_is_not_taken() {
    for claimed in [MIB + 1, MIB - 1] {
        let object = Object::new(noise(1, MIB));
        let x = Origin::new(move |_, _| object.whole().claiming(claimed).cut_at(MIB));
        let scene = Scene::new();
        // A length that is too short cannot be told from a shorter object on a plain GET: what
        // comes is then exactly what was declared. One that is too long is cut for ever.
        let out = scene
            .old("x")
            .fetch(&x.at("/x"), "x")
            .timeout("2s")
            .may_leave_parts()
            .run();
        if claimed > MIB {
            out.fails(69);
            scene.has("x", OLD);
        }
    }
}
