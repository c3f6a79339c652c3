//! A million settled deliveries: how long a plan takes, and how fast a replay creates.

use std::time::Instant;

use outport_core::replay::{Filter, Standing};
use outport_store::Dialect;
use outport_store::replay::run::PAGE;
use outport_store::replay::run::Step;
use outport_tests::need;
use outport_tests::set;

use super::super::on_both;
use super::super::world::World;
use super::{in_state, redeliver, request};

on_both!(a_million);

/// What is promised stands in docs/STATES.md, with the numbers that were measured; a machine that does other things meanwhile
/// is slower, so what fails here is an order of magnitude: a statement that lost its index.
const SLOWER: f64 = 10.0;
/// As many are created before the rate is taken.
const CREATED: u32 = 40_000;

async fn a_million(world: World) {
    need!(set::full());
    // OUTPORT_TEST_ROWS: fewer, for a quick look.
    let rows = std::env::var("OUTPORT_TEST_ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    fill(&world, rows).await;
    let all = in_state(&[Standing::Failed, Standing::Delivered]);
    for (what, filter) in [
        ("all", all.clone()),
        ("failed", in_state(&[Standing::Failed])),
        ("the last 10,000", Filter { since: since(i64::from(rows) - 10_000), ..all.clone() }),
        ("by name", Filter { name: Some("9999*".parse().unwrap()), ..all.clone() }),
    ] {
        let question = redeliver(filter);
        let began = Instant::now();
        let plan = world.plan(&question).await;
        let took = began.elapsed();
        println!("{:?}: plan of {what}: {} selected, {took:.2?}", world.store.dialect(), plan.selected);
        assert!(took.as_secs_f64() < 3.0 * SLOWER, "{what}: {took:?}");
    }
    let replay = world.start(&request(redeliver(all), "k")).await;
    let (began, mut created) = (Instant::now(), 0);
    while created < CREATED {
        match world.step(replay, PAGE).await {
            Step::Page { created: some, skipped: 0, .. } => created += some,
            other => panic!("{other:?}"),
        }
    }
    let rate = f64::from(created) / began.elapsed().as_secs_f64();
    println!("{:?}: created {created} at {rate:.0}/s", world.store.dialect());
    assert!(rate >= 2_000.0 / SLOWER, "{rate:.0}/s");
    // No receipts were written: the invariants that are asked after each test need not hold for these.
    world.sql("UPDATE delivery SET state = 'cancelled' WHERE state = 'delivered'").await;
}

fn since(at: i64) -> Option<outport_core::replay::Moment> {
    Some(outport_core::replay::Moment { at, given: "x".into() })
}

/// Straight into the tables: of a hundred deliveries one failed, the others have arrived.
async fn fill(world: &World, rows: u32) {
    world.define(&["a"], None).await;
    let (id, series) = match world.store.dialect() {
        Dialect::Postgres => (
            "CAST('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0') AS uuid)",
            format!("generate_series(1, {rows}) AS n"),
        ),
        Dialect::Sqlite => (
            "unhex('00000000000070008000' || printf('%012x', n))",
            format!(
                "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) SELECT n FROM s)"
            ),
        ),
    };
    world
        .sql(&format!(
            "INSERT INTO file (id, bucket, key, version, size_bytes, event_at, arrived_at, file_group_id, state) \
             SELECT {id}, 'in', 'in/' || n, 'v', 3, 1, 1, g.id, 'routed' FROM {series}, file_group g"
        ))
        .await;
    world
        .sql(
            "INSERT INTO artifact (id, file_id, role, bucket, key, size_bytes, sha256, created_at) \
             SELECT id, id, 'original', 'originals', key, 3, 'x', 1 FROM file",
        )
        .await;
    let snapshot = r#"{"subscription":"a-files","subscription_revision":1,"endpoint_revision":1,"retry":{},"on_unconfirmed":"resend","stale":"skip"}"#;
    let json = if world.store.dialect() == Dialect::Postgres { "::jsonb" } else { "" };
    world
        .sql(&format!(
            "INSERT INTO delivery (id, file_id, subscription_id, subscriber_id, endpoint_id, artifact_id, origin, state, \
             max_attempts, deadline_at, remote_name, snapshot, created_at, settled_at) \
             SELECT {id}, {id}, s.id, s.subscriber_id, s.endpoint_id, {id}, 'arrival', \
               CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'delivered' END, 12, 1, 'in/' || n, '{snapshot}'{json}, 1, n \
             FROM {series}, subscription s"
        ))
        .await;
    world.sql("ANALYZE").await;
}
