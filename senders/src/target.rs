//! Where to connect, as whom, and which server to accept there.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use russh::keys::ssh_key::Fingerprint;

use crate::secret::Secret;

/// One endpoint, ready to connect: definitions and secrets resolved.
#[derive(Debug, Clone)]
pub struct Target {
    /// Which endpoint it is; connections are shared by targets of the same endpoint and revision.
    pub endpoint: String,
    /// Changes whenever anything in here changes, secrets included: older connections then take no new file. Any
    /// text; the engine uses the definition's revision and the secret's version.
    pub revision: String,
    /// The name for messages: `acme/sftp`.
    pub label: String,
    /// Host name, IPv4 or IPv6 address (without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User name.
    pub username: String,
    /// Ways to log in, tried once each, in this order.
    pub auth: Vec<Auth>,
    /// The host keys to accept. None accepts no server.
    pub host_key_pins: Vec<HostKeyPin>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Whether a large file may use a second SFTP channel of its connection. It costs the server another process or
    /// thread, and OpenSSH counts it against `MaxSessions`.
    pub second_channel: bool,
}

impl Target {
    /// Name and address for messages: `acme/sftp (sftp.acme.example:22)`.
    pub fn place(&self) -> String {
        format!("{} ({}:{})", self.label, self.bracketed_host(), self.port)
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// One way to log in.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A password.
    Password(Secret),
    /// A private key: OpenSSH, PKCS#1, PKCS#8, SEC1 or PuTTY text; ed25519, rsa or ecdsa.
    Key {
        /// The text of the key file.
        pem: Secret,
        /// For an encrypted key.
        passphrase: Option<Secret>,
    },
}

/// How long to wait for what, per connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For each address of the host, until TCP is connected.
    pub connect: Duration,
    /// For key exchange, host key, login and the start of SFTP together.
    pub login: Duration,
    /// While something is asked of the server: no answer and no window movement for this long ends the connection.
    pub progress: Duration,
    /// A single request without an answer for this long ends the connection, even while others progress.
    pub request: Duration,
    /// A silent server is asked for a sign of life this often; the fourth unanswered one ends the connection.
    pub keepalive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self { connect: s(15), login: s(30), progress: s(60), request: s(300), keepalive: s(15) }
    }
}

/// The fingerprint of a host key that may be trusted, as `ssh-keygen -l` prints it.
///
/// ```
/// use outport_send::HostKeyPin;
/// let pin: HostKeyPin = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU".parse().unwrap();
/// assert_eq!(pin.to_string(), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU");
/// assert!("MD5:16:27:ac:a5:76:28:2d:36".parse::<HostKeyPin>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostKeyPin(Fingerprint);

impl HostKeyPin {
    /// Whether this is the fingerprint of that key.
    pub(crate) fn accepts(&self, seen: &Fingerprint) -> bool {
        self.0 == *seen
    }
}

impl From<Fingerprint> for HostKeyPin {
    fn from(fingerprint: Fingerprint) -> Self {
        Self(fingerprint)
    }
}

impl fmt::Display for HostKeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for HostKeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A text that is not a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a host key fingerprint: it should be SHA256: and 43 characters of base64, as `ssh-keygen -l` prints it"
)]
pub struct HostKeyPinError {
    text: String,
}

impl FromStr for HostKeyPin {
    type Err = HostKeyPinError;

    fn from_str(text: &str) -> Result<Self, HostKeyPinError> {
        let error = || HostKeyPinError { text: text.chars().take(120).collect() };
        // Some tools print the base64 padding that OpenSSH leaves out.
        let fingerprint: Fingerprint = text.trim().trim_end_matches('=').parse().map_err(|_| error())?;
        if fingerprint.is_sha256() { Ok(Self(fingerprint)) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

    #[test]
    fn pins_are_read_with_and_without_padding() {
        for text in [EMPTY.to_owned(), format!("{EMPTY}="), format!(" {EMPTY}\n")] {
            assert_eq!(text.parse::<HostKeyPin>().unwrap().to_string(), EMPTY);
        }
    }

    #[test]
    fn what_is_not_a_pin_is_refused_with_its_text() {
        for text in [
            "",
            "SHA256:",
            "SHA256:short",
            "sha256:x",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
            &format!("{EMPTY}A"),
        ] {
            let error = text.parse::<HostKeyPin>().unwrap_err();
            assert!(error.to_string().contains("43 characters"), "{error}");
        }
        let sha512 = format!("SHA512:{}", "A".repeat(86));
        assert!(sha512.parse::<HostKeyPin>().is_err());
    }

    #[test]
    fn places_bracket_ipv6() {
        let mut target = Target {
            endpoint: "e".into(),
            revision: "1".into(),
            label: "acme/sftp".into(),
            host: "sftp.acme.example".into(),
            port: 22,
            username: "u".into(),
            auth: vec![Auth::Password(Secret::new("p4ssw0rd"))],
            host_key_pins: vec![],
            timeouts: Timeouts::default(),
            second_channel: false,
        };
        assert_eq!(target.place(), "acme/sftp (sftp.acme.example:22)");
        target.host = "::1".into();
        assert_eq!(target.place(), "acme/sftp ([::1]:22)");
        assert!(!format!("{target:?}").contains("p4ssw0rd"));
    }
}
