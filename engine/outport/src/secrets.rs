//! Secrets, read where a reference points to, with a version that changes when they do.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use outport_aws::{Access, SecretsManager};
use outport_core::credential::{CredentialRef, KeyRef, SecretRef};
use outport_core::{Fault, code};
use outport_send::{Auth, Secret};
use serde_json::Value;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

/// A key file is a few kilobytes; a reference to something huge is a mistake.
const MAX_SECRET_BYTES: u64 = 1 << 20;

/// A login, ready to use, and the version of the secrets behind it.
#[derive(Debug)]
pub struct Login {
    /// Key first, then password.
    pub auth: Vec<Auth>,
    pub version: String,
}

/// Where secrets are read: this process's variables, files, AWS.
pub struct Secrets {
    access: Access,
    /// Made when the first secret of AWS is asked for: who has none never looks for a region or a role.
    aws: OnceCell<SecretsManager>,
}

impl Secrets {
    /// `access`: how AWS is reached.
    pub fn new(access: Access) -> Self {
        Self { access, aws: OnceCell::new() }
    }

    /// Reads what a credential refers to. `label` names the endpoint in messages.
    pub async fn login(&self, credential: &CredentialRef, label: &str) -> Result<Login, Fault> {
        let mut versions = Vec::new();
        let mut auth = Vec::new();
        if let Some(KeyRef { key, passphrase, certificate }) = &credential.key {
            let pem = self.read_into(&mut versions, key, label).await?;
            let passphrase = self.read_optional(&mut versions, passphrase.as_ref(), label).await?;
            let certificate = self.read_optional(&mut versions, certificate.as_ref(), label).await?;
            auth.push(Auth::Key {
                pem,
                passphrase,
                certificate: certificate.map(|text| text.expose().to_owned()),
            });
        }
        if let Some(password) = &credential.password {
            auth.push(Auth::Password(self.read_into(&mut versions, password, label).await?));
        }
        Ok(Login { auth, version: versions.join(" ") })
    }

