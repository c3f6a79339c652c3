//! The webhook: one signed POST a connection, over HTTP/1. No redirects, no proxies: what is signed for one receiver goes
//! to no other.

mod signature;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use outport_core::credential::SecretRef;
use outport_core::{Fault, code};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use uuid::Uuid;

use crate::config::Notify;
use crate::secrets::Secrets;

/// The webhook's name in the ledger.
pub const TARGET: &str = "webhook";

/// Where people are told.
pub struct Webhook {
    host: String,
    port: u16,
    /// As it stands in the URL: `hooks.example:8443`.
    authority: String,
    path: String,
    tls: Option<TlsConnector>,
    secret: SecretRef,
}

impl Webhook {
    /// The configured one; `None`: nobody wants to be told.
    ///
    /// # Errors
    /// `config.invalid` for a URL, a secret's reference or a file of authorities that cannot be used.
    pub fn of(config: &Notify) -> Result<Option<Self>, Fault> {
        if config.webhook.is_empty() {
            return Ok(None);
        }
        // The URL is not repeated: it may hold a token.
        let wrong = |why: &str| {
            Fault::new(&code::CONFIG_INVALID, format!("notify.webhook is not possible: {why}"))
                .with_hint("write it as https://HOST/PATH or http://HOST:PORT/PATH")
        };
        let uri: Uri = config.webhook.parse().map_err(|_| wrong("it is no URL"))?;
        let authority = uri.authority().ok_or_else(|| wrong("it names no host"))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(wrong("it must begin with https:// or http://")),
        };
        if authority.as_str().contains('@') {
            return Err(wrong("it has a user name; posts are known by their signature"));
        }
        let secret = config.secret.parse::<SecretRef>().map_err(|why| {
            Fault::new(&code::CONFIG_INVALID, format!("notify.secret is not possible: {why}"))
                .with_hint("a webhook needs a secret: env:NAME or file:PATH")
        })?;
        Ok(Some(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 }),
            authority: authority.to_string(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
            tls: if is_tls { Some(tls(&config.ca)?) } else { None },
            secret,
        }))
    }

    /// Posts `body` under `id`; the receiver has to answer within `limit`.
    ///
    /// # Errors
    /// `notify.unreachable`, `notify.refused`, `credential.missing`.
    pub async fn post(&self, id: Uuid, body: Bytes, limit: Duration, secrets: &Secrets) -> Result<(), Fault> {
        match tokio::time::timeout(limit, self.try_post(id, body, secrets)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(&format!("it did not answer within {limit:?}"))),
        }
    }

    async fn try_post(&self, id: Uuid, body: Bytes, secrets: &Secrets) -> Result<(), Fault> {
        let (secret, _) = secrets.read(&self.secret, "notify.secret").await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = Request::post(self.path.as_str())
            .header(header::HOST, self.authority.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("outport/", env!("CARGO_PKG_VERSION")))
            .header(header::CONNECTION, "close")
            .header("Outport-Delivery", id.to_string())
            .header("Outport-Signature", signature::of(secret.expose().as_bytes(), now, &body)?)
            .body(Full::new(body))
            .map_err(|error| self.unreachable(&error.to_string()))?;
        let tcp = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| self.unreachable(&error.to_string()))?;
        match &self.tls {
            None => self.exchange(tcp, request).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone())
                    .map_err(|error| self.unreachable(&error.to_string()))?;
                let stream =
                    tls.connect(name, tcp).await.map_err(|error| self.unreachable(&error.to_string()))?;
                self.exchange(stream, request).await
            }
        }
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<Full<Bytes>>,
    ) -> Result<(), Fault> {
        let failed = |error: hyper::Error| self.unreachable(&error.to_string());
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let mut answer = std::pin::pin!(sender.send_request(request));
        let mut connection = std::pin::pin!(connection);
        let mut is_over = false;
        // The head of the answer is all that matters. A server that answers and closes does both at once: the answer counts.
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut answer => break answer.map_err(failed)?,
                // Why it ended is said by the answer, too.
                _ = &mut connection, if !is_over => is_over = true,
            }
        };
        if answer.status().is_success() {
            return Ok(());
        }
        let message = format!("the webhook at {} answered {}", self.authority, answer.status());
        Err(Fault::new(&code::NOTIFY_REFUSED, message))
    }

    fn unreachable(&self, why: &str) -> Fault {
        let message = format!("could not post to the webhook at {}: {why}", self.authority);
        Fault::new(&code::NOTIFY_UNREACHABLE, message)
    }
}

fn tls(ca: &Path) -> Result<TlsConnector, Fault> {
    let wrong = |why: &dyn std::fmt::Display| {
        Fault::new(&code::CONFIG_INVALID, format!("notify.ca {} is not possible: {why}", ca.display()))
    };
    let mut roots = RootCertStore::empty();
    if ca.as_os_str().is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    } else {
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| wrong(&error))? {
            roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
        }
        if roots.is_empty() {
            return Err(wrong(&"it holds no certificate"));
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notify(webhook: &str, secret: &str, ca: &str) -> Notify {
        Notify { webhook: webhook.into(), secret: secret.into(), topic: String::new(), ca: ca.into() }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_its_token() {
        for (webhook, secret, ca, why) in [
            ("hooks.example/TOKEN", "env:S", "", "http"),
            ("ftp://hooks.example/TOKEN", "env:S", "", "http"),
            ("https://u:TOKEN@hooks.example/", "env:S", "", "user name"),
            ("https://hooks.example/TOKEN", "", "", "notify.secret"),
            ("https://hooks.example/TOKEN", "hunter2", "", "by reference"),
            ("https://hooks.example/TOKEN", "env:S", "/nowhere/ca.pem", "notify.ca"),
            ("https://hooks.example/TO KEN", "env:S", "", "no URL"),
        ] {
            let fault = Webhook::of(&notify(webhook, secret, ca)).err().unwrap();
            assert_eq!(fault.code, &code::CONFIG_INVALID);
            let report = fault.report();
            assert!(report.contains(why), "{webhook}: {report}");
            assert!(!report.contains("TOKEN") && !report.contains("hunter2"), "{report}");
        }
        assert!(Webhook::of(&notify("", "", "")).unwrap().is_none());
    }

    #[test]
    fn hosts_ports_and_paths() {
        for (url, host, port, path, is_tls) in [
            ("https://hooks.example/a?b=c", "hooks.example", 443, "/a?b=c", true),
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, "/", false),
            ("https://[::1]:8443/x", "::1", 8443, "/x", true),
        ] {
            let webhook = Webhook::of(&notify(url, "env:S", "")).unwrap().unwrap();
            assert_eq!((webhook.host.as_str(), webhook.port, webhook.path.as_str()), (host, port, path));
            assert_eq!(webhook.tls.is_some(), is_tls);
        }
    }
}
