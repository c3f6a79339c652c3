//! Files a second, each to ten subscriptions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use outport_store::enqueue::{self, Dispatched};
use outport_tests::invariants;

use crate::bed::Bed;
use crate::cost::Cost;
use crate::options::{Kind, Options};
use crate::statistics::{listed, median};
use crate::table::{Goal, Line, Table};
use crate::world::{self, block_on};

const SUBSCRIPTIONS: u32 = 10;

/// Files at a time: the dispatcher of one process takes them one after the other; four stand for several processes.
const AT_A_TIME: [u32; 2] = [1, 4];

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        block_on(on(kind, options, table))?;
    }
    Ok(())
}

async fn on(kind: Kind, options: &Options, table: &mut Table) -> Result<()> {
    let bed = Bed::with_past(kind, SUBSCRIPTIONS, false).await?;
    bed.settle().await?;
    let mut rates = [Vec::new(), Vec::new()];
    let mut costs = [Cost::default(); 2];
    let mut statements = 0.0;
    for round in 0..options.rounds {
        for (n, at_a_time) in AT_A_TIME.into_iter().enumerate() {
            let meter = bed.meter().await?;
            let (said, began) = (bed.store.statements(), Instant::now());
            dispatch(&bed, &format!("{round}-{n}"), options.files, at_a_time).await?;
            rates[n].push(f64::from(options.files) / began.elapsed().as_secs_f64());
            statements = (bed.store.statements() - said) as f64 / f64::from(options.files);
            costs[n] = costs[n].plus(bed.cost(meter).await?);
        }
    }
    let expected =
        i64::from(SUBSCRIPTIONS) * (1 + i64::from(options.files) * 2 * i64::try_from(options.rounds)?);
    let queued: i64 =
        world::value(&bed.raw, "SELECT count(*) AS n FROM delivery WHERE state = 'queued'").await?;
    ensure!(queued == expected, "{queued} deliveries are queued, {expected} should be");
    invariants::assert_all(&bed.raw).await?;
    for (n, at_a_time) in AT_A_TIME.into_iter().enumerate() {
        table.add(Line {
            what: format!("files dispatched x {SUBSCRIPTIONS} subscriptions, {at_a_time} at a time"),
            database: kind.to_string(),
            measured: median(&rates[n]),
            unit: "/s",
            goal: if kind == Kind::Postgres { Goal::AtLeast(200.0) } else { Goal::None },
            cost: costs[n],
            note: format!("rounds {}; {statements:.1} statements a file", listed(&rates[n], 0)),
        });
    }
    bed.close().await
}

/// Dispatches `files` new files.
async fn dispatch(bed: &Bed, round: &str, files: u32, at_a_time: u32) -> Result<()> {
    let next = Arc::new(AtomicU32::new(0));
    let mut dispatchers = tokio::task::JoinSet::new();
    for _ in 0..at_a_time {
        let (store, next, round) = (bed.store.clone(), next.clone(), round.to_owned());
        dispatchers.spawn(async move {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= files {
                    return Ok(());
                }
                let arrival = world::arrival(&format!("{round}-{n}"))?;
                let dispatched = enqueue::dispatch(&store, &arrival, |_| None).await?;
                ensure!(matches!(dispatched, Dispatched::Routed { .. }), "not routed: {dispatched:?}");
            }
        });
    }
    while let Some(ended) = dispatchers.join_next().await {
        ended.context("a dispatcher ended by a bug")??;
    }
    Ok(())
}
