//! Where to connect, as whom, and which server to accept there.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use outport_core::Millis;
use outport_core::ssh::LoginMethod;
use outport_core::trust::{FirstUse, Validity};
use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Fingerprint, HashAlg};

use crate::dial::Route;
use crate::secret::Secret;
use crate::sftp::Algorithms;

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
    /// The methods to use and their order, instead of that of `auth`; empty: as `auth` says.
    pub login_order: Vec<LoginMethod>,
    /// The host keys to accept. Without one, and without an authority, no server is accepted.
    pub host_key_pins: Vec<HostKeyPin>,
    /// Authorities whose host certificates are accepted.
    pub host_authorities: Vec<HostAuthority>,
    /// What a target without host keys and authorities is: incomplete, or waiting for its first key.
    pub first_use: FirstUse,
    /// What is offered to the server.
    pub algorithms: Algorithms,
    /// The way to the server.
    pub route: Route,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Whether a large file may use a second SFTP channel of its connection. It costs the server another process or
    /// thread, and OpenSSH counts it against `MaxSessions`.
    pub second_channel: bool,
}

impl Target {
    /// One that is reached directly, with the usual limits and algorithms; it believes no server yet.
    pub fn new(
        label: impl Into<String>,
        (host, port): (impl Into<String>, u16),
        username: impl Into<String>,
        auth: Vec<Auth>,
    ) -> Self {
        let label = label.into();
        Self {
            endpoint: label.clone(),
            revision: "1".into(),
            label,
            host: host.into(),
            port,
            username: username.into(),
            auth,
            login_order: Vec::new(),
            host_key_pins: Vec::new(),
            host_authorities: Vec::new(),
            first_use: FirstUse::Refuse,
            algorithms: Algorithms::default(),
            route: Route::default(),
            timeouts: Timeouts::default(),
            second_channel: false,
        }
    }

    /// Name and address for messages: `acme/sftp (sftp.acme.example:22)`.
    pub fn place(&self) -> String {
        format!("{} ({}:{})", self.label, self.bracketed_host(), self.port)
    }

    fn bracketed_host(&self) -> String {
        bracketed(&self.host)
    }
}

/// A host as it stands before a port (RFC 3986 section 3.2.2).
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
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
        /// The text of an OpenSSH user certificate for it.
        certificate: Option<String>,
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
        // A server that stands still is to be given up within a minute: the look at the clock comes up to an eighth late.
        Self { connect: s(15), login: s(30), progress: s(50), request: s(300), keepalive: s(15) }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HostKeyPin {
    fingerprint: Fingerprint,
    /// When it counts.
    pub(crate) validity: Validity,
}

impl HostKeyPin {
    /// The same pin, for a time only.
    #[must_use]
    pub fn during(self, validity: Validity) -> Self {
        Self { validity, ..self }
    }

    /// Whether this is the fingerprint of that key, whatever the dates.
    pub(crate) fn is_of(&self, seen: &Fingerprint) -> bool {
        self.fingerprint == *seen
    }

    /// With its dates, when it does not count now.
    pub(crate) fn shown(&self, now: Millis) -> String {
        match self.validity.why_not(now) {
            Some(why) => format!("{self} ({why})"),
            None => self.to_string(),
        }
    }
}

impl From<Fingerprint> for HostKeyPin {
    fn from(fingerprint: Fingerprint) -> Self {
        Self { fingerprint, validity: Validity::default() }
    }
}

/// The fingerprint alone.
impl fmt::Display for HostKeyPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fingerprint.fmt(f)
    }
}

/// A key that signs host certificates, and for whom it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAuthority {
    key: KeyData,
    principals: Vec<String>,
}

impl HostAuthority {
    /// An authority by its public key, `ssh-ed25519 AAAA...`. A certificate must bear one of `principals`, or the name of
    /// the host when there are none.
    ///
    /// # Errors
    /// What is wrong with the key or the principals.
    pub fn new(public_key: &str, principals: Vec<String>) -> Result<Self, HostAuthorityError> {
        let error = || HostAuthorityError { text: public_key.trim().chars().take(120).collect() };
        let key = PublicKey::from_openssh(public_key.trim()).map_err(|_| error())?;
        if principals
            .iter()
            .any(|name| name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == ','))
        {
            return Err(error());
        }
        Ok(Self { key: key.key_data().clone(), principals })
    }

    /// The fingerprint of its key.
    pub fn fingerprint(&self) -> Fingerprint {
        self.key.fingerprint(HashAlg::Sha256)
    }

    pub(crate) fn key(&self) -> &KeyData {
        &self.key
    }

    /// The names of which a certificate must bear one.
    pub(crate) fn principals_for<'a>(&'a self, host: &'a str) -> Vec<&'a str> {
        if self.principals.is_empty() {
            vec![host]
        } else {
            self.principals.iter().map(String::as_str).collect()
        }
    }
}

/// A text that is no public key, or a principal that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an authority: it should be a public key as it stands in a .pub file (ssh-ed25519 AAAA...), with principals that are names without blanks or commas"
)]
pub struct HostAuthorityError {
    text: String,
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
        if fingerprint.is_sha256() { Ok(fingerprint.into()) } else { Err(error()) }
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
    fn authorities_are_public_keys_and_names() {
        let key = include_str!("../tests/keys/ed25519.pub");
        assert!(HostAuthority::new(key, vec!["sftp.acme.example".into()]).is_ok());
        for (key, name) in [("", "a"), ("ssh-ed25519 AAAA", "a"), (key, ""), (key, "a,b"), (key, "a b")] {
            let error = HostAuthority::new(key, vec![name.into()]).unwrap_err();
            assert!(error.to_string().contains("is not an authority"), "{error}");
        }
    }

    #[test]
    fn places_bracket_ipv6() {
        let auth = vec![Auth::Password(Secret::new("p4ssw0rd"))];
        let mut target = Target::new("acme/sftp", ("sftp.acme.example", 22), "u", auth);
        assert_eq!(target.place(), "acme/sftp (sftp.acme.example:22)");
        target.host = "::1".into();
        assert_eq!(target.place(), "acme/sftp ([::1]:22)");
        assert!(!format!("{target:?}").contains("p4ssw0rd"));
    }
}
