//! What an endpoint and a subscription may set, with defaults and bounds; the same shape in `partners.toml` and in the
//! database.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::credential::SecretRef;
use crate::ssh::{LoginMethod, SshSettings};
use crate::trust::FirstUse;
use crate::window::Window;

/// A duration that people write as `30s`, `2m`, `72h` (jiff's friendly format).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let signed: jiff::SignedDuration =
            text.parse().map_err(|_| format!("{text:?} is not a duration; write it as 30s, 2m or 72h"))?;
        let duration = Duration::try_from(signed).map_err(|_| format!("{text:?} is negative"))?;
        Ok(Self(duration))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signed = jiff::SignedDuration::try_from(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{signed:#}")
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How an endpoint is used. Every value has a default, so `{}` is a complete setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EndpointSettings {
    /// Connections at most, over all processes. Partners often allow 2 to 5.
    pub max_connections: u16,
    /// Files in flight at most, over all connections.
    pub max_files: u16,
    /// From the first packet to an open TCP connection.
    pub connect_timeout: Span,
    /// Key exchange and login together.
    pub login_timeout: Span,
    /// No acknowledged byte for this long ends the attempt.
    pub progress_timeout: Span,
    /// Times at which no connection is wanted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maintenance: Vec<Window>,
    /// Speed limit in bytes per second, of each process that sends there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes_per_second: Option<u64>,
    /// Large files use a second SFTP channel of their connection: a server's window limits one channel to about 2 MiB a
    /// round trip.
    #[serde(skip_serializing_if = "is_false")]
    pub second_channel: bool,
    /// Deliveries fail when the endpoint was down for this long. Without it they wait for as long as it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub give_up_after: Option<Span>,
    /// What becomes of an endpoint that pins no host key and names no authority.
    #[serde(skip_serializing_if = "FirstUse::is_default")]
    pub first_use: FirstUse,
    /// The order in which logins are tried, each once; empty: key, then password.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub login: Vec<LoginMethod>,
    /// Which algorithms are offered.
    #[serde(skip_serializing_if = "SshSettings::is_default")]
    pub ssh: SshSettings,
    /// `socks5://HOST:PORT` or `http://HOST:PORT`, through which the server is reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// User name for the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_username: Option<String>,
    /// Where the proxy's password lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_password: Option<SecretRef>,
    /// The address of this machine from which connections start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_address: Option<IpAddr>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Default for EndpointSettings {
    fn default() -> Self {
        let s = |seconds| Span(Duration::from_secs(seconds));
        Self {
            max_connections: 2,
            max_files: 64,
            connect_timeout: s(15),
            login_timeout: s(30),
            progress_timeout: s(50),
            maintenance: Vec::new(),
            max_bytes_per_second: None,
            second_channel: false,
            give_up_after: None,
            first_use: FirstUse::default(),
            login: Vec::new(),
            ssh: SshSettings::default(),
            proxy: None,
            proxy_username: None,
            proxy_password: None,
            source_address: None,
        }
    }
}

impl EndpointSettings {
    /// What is wrong with the values, if anything.
    pub fn problem(&self) -> Option<String> {
        if !(1..=64).contains(&self.max_connections) {
            return Some(format!("max_connections is {}, it must be 1 to 64", self.max_connections));
        }
        if !(1..=1024).contains(&self.max_files) {
            return Some(format!("max_files is {}, it must be 1 to 1024", self.max_files));
        }
        if self.max_bytes_per_second.is_some_and(|limit| limit < 1024) {
            return Some("max_bytes_per_second is less than 1024".into());
        }
        if self.give_up_after.is_some_and(|span| span.0 < Duration::from_secs(3600)) {
            return Some("give_up_after is less than 1h".into());
        }
        if let Some(problem) = self.ssh.problem() {
            return Some(problem);
        }
        if let Some(problem) = self.proxy_problem() {
            return Some(problem.into());
        }
        let timeouts = [
            ("connect_timeout", self.connect_timeout),
            ("login_timeout", self.login_timeout),
            ("progress_timeout", self.progress_timeout),
        ];
        timeouts
            .into_iter()
            .find(|(_, span)| !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&span.0))
            .map(|(name, span)| format!("{name} is {span}, it must be 1s to 1h"))
    }
}

impl EndpointSettings {
    /// A login for a proxy needs the proxy, and both of its parts. The address is for the sender to judge.
    fn proxy_problem(&self) -> Option<&'static str> {
        match (&self.proxy, &self.proxy_username, &self.proxy_password) {
            (None, None, None) | (Some(_), None, None) | (Some(_), Some(_), Some(_)) => None,
            (None, ..) => Some("there is a login for a proxy, and no proxy"),
            (_, Some(_), None) => Some("proxy_username needs proxy_password"),
            (_, None, Some(_)) => Some("proxy_password needs proxy_username"),
        }
    }
}

/// When a subscription's deliveries give up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Attempts that the partner's server refused, before the delivery fails.
    pub max_attempts: u16,
    /// From the delivery's creation; looked at only when such an attempt ends.
    pub deadline: Span,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { max_attempts: 12, deadline: Span(Duration::from_secs(72 * 3600)) }
    }
}

impl RetryPolicy {
    /// What is wrong with the values, if anything.
    pub fn problem(&self) -> Option<String> {
        (!(1..=1000).contains(&self.max_attempts))
            .then(|| format!("max_attempts is {}, it must be 1 to 1000", self.max_attempts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_settings_are_complete_and_round_trip() {
        let settings: EndpointSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, EndpointSettings::default());
        assert_eq!(settings.problem(), None);
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<EndpointSettings>(&text).unwrap(), settings);
        let policy = serde_json::to_string(&RetryPolicy::default()).unwrap();
        assert_eq!(serde_json::from_str::<RetryPolicy>(&policy).unwrap(), RetryPolicy::default());
    }

    #[test]
    fn out_of_range_values_are_named() {
        let settings: EndpointSettings = serde_json::from_str(r#"{"max_connections":0}"#).unwrap();
        assert!(settings.problem().unwrap().contains("max_connections"));
        let settings: EndpointSettings = serde_json::from_str(r#"{"login_timeout":"0s"}"#).unwrap();
        assert!(settings.problem().unwrap().contains("login_timeout"));
        let half = r#"{"proxy":"http://h:1","proxy_username":"u"}"#;
        let settings: EndpointSettings = serde_json::from_str(half).unwrap();
        assert!(settings.problem().unwrap().contains("proxy_password"));
        assert!(serde_json::from_str::<EndpointSettings>(r#"{"login_timeout":"-3s"}"#).is_err());
        assert!(serde_json::from_str::<EndpointSettings>(r#"{"source_address":"eth0"}"#).is_err());
        assert!(serde_json::from_str::<EndpointSettings>(r#"{"proxy_password":"hunter2"}"#).is_err());
        assert!(serde_json::from_str::<EndpointSettings>(r#"{"max_conections":1}"#).is_err());
    }
}
