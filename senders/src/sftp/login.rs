//! Logging in: each configured method once, in the configured order. Servers lock accounts, so nothing is tried twice.

mod questions;

use std::sync::Arc;

use outport_core::{Fault, code};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use self::questions::{Asked, answers};
use super::keys;
use super::peer::{Peer, Watcher, cause, error_code};
use crate::secret::Secret;
use crate::target::{Auth, Target};

/// One way to log in, ready to use.
pub(super) enum Method {
    Password(Secret),
    /// The same password in answer to the server's questions, where it takes none by itself.
    Questions(Secret),
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
        let mut methods = Vec::new();
        for auth in &target.auth {
            match auth {
                Auth::Password(password) => {
                    methods.extend([Self::Password(password.clone()), Self::Questions(password.clone())]);
                }
                Auth::Key { pem, passphrase } => {
                    let key = keys::parse(&place, pem, passphrase.as_ref())?;
                    methods.push(Self::Key(Arc::new(key)));
                }
            }
        }
        Ok(methods)
    }

    fn kind(&self) -> MethodKind {
        match self {
            Self::Password(_) => MethodKind::Password,
            Self::Questions(_) => MethodKind::KeyboardInteractive,
            Self::Key(_) => MethodKind::PublicKey,
        }
    }

    /// For messages: what was tried, without the secret.
    fn shown(&self) -> String {
        match self {
            Self::Key(key) => {
                format!("publickey {} ({})", key.public_key().fingerprint(HashAlg::Sha256), key.algorithm())
            }
            _ => <&'static str>::from(&self.kind()).into(),
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
    // A server that has the method password has looked at it. Giving it to its questions too would be a second try.
    let mut password_was_seen = false;
    for method in methods {
        if offered.as_ref().is_some_and(|offered| !offered.contains(&method.kind())) {
            continue;
        }
        if matches!(method, Method::Questions(_)) && std::mem::take(&mut password_was_seen) {
            continue;
        }
        let (kind, shown) = (method.kind(), method.shown());
        match try_one(ssh, target, method).await? {
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
                password_was_seen =
                    kind == MethodKind::Password && (partial_success || remaining_methods.contains(&kind));
                asks_for_more |= partial_success;
                tried.push(if partial_success { format!("{shown} (accepted)") } else { shown });
                offered = Some(remaining_methods);
            }
        }
    }
    Err(refused(target, &tried, asks_for_more, &names(offered.as_ref())))
}

async fn try_one(ssh: &mut Handle<Watcher>, target: &Target, method: Method) -> Result<AuthResult, Fault> {
    let username = &target.username;
    let ended = |error: russh::Error| broken(target, error_code(&error), &cause(&error));
    match method {
        Method::Password(password) => {
            ssh.authenticate_password(username, password.expose()).await.map_err(ended)
        }
        Method::Questions(password) => answer_questions(ssh, target, &password).await,
        Method::Key(key) => {
            // RFC 8332: what the server says it takes; SHA-512 where it says nothing. Never SHA-1, which a server that
            // offers nothing else answers with a refusal.
            let hash = match key.algorithm().is_rsa() {
                true => {
                    let best = ssh.best_supported_rsa_hash().await.map_err(ended)?;
                    Some(best.flatten().unwrap_or(HashAlg::Sha512))
                }
                false => None,
            };
            let key = PrivateKeyWithHashAlg::new(key, hash);
            ssh.authenticate_publickey(username, key).await.map_err(ended)
        }
    }
}

/// RFC 4256: the server asks, any number of times. The password is given once.
async fn answer_questions(
    ssh: &mut Handle<Watcher>,
    target: &Target,
    password: &Secret,
) -> Result<AuthResult, Fault> {
    let ended = |error: russh::Error| broken(target, error_code(&error), &cause(&error));
    let mut asked = Asked::default();
    let mut response =
        ssh.authenticate_keyboard_interactive_start(&target.username, None).await.map_err(ended)?;
    loop {
        let prompts = match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
            KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                return Ok(AuthResult::Failure { remaining_methods, partial_success });
            }
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        let given =
            answers(&mut asked, &prompts, password).map_err(|problem| unanswerable(target, &problem))?;
        response = ssh.authenticate_keyboard_interactive_respond(given).await.map_err(ended)?;
    }
}

fn unanswerable(target: &Target, problem: &str) -> Fault {
    let message = format!("could not log in to {} as {:?}: {problem}", target.place(), target.username);
    Fault::new(&code::CREDENTIAL_REFUSED, message).with_hint(
        "only a password can be given to a server's questions; ask the partner to allow password or publickey",
    )
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
        return fault.with_hint("the server asks questions: give the endpoint the password to answer them");
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
