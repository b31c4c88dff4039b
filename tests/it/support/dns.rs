//! A name server of our own, on UDP and TCP, that answers as a script says and remembers the questions.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::wire::own_address;

/// The kinds of record that tests ask for, by their number in a message.
pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;

/// Answers of a server that has none, by their number.
pub const SERVFAIL: u8 = 2;
pub const NXDOMAIN: u8 = 3;

/// What is answered to one question.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// 0 is success.
    pub code: u8,
    /// Owner (empty for the name asked for), kind and data.
    pub records: Vec<(String, u16, Vec<u8>)>,
    /// Only over UDP: the records are left out and the client is told to come by TCP.
    pub is_cut: bool,
    /// No answer at all.
    pub is_silent: bool,
}

impl Answer {
    /// These records of the name asked for.
    pub fn of<I: IntoIterator<Item = (u16, Vec<u8>)>>(records: I) -> Self {
        let records = records.into_iter();
        Self {
            records: records
                .map(|(kind, data)| (String::new(), kind, data))
                .collect(),
            ..Self::default()
        }
    }

    /// The name exists and has no such record.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// This code and nothing else.
    pub fn code(code: u8) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    /// Silence.
    pub fn silence() -> Self {
        Self {
            is_silent: true,
            ..Self::default()
        }
    }

    /// The same, over TCP only.
    pub fn cut(mut self) -> Self {
        self.is_cut = true;
        self
    }

    /// The addresses of a name: those of the kind asked for.
    pub fn addresses(kind: u16, addresses: &[&str]) -> Self {
        let all = addresses
            .iter()
            .map(|text| text.parse::<IpAddr>().expect("an address"));
        Self::of(all.filter_map(|address| match (address, kind) {
            (IpAddr::V4(v4), A) => Some((A, v4.octets().to_vec())),
            (IpAddr::V6(v6), AAAA) => Some((AAAA, v6.octets().to_vec())),
            _ => None,
        }))
    }
}

/// The data of an SRV record.
pub fn srv(port: u16, target: &str) -> Vec<u8> {
    let mut data = vec![0, 10, 0, 5];
    data.extend(port.to_be_bytes());
    data.extend(encoded(target));
    data
}

/// The data of a TXT record.
pub fn txt(text: &str) -> Vec<u8> {
    let mut data = vec![u8::try_from(text.len()).expect("a short text")];
    data.extend(text.bytes());
    data
}

/// A name as it stands in a message.
pub fn encoded(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        bytes.push(u8::try_from(label.len()).expect("a short label"));
        bytes.extend(label.bytes());
    }
    bytes.push(0);
    bytes
}

/// One question that came.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: String,
    pub kind: u16,
    pub over_tcp: bool,
}

type Script = Box<dyn Fn(&Question) -> Answer + Send + Sync>;

struct Shared {
    script: Script,
    questions: Mutex<Vec<Question>>,
    over: Mutex<bool>,
}

/// A name server under way.
pub struct Dns {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Vec<JoinHandle<()>>,
}

impl Dns {
    /// On a port of its own.
    pub fn start<S>(script: S) -> Self
    where
        S: Fn(&Question) -> Answer + Send + Sync + 'static,
    {
        Self::at(own_address(), script)
    }

    /// On the port that a resolv.conf means, at an address of its own.
    pub fn on_port_53<S>(script: S) -> Self
    where
        S: Fn(&Question) -> Answer + Send + Sync + 'static,
    {
        Self::at(SocketAddr::new(own_address().ip(), 53), script)
    }

