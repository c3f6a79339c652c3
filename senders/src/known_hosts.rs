//! `known_hosts` files (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT") as an import: what they say of one host, to be pinned by a
//! person. Never a policy of its own. Pure.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::PublicKey;
use russh::keys::ssh_key::{Fingerprint, HashAlg};
use sha1::Sha1;

use crate::wildcard;

/// What a file says of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownHost {
    /// Host keys that may be pinned: fingerprint, algorithm and line.
    pub keys: Vec<(Fingerprint, String, usize)>,
    /// Authorities for host certificates: the public key as a text, and its line.
    pub authorities: Vec<(String, usize)>,
    /// Keys that must not be believed any more, and their lines.
    pub revoked: Vec<(Fingerprint, usize)>,
    /// Lines that are for this host, or cannot be told not to be, and cannot be read: number and why.
    pub unreadable: Vec<(usize, String)>,
}

/// Reads what `text` says of `host` and `port`. A revoked key is in `revoked` alone, also when another line has it as good.
///
/// ```
/// use outport_send::known_hosts::read;
/// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
/// let found = read(&format!("[sftp.acme.example]:2222 {key}\n"), "sftp.acme.example", 2222);
/// assert_eq!(found.keys.len(), 1);
/// assert!(read(&format!("[sftp.acme.example]:2222 {key}\n"), "sftp.acme.example", 22).keys.is_empty());
/// ```
pub fn read(text: &str, host: &str, port: u16) -> KnownHost {
    let name = host_name(host, port);
    let mut found = KnownHost::default();
    for (line, number) in text.lines().zip(1..) {
        if let Some(Err(why)) = line_of(line, &name, number, &mut found) {
            found.unreadable.push((number, why));
        }
    }
    let revoked: Vec<Fingerprint> = found.revoked.iter().map(|(fingerprint, _)| *fingerprint).collect();
    found.keys.retain(|(fingerprint, ..)| !revoked.contains(fingerprint));
    found
        .authorities
        .retain(|(key, _)| fingerprint(key).is_none_or(|fingerprint| !revoked.contains(&fingerprint)));
    found
}

/// As `ssh` looks it up: lower case, with the port only where it is not 22.
fn host_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn fingerprint(key: &str) -> Option<Fingerprint> {
    PublicKey::from_openssh(key).ok().map(|key| key.fingerprint(HashAlg::Sha256))
}

/// `None`: a comment, or not of this host.
fn line_of(line: &str, name: &str, number: usize, found: &mut KnownHost) -> Option<Result<(), String>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    // Fields are separated by blanks or tabs.
    let mut fields = line.split_whitespace();
    let first = fields.next()?;
    let (marker, hosts) = match first.starts_with('@') {
        true => (Some(first), fields.next()),
        false => (None, Some(first)),
    };
    let Some(hosts) = hosts else { return Some(Err("it ends after its marker".into())) };
    match is_for(hosts, name) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(why) => return Some(Err(why)),
    }
    let (Some(algorithm), Some(data)) = (fields.next(), fields.next()) else {
        return Some(Err("it has no key".into()));
    };
    let text = format!("{algorithm} {data}");
    let Ok(key) = PublicKey::from_openssh(&text) else {
        return Some(Err(format!(
            "its key ({}) cannot be read",
            algorithm.chars().take(60).collect::<String>()
        )));
    };
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    match marker {
        None => found.keys.push((fingerprint, key.algorithm().to_string(), number)),
        Some("@cert-authority") => found.authorities.push((text, number)),
        Some("@revoked") => found.revoked.push((fingerprint, number)),
        Some(other) => {
            return Some(Err(format!(
                "its marker {:?} means nothing",
                other.chars().take(40).collect::<String>()
            )));
        }
    }
    Some(Ok(()))
}

/// A list of patterns: one must match, and no negated one may.
fn is_for(hosts: &str, name: &str) -> Result<bool, String> {
    if let Some(hashed) = hosts.strip_prefix("|1|") {
        return is_hash_of(hashed, name).ok_or_else(|| "its hashed name cannot be read".into());
    }
    let mut is_named = false;
    for pattern in hosts.split(',') {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('!') {
            Some(not) if wildcard::matches(not, name) => return Ok(false),
            Some(_) => {}
            None => is_named |= wildcard::matches(&pattern, name),
        }
    }
    Ok(is_named)
}

