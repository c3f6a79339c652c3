//! Which server to believe: pinned host keys, several at once and with dates so that keys can be rotated, and authorities
//! that sign host certificates. Pure: the time is an argument.

use outport_core::trust::FirstUse;
use outport_core::{Fault, Millis, code};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::{Fingerprint, HashAlg};

use super::algorithms::Family;
use super::host_certificate;
use crate::target::{HostAuthority, HostKeyPin, Target};

/// What one endpoint believes.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    pins: Vec<HostKeyPin>,
    authorities: Vec<HostAuthority>,
    host: String,
    first_use: FirstUse,
    sha1: bool,
}

/// What a server showed, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) fingerprint: Fingerprint,
    pub(super) algorithm: String,
    pub(super) family: Option<Family>,
    /// The authority that vouches for it.
    pub(super) authority: Option<Fingerprint>,
    /// Whether it came with a certificate.
    pub(super) certified: bool,
    /// `None`: it is believed.
    pub(super) doubt: Option<String>,
}

impl Trust {
    pub(super) fn of(target: &Target) -> Self {
        Self {
            pins: target.host_key_pins.clone(),
            authorities: target.host_authorities.clone(),
            host: target.host.clone(),
            first_use: target.first_use,
            sha1: target.algorithms.takes_sha1_signatures(),
        }
    }

