//! Claiming: each delivery once, within the limits of its lane.

use std::collections::BTreeSet;
use std::time::Duration;

use outport_core::delivery::DeliveryState;
use outport_core::{DeliveryId, EndpointId};
use outport_store::claim_sends::{self, Limits};
use outport_store::heartbeat;
use outport_store::next_work::next_work;

use super::on_both;
use super::world::{ALL, World, worker};

on_both!(
    concurrent_claimers_never_share,
    a_lane_on_probation_gets_one_file,
    seats_are_counted_over_workers,
    a_seat_that_ran_out_is_not_taken_back,
    a_blocked_or_paused_lane_waits,
    an_empty_lane_costs_nothing_until_it_is_due,
    small_priorities_go_first,
    a_full_lane_is_looked_at_when_it_has_room,
);

async fn concurrent_claimers_never_share(world: World) {
    world.define(&["a", "b", "c"], None).await;
    for n in 0..40 {
        world.arrive(&format!("f{n}")).await;
    }
    // Room for several workers at a lane, so that they do meet.
    world.sql("UPDATE lane SET max_connections = 60, cap = 1000, ramp = 1000").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let (store, timing) = (world.store.clone(), world.timing.clone());
        tasks.spawn(async move {
            let (mine, mut empty) = (worker(), 0);
            let mut got = Vec::new();
            while empty < 20 {
                let limits = Limits { lanes: 2, deliveries: 5, per_lane: 1_000 };
                let claim = claim_sends::claim(&store, mine, limits, &timing).await.unwrap();
                empty = if claim.sends.is_empty() { empty + 1 } else { 0 };
                got.extend(claim.sends.iter().map(|s| s.delivery_id));
                if empty > 0 {
                    // A lane that was full is looked at again a quarter of a second later.
                    tokio::time::sleep(timing.lane_full / 4).await;
                }
            }
            got
        });
    }
    let got: Vec<DeliveryId> = tasks.join_all().await.into_iter().flatten().collect();
    let distinct: BTreeSet<DeliveryId> = got.iter().copied().collect();
    assert_eq!((got.len(), distinct.len()), (120, 120), "each of 40 x 3 deliveries exactly once");
}

async fn a_lane_on_probation_gets_one_file(world: World) {
    world.define(&["a"], None).await;
    world.sql("UPDATE lane SET login_ok_version = NULL").await;
    for n in 0..3 {
        world.arrive(&format!("f{n}")).await;
    }
    let first = world.claim_one().await;
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty(), "its one file is in flight");
    world.deliver(&first).await;
    world.pass_time().await;
    assert_eq!(world.claim().await.sends.len(), 2, "the login worked: no probation any more");
}

async fn seats_are_counted_over_workers(world: World) {
    world.define(&["a"], None).await;
    world.sql("UPDATE lane SET max_connections = 1").await;
    world.arrive("f1").await;
    assert_eq!(world.claim().await.sends.len(), 1);
    world.arrive("f2").await;
    assert!(world.claim_as(worker()).await.sends.is_empty(), "the only connection is another worker's");
    world.pass_time().await;
    assert_eq!(world.claim().await.sends.len(), 1, "the worker that has the connection may use it for more");
    world.sql("UPDATE seat SET until = 1").await;
    world.arrive("f3").await;
    assert_eq!(world.claim_as(worker()).await.sends.len(), 1, "a vanished worker's seat runs out");
}

/// A worker that was away for longer than a lease, and whose deliveries nobody has freed yet.
async fn a_seat_that_ran_out_is_not_taken_back(world: World) {
    world.define(&["a"], None).await;
    world.sql("UPDATE lane SET max_connections = 1").await;
    world.arrive("f1").await;
    let late = world.claim_one().await;
    world.sql("UPDATE seat SET until = 1").await;
    world.arrive("f2").await;
    let other = worker();
    assert_eq!(world.claim_as(other).await.sends.len(), 1, "its seat is free");
    let open = BTreeSet::from([(late.delivery_id.uuid(), late.lease)]);
    let held = heartbeat::beat(&world.store, world.worker, &open, &world.timing).await.unwrap();
    assert_eq!(held.sends.len(), 1, "its lease may be renewed late");
    world.assert_invariants().await;
}

