//! Logging in: each configured method once, in the configured order. Servers lock accounts, so nothing is tried twice.

use std::sync::Arc;

use outport_core::{Fault, code};
use russh::client::{AuthResult, Handle};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::keys;
use super::peer::{Peer, Watcher, cause, error_code};
use crate::secret::Secret;
use crate::target::{Auth, Target};

/// One way to log in, ready to use.
pub(super) enum Method {
    Password(Secret),
    Key(Arc<PrivateKey>),
}

impl Method {
    /// The target's methods, keys parsed.
    ///
    /// # Errors
    /// `endpoint.secret_unusable`, or `credential.missing` when there is none.
    pub(super) fn all(target: &Target) -> Result<Vec<Self>, Fault> {
        let place = target.place();
        if target.auth.is_empty() {
            let message =
                format!("could not log in to {place}: the endpoint has neither a password nor a key");
            return Err(Fault::new(&code::CREDENTIAL_MISSING, message));
        }
        let method = |auth: &Auth| match auth {
            Auth::Password(password) => Ok(Self::Password(password.clone())),
            Auth::Key { pem, passphrase } => {
                keys::parse(&place, pem, passphrase.as_ref()).map(|key| Self::Key(Arc::new(key)))
            }
        };
        target.auth.iter().map(method).collect()
    }

    fn kind(&self) -> MethodKind {
        match self {
            Self::Password(_) => MethodKind::Password,
            Self::Key(_) => MethodKind::PublicKey,
        }
    }

    /// For messages: what was tried, without the secret.
    fn shown(&self) -> String {
        match self {
            Self::Password(_) => "password".into(),
            Self::Key(key) => {
                format!("publickey {} ({})", key.public_key().fingerprint(HashAlg::Sha256), key.algorithm())
            }
        }
    }
}

/// Logs in. The caller limits the time.
///
/// # Errors
/// `credential.refused` with what was tried and what the server offers, or how the connection ended.
pub(super) async fn log_in(
    ssh: &mut Handle<Watcher>,
    target: &Target,
    methods: Vec<Method>,
    peer: &Peer,
) -> Result<(), Fault> {
    let mut tried = Vec::new();
    let mut offered: Option<MethodSet> = None;
    let mut asks_for_more = false;
    for method in methods {
        if offered.as_ref().is_some_and(|offered| !offered.contains(&method.kind())) {
            continue;
        }
        let shown = method.shown();
        let result = try_one(ssh, &target.username, method)
            .await
            .map_err(|error| broken(target, error_code(&error), &cause(&error)))?;
        match result {
            AuthResult::Success => return Ok(()),
            AuthResult::Failure { remaining_methods, partial_success } => {
                if ssh.is_closed() {
                    tried.push(shown);
                    // The reason is known once the session's task is through.
                    if let Err(error) = (&mut *ssh).await {
                        tracing::debug!(endpoint = %target.label, "the connection ended during the login: {error}");
                    }
                    return Err(closed(target, peer, &tried));
                }
                asks_for_more |= partial_success;
                tried.push(if partial_success { format!("{shown} (accepted)") } else { shown });
                offered = Some(remaining_methods);
            }
        }
    }
    Err(refused(target, &tried, asks_for_more, &names(offered.as_ref())))
}

async fn try_one(
    ssh: &mut Handle<Watcher>,
    username: &str,
    method: Method,
) -> Result<AuthResult, russh::Error> {
    match method {
        Method::Password(password) => ssh.authenticate_password(username, password.expose()).await,
        Method::Key(key) => {
            // RFC 8332: what the server says it takes; SHA-512 where it says nothing. Never SHA-1, which a server that
            // offers nothing else answers with a refusal.
            let hash = match key.algorithm().is_rsa() {
                true => Some(ssh.best_supported_rsa_hash().await?.flatten().unwrap_or(HashAlg::Sha512)),
                false => None,
            };
            ssh.authenticate_publickey(username, PrivateKeyWithHashAlg::new(key, hash)).await
        }
    }
}

fn names(offered: Option<&MethodSet>) -> Vec<&'static str> {
    offered.map(|offered| offered.iter().map(<&'static str>::from).collect()).unwrap_or_default()
}

fn refused(target: &Target, tried: &[String], asks_for_more: bool, offered: &[&str]) -> Fault {
    let more = if asks_for_more { "; it asks for one more method" } else { "" };
    let message = format!(
        "could not log in to {} as {:?}: the server refused {}{more}; it offers {}",
        target.place(),
        target.username,
        tried.join(", "),
        if offered.is_empty() { "nothing else".to_owned() } else { offered.join(", ") },
    );
    let fault = Fault::new(&code::CREDENTIAL_REFUSED, message);
    if offered == ["keyboard-interactive"] {
        return fault.with_hint(
            "the server asks for keyboard-interactive logins, which are not available yet; ask the partner to allow password or publickey",
        );
    }
    fault
}

fn broken(target: &Target, code: &'static outport_core::Code, cause: &str) -> Fault {
    Fault::new(code, format!("could not log in to {} as {:?}: {cause}", target.place(), target.username))
}

/// The server hung up with its answer or instead of one. Whether that was a refusal, its goodbye tells.
fn closed(target: &Target, peer: &Peer, tried: &[String]) -> Fault {
    match peer.end() {
        Some((code, cause)) if code == &code::CREDENTIAL_REFUSED => {
            let fault = refused(target, tried, false, &[]);
            Fault { message: format!("{} ({cause})", fault.message), ..fault }
        }
        Some((code, cause)) => broken(target, code, &format!("{cause} (after {})", tried.join(", "))),
        None => broken(
            target,
            &code::ENDPOINT_RESET,
            &format!("the server closed the connection (after {})", tried.join(", ")),
        ),
    }
}
