//! Files a second from uploads to the partner: events of moto's SQS, objects of moto's S3, PostgreSQL, each file through a
//! transform, and a partner that is nowhere.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use outport_tests::invariants;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::fake_batch::FakeBatch;
use outport_tests::site::{Site, Up};
use outport_tests::statistics::median;

use super::running::Running;
use crate::cost::{Cost, Meter};
use crate::options::{Kind, Options};
use crate::table::{Goal, Line, Table};
use crate::world::{self, block_on};

const LIMIT: Duration = Duration::from_secs(900);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Sixteen kibibytes of records.
fn file() -> String {
    "{\"claim\":1234567,\"patient\":\"somebody\",\"amount\":12.50,\"note\":\"0123456789012345678901234567890123\"}\n"
        .repeat(160)
}

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    if !options.databases().contains(&Kind::Postgres) {
        return Ok(());
    }
    for executor in ["local", "hybrid", "batch"] {
        let mut rates = Vec::new();
        let mut costs = Cost::default();
        for _ in 0..options.rounds {
            let (rate, cost) = round(executor, options.cloud_files)?;
            rates.push(rate);
            costs = costs.plus(cost);
        }
        let shown: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
        table.add(Line {
            what: format!(
                "{} files from S3 through a transform to a partner, {executor}",
                options.cloud_files
            ),
            database: Kind::Postgres.to_string(),
            measured: median(&rates),
            unit: "files/s",
            goal: Goal::None,
            cost: costs,
            note: format!("rounds: {}; processor time of the service alone", shown.join(", ")),
        });
    }
    Ok(())
}

/// Uploads first, then the engine starts: files a second from its start to the last delivery. Transforms and sends may come
/// one after the other, so that the time between first and last delivery alone would flatter.
fn round(executor: &str, files: usize) -> Result<(f64, Cost)> {
    let cloud = Cloud::start()?;
    let site = cloud
        .settings(Site::on_postgres()?.in_real_time())
        .with("OUTPORT_EXECUTOR_TRANSFORM", executor)
        .with("OUTPORT_EXECUTOR_SEND", executor)
        .with("OUTPORT_BATCH_MAX_WORKERS", "2");
    let (_batch, site) = FakeBatch::of(site)?;
    let running = Running::on(site, 1)?;
    let content = file();
    for n in 0..files {
        cloud.upload(&format!("claims/{n}.ndjson"), content.as_bytes())?;
    }
    let started = SystemTime::now();
    let mut up = running.site.up()?;
    let meter = Meter::start(up.pid(), None)?;
    let rate = work(&running.site, &up, files, started)?;
    let cost = meter.stop(None)?;
    ensure!(up.stop(running.site.limit(30))?.success(), "outport up did not end well: {}", up.log());
    running.site.assert_invariants()?;
    Ok((rate, cost))
}

fn work(site: &Site, up: &Up, files: usize, started: SystemTime) -> Result<f64> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let delivered = site.count("SELECT count(*) AS n FROM delivery WHERE delivered")?;
        if delivered == files {
            break;
        }
        ensure!(Instant::now() < deadline, "{delivered} of {files} within {LIMIT:?}: {}", up.log());
        std::thread::sleep(LOOK_EVERY);
    }
    let last: i64 = block_on(async {
        let raw = invariants::connect(&site.database_url()).await?;
        let last = world::value(&raw, "SELECT max(settled_at) AS n FROM delivery").await?;
        raw.close().await?;
        Ok(last)
    })?;
    let took_ms = last - i64::try_from(started.duration_since(UNIX_EPOCH)?.as_millis())?;
    ensure!(took_ms > 0, "the last delivery was settled before the engine started");
    Ok(files as f64 * 1000.0 / took_ms as f64)
}