async fn a_blocked_or_paused_lane_waits(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    for (close, open) in [
        ("blocked_until = 9000000000000", "blocked_until = 0"),
        (
            "paused_by = 'x', pause_reason = 'y', paused_at = 1",
            "paused_by = NULL, pause_reason = NULL, paused_at = NULL",
        ),
        ("suspended_at = 1", "suspended_at = NULL"),
    ] {
        world.sql(&format!("UPDATE lane SET {close}")).await;
        assert!(world.claim().await.sends.is_empty(), "{close}");
        assert!(!next_work(&world.store).await.unwrap().send_is_due(), "{close}");
        world.sql(&format!("UPDATE lane SET {open}")).await;
    }
    world.sql("UPDATE endpoint SET enabled = false").await;
    assert!(world.claim().await.sends.is_empty(), "disabled endpoint");
    world.sql("UPDATE endpoint SET enabled = true").await;
    assert_eq!(world.claim().await.sends.len(), 1);
}

async fn an_empty_lane_costs_nothing_until_it_is_due(world: World) {
    world.define(&["a"], None).await;
    assert_eq!(next_work(&world.store).await.unwrap().send.filter(|at| *at < 9_000_000_000_000), None);
    world.arrive("f").await;
    assert!(next_work(&world.store).await.unwrap().send_is_due());
    let send = world.claim_one().await;
    let next = next_work(&world.store).await.unwrap();
    assert!(!next.send_is_due() && next.lease.is_some(), "claimed: only its lease is watched");
    world.deliver(&send).await;
    assert_eq!(world.state(send.delivery_id).await, DeliveryState::Delivered);
    assert_eq!(next_work(&world.store).await.unwrap().lease, None);
}

async fn small_priorities_go_first(world: World) {
    world.define(&["a"], None).await;
    world.arrive("normal").await;
    world.sql("UPDATE subscription SET priority = 1").await;
    world.arrive("urgent").await;
    let limits = Limits { lanes: 1, deliveries: 1, per_lane: 1 };
    let claim = claim_sends::claim(&world.store, world.worker, limits, &world.timing).await.unwrap();
    assert_eq!(claim.sends[0].remote_name, "urgent");
}

async fn a_full_lane_is_looked_at_when_it_has_room(mut world: World) {
    // Longer than any test.
    world.timing.lane_full = Duration::from_secs(3_600);
    world.define(&["a"], None).await;
    for n in 0..3 {
        world.arrive(&format!("f{n}")).await;
    }
    world.sql("UPDATE lane SET cap = 1, ramp = 1, login_ok_version = 'v1'").await;
    let claim_again = async |again: &[EndpointId]| {
        claim_sends::claim_again(&world.store, world.worker, ALL, again, None, &world.timing).await.unwrap()
    };
    let first = claim_again(&[]).await;
    let lane = first.sends[0].endpoint_id;
    assert_eq!((first.sends.len(), first.full.as_slice()), (1, [lane].as_slice()));
    let still_full = claim_again(&[lane]).await;
    assert_eq!((still_full.sends.len(), still_full.full.as_slice()), (0, [lane].as_slice()));
    world.deliver(&first.sends[0]).await;
    assert!(claim_again(&[]).await.sends.is_empty(), "it sleeps");
    assert_eq!(claim_again(&[lane]).await.sends.len(), 1);
    // Only a lane that sleeps for that reason: one that sleeps for longer has another.
    world.sql("UPDATE lane SET cap = 64, ramp = 64, next_due_at = next_due_at + 7200000").await;
    assert!(claim_again(&[lane]).await.sends.is_empty());
    world.sql("UPDATE lane SET next_due_at = 1").await;
    assert_eq!(claim_again(&[]).await.sends.len(), 1);
}
