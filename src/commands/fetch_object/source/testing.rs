//! Servers with a script, for the tests of the sources: requests are recorded, answers are given.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Reach;
use crate::base::environment::Environment;
use crate::base::http::{Roots, install_provider};

/// One request as it came over the wire.
#[derive(Debug, Clone)]
pub struct Heard {
    pub method: String,
    /// Path and query, byte for byte.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Heard {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A server on a port of its own.
pub struct Script {
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Script {
    /// Answers every request with what `answer` makes of it and of its number.
    pub async fn start(answer: impl Fn(&Heard, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        install_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (record, answer) = (Arc::clone(&heard), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (record, answer) = (Arc::clone(&record), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &record, &*answer).await });
            }
        });
        Self { port, heard }
    }

    /// `http://127.0.0.1:PORT`
    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All requests until now.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// The paths of all requests until now.
    pub fn targets(&self) -> Vec<String> {
        self.heard().into_iter().map(|heard| heard.target).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    record: &Mutex<Vec<Heard>>,
    answer: &(dyn Fn(&Heard, usize) -> Vec<u8> + Send + Sync),
) {
    while let Some(heard) = request(&mut stream).await {
        let number = {
            let mut record = record.lock().unwrap();
            record.push(heard.clone());
            record.len() - 1
        };
        let bytes = answer(&heard, number);
        let is_last = !String::from_utf8_lossy(&bytes)
            .to_lowercase()
            .contains("content-length:");
        if stream.write_all(&bytes).await.is_err() || is_last {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut lines = text.trim_end().lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_string(), first.next()?.to_string());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_string(), value.trim().to_string()))
        .collect();
    let mut heard = Heard {
        method,
        target,
        headers,
        body: String::new(),
    };
    let length = heard
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    heard.body = String::from_utf8(body).unwrap();
    Some(heard)
}

/// An answer with `Content-Length`.
pub fn answer(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n",
        body.as_ref().len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

/// Means with these variables.
pub fn reach(variables: &[(&str, &str)]) -> Reach {
    install_provider();
    let pairs = variables
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Reach {
        roots: Roots::System,
        environment: Environment::of(pairs.collect()),
        patience: Duration::from_secs(5),
    }
}

/// Lays out a file.
#[expect(clippy::disallowed_methods, reason = "tests lay out their own files")]
pub fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// The whole of a body, or why it broke.
pub async fn bytes(mut body: super::Body) -> Result<Vec<u8>, crate::base::failure::Failure> {
    use futures_util::StreamExt as _;
    let mut all = Vec::new();
    while let Some(piece) = body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}
