//! A store in memory that does what a script says, counts requests and bytes, and knows what is right.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::super::super::source::{
    About, Answer, Checksum, Condition, Crc, Framing, Metadata, Object, Page, Reply, Source, Span,
    Validator,
};
use crate::base::failure::{Failure, Kind};

pub const MIB: u64 = 1 << 20;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Counted from 0.
    pub number: usize,
    pub span: Span,
    /// Whether it was bound to a state.
    pub is_bound: bool,
}

impl Asked {
    pub fn start(&self) -> u64 {
        match &self.span {
            Span::All => 0,
            Span::Part(range) => range.start,
        }
    }
}

/// What is answered; a script changes what should be wrong with it.
pub struct Plan {
    pub failure: Option<Failure>,
    pub is_changed: bool,
    /// 200 with everything, whatever was asked.
    pub is_whole: bool,
    pub content_range: Option<String>,
    pub framing: Option<Framing>,
    pub validator: Validator,
    /// The body as it is sent.
    pub body: Vec<u8>,
    /// The connection breaks after so many bytes.
    pub cut: Option<usize>,
    /// Silence after so many bytes.
    pub stall: Option<usize>,
    /// Before the head of the answer.
    pub delay: Duration,
    /// Before each piece of the body.
    pub pace: Duration,
    pub piece: usize,
}

type Script = Box<dyn FnMut(&Asked, &mut Plan)>;

/// The store; one object.
pub struct Store {
    pub bytes: RefCell<Rc<Vec<u8>>>,
    pub validator: RefCell<Validator>,
    pub metadata: Metadata,
    pub checksums: RefCell<Vec<Checksum>>,
    /// What HEAD says instead.
    pub head: RefCell<Option<Failure>>,
    script: RefCell<Script>,
    pub asked: RefCell<Vec<Asked>>,
    pub heads: Cell<usize>,
    pub sent: Rc<Cell<u64>>,
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Store")
    }
}

pub fn random_bytes(length: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length);
    let mut bytes = vec![0; usize::try_from(length).unwrap()];
    random.fill(&mut bytes);
    bytes
}

pub fn etag(etag: &str) -> Validator {
    Validator {
        etag: Some(etag.to_string()),
        last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_string()),
        ..Validator::default()
    }
}

impl Store {
    pub fn new(length: u64) -> Self {
        Self {
            bytes: RefCell::new(Rc::new(random_bytes(length))),
            validator: RefCell::new(etag("\"one\"")),
            metadata: Metadata::None,
            checksums: RefCell::default(),
            head: RefCell::default(),
            script: RefCell::new(Box::new(|_, _| {})),
            asked: RefCell::default(),
            heads: Cell::new(0),
            sent: Rc::default(),
        }
    }

    pub fn script(self, script: impl FnMut(&Asked, &mut Plan) + 'static) -> Self {
        self.script.replace(Box::new(script));
        self
    }

    pub fn set_script(&self, script: impl FnMut(&Asked, &mut Plan) + 'static) {
        self.script.replace(Box::new(script));
    }

    pub fn replace(&self, bytes: Vec<u8>, validator: Validator) {
        self.bytes.replace(Rc::new(bytes));
        self.validator.replace(validator);
    }

    /// The sum of the object, true unless `flip` bits are flipped.
    pub fn announce(&self, kind: Crc, flip: u64) {
        let algorithm = match kind {
            Crc::Crc32 => crc_fast::CrcAlgorithm::Crc32IsoHdlc,
            Crc::Crc32c => crc_fast::CrcAlgorithm::Crc32Iscsi,
            Crc::Crc64Nvme => crc_fast::CrcAlgorithm::Crc64Nvme,
        };
        let value = crc_fast::checksum(algorithm, &self.bytes.borrow()) ^ flip;
        self.checksums.borrow_mut().push(Checksum {
            kind,
            value: Some(value),
        });
    }

