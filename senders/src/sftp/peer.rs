//! What the SSH library tells about the server: its host key, its name, its goodbye.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outport_core::{Code, Fault, code};
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::{Fingerprint, HashAlg};
use russh::{Disconnect, Names};

use super::session::Line;
use super::trust::is_pinned;
use crate::plug::Plug;
use crate::remote::PeerIdentity;
use crate::target::HostKeyPin;

/// What has been seen of one server on one connection.
#[derive(Debug, Default)]
struct Seen {
    host_key: Option<(Fingerprint, String)>,
    version: String,
    end: Option<(&'static Code, String)>,
}

/// One TCP connection and what is known about who is at its other end.
#[derive(Debug)]
pub(super) struct Peer {
    place: String,
    plug: Plug,
    seen: Mutex<Seen>,
}

impl Peer {
    pub(super) fn new(place: String, plug: Plug) -> Arc<Self> {
        Arc::new(Self { place, plug, seen: Mutex::default() })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn host_key(&self) -> Option<(Fingerprint, String)> {
        self.seen().host_key.clone()
    }

    pub(super) fn identity(&self) -> PeerIdentity {
        let seen = self.seen();
        let (fingerprint, algorithm) =
            seen.host_key.as_ref().map(|(f, a)| (f.to_string(), a.clone())).unwrap_or_default();
        PeerIdentity { fingerprint, algorithm, banner: seen.version.clone() }
    }

    /// The server's goodbye or the error of the connection, if it has ended.
    pub(super) fn end(&self) -> Option<(&'static Code, String)> {
        self.seen().end.clone()
    }
}

impl Line for Peer {
    fn hang_up(&self) {
        self.plug.pull();
    }

    fn why_ended(&self) -> Fault {
        match self.end() {
            Some((code, cause)) => {
                Fault::new(code, format!("the connection to {} ended: {cause}", self.place))
            }
            // The channel was closed and the connection was not: nobody there to do SFTP.
            None => Fault::new(
                &code::SFTP_SUBSYSTEM_MISSING,
                format!("could not use SFTP on {}: the server closed the channel", self.place),
            ),
        }
    }

    fn place(&self) -> &str {
        &self.place
    }
}

/// The library's callbacks for one connection.
pub(super) struct Watcher {
    pub(super) peer: Arc<Peer>,
    pub(super) pins: Vec<HostKeyPin>,
}

impl Handler for Watcher {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let key = shown.public_key();
        let fingerprint = key.fingerprint(HashAlg::Sha256);
        self.peer.seen().host_key = Some((fingerprint, key.algorithm().to_string()));
        Ok(is_pinned(&self.pins, &fingerprint))
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let version = String::from_utf8_lossy(session.remote_sshid());
        self.peer.seen().version = version.chars().filter(|c| !c.is_control()).take(255).collect();
        tracing::debug!(endpoint = %self.peer.place, ssh.cipher = ?names.cipher, ssh.kex = ?names.kex, "keys are agreed");
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<russh::Error>) -> Result<(), russh::Error> {
        let end = match &reason {
            DisconnectReason::ReceivedDisconnect(goodbye) => {
                let words: String =
                    goodbye.message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
                (goodbye_code(&goodbye.reason_code, &words), format!("the server said goodbye: {words:?}"))
            }
            DisconnectReason::Error(error) => (error_code(error), cause(error)),
        };
        self.peer.seen().end = Some(end);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

/// RFC 4253 section 11.1. OpenSSH sends code 2 for too many refused logins; only the text tells.
fn goodbye_code(reason: &Disconnect, words: &str) -> &'static Code {
    match reason {
        Disconnect::TooManyConnections => &code::ENDPOINT_BUSY,
        Disconnect::NoMoreAuthMethodsAvailable | Disconnect::IllegalUserName => &code::CREDENTIAL_REFUSED,
        _ if words.to_ascii_lowercase().contains("authentication failure") => &code::CREDENTIAL_REFUSED,
        _ => &code::ENDPOINT_RESET,
    }
}

/// Which fault an error of the SSH library is, for all that are not about trust.
pub(super) fn error_code(error: &russh::Error) -> &'static Code {
    use russh::Error;
    match error {
        Error::NoCommonAlgo { .. } => &code::SFTP_NEGOTIATION,
        // The library gives up when a refusal leaves no method.
        Error::NoAuthMethod => &code::CREDENTIAL_REFUSED,
        Error::IO(error) => io_code(error),
        Error::KeepaliveTimeout | Error::InactivityTimeout | Error::ConnectionTimeout | Error::Elapsed(_) => {
            &code::ENDPOINT_TIMEOUT
        }
        Error::Version | Error::WrongServerSig | Error::Kex | Error::KexInit | Error::UnknownAlgo => {
            &code::SFTP_PROTOCOL
        }
        _ => &code::ENDPOINT_RESET,
    }
}

/// Which fault an error of the socket is.
pub(super) fn io_code(error: &io::Error) -> &'static Code {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => &code::ENDPOINT_REFUSED,
        ErrorKind::TimedOut => &code::ENDPOINT_TIMEOUT,
        ErrorKind::HostUnreachable
        | ErrorKind::NetworkUnreachable
        | ErrorKind::NetworkDown
        | ErrorKind::AddrNotAvailable => &code::ENDPOINT_UNREACHABLE,
        _ => &code::ENDPOINT_RESET,
    }
}

