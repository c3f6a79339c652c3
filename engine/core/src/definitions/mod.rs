//! Partners as code: the content of `partners.toml`, and what applying it would change.

mod diff;

pub use diff::{Change, Verb, diff};

use serde::{Deserialize, Serialize};

use crate::credential::{CredentialRef, KeyRef, SecretRef};
use crate::settings::{EndpointSettings, RetryPolicy};
use crate::trust::{FirstUse, HostCa, HostKey};
use crate::upload::UploadSpec;

/// Everything that `outport apply` owns. The same shape comes from the file and from the database.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definitions {
    /// Classes of arriving files.
    #[serde(default, rename = "file_group")]
    pub file_groups: Vec<FileGroup>,
    /// Organisations that receive files, with their endpoints.
    #[serde(default, rename = "subscriber")]
    pub subscribers: Vec<Subscriber>,
    /// Recipes.
    #[serde(default, rename = "transform")]
    pub transforms: Vec<TransformSpec>,
    /// Who gets what, how, where.
    #[serde(default, rename = "subscription")]
    pub subscriptions: Vec<Subscription>,
}

/// A named class of arriving files.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileGroup {
    /// Unique name.
    pub name: String,
    /// The operator's, unless stated.
    pub enabled: Option<bool>,
    /// Any of these takes a file.
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
}

/// Bucket and key pattern.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the bucket.
    pub bucket: String,
    /// Key pattern, such as `claims/{sender}/*.json`.
    pub key: String,
    /// `"all"` or an RFC 3339 time: also take what arrived before the rule was applied.
    pub backfill: Option<String>,
}

/// A trading partner.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// Short unique code, used in names: `acme`.
    pub code: String,
    /// For people.
    pub name: Option<String>,
    /// The operator's, unless stated.
    pub enabled: Option<bool>,
    /// Where its files go.
    #[serde(default, rename = "endpoint")]
    pub endpoints: Vec<Endpoint>,
}

/// One destination of a subscriber.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Unique within the subscriber.
    pub name: String,
    /// `sftp`.
    pub protocol: String,
    /// Host name or address.
    pub host: String,
    /// TCP port; 22 when absent.
    pub port: Option<u16>,
    /// Login name.
    pub username: String,
    /// `env:NAME` or `file:PATH`.
    pub password: Option<String>,
    /// `file:PATH` or `env:NAME` of a private key.
    pub key: Option<String>,
    /// What the key is encrypted with.
    pub key_passphrase: Option<String>,
    /// Where an OpenSSH user certificate for the key lies.
    pub certificate: Option<String>,
    /// SHA-256 fingerprints of the host keys to accept, with dates where they are to count for a time only.
    #[serde(default)]
    pub host_keys: Vec<HostKey>,
    /// Authorities whose host certificates are accepted.
    #[serde(default)]
    pub host_cas: Vec<HostCa>,
    /// The operator's, unless stated.
    pub enabled: Option<bool>,
    /// Limits and timeouts.
    #[serde(default)]
    pub settings: EndpointSettings,
    /// How files are put on its server.
    #[serde(default)]
    pub upload: UploadSpec,
}

impl Endpoint {
    /// What it logs in with.
    ///
    /// # Errors
    /// Which reference is none, what is missing, or what goes with nothing.
    pub fn credential(&self) -> Result<CredentialRef, String> {
        let read = |field: &str, text: &Option<String>| -> Result<Option<SecretRef>, String> {
            text.as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|problem: String| format!("{field}: {problem}"))
        };
        let (password, key) = (read("password", &self.password)?, read("key", &self.key)?);
        let passphrase = read("key_passphrase", &self.key_passphrase)?;
        let certificate = read("certificate", &self.certificate)?;
        let key = match key {
            Some(key) => Some(KeyRef { key, passphrase, certificate }),
            None if passphrase.is_some() => return Err("key_passphrase goes with a key only".into()),
            None if certificate.is_some() => return Err("certificate goes with a key only".into()),
            None => None,
        };
        if key.is_none() && password.is_none() {
            return Err("it has neither a password nor a key".into());
        }
        Ok(CredentialRef { key, password })
    }

    /// Whether the host keys are those that operators accepted: the file leaves them to the database.
    pub fn leaves_host_keys_to_operators(&self) -> bool {
        self.settings.first_use == FirstUse::Ask && self.host_keys.is_empty()
    }
}

/// An immutable recipe; a change makes a new version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformSpec {
    /// Unique name.
    pub name: String,
    /// `json-to-csv`.
    pub kind: String,
    /// The kind's parameters.
    #[serde(default = "no_params")]
    pub params: serde_json::Value,
    /// In place of `params`, a file that has them; none once it was read.
    pub spec: Option<std::path::PathBuf>,
}

fn no_params() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// Subscriber x file group (x transform) -> endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscription {
    /// Short unique code: `acme-claims`.
    pub code: String,
    /// Code of the subscriber.
    pub subscriber: String,
    /// Name of the file group.
    pub file_group: String,
    /// Name of one of the subscriber's endpoints.
    pub endpoint: String,
    /// Name of a transform; absent: the file as it is.
    pub transform: Option<String>,
    /// Template of the final name: `inbox/{stem}.{ext}`.
    pub remote_name: String,
    /// 1 is sent first, 4 last.
    #[serde(default = "default_priority")]
    pub priority: i16,
    /// `none` or `fifo`.
    #[serde(default = "default_ordering")]
    pub ordering: String,
    /// `resend` or `hold`.
    #[serde(default = "default_on_unconfirmed")]
    pub on_unconfirmed: String,
    /// What becomes of a file when a newer one stands under the same remote name already: `skip` or `send`.
    #[serde(default = "default_stale")]
    pub stale: String,
    /// When its deliveries give up.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// The operator's, unless stated.
    pub enabled: Option<bool>,
}

const fn default_priority() -> i16 {
    2
}
fn default_ordering() -> String {
    "none".into()
}
fn default_stale() -> String {
    "skip".into()
}
fn default_on_unconfirmed() -> String {
    "resend".into()
}
