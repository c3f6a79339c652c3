//! Secrets of AWS Secrets Manager, kept for a short while.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use outport_core::{Fault, code};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::service::{Call, fault_of};

/// How long a value is used without asking again. A thousand files to one partner cost one question; a new secret is used
/// within this time, and at once after a refused login ([`SecretsManager::forget`]).
const KEPT: Duration = Duration::from_secs(60);

/// The label of the version in force.
const CURRENT: &str = "AWSCURRENT";

/// A secret's text and which version of it this is.
#[derive(Clone)]
pub struct SecretValue {
    /// The text; overwritten when the last copy of it goes.
    pub text: Arc<Zeroizing<String>>,
    /// The version id: the same for everybody who asks, and no hash of the text.
    pub version: String,
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Secrets Manager, with a cache.
#[derive(Debug)]
pub struct SecretsManager {
    client: Client,
    kept: Mutex<HashMap<String, Arc<Slot>>>,
}

/// One secret: who asks while another asks waits for that answer.
#[derive(Debug, Default)]
struct Slot(tokio::sync::Mutex<Option<(Instant, SecretValue)>>);

impl SecretsManager {
    /// Asks nothing yet.
    pub fn new(aws: &SdkConfig) -> Self {
        Self { client: Client::new(aws), kept: Mutex::default() }
    }

    /// The current version of the secret with this name or ARN.
    ///
    /// # Errors
    /// `credential.missing` when there is none, or none with a text; `aws.*`.
    pub async fn read(&self, name: &str) -> Result<SecretValue, Fault> {
        let slot = self.kept().entry(name.to_owned()).or_default().clone();
        let mut slot = slot.0.lock().await;
        if let Some((_, value)) = slot.as_ref().filter(|(at, _)| at.elapsed() < KEPT) {
            return Ok(value.clone());
        }
        let answer = self.client.get_secret_value().secret_id(name).send().await;
        let answer = answer
            .map_err(|error| fault("read", "secretsmanager:GetSecretValue", name, &Failure::of(&error)))?;
        let (text, version) = (answer.secret_string, answer.version_id.unwrap_or_default());
        let text = text.ok_or_else(|| {
            let message = format!("could not read the secret {name}: it is binary, not a text");
            Fault::new(&code::CREDENTIAL_MISSING, message)
        })?;
        let value = SecretValue { text: Arc::new(Zeroizing::new(text)), version };
        *slot = Some((Instant::now(), value.clone()));
        Ok(value)
    }

    /// The id of the current version, without its text. Never from the cache: it is asked to learn of changes.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub async fn version(&self, name: &str) -> Result<String, Fault> {
        let told = self.client.describe_secret().secret_id(name).send().await;
        let told = told
            .map_err(|error| fault("look at", "secretsmanager:DescribeSecret", name, &Failure::of(&error)))?;
        let stages = told.version_ids_to_stages().cloned().unwrap_or_default();
        let current = stages.into_iter().find(|(_, stages)| stages.iter().any(|stage| stage == CURRENT));
        current.map(|(version, _)| version).ok_or_else(|| {
            let message = format!("could not look at the secret {name}: no version of it is {CURRENT}");
            Fault::new(&code::CREDENTIAL_MISSING, message)
        })
    }

    /// The next [`read`](Self::read) asks again.
    pub fn forget(&self, name: &str) {
        self.kept().remove(name);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault(verb: &'static str, action: &'static str, name: &str, failure: &Failure) -> Fault {
    let object = format!("the secret {name}");
    let fault = fault_of(Call { verb, object: &object, action }, failure);
    // For whoever needs it, a secret that is not there is the same wherever it should lie.
    if fault.code == &code::AWS_NOT_FOUND {
        return Fault { code: &code::CREDENTIAL_MISSING, ..fault }
            .with_hint("create the secret, or correct its name, the region or the account");
    }
    fault
}
