//! What the SSH library tells about the server: its host key, its name, its goodbye.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outport_core::ssh::{Agreed, Profile};
use outport_core::{Code, Fault, code};
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Disconnect, Names, cipher, mac};

use super::clock;
use super::session::Line;
use super::trust::{Seen as Shown, Trust};
use crate::dial::io_code;
use crate::plug::Plug;
use crate::remote::PeerIdentity;

/// What has been seen of one server on one connection.
#[derive(Debug, Default)]
struct Seen {
    host_key: Option<Shown>,
    version: String,
    agreed: Agreed,
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

    pub(super) fn host_key(&self) -> Option<Shown> {
        self.seen().host_key.clone()
    }

    pub(super) fn identity(&self) -> PeerIdentity {
        let seen = self.seen();
        let shown = seen.host_key.as_ref();
        PeerIdentity {
            fingerprint: shown.map(|shown| shown.fingerprint.to_string()).unwrap_or_default(),
            algorithm: shown.map(|shown| shown.algorithm.clone()).unwrap_or_default(),
            banner: seen.version.clone(),
            authority: shown.and_then(|shown| shown.authority).map(|authority| authority.to_string()),
            agreed: seen.agreed.clone(),
        }
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
    pub(super) trust: Arc<Trust>,
    pub(super) profile: Profile,
}

impl Handler for Watcher {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let seen = self.trust.judge(shown, clock::now());
        let is_believed = seen.doubt.is_none();
        self.peer.seen().host_key = Some(seen);
        Ok(is_believed)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let version = String::from_utf8_lossy(session.remote_sshid());
        let mut seen = self.peer.seen();
        seen.version = version.chars().filter(|c| !c.is_control()).take(255).collect();
        // A certificate is negotiated under a name of its own, with the hash of the server's signature in it.
        let host_key = match seen.host_key.as_ref().is_some_and(|shown| shown.certified) {
            true => names.key.to_certificate_type(),
            false => names.key.to_string(),
        };
        seen.agreed = Agreed {
            profile: self.profile,
            host_key,
            kex: names.kex.as_ref().to_owned(),
            cipher: names.cipher.as_ref().to_owned(),
            mac: has_mac(&names.cipher, &names.client_mac).then(|| names.client_mac.as_ref().to_owned()),
        };
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

/// aes-gcm and chacha20-poly1305 authenticate by themselves; the list's MAC is agreed on and not used.
fn has_mac(cipher: &cipher::Name, mac: &mac::Name) -> bool {
    let own = [cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];
    !own.contains(cipher) && *mac != mac::NONE
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
        use std::io::ErrorKind as K;
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
        use russh::AlgorithmKind::{Compression, Kex, Key, Mac};
        for (kind, word) in
            [(Kex, "key exchange"), (Key, "host key algorithm"), (Mac, "MAC"), (Compression, "compression")]
        {
            let error = russh::Error::NoCommonAlgo {
                kind,
                ours: vec!["a".into()],
                theirs: vec!["b".into(), "c".into()],
            };
            assert_eq!(cause(&error), format!("no common {word}; ours: a; theirs: b c"));
        }
    }
}
