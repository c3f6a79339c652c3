//! `outport config check --online`: whether what the configuration names is there and lets us in.

use std::collections::BTreeSet;
use std::process::ExitCode;

use outport_aws::{Batch, Queue, S3Store};
use outport_core::credential::CredentialRef;
use outport_core::{Fault, code};
use outport_store::list::{self, Page};
use outport_store::{Store, routes};
use serde::Serialize;

use super::database::existing_store;
use crate::config::{Config, Roots};
use crate::output::{self, Format};
use crate::secrets::Secrets;

/// One question and its answer.
#[derive(Debug, Serialize)]
struct Answer {
    what: String,
    /// `ok`, `warning` or `failed`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Answer {
    fn of<T>(what: String, asked: &Result<T, Fault>) -> Self {
        match asked {
            Ok(_) => Self { what, result: "ok", code: None, message: None, hint: None },
            Err(fault) => Self {
                what,
                result: "failed",
                code: Some(fault.code.name),
                message: Some(fault.message.clone()),
                hint: Some(fault.hint().to_owned()),
            },
        }
    }

    fn warning(what: String, message: &str, hint: &str) -> Self {
        Self { what, result: "warning", code: None, message: Some(message.into()), hint: Some(hint.into()) }
    }
}

/// Exit code 1 when something failed.
pub async fn run(config: &Config, format: Format) -> Result<ExitCode, Fault> {
    let mut answers = Vec::new();
    let store = existing_store(config).await;
    answers.push(Answer::of("the database".into(), &store));
    let store = store.ok();
    if let Roots::S3 { bucket, .. } = config.roots()? {
        let aws = outport_aws::load(&config.aws().access()).await;
        let s3 = S3Store::new(&aws, config.aws().s3());
        answers.extend(buckets(&s3, &bucket, store.as_ref()).await);
        let without = "without a queue files are found only when buckets are compared (intake.reconcile)";
        let without_dead = "`outport intake dlq` needs it to show and requeue what could not be taken in";
        for (key, url, hint) in [
            ("intake.queue", config.queue(), without),
            ("intake.dead_letters", config.dead_letters(), without_dead),
        ] {
            match url {
                Some(url) => {
                    answers.push(Answer::of(format!("{key}, {url}"), &Queue::new(&aws, url).depth().await));
                }
                None => answers.push(Answer::warning(key.into(), "it is not set", hint)),
            }
        }
    }
    answers.extend(job_queues(config).await);
    if let Some(store) = &store {
        answers.extend(secrets(config, store).await);
    }
    let failed = answers.iter().any(|answer| answer.result == "failed");
    match format {
        Format::Json => output::json(&answers)?,
        Format::Table => tell(&answers)?,
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The bucket of artifacts, and those that rules watch.
async fn buckets(s3: &S3Store, artifacts: &str, store: Option<&Store>) -> Vec<Answer> {
    let mut answers = vec![Answer::of(format!("artifacts, s3://{artifacts}"), &s3.may_list(artifacts).await)];
    let Some(store) = store else { return answers };
    let watched = match routes::watched_since(store, 0).await {
        Ok(watched) => watched,
        Err(error) => {
            answers.push(Answer::of::<()>("the rules".into(), &Err(error.fault())));
            return answers;
        }
    };
    let watched: BTreeSet<String> = watched.into_iter().map(|(bucket, _)| bucket).collect();
    for bucket in watched {
        let what = format!("bucket s3://{bucket}");
        let listed = s3.may_list(&bucket).await;
        let is_there = listed.is_ok();
        answers.push(Answer::of(what.clone(), &listed));
        if !is_there {
            continue;
        }
        match s3.is_versioned(&bucket).await {
            Ok(Some(true)) => {}
            Ok(None) => answers.push(Answer::warning(
                what,
                "it does not say whether it keeps versions",
                "without versions what is overwritten before it is sent is lost; find out, and turn them on",
            )),
            Ok(Some(false)) => answers.push(Answer::warning(
                what,
                "it keeps no versions: the same bytes put again are no new file, and what is overwritten before it is sent is lost",
                "turn versioning on (aws s3api put-bucket-versioning)",
            )),
            Err(fault) => answers.push(Answer::of::<()>(format!("{what}, versions"), &Err(fault))),
        }
    }
    answers
}

/// The job queues of the kinds of work that are not only this service's own.
async fn job_queues(config: &Config) -> Vec<Answer> {
    let (executors, jobs) = (config.executors(), config.jobs());
    let mut answers = Vec::new();
    for (kind, executor) in executors.of_batch() {
        let (queue, key) = (&jobs.of(kind).queue, format!("batch.{kind}_queue"));
        if queue.is_empty() {
            let hint = format!("executor.{kind} is {executor}: the maintainer needs it and batch.{kind}_job");
            answers.push(Answer::warning(key, "it is not set", &hint));
            continue;
        }
        let aws = outport_aws::load(&config.aws().access()).await;
        let asked = Batch::new(&aws).named(queue, "outport-config-check").await;
        answers.push(Answer::of(format!("{key}, {queue}"), &asked));
    }
    answers
}

/// The secrets of all endpoints: whether they can be read, without reading those of AWS.
async fn secrets(config: &Config, store: &Store) -> Vec<Answer> {
    let endpoints = match list::endpoints::credentials(store, Page { limit: 10_000 }).await {
        Ok(endpoints) => endpoints,
        Err(error) => return vec![Answer::of::<()>("the endpoints".into(), &Err(error.fault()))],
    };
    let secrets = Secrets::new(config.aws().access());
    let mut answers = Vec::new();
    for (label, credential) in endpoints {
        let what = format!("the secrets of {label}");
        let version = match CredentialRef::from_stored(&credential) {
            Ok(credential) => secrets.version(&credential, &label).await,
            Err(problem) => Err(Fault::new(&code::ENDPOINT_SECRET_UNUSABLE, format!("{label}: {problem}"))),
        };
        answers.push(Answer::of(what, &version));
    }
    answers
}

fn tell(answers: &[Answer]) -> Result<(), Fault> {
    for answer in answers {
        output::line(&format!("{:<8} {}", answer.result, output::safe(&answer.what)))?;
        if let Some(message) = &answer.message {
            let code = answer.code.map_or_else(String::new, |code| format!(" [{code}]"));
            output::line(&format!("         {}{code}", output::safe(message)))?;
        }
        if let Some(hint) = &answer.hint {
            output::line(&format!("         hint: {}", output::safe(hint)))?;
        }
    }
    Ok(())
}
