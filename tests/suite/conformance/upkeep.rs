//! What the maintainer does for all: duties, retention, giving up.

use std::time::Duration;

use outport_core::delivery::DeliveryState;
use outport_store::duty::{self, Duty};
use outport_store::{give_up, retention};

use super::on_both;
use super::world::{World, worker};

on_both!(
    a_duty_is_one_process_at_a_time,
    the_next_holder_knows_how_far_a_duty_is_done,
    settled_files_go_and_open_ones_stay,
    stored_content_goes_before_its_rows,
    an_endpoint_that_stays_down_is_given_up_only_where_that_was_asked_for,
);

const TERM: Duration = Duration::from_secs(90);
/// Everything is older than this.
const NONE: Duration = Duration::ZERO;

async fn duty(world: &World) -> Duty {
    duty::hold(&world.store, "maintenance", world.worker, TERM).await.unwrap().unwrap()
}

async fn a_duty_is_one_process_at_a_time(world: World) {
    let first = duty(&world).await;
    assert_eq!(duty(&world).await, first, "its holder keeps it, in the same epoch");
    let other = worker();
    let hold = || duty::hold(&world.store, "maintenance", other, TERM);
    assert_eq!(hold().await.unwrap(), None);
    world.sql("UPDATE duty SET until = 1 WHERE name = 'maintenance'").await;
    let second = hold().await.unwrap().expect("a term that has run out is free");
    assert_eq!(second.epoch(), first.epoch() + 1);
    // The first one was away and does not know yet.
    assert_eq!(retention::prune_files(&world.store, first, NONE).await.unwrap(), None);
    assert_eq!(retention::prune_files(&world.store, second, NONE).await.unwrap(), Some(0));
}

async fn the_next_holder_knows_how_far_a_duty_is_done(world: World) {
    let first = duty(&world).await;
    assert_eq!(first.done_until(), None);
    first.is_done_until(&world.store, 1_000).await.unwrap();
    assert_eq!(duty(&world).await.done_until(), Some(1_000));
    world.sql("UPDATE duty SET until = 1 WHERE name = 'maintenance'").await;
    let second = duty::hold(&world.store, "maintenance", worker(), TERM).await.unwrap().unwrap();
    assert_eq!(second.done_until(), Some(1_000));
    // The first one was away: what it says late does not count.
    first.is_done_until(&world.store, 500).await.unwrap();
    second.is_done_until(&world.store, 2_000).await.unwrap();
    first.is_done_until(&world.store, 1_500).await.unwrap();
    assert_eq!(world.number("SELECT done_until AS n FROM duty WHERE name = 'maintenance'").await, 2_000);
}

async fn settled_files_go_and_open_ones_stay(world: World) {
    world.define(&["a"], None).await;
    world.arrive("settled").await;
    let send = world.claim_one().await;
    world.deliver(&send).await;
    world.arrive("open").await;
    let duty = duty(&world).await;
    let long = Duration::from_secs(3600);
    assert_eq!(retention::prune_files(&world.store, duty, long).await.unwrap(), Some(0), "too young");
    assert_eq!(retention::prune_files(&world.store, duty, NONE).await.unwrap(), Some(1));
    for (table, left) in [("file", 1), ("delivery", 1), ("attempt", 0), ("artifact", 1), ("file_event", 1)] {
        assert_eq!(world.number(&format!("SELECT count(*) AS n FROM {table}")).await, left, "{table}");
    }
    let entries = world.number("SELECT count(*) AS n FROM history").await;
    let pruned = retention::prune_history(&world.store, duty, NONE).await.unwrap();
    assert_eq!(pruned.map(i64::try_from), Some(Ok(entries)));
}

async fn stored_content_goes_before_its_rows(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let duty = duty(&world).await;
    let expire = || retention::expire_artifacts(&world.store, duty, NONE, true);
    assert_eq!(expire().await.unwrap(), Some(vec![]), "an open delivery needs it");
    let send = world.claim_one().await;
    world.deliver(&send).await;
    let others = retention::expire_artifacts(&world.store, duty, NONE, false).await.unwrap();
    assert_eq!(others, Some(vec![]), "an original that lies in somebody else's bucket");
    let expired = expire().await.unwrap().unwrap();
    assert_eq!(expired.iter().map(|a| a.key.as_str()).collect::<Vec<_>>(), [send.artifact.key.as_str()]);
    assert_eq!(expire().await.unwrap(), Some(vec![]), "once");
    let key = send.artifact.key.clone();
    let known = outport_store::artifacts::known(&world.store, "originals", &[key]).await.unwrap();
    assert!(known.is_empty(), "what was not removed is garbage now");
}

async fn an_endpoint_that_stays_down_is_given_up_only_where_that_was_asked_for(world: World) {
    world.define(&["patient", "hasty"], None).await;
    world.arrive("f").await;
    world.sql("UPDATE lane SET failing_since = 1").await;
    world.sql("UPDATE delivery SET created_at = 1").await;
    world
        .sql(
            "UPDATE endpoint SET settings = '{\"give_up_after\": \"2h\"}' WHERE subscriber_id = \
              (SELECT id FROM subscriber WHERE code = 'hasty')",
        )
        .await;
    assert_eq!(give_up::give_up(&world.store).await.unwrap(), 1);
    for delivery in world.deliveries().await {
        let expected =
            if delivery.subscriber == "hasty" { DeliveryState::Failed } else { DeliveryState::Queued };
        assert_eq!(world.state(delivery.id).await, expected, "{}", delivery.subscriber);
    }
    assert_eq!(give_up::give_up(&world.store).await.unwrap(), 0, "what came later has its own time");
}
