//! A server in front of a server: records each request, and delays, answers or swallows it when a
//! script says so. Without a server behind it, the script is all there is.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::wire::{Request, Response, exchange};

/// What has not been asked by then will not be asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// What happens to one request.
pub enum Reply {
    /// It goes to the server behind, and the answer back.
    Pass,
    /// The same, but not before this long.
    Late(Duration),
    /// The same, under another target.
    PassAs(String),
    /// This is the answer; the server behind learns nothing.
    Say(Response),
    /// The head of this answer, and never the rest.
    SayHead(Response),
    /// No answer at all, for as long as the client has patience.
    Silence,
    /// The connection ends without an answer.
    HangUp,
}

/// Decides by the request, and by how many have come before it.
type Script = Box<dyn Fn(&Request, usize) -> Reply + Send + Sync>;

/// A request, and what became of it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub request: Request,
    pub at: Instant,
    /// Counts the TCP connections, from 0.
    pub connection: usize,
    /// Nothing as long as there is no answer, and for ever when there never was one.
    pub response: Option<Response>,
}

struct Shared {
    behind: Option<SocketAddr>,
    script: Script,
    seen: Mutex<Vec<Seen>>,
    news: Condvar,
    clients: Mutex<Vec<TcpStream>>,
    over: Mutex<bool>,
    ends: Condvar,
}

/// A proxy under way; dropping it ends every connection.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Records all and changes nothing.
    pub fn before(server: SocketAddr) -> Self {
        Self::start(Some(server), |_, _| Reply::Pass)
    }

    /// Does with each request as the script says.
    pub fn scripted<S>(server: SocketAddr, script: S) -> Self
    where
        S: Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    {
        Self::start(Some(server), script)
    }

    /// Has nothing behind it: the script answers all.
    pub fn alone<S>(script: S) -> Self
    where
        S: Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    {
        Self::start(None, script)
    }

    fn start<S>(behind: Option<SocketAddr>, script: S) -> Self
    where
        S: Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        Self::on(listener, behind, script)
    }

    /// The same on a socket that is bound already.
    pub fn on<S>(listener: TcpListener, behind: Option<SocketAddr>, script: S) -> Self
    where
        S: Fn(&Request, usize) -> Reply + Send + Sync + 'static,
    {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            behind,
            script: Box::new(script),
            seen: Mutex::default(),
            news: Condvar::new(),
            clients: Mutex::default(),
            over: Mutex::default(),
            ends: Condvar::new(),
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

    /// The same as a URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has been seen so far.
    pub fn seen(&self) -> Vec<Seen> {
        locked(&self.shared.seen).clone()
    }

    /// Waits until what has been seen is as it should be.
    #[track_caller]
    pub fn wait_until(&self, is_so: impl Fn(&[Seen]) -> bool) {
        let seen = locked(&self.shared.seen);
        let (seen, waited) = self
            .shared
            .news
            .wait_timeout_while(seen, PATIENCE, |seen| !is_so(seen))
            .unwrap_or_else(PoisonError::into_inner);
        let log: Vec<_> = seen.iter().map(line).collect();
        drop(seen);
        assert!(!waited.timed_out(), "waited in vain; seen: {log:?}");
    }

    /// Each request so far as `METHOD path`, the path without `/v1/`.
    pub fn log(&self) -> Vec<String> {
        self.seen().iter().map(line).collect()
    }

    /// Forgets what has been seen.
    pub fn forget(&self) {
        locked(&self.shared.seen).clear();
    }

    /// How many TCP connections brought what has been seen.
    pub fn connections(&self) -> usize {
        let mut all: Vec<_> = self.seen().iter().map(|seen| seen.connection).collect();
        all.sort_unstable();
        all.dedup();
        all.len()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        *locked(&self.shared.over) = true;
        self.shared.ends.notify_all();
        for client in locked(&self.shared.clients).drain(..) {
            // The client may have left already.
            drop(client.shutdown(Shutdown::Both));
        }
        // The last connection is what the listener wakes up for.
        drop(TcpStream::connect(self.address));
        if self.accepting.take().is_some_and(|one| one.join().is_err()) {
            eprintln!("the proxy's listener panicked");
        }
    }
}