/// The error in words for an operator.
pub(super) fn cause(error: &russh::Error) -> String {
    use russh::Error;
    match error {
        Error::NoCommonAlgo { kind, ours, theirs } => {
            let kind = match kind {
                russh::AlgorithmKind::Kex => "key exchange",
                russh::AlgorithmKind::Key => "host key algorithm",
                russh::AlgorithmKind::Cipher => "cipher",
                russh::AlgorithmKind::Compression => "compression",
                russh::AlgorithmKind::Mac => "MAC",
            };
            format!("no common {kind}; ours: {}; theirs: {}", ours.join(" "), theirs.join(" "))
        }
        Error::Disconnect | Error::HUP | Error::SendError | Error::RecvError => "the server closed it".into(),
        Error::KeepaliveTimeout => "the server gives no sign of life any more".into(),
        Error::NoAuthMethod => "the server leaves no way to log in".into(),
        Error::Version => "it is not an SSH server".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_end_has_its_code() {
        use io::ErrorKind as K;
        for (kind, code) in [
            (K::ConnectionRefused, &code::ENDPOINT_REFUSED),
            (K::ConnectionReset, &code::ENDPOINT_RESET),
            (K::BrokenPipe, &code::ENDPOINT_RESET),
            (K::UnexpectedEof, &code::ENDPOINT_RESET),
            (K::TimedOut, &code::ENDPOINT_TIMEOUT),
            (K::HostUnreachable, &code::ENDPOINT_UNREACHABLE),
            (K::NetworkUnreachable, &code::ENDPOINT_UNREACHABLE),
        ] {
            assert_eq!(error_code(&russh::Error::IO(kind.into())).name, code.name, "{kind}");
        }
        assert_eq!(error_code(&russh::Error::KeepaliveTimeout), &code::ENDPOINT_TIMEOUT);
        assert_eq!(error_code(&russh::Error::HUP), &code::ENDPOINT_RESET);
        assert_eq!(goodbye_code(&Disconnect::TooManyConnections, ""), &code::ENDPOINT_BUSY);
        assert_eq!(goodbye_code(&Disconnect::NoMoreAuthMethodsAvailable, ""), &code::CREDENTIAL_REFUSED);
        assert_eq!(
            goodbye_code(&Disconnect::ProtocolError, "Too many authentication failures"),
            &code::CREDENTIAL_REFUSED
        );
        assert_eq!(goodbye_code(&Disconnect::ByApplication, "bye"), &code::ENDPOINT_RESET);
    }

    #[test]
    fn a_failed_negotiation_shows_both_lists() {
        let error = russh::Error::NoCommonAlgo {
            kind: russh::AlgorithmKind::Cipher,
            ours: vec!["aes256-gcm@openssh.com".into(), "aes256-ctr".into()],
            theirs: vec!["3des-cbc".into()],
        };
        assert_eq!(error_code(&error), &code::SFTP_NEGOTIATION);
        assert_eq!(
            cause(&error),
            "no common cipher; ours: aes256-gcm@openssh.com aes256-ctr; theirs: 3des-cbc"
        );
    }
}
