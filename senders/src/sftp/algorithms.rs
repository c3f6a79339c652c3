//! Which algorithms are offered to a server, by profile. Pure.
//!
//! The names are those of the IANA registry "SSH Protocol Parameters" and of OpenSSH. What the SSH library cannot do is in no
//! profile and refused in a custom list: hmac-md5, the `-96` MACs, umac, sntrup761, arcfour, blowfish.

use std::borrow::Cow;
use std::collections::BTreeSet;

use outport_core::ssh::{Profile, SshSettings};
use russh::client::GexParams;
use russh::keys::Algorithm;
use russh::keys::ssh_key::{EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, kex, mac};

/// The lists of one endpoint, ready to offer.
///
/// ```
/// use outport_core::ssh::SshSettings;
/// use outport_send::sftp::Algorithms;
/// let mut settings = SshSettings::default();
/// assert!(Algorithms::new(&settings).is_ok());
/// settings.macs = vec!["hmac-sha2-265".into()];
/// let refused = Algorithms::new(&settings).unwrap_err();
/// assert!(refused.known.iter().any(|name| name == "hmac-sha2-256"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Algorithms {
    profile: Profile,
    kex: Vec<kex::Name>,
    ciphers: Vec<cipher::Name>,
    macs: Vec<mac::Name>,
    host_keys: Vec<Algorithm>,
}

/// A name in a list that is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ssh.{list} has {name:?}, which is not available")]
pub struct UnknownAlgorithm {
    /// `kex`, `ciphers`, `macs` or `host_key_algorithms`.
    pub list: &'static str,
    /// The name.
    pub name: String,
    /// What there is.
    pub known: Vec<String>,
}

/// Strongest first; the finite-field groups are slow, the NIST curves are what FIPS servers are limited to.
const MODERN_KEX: [kex::Name; 12] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G18_SHA512,
    kex::DH_G17_SHA512,
    kex::DH_G16_SHA512,
    kex::DH_G15_SHA512,
    kex::DH_G14_SHA256,
];
const OLD_KEX: [kex::Name; 3] = [kex::DH_GEX_SHA1, kex::DH_G14_SHA1, kex::DH_G1_SHA1];
/// No key exchanges: RFC 8308 (which signatures the server takes) and the answer to CVE-2023-48795 (Terrapin).
const MARKERS: [kex::Name; 2] =
    [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];
const GCM: [cipher::Name; 2] = [cipher::AES_128_GCM, cipher::AES_256_GCM];
const CTR: [cipher::Name; 3] = [cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];
const OLD_CIPHERS: [cipher::Name; 4] =
    [cipher::AES_256_CBC, cipher::AES_192_CBC, cipher::AES_128_CBC, cipher::TRIPLE_DES_CBC];
const MODERN_MACS: [mac::Name; 4] =
    [mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];
const OLD_MACS: [mac::Name; 2] = [mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];
/// By name, because that is what a list has.
const MODERN_HOST_KEYS: [(&str, Algorithm); 6] = [
    ("ssh-ed25519", Algorithm::Ed25519),
    ("ecdsa-sha2-nistp256", Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }),
    ("ecdsa-sha2-nistp384", Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }),
    ("ecdsa-sha2-nistp521", Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }),
    ("rsa-sha2-512", Algorithm::Rsa { hash: Some(HashAlg::Sha512) }),
    ("rsa-sha2-256", Algorithm::Rsa { hash: Some(HashAlg::Sha256) }),
];
const OLD_HOST_KEY: (&str, Algorithm) = ("ssh-rsa", Algorithm::Rsa { hash: None });

impl Algorithms {
    /// The lists of a profile.
    ///
    /// # Errors
    /// A name in a custom list that is none of ours.
    pub fn new(settings: &SshSettings) -> Result<Self, UnknownAlgorithm> {
        let mut offered = Self::of(settings.profile, has_aes());
        if !settings.kex.is_empty() {
            let known = named(MODERN_KEX.into_iter().chain(OLD_KEX));
            offered.kex = chosen("kex", &settings.kex, known)?;
        }
        if !settings.ciphers.is_empty() {
            let all = GCM.into_iter().chain(CTR).chain([cipher::CHACHA20_POLY1305]).chain(OLD_CIPHERS);
            offered.ciphers = chosen("ciphers", &settings.ciphers, named(all))?;
        }
        if !settings.macs.is_empty() {
            let known = named(MODERN_MACS.into_iter().chain(OLD_MACS));
            offered.macs = chosen("macs", &settings.macs, known)?;
        }
        if !settings.host_key_algorithms.is_empty() {
            let all = MODERN_HOST_KEYS.into_iter().chain([OLD_HOST_KEY]);
            let known = all.map(|(name, algorithm)| (name.to_owned(), algorithm)).collect();
            offered.host_keys = chosen("host_key_algorithms", &settings.host_key_algorithms, known)?;
        }
        Ok(offered)
    }

