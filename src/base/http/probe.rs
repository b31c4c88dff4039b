//! One HTTP exchange over a connection that somebody else has made: no pool, no redirect, no proxy.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So much of what is no HTTP is kept to be shown; bytes.
const HEAD: usize = 33;

/// Time for the last words of an HTTP/2 connection.
const FAREWELL: Duration = Duration::from_millis(50);

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    /// At most so much of the body as was wanted.
    pub body: Vec<u8>,
    /// Whether the body is longer than that.
    pub is_longer: bool,
    /// What came behind the body.
    pub trailers: HeaderMap,
}

/// Why nothing whole came back.
#[derive(Debug)]
pub enum Broken {
    /// Something came, but no HTTP: how it begins.
    NotHttp(Vec<u8>),
    /// The connection ended without an answer.
    Closed,
    /// In the words of the system or of the protocol.
    Other(String),
}

/// A request's body: whole, or none.
#[derive(Debug)]
pub struct Whole(Option<Bytes>);

impl Whole {
    /// An empty body is none.
    pub fn new(bytes: Bytes) -> Self {
        Self(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Sends one request, and reads up to `wanted` bytes of the answer's body, with HTTP/2 or without.
/// Without `wanted` the answer is its head.
///
/// The connection is handed back where HTTP/1 has left it usable, to be closed politely.
///
/// # Errors
/// Says what came instead of an answer.
pub async fn exchange<I>(
    wire: I,
    is_h2: bool,
    request: Request<Whole>,
    wanted: Option<usize>,
) -> (Result<Reply, Broken>, Option<I>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tap = TokioIo::new(Tap {
        wire,
        seen: Arc::clone(&seen),
    });
    let (answer, wire) = if is_h2 {
        (over_http2(tap, request, wanted).await, None)
    } else {
        over_http1(tap, request, wanted).await
    };
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (answer.map_err(|error| explain(&error, seen, is_h2)), wire)
}

async fn over_http1<I>(
    tap: TokioIo<Tap<I>>,
    request: Request<Whole>,
    wanted: Option<usize>,
) -> (Result<Reply, hyper::Error>, Option<I>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, mut connection) = match http1::handshake(tap).await {
        Ok(pair) => pair,
        Err(error) => return (Err(error), None),
    };
    let mut work = pin!(async { collect(sender.send_request(request).await?, wanted).await });
    let answer = tokio::select! {
        biased;
        answer = &mut work => answer,
        _ = &mut connection => return (work.await, None),
    };
    let wire = connection.into_parts().io.into_inner().wire;
    (answer, Some(wire))
}

async fn over_http2<I>(
    tap: TokioIo<Tap<I>>,
    request: Request<Whole>,
    wanted: Option<usize>,
) -> Result<Reply, hyper::Error>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), tap).await?;
    let mut connection = pin!(connection);
    let mut work = Box::pin(async move {
        let answer = sender.send_request(request).await?;
        collect(answer, wanted).await
    });
    let answer = tokio::select! {
        biased;
        answer = &mut work => answer,
        _ = &mut connection => return work.await,
    };
    drop(work);
    let _ = tokio::time::timeout(FAREWELL, connection).await;
    answer
}

async fn collect(answer: Response<Incoming>, wanted: Option<usize>) -> Result<Reply, hyper::Error> {
    let (head, mut body) = answer.into_parts();
    let mut reply = Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body: Vec::new(),
        is_longer: false,
        trailers: HeaderMap::new(),
    };
    let Some(wanted) = wanted else {
        return Ok(reply);
    };
    let mut body = pin!(&mut body);
    while let Some(frame) = std::future::poll_fn(|context| body.as_mut().poll_frame(context)).await
    {
        match frame?.into_data() {
            Ok(data) => {
                let room = wanted - reply.body.len();
                reply.body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    reply.is_longer = true;
                    break;
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    reply.trailers = trailers;
                }
            }
        }
    }
    Ok(reply)
}

fn explain(error: &hyper::Error, seen: Vec<u8>, is_h2: bool) -> Broken {
    // HTTP/2 begins with a frame of settings, whose type is 4.
    let is_http = if is_h2 {
        seen.get(3) == Some(&4)
    } else {
        seen.starts_with(b"HTTP/1.")
    };
    // However the exchange ended, what came before its end tells more.
    if !seen.is_empty() && !is_http {
        return Broken::NotHttp(seen);
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Broken::Closed;
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof,
        ) => Broken::Closed,
        _ => Broken::Other(cause.to_string()),
    }
}

/// Keeps the beginning of what comes in.
struct Tap<I> {
    wire: I,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Tap<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.wire).poll_read(context, buffer);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let room = HEAD.saturating_sub(seen.len());
        let new = &buffer.filled()[before..];
        seen.extend_from_slice(&new[..new.len().min(room)]);
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Tap<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn asked(answer: &'static str, wanted: Option<usize>) -> Result<Reply, Broken> {
        let (near, mut far) = tokio::io::duplex(4096);
        let serving = tokio::spawn(async move {
            let mut request = [0; 4096];
            let read = far.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /x?y HTTP/1.1\r\n"));
            far.write_all(answer.as_bytes()).await.unwrap();
        });
        let request = Request::get("/x?y").body(Whole::new(Bytes::new())).unwrap();
        let (reply, _) = exchange(near, false, request, wanted).await;
        serving.await.unwrap();
        reply
    }

    #[tokio::test]
    async fn an_answer_is_read_as_far_as_it_is_wanted() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let reply = asked(answer, Some(5)).await.unwrap();
        assert_eq!((reply.status, reply.body.as_slice()), (200, &b"hello"[..]));
        assert!(!reply.is_longer);
        let reply = asked(answer, Some(4)).await.unwrap();
        assert!(reply.is_longer && reply.body == b"hell");
        let reply = asked("HTTP/1.1 503 No\r\ncontent-length: 5\r\n\r\n", None)
            .await
            .unwrap();
        assert_eq!(reply.status, 503);
    }

    #[tokio::test]
    async fn what_is_no_answer_is_told_apart() {
        assert!(matches!(asked("", None).await, Err(Broken::Closed)));
        assert!(matches!(
            asked("+PONG\r\n\r\n", None).await,
            Err(Broken::NotHttp(head)) if head.starts_with(b"+PONG")
        ));
    }
}
