//! No job is stranded behind a lane that a claimer moved into the future.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use outport_store::claim_sends::{self, Limits};
use outport_store::enqueue::dispatch;
use outport_store::lanes;
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};

use super::on_both;
use super::world::{World, arrival, worker};

on_both!(enqueue_races_claim, an_uncommitted_enqueue_is_not_passed_over);

/// One enqueuer and two claimers, as fast as they can, on one lane. Whatever the interleaving: in the end everything was
/// claimed, and deriving the lanes again corrects nothing.
async fn enqueue_races_claim(world: World) {
    const FILES: usize = 150;
    world.define(&["a"], None).await;
    world.sql("UPDATE lane SET cap = 100000, ramp = 100000, max_connections = 60").await;
    let enqueued = Arc::new(AtomicBool::new(false));
    let mut claimers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (store, timing, enqueued) = (world.store.clone(), world.timing.clone(), enqueued.clone());
        claimers.spawn(async move {
            let (mine, limits) = (worker(), Limits { lanes: 4, deliveries: 500, per_lane: 500 });
            let (mut got, mut idle_rounds) = (0, 0);
            while idle_rounds < 30 {
                let claim = claim_sends::claim(&store, mine, limits, &timing).await.unwrap();
                got += claim.sends.len();
                idle_rounds = if claim.sends.is_empty() && enqueued.load(Ordering::SeqCst) {
                    idle_rounds + 1
                } else {
                    0
                };
            }
            got
        });
    }
    for n in 0..FILES {
        dispatch(&world.store, &arrival(&format!("f{n}"), "v1"), |_, _| None).await.unwrap();
    }
    enqueued.store(true, Ordering::SeqCst);
    let got: usize = claimers.join_all().await.into_iter().sum();
    assert_eq!(lanes::rederive(&world.store).await.unwrap(), 0, "a correction would be a bug");
    let left = world.claim().await.sends.len();
    assert_eq!((got + left, left), (FILES, 0), "claimed while racing, and after it");
}

/// The race step by step: the claimer comes while an enqueue has inserted its job but not committed.
async fn an_uncommitted_enqueue_is_not_passed_over(world: World) {
    if world.raw.get_database_backend() == DbBackend::Sqlite {
        return; // One writer at a time: there is no such moment.
    }
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let delivery = world.deliveries().await[0].id;
    // Take the job away and put it back in a transaction of our own, the way enqueue does: job first, lane last.
    world.sql("DELETE FROM send_job").await;
    world.sql("UPDATE lane SET next_due_at = 1").await;
    let enqueue = world.raw.begin().await.unwrap();
    let postgres = |sql: &str, delivery: outport_core::DeliveryId| {
        Statement::from_sql_and_values(DbBackend::Postgres, sql, [delivery.uuid().into()])
    };
    enqueue
        .execute_raw(postgres(
            "INSERT INTO send_job (delivery_id, endpoint_id, remote_name, due_at) \
             SELECT id, endpoint_id, remote_name, 5 FROM delivery WHERE id = $1",
            delivery,
        ))
        .await
        .unwrap();
    assert!(world.claim().await.sends.is_empty(), "not visible yet");
    enqueue
        .execute_raw(postgres(
            "UPDATE lane SET next_due_at = LEAST(next_due_at, 5) \
             WHERE endpoint_id = (SELECT endpoint_id FROM delivery WHERE id = $1)",
            delivery,
        ))
        .await
        .unwrap();
    enqueue.commit().await.unwrap();
    assert_eq!(world.claim().await.sends.len(), 1, "the lane was not moved past the job");
}
