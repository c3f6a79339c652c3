//! Proxies: what they are called, and the talk with them that ends in a connection to the server.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use outport_core::{Code, code};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{socks5, tunnel};
use crate::secret::Secret;
use crate::target::bracketed;
use crate::url::host_and_port;

/// A proxy to go through.
///
/// ```
/// use outport_send::Proxy;
/// let proxy: Proxy = "socks5://[::1]:1080".parse().unwrap();
/// assert_eq!(proxy.to_string(), "the proxy socks5://[::1]:1080");
/// assert!("socks5://me:secret@host:1080".parse::<Proxy>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it speaks.
    pub kind: ProxyKind,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whom it knows us as, if it wants to know.
    pub login: Option<ProxyLogin>,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyKind {
    /// SOCKS 5 (RFC 1928). The proxy resolves the server's name.
    Socks5,
    /// HTTP/1.1 CONNECT (RFC 9110 section 9.3.6). The proxy resolves the server's name.
    Http,
}

/// User name and password for a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyLogin {
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

impl ProxyLogin {
    /// What is wrong with it for this kind of proxy, without a word of the password.
    pub fn problem(&self, kind: ProxyKind) -> Option<&'static str> {
        let (name, password) = (self.username.len(), self.password.expose().len());
        match kind {
            // RFC 1929 section 2 counts both in a byte, and neither may be empty.
            ProxyKind::Socks5 if !(1..=255).contains(&name) || !(1..=255).contains(&password) => {
                Some("user name and password of a SOCKS proxy have 1 to 255 bytes")
            }
            // RFC 7617 section 2.
            ProxyKind::Http if self.username.contains(':') => {
                Some("the user name of an HTTP proxy has no colon")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Socks5 => "socks5",
            ProxyKind::Http => "http",
        };
        write!(f, "the proxy {scheme}://{}:{}", bracketed(&self.host), self.port)
    }
}

/// Why a text is no proxy; it never holds the text, which may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a proxy is written socks5://HOST:PORT or http://HOST:PORT; {0}")]
pub struct ProxyError(String);

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let refuse = |why: &str| Err(ProxyError(why.to_owned()));
        let (kind, rest) = match text.split_once("://") {
            Some(("socks5", rest)) => (ProxyKind::Socks5, rest),
            Some(("http", rest)) => (ProxyKind::Http, rest),
            Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric()) => {
                return refuse(&format!("{scheme}:// is not available"));
            }
            _ => return refuse("this one begins with neither"),
        };
        if rest.contains('@') {
            return refuse("its login goes into proxy_username and proxy_password, the latter by reference");
        }
        let address = rest.strip_suffix('/').unwrap_or(rest);
        if address.contains(['/', '?', '#', '%']) {
            return refuse("there is nothing behind the port");
        }
        match host_and_port(address).map_err(ProxyError)? {
            (host, Some(port)) => Ok(Self { kind, host, port, login: None }),
            (_, None) => refuse("this one has no port"),
        }
    }
}

/// Why there is no connection through a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static Code,
    pub(super) problem: String,
}

impl Refusal {
    /// The proxy answered, and the answer is no.
    pub(super) fn refused(problem: impl Into<String>) -> Self {
        Self { code: &code::ENDPOINT_PROXY_REFUSED, problem: problem.into() }
    }

    /// The proxy does not answer, or with something else.
    pub(super) fn failed(problem: impl Into<String>) -> Self {
        Self { code: &code::ENDPOINT_PROXY_FAILED, problem: problem.into() }
    }

    pub(super) fn silent(limit: Duration) -> Self {
        Self::failed(format!("the proxy gave no answer within {:.1} s", limit.as_secs_f64()))
    }

    pub(super) fn broken(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Self::failed("the proxy closed the connection before its answer was complete")
            }
            _ => Self::failed(format!("the connection to the proxy broke off: {error}")),
        }
    }
}

impl Proxy {
    /// Has the proxy connect `stream` to the server. The caller limits the time. What the server sends first is left
    /// unread.
    pub(super) async fn connect<S>(&self, mut stream: S, host: &str, port: u16) -> Result<S, Refusal>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        if let Some(problem) = self.login.as_ref().and_then(|login| login.problem(self.kind)) {
            return Err(Refusal::refused(problem));
        }
        match self.kind {
            ProxyKind::Socks5 => socks5::connect(&mut stream, host, port, self.login.as_ref()).await?,
            ProxyKind::Http => tunnel::connect(&mut stream, host, port, self.login.as_ref()).await?,
        }
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones() {
        for (text, kind, host, port) in [
            ("socks5://proxy:1080", ProxyKind::Socks5, "proxy", 1080),
            ("http://10.0.0.1:3128/", ProxyKind::Http, "10.0.0.1", 3128),
            ("http://[2001:db8::1]:3128", ProxyKind::Http, "2001:db8::1", 3128),
        ] {
            let host = host.to_owned();
            assert_eq!(text.parse(), Ok(Proxy { kind, host, port, login: None }), "{text}");
        }
    }

    #[test]
    fn bad_ones_say_why_and_show_no_password() {
        for (text, why) in [
            ("", "neither"),
            ("proxy:1080", "neither"),
            ("socks4://h:1", "socks4:// is not available"),
            ("https://h:1", "https:// is not available"),
            ("socks5h://h:1", "socks5h:// is not available"),
            ("http://h", "no port"),
            ("http://h:0", "not a port"),
            ("http://::1:3128", "in brackets"),
            ("http://u:geheim@h:1", "proxy_password"),
            ("http://h:1/x?geheim", "nothing behind the port"),
        ] {
            let error = text.parse::<Proxy>().unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("geheim"), "{text}: {error}");
        }
    }
}
