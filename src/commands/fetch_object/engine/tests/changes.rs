//! Objects that change under the hand, and answers that are not to be trusted.

use super::super::super::source::{Framing, Span, Validator};
use super::bench::Bench;
use super::store::{Asked, MIB, Plan, Store, etag, random_bytes};
use crate::base::failure::Kind;

/// After `count` requests the object is another one, for good.
fn replaced_after(count: usize) -> Bench {
    let bench = Bench::of(6 * MIB);
    let store = std::rc::Rc::downgrade(&bench.store);
    bench.store.set_script(move |asked, _| {
        if asked.number == count {
            store
                .upgrade()
                .unwrap()
                .replace(random_bytes(5 * MIB + 1), etag("\"two\""));
        }
    });
    bench
}

#[tokio::test]
async fn an_object_that_changes_once_is_fetched_anew() {
    for count in 0..5 {
        // The request during which it changes still gets the old state; all later ones the new one.
        let fetched = replaced_after(count).fetched().await;
        assert_eq!(fetched.length, 5 * MIB + 1);
        assert_eq!(fetched.validator, etag("\"two\""));
    }
}

#[tokio::test]
async fn an_object_that_changes_twice_is_given_up() {
    let bench = Bench::new(Store::new(4 * MIB).script(|asked, plan| {
        plan.validator = etag(&format!("\"{}\"", asked.number));
    }));
    let failure = bench.refused(Kind::Unavailable).await;
    assert!(failure.to_string().contains("changed twice"), "{failure}");
}

#[tokio::test]
async fn a_pinned_object_that_is_gone_is_refused() {
    let mut bench = replaced_after(2);
    bench.pins.etag = Some("one".to_string());
    bench.refused(Kind::Corrupt).await;
}

#[tokio::test]
async fn another_total_or_date_is_a_change() {
    let bench = Bench::new(Store::new(4 * MIB).script(|asked, plan| {
        if asked.number == 2 {
            plan.content_range = plan
                .content_range
                .take()
                .map(|told| told.replace("/4194304", "/4194305"));
        }
    }));
    bench.fetched().await;
    assert!(
        bench
            .store
            .asked
            .borrow()
            .iter()
            .filter(|asked| asked.start() == 0)
            .count()
            == 2
    );
    let weak = |date: &str| Validator {
        etag: Some("W/\"x\"".to_string()),
        last_modified: Some(date.to_string()),
        ..Validator::default()
    };
    let bench = Bench::new(Store::new(4 * MIB).script(move |asked, plan| {
        plan.validator = weak(if asked.number == 2 { "2" } else { "1" });
    }));
    bench.fetched().await;
}

#[tokio::test]
async fn a_range_that_is_gone_is_a_change() {
    let bench = Bench::of(4 * MIB);
    let store = std::rc::Rc::downgrade(&bench.store);
    bench.store.set_script(move |asked, _| {
        if asked.number == 0 {
            store
                .upgrade()
                .unwrap()
                .replace(vec![7; 100], Validator::default());
        }
    });
    bench.store.validator.borrow_mut().etag = None;
    bench.fetched().await;
}

/// Whatever is wrong with all ranges, one plain GET brings the object.
async fn falls_back(script: impl Fn(&Asked, &mut Plan) + 'static) -> Bench {
    let bench = Bench::new(Store::new(3 * MIB).script(move |asked, plan| {
        if matches!(asked.span, Span::Part(_)) {
            script(asked, plan);
        }
    }));
    bench.fetched().await;
    let plain = bench
        .spans()
        .iter()
        .filter(|span| **span == Span::All)
        .count();
    assert_eq!(plain, 1);
    assert_eq!(bench.spans().last(), Some(&Span::All));
    bench
}

#[tokio::test]
async fn ranges_that_lie_are_replaced_by_one_plain_get() {
    falls_back(|asked, plan| {
        let length = plan.body.len();
        plan.content_range = Some(format!("bytes 0-{}/{}", length - 1, 3 * MIB));
        if asked.start() > 0 {
            plan.body.fill(0);
        }
    })
    .await;
    falls_back(|_, plan| plan.content_range = None).await;
    falls_back(|_, plan| {
        plan.content_range = plan
            .content_range
            .take()
            .map(|told| told.replace("/3145728", "/*"));
    })
    .await;
    falls_back(|_, plan| {
        plan.framing = Some(Framing::Chunked);
        plan.body.push(0);
    })
    .await;
    falls_back(|_, plan| plan.framing = Some(Framing::Length(5))).await;
}

#[tokio::test]
async fn a_later_range_answered_with_everything_ends_the_trust() {
    falls_back(|asked, plan| plan.is_whole = asked.start() > 0).await;
}

#[tokio::test]
async fn one_lie_is_forgiven() {
    for number in 0..3 {
        let bench = Bench::new(Store::new(3 * MIB).script(move |asked, plan| {
            if asked.number == number {
                plan.content_range = None;
            }
        }));
        bench.fetched().await;
        assert!(!bench.spans().contains(&Span::All), "{number}");
        let bench = Bench::new(Store::new(3 * MIB).script(move |asked, plan| {
            if asked.number == number {
                plan.framing = Some(Framing::Chunked);
                plan.body.fill(0);
                plan.body.push(0);
            }
        }));
        bench.fetched().await;
        assert!(!bench.spans().contains(&Span::All), "{number}");
    }
}

#[tokio::test]
async fn without_a_strong_etag_nothing_is_left_to_resume() {
    for tag in [None, Some("W/\"x\"")] {
        let bench = Bench::of(3 * MIB);
        bench.store.validator.borrow_mut().etag = tag.map(str::to_string);
        let fetched = bench.fetched().await;
        assert_eq!(fetched.checked, ["length"]);
        assert_eq!(bench.left(), ["k.part"]);
    }
    let bench = Bench::of(3 * MIB);
    bench.store.validator.borrow_mut().etag = Some("abc".to_string());
    assert_eq!(bench.fetched().await.checked, ["length", "etag"]);
}