    /// Whether certificates are asked for: only where somebody could vouch for one.
    pub(super) fn wants_certificates(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Whether a further kind of host key could be believed, when the one that was shown is not.
    pub(super) fn has_pins(&self) -> bool {
        !self.pins.is_empty()
    }

    /// Looks at what the server showed. Asked before any credential is sent.
    pub(super) fn judge(&self, shown: &PublicKeyOrCertificate, now: Millis) -> Seen {
        let fingerprint = shown.public_key().fingerprint(HashAlg::Sha256);
        let certificate = shown.certificate();
        let algorithm = match certificate {
            Some(certificate) => certificate.algorithm().to_certificate_type(),
            None => shown.public_key().algorithm().to_string(),
        };
        let certified = certificate.is_some();
        let family = Family::of(&shown.public_key().algorithm());
        let mut seen = Seen { fingerprint, algorithm, family, authority: None, certified, doubt: None };
        let mut dated =
            self.pins.iter().filter(|pin| pin.is_of(&fingerprint)).map(|pin| pin.validity.why_not(now));
        // A pinned key is believed with any certificate: the server has just proved that it holds the key.
        match dated.try_fold(None, |_, why| why.map(Some)) {
            None => return seen,
            Some(Some(why)) => seen.doubt = Some(format!("pinned {why}")),
            Some(None) => {}
        }
        match certificate {
            Some(certificate) => {
                match host_certificate::check(certificate, &self.authorities, &self.host, self.sha1, now) {
                    Ok(authority) => {
                        (seen.authority, seen.doubt) = (Some(authority.fingerprint()), None);
                    }
                    Err(why) => seen.doubt = Some(format!("with a certificate that {why}")),
                }
            }
            None => seen.doubt = seen.doubt.or_else(|| Some(String::new())),
        }
        seen
    }

    /// Why a server is not believed. `seen` has every host key that it showed.
    pub(super) fn refusal(&self, place: &str, seen: &[Seen], now: Millis) -> Fault {
        // With a certificate first and then without one, a server shows the same key twice.
        let mut fingerprints: Vec<String> = seen.iter().map(|seen| seen.fingerprint.to_string()).collect();
        fingerprints.dedup();
        let shown: Vec<String> = seen.iter().map(Seen::shown).collect();
        let shown = shown.join(", ");
        let fault = if !self.pins.is_empty() {
            let pinned: Vec<String> = self.pins.iter().map(|pin| pin.shown(now)).collect();
            let pinned = pinned.join(", ");
            let message = format!(
                "could not trust {place}: the server showed the host key {shown}, pinned is {pinned}"
            );
            Fault::new(&code::HOSTKEY_CHANGED, message)
        } else if self.wants_certificates() {
            let authorities: Vec<String> =
                self.authorities.iter().map(|a| a.fingerprint().to_string()).collect();
            let has_one = seen.iter().any(|seen| seen.certified);
            let none = if has_one { "" } else { " without a certificate" };
            let message = format!(
                "could not trust {place}: the server showed the host key {shown}{none}; accepted are certificates by {}",
                authorities.join(", ")
            );
            Fault::new(&code::HOSTKEY_CERTIFICATE, message)
        } else if self.first_use == FirstUse::Ask {
            let message = format!(
                "could not trust {place} yet: the server showed the host key {shown} for the first time"
            );
            Fault::new(&code::HOSTKEY_FIRST_USE, message)
        } else {
            let message =
                format!("could not trust {place}: no host key is pinned; the server showed {shown}");
            Fault::new(&code::HOSTKEY_UNPINNED, message)
        };
        let is_early_or_late =
            seen.iter().any(|seen| self.pins.iter().any(|pin| pin.is_of(&seen.fingerprint)));
        let fault = fault.with_seen_identity(fingerprints.join(" "));
        if is_early_or_late {
            return fault.with_hint(
                "the key is pinned, but not for today: correct its dates in host_keys once the partner has confirmed the change",
            );
        }
        fault
    }
}

impl Seen {
    fn shown(&self) -> String {
        let Self { fingerprint, algorithm, doubt, .. } = self;
        match doubt.as_deref() {
            None | Some("") => format!("{fingerprint} ({algorithm})"),
            Some(why) => format!("{fingerprint} ({algorithm}) {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use outport_core::trust::Validity;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::certificate::{Builder, CertType};
    use russh::keys::{Algorithm, PrivateKey};

    use super::*;

    const A: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";

    fn key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    fn plain(key: &PrivateKey) -> PublicKeyOrCertificate {
        key.public_key().clone().into()
    }

    fn pin(key: &PrivateKey) -> HostKeyPin {
        key.public_key().fingerprint(HashAlg::Sha256).into()
    }

    fn trust(pins: Vec<HostKeyPin>) -> Trust {
        let host = "sftp.acme.example".into();
        Trust { pins, authorities: vec![], host, first_use: FirstUse::Refuse, sha1: false }
    }

    #[test]
    fn any_of_several_pins_is_enough() {
        let (one, two) = (key(), key());
        let both = trust(vec![A.parse().unwrap(), pin(&one)]);
        assert_eq!(both.judge(&plain(&one), 0).doubt, None);
        assert!(both.judge(&plain(&two), 0).doubt.is_some());
        assert!(trust(vec![]).judge(&plain(&one), 0).doubt.is_some());
    }

    #[test]
    fn a_pin_counts_between_its_dates_only() {
        let key = key();
        let dated = |from, until| pin(&key).during(Validity { from, until });
        for (pins, now, doubt) in [
            (vec![dated(Some(10), None)], 10, None),
            (vec![dated(Some(10), None)], 9, Some("pinned from 1970-01-01T00:00:00.01Z, not yet valid")),
            (vec![dated(None, Some(20))], 20, Some("pinned until 1970-01-01T00:00:00.02Z, no longer valid")),
            (vec![dated(None, Some(20)), dated(Some(30), None)], 30, None),
            (vec![dated(None, Some(20)), pin(&key)], 25, None),
        ] {
            let trust = trust(pins);
            let seen = trust.judge(&plain(&key), now);
            assert_eq!(seen.doubt.as_deref(), doubt, "at {now}");
            if let Some(doubt) = doubt {
                let fault = trust.refusal("acme/sftp (h:22)", &[seen], now);
                assert_eq!(fault.code, &code::HOSTKEY_CHANGED);
                assert!(fault.message.contains(doubt), "{fault}");
                assert!(fault.hint().contains("dates"), "{}", fault.hint());
            }
        }
    }

    #[test]
    fn a_refusal_shows_both_fingerprints() {
        let key = key();
        let fingerprint = pin(&key).to_string();
        let refusal = |trust: &Trust| {
            let seen = trust.judge(&plain(&key), 0);
            trust.refusal("acme/sftp (h:22)", &[seen], 0)
        };
        let changed = refusal(&trust(vec![A.parse().unwrap()]));
        assert_eq!(changed.code, &code::HOSTKEY_CHANGED);
        assert_eq!(changed.seen_identity.as_deref(), Some(fingerprint.as_str()));
        assert!(changed.message.contains(A) && changed.message.contains(&fingerprint), "{changed}");
        let unpinned = refusal(&trust(vec![]));
        assert_eq!(unpinned.code, &code::HOSTKEY_UNPINNED);
        assert!(unpinned.message.contains(&fingerprint), "{unpinned}");
        let first = refusal(&Trust { first_use: FirstUse::Ask, ..trust(vec![]) });
        assert_eq!(first.code, &code::HOSTKEY_FIRST_USE);
        assert!(first.message.contains(&fingerprint), "{first}");
        assert_eq!(first.seen_identity.as_deref(), Some(fingerprint.as_str()));
    }

    #[test]
    fn a_certificate_needs_its_authority_or_a_pin_of_its_key() {
        let (ca, subject) = (key(), key());
        let data = subject.public_key().key_data().clone();
        let mut builder = Builder::new_with_random_nonce(&mut safe_rng(), data, 0, u64::MAX).unwrap();
        builder.cert_type(CertType::Host).unwrap().valid_principal("sftp.acme.example").unwrap();
        let shown: PublicKeyOrCertificate = builder.sign(&ca).unwrap().into();
        let authority = HostAuthority::new(&ca.public_key().to_openssh().unwrap(), vec![]).unwrap();
        let vouched = Trust { authorities: vec![authority.clone()], ..trust(vec![]) };
        let seen = vouched.judge(&shown, 0);
        assert_eq!((seen.doubt, seen.authority), (None, Some(authority.fingerprint())));
        assert_eq!(seen.algorithm, "ssh-ed25519-cert-v01@openssh.com");

        let seen = trust(vec![pin(&subject)]).judge(&shown, 0);
        assert_eq!((seen.doubt, seen.authority), (None, None));

        let other = HostAuthority::new(&key().public_key().to_openssh().unwrap(), vec![]).unwrap();
        let doubtful = Trust { authorities: vec![other.clone()], ..trust(vec![]) };
        let fault = doubtful.refusal("p", &[doubtful.judge(&shown, 0)], 0);
        assert_eq!(fault.code, &code::HOSTKEY_CERTIFICATE);
        assert!(fault.message.contains(&other.fingerprint().to_string()), "{fault}");
        let bare = doubtful.refusal("p", &[doubtful.judge(&plain(&subject), 0)], 0);
        assert!(bare.message.contains("without a certificate"), "{bare}");
    }
}
