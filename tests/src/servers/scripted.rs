//! An HTTP server on a loopback port whose answers the test writes: what no real server does on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`.
    pub method: String,
    /// `/bucket/key?list-type=2`.
    pub target: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As it was sent.
    pub body: Vec<u8>,
    /// How many came before it.
    pub number: usize,
}

impl Request {
    /// A header by its name in small letters; `""` without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Then {
    /// It is closed.
    #[default]
    Close,
    /// It stays open, and nothing more comes.
    Silence,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The status; 0 is no answer at all.
    pub status: u16,
    /// Beside the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Bytes of the body that are sent; all of them when there are fewer. Its length is announced in full.
    pub sent: Option<usize>,
    /// Afterwards.
    pub then: Then,
}

impl Reply {
    /// This status and body.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// No answer: the connection is closed, or left open.
    pub fn none(then: Then) -> Self {
        Self { then, ..Self::default() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// The server. Its threads end with the test program.
#[derive(Debug, Clone)]
pub struct Scripted {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<Request>,
    silent: Vec<TcpStream>,
}

impl Scripted {
    /// Starts one that answers as `script` says.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("could not listen")?;
        let address = listener.local_addr()?;
        let (seen, script): (_, Arc<Script>) = (Arc::new(Mutex::<Seen>::default()), Arc::new(script));
        let server = Self { address, seen };
        let told = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (server, script) = (told.clone(), script.clone());
                std::thread::spawn(move || {
                    // Clients hang up in the middle; that is part of the tests.
                    if let Err(error) = server.serve(stream, &*script) {
                        eprintln!("the scripted server: {error:#}");
                    }
                });
            }
        });
        Ok(server)
    }

    /// `http://127.0.0.1:port`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).requests.clone()
    }

    fn serve(&self, mut stream: TcpStream, script: &Script) -> anyhow::Result<()> {
        let Some(mut request) = read(&stream)? else { return Ok(()) };
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            request.number = seen.requests.len();
            seen.requests.push(request.clone());
        }
        let reply = script(&request);
        if reply.status > 0 {
            let mut head = format!(
                "HTTP/1.1 {} Scripted\r\ncontent-length: {}\r\nconnection: close\r\n",
                reply.status,
                reply.body.len()
            );
            for (name, value) in &reply.headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            stream.write_all(format!("{head}\r\n").as_bytes())?;
            if request.method != "HEAD" {
                let sent = reply.sent.unwrap_or(usize::MAX).min(reply.body.len());
                stream.write_all(reply.body.get(..sent).unwrap_or_default())?;
            }
        }
        if reply.then == Then::Silence {
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).silent.push(stream);
        }
        Ok(())
    }
}

/// `None` when the client connected and said nothing.
fn read(stream: &TcpStream) -> anyhow::Result<Option<Request>> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let method = words.next().context("no method")?;
    let target = words.next().context("no target")?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { method, target, headers, body: Vec::new(), number: 0 };
    if request.header("expect") == "100-continue" {
        let mut writer = stream;
        writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let length: usize = match request.header("content-length") {
        "" => 0,
        length => length.parse().context("content-length")?,
    };
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
