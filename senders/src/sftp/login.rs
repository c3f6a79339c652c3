//! Logging in: each configured method once, in the configured order. Servers lock accounts, so nothing is tried twice.

mod questions;

use std::sync::Arc;

use outport_core::ssh::LoginMethod;
use outport_core::{Fault, Millis, code};
use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::ssh_key::HashAlg;
use russh::keys::{Certificate, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use self::questions::{Asked, answers};
use super::keys;
use super::peer::{Peer, Watcher, cause, error_code};
use super::user_certificate::{self, CertificateSigner, SignError};
use crate::secret::Secret;
use crate::target::{Auth, Target};

/// One way to log in, ready to use.
pub(super) enum Method {
    Password(Secret),
    /// The same password in answer to the server's questions, where it takes none by itself.
    Questions(Secret),
    Key(Arc<PrivateKey>),
    /// A key and what an authority says of it.
    Certificate(Arc<PrivateKey>, Box<Certificate>),
}

impl Method {
    /// The target's methods in their order, keys and certificates parsed; `now` is for the dates of certificates.
    ///
    /// # Errors
    /// `endpoint.secret_unusable`, or `credential.missing` when there is none.
    pub(super) fn all(target: &Target, now: Millis) -> Result<Vec<Self>, Fault> {
        let place = target.place();
        let mut methods = Vec::new();
        for auth in &target.auth {
            match auth {
                Auth::Password(password) => {
                    methods.extend([Self::Password(password.clone()), Self::Questions(password.clone())]);
                }
                Auth::Key { pem, passphrase, certificate } => {
                    let key = Arc::new(keys::parse(&place, pem, passphrase.as_ref())?);
                    methods.push(match certificate {
                        None => Self::Key(key),
                        Some(text) => {
                            let certificate = user_certificate::read(&place, text, &key, now)?;
                            Self::Certificate(key, Box::new(certificate))
                        }
                    });
                }
            }
        }
        let methods = in_order(methods, &target.login_order);
        if methods.is_empty() {
            let message =
                format!("could not log in to {place}: the endpoint has neither a password nor a key");
            return Err(Fault::new(&code::CREDENTIAL_MISSING, message));
        }
        Ok(methods)
    }

    fn named(&self) -> LoginMethod {
        match self {
            Self::Password(_) => LoginMethod::Password,
            Self::Questions(_) => LoginMethod::KeyboardInteractive,
            Self::Key(_) | Self::Certificate(..) => LoginMethod::Publickey,
        }
    }

    fn password(&self) -> Option<&Secret> {
        match self {
            Self::Password(password) | Self::Questions(password) => Some(password),
            Self::Key(_) | Self::Certificate(..) => None,
        }
    }

    fn kind(&self) -> MethodKind {
        match self {
            Self::Password(_) => MethodKind::Password,
            Self::Questions(_) => MethodKind::KeyboardInteractive,
            Self::Key(_) | Self::Certificate(..) => MethodKind::PublicKey,
        }
    }

    /// For messages: what was tried, without the secret.
    fn shown(&self) -> String {
        match self {
            Self::Key(key) => {
                format!("publickey {} ({})", key.public_key().fingerprint(HashAlg::Sha256), key.algorithm())
            }
            Self::Certificate(key, certificate) => format!(
                "publickey {} (certificate {:?} by {})",
                key.public_key().fingerprint(HashAlg::Sha256),
                certificate.key_id().chars().take(64).collect::<String>(),
                certificate.signature_key().fingerprint(HashAlg::Sha256)
            ),
            _ => <&'static str>::from(&self.kind()).into(),
        }
    }
}

/// An order drops what it does not name.
fn in_order(mut methods: Vec<Method>, order: &[LoginMethod]) -> Vec<Method> {
    if order.is_empty() {
        return methods;
    }
    let place = |method: &Method| order.iter().position(|name| *name == method.named());
    methods.retain(|method| place(method).is_some());
    // Stable: several keys stay as they are.
    methods.sort_by_key(place);
    methods
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
    // A server that has a method has looked at the password. Giving it in the other way, too, would be a second try.
    let mut seen: Vec<Secret> = Vec::new();
    for method in methods {
        if offered.as_ref().is_some_and(|offered| !offered.contains(&method.kind())) {
            continue;
        }
        let secret = method.password().cloned();
        if secret.as_ref().is_some_and(|secret| seen.contains(secret)) {
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
                if partial_success || remaining_methods.contains(&kind) {
                    seen.extend(secret);
                }
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
            let allows_sha1 = target.algorithms.takes_sha1_signatures();
            let hash = rsa_hash(ssh, &key, allows_sha1).await.map_err(ended)?;
            let key = PrivateKeyWithHashAlg::new(key, hash);
            ssh.authenticate_publickey(username, key).await.map_err(ended)
        }
        Method::Certificate(key, certificate) => {
            let hash = rsa_hash(ssh, &key, false).await.map_err(ended)?;
            let mut signer = CertificateSigner(&key);
            let answer = ssh.authenticate_certificate_with(username, *certificate, hash, &mut signer).await;
            answer.map_err(|error| match error {
                SignError::Gone => broken(target, &code::ENDPOINT_RESET, &error.to_string()),
                SignError::Key => broken(target, &code::ENDPOINT_SECRET_UNUSABLE, &error.to_string()),
            })
        }
    }
}

/// `None` for a key that is not RSA, and for RSA with SHA-1.
async fn rsa_hash(
    ssh: &Handle<Watcher>,
    key: &PrivateKey,
    allows_sha1: bool,
) -> Result<Option<HashAlg>, russh::Error> {
    if !key.algorithm().is_rsa() {
        return Ok(None);
    }
    Ok(chosen_hash(ssh.best_supported_rsa_hash().await?, allows_sha1))
}

/// RFC 8332: the best that the server says it takes (`Some(None)`: SHA-1 alone); SHA-512 where it says nothing. SHA-1 only
/// where the endpoint allows it and the server takes nothing else, or is too old to say (OpenSSH says it since 7.2).
fn chosen_hash(best: Option<Option<HashAlg>>, allows_sha1: bool) -> Option<HashAlg> {
    match best.flatten() {
        None if allows_sha1 => None,
        best => Some(best.unwrap_or(HashAlg::Sha512)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rsa_signs_with_the_best_hash_and_with_sha1_where_it_is_allowed_alone() {
        let (sha256, sha512) = (Some(HashAlg::Sha256), Some(HashAlg::Sha512));
        for (best, modern, compat) in [
            (Some(sha512), sha512, sha512),
            (Some(sha256), sha256, sha256),
            (Some(None), sha512, None),
            (None, sha512, None),
        ] {
            assert_eq!((chosen_hash(best, false), chosen_hash(best, true)), (modern, compat), "{best:?}");
        }
    }

    #[test]
    fn an_order_picks_and_sorts() {
        use LoginMethod::{KeyboardInteractive, Password, Publickey};
        let key = PrivateKey::from_openssh(include_str!("../../tests/keys/rsa")).unwrap();
        let methods = |order: &[LoginMethod]| -> Vec<&'static str> {
            let password = Secret::new("p4ss");
            let all = vec![
                Method::Key(Arc::new(key.clone())),
                Method::Password(password.clone()),
                Method::Questions(password),
            ];
            in_order(all, order).iter().map(|method| method.named().as_str()).collect()
        };
        assert_eq!(methods(&[]), ["publickey", "password", "keyboard-interactive"]);
        assert_eq!(methods(&[KeyboardInteractive, Publickey]), ["keyboard-interactive", "publickey"]);
        assert_eq!(
            methods(&[Password, KeyboardInteractive, Publickey]),
            ["password", "keyboard-interactive", "publickey"]
        );
    }
}