    fn honest(&self, span: &Span) -> Option<Plan> {
        let bytes = Rc::clone(&self.bytes.borrow());
        let total = bytes.len() as u64;
        let (body, content_range) = match span {
            Span::All => (bytes.to_vec(), None),
            Span::Part(range) if range.start >= total => return None,
            Span::Part(range) => {
                let end = range.end.min(total);
                let (from, to) = (
                    usize::try_from(range.start).unwrap(),
                    usize::try_from(end).unwrap(),
                );
                let told = format!("bytes {}-{}/{total}", range.start, end - 1);
                (bytes[from..to].to_vec(), Some(told))
            }
        };
        Some(Plan {
            failure: None,
            is_changed: false,
            is_whole: content_range.is_none(),
            content_range,
            framing: None,
            validator: self.validator.borrow().clone(),
            body,
            cut: None,
            stall: None,
            delay: Duration::ZERO,
            pace: Duration::ZERO,
            piece: 100_000,
        })
    }
}

pub fn unavailable(reason: &str) -> Failure {
    Failure::new(Kind::Unavailable, reason)
}

/// Time passes, as a server lets it pass.
#[expect(
    clippy::disallowed_methods,
    reason = "the time of the store, not of the engine"
)]
async fn pass(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// The pieces of a body, as scripted.
fn body(plan: Plan, sent: Rc<Cell<u64>>) -> super::super::super::source::Body {
    let end = plan.cut.unwrap_or(usize::MAX);
    Box::pin(futures_util::stream::unfold(
        (0, plan, sent, end),
        |(at, plan, sent, end)| async move {
            pass(plan.pace).await;
            if plan.stall.is_some_and(|stall| at >= stall) {
                std::future::pending::<()>().await;
            }
            if at >= end {
                let gone = (usize::MAX, plan, sent, usize::MAX);
                return Some((Err(unavailable("connection reset")), gone));
            }
            if at >= plan.body.len() {
                return None;
            }
            let stop = plan.stall.unwrap_or(usize::MAX).min(end);
            let to = (at + plan.piece).min(plan.body.len()).min(stop);
            let piece = Bytes::copy_from_slice(&plan.body[at..to]);
            sent.set(sent.get() + piece.len() as u64);
            Some((Ok(piece), (to, plan, sent, end)))
        },
    ))
}

#[async_trait(?Send)]
impl Source for Store {
    fn metadata(&self) -> Metadata {
        self.metadata
    }

    async fn get(
        &self,
        _: &Object,
        span: Span,
        condition: Condition<'_>,
    ) -> Result<Reply, Failure> {
        let asked = Asked {
            number: self.asked.borrow().len(),
            span: span.clone(),
            is_bound: matches!(condition, Condition::Same(_)),
        };
        self.asked.borrow_mut().push(asked.clone());
        let Some(mut plan) = self.honest(&span) else {
            return Ok(Reply::OutOfRange);
        };
        (self.script.borrow_mut())(&asked, &mut plan);
        pass(plan.delay).await;
        if let Some(failure) = plan.failure {
            return Err(failure);
        }
        let now = plan.validator.clone();
        let is_changed = match condition {
            Condition::Same(known) => known.is_strong() && known.etag != now.etag,
            Condition::Other(known) if known.etag == now.etag && known.etag.is_some() => {
                return Ok(Reply::Unchanged);
            }
            Condition::Always | Condition::Other(_) => false,
        };
        if plan.is_changed || is_changed {
            return Ok(Reply::Changed);
        }
        if plan.is_whole {
            plan.body = self.bytes.borrow().to_vec();
            plan.content_range = None;
        }
        let framing = plan
            .framing
            .unwrap_or(Framing::Length(plan.body.len() as u64));
        Ok(Reply::Answer(Answer {
            is_partial: !plan.is_whole,
            content_range: plan.content_range.clone(),
            framing,
            validator: now,
            checksums: if plan.is_whole {
                self.checksums.borrow().clone()
            } else {
                Vec::new()
            },
            body: body(plan, Rc::clone(&self.sent)),
        }))
    }

    async fn about(&self, _: &Object, condition: Condition<'_>) -> Result<Option<About>, Failure> {
        self.heads.set(self.heads.get() + 1);
        if let Some(failure) = self.head.take() {
            return Err(failure);
        }
        let validator = self.validator.borrow().clone();
        if let Condition::Other(known) = condition
            && *known == validator
        {
            return Ok(None);
        }
        Ok(Some(About {
            length: Some(self.bytes.borrow().len() as u64),
            validator,
            checksums: self.checksums.borrow().clone(),
        }))
    }

    async fn list(&self, _: &str, _: Option<&str>) -> Result<Page, Failure> {
        Ok(Page::default())
    }

    fn show(&self, _: &Object) -> String {
        "x://b/k".to_string()
    }
}
