//! The memory of `outport up` while it works off a small and a large backlog.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use outport_tests::invariants;
use outport_tests::site::Up;

use super::running::Running;
use crate::backlog::{Copies, Standing, load};
use crate::cost::Meter;
use crate::options::{Kind, Options};
use crate::table::{Goal, Line, Table};
use crate::world::block_on;

/// Two, because a lane may take only three quarters of a process' places.
const PARTNERS: u32 = 2;
/// What a process may have without any delivery.
const BASE_MIB: f64 = 80.0;
/// What it may have more for each delivery in flight.
const EACH_MIB: f64 = 1.0;

const DELIVERED: &str = "outport_deliveries_delivered_total";
const IN_FLIGHT: &str = "outport_sends_in_flight";
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LIMIT: Duration = Duration::from_secs(600);

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        for backlog in [options.small_backlog, options.backlog] {
            on(kind, backlog, options, table)?;
        }
    }
    Ok(())
}

fn on(kind: Kind, backlog: u64, options: &Options, table: &mut Table) -> Result<()> {
    let running = Running::new(kind, PARTNERS)?;
    // One real file, so that there is an artifact; then the engine stops, and a backlog of copies of it appears.
    let mut up = running.site.up()?;
    running.deliver("model.bin", &vec![b'x'; options.file_kib * 1024])?;
    ensure!(up.stop(running.site.limit(30))?.success(), "outport up did not end well: {}", up.log());
    block_on(async {
        let raw = invariants::connect(&running.site.database_url()).await?;
        let copies =
            Copies { batch: 1, count: backlog, subscriptions: "LIKE '%-documents'", standing: Standing::Due };
        load(&raw, &copies).await?;
        Ok(raw.close().await?)
    })?;
    let mut up = running.site.up()?;
    let meter = Meter::start(up.pid(), None)?;
    let in_flight = work(&up, options.sample.min(backlog))?;
    let cost = meter.stop(None)?;
    ensure!(up.stop(running.site.limit(30))?.success(), "outport up did not end well: {}", up.log());
    running.site.assert_invariants()?;
    let allowed = BASE_MIB + EACH_MIB * in_flight as f64;
    table.add(Line {
        what: format!("peak memory with {backlog} waiting, files of {} KiB", options.file_kib),
        database: kind.to_string(),
        measured: cost.peak_mib,
        unit: "MiB",
        goal: Goal::AtMost(allowed),
        cost,
        note: format!(
            "{in_flight} in flight: {:.2} MiB each above {BASE_MIB} MiB",
            ((cost.peak_mib - BASE_MIB) / in_flight.max(1) as f64).max(0.0)
        ),
    });
    Ok(())
}

/// Waits until `sample` deliveries are delivered; the most that were in flight at a look.
fn work(up: &Up, sample: u64) -> Result<u64> {
    let deadline = Instant::now() + LIMIT;
    let mut most = 0;
    loop {
        most = most.max(up.counter(IN_FLIGHT)?);
        let delivered = up.counter(DELIVERED)?;
        if delivered >= sample {
            return Ok(most);
        }
        ensure!(
            Instant::now() < deadline,
            "{delivered} of {sample} delivered within {LIMIT:?}: {}",
            up.log()
        );
        std::thread::sleep(LOOK_EVERY);
    }
}
