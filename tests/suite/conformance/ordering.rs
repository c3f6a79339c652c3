//! What keeps an old version from ending on top of a new one, and FIFO subscriptions in order.

use outport_core::definitions::Definitions;
use outport_core::delivery::DeliveryState;
use outport_core::{DeliveryId, code};
use outport_store::acts;

use super::on_both;
use super::world::{World, arrival, by, definitions, fault};

on_both!(
    an_older_version_never_follows_a_newer_one,
    versions_of_an_object_go_by_their_events,
    two_files_of_one_name_are_not_sent_together,
    stale_send_sends_old_versions_too,
    files_in_order_go_one_at_a_time,
    a_failed_file_stops_its_group,
    leaving_the_order_sends_everything,
);

fn with(change: impl Fn(&mut outport_core::definitions::Subscription)) -> Definitions {
    let mut definitions = definitions(&["a"], None);
    definitions.subscriptions.iter_mut().for_each(change);
    definitions
}

async fn define(world: &World, definitions: &Definitions) {
    outport_store::definitions::apply(&world.store, definitions, "test").await.unwrap();
    world.sql("UPDATE lane SET login_ok_version = 'v1'").await;
}

/// The deliveries of these files, oldest first.
async fn arrive(world: &World, files: &[(&str, &str)]) -> Vec<DeliveryId> {
    for (key, version) in files {
        world.dispatch(&arrival(key, version)).await;
    }
    let mut ids: Vec<DeliveryId> = world.deliveries().await.iter().map(|d| d.id).collect();
    ids.sort();
    ids
}

async fn an_older_version_never_follows_a_newer_one(world: World) {
    define(&world, &with(|_| {})).await;
    let ids = arrive(&world, &[("f", "v1")]).await;
    let old = world.claim_one().await;
    world.fail(&old, &code::REMOTE_FAILURE).await;
    let ids = [ids[0], arrive(&world, &[("f", "v2")]).await[1]];
    let new = world.claim_one().await;
    assert_eq!(new.delivery_id, ids[1], "the older one waits for its retry");
    world.deliver(&new).await;
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty(), "nobody sends the old version now");
    assert_eq!(world.state(ids[0]).await, DeliveryState::Cancelled);
    let superseded = "SELECT count(*) AS n FROM delivery WHERE fault_code = 'delivery.superseded'";
    assert_eq!(world.number(superseded).await, 1);
}

/// A queue has no order: the older version is recorded when the newer one is at the partner already.
async fn versions_of_an_object_go_by_their_events(world: World) {
    define(&world, &with(|_| {})).await;
    let at = |key: &str, version: &str, event_at: i64| {
        let mut arrival = arrival(key, version);
        arrival.event.event_at = event_at;
        arrival
    };
    for first in [at("f", "v2", 2_000), at("fs", "fs:v2", 2_000)] {
        world.dispatch(&first).await;
        world.deliver(&world.claim_one().await).await;
    }
    world.dispatch(&at("f", "v1", 1_000)).await;
    assert!(world.claim().await.sends.is_empty(), "the older one does not end on top");
    let superseded = "SELECT count(*) AS n FROM delivery WHERE fault_code = 'delivery.superseded'";
    assert_eq!(world.number(superseded).await, 1);
    // What is really newer goes, and what a folder recorded later is newer whatever its clock says.
    for next in [at("f", "v3", 3_000), at("fs", "fs:v1", 1_000)] {
        world.dispatch(&next).await;
        world.deliver(&world.claim_one().await).await;
    }
    assert_eq!(world.number(superseded).await, 1);
}

async fn two_files_of_one_name_are_not_sent_together(world: World) {
    define(&world, &with(|_| {})).await;
    let ids = arrive(&world, &[("f", "v1"), ("f", "v2"), ("g", "v1")]).await;
    let sends = world.claim().await.sends;
    let sent: Vec<DeliveryId> = sends.iter().map(|send| send.delivery_id).collect();
    assert_eq!(sent, [ids[0], ids[2]], "one of each name");
    world.sql("UPDATE lane SET next_due_at = 1").await;
    assert!(world.claim().await.sends.is_empty(), "not while the first one is under way");
    world.assert_invariants().await;
    world.deliver(&sends[0]).await;
    world.sql("UPDATE lane SET next_due_at = 1").await;
    assert_eq!(world.claim_one().await.delivery_id, ids[1]);
}

async fn stale_send_sends_old_versions_too(world: World) {
    define(&world, &with(|s| s.stale = "send".into())).await;
    let first = arrive(&world, &[("f", "v1")]).await[0];
    let old = world.claim_one().await;
    world.fail(&old, &code::REMOTE_FAILURE).await;
    arrive(&world, &[("f", "v2")]).await;
    let new = world.claim_one().await;
    world.deliver(&new).await;
    world.pass_time().await;
    assert_eq!(world.claim_one().await.delivery_id, first);
}

async fn files_in_order_go_one_at_a_time(world: World) {
    define(&world, &with(|s| s.ordering = "fifo".into())).await;
    let ids = arrive(&world, &[("f", "1"), ("g", "1"), ("h", "1")]).await;
    assert_eq!(world.number("SELECT count(*) AS n FROM send_job").await, 1);
    let first = world.claim_one().await;
    assert_eq!(first.delivery_id, ids[0]);
    world.fail(&first, &code::REMOTE_FAILURE).await;
    assert!(world.claim().await.sends.is_empty(), "nobody overtakes the first one while it waits");
    world.pass_time().await;
    let again = world.claim_one().await;
    assert_eq!(again.delivery_id, ids[0]);
    world.deliver(&again).await;
    acts::delivery::hold(&world.store, ids[1], by()).await.unwrap();
    assert!(world.claim().await.sends.is_empty(), "held, it still has its turn");
    world.assert_invariants().await;
    acts::delivery::release(&world.store, ids[1], by()).await.unwrap();
    let second = world.claim_one().await;
    assert_eq!(second.delivery_id, ids[1]);
    world.deliver(&second).await;
    let third = world.claim_one().await;
    assert_eq!(third.delivery_id, ids[2]);
    world.deliver(&third).await;
    assert_eq!(world.number("SELECT count(*) AS n FROM fifo_group WHERE blocked_by IS NULL").await, 1);
}

async fn a_failed_file_stops_its_group(world: World) {
    define(&world, &with(|s| s.ordering = "fifo".into())).await;
    let ids = arrive(&world, &[("f", "1"), ("g", "1")]).await;
    for _ in 0..2 {
        world.pass_time().await;
        let send = world.claim_one().await;
        world.end(&send, fault(&code::REMOTE_PERMISSION_DENIED)).await;
    }
    assert_eq!(world.state(ids[0]).await, DeliveryState::Failed);
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty());
    assert_eq!(world.number("SELECT count(*) AS n FROM fifo_group WHERE blocked_by IS NOT NULL").await, 1);
    world.assert_invariants().await;
    arrive(&world, &[("h", "1")]).await;
    assert_eq!(world.number("SELECT count(*) AS n FROM send_job").await, 0, "a new one waits too");
    acts::delivery::resolve(&world.store, ids[0], by()).await.unwrap();
    assert_eq!(world.claim_one().await.delivery_id, ids[1], "resolved, it lets the others go on");
}

async fn leaving_the_order_sends_everything(world: World) {
    define(&world, &with(|s| s.ordering = "fifo".into())).await;
    arrive(&world, &[("f", "1"), ("g", "1"), ("h", "1")]).await;
    define(&world, &with(|_| {})).await;
    assert_eq!(world.claim().await.sends.len(), 3);
}
