//! What a server says first. An SSH server begins with its identification (RFC 4253 section 4.2), and may put lines of text
//! before it; whoever never identifies itself tells with those words what it is: another kind of server, or one that has
//! no room. The SSH library passes over them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use outport_core::{Code, code};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// More is of no use for telling what it is.
const KEPT_BYTES: usize = 512;
/// As much of it as a message may quote.
const QUOTED: usize = 80;

/// The first words of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct FirstWords(Arc<Mutex<Vec<u8>>>);

/// A stream whose first words are kept.
#[derive(Debug)]
pub(super) struct Heard<S> {
    stream: S,
    words: FirstWords,
    /// They have told enough.
    is_known: bool,
}

impl FirstWords {
    /// The stream again, and what will be heard on it.
    pub(super) fn of<S>(stream: S) -> (Heard<S>, Self) {
        let words = Self::default();
        (Heard { stream, words: words.clone(), is_known: false }, words)
    }

    fn kept(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this is no SSH server that would talk with us, if its words say so.
    pub(super) fn verdict(&self) -> Option<(&'static Code, String)> {
        verdict(&self.kept())
    }
}

/// Whether an identification of SSH 2 has come; "1.99" means that the server speaks version 1 too (section 5.1).
fn is_ssh2(line: &[u8]) -> bool {
    line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-")
}

fn lines(words: &[u8]) -> impl Iterator<Item = &[u8]> {
    words.split(|byte| *byte == b'\n')
}

fn verdict(words: &[u8]) -> Option<(&'static Code, String)> {
    if words.is_empty() || lines(words).any(is_ssh2) {
        return None;
    }
    let old = lines(words).find(|line| line.starts_with(b"SSH-"));
    let line = old.or_else(|| lines(words).find(|line| !line.trim_ascii().is_empty()))?;
    let text = String::from_utf8_lossy(line);
    let shown: String =
        text.trim_end().chars().take(QUOTED).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if old.is_some() {
        return Some((&code::SFTP_PROTOCOL, format!("it speaks another version of SSH: {shown:?}")));
    }
    // OpenSSH: "Exceeded MaxStartups", "Not allowed at this time" (penalties); inetd and others: "too many connections".
    let busy = ["maxstartups", "too many", "not allowed at this time"];
    if busy.iter().any(|word| text.to_ascii_lowercase().contains(word)) {
        return Some((&code::ENDPOINT_BUSY, format!("it has no room for another connection: {shown:?}")));
    }
    Some((&code::SFTP_PROTOCOL, format!("it is not an SSH server; it said {shown:?}")))
}

impl<S> Heard<S> {
    fn keep(&mut self, came: &[u8]) -> io::Result<()> {
        let mut kept = self.words.kept();
        let room = KEPT_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(came.get(..room).unwrap_or(came));
        self.is_known = kept.len() >= KEPT_BYTES || lines(&kept).any(is_ssh2);
        // The library would wait for another line until its time is up.
        let whole = kept.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &kept[..end]);
        if !self.is_known && lines(whole).any(|line| line.starts_with(b"SSH-")) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another version of SSH"));
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if !this.is_known && matches!(polled, Poll::Ready(Ok(()))) {
            let came = buffer.filled().get(before..).unwrap_or_default().to_vec();
            this.keep(&came)?;
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn what_words_tell() {
        let protocol = Some("sftp.protocol");
        for (words, expected, quoted) in [
            ("", None, ""),
            ("SSH-2.0-OpenSSH_9.2p1\r\n", None, ""),
            ("SSH-1.99-Cisco-1.25\n", None, ""),
            ("Welcome\r\nto ACME\r\nSSH-2.0-x\r\n", None, ""),
            (
                "HTTP/1.1 400 Bad Request\r\nServer: x\r\n",
                protocol,
                "not an SSH server; it said \"HTTP/1.1 400 Bad Request\"",
            ),
            ("\r\n220 mail ESMTP\r\n", protocol, "\"220 mail ESMTP\""),
            ("SSH-1.5-old\n", protocol, "another version of SSH: \"SSH-1.5-old\""),
            ("Hello\nSSH-1.5-old\n", protocol, "SSH-1.5-old"),
            ("\u{15}\u{3}\u{1}\0\u{2}\u{2}P", protocol, "said"),
            ("Exceeded MaxStartups\r\n", Some("endpoint.busy"), "\"Exceeded MaxStartups\""),
            ("421 Too many connections from your host\r\n", Some("endpoint.busy"), "Too many"),
        ] {
            let found = verdict(words.as_bytes());
            assert_eq!(found.as_ref().map(|(code, _)| code.name), expected, "{words:?}");
            let cause = found.map(|(_, cause)| cause).unwrap_or_default();
            assert!(cause.contains(quoted), "{words:?}: {cause}");
            assert!(!cause.contains(|c: char| c.is_control()), "{cause:?}");
        }
    }

    #[tokio::test]
    async fn every_byte_passes_and_the_first_are_kept() {
        let (mut server, client) = tokio::io::duplex(64);
        let (mut client, words) = FirstWords::of(client);
        let sent: Vec<u8> = (0..2_000u32).map(|n| (n % 251) as u8).collect();
        let sending = sent.clone();
        tokio::spawn(async move { server.write_all(&sending).await.unwrap() });
        let mut received = Vec::new();
        client.read_to_end(&mut received).await.unwrap();
        assert_eq!(received, sent);
        assert_eq!(&*words.kept(), &sent[..KEPT_BYTES]);
    }

    #[tokio::test]
    async fn an_old_version_ends_it_at_once() {
        let (mut server, client) = tokio::io::duplex(64);
        let (mut client, words) = FirstWords::of(client);
        server.write_all(b"SSH-1.").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(client.read(&mut buffer).await.unwrap(), 6, "it may yet become 1.99");
        server.write_all(b"5-old\r\n").await.unwrap();
        assert!(client.read(&mut buffer).await.is_err());
        assert_eq!(words.verdict().unwrap().0, &code::SFTP_PROTOCOL);
    }
}
