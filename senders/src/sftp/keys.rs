//! Private keys from text.

use outport_core::{Fault, code};
use russh::keys::{Error as KeyError, PrivateKey, decode_secret_key};

use crate::secret::Secret;

/// Reads an OpenSSH, PKCS#1, PKCS#8, SEC1 or PuTTY key. Done before anything is sent to the server.
///
/// # Errors
/// `endpoint.secret_unusable`; the message never has anything of the key in it.
pub(super) fn parse(place: &str, pem: &Secret, passphrase: Option<&Secret>) -> Result<PrivateKey, Fault> {
    let refuse = |problem: &str, hint: Option<&str>| {
        let fault = Fault::new(
            &code::ENDPOINT_SECRET_UNUSABLE,
            format!("could not use the private key for {place}: {problem}"),
        );
        match hint {
            Some(hint) => fault.with_hint(hint),
            None => fault,
        }
    };
    let text = pem.expose().trim();
    if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
        return Err(refuse("it is a public key", Some("name the file without .pub")));
    }
    // Line ends of Windows and blanks round the text come with copying; the parser wants neither.
    let text = Secret::new(text.replace("\r\n", "\n"));
    let key = decode_secret_key(text.expose(), passphrase.map(Secret::expose)).map_err(|error| match (error, passphrase) {
        (KeyError::KeyIsEncrypted, None) => {
            refuse("it is encrypted and the endpoint has no passphrase", Some("give the endpoint's passphrase too; by hand: --passphrase-from"))
        }
        (_, Some(_)) => refuse("the passphrase is wrong or the format is not known", None),
        (_, None) => refuse(
            "it is not a key in a known format, or it is damaged",
            Some("OpenSSH, PKCS#1, PKCS#8 and PuTTY texts are read; `ssh-keygen -y -f FILE` shows whether a key file is sound"),
        ),
    })?;
    // An encrypted OpenSSH key can be parsed without its passphrase, but not used.
    if key.is_encrypted() {
        return Err(refuse(
            "it is encrypted and the endpoint has no passphrase",
            Some("give the endpoint's passphrase too; by hand: --passphrase-from"),
        ));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::{Algorithm, EcdsaCurve, encode_pkcs8_pem, encode_pkcs8_pem_encrypted, key::safe_rng};

    use super::*;

    fn key(algorithm: Algorithm) -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), algorithm).unwrap()
    }

    fn pkcs8(key: &PrivateKey) -> String {
        let mut text = Vec::new();
        encode_pkcs8_pem(key, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn every_kind_of_key_is_read_from_its_texts() {
        let ecdsa = |curve| key(Algorithm::Ecdsa { curve });
        // Making an RSA key takes an unoptimised build half a minute.
        let rsa = PrivateKey::from_openssh(include_str!("../../tests/keys/rsa")).unwrap();
        for key in [key(Algorithm::Ed25519), ecdsa(EcdsaCurve::NistP256), ecdsa(EcdsaCurve::NistP384), rsa] {
            let openssh = key.to_openssh(LineEnding::LF).unwrap();
            let windows = openssh.replace('\n', "\r\n");
            for text in [openssh.as_str(), &windows, &format!("\n  {}", openssh.as_str()), &pkcs8(&key)] {
                let read = parse("p", &Secret::new(text), None).unwrap();
                assert_eq!(read.public_key().key_data(), key.public_key().key_data());
            }
        }
    }

    /// Made by `ssh-keygen -m PEM` and `puttygen`; the passphrase is `right`.
    #[test]
    fn texts_of_other_programs_are_read() {
        let ed25519 = include_str!("../../tests/keys/ed25519.pub");
        let ecdsa = include_str!("../../tests/keys/ecdsa.pub");
        let rsa = include_str!("../../tests/keys/rsa.pub");
        for (name, text, is_encrypted, public) in [
            ("PPK 2", include_str!("../../tests/keys/ed25519-v2.ppk"), false, ed25519),
            ("PPK 3, encrypted", include_str!("../../tests/keys/ed25519-v3-encrypted.ppk"), true, ed25519),
            ("PPK 3", include_str!("../../tests/keys/ecdsa-v3.ppk"), false, ecdsa),
            ("PPK 2, encrypted", include_str!("../../tests/keys/rsa-v2-encrypted.ppk"), true, rsa),
            ("SEC1", include_str!("../../tests/keys/ecdsa-sec1.pem"), false, ecdsa),
            ("PKCS#1", include_str!("../../tests/keys/rsa-pkcs1.pem"), false, rsa),
            ("PKCS#1, encrypted", include_str!("../../tests/keys/rsa-pkcs1-encrypted.pem"), true, rsa),
        ] {
            let public = russh::keys::PublicKey::from_openssh(public.trim()).unwrap();
            let pem = Secret::new(text);
            let right = is_encrypted.then(|| Secret::new("right"));
            let read = parse("p", &pem, right.as_ref()).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(read.public_key().key_data(), public.key_data(), "{name}");
            if is_encrypted {
                for passphrase in [None, Some(Secret::new("wrong"))] {
                    let fault = parse("p", &pem, passphrase.as_ref()).unwrap_err();
                    assert_eq!(fault.code, &code::ENDPOINT_SECRET_UNUSABLE, "{name}");
                }
            }
        }
    }

    #[test]
    fn sec1_with_pem_encryption_is_refused_and_not_mistaken() {
        let text = Secret::new(include_str!("../../tests/keys/ecdsa-sec1-encrypted.pem"));
        for passphrase in [None, Some(Secret::new("right"))] {
            let fault = parse("p", &text, passphrase.as_ref()).unwrap_err();
            assert_eq!(fault.code, &code::ENDPOINT_SECRET_UNUSABLE);
        }
    }

    #[test]
    fn passphrases_are_needed_and_checked() {
        let key = key(Algorithm::Ed25519);
        let mut pkcs8 = Vec::new();
        encode_pkcs8_pem_encrypted(&key, b"right", 10, &mut pkcs8).unwrap();
        let openssh = key.encrypt(&mut safe_rng(), "right").unwrap().to_openssh(LineEnding::LF).unwrap();
        for text in [String::from_utf8(pkcs8).unwrap(), openssh.to_string()] {
            let pem = Secret::new(text);
            let read = parse("p", &pem, Some(&Secret::new("right"))).unwrap();
            assert_eq!(read.public_key().key_data(), key.public_key().key_data());
            for passphrase in [Some(Secret::new("wrong")), None] {
                let fault = parse("acme/sftp (h:22)", &pem, passphrase.as_ref()).unwrap_err();
                assert_eq!(fault.code, &code::ENDPOINT_SECRET_UNUSABLE);
                assert!(
                    !fault.report().contains("wrong\"") && fault.message.contains("acme/sftp"),
                    "{fault}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        for text in [
            "",
            "SECRET-SECRET",
            "ssh-ed25519 AAAASECRET me",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET\n-----END OPENSSH PRIVATE KEY-----\n",
        ] {
            let fault = parse("p", &Secret::new(text), None).unwrap_err();
            assert_eq!(fault.code, &code::ENDPOINT_SECRET_UNUSABLE);
            assert!(!fault.report().contains("SECRET"), "{}", fault.report());
        }
    }
}
