//! Hold and release.

use outport_core::delivery::DeliveryState;
use outport_store::{StoreError, hold};

use super::on_both;
use super::world::World;

on_both!(a_held_delivery_is_out_of_its_lane_until_released, what_is_being_sent_cannot_be_held);

async fn a_held_delivery_is_out_of_its_lane_until_released(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let delivery = world.deliveries().await[0].id;
    hold::hold(&world.store, delivery, "operator:x", "partner asked").await.unwrap();
    world.assert_invariants().await;
    assert!(world.claim().await.sends.is_empty());
    assert!(matches!(
        hold::hold(&world.store, delivery, "operator:x", "again").await,
        Err(StoreError::Illegal(_))
    ));
    hold::release(&world.store, delivery, "operator:x", "done").await.unwrap();
    assert_eq!(world.state(delivery).await, DeliveryState::Queued);
    let send = world.claim_one().await;
    world.fail(&send, &outport_core::code::ENDPOINT_RESET).await;
    hold::hold(&world.store, delivery, "operator:x", "later").await.unwrap();
    hold::release(&world.store, delivery, "operator:x", "now").await.unwrap();
    assert_eq!(world.state(delivery).await, DeliveryState::Retrying, "it was tried before");
    assert_eq!(
        world.number("SELECT count(*) AS n FROM history WHERE event IN ('held', 'released')").await,
        4
    );
}

async fn what_is_being_sent_cannot_be_held(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let send = world.claim_one().await;
    let held = hold::hold(&world.store, send.delivery_id, "operator:x", "stop").await;
    assert!(matches!(held, Err(StoreError::Illegal(_))));
    assert!(matches!(world.deliver(&send).await, outport_store::finish_send::Finished::Recorded { .. }));
    let unknown = "dlv_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    let missing = hold::release(&world.store, unknown, "operator:x", "x").await.unwrap_err();
    assert_eq!(missing.fault().code.name, "usage.not_found");
}
