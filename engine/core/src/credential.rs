//! Secrets by reference: where a password or key lies, never what it is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ssh::LoginMethod;

/// Where a secret lies: `env:NAME`, `file:PATH` or `aws-sm:NAME[#FIELD]`.
///
/// ```
/// use outport_core::credential::SecretRef;
/// assert_eq!("env:ACME_PASSWORD".parse(), Ok(SecretRef::Env("ACME_PASSWORD".into())));
/// let of_aws = SecretRef::AwsSm { name: "outport/acme".into(), field: Some("key".into()) };
/// assert_eq!("aws-sm:outport/acme#key".parse(), Ok(of_aws));
/// assert!("hunter2".parse::<SecretRef>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// An environment variable of the worker process.
    Env(String),
    /// A file that the worker can read; a trailing newline is not part of the secret.
    File(PathBuf),
    /// A secret of AWS Secrets Manager.
    AwsSm {
        /// Its name or ARN.
        name: String,
        /// The field of a secret that is a JSON object; without one the whole text is the secret.
        field: Option<String>,
    },
}

/// Name or ARN of a secret: letters, digits and `/_+=.@-`, in an ARN `:` too; at most 512 characters and an ARN around them.
fn is_secret_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-:".contains(c);
    !name.is_empty() && name.len() <= 640 && name.chars().all(allowed)
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
            Some(("aws-sm", rest)) => {
                let (name, field) = match rest.split_once('#') {
                    Some((name, field)) => (name, Some(field)),
                    None => (rest, None),
                };
                let is_field = |field: &str| !field.is_empty() && !field.contains(char::is_control);
                if !is_secret_name(name) || !field.is_none_or(is_field) {
                    return Err("an aws-sm: reference is aws-sm:NAME or aws-sm:NAME#FIELD".into());
                }
                Ok(Self::AwsSm { name: name.into(), field: field.map(str::to_owned) })
            }
            _ => Err(
                "a secret is given by reference, env:NAME, file:PATH or aws-sm:NAME#FIELD, never by itself"
                    .into(),
            ),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::AwsSm { name, field: None } => write!(f, "aws-sm:{name}"),
            Self::AwsSm { name, field: Some(field) } => write!(f, "aws-sm:{name}#{field}"),
        }
    }
}

impl Serialize for SecretRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What an endpoint logs in with: a key, a password, or both where the server wants two proofs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRef {
    /// A private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyRef>,
    /// A password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
}

/// Where a private key and what belongs to it lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRef {
    /// The key file's content.
    pub key: SecretRef,
    /// What it is encrypted with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<SecretRef>,
    /// An OpenSSH user certificate for the key. No secret, but it is renewed like one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<SecretRef>,
}

impl CredentialRef {
    /// With a password alone.
    pub fn password(secret: SecretRef) -> Self {
        Self { key: None, password: Some(secret) }
    }

    /// All the references, in the order in which they are read.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretRef> {
        let key = self.key.iter().flat_map(|key| {
            [Some(&key.key), key.passphrase.as_ref(), key.certificate.as_ref()].into_iter().flatten()
        });
        key.chain(&self.password)
    }

    /// As it stands in the database: one JSON text.
    pub fn stored(&self) -> String {
        // Texts and nothing else: it cannot fail, and an empty text would be refused when it is read.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The inverse of [`stored`](Self::stored).
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_stored(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// What is wrong with an order of logins for what there is: a method without its secret, a secret without its
    /// method, or one named twice. An empty order is the usual one.
    pub fn login_problem(&self, order: &[LoginMethod]) -> Option<String> {
        use LoginMethod::{KeyboardInteractive, Password, Publickey};
        if order.is_empty() {
            return None;
        }
        let is_named = |methods: &[LoginMethod]| order.iter().any(|method| methods.contains(method));
        if order.iter().enumerate().any(|(n, method)| order[..n].contains(method)) {
            return Some("login names a method twice; each is tried once".into());
        }
        if let Some(method) = order.iter().find(|method| match method {
            Publickey => self.key.is_none(),
            Password | KeyboardInteractive => self.password.is_none(),
        }) {
            let secret = if *method == Publickey { "key" } else { "password" };
            return Some(format!("login names {}, and there is no {secret}", method.as_str()));
        }
        if self.key.is_some() && !is_named(&[Publickey]) {
            return Some("login does not name publickey, and there is a key".into());
        }
        if self.password.is_some() && !is_named(&[Password, KeyboardInteractive]) {
            return Some(
                "login names neither password nor keyboard-interactive, and there is a password".into(),
            );
        }
        None
    }
}

/// For people: `key file:/k, certificate file:/c, password env:P`.
impl fmt::Display for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_ref();
        let parts = [
            ("key", key.map(|key| &key.key)),
            ("passphrase", key.and_then(|key| key.passphrase.as_ref())),
            ("certificate", key.and_then(|key| key.certificate.as_ref())),
            ("password", self.password.as_ref()),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter_map(|(name, secret)| secret.map(|secret| format!("{name} {secret}")))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> SecretRef {
        SecretRef::File(path.into())
    }

    #[test]
    fn credentials_come_back_from_the_database_as_they_were() {
        let password = Some(SecretRef::Env("A_1".into()));
        let key = KeyRef { key: file("/a password env:X"), passphrase: None, certificate: None };
        let full = KeyRef {
            passphrase: Some(SecretRef::Env("P".into())),
            certificate: Some(file("/c, password x")),
            ..key.clone()
        };
        for (key, password) in
            [(None, password.clone()), (Some(key), None), (Some(full.clone()), None), (Some(full), password)]
        {
            let credential = CredentialRef { key, password };
            assert_eq!(CredentialRef::from_stored(&credential.stored()), Ok(credential));
        }
        assert!(CredentialRef::from_stored("").is_err());
        assert!(
            CredentialRef::from_stored(r#"{"password":"hunter2"}"#).is_err_and(|e| !e.contains("hunter2"))
        );
    }

    #[test]
    fn an_order_names_what_there_is_and_nothing_else() {
        use LoginMethod::{KeyboardInteractive, Password, Publickey};
        let key = Some(KeyRef { key: file("/k"), passphrase: None, certificate: None });
        let password = Some(file("/p"));
        let both = CredentialRef { key: key.clone(), password: password.clone() };
        let key = CredentialRef { key, password: None };
        let password = CredentialRef { key: None, password };
        for (credential, order, problem) in [
            (&both, &[][..], None),
            (&both, &[Password, Publickey], None),
            (&both, &[Publickey, KeyboardInteractive], None),
            (&both, &[Publickey], Some("neither password nor")),
            (&both, &[Password], Some("does not name publickey")),
            (&key, &[Publickey], None),
            (&key, &[Publickey, Password], Some("there is no password")),
            (&password, &[Publickey, Password], Some("there is no key")),
            (&password, &[Password, Password], Some("twice")),
        ] {
            let found = credential.login_problem(order);
            assert_eq!(found.is_some(), problem.is_some(), "{order:?}: {found:?}");
            assert!(found.unwrap_or_default().contains(problem.unwrap_or_default()), "{order:?}");
        }
    }

    #[test]
    fn a_bare_secret_is_refused_and_not_repeated() {
        for text in
            ["hunter2", "env:", "env:a-b", "file:", "aws-sm:", "aws-sm:a b", "aws-sm:#key", "aws-sm:x#", ""]
        {
            let error = text.parse::<SecretRef>().unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
