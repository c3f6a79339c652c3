//! Who does the work, and how workers of Batch are started.

use std::time::Duration;

use outport_core::batch::{Executor, Sizing, WorkKind};
use outport_core::settings::Span;
use outport_core::{Fault, code};
use serde::{Deserialize, Deserializer};

use crate::executor::Executors;

/// The section `executor`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorSection {
    #[serde(deserialize_with = "word")]
    transform: Executor,
    #[serde(deserialize_with = "word")]
    send: Executor,
    local_mib: u32,
    help_after: Span,
}

fn word<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Executor, D::Error> {
    let word = String::deserialize(deserializer)?;
    word.parse().map_err(|_| serde::de::Error::custom(format!("{word:?} is none of local, batch, hybrid")))
}

/// The section `batch`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchSection {
    transform_queue: String,
    transform_job: String,
    send_queue: String,
    send_job: String,
    events: String,
    worker_for: Span,
    transforms_per_worker: u32,
    sends_per_worker: u32,
    max_workers: u32,
    single_mib: u32,
    timeout: Span,
    single_timeout: Span,
    patience: Span,
}

/// How workers of Batch are started.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// By kind: all that are not local.
    pub transform: JobSettings,
    pub send: JobSettings,
    /// URL of the queue with Batch's state changes.
    pub events: Option<String>,
    /// How long a worker takes work.
    pub worker_for: Duration,
    /// After so long Batch ends a worker.
    pub timeout: Duration,
    pub single_timeout: Duration,
    /// How long a job may wait for a machine.
    pub patience: Duration,
}

/// The jobs of one kind.
#[derive(Debug, Clone)]
pub struct JobSettings {
    pub queue: String,
    pub definition: String,
    pub sizing: Sizing,
}

impl Jobs {
    pub fn of(&self, kind: WorkKind) -> &JobSettings {
        match kind {
            WorkKind::Transform => &self.transform,
            WorkKind::Send => &self.send,
        }
    }
}

const MIB: u64 = 1024 * 1024;

/// Batch takes no shorter one.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(60);

impl ExecutorSection {
    /// What can be said without asking anybody.
    pub fn check(&self, batch: &BatchSection, is_sqlite: bool) -> Result<(), Fault> {
        let wrong = |what: String| Err(Fault::new(&code::CONFIG_INVALID, what));
        for (key, executor) in [("executor.transform", self.transform), ("executor.send", self.send)] {
            if executor != Executor::Local && is_sqlite {
                return wrong(format!(
                    "{key} is {executor}, and the database is a file of this machine: workers elsewhere cannot reach it; \
                     set database to postgres://..."
                ));
            }
        }
        if self.local_mib > batch.single_mib {
            let (local, single) = (self.local_mib, batch.single_mib);
            return wrong(format!(
                "executor.local_mib is {local}, it must not be larger than batch.single_mib, {single}"
            ));
        }
        batch.check()
    }

    pub fn executors(&self, batch: &BatchSection) -> Executors {
        Executors {
            transform: self.transform,
            send: self.send,
            local_up_to: u64::from(self.local_mib) * MIB,
            single_above: u64::from(batch.single_mib) * MIB,
            help_after: self.help_after.0,
            patience: batch.patience.0,
        }
    }
}

impl BatchSection {
    fn check(&self) -> Result<(), Fault> {
        let wrong = |what: String| Err(Fault::new(&code::CONFIG_INVALID, what));
        for (key, number) in [
            ("batch.transforms_per_worker", self.transforms_per_worker),
            ("batch.sends_per_worker", self.sends_per_worker),
            ("batch.max_workers", self.max_workers),
            ("batch.single_mib", self.single_mib),
        ] {
            if number == 0 {
                return wrong(format!("{key} must be at least 1"));
            }
        }
        for (key, timeout) in [("batch.timeout", self.timeout), ("batch.single_timeout", self.single_timeout)]
        {
            if timeout.0 < SHORTEST_TIMEOUT {
                return wrong(format!("{key} is {timeout}, Batch takes no shorter one than 60s"));
            }
            if timeout.0 <= self.worker_for.0 {
                return wrong(format!(
                    "{key} is {timeout}, it must be longer than batch.worker_for, {}",
                    self.worker_for
                ));
            }
        }
        Ok(())
    }

    pub fn jobs(&self) -> Jobs {
        let of = |queue: &str, definition: &str, per_worker| JobSettings {
            queue: queue.to_owned(),
            definition: definition.to_owned(),
            sizing: Sizing { per_worker, max_workers: self.max_workers },
        };
        Jobs {
            transform: of(&self.transform_queue, &self.transform_job, self.transforms_per_worker),
            send: of(&self.send_queue, &self.send_job, self.sends_per_worker),
            events: Some(self.events.clone()).filter(|url| !url.is_empty()),
            worker_for: self.worker_for.0,
            timeout: self.timeout.0,
            single_timeout: self.single_timeout.0,
            patience: self.patience.0,
        }
    }
}
