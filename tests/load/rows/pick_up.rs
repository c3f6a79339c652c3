//! From an arrival's transaction to the claim of its delivery, while the engine has nothing else to do.
//!
//! Measured by the database's clock: from `delivery.created_at` (taken inside the dispatch transaction, so its inserts and
//! its commit count, too) to `attempt.started_at` (taken inside the claim). Both are whole milliseconds.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use outport_core::ObjectKey;
use outport_core::event::{EventSource, ObjectEvent};
use outport_core::version::version_of;
use outport_store::Store;
use outport_store::claim_sends::ArtifactRow;
use outport_store::enqueue::{self, Arrival, Dispatched};
use outport_tests::invariants;
use outport_tests::site::BUCKET;

use super::idle::wait_until_idle;
use super::running::Running;
use crate::cost::Meter;
use crate::options::{Kind, Options};
use crate::statistics::{listed, median};
use crate::table::{Goal, Line, Table};
use crate::world::{self, CONTENT, block_on};

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        on(kind, options, table)?;
    }
    Ok(())
}

fn on(kind: Kind, options: &Options, table: &mut Table) -> Result<()> {
    let running = Running::new(kind, 1)?;
    let mut up = running.site.up()?;
    running.deliver("model.txt", CONTENT)?;
    wait_until_idle(&up)?;
    let meter = Meter::start(up.pid(), None)?;
    for n in 0..options.pick_ups {
        idle_a_moment();
        let key = format!("near-{n}.txt");
        // Renamed into place: it arrives at once.
        let hidden = running.bucket().join(format!(".{key}"));
        std::fs::write(&hidden, CONTENT)?;
        std::fs::rename(&hidden, running.bucket().join(&key))?;
        running.site.wait_for_state(&key, &running.endpoints[0], "delivered", 60)?;
        idle_a_moment();
        let key = format!("far-{n}.txt");
        block_on(dispatch_beside(&running.site.database_url(), &key))?;
        running.site.wait_for_state(&key, &running.endpoints[0], "delivered", 60)?;
    }
    let cost = meter.stop(None)?;
    ensure!(up.stop(running.site.limit(30))?.success(), "outport up did not end well: {}", up.log());
    running.site.assert_invariants()?;
    for (kind_of, what, goal) in [
        ("near", "pick-up when idle, p50: arrival in the same process", Goal::AtMost(25.0)),
        ("far", "pick-up when idle, p50: arrival by another process", Goal::None),
    ] {
        let took = block_on(waits(&running.site.database_url(), kind_of))?;
        ensure!(took.len() == options.pick_ups, "{} of {} were picked up", took.len(), options.pick_ups);
        table.add(Line {
            what: what.into(),
            database: kind.to_string(),
            measured: median(&took),
            unit: "ms",
            goal,
            cost,
            note: listed(&took, 0),
        });
    }
    Ok(())
}

/// Long enough for the engine to have nothing to do; of random length, because the engine asks once a second and each
/// moment between two questions must be as likely as any other.
fn idle_a_moment() {
    std::thread::sleep(Duration::from_millis(1_000 + rand::random_range(0..1_000)));
}

/// What a dispatcher in another process does; the content is that of the model file.
async fn dispatch_beside(url: &str, key: &str) -> Result<()> {
    let raw = invariants::connect(url).await?;
    let model = "FROM artifact a JOIN file f ON f.id = a.file_id WHERE f.key = 'model.txt'";
    let stored_key: String = world::value(&raw, &format!("SELECT a.key AS n {model}")).await?;
    let bucket: String = world::value(&raw, &format!("SELECT a.bucket AS n {model}")).await?;
    let sha256: String = world::value(&raw, &format!("SELECT a.sha256 AS n {model}")).await?;
    raw.close().await?;
    let arrival = Arrival {
        event: ObjectEvent {
            bucket: BUCKET.into(),
            key: ObjectKey::new(key)?,
            version_id: None,
            sequencer: None,
            etag: None,
            size_bytes: Some(CONTENT.len() as u64),
            event_at: 1,
            source: EventSource::Put,
            message_id: None,
        },
        version: version_of(Some(key), None, None).context("a version")?,
        original: ArtifactRow {
            bucket,
            key: stored_key,
            version_id: None,
            etag: None,
            size_bytes: CONTENT.len() as u64,
            sha256: Some(sha256),
        },
        signature: None,
        modified_at: None,
    };
    let store = Store::open(url).await?;
    let dispatched = enqueue::dispatch(&store, &arrival, |_, _| None).await?;
    store.close().await?;
    match dispatched {
        Dispatched::Routed { .. } => Ok(()),
        other => bail!("{key} was not routed: {other:?}"),
    }
}

/// Milliseconds from arrival to claim.
async fn waits(url: &str, kind: &str) -> Result<Vec<f64>> {
    let raw = invariants::connect(url).await?;
    let sql = format!(
        "SELECT a.started_at - d.created_at AS n FROM attempt a JOIN delivery d ON d.id = a.delivery_id \
         JOIN file f ON f.id = d.file_id WHERE a.n = 1 AND f.key LIKE '{kind}-%' ORDER BY d.created_at"
    );
    let waits: Vec<i64> = world::values(&raw, &sql).await?;
    raw.close().await?;
    Ok(waits.into_iter().map(|ms| ms as f64).collect())
}
