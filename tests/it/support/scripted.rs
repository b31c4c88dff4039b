//! A TCP server that does what a script says, byte by byte, and remembers who came and what was said.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc::linger;
use nix::sys::socket::{setsockopt, sockopt::Linger};

/// What has not been asked by then will not be asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// How fast a dripping server speaks.
const DRIP: Duration = Duration::from_secs(1);

/// What is done with one visitor.
type Script = Box<dyn Fn(&mut Visitor<'_>) -> io::Result<()> + Send + Sync>;

/// How a client left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leave {
    /// It sent a FIN.
    Closed,
    /// It sent a RST.
    Reset,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Visit {
    pub at: Instant,
    /// All bytes of the client's that the script read.
    pub heard: Vec<u8>,
    /// How the client left, if the script waited for it.
    pub left: Option<Leave>,
    /// When the script was done with it.
    pub over: Option<Instant>,
}

struct Shared {
    script: Script,
    visits: Mutex<Vec<Visit>>,
    news: Condvar,
    clients: Mutex<Vec<(usize, TcpStream)>>,
    over: Mutex<bool>,
    ends: Condvar,
}

/// The server; dropping it ends every connection.
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<thread::JoinHandle<()>>,
}

/// A client, as the script sees it.
pub struct Visitor<'s> {
    stream: TcpStream,
    shared: &'s Shared,
    turn: usize,
}

impl Scripted {
    /// Listens on a free port of 127.0.0.1.
    pub fn start<S>(script: S) -> Self
    where
        S: Fn(&mut Visitor<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        Self::on(
            TcpListener::bind(("127.0.0.1", 0)).expect("a free port"),
            script,
        )
    }

    /// Listens at this address, which is the test's own.
    pub fn at<S>(address: SocketAddr, script: S) -> Self
    where
        S: Fn(&mut Visitor<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        Self::on(
            TcpListener::bind(address).expect("the address is ours"),
            script,
        )
    }

    /// Accepts from this listener.
    pub fn on<S>(listener: TcpListener, script: S) -> Self
    where
        S: Fn(&mut Visitor<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            visits: Mutex::default(),
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

    /// Accepts everybody and says nothing.
    pub fn silent() -> Self {
        Self::start(silence)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All connections so far.
    pub fn visits(&self) -> Vec<Visit> {
        locked(&self.shared.visits).clone()
    }

    /// Waits until the connections are as they should be.
    #[track_caller]
    pub fn wait_until(&self, is_so: impl Fn(&[Visit]) -> bool) {
        let visits = locked(&self.shared.visits);
        let (visits, waited) = self
            .shared
            .news
            .wait_timeout_while(visits, PATIENCE, |visits| !is_so(visits))
            .unwrap_or_else(PoisonError::into_inner);
        let log = format!("{visits:?}");
        drop(visits);
        assert!(!waited.timed_out(), "waited in vain; visits: {log}");
    }

    /// Waits until every client has left, and tells the visits.
    #[track_caller]
    pub fn all_over(&self) -> Vec<Visit> {
        self.wait_until(|visits| visits.iter().all(|visit| visit.over.is_some()));
        self.visits()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        *locked(&self.shared.over) = true;
        self.shared.ends.notify_all();
        for (_, client) in locked(&self.shared.clients).drain(..) {
            // The client may have left already.
            drop(client.shutdown(Shutdown::Both));
        }
        // The last connection is what the listener wakes up for.
        drop(TcpStream::connect(self.address));
        if self.accepting.take().is_some_and(|one| one.join().is_err()) {
            eprintln!("the scripted listener panicked");
        }
    }
}

impl Visitor<'_> {
    /// How many have come before.
    pub fn turn(&self) -> usize {
        self.turn
    }

    /// Sends these bytes at once.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends a byte a second, for as long as there is a client and a test.
    pub fn drip(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            self.say(&[*byte])?;
            let over = locked(&self.shared.over);
            let (over, _) = self
                .shared
                .ends
                .wait_timeout_while(over, DRIP, |over| !*over)
                .unwrap_or_else(PoisonError::into_inner);
            if *over {
                break;
            }
        }
        self.stay()
    }

