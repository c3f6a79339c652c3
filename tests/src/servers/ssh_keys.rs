//! SSH key pairs, made by `ssh-keygen` so that neither side of a test rests on our own key code.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::output_of;

/// A key pair in files, in OpenSSH's own format and without a passphrase.
#[derive(Debug)]
pub(super) struct KeyPair {
    /// The private key's file; the public one lies beside it with `.pub`.
    pub(super) file: PathBuf,
    /// `SHA256:...`, as `ssh-keygen -l` writes it.
    pub(super) fingerprint: String,
    /// The one line of the public key's file: `ssh-ed25519 AAAA...`.
    pub(super) public: String,
}

/// The kinds of key that servers and partners use.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Ed25519,
    /// 2048 bits: the least that current OpenSSH takes by default is 1024, partners use 2048 or more.
    Rsa,
}

impl KeyPair {
    /// Makes `folder/name` and `folder/name.pub`, replacing what is there.
    pub(super) fn make(folder: &Path, name: &str, kind: Kind) -> anyhow::Result<Self> {
        let file = folder.join(name);
        for old in [file.clone(), file.with_extension("pub")] {
            match std::fs::remove_file(&old) {
                Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
                    return Err(fault).with_context(|| format!("could not replace {}", old.display()));
                }
                _ => {}
            }
        }
        let kind: &[&str] = match kind {
            Kind::Ed25519 => &["-t", "ed25519"],
            Kind::Rsa => &["-t", "rsa", "-b", "2048"],
        };
        output_of(
            Command::new("ssh-keygen")
                .args(["-q", "-N", "", "-C", "outport-test"])
                .args(kind)
                .arg("-f")
                .arg(&file),
        )?;
        let public = file.with_extension("pub");
        // "256 SHA256:... comment (ED25519)"
        let listed = output_of(Command::new("ssh-keygen").args(["-l", "-E", "sha256", "-f"]).arg(&public))?;
        let fingerprint = listed.split_whitespace().nth(1).context("ssh-keygen -l printed no fingerprint")?;
        let public = std::fs::read_to_string(&public)
            .with_context(|| format!("could not read {}", public.display()))?
            .trim_end()
            .to_owned();
        Ok(Self { file, fingerprint: fingerprint.to_owned(), public })
    }
}
