//! Secrets by reference: where a password or key lies, never what it is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a secret lies: `env:NAME` or `file:PATH`.
///
/// ```
/// use outport_core::credential::SecretRef;
/// assert_eq!("env:ACME_PASSWORD".parse(), Ok(SecretRef::Env("ACME_PASSWORD".into())));
/// assert!("hunter2".parse::<SecretRef>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable of the worker process.
    Env(String),
    /// A file that the worker can read; a trailing newline is not part of the secret.
    File(PathBuf),
}

impl FromStr for SecretRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text is not repeated in the error: somebody may have put the secret itself here.
        match text.split_once(':') {
            Some(("env", name)) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if name.is_empty() || !name.chars().all(plain) {
                    return Err(
                        "an env: reference names a variable of letters, digits and underscores".into()
                    );
                }
                Ok(Self::Env(name.into()))
            }
            Some(("file", path)) if !path.is_empty() && !path.contains(char::is_control) => {
                Ok(Self::File(path.into()))
            }
            Some(("file", _)) => Err("a file: reference needs a path".into()),
            Some(("aws-sm", _)) => Err("aws-sm: references are not available yet; use env: or file:".into()),
            _ => Err("a secret is given by reference, env:NAME or file:PATH, never by itself".into()),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// How an endpoint logs in; one text in the database: `password env:ACME_PASSWORD`, `key file:/k passphrase env:P`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialRef {
    /// With a password.
    Password(SecretRef),
    /// With a private key.
    Key {
        /// The key file's content.
        key: SecretRef,
        /// What it is encrypted with.
        passphrase: Option<SecretRef>,
    },
}

const PASSWORD: &str = "password ";
const KEY: &str = "key ";
const PASSPHRASE: &str = " passphrase ";

impl FromStr for CredentialRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(secret) = text.strip_prefix(PASSWORD) {
            return Ok(Self::Password(secret.parse()?));
        }
        let Some(rest) = text.strip_prefix(KEY) else {
            return Err("a credential is a password or a key".into());
        };
        // From the right: a path may contain the word.
        Ok(match rest.rsplit_once(PASSPHRASE) {
            Some((key, passphrase)) => Self::Key { key: key.parse()?, passphrase: Some(passphrase.parse()?) },
            None => Self::Key { key: rest.parse()?, passphrase: None },
        })
    }
}

impl fmt::Display for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(secret) => write!(f, "{PASSWORD}{secret}"),
            Self::Key { key, passphrase: None } => write!(f, "{KEY}{key}"),
            Self::Key { key, passphrase: Some(passphrase) } => {
                write!(f, "{KEY}{key}{PASSPHRASE}{passphrase}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_round_trip() {
        for text in
            ["password env:A_1", "password file:/a b/c", "key file:/k", "key file:/k passphrase env:P"]
        {
            assert_eq!(text.parse::<CredentialRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bare_secret_is_refused_and_not_repeated() {
        for text in ["hunter2", "env:", "env:a-b", "file:", "aws-sm:x", ""] {
            let error = text.parse::<SecretRef>().unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