    /// The next `count` bytes; an error when the client leaves before.
    pub fn hear(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes)?;
        self.remember(&bytes);
        Ok(bytes)
    }

    /// All up to and with these bytes.
    pub fn hear_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end) {
            bytes.extend(self.hear(1)?);
        }
        Ok(bytes)
    }

    /// Listens until the client leaves.
    pub fn stay(&mut self) -> io::Result<()> {
        let mut some = [0; 4096];
        loop {
            match self.stream.read(&mut some) {
                Ok(0) => return self.leave(Leave::Closed),
                Ok(count) => self.remember(&some[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return self.leave(Leave::Reset);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the connection end with a RST instead of a FIN once the script is done.
    pub fn reset(&mut self) -> io::Result<()> {
        let at_once = linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&self.stream, Linger, &at_once)?;
        Ok(())
    }

    fn remember(&self, bytes: &[u8]) {
        let mut visits = locked(&self.shared.visits);
        visits[self.turn].heard.extend(bytes);
        self.shared.news.notify_all();
    }

    #[expect(clippy::unnecessary_wraps, reason = "the last word of most scripts")]
    fn leave(&self, how: Leave) -> io::Result<()> {
        let mut visits = locked(&self.shared.visits);
        visits[self.turn].left = Some(how);
        self.shared.news.notify_all();
        Ok(())
    }
}

/// A script: nothing is ever said.
pub fn silence(visitor: &mut Visitor<'_>) -> io::Result<()> {
    visitor.stay()
}

/// A script: every connection is reset at once.
pub fn reset(visitor: &mut Visitor<'_>) -> io::Result<()> {
    visitor.reset()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if *locked(&shared.over) {
            return;
        }
        let Ok(client) = client else { continue };
        // Small answers must not wait for the acknowledgement of the ones before.
        drop(client.set_nodelay(true));
        let Ok(kept) = client.try_clone() else {
            continue;
        };
        let turn = {
            let mut visits = locked(&shared.visits);
            visits.push(Visit {
                at: Instant::now(),
                heard: Vec::new(),
                left: None,
                over: None,
            });
            visits.len() - 1
        };
        locked(&shared.clients).push((turn, kept));
        shared.news.notify_all();
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut visitor = Visitor {
                stream: client,
                shared: &shared,
                turn,
            };
            // A client that leaves half-way leaves an error here, which is no news.
            drop((shared.script)(&mut visitor));
            drop(visitor);
            locked(&shared.clients).retain(|(kept, _)| *kept != turn);
            locked(&shared.visits)[turn].over = Some(Instant::now());
            shared.news.notify_all();
        });
    }
}

/// Bytes from hexadecimal text, with white space where it helps the reader.
#[track_caller]
pub fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter(|one| !one.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|two| {
            let two: String = two.iter().collect();
            u8::from_str_radix(&two, 16).expect("hexadecimal")
        })
        .collect()
}

/// The same the other way round, for messages.
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x} ").expect("a String takes all");
    }
    text.trim_end().to_string()
}

#[test]
fn a_script_speaks_listens_and_resets() {
    let server = Scripted::start(|visitor| {
        visitor.hear(2)?;
        visitor.say(b"ok")?;
        if visitor.turn() == 0 {
            visitor.stay()
        } else {
            visitor.reset()
        }
    });
    let ask = || {
        let mut client = TcpStream::connect(server.address()).expect("it listens");
        client.write_all(b"hi").expect("it hears");
        let mut two = [0; 2];
        client.read_exact(&mut two).expect("it speaks");
        assert_eq!(&two, b"ok");
        client
    };
    drop(ask());
    server.wait_until(|visits| visits[0].over.is_some());
    let end = ask().read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    let visits = server.all_over();
    assert_eq!(visits.len(), 2);
    assert_eq!(
        (visits[0].left, visits[1].left),
        (Some(Leave::Closed), None)
    );
    assert_eq!(visits[0].heard, b"hi");
    assert_eq!(hex("00 ff 1a"), [0, 255, 26]);
    assert_eq!(shown(&[0, 255, 26]), "00 ff 1a");
}
