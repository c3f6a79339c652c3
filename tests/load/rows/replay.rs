//! How long a replay of many deliveries is planned, and how fast its deliveries are created.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use outport_core::ReplayId;
use outport_core::replay::{Filter, ReplayConfig, ReplayMode, Standing as Taken};
use outport_store::replay::plan::{Plan, Question, plan};
use outport_store::replay::run::{PAGE, Step, step};
use outport_store::replay::start::{Request, Started, start};
use outport_tests::invariants;

use crate::backlog::{Copies, Standing, load};
use crate::bed::Bed;
use crate::cost::Cost;
use crate::options::{Kind, Options};
use crate::statistics::{listed, median, percentile};
use crate::table::{Goal, Line, Table};
use crate::world::{self, block_on};

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        block_on(on(kind, options, table))?;
    }
    Ok(())
}

async fn on(kind: Kind, options: &Options, table: &mut Table) -> Result<()> {
    let bed = filled(kind, options).await?;
    let planned = planning(&bed, options, table, kind).await?;
    ensure!(planned.sendable == options.planned, "{} of {} can be sent", planned.sendable, options.planned);
    let created = creation(&bed, options, &planned).await?;
    check(&bed, created.count).await?;
    table.add(Line {
        what: format!("replay creation, {} lanes, pages of {PAGE}", options.lanes),
        database: kind.to_string(),
        measured: median(&created.rates),
        unit: "/s",
        goal: Goal::AtLeast(2_000.0),
        cost: created.cost,
        note: format!(
            "rounds {}; {:.2} ms CPU each, {:.1} statements a page; page p50 {:.0} ms, p99 {:.0} ms",
            listed(&created.rates, 0),
            cpu_ms(created.cost) / created.count as f64,
            created.statements as f64 / created.pages.len() as f64,
            percentile(&created.pages, 50.0),
            percentile(&created.pages, 99.0),
        ),
    });
    bed.close().await
}

/// One in a hundred failed, the others have arrived.
async fn filled(kind: Kind, options: &Options) -> Result<Bed> {
    let bed = Bed::with_partners(kind, options.lanes, false).await?;
    let failed = options.planned / 100;
    for (batch, count, standing) in
        [(1, options.planned - failed, Standing::Delivered), (2, failed, Standing::Failed)]
    {
        load(&bed.raw, &Copies { batch, count, subscriptions: "LIKE 'p%'", standing }).await?;
    }
    bed.settle().await?;
    Ok(bed)
}

/// All that is settled; nothing was replayed yet.
fn question() -> Question {
    let filter = Filter { state: vec![Taken::Delivered, Taken::Failed], ..Filter::default() };
    Question { mode: ReplayMode::Redeliver, config: ReplayConfig::Current, filter }
}

async fn planning(bed: &Bed, options: &Options, table: &mut Table, kind: Kind) -> Result<Plan> {
    let meter = bed.meter().await?;
    let mut took = Vec::new();
    let planned = loop {
        let began = Instant::now();
        let planned = plan(&bed.store, &question(), |_, _| None).await?;
        took.push(began.elapsed().as_secs_f64());
        if took.len() >= options.rounds {
            break planned;
        }
    };
    let cost = bed.cost(meter).await?;
    table.add(Line {
        what: format!("replay plan of {} settled", options.planned),
        database: kind.to_string(),
        measured: median(&took),
        unit: "s",
        goal: Goal::AtMost(3.0),
        cost,
        note: format!(
            "rounds {}; {:.2} s CPU each",
            listed(&took, 2),
            cpu_ms(cost) / 1_000.0 / took.len() as f64
        ),
    });
    Ok(planned)
}

/// What the creation of a part of the replay came to.
#[derive(Debug, Default)]
struct Created {
    count: u64,
    statements: u64,
    /// A second, by round.
    rates: Vec<f64>,
    /// Each page, in milliseconds.
    pages: Vec<f64>,
    cost: Cost,
}

async fn creation(bed: &Bed, options: &Options, planned: &Plan) -> Result<Created> {
    let replay = started(bed, planned).await?;
    let mut all = Created::default();
    let (meter, said) = (bed.meter().await?, bed.store.statements());
    for _ in 0..options.rounds {
        let (mut created, mut spent) = (0, Duration::ZERO);
        while created < options.replayed {
            let began = Instant::now();
            match step(&bed.store, replay, PAGE, |_, _| None).await? {
                Step::Page { created: some, skipped: 0, last: false } => created += u64::from(some),
                other => bail!("a page was not created: {other:?}"),
            }
            spent += began.elapsed();
            all.pages.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        all.count += created;
        all.rates.push(created as f64 / spent.as_secs_f64());
    }
    all.statements = bed.store.statements() - said;
    all.cost = bed.cost(meter).await?;
    Ok(all)
}

async fn started(bed: &Bed, planned: &Plan) -> Result<ReplayId> {
    let request = Request {
        question: question(),
        per_minute: None,
        reason: "to measure it".into(),
        idempotency_key: "load".into(),
        actor: "operator:load".into(),
    };
    match start(&bed.store, &request, planned).await? {
        Started::New(replay) => Ok(replay),
        Started::Known(replay) => bail!("{replay} was there before"),
    }
}

/// Each item has its delivery and its job, each source one; and the invariants hold.
async fn check(bed: &Bed, created: u64) -> Result<()> {
    for (what, sql) in [
        ("items", "SELECT count(*) AS n FROM replay_item WHERE delivery_id IS NOT NULL"),
        ("deliveries", "SELECT count(*) AS n FROM delivery WHERE origin = 'replay' AND state = 'queued'"),
        ("sources", "SELECT count(DISTINCT source_id) AS n FROM delivery WHERE origin = 'replay'"),
        (
            "jobs of them",
            "SELECT count(*) AS n FROM send_job j JOIN delivery d ON d.id = j.delivery_id WHERE d.origin = 'replay'",
        ),
    ] {
        let n: i64 = world::value(&bed.raw, sql).await?;
        ensure!(u64::try_from(n)? == created, "{n} {what} of {created} created");
    }
    invariants::assert_all(&bed.raw).await
}

fn cpu_ms(cost: Cost) -> f64 {
    (cost.own_cpu_s + cost.server_cpu_s.unwrap_or_default()) * 1_000.0
}
