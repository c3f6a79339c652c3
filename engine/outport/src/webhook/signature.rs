//! `Outport-Signature: t=UNIX,v1=HEX`, HEX being HMAC-SHA256 (RFC 2104) of `UNIX.BODY`. The time is signed, too, so that
//! a receiver may refuse what is old.

use hmac::{Hmac, KeyInit, Mac};
use outport_core::{Fault, code};
use sha2::Sha256;

/// The header's value.
pub fn of(secret: &[u8], unix_seconds: u64, body: &[u8]) -> Result<String, Fault> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| {
        Fault::new(&code::CREDENTIAL_MISSING, format!("notify.secret cannot sign: {error}"))
    })?;
    mac.update(unix_seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("t={unix_seconds},v1={hex}"))
}

#[cfg(test)]
mod tests {
    /// By `printf '1700000000.{}' | openssl dgst -sha256 -hmac geheim`.
    #[test]
    fn another_program_signs_alike() {
        let signed = super::of(b"geheim", 1_700_000_000, b"{}").unwrap();
        assert_eq!(
            signed,
            "t=1700000000,v1=75e8aa01e776401a6bfda6664664c1271ca25506052e3b8c43308bdf92f3c8d5"
        );
    }
}
