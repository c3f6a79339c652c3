//! Configuration: one embedded, commented default file; a file of the user's; environment variables.

mod aws;
mod executor;
mod layers;
mod roots;

use std::path::{Path, PathBuf};
use std::time::Duration;

use outport_core::settings::Span;
use outport_core::{Fault, Timing, code};
use serde::Deserialize;

use crate::executor::Executors;
use crate::webhook::Webhook;
pub use aws::Aws;
pub use executor::Jobs;
use executor::{BatchSection, ExecutorSection};
pub use layers::Setting;
pub use roots::Roots;

/// The default file, which is also the reference.
pub const DEFAULTS: &str = include_str!("default.toml");

/// SQS hides a message for 12 h at most.
const MAX_SETTLE: Duration = Duration::from_secs(12 * 3600);

/// The values in force.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    data: PathBuf,
    database: String,
    buckets: Root,
    artifacts: Root,
    aws: Aws,
    intake: Intake,
    executor: ExecutorSection,
    batch: BatchSection,
    retention: RetentionSpans,
    pub workers: Workers,
    pub health: Health,
    pub notify: Notify,
    pub log: Log,
    metrics: MetricsSection,
    timing: Scale,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    root: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Intake {
    quiet: Span,
    sweep: Span,
    horizon: Span,
    queue: String,
    dead_letters: String,
    settle: Span,
    reconcile: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetentionSpans {
    artifacts: Span,
    ledger: Span,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Stored content.
    pub artifacts: Duration,
    /// Rows of settled files, and history.
    pub ledger: Duration,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workers {
    pub transforms: u16,
    pub sends: u16,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    pub listen: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    pub webhook: String,
    pub secret: String,
    pub topic: String,
    pub ca: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
    pub file_names: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricsSection {
    namespace: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    scale: f64,
}

impl Config {
    /// Reads all layers. `file` is the one named by --config; `data` overrides the data folder (--data).
    pub fn load(file: Option<&Path>, data: Option<&Path>) -> Result<(Self, Vec<Setting>), Fault> {
        let environment =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let settings = layers::merge(file, data, environment)?;
        let config = read(&settings)?;
        config.check()?;
        Ok((config, settings))
    }

    fn check(&self) -> Result<(), Fault> {
        let wrong = |what: String| Err(Fault::new(&code::CONFIG_INVALID, what));
        if self.workers.transforms == 0 || self.workers.sends == 0 {
            return wrong("workers.transforms and workers.sends must be at least 1".into());
        }
        if !(0.0001..=10.0).contains(&self.timing.scale) {
            return wrong(format!("timing.scale is {}, it must be between 0.0001 and 10", self.timing.scale));
        }
        Webhook::of(&self.notify)?;
        self.aws.check()?;
        self.executor.check(&self.batch, self.database().starts_with("sqlite:"))?;
        if matches!(self.roots()?, Roots::Folders { .. }) && self.queue().is_some() {
            return wrong("intake.queue is set, and buckets.root is a folder: folders are watched, not told of by a queue".into());
        }
        if self.intake.settle.0 > MAX_SETTLE {
            return wrong(format!("intake.settle is {}, it must not be longer than 12h", self.intake.settle));
        }
        if self.intake.sweep.0 < Duration::from_millis(10) {
            return wrong(format!("intake.sweep is {}, it must be at least 10ms", self.intake.sweep));
        }
        if self.retention.ledger.0 <= self.intake.horizon.0 {
            // A forgotten file that a sweep still looks at would be taken for a new one, and sent again.
            return wrong(format!(
                "retention.ledger is {}, it must be longer than intake.horizon, {}",
                self.retention.ledger, self.intake.horizon
            ));
        }
        if self.retention.artifacts.0 > self.retention.ledger.0 {
            return wrong(format!(
                "retention.artifacts is {}, it must not be longer than retention.ledger, {}",
                self.retention.artifacts, self.retention.ledger
            ));
        }
        Ok(())
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The database's URL.
    pub fn database(&self) -> String {
        if self.database.is_empty() {
            format!("sqlite:{}", self.data.join("outport.db").display())
        } else {
            self.database.clone()
        }
    }

    /// Where objects lie: in folders, or in S3.
    pub fn roots(&self) -> Result<Roots, Fault> {
        Roots::parse(&self.data, &self.buckets.root, &self.artifacts.root)
    }

    /// How AWS is reached.
    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    /// The queue with the events of buckets of S3.
    pub fn queue(&self) -> Option<&str> {
        Some(self.intake.queue.as_str()).filter(|url| !url.is_empty())
    }

    /// Its dead letters.
    pub fn dead_letters(&self) -> Option<&str> {
        Some(self.intake.dead_letters.as_str()).filter(|url| !url.is_empty())
    }

    /// How long an object of S3 must stay as it is before it counts as arrived.
    pub fn settle(&self) -> Duration {
        self.intake.settle.0
    }

    /// How often buckets of S3 are compared with the ledger; `None`: never.
    pub fn reconcile(&self) -> Option<Duration> {
        Some(self.intake.reconcile.0).filter(|every| !every.is_zero())
    }

    /// Who does the work.
    pub fn executors(&self) -> Executors {
        self.executor.executors(&self.batch)
    }

    /// How workers of Batch are started.
    pub fn jobs(&self) -> Jobs {
        self.batch.jobs()
    }

    /// The namespace of the figures in the log.
    pub fn metrics_namespace(&self) -> Option<String> {
        Some(self.metrics.namespace.clone()).filter(|namespace| !namespace.is_empty())
    }

    /// How long things are kept.
    pub fn retention(&self) -> Retention {
        Retention { artifacts: self.retention.artifacts.0, ledger: self.retention.ledger.0 }
    }

    /// How far back sweeps look.
    pub fn horizon(&self) -> Duration {
        self.intake.horizon.0
    }

    /// The engine's durations.
    pub fn timing(&self) -> Timing {
        let mut timing = Timing::default().scaled(self.timing.scale);
        timing.quiet = self.intake.quiet.0;
        timing.sweep = self.intake.sweep.0;
        timing
    }
}

/// The settings as a configuration. The parser says what is wrong with a value, but not whose value it is: so after a
/// fault each setting that is no default is tried by itself.
fn read(settings: &[Setting]) -> Result<Config, Fault> {
    let parsed = |settings: &[Setting]| -> Result<Result<Config, toml::de::Error>, Fault> {
        Ok(layers::table(settings)?.try_into())
    };
    let error = match parsed(settings)? {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let defaults = layers::defaults()?;
    for setting in settings {
        let alone: Vec<Setting> = defaults
            .iter()
            .map(|default| if default.key == setting.key { setting } else { default })
            .cloned()
            .collect();
        if let Err(error) = parsed(&alone)? {
            let message =
                format!("{} of {} is not possible: {}", setting.key, setting.origin, error.message().trim());
            let default =
                defaults.iter().find(|default| default.key == setting.key).map(|default| &default.value);
            let default = default.map_or_else(String::new, |value| format!("; the default is {value}"));
            let hint = format!("correct {}{default}", setting.key);
            return Err(Fault::new(&code::CONFIG_INVALID, message).with_hint(hint));
        }
    }
    Err(Fault::new(&code::CONFIG_INVALID, format!("a setting is not possible: {}", error.message().trim())))
}

/// Variables that are no setting and nearly have the name of one: most likely meant to be it.
pub fn misspelt(settings: &[Setting]) -> Vec<(String, String)> {
    let names: Vec<String> = settings.iter().map(|setting| layers::variable(&setting.key)).collect();
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| {
            name.starts_with("OUTPORT_")
                && !["OUTPORT_CONFIG", "OUTPORT_ACTOR"].contains(&name.as_str())
                && !names.contains(name)
        })
        .filter_map(|name| {
            let near = names.iter().find(|known| strsim::damerau_levenshtein(known, &name) <= 2)?;
            Some((name, near.clone()))
        })
        .collect()
}
