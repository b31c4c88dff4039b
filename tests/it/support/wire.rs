//! HTTP/1 as bytes on a socket: just enough to ask a server, and to stand in for one.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a client asked.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path as it stood on the wire, with its query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_string(),
            target: target.to_string(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// One more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The next request on a connection; nothing when the client has left it.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some((first, headers)) = head(from)? else {
            return Ok(None);
        };
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::Error::other(format!("no request line: {first:?}")));
        };
        let mut request = Self::new(method, target);
        request.headers = headers;
        if let Some(length) = request.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            request.body = vec![0; length];
            from.read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }
}

impl Response {
    /// An answer in JSON, as Vault gives them.
    pub fn json(status: u16, body: &str) -> Self {
        Self::text(status, "application/json", body)
    }

    /// An answer of this content type.
    pub fn text(status: u16, kind: &str, body: &str) -> Self {
        Self {
            status,
            headers: vec![("Content-Type".to_string(), kind.to_string())],
            body: body.as_bytes().to_vec(),
        }
    }

    /// One more header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    /// The head as it goes over the wire, saying how much follows.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} As Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        // 204 and 304 have no body, so nothing may be said of its length.
        if ![204, 304].contains(&self.status) {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// One request to a server, on a connection of its own. HTTP/1.0 spares both sides the chunks.
pub fn exchange(server: SocketAddr, request: &Request) -> io::Result<Response> {
    let mut stream = TcpStream::connect(server)?;
    let mut bytes = format!("{} {} HTTP/1.0\r\n", request.method, request.target).into_bytes();
    for (name, value) in &request.headers {
        let is_ours = ["connection", "content-length", "transfer-encoding"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        if !is_ours {
            bytes.extend(format!("{name}: {value}\r\n").bytes());
        }
    }
    bytes.extend(format!("Content-Length: {}\r\n\r\n", request.body.len()).bytes());
    bytes.extend(&request.body);
    stream.write_all(&bytes)?;
    let mut from = BufReader::new(stream);
    let (first, headers) =
        head(&mut from)?.ok_or_else(|| io::Error::other("the server hung up"))?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut body = Vec::new();
    match header(&headers, "content-length") {
        Some(length) => {
            let length = length.parse().map_err(io::Error::other)?;
            from.take(length).read_to_end(&mut body)?
        }
        None => from.read_to_end(&mut body)?,
    };
    Ok(Response {
        status: status.ok_or_else(|| io::Error::other(format!("no status line: {first:?}")))?,
        headers,
        body,
    })
}

/// The first line and the headers.
#[expect(clippy::type_complexity, reason = "a line and its headers, used twice")]
fn head(from: &mut impl BufRead) -> io::Result<Option<(String, Vec<(String, String)>)>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end_matches(['\r', '\n']).to_string();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut lines = lines.into_iter();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    let headers = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_string(), value.trim().to_string()))
        })
        .collect();
    Ok(Some((first, headers)))
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// An address where nothing listens, and where nothing but the caller ever will: each call brings
/// a loopback address of its own, so that no test of this or another run can take the port.
pub fn own_address() -> SocketAddr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    // After the last address comes the first again, with another port.
    let count = COUNT.fetch_add(1, Ordering::Relaxed) % 255 + 1;
    let [_, high, low, _] = (std::process::id() << 8).to_be_bytes();
    let [.., last] = count.to_be_bytes();
    // 127.0.0.1 has tenants; the pid's second byte may be 0, the first part of the rest may not.
    let address = Ipv4Addr::new(127, high | 0x80, low, last);
    let probe = TcpListener::bind((address, 0)).expect("a loopback address");
    probe.local_addr().expect("it is bound")
}
