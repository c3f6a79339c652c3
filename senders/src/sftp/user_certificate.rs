//! OpenSSH user certificates: read, checked before anything is sent, and signed with.

use outport_core::{Fault, Millis, code};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::{Certificate, HashAlg, Signature};
use russh::keys::{Algorithm, PrivateKey};
use russh::{SendError, Signer};

use super::host_certificate::validity;

/// Reads the certificate of a key, and looks whether a server could take it.
///
/// # Errors
/// `endpoint.secret_unusable`: it is none, belongs to another key, is one for hosts, or is not valid now.
pub(super) fn read(place: &str, text: &str, key: &PrivateKey, now: Millis) -> Result<Certificate, Fault> {
    let refuse = |problem: String, hint: &str| {
        let message = format!("could not use the certificate for {place}: {problem}");
        Fault::new(&code::ENDPOINT_SECRET_UNUSABLE, message).with_hint(hint.to_owned())
    };
    let line = text.trim();
    let Ok(certificate) = Certificate::from_openssh(line) else {
        let problem = match line.starts_with("-----BEGIN") {
            true => "it is a private key",
            false => "it is not an OpenSSH certificate, or it is damaged",
        };
        return Err(refuse(
            problem.into(),
            "name the file that `ssh-keygen -s` made, *-cert.pub; `ssh-keygen -L -f FILE` shows it",
        ));
    };
    if !certificate.cert_type().is_user() {
        return Err(refuse(
            "it is one for hosts".into(),
            "ask for a user certificate (`ssh-keygen -s` without -h)",
        ));
    }
    if certificate.public_key() != key.public_key().key_data() {
        let fingerprint = certificate.public_key().fingerprint(HashAlg::Sha256);
        let problem = format!("it belongs to the key {fingerprint}");
        return Err(refuse(
            problem,
            "key and certificate must be of one pair; name the certificate of this key",
        ));
    }
    match validity(&certificate).why_not(now) {
        Some(why) => Err(refuse(
            format!("it is valid {why}"),
            "ask for a new certificate and replace the file; it is noticed within 30 s",
        )),
        None => Ok(certificate),
    }
}

/// Signs with the key of a certificate. The library's own way signs with SHA-1 for RSA, which today's servers refuse.
pub(super) struct CertificateSigner<'a>(pub(super) &'a PrivateKey);

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// The connection is gone.
    #[error("the connection ended")]
    Gone,
    /// The key cannot sign.
    #[error("the key cannot sign")]
    Key,
}

impl From<SendError> for SignError {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl Signer for CertificateSigner<'_> {
    type Error = SignError;

    /// RFC 4252 section 7: the request with the signature behind it, as an SSH string.
    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignError> {
        let signature = sign(self.0, hash, &to_sign).ok_or(SignError::Key)?;
        let length = u32::try_from(signature.len()).map_err(|_| SignError::Key)?;
        to_sign.extend(length.to_be_bytes());
        to_sign.extend(signature);
        Ok(to_sign)
    }
}

fn sign(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> Option<Vec<u8>> {
    let signature: Signature = match key.key_data() {
        // RFC 8332: never SHA-1.
        KeypairData::Rsa(pair) => (pair, Some(hash.unwrap_or(HashAlg::Sha512))).try_sign(data).ok()?,
        pair => pair.try_sign(data).ok()?,
    };
    debug_assert!(signature.algorithm() != (Algorithm::Rsa { hash: None }));
    Vec::try_from(signature).ok()
}

#[cfg(test)]
mod tests {
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::certificate::{Builder, CertType};

    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    fn certificate(of: &PrivateKey, kind: CertType) -> String {
        let data = of.public_key().key_data().clone();
        let mut builder = Builder::new_with_random_nonce(&mut safe_rng(), data, 1000, 2000).unwrap();
        builder.cert_type(kind).unwrap().valid_principal("mft").unwrap();
        builder.sign(&key()).unwrap().to_openssh().unwrap()
    }

    #[test]
    fn a_certificate_is_checked_before_it_is_used() {
        let mine = key();
        let good = certificate(&mine, CertType::User);
        assert!(read("p", &format!("{good}\n"), &mine, 1_500_000).is_ok());
        for (text, now, problem) in [
            (good.clone(), 999_999, "from 1970-01-01T00:16:40Z, not yet valid"),
            (good.clone(), 2_000_000, "until 1970-01-01T00:33:20Z, no longer valid"),
            (certificate(&key(), CertType::User), 1_500_000, "it belongs to the key SHA256:"),
            (certificate(&mine, CertType::Host), 1_500_000, "for hosts"),
            (mine.public_key().to_openssh().unwrap(), 1_500_000, "not an OpenSSH certificate"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET".into(), 1_500_000, "a private key"),
            (String::new(), 1_500_000, "not an OpenSSH certificate"),
        ] {
            let fault = read("acme/sftp (h:22)", &text, &mine, now).unwrap_err();
            assert_eq!(fault.code, &code::ENDPOINT_SECRET_UNUSABLE);
            assert!(fault.message.contains(problem) && !fault.report().contains("SECRET"), "{fault}");
        }
    }

    #[test]
    fn rsa_signs_with_sha2_whatever_is_asked_for() {
        let rsa = PrivateKey::from_openssh(include_str!("../../tests/keys/rsa")).unwrap();
        for (hash, name) in [
            (None, &b"rsa-sha2-512"[..]),
            (Some(HashAlg::Sha512), b"rsa-sha2-512"),
            (Some(HashAlg::Sha256), b"rsa-sha2-256"),
        ] {
            assert_eq!(&sign(&rsa, hash, b"data").unwrap()[4..16], name);
        }
    }
}
