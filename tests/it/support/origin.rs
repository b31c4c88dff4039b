//! X: an HTTP server that does as its script says, and every fault with it. It counts what it was
//! asked, and the bytes of bodies that it handed to the kernel; a budget of such bytes stops it at a
//! known place, so that a test can act there without a clock.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt};

use super::wire::Request;

/// What has not been asked by then will not be asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// Small, so that little is on its way when the server stops.
const PIECE_BYTES: usize = 16 * 1024;

/// How the receiver learns where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Claimed(usize),
    Chunked,
    Close,
}

/// What happens after so many bytes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Fin(usize),
    Rst(usize),
    Stall(usize),
    HangUp,
}

/// One answer, with its faults.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    framing: Framing,
    end: End,
    late: Duration,
    bytes_a_second: Option<u32>,
}

impl Answer {
    /// An answer without headers and body.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            framing: Framing::Length,
            end: End::Whole,
            late: Duration::ZERO,
            bytes_a_second: None,
        }
    }

    /// An answer with a text of this content type.
    pub fn text(status: u16, kind: &str, text: &str) -> Self {
        Self::new(status)
            .with("Content-Type", kind)
            .body(text.as_bytes().to_vec())
    }

    /// An error as S3 words it.
    pub fn s3_error(status: u16, code: &str) -> Self {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>as scripted</Message></Error>"
        );
        Self::text(status, "application/xml", &text)
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status).with("Location", location)
    }

    /// No answer at all: the connection ends.
    pub fn hang_up() -> Self {
        let mut answer = Self::new(200);
        answer.end = End::HangUp;
        answer
    }

    /// One more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    /// Without the headers of this name.
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// Another value for a header.
    pub fn instead(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    /// This body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Says that the body has this length, whatever it has.
    pub fn claiming(mut self, length: usize) -> Self {
        self.framing = Framing::Claimed(length);
        self
    }

    /// In chunks, without a length.
    pub fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// The end of the connection is the end of the body.
    pub fn until_close(mut self) -> Self {
        self.framing = Framing::Close;
        self
    }

    /// The connection is closed in good order after so many bytes of the body.
    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.end = End::Fin(bytes);
        self
    }

    /// The connection is reset after so many bytes of the body.
    pub fn reset_at(mut self, bytes: usize) -> Self {
        self.end = End::Rst(bytes);
        self
    }

    /// After so many bytes of the body nothing more comes, and the connection stays.
    pub fn silent_from(mut self, bytes: usize) -> Self {
        self.end = End::Stall(bytes);
        self
    }

    /// Comes so much later.
    pub fn late(mut self, delay: Duration) -> Self {
        self.late = delay;
        self
    }

    /// The body comes no faster than this.
    pub fn slow(mut self, bytes_a_second: u32) -> Self {
        self.bytes_a_second = Some(bytes_a_second);
        self
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} As Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let has_body = ![204, 304].contains(&self.status);
        match self.framing {
            Framing::Length if has_body => {
                head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
            }
            Framing::Claimed(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::Close => head.push_str("Connection: close\r\n"),
            Framing::Length => {}
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// A request, and how far its answer has come.
#[derive(Clone, Debug)]
pub struct Asked {
    pub request: Request,
    pub at: Instant,
    /// Counts the TCP connections, from 0.
    pub connection: usize,
    /// 0 as long as nothing is answered.
    pub status: u16,
    /// Bytes of the body so far.
    pub sent: u64,
}

impl Asked {
    /// `METHOD target`.
    pub fn line(&self) -> String {
        format!("{} {}", self.request.method, self.request.target)
    }

    /// The first and last byte that were asked for.
    pub fn range(&self) -> Option<(usize, usize)> {
        range(&self.request)
    }
}

/// The range that a request asks for, both ends included.
pub fn range(request: &Request) -> Option<(usize, usize)> {
    let value = request.header("range")?.strip_prefix("bytes=")?;
    let (from, to) = value.split_once('-')?;
    Some((from.parse().ok()?, to.parse().unwrap_or(usize::MAX)))
}

/// Decides by the request, and by how many have come before it.
type Script = Box<dyn Fn(&Request, usize) -> Answer + Send + Sync>;

struct State {
    asked: Vec<Asked>,
    clients: BTreeMap<usize, TcpStream>,
    /// How many bytes of bodies may still go out; nothing means as many as are wanted.
    budget: Option<u64>,
    over: bool,
}

struct Shared {
    script: Script,
    state: Mutex<State>,
    news: Condvar,
}

/// A server under way; dropping it ends every connection.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Origin {
    /// Does with each request as the script says.
    pub fn new<S>(script: S) -> Self
    where
        S: Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        Self::on(listener, script)
    }

    /// The same on a socket that is bound already.
    pub fn on<S>(listener: TcpListener, script: S) -> Self
    where
        S: Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            state: Mutex::new(State {
                asked: Vec::new(),
                clients: BTreeMap::new(),
                budget: None,
                over: false,
            }),
            news: Condvar::new(),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Self {
            address,
            shared,
            accepting: Some(accepting),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a path.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that has been asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Each request so far as `METHOD target`.
    pub fn log(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// How many requests of this method came.
    pub fn count(&self, method: &str) -> usize {
        let is_it = |one: &&Asked| one.request.method == method;
        self.state().asked.iter().filter(is_it).count()
    }

    /// Bytes of the bodies of all answers that brought something.
    pub fn sent(&self) -> u64 {
        let good = |one: &&Asked| (200..300).contains(&one.status);
        self.state()
            .asked
            .iter()
            .filter(good)
            .map(|one| one.sent)
            .sum()
    }

    /// Forgets what has been asked.
    pub fn forget(&self) {
        self.state().asked.clear();
    }

    /// Stops in the middle of bodies once so many more bytes of them have gone out.
    pub fn hold_after(&self, bytes: u64) {
        self.state().budget = Some(bytes);
    }

    /// Takes the limit away again.
    pub fn release(&self) {
        self.state().budget = None;
        self.shared.news.notify_all();
    }

    /// Waits until nobody is connected any more: what was on its way for a client that was killed
    /// counts no longer.
    #[track_caller]
    pub fn wait_until_left(&self) {
        let (state, waited) = self
            .shared
            .news
            .wait_timeout_while(self.state(), PATIENCE, |state| !state.clients.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!waited.timed_out(), "somebody stays connected");
    }

    /// Waits until so many bytes of bodies have gone out.
    #[track_caller]
    pub fn wait_for_bytes(&self, bytes: u64) {
        self.wait_until(|asked| asked.iter().map(|one| one.sent).sum::<u64>() >= bytes);
    }

    /// Waits until what has been asked is as it should be.
    #[track_caller]
    pub fn wait_until(&self, is_so: impl Fn(&[Asked]) -> bool) {
        let (state, waited) = self
            .shared
            .news
            .wait_timeout_while(self.state(), PATIENCE, |state| !is_so(&state.asked))
            .unwrap_or_else(PoisonError::into_inner);
        let log: Vec<_> = state
            .asked
            .iter()
            .map(|one| format!("{} {} {}", one.line(), one.status, one.sent))
            .collect();
        drop(state);
        assert!(!waited.timed_out(), "waited in vain; asked: {log:#?}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.shared.state)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        let clients = {
            let mut state = self.state();
            state.over = true;
            std::mem::take(&mut state.clients)
        };
        self.shared.news.notify_all();
        for client in clients.into_values() {
            // The client may have left already.
            drop(client.shutdown(Shutdown::Both));
        }
        // The last connection is what the listener wakes up for.
        drop(TcpStream::connect(self.address));
        if self.accepting.take().is_some_and(|one| one.join().is_err()) {
            eprintln!("the listener of X panicked");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (connection, client) in listener.incoming().enumerate() {
        let Ok(client) = client else { continue };
        let Ok(kept) = client.try_clone() else {
            continue;
        };
        // Small answers must not wait for the acknowledgement of the ones before.
        drop(client.set_nodelay(true));
        // What lies in this buffer counts as sent: keep it small.
        if setsockopt(&client, sockopt::SndBuf, &(4 * PIECE_BYTES)).is_err() {
            continue;
        }
        {
            let mut state = locked(&shared.state);
            if state.over {
                return;
            }
            state.clients.insert(connection, kept);
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A client that is killed half-way leaves an error here, which is no news.
            drop(serve(client, connection, &shared));
            locked(&shared.state).clients.remove(&connection);
            shared.news.notify_all();
        });
    }
}

/// Answers one connection until it ends.
fn serve(mut client: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    let mut from = BufReader::new(client.try_clone()?);
    while let Some(request) = Request::read(&mut from)? {
        let turn = {
            let mut state = locked(&shared.state);
            state.asked.push(Asked {
                request: request.clone(),
                at: Instant::now(),
                connection,
                status: 0,
                sent: 0,
            });
            state.asked.len() - 1
        };
        shared.news.notify_all();
        let answer = (shared.script)(&request, turn);
        wait(shared, answer.late)?;
        if answer.end == End::HangUp {
            return client.shutdown(Shutdown::Both);
        }
        if let Some(asked) = locked(&shared.state).asked.get_mut(turn) {
            asked.status = answer.status;
        }
        client.write_all(&answer.head())?;
        if request.method != "HEAD" {
            send(&mut client, turn, &answer, shared)?;
        }
        match answer.end {
            End::Rst(_) => {
                let at_once = linger {
                    l_onoff: 1,
                    l_linger: 0,
                };
                setsockopt(&client, sockopt::Linger, &at_once)?;
                locked(&shared.state).clients.remove(&connection);
                return Ok(());
            }
            End::Fin(_) => return client.shutdown(Shutdown::Both),
            End::Stall(_) => {
                return io::copy(&mut from, &mut io::sink()).map(drop);
            }
            End::Whole | End::HangUp if answer.framing == Framing::Close => {
                return client.shutdown(Shutdown::Both);
            }
            End::Whole | End::HangUp => {}
        }
    }
    Ok(())
}

/// The body, as far as it is to go.
fn send(client: &mut TcpStream, turn: usize, answer: &Answer, shared: &Shared) -> io::Result<()> {
    let stop = match answer.end {
        End::Fin(at) | End::Rst(at) | End::Stall(at) => at.min(answer.body.len()),
        End::Whole | End::HangUp => answer.body.len(),
    };
    let began = Instant::now();
    let mut at = 0;
    while at < stop {
        let wanted = PIECE_BYTES.min(stop - at);
        let piece = answer.body.slice(at..at + granted(shared, wanted)?);
        if let Some(rate) = answer.bytes_a_second {
            let due = Duration::from_secs_f64(lossy(at + piece.len()) / f64::from(rate));
            wait(shared, due.saturating_sub(began.elapsed()))?;
        }
        if answer.framing == Framing::Chunked {
            client.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            client.write_all(&piece)?;
            client.write_all(b"\r\n")?;
        } else {
            client.write_all(&piece)?;
        }
        at += piece.len();
        if let Some(asked) = locked(&shared.state).asked.get_mut(turn) {
            asked.sent += piece.len() as u64;
        }
        shared.news.notify_all();
    }
    if answer.framing == Framing::Chunked && answer.end == End::Whole {
        client.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// How much of what is wanted may go out now; waits while there is nothing to give.
fn granted(shared: &Shared, wanted: usize) -> io::Result<usize> {
    let mut state = shared
        .news
        .wait_while(locked(&shared.state), |state| {
            state.budget == Some(0) && !state.over
        })
        .unwrap_or_else(PoisonError::into_inner);
    if state.over {
        return Err(io::Error::other("the server ends"));
    }
    let Some(budget) = &mut state.budget else {
        return Ok(wanted);
    };
    let taken = (*budget).min(wanted as u64);
    *budget -= taken;
    Ok(usize::try_from(taken).unwrap_or(wanted))
}

/// Waits so long, or until the server ends.
fn wait(shared: &Shared, delay: Duration) -> io::Result<()> {
    if delay.is_zero() {
        return Ok(());
    }
    let give_up = Instant::now() + delay;
    let mut state = locked(&shared.state);
    while !state.over {
        let left = give_up.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let (next, _) = shared
            .news
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner);
        state = next;
    }
    Err(io::Error::other("the server ends"))
}

/// Sizes of tests are far below the 2^53 that a float keeps exactly.
#[expect(clippy::cast_precision_loss, reason = "sizes here are below 2^53")]
pub fn lossy(bytes: usize) -> f64 {
    bytes as f64
}

#[test]
fn an_origin_counts_and_commits_faults() {
    use super::wire::exchange;
    let origin = Origin::new(|request, turn| {
        let whole = Answer::new(200).body(vec![7; 100_000]);
        match turn {
            0 => whole,
            1 => whole.chunked().cut_at(100_000),
            2 => whole.cut_at(50_000),
            3 => whole.reset_at(0),
            4 => Answer::new(206).body(request.target.clone().into_bytes()),
            _ => Answer::hang_up(),
        }
    });
    let ask = || exchange(origin.address(), &Request::new("GET", "/a?b"));
    assert_eq!(ask().expect("an answer").body, vec![7; 100_000]);
    assert!(ask().expect("an answer").body.len() > 100_000, "chunks");
    assert_eq!(ask().expect("half an answer").body.len(), 50_000);
    let reset = ask().map(|answer| answer.body.len());
    assert!(reset.is_err() || reset.is_ok_and(|length| length == 0));
    assert_eq!(ask().expect("an answer").body, b"/a?b");
    ask().expect_err("the origin hangs up");
    assert_eq!(origin.sent(), 250_004);
    assert_eq!(origin.log(), ["GET /a?b"; 6]);
    origin.forget();
    assert_eq!(origin.count("GET"), 0);
}
