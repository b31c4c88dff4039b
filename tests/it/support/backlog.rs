//! A listener whose queue is full: the kernel drops every further SYN, as a firewall would.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{Backlog, listen};

use super::wire::own_address;

/// A connection that is not made by then is one that the kernel drops.
const SILENCE: Duration = Duration::from_millis(120);

/// The listener, with connections that nobody accepts.
pub struct Full {
    listener: TcpListener,
    fillers: Vec<TcpStream>,
}

impl Full {
    /// At an address of the test's own.
    pub fn new() -> Self {
        Self::at(own_address())
    }

    /// At this address, which is the test's own.
    pub fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("the address is ours");
        // A second call changes the length of the queue.
        listen(&listener, Backlog::new(0).expect("a length")).expect("a listener");
        let mut fillers = Vec::new();
        while let Ok(filler) = TcpStream::connect_timeout(&address, SILENCE) {
            fillers.push(filler);
            assert!(fillers.len() < 16, "the queue never fills");
        }
        Self { listener, fillers }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it is bound")
    }

    /// Empties the queue and accepts whoever comes from now on.
    pub fn accept_all(self) -> Accepting {
        let address = self.address();
        let listener = self.listener;
        let over = Arc::new(AtomicBool::new(false));
        let serving = thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let mut kept = Vec::new();
                for client in listener.incoming().map_while(Result::ok) {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    kept.push(client);
                }
            }
        });
        drop(self.fillers);
        Accepting {
            address,
            over,
            serving: Some(serving),
        }
    }
}

/// What accepts, until dropped.
pub struct Accepting {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    serving: Option<thread::JoinHandle<()>>,
}

impl Drop for Accepting {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The last connection is what the listener wakes up for.
        drop(TcpStream::connect(self.address));
        if self.serving.take().is_some_and(|one| one.join().is_err()) {
            eprintln!("the emptied listener panicked");
        }
    }
}

#[test]
fn a_full_queue_is_silent_until_it_is_emptied() {
    let full = Full::new();
    let address = full.address();
    TcpStream::connect_timeout(&address, SILENCE).expect_err("the kernel drops it");
    let _accepting = full.accept_all();
    TcpStream::connect_timeout(&address, Duration::from_secs(3)).expect("it is accepted");
}