/// `SALT|HASH`, both in base64: HMAC-SHA1 of the name with the salt as its key.
fn is_hash_of(hashed: &str, name: &str) -> Option<bool> {
    use base64ct::{Base64, Encoding};
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (Base64::decode_vec(salt).ok()?, Base64::decode_vec(hash).ok()?);
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.verify_slice(&hash).is_ok())
}

#[cfg(test)]
mod tests {
    use russh::keys::key::safe_rng;
    use russh::keys::{Algorithm, PrivateKey};

    use super::*;

    fn key() -> String {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap().public_key().to_openssh().unwrap()
    }

    fn has(text: &str, host: &str, port: u16) -> bool {
        let found = read(text, host, port);
        assert_eq!(found.unreadable, [], "{text}");
        !found.keys.is_empty()
    }

    #[test]
    fn names_ports_wildcards_and_negations() {
        let key = key();
        for (hosts, host, port, is_for) in [
            ("sftp.acme.example", "sftp.acme.example", 22, true),
            ("sftp.acme.example", "SFTP.ACME.example", 22, true),
            ("sftp.acme.example", "sftp.acme.example", 2222, false),
            ("[sftp.acme.example]:2222", "sftp.acme.example", 2222, true),
            ("[sftp.acme.example]:2222", "sftp.acme.example", 22, false),
            ("a,sftp.acme.example,10.0.0.7", "10.0.0.7", 22, true),
            ("*.acme.example", "sftp.acme.example", 22, true),
            ("*.acme.example,!old.acme.example", "old.acme.example", 22, false),
            ("!old.acme.example,*.acme.example", "new.acme.example", 22, true),
            ("10.0.0.?", "10.0.0.7", 22, true),
            ("::1", "::1", 22, true),
            ("[::1]:2222", "::1", 2222, true),
            ("*", "anything", 22, true),
        ] {
            assert_eq!(has(&format!("{hosts} {key} comment\n"), host, port), is_for, "{hosts} {host}:{port}");
            assert_eq!(has(&format!("  {hosts}\t{key}\r\n"), host, port), is_for, "tabs: {hosts}");
        }
    }

    /// Lines as `ssh-keygen -H` made them of `example.org` and `[example.org]:2222`.
    #[test]
    fn hashed_names_are_understood() {
        use base64ct::{Base64, Encoding};
        let key = key();
        for (name, port) in [("example.org", 22), ("[example.org]:2222", 2222)] {
            let salt = [7_u8; 20];
            let mut mac = Hmac::<Sha1>::new_from_slice(&salt).unwrap();
            mac.update(name.as_bytes());
            let hash = Base64::encode_string(&mac.finalize().into_bytes());
            let line = format!("|1|{}|{hash} {key}", Base64::encode_string(&salt));
            assert!(has(&line, "Example.org", port), "{name}");
            assert!(!has(&line, "example.com", port) && !has(&line, "example.org", port + 1), "{name}");
        }
        assert_eq!(read(&format!("|1|!|! {key}"), "h", 22).unreadable.len(), 1);
    }

    #[test]
    fn authorities_and_revoked_keys_are_told_apart() {
        let (good, bad, ca) = (key(), key(), key());
        let text = format!(
            "# a comment\n\nh {good}\nh {bad}\n@revoked * {bad}\n@cert-authority *.acme.example,h {ca} us\n@odd h {good}\nh ssh-ed25519 nonsense\nh\nother nonsense\n"
        );
        let found = read(&text, "h", 22);
        assert_eq!(found.keys, [(fingerprint(&good).unwrap(), "ssh-ed25519".to_owned(), 3)]);
        assert_eq!(found.authorities, [(ca, 6)]);
        assert_eq!(found.revoked, [(fingerprint(&bad).unwrap(), 5)]);
        assert_eq!(found.unreadable.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(read(&text, "nobody", 22).keys, []);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            drop(read(&text, "h", 22));
        }
    }
}
