//! The least HTTP client that can ask for a page.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

const LIMIT: Duration = Duration::from_secs(60);

/// `GET path`: the status code and the body.
///
/// # Errors
/// If nobody answers within a minute, or with something else than HTTP.
pub fn get(address: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let doing = || format!("asking http://{address}{path}");
    let mut stream = TcpStream::connect_timeout(&address, LIMIT).with_context(doing)?;
    stream.set_read_timeout(Some(LIMIT)).with_context(doing)?;
    // HTTP/1.0: the answer ends where the connection does, and has no chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").with_context(doing)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(doing)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(doing)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).with_context(doing)?;
    Ok((code, body.to_owned()))
}
