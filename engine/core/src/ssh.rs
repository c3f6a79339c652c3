//! How an endpoint's SSH connection is to be made, and what client and server agreed on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which algorithms are offered to a server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Nothing with SHA-1, CBC or 3DES.
    #[default]
    Modern,
    /// The same, and behind it what old servers have: SHA-1, CBC, 3DES. Shown wherever the endpoint is shown.
    Compat,
    /// The lists of the endpoint; a list that is left out is the one of `modern`.
    Custom,
}

impl Profile {
    /// The word in definitions, receipts and the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Compat => "compat",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `[settings.ssh]`: the profile and, for `custom`, its lists in order of preference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SshSettings {
    /// Which algorithms are offered.
    pub profile: Profile,
    /// Key exchanges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kex: Vec<String>,
    /// Ciphers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ciphers: Vec<String>,
    /// MACs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<String>,
    /// Algorithms of the server's host key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_key_algorithms: Vec<String>,
}

impl SshSettings {
    /// Whether it is what an endpoint has that says nothing about SSH.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with the values as a whole; the names in the lists are for the sender to judge.
    pub fn problem(&self) -> Option<String> {
        let lists = [&self.kex, &self.ciphers, &self.macs, &self.host_key_algorithms];
        let has_lists = lists.iter().any(|list| !list.is_empty());
        match (self.profile, has_lists) {
            (Profile::Custom, false) => Some("ssh.profile is \"custom\" and no list is given".into()),
            (Profile::Custom, true) | (_, false) => None,
            (profile, true) => Some(format!(
                "ssh has lists of algorithms, which count only with profile = \"custom\", not {profile:?}",
                profile = profile.as_str()
            )),
        }
    }
}

/// A way to prove who we are (RFC 4252, RFC 4256).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoginMethod {
    /// With the private key, and its certificate if there is one.
    Publickey,
    /// With the password.
    Password,
    /// With the password, in answer to a question of the server.
    KeyboardInteractive,
}

impl LoginMethod {
    /// The method's name on the wire and in definitions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publickey => "publickey",
            Self::Password => "password",
            Self::KeyboardInteractive => "keyboard-interactive",
        }
    }
}

/// What client and server agreed on when a connection was made; part of every receipt.
///
/// ```
/// use outport_core::ssh::{Agreed, Profile};
/// let agreed = Agreed {
///     profile: Profile::Compat,
///     host_key: "ssh-rsa".into(),
///     kex: "diffie-hellman-group14-sha1".into(),
///     cipher: "aes256-cbc".into(),
///     mac: Some("hmac-sha1".into()),
/// };
/// assert_eq!(agreed.to_string(), "compat: ssh-rsa, diffie-hellman-group14-sha1, aes256-cbc, hmac-sha1");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The endpoint's profile at the time.
    pub profile: Profile,
    /// Algorithm of the host key or certificate: `ssh-ed25519`, `rsa-sha2-512-cert-v01@openssh.com`.
    pub host_key: String,
    /// Key exchange.
    pub kex: String,
    /// Cipher, both ways.
    pub cipher: String,
    /// MAC; `None` where the cipher has its own.
    pub mac: Option<String>,
}

impl fmt::Display for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, {}, {}", self.profile, self.host_key, self.kex, self.cipher)?;
        match &self.mac {
            Some(mac) => write!(f, ", {mac}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_belong_to_custom_and_custom_to_lists() {
        let read = |json: &str| serde_json::from_str::<SshSettings>(json).unwrap().problem();
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"profile":"compat"}"#), None);
        assert_eq!(read(r#"{"profile":"custom","kex":["curve25519-sha256"]}"#), None);
        assert!(read(r#"{"profile":"custom"}"#).unwrap().contains("no list"));
        assert!(read(r#"{"macs":["hmac-sha1"]}"#).unwrap().contains("only with profile = \"custom\""));
        assert!(serde_json::from_str::<SshSettings>(r#"{"profile":"old"}"#).is_err());
    }
}
