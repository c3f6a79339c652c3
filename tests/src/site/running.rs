//! A running `outport up`.

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::health;
use crate::child::{Child, Stream};
use crate::process::Outport;

/// Starting takes 100 ms; a busy machine may take longer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A process that runs every role. Dropping it kills it.
#[derive(Debug)]
pub struct Up {
    child: Child,
    health: SocketAddr,
}

impl Up {
    /// Starts it and waits until it is up.
    ///
    /// # Errors
    /// If it does not come up; the message holds what it printed.
    pub fn start(call: Outport) -> anyhow::Result<Self> {
        let child = call.start()?;
        let health = health_of(&child, START_LIMIT)?;
        Ok(Self { child, health })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Where /healthz, /readyz and /metrics are.
    pub fn health(&self) -> SocketAddr {
        self.health
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.child.printed(Stream::Err)
    }

    /// Waits for a line of its log with `part` in it.
    ///
    /// # Errors
    /// If there is none within `limit`.
    pub fn wait_for_log(&self, part: &str, limit: Duration) -> anyhow::Result<String> {
        self.child.wait_for_line(Stream::Err, part, limit)
    }

    /// A counter of /metrics by its full name.
    ///
    /// # Errors
    /// If there is no such counter.
    pub fn counter(&self, name: &str) -> anyhow::Result<u64> {
        let (_, text) = health::get(self.health, "/metrics")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.with_context(|| format!("{name} is not in:\n{text}"))?;
        value.parse().with_context(|| format!("{name} is {value}"))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// If it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.child.wait(limit)
    }

    /// Asks it to stop (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// If it still runs after `limit`.
    pub fn stop(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.child.stop(limit)
    }
}

/// Waits until `outport up` says that it is up; the address of its health.
///
/// # Errors
/// If it does not within `limit`, or does not log JSON.
pub fn health_of(up: &Child, limit: Duration) -> anyhow::Result<SocketAddr> {
    let line = up.wait_for_line(Stream::Err, "outport is up", limit)?;
    let line: Value = serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))?;
    let health = line["health"].as_str().and_then(|address| address.parse().ok());
    health.with_context(|| format!("it does not say where its health is: {line}"))
}
