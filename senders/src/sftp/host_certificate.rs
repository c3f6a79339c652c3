//! Whether a host certificate is to be believed (OpenSSH PROTOCOL.certkeys). Pure: the library has checked that the server
//! holds the certificate's key; who signed it, for whom and until when is ours.

use outport_core::Millis;
use outport_core::trust::Validity;
use russh::keys::Algorithm;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Certificate, HashAlg};

use crate::target::HostAuthority;

/// The authority that vouches for the certificate.
///
/// # Errors
/// Why it is not believed, in words that go on after "a certificate that".
pub(super) fn check<'a>(
    certificate: &Certificate,
    authorities: &'a [HostAuthority],
    host: &str,
    sha1: bool,
    now: Millis,
) -> Result<&'a HostAuthority, String> {
    let signer = certificate.signature_key();
    let Some(authority) = authorities.iter().find(|authority| authority.is(signer)) else {
        return Err(format!(
            "is signed by {}, none of the endpoint's host_cas",
            signer.fingerprint(HashAlg::Sha256)
        ));
    };
    if !certificate.cert_type().is_host() {
        return Err("is one for users, not for hosts".into());
    }
    if certificate.signature().algorithm() == (Algorithm::Rsa { hash: None }) && !sha1 {
        return Err("is signed with SHA-1".into());
    }
    certificate.verify_signature().map_err(|_| "has a signature that is wrong".to_owned())?;
    if let Some(why) = validity(certificate).why_not(now) {
        return Err(format!("is valid {why}"));
    }
    if let Some(option) = certificate.critical_options().keys().next() {
        return Err(format!("has the critical option {option:?}, which nobody knows"));
    }
    let names = certificate.valid_principals();
    let wanted = authority.principals_for(host);
    if wanted.iter().any(|wanted| names.iter().any(|name| matches(name, wanted))) {
        return Ok(authority);
    }
    // PROTOCOL.certkeys lets no name mean every name. For a host that is no proof of who it is.
    let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    Err(format!("is for {names}, not for {}", wanted.join(" or ")))
}

/// Its dates; an end at the largest number means never.
pub(super) fn validity(certificate: &Certificate) -> Validity {
    let millis = |seconds: u64| i64::try_from(seconds).ok()?.checked_mul(1000);
    let from =
        (certificate.valid_after() > 0).then(|| millis(certificate.valid_after()).unwrap_or(Millis::MAX));
    Validity { from, until: millis(certificate.valid_before()) }
}

/// OpenSSH lets a host certificate's names have `*` and `?`. Case means nothing in host names.
fn matches(pattern: &str, name: &str) -> bool {
    crate::wildcard::matches(&pattern.to_ascii_lowercase(), &name.to_ascii_lowercase())
}

impl HostAuthority {
    fn is(&self, key: &KeyData) -> bool {
        self.key() == key
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::certificate::{Builder, CertType};

    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    fn authority(ca: &PrivateKey, principals: &[&str]) -> HostAuthority {
        let text = ca.public_key().to_openssh().unwrap();
        HostAuthority::new(&text, principals.iter().map(ToString::to_string).collect()).unwrap()
    }

    /// Valid from second 1,000 to second 2,000.
    fn certificate(ca: &PrivateKey, kind: CertType, change: impl FnOnce(&mut Builder)) -> Certificate {
        let subject = key();
        let mut builder = Builder::new_with_random_nonce(
            &mut safe_rng(),
            subject.public_key().key_data().clone(),
            1000,
            2000,
        )
        .unwrap();
        builder.cert_type(kind).unwrap().key_id("test").unwrap();
        change(&mut builder);
        builder.sign(ca).unwrap()
    }

    fn for_host(ca: &PrivateKey, name: &str) -> Certificate {
        certificate(ca, CertType::Host, |builder| {
            builder.valid_principal(name).unwrap();
        })
    }

    const NOW: Millis = 1_500_000;

    #[test]
    fn a_certificate_of_the_authority_for_the_host_is_believed() {
        let ca = key();
        for (principals, name, host) in [
            (&[][..], "sftp.acme.example", "SFTP.acme.example"),
            (&[], "*.acme.example", "sftp.acme.example"),
            (&["gateway"], "gateway", "10.0.0.7"),
            (&["other", "gateway"], "GATEWAY", "10.0.0.7"),
            (&[], "::1", "::1"),
        ] {
            let authorities = [authority(&key(), &[]), authority(&ca, principals)];
            let found = check(&for_host(&ca, name), &authorities, host, false, NOW).unwrap();
            assert_eq!(found.fingerprint(), authorities[1].fingerprint());
        }
    }

    #[test]
    fn what_is_not_believed_says_why() {
        let ca = key();
        let good = [authority(&ca, &[])];
        let host = "sftp.acme.example";
        let refused = |certificate: &Certificate, authorities: &[HostAuthority], now| {
            check(certificate, authorities, host, false, now).unwrap_err()
        };
        let for_us = for_host(&ca, host);
        assert!(refused(&for_us, &[authority(&key(), &[])], NOW).contains("none of the endpoint's host_cas"));
        assert!(refused(&for_us, &[], NOW).contains("none of"));
        assert!(refused(&for_us, &good, 999_999).contains("not yet valid"));
        assert!(refused(&for_us, &good, 2_000_000).contains("no longer valid"));
        let other = refused(&for_host(&ca, "sftp.other.example"), &good, NOW);
        assert_eq!(other, "is for sftp.other.example, not for sftp.acme.example");
        assert!(refused(&for_us, &[authority(&ca, &["gateway"])], NOW).ends_with("not for gateway"));
        let anybody = certificate(&ca, CertType::Host, |builder| {
            builder.all_principals_valid().unwrap();
        });
        assert!(refused(&anybody, &good, NOW).contains("is for nobody"));
        let user = certificate(&ca, CertType::User, |builder| {
            builder.valid_principal(host).unwrap();
        });
        assert!(refused(&user, &good, NOW).contains("for users"));
        let option = certificate(&ca, CertType::Host, |builder| {
            builder.valid_principal(host).unwrap().critical_option("force-command", "x").unwrap();
        });
        assert!(refused(&option, &good, NOW).contains("force-command"));
    }

    #[test]
    fn a_forged_certificate_is_not_believed() {
        let ca = key();
        let mut bytes = for_host(&ca, "sftp.acme.example").to_bytes().unwrap();
        let at = bytes.windows(4).position(|four| four == b"acme").unwrap();
        bytes[at] = b'b';
        let forged = Certificate::from_bytes(&bytes).unwrap();
        let refused = check(&forged, &[authority(&ca, &[])], "sftp.bcme.example", false, NOW).unwrap_err();
        assert!(refused.contains("signature that is wrong"), "{refused}");
    }
}
