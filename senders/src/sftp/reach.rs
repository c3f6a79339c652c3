//! From a [`Target`] to agreed keys with a server that is believed: no credential has been sent then.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use outport_core::Fault;
use russh::AlgorithmKind;
use russh::client::{self, Handle};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::algorithms::Family;
use super::clock;
use super::connect::too_slow;
use super::first_words::FirstWords;
use super::peer::{Peer, Watcher, cause, error_code};
use super::trust::Trust;
use crate::dial::{dial, io_code};
use crate::plug::Plug;
use crate::target::Target;

/// Connects until the server shows a host key that is believed, or has shown every kind that it has. Nothing but the key
/// exchange has happened then.
pub(super) async fn reach(target: &Target) -> Result<(Handle<Watcher>, Arc<Peer>), Fault> {
    let trust = Arc::new(Trust::of(target));
    let mut passed_over = BTreeSet::new();
    let mut certificates = trust.wants_certificates();
    let mut seen = Vec::new();
    loop {
        let (stream, plug) = open(target).await?;
        let peer = Peer::new(target.place(), plug);
        let profile = target.algorithms.profile();
        let watcher = Watcher { peer: Arc::clone(&peer), trust: Arc::clone(&trust), profile };
        let config = Arc::new(config(target, &passed_over, certificates));
        let (stream, words) = FirstWords::of(stream);
        let agreed = timeout(target.timeouts.login, client::connect_stream(config, stream, watcher)).await;
        if !matches!(agreed, Ok(Ok(_)))
            && let Some((code, cause)) = words.verdict()
        {
            let message = format!("could not agree on keys with {}: {cause}", target.place());
            return Err(Fault::new(code, message));
        }
        let refusal = |seen: &[_]| Err(trust.refusal(&target.place(), seen, clock::now()));
        match agreed.map_err(|_| too_slow(target, "agree on keys with", target.timeouts.login))? {
            Ok(ssh) => return Ok((ssh, peer)),
            Err(russh::Error::UnknownKey) => {
                let Some(shown) = peer.host_key() else {
                    return Err(handshake_fault(target, &russh::Error::UnknownKey, &peer));
                };
                let family = shown.family;
                let certified = shown.certified;
                seen.push(shown);
                // A certificate that is not believed says nothing of the plain keys, which may be pinned.
                let is_new = match certified {
                    true => std::mem::take(&mut certificates),
                    false => family.is_some_and(|family| passed_over.insert(family)),
                };
                if !trust.has_pins() || !is_new || passed_over.len() == Family::COUNT {
                    return refusal(&seen);
                }
            }
            // It has no further kind of host key.
            Err(russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. }) if !seen.is_empty() => {
                return refusal(&seen);
            }
            Err(error) => return Err(handshake_fault(target, &error, &peer)),
        }
    }
}

fn handshake_fault(target: &Target, error: &russh::Error, peer: &Peer) -> Fault {
    let (code, cause) = peer.end().unwrap_or_else(|| (error_code(error), cause(error)));
    Fault::new(code, format!("could not agree on keys with {}: {cause}", target.place()))
}

async fn open(target: &Target) -> Result<(TcpStream, Plug), Fault> {
    Plug::of(dial(target).await?).map_err(|error| {
        Fault::new(io_code(&error), format!("could not connect to {}: {error}", target.place()))
    })
}

fn config(target: &Target, without: &BTreeSet<Family>, certificates: bool) -> client::Config {
    client::Config {
        client_id: russh::SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-Outport_",
            env!("CARGO_PKG_VERSION")
        ))),
        preferred: target.algorithms.preferred(without, certificates),
        gex: target.algorithms.groups(),
        keepalive_interval: Some(target.timeouts.keepalive),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}
