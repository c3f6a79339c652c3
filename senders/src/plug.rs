//! Pulling the plug of a TCP connection that some task owns and may be stuck in.

use std::io;
use std::net::{Shutdown, TcpStream as StdStream};

use tokio::net::TcpStream;

/// Ends its connection when pulled or dropped. The SSH session task owns the stream and has no time limit of its own
/// for a write that the peer does not take; shutting the socket down from outside wakes it with an error.
#[derive(Debug)]
pub(crate) struct Plug(StdStream);

impl Plug {
    /// The stream again, and its plug (a second descriptor of the same socket).
    pub(crate) fn of(stream: TcpStream) -> io::Result<(TcpStream, Self)> {
        let stream = stream.into_std()?;
        let plug = Self(stream.try_clone()?);
        Ok((TcpStream::from_std(stream)?, plug))
    }

    /// Ends the connection at once, both ways.
    pub(crate) fn pull(&self) {
        // It fails only when the peer was faster; then there is nothing left to end.
        if let Err(error) = self.0.shutdown(Shutdown::Both) {
            tracing::trace!(%error, "the connection was closed already");
        }
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.pull();
    }
}