    /// Measured: with AES in the CPU, aes-gcm costs 0.57 of the CPU time of chacha20; without, several times as much.
    fn of(profile: Profile, has_aes: bool) -> Self {
        let chacha = [cipher::CHACHA20_POLY1305];
        let mut ciphers =
            if has_aes { [&GCM[..], &chacha, &CTR].concat() } else { [&chacha[..], &GCM, &CTR].concat() };
        let (mut kex, mut macs) = (MODERN_KEX.to_vec(), MODERN_MACS.to_vec());
        let mut host_keys: Vec<Algorithm> = MODERN_HOST_KEYS.into_iter().map(|(_, key)| key).collect();
        if profile == Profile::Compat {
            kex.extend(OLD_KEX);
            ciphers.extend(OLD_CIPHERS);
            macs.extend(OLD_MACS);
            host_keys.push(OLD_HOST_KEY.1);
        }
        Self { profile, kex, ciphers, macs, host_keys }
    }

    /// The profile that the lists came from.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether a signature with this hash is good enough: RSA with SHA-1 only where `ssh-rsa` is offered.
    pub(super) fn takes_sha1_signatures(&self) -> bool {
        self.host_keys.contains(&OLD_HOST_KEY.1)
    }

    /// For the library: without the kinds of host key that were seen and are not pinned; with host certificates when an
    /// authority is named.
    pub(super) fn preferred(&self, without: &BTreeSet<Family>, certificates: bool) -> Preferred {
        let wanted = |key: &&Algorithm| Family::of(key).is_some_and(|family| !without.contains(&family));
        let host_keys: Vec<Algorithm> = self.host_keys.iter().filter(wanted).cloned().collect();
        Preferred {
            kex: Cow::Owned([&self.kex[..], &MARKERS].concat()),
            cipher: Cow::Owned(self.ciphers.clone()),
            mac: Cow::Owned(self.macs.clone()),
            host_key_certificates: if certificates {
                Cow::Owned(self.host_keys.clone())
            } else {
                Cow::Borrowed(&[])
            },
            key: Cow::Owned(host_keys),
            compression: Cow::Borrowed(&[russh::compression::NONE]),
        }
    }

    /// Sizes of the group in diffie-hellman-group-exchange, in bits. Old servers have groups of 2048 at most; the library
    /// allows none smaller, and asks for 3072 and more unless told.
    pub(super) fn groups(&self) -> GexParams {
        let is_old = self.profile == Profile::Compat || self.kex.contains(&kex::DH_GEX_SHA1);
        if is_old { GexParams::new(2048, 3072, 8192).unwrap_or_default() } else { GexParams::default() }
    }
}

impl Default for Algorithms {
    fn default() -> Self {
        Self::of(Profile::Modern, has_aes())
    }
}

/// With their names, which only the library's types know.
fn named<T: AsRef<str>>(algorithms: impl Iterator<Item = T>) -> Vec<(String, T)> {
    algorithms.map(|algorithm| (algorithm.as_ref().to_owned(), algorithm)).collect()
}

fn chosen<T: Clone>(
    list: &'static str,
    names: &[String],
    known: Vec<(String, T)>,
) -> Result<Vec<T>, UnknownAlgorithm> {
    let unknown = |name: &String| UnknownAlgorithm {
        list,
        name: name.chars().take(80).collect(),
        known: known.iter().map(|(name, _)| name.clone()).collect(),
    };
    let find = |name: &String| known.iter().find(|(known, _)| known == name).map(|(_, found)| found.clone());
    names.iter().map(|name| find(name).ok_or_else(|| unknown(name))).collect()
}

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
fn has_aes() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes() -> bool {
    std::arch::is_aarch64_feature_detected!("aes") && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "aarch64")))]
fn has_aes() -> bool {
    false
}

/// Kinds of host key. A server has at most one of each and shows the kind that the client prefers, so a pinned RSA key is
/// only seen when the others are not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Ed25519,
    Ecdsa,
    Rsa,
}

impl Family {
    /// How many there are.
    pub(super) const COUNT: usize = 3;