    async fn read_optional(
        &self,
        versions: &mut Vec<String>,
        reference: Option<&SecretRef>,
        label: &str,
    ) -> Result<Option<Secret>, Fault> {
        match reference {
            Some(reference) => self.read_into(versions, reference, label).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read_into(
        &self,
        versions: &mut Vec<String>,
        reference: &SecretRef,
        label: &str,
    ) -> Result<Secret, Fault> {
        let (secret, version) = self.read(reference, label).await?;
        versions.push(version);
        Ok(secret)
    }

    /// The version of a login alone, as [`login`](Self::login) has it: never a hash of the secret (a stored hash would let
    /// one guess it). Secrets of AWS are not read for it, only looked at.
    pub async fn version(&self, credential: &CredentialRef, label: &str) -> Result<String, Fault> {
        let mut versions = Vec::new();
        for reference in credential.secrets() {
            versions.push(match reference {
                SecretRef::AwsSm { name, .. } => of_aws(&self.aws().await.version(name).await?),
                here => self.read(here, label).await?.1,
            });
        }
        Ok(versions.join(" "))
    }

    /// The secret that `reference` names, and its version. `label` says whose it is, in messages.
    pub async fn read(&self, reference: &SecretRef, label: &str) -> Result<(Secret, String), Fault> {
        let missing = |why: String| {
            Fault::new(
                &code::CREDENTIAL_MISSING,
                format!("could not read the secret {reference} of {label}: {why}"),
            )
        };
        match reference {
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(text) if !text.is_empty() => Ok((Secret::new(text), process_start().to_owned())),
                Ok(_) => Err(missing("the variable is empty".into())),
                Err(_) => Err(missing("the variable is not set".into())),
            },
            SecretRef::File(path) => from_file(path).map_err(missing),
            SecretRef::AwsSm { name, field } => {
                let value = self.aws().await.read(name).await?;
                let secret = match field {
                    None => Secret::new(value.text.as_str()),
                    Some(field) => of_field(&value.text, field).map_err(missing)?,
                };
                Ok((secret, of_aws(&value.version)))
            }
        }
    }

    /// A login was refused: what is kept of its secrets may be old.
    pub fn forget(&self, credential: &CredentialRef) {
        let Some(aws) = self.aws.get() else { return };
        for reference in credential.secrets() {
            if let SecretRef::AwsSm { name, .. } = reference {
                aws.forget(name);
            }
        }
    }

    async fn aws(&self) -> &SecretsManager {
        self.aws.get_or_init(|| async { SecretsManager::new(&outport_aws::load(&self.access).await) }).await
    }
}

/// Whether everybody who asks sees the same version of this login: not so with variables and files, which are a machine's own.
pub fn is_shared(credential: &CredentialRef) -> bool {
    credential.secrets().all(|secret| matches!(secret, SecretRef::AwsSm { .. }))
}

fn of_aws(version: &str) -> String {
    format!("aws-sm-{version}")
}

/// One text of a JSON object. Messages never repeat what stands in it.
fn of_field(text: &str, field: &str) -> Result<Secret, String> {
    let object: BTreeMap<String, Zeroizing<String>> = serde_json::from_str::<BTreeMap<String, Value>>(text)
        .map_err(|_| "it is no JSON object".to_owned())?
        .into_iter()
        .filter_map(|(key, value)| match value {
            Value::String(text) => Some((key, Zeroizing::new(text))),
            _ => None,
        })
        .collect();
    match object.get(field) {
        Some(text) if !text.is_empty() => Ok(Secret::new(text.as_str())),
        Some(_) => Err(format!("its field {field:?} is empty")),
        None => Err(format!("it has no field {field:?} with a text")),
    }
}

fn from_file(path: &Path) -> Result<(Secret, String), String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if meta.len() > MAX_SECRET_BYTES {
        return Err("the file is larger than 1 MiB".into());
    }
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| error.to_string())?;
    // Editors and `echo` end a file with a newline that is not part of a password; a PEM text does not mind.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    if text.is_empty() {
        return Err("the file is empty".into());
    }
    let version = format!("{}.{:09}-{}", meta.mtime(), meta.mtime_nsec(), meta.ino());
    Ok((Secret::new(text), version))
}

/// A variable changes only with the process.
fn process_start() -> &'static str {
    static START: OnceLock<String> = OnceLock::new();
    START.get_or_init(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("process-{}", since.as_millis())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_secret_loses_its_newline_and_has_a_version_that_changes() {
        let secrets = Secrets::new(Access::default());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pw");
        std::fs::write(&path, "geheim\n").unwrap();
        let credential = CredentialRef::password(SecretRef::File(path.clone()));
        let first = secrets.login(&credential, "acme/sftp").await.unwrap();
        let [Auth::Password(secret)] = first.auth.as_slice() else { panic!("not a password") };
        assert_eq!(secret.expose(), "geheim");
        assert_eq!(secrets.version(&credential, "acme/sftp").await.unwrap(), first.version);
        std::fs::remove_file(&path).unwrap();
        let fault = secrets.login(&credential, "acme/sftp").await.err().unwrap();
        assert_eq!(fault.code, &code::CREDENTIAL_MISSING);
        std::fs::write(dir.path().join("other"), "x").unwrap();
        std::fs::write(&path, "neu\n").unwrap();
        assert_ne!(secrets.version(&credential, "acme/sftp").await.unwrap(), first.version);
    }

    #[test]
    fn a_field_of_a_json_secret() {
        let text = r#"{"password": "geheim", "port": 22, "empty": ""}"#;
        assert_eq!(of_field(text, "password").unwrap().expose(), "geheim");
        for (text, field, why) in [
            (text, "key", "it has no field \"key\" with a text"),
            (text, "port", "it has no field \"port\" with a text"),
            (text, "empty", "its field \"empty\" is empty"),
            ("geheim", "password", "it is no JSON object"),
            ("[\"geheim\"]", "password", "it is no JSON object"),
        ] {
            assert_eq!(of_field(text, field).unwrap_err(), why);
        }
    }
}
