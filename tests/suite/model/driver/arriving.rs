//! What arrives.

use anyhow::{bail, ensure};
use outport_store::enqueue::{self, Dispatched};

use super::{Driver, nth};
use crate::conformance::world::arrival;
use crate::model::action::KEYS;
use crate::model::ledger::File;
use crate::model::time::When;

impl Driver<'_> {
    pub(super) async fn arrive(&mut self, key: usize, from: i64) -> anyhow::Result<When> {
        let version = self.ledger.files.len();
        let dispatched = self.dispatch(key, version).await?;
        let active = self.ledger.subscriptions.iter().filter(|s| s.enabled).count();
        let id = match dispatched {
            Dispatched::Routed { file, deliveries, .. } if deliveries == active => file,
            Dispatched::Unrouted { file } if active == 0 => file,
            other => bail!("with {active} subscriptions: {other:?}"),
        };
        let now = self.since(from).await?;
        self.ledger.files.push(File { id, key, version });
        self.ledger.sightings += 1;
        self.store().arrived(&mut self.ledger, version, now).await?;
        self.tell(&format!("version {version} of {}", KEYS[key]));
        Ok(now)
    }

    pub(super) async fn arrive_again(&mut self, file: usize) -> anyhow::Result<()> {
        let Some(file) = nth(&self.ledger.files, file).cloned() else { return Ok(()) };
        let dispatched = self.dispatch(file.key, file.version).await?;
        ensure!(dispatched == Dispatched::Duplicate { file: file.id }, "a known file: {dispatched:?}");
        self.ledger.sightings += 1;
        Ok(())
    }

    pub(super) async fn dispatch(&self, key: usize, version: usize) -> anyhow::Result<Dispatched> {
        let arrival = arrival(KEYS[key], &format!("v{version}"));
        Ok(enqueue::dispatch(&self.world.store, &arrival, |_, _| None).await?)
    }
}
