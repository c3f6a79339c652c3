//! Which server to believe: pinned host key fingerprints, several at once so that keys can be rotated.

use outport_core::{Fault, code};
use russh::keys::ssh_key::Fingerprint;

use crate::target::HostKeyPin;

/// Whether the server's key is one of the pinned ones. Asked before any credential is sent.
pub(super) fn is_pinned(pins: &[HostKeyPin], seen: &Fingerprint) -> bool {
    pins.iter().any(|pin| pin.accepts(seen))
}

/// Why a server is not believed. `seen` has the fingerprint of every host key that it showed.
pub(super) fn refusal(place: &str, pins: &[HostKeyPin], seen: &[(Fingerprint, String)]) -> Fault {
    let fingerprints: Vec<String> = seen.iter().map(|(fingerprint, _)| fingerprint.to_string()).collect();
    let fingerprints = fingerprints.join(" ");
    let seen: Vec<String> =
        seen.iter().map(|(fingerprint, algorithm)| format!("{fingerprint} ({algorithm})")).collect();
    let seen = seen.join(", ");
    if pins.is_empty() {
        let message = format!("could not trust {place}: no host key is pinned; the server showed {seen}");
        return Fault::new(&code::HOSTKEY_UNPINNED, message).with_seen_identity(fingerprints);
    }
    let pinned: Vec<String> = pins.iter().map(ToString::to_string).collect();
    let pinned = pinned.join(", ");
    Fault::new(
        &code::HOSTKEY_CHANGED,
        format!("could not trust {place}: the server showed the host key {seen}, pinned is {pinned}"),
    )
    .with_seen_identity(fingerprints)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    const B: &str = "SHA256:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0";

    #[test]
    fn any_of_several_pins_is_enough() {
        let (a, b): (HostKeyPin, HostKeyPin) = (A.parse().unwrap(), B.parse().unwrap());
        let seen: Fingerprint = B.parse().unwrap();
        assert!(is_pinned(&[a, b], &seen));
        assert!(!is_pinned(&[a], &seen));
        assert!(!is_pinned(&[], &seen));
    }

    #[test]
    fn a_refusal_shows_both_fingerprints() {
        let seen = [(B.parse().unwrap(), "ssh-ed25519".to_owned())];
        let changed = refusal("acme/sftp (h:22)", &[A.parse().unwrap()], &seen);
        assert_eq!(changed.code, &code::HOSTKEY_CHANGED);
        assert_eq!(changed.seen_identity.as_deref(), Some(B));
        assert!(changed.message.contains(A) && changed.message.contains(B), "{changed}");
        let unpinned = refusal("acme/sftp (h:22)", &[], &seen);
        assert_eq!(unpinned.code, &code::HOSTKEY_UNPINNED);
        assert!(unpinned.message.contains(B), "{unpinned}");
    }
}
