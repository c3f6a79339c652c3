//! Secrets, read where a reference points to, with a version that changes when they do.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use outport_core::credential::{CredentialRef, KeyRef, SecretRef};
use outport_core::{Fault, code};
use outport_send::{Auth, Secret};
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

/// Reads what a credential refers to. `label` names the endpoint in messages.
pub fn login(credential: &CredentialRef, label: &str) -> Result<Login, Fault> {
    let mut versions = Vec::new();
    let mut secret = |reference: &SecretRef| -> Result<Secret, Fault> {
        let (secret, version) = read(reference, label)?;
        versions.push(version);
        Ok(secret)
    };
    let mut auth = Vec::new();
    if let Some(KeyRef { key, passphrase, certificate }) = &credential.key {
        let pem = secret(key)?;
        let passphrase = passphrase.as_ref().map(&mut secret).transpose()?;
        let certificate = certificate.as_ref().map(&mut secret).transpose()?;
        auth.push(Auth::Key {
            pem,
            passphrase,
            certificate: certificate.map(|text| text.expose().to_owned()),
        });
    }
    if let Some(password) = &credential.password {
        auth.push(Auth::Password(secret(password)?));
    }
    Ok(Login { auth, version: versions.join(" ") })
}

/// The version alone: never a hash of the secret (a stored hash would let one guess it).
pub fn version(credential: &CredentialRef, label: &str) -> Result<String, Fault> {
    login(credential, label).map(|login| login.version)
}

/// The secret that `reference` names. `label` says whose it is, in messages.
pub fn read(reference: &SecretRef, label: &str) -> Result<(Secret, String), Fault> {
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

    #[test]
    fn a_file_secret_loses_its_newline_and_has_a_version_that_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pw");
        std::fs::write(&path, "geheim\n").unwrap();
        let credential = CredentialRef::password(SecretRef::File(path.clone()));
        let first = login(&credential, "acme/sftp").unwrap();
        let [Auth::Password(secret)] = first.auth.as_slice() else { panic!("not a password") };
        assert_eq!(secret.expose(), "geheim");
        std::fs::remove_file(&path).unwrap();
        let fault = login(&credential, "acme/sftp").err().unwrap();
        assert_eq!(fault.code, &code::CREDENTIAL_MISSING);
        std::fs::write(dir.path().join("other"), "x").unwrap();
        std::fs::write(&path, "neu\n").unwrap();
        assert_ne!(version(&credential, "acme/sftp").unwrap(), first.version);
    }
}
