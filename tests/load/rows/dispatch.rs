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

/// How files are recorded.
#[derive(Clone, Copy)]
struct Shape {
    dispatchers: u32,
    /// Files of one transaction.
    together: u32,
}

/// Files that come one by one; the same with four processes; and what one process does when many arrive.
const SHAPES: [Shape; 3] = [
    Shape { dispatchers: 1, together: 1 },
    Shape { dispatchers: 4, together: 1 },
    Shape { dispatchers: 1, together: 16 },
];

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        block_on(on(kind, options, table))?;
    }
    Ok(())
}

async fn on(kind: Kind, options: &Options, table: &mut Table) -> Result<()> {
    let bed = Bed::with_past(kind, SUBSCRIPTIONS, false).await?;
    bed.settle().await?;
    let mut rates = SHAPES.map(|_| Vec::new());
    let mut costs = [Cost::default(); SHAPES.len()];
    let mut statements = [0.0; SHAPES.len()];
    for round in 0..options.rounds {
        for (n, shape) in SHAPES.into_iter().enumerate() {
            let meter = bed.meter().await?;
            let (said, began) = (bed.store.statements(), Instant::now());
            dispatch(&bed, &format!("{round}-{n}"), options.files, shape).await?;
            rates[n].push(f64::from(options.files) / began.elapsed().as_secs_f64());
            statements[n] = (bed.store.statements() - said) as f64 / f64::from(options.files);
            costs[n] = costs[n].plus(bed.cost(meter).await?);
        }
    }
    let expected = i64::from(SUBSCRIPTIONS)
        * (1 + i64::from(options.files) * SHAPES.len() as i64 * i64::try_from(options.rounds)?);
    let queued: i64 =
        world::value(&bed.raw, "SELECT count(*) AS n FROM delivery WHERE state = 'queued'").await?;
    ensure!(queued == expected, "{queued} deliveries are queued, {expected} should be");
    invariants::assert_all(&bed.raw).await?;
    for (n, Shape { dispatchers, together }) in SHAPES.into_iter().enumerate() {
        table.add(Line {
            what: format!(
                "files dispatched x {SUBSCRIPTIONS} subscriptions, {together} together, {dispatchers} at a time"
            ),
            database: kind.to_string(),
            measured: median(&rates[n]),
            unit: "/s",
            goal: if kind == Kind::Postgres { Goal::AtLeast(200.0) } else { Goal::None },
            cost: costs[n],
            note: format!("rounds {}; {:.1} statements a file", listed(&rates[n], 0), statements[n]),
        });
    }
    bed.close().await
}

/// Dispatches `files` new files.
async fn dispatch(bed: &Bed, round: &str, files: u32, shape: Shape) -> Result<()> {
    let next = Arc::new(AtomicU32::new(0));
    let mut dispatchers = tokio::task::JoinSet::new();
    for _ in 0..shape.dispatchers {
        let (store, next, round) = (bed.store.clone(), next.clone(), round.to_owned());
        dispatchers.spawn(async move {
            loop {
                let first = next.fetch_add(shape.together, Ordering::Relaxed);
                let numbers = first..files.min(first.saturating_add(shape.together));
                if numbers.is_empty() {
                    return Ok(());
                }
                let arrivals =
                    numbers.map(|n| world::arrival(&format!("{round}-{n}"))).collect::<Result<Vec<_>>>()?;
                let answers = enqueue::dispatch_all(&store, &arrivals, |_, _| None).await;
                ensure!(answers.len() == arrivals.len(), "{} of {} answers", answers.len(), arrivals.len());
                for dispatched in answers {
                    let dispatched = dispatched?;
                    ensure!(matches!(dispatched, Dispatched::Routed { .. }), "not routed: {dispatched:?}");
                }
            }
        });
    }
    while let Some(ended) = dispatchers.join_next().await {
        ended.context("a dispatcher ended by a bug")??;
    }
    Ok(())
}
