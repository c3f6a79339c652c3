//! A receiver of webhooks on a loopback port: it keeps what is posted and answers as it is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What one post is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// This status, and an empty body.
    Status(u16),
    /// Nothing; the connection stays open.
    Never,
}

/// One post as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As it was sent.
    pub body: Vec<u8>,
    /// `POST /path HTTP/1.1`.
    pub request: String,
}

impl Posted {
    /// A header by its name in small letters; `""` without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// If it is none.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the body is no JSON")
    }
}

#[derive(Debug, Default)]
struct State {
    answers: Vec<Answer>,
    posts: Vec<Posted>,
    /// Connections that get no answer are kept open.
    silent: Vec<TcpStream>,
}

/// The receiver. Its thread ends with the test program.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Receiver {
    /// Starts one that gives `answers` one after the other, and 200 after those.
    ///
    /// # Errors
    /// If it cannot listen.
    pub fn start(answers: &[Answer]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("could not listen")?;
        let address = listener.local_addr()?;
        let answers = answers.iter().rev().copied().collect();
        let state = Arc::new((Mutex::new(State { answers, ..State::default() }), Condvar::new()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // One at a time: Outport posts one at a time.
                if let Err(error) = serve(stream, &shared) {
                    eprintln!("the receiver: {error:#}");
                }
            }
        });
        Ok(Self { address, state })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}/hooks/outport?of=test", self.address)
    }

    /// All posts so far.
    pub fn posts(&self) -> Vec<Posted> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner).posts.clone()
    }

    /// The posts, once `is_enough` says so.
    ///
    /// # Errors
    /// If it does not within `limit`.
    pub fn wait(
        &self,
        limit: Duration,
        is_enough: impl Fn(&[Posted]) -> bool,
    ) -> anyhow::Result<Vec<Posted>> {
        let deadline = Instant::now() + limit;
        let (state, bell) = &*self.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        while !is_enough(&state.posts) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen: Vec<_> = state.posts.iter().map(|p| String::from_utf8_lossy(&p.body)).collect();
                bail!("not enough was posted within {limit:?}, but {seen:#?}");
            }
            state = bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state.posts.clone())
    }
}

fn serve(mut stream: TcpStream, shared: &(Mutex<State>, Condvar)) -> anyhow::Result<()> {
    let posted = read(&stream)?;
    let mut state = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    state.posts.push(posted);
    match state.answers.pop().unwrap_or(Answer::Status(200)) {
        Answer::Never => state.silent.push(stream),
        Answer::Status(status) => {
            write!(stream, "HTTP/1.1 {status} Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        }
    }
    shared.1.notify_all();
    Ok(())
}

fn read(stream: &TcpStream) -> anyhow::Result<Posted> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut posted = Posted { headers, body: Vec::new(), request: request.trim_end().to_owned() };
    let length: usize = posted.header("content-length").parse().context("no content-length")?;
    posted.body.resize(length, 0);
    reader.read_exact(&mut posted.body)?;
    Ok(posted)
}