    fn at<S>(address: SocketAddr, script: S) -> Self
    where
        S: Fn(&Question) -> Answer + Send + Sync + 'static,
    {
        let udp = UdpSocket::bind(address).expect("the address is ours");
        let tcp = TcpListener::bind(address).expect("the address is ours");
        let shared = Arc::new(Shared {
            script: Box::new(script),
            questions: Mutex::default(),
            over: Mutex::default(),
        });
        let serving = vec![
            thread::spawn({
                let shared = Arc::clone(&shared);
                move || serve_udp(&udp, &shared)
            }),
            thread::spawn({
                let shared = Arc::clone(&shared);
                move || serve_tcp(&tcp, &shared)
            }),
        ];
        Self {
            address,
            shared,
            serving,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The questions so far.
    pub fn questions(&self) -> Vec<Question> {
        locked(&self.shared.questions).clone()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        *locked(&self.shared.over) = true;
        // Both wake up for a last visitor.
        drop(TcpStream::connect(self.address));
        if let Ok(waker) = UdpSocket::bind(("127.0.0.1", 0)) {
            drop(waker.send_to(&[0], self.address));
        }
        for one in self.serving.drain(..) {
            if one.join().is_err() {
                eprintln!("the name server panicked");
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut bytes = [0; 4096];
    loop {
        let received = socket.recv_from(&mut bytes);
        if *locked(&shared.over) {
            return;
        }
        let Ok((count, client)) = received else {
            continue;
        };
        if let Some(answer) = answered(&bytes[..count], false, shared) {
            // The client may have given up.
            drop(socket.send_to(&answer, client));
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Shared) {
    for client in listener.incoming() {
        if *locked(&shared.over) {
            return;
        }
        let Ok(mut client) = client else { continue };
        let mut length = [0; 2];
        while client.read_exact(&mut length).is_ok() {
            let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
            if client.read_exact(&mut bytes).is_err() {
                break;
            }
            let Some(answer) = answered(&bytes, true, shared) else {
                break;
            };
            let length = u16::try_from(answer.len()).expect("a short answer");
            let whole = [&length.to_be_bytes()[..], &answer].concat();
            if client.write_all(&whole).is_err() {
                break;
            }
        }
    }
}

fn answered(query: &[u8], over_tcp: bool, shared: &Shared) -> Option<Vec<u8>> {
    let (name, kind, end) = question(query)?;
    let question = Question {
        name,
        kind,
        over_tcp,
    };
    let answer = (shared.script)(&question);
    locked(&shared.questions).push(question);
    if answer.is_silent {
        return None;
    }
    let is_cut = answer.is_cut && !over_tcp;
    let records = if is_cut { &[][..] } else { &answer.records[..] };
    let mut bytes = query[..2].to_vec();
    // An answer of an authority that recurses; "cut" is the bit beside.
    bytes.push(0x84 | (query[2] & 1) | if is_cut { 2 } else { 0 });
    bytes.push(0x80 | answer.code);
    bytes.extend([0, 1]);
    bytes.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    bytes.extend([0, 0, 0, 0]);
    bytes.extend(&query[12..end]);
    for (owner, kind, data) in records {
        if owner.is_empty() {
            bytes.extend([0xc0, 12]);
        } else {
            bytes.extend(encoded(owner));
        }
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        bytes.extend(data);
    }
    Some(bytes)
}

/// The name, the kind, and where the question ends.
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    Some((labels.join("."), kind, at + 4))
}

#[test]
fn a_question_is_answered_over_both() {
    let server = Dns::start(|question| match &*question.name {
        "a.example" => Answer::addresses(question.kind, &["10.1.2.3"]),
        _ => Answer::code(NXDOMAIN),
    });
    let mut query = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(encoded("a.example"));
    query.extend([0, 1, 0, 1]);
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    socket.send_to(&query, server.address()).expect("sent");
    let mut bytes = [0; 512];
    let (count, _) = socket.recv_from(&mut bytes).expect("an answer");
    assert_eq!(bytes[..2], [0xab, 0xcd]);
    assert_eq!(bytes[3] & 15, 0);
    assert_eq!(bytes[count - 4..count], [10, 1, 2, 3]);
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    let length = u16::try_from(query.len()).expect("short");
    stream.write_all(&length.to_be_bytes()).expect("sent");
    stream.write_all(&query).expect("sent");
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("an answer");
    drop(stream);
    let questions = server.questions();
    assert_eq!(questions.len(), 2);
    assert!(questions[1].over_tcp && questions[0].name == "a.example");
}