    pub(super) fn of(algorithm: &Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Ed25519 => Some(Self::Ed25519),
            Algorithm::Ecdsa { .. } => Some(Self::Ecdsa),
            Algorithm::Rsa { .. } => Some(Self::Rsa),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(algorithms: &Algorithms) -> Vec<String> {
        let preferred = algorithms.preferred(&BTreeSet::new(), false);
        let own = |name: &dyn AsRef<str>| name.as_ref().to_owned();
        let kex = preferred.kex.iter().map(|name| own(name));
        let ciphers = preferred.cipher.iter().map(|name| own(name));
        let macs = preferred.mac.iter().map(|name| own(name));
        kex.chain(ciphers).chain(macs).chain(preferred.key.iter().map(ToString::to_string)).collect()
    }

    #[test]
    fn modern_has_nothing_old_and_compat_has_it_at_the_end() {
        let is_old = |name: &str| {
            name.ends_with("sha1") || name.contains("-cbc") || name.contains("hmac-sha1") || name == "ssh-rsa"
        };
        let modern = Algorithms::of(Profile::Modern, true);
        assert_eq!(names(&modern).iter().filter(|name| is_old(name)).count(), 0);
        let compat = Algorithms::of(Profile::Compat, true);
        assert_eq!(names(&compat).iter().filter(|name| is_old(name)).count(), 10, "{:?}", names(&compat));
        assert!(compat.kex.starts_with(&modern.kex) && compat.ciphers.starts_with(&modern.ciphers));
        assert!(compat.macs.starts_with(&modern.macs) && compat.host_keys.starts_with(&modern.host_keys));
        assert!(compat.takes_sha1_signatures() && !modern.takes_sha1_signatures());
        assert_eq!((compat.groups().min_group_size(), modern.groups().min_group_size()), (2048, 3072));
    }

    #[test]
    fn every_name_that_is_offered_is_one_that_the_library_has() {
        let compat = Algorithms::of(Profile::Compat, true);
        for name in compat.kex.iter().filter(|name| !MARKERS.contains(name)) {
            assert_eq!(kex::Name::try_from(name.as_ref()), Ok(*name));
        }
        assert!(compat.ciphers.iter().all(|name| cipher::Name::try_from(name.as_ref()) == Ok(*name)));
        assert!(compat.macs.iter().all(|name| mac::Name::try_from(name.as_ref()) == Ok(*name)));
        for (name, algorithm) in MODERN_HOST_KEYS.into_iter().chain([OLD_HOST_KEY]) {
            assert_eq!(algorithm.to_string(), name);
        }
    }

    #[test]
    fn aes_comes_first_only_where_the_cpu_has_it() {
        let first = |has_aes| Algorithms::of(Profile::Modern, has_aes).ciphers.first().copied();
        assert_eq!(first(true), Some(cipher::AES_128_GCM));
        assert_eq!(first(false), Some(cipher::CHACHA20_POLY1305));
    }

    #[test]
    fn a_custom_list_takes_the_place_of_its_own_alone() {
        let text = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let settings = SshSettings {
            profile: Profile::Custom,
            ciphers: text(&["3des-cbc", "aes256-ctr"]),
            host_key_algorithms: text(&["ssh-rsa"]),
            ..SshSettings::default()
        };
        let custom = Algorithms::new(&settings).unwrap();
        assert_eq!(custom.ciphers, [cipher::TRIPLE_DES_CBC, cipher::AES_256_CTR]);
        assert_eq!(custom.host_keys, [Algorithm::Rsa { hash: None }]);
        assert_eq!(custom.kex, MODERN_KEX);
        for (list, settings) in [
            ("kex", SshSettings { kex: text(&["sntrup761x25519-sha512"]), ..settings.clone() }),
            ("ciphers", SshSettings { ciphers: text(&["arcfour"]), ..settings.clone() }),
            ("macs", SshSettings { macs: text(&["hmac-md5"]), ..settings.clone() }),
            (
                "host_key_algorithms",
                SshSettings { host_key_algorithms: text(&["ssh-dss"]), ..settings.clone() },
            ),
        ] {
            let unknown = Algorithms::new(&settings).unwrap_err();
            assert_eq!(unknown.list, list);
            assert!(!unknown.known.is_empty() && unknown.to_string().contains("not available"));
        }
    }

    #[test]
    fn kinds_of_host_key_are_passed_over() {
        let offered = Algorithms::default();
        let rest = offered.preferred(&BTreeSet::from([Family::Ed25519, Family::Ecdsa]), true);
        assert!(
            rest.key.iter().all(|key| matches!(key, Algorithm::Rsa { hash: Some(_) })) && rest.key.len() == 2
        );
        assert_eq!(rest.host_key_certificates.len(), 6);
        assert!(offered.preferred(&BTreeSet::new(), false).host_key_certificates.is_empty());
    }
}
