//! A SOCKS 5 and an HTTP CONNECT proxy on loopback, so that neither side of a test rests on our own code for them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, bail, ensure};

/// What it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RFC 1928 and RFC 1929.
    Socks5,
    /// RFC 9110 section 9.3.6.
    Http,
}

/// Whom it lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Everybody.
    Open,
    /// Who says this user name and password.
    Login(String, String),
    /// Nobody.
    Closed,
}

/// A running proxy. Dropping it ends its connections.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    kind: Kind,
    manner: Manner,
    ending: AtomicBool,
    passed: AtomicUsize,
    streams: Mutex<Vec<TcpStream>>,
    asked_for: Mutex<Vec<String>>,
}

impl Forward {
    /// Starts one.
    ///
    /// # Errors
    /// If nothing can be listened on.
    pub fn start(kind: Kind, manner: Manner) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("could not listen")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            kind,
            manner,
            ending: AtomicBool::new(false),
            passed: AtomicUsize::new(0),
            streams: Mutex::default(),
            asked_for: Mutex::default(),
        });
        let of = Arc::clone(&shared);
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if of.ending.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), of) = (stream, Arc::clone(&of)) else { continue };
                std::thread::spawn(move || {
                    if let Err(fault) = of.serve(stream) {
                        eprintln!("a connection of the proxy ended: {fault:#}");
                    }
                });
            }
        });
        Ok(Self { address, shared, listening: Some(listening) })
    }

    /// `socks5://127.0.0.1:PORT` or `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        let scheme = match self.shared.kind {
            Kind::Socks5 => "socks5",
            Kind::Http => "http",
        };
        format!("{scheme}://{}", self.address)
    }

    /// Connections that it made to servers.
    pub fn passed(&self) -> usize {
        self.shared.passed.load(Ordering::SeqCst)
    }

    /// What it was asked to connect to, `HOST:PORT`, oldest first.
    pub fn asked_for(&self) -> Vec<String> {
        self.shared.asked_for.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        for stream in self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // One that has ended already cannot be shut down, and need not be.
            stream.shutdown(Shutdown::Both).ok();
        }
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
        if self.listening.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the proxy on {} ended by a panic", self.address);
        }
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> anyhow::Result<()> {
        self.keep(&client)?;
        let to = match self.kind {
            Kind::Socks5 => self.socks(&mut client)?,
            Kind::Http => self.http(&mut client)?,
        };
        let Some(to) = to else { return Ok(()) };
        let server = TcpStream::connect(&to).with_context(|| format!("could not connect to {to}"))?;
        self.keep(&server)?;
        self.passed.fetch_add(1, Ordering::SeqCst);
        let yes: &[u8] = match self.kind {
            Kind::Socks5 => &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            Kind::Http => b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n",
        };
        client.write_all(yes)?;
        let (mut up, mut down) = (client.try_clone()?, server.try_clone()?);
        let (mut client, mut server) = (client, server);
        let upwards = std::thread::spawn(move || {
            let copied = std::io::copy(&mut up, &mut server);
            server.shutdown(Shutdown::Write).ok();
            copied
        });
        std::io::copy(&mut down, &mut client).ok();
        client.shutdown(Shutdown::Write).ok();
        upwards.join().map_err(|_| anyhow::anyhow!("a copy panicked"))?.ok();
        Ok(())
    }

    fn keep(&self, stream: &TcpStream) -> anyhow::Result<()> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone()?);
        Ok(())
    }

    fn note(&self, to: &str) {
        self.asked_for.lock().unwrap_or_else(PoisonError::into_inner).push(to.to_owned());
    }

    /// Where to; `None`: refused, and told so.
    fn socks(&self, client: &mut TcpStream) -> anyhow::Result<Option<String>> {
        let [version, count] = read(client)?;
        ensure!(version == 5, "not SOCKS 5");
        let offered = read_some(client, usize::from(count))?;
        let method = if matches!(self.manner, Manner::Login(..)) { 2 } else { 0 };
        if !offered.contains(&method) {
            client.write_all(&[5, 0xff])?;
            return Ok(None);
        }
        client.write_all(&[5, method])?;
        if let Manner::Login(user, password) = &self.manner {
            let [_, length] = read(client)?;
            let said_user = read_some(client, usize::from(length))?;
            let [length] = read(client)?;
            let said_password = read_some(client, usize::from(length))?;
            let is_right = said_user == user.as_bytes() && said_password == password.as_bytes();
            client.write_all(&[1, u8::from(!is_right)])?;
            if !is_right {
                return Ok(None);
            }
        }
        let [_, command, _, kind] = read(client)?;
        ensure!(command == 1, "not CONNECT");
        let host = match kind {
            1 => Ipv4Addr::from(read::<4>(client)?).to_string(),
            4 => format!("[{}]", std::net::Ipv6Addr::from(read::<16>(client)?)),
            3 => {
                let [length] = read(client)?;
                String::from_utf8(read_some(client, usize::from(length))?)?
            }
            other => bail!("address type {other}"),
        };
        let to = format!("{host}:{}", u16::from_be_bytes(read(client)?));
        self.note(&to);
        if self.manner == Manner::Closed {
            client.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0])?;
            return Ok(None);
        }
        Ok(Some(to))
    }

    fn http(&self, client: &mut TcpStream) -> anyhow::Result<Option<String>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < 8192, "an endless head");
            head.extend(read::<1>(client)?);
        }
        let head = String::from_utf8(head)?;
        let to =
            head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).context("not CONNECT")?;
        ensure!(head.contains(&format!("\r\nHost: {to}\r\n")), "a CONNECT without its Host");
        self.note(to);
        let refusal = match &self.manner {
            Manner::Open => return Ok(Some(to.to_owned())),
            Manner::Closed => "403 Forbidden",
            Manner::Login(user, password) => {
                use base64ct::{Base64, Encoding};
                let right = Base64::encode_string(format!("{user}:{password}").as_bytes());
                if head.contains(&format!("\r\nProxy-Authorization: Basic {right}\r\n")) {
                    return Ok(Some(to.to_owned()));
                }
                "407 Proxy Authentication Required"
            }
        };
        client.write_all(format!("HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
        Ok(None)
    }
}

fn read<const N: usize>(stream: &mut TcpStream) -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_some(stream: &mut TcpStream, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