fn line(seen: &Seen) -> String {
    let target = &seen.request.target;
    let path = target.strip_prefix("/v1/").unwrap_or(target);
    format!("{} {path}", seen.request.method)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (connection, client) in listener.incoming().enumerate() {
        if *locked(&shared.over) {
            return;
        }
        let Ok(client) = client else { continue };
        // Small answers must not wait for the acknowledgement of the ones before.
        drop(client.set_nodelay(true));
        let Ok(kept) = client.try_clone() else {
            continue;
        };
        locked(&shared.clients).push(kept);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A client that is killed half-way leaves an error here, which is no news.
            drop(serve(client, connection, &shared));
        });
    }
}

/// Answers one connection until it ends.
fn serve(mut client: TcpStream, connection: usize, shared: &Shared) -> io::Result<()> {
    let mut from = BufReader::new(client.try_clone()?);
    while let Some(request) = Request::read(&mut from)? {
        let turn = {
            let mut seen = locked(&shared.seen);
            seen.push(Seen {
                request: request.clone(),
                at: Instant::now(),
                connection,
                response: None,
            });
            shared.news.notify_all();
            seen.len() - 1
        };
        let reply = (shared.script)(&request, turn);
        let response = match reply {
            Reply::Pass => pass(shared, &request)?,
            Reply::Late(delay) => {
                let over = locked(&shared.over);
                let waited = shared
                    .ends
                    .wait_timeout_while(over, delay, |over| !*over)
                    .unwrap_or_else(PoisonError::into_inner);
                drop(waited);
                pass(shared, &request)?
            }
            Reply::PassAs(target) => {
                let request = Request { target, ..request };
                pass(shared, &request)?
            }
            Reply::Say(response) => response,
            Reply::SayHead(response) => {
                client.write_all(&response.head())?;
                return swallow(&mut from);
            }
            Reply::Silence => return swallow(&mut from),
            Reply::HangUp => return client.shutdown(Shutdown::Both),
        };
        if let Some(seen) = locked(&shared.seen).get_mut(turn) {
            seen.response = Some(response.clone());
        }
        let mut bytes = response.head();
        bytes.extend(&response.body);
        client.write_all(&bytes)?;
    }
    Ok(())
}

fn pass(shared: &Shared, request: &Request) -> io::Result<Response> {
    let behind = shared.behind.expect("a server behind the proxy");
    let mut response = exchange(behind, request)?;
    response.headers.retain(|(name, _)| {
        !["content-length", "connection", "transfer-encoding"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    });
    Ok(response)
}

/// Waits for the client to give up.
fn swallow(from: &mut impl Read) -> io::Result<()> {
    io::copy(from, &mut io::sink()).map(drop)
}

#[test]
fn a_proxy_records_delays_and_answers() {
    let behind = Proxy::alone(|request, _| Reply::Say(Response::json(200, &request.target)));
    let front = Proxy::scripted(behind.address(), |_, turn| match turn {
        0 => Reply::Pass,
        1 => Reply::PassAs("/v1/other".to_string()),
        2 => Reply::Say(Response::json(503, "{}").with("Retry-After", "1")),
        3 => Reply::Late(Duration::from_millis(30)),
        _ => Reply::HangUp,
    });
    let ask = || exchange(front.address(), &Request::new("GET", "/v1/a?b=c"));
    assert_eq!(ask().expect("an answer").body, b"/v1/a?b=c");
    assert_eq!(ask().expect("an answer").body, b"/v1/other");
    assert_eq!(ask().expect("an answer").status, 503);
    let asked = Instant::now();
    assert_eq!(ask().expect("an answer").status, 200);
    assert!(asked.elapsed() >= Duration::from_millis(30));
    ask().expect_err("the proxy hangs up");
    assert_eq!(front.log(), ["GET a?b=c"; 5]);
    assert_eq!(behind.log(), ["GET a?b=c", "GET other", "GET a?b=c"]);
    assert_eq!(front.connections(), 5);
}
