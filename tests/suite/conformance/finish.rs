//! What the end of an attempt does to its delivery and its lane.

use outport_core::code;
use outport_core::delivery::DeliveryState;
use outport_store::finish_send::{End, Finished};
use outport_store::list;

use super::on_both;
use super::world::World;

on_both!(
    a_receipt_is_kept,
    an_outage_is_never_charged,
    a_permanent_refusal_fails_at_the_second_time,
    two_refused_logins_close_the_lane,
    a_changed_host_key_blocks_the_lane,
    a_shared_fault_strikes_the_lane_once,
    unconfirmed_waits_for_a_person,
);

fn state_of(finished: Finished) -> DeliveryState {
    match finished {
        Finished::Recorded { state, .. } => state,
        Finished::LeaseLost => panic!("the lease was lost"),
    }
}

async fn a_receipt_is_kept(world: World) {
    world.define(&["a"], None).await;
    let file = world.arrive("f").await;
    let send = world.claim_one().await;
    assert_eq!(state_of(world.deliver(&send).await), DeliveryState::Delivered);
    let shown = list::deliveries::show(&world.store, send.delivery_id).await.unwrap().unwrap();
    let attempt = &shown.attempt[0];
    assert_eq!(attempt.remote_final.as_deref(), Some("f"));
    assert_eq!(attempt.peer_identity.as_deref(), Some("SHA256:x"));
    assert_eq!(attempt.confirmed_by.as_deref(), Some("reply"));
    let shown = list::files::show(&world.store, file).await.unwrap().unwrap();
    assert_eq!((shown.events.len(), shown.deliveries.len()), (1, 1));
}

async fn an_outage_is_never_charged(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    for _ in 0..40 {
        let send = world.claim_one().await;
        assert_eq!(state_of(world.fail(&send, &code::ENDPOINT_TIMEOUT).await), DeliveryState::Retrying);
        world.assert_invariants().await;
        world.pass_time().await;
        world.sql("UPDATE lane SET blocked_until = 0").await;
    }
    let delivery = &world.deliveries().await[0];
    assert_eq!((delivery.attempts, delivery.charged), (40, 0));
    let lane = &list::endpoints::list(&world.store).await.unwrap()[0];
    assert_eq!((lane.health.as_str(), lane.blocked_reason.as_deref()), ("open", Some("breaker")));
    let send = world.claim_one().await;
    world.deliver(&send).await;
    let lane = &list::endpoints::list(&world.store).await.unwrap()[0];
    assert_eq!((lane.health.as_str(), lane.blocked_reason.as_deref(), lane.strikes), ("closed", None, 0));
}

async fn a_permanent_refusal_fails_at_the_second_time(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let send = world.claim_one().await;
    assert_eq!(state_of(world.fail(&send, &code::REMOTE_NO_SUCH_FOLDER).await), DeliveryState::Retrying);
    world.pass_time().await;
    let send = world.claim_one().await;
    assert_eq!(state_of(world.fail(&send, &code::REMOTE_NO_SUCH_FOLDER).await), DeliveryState::Failed);
    assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE event = 'failed'").await, 1);
}

async fn two_refused_logins_close_the_lane(world: World) {
    world.define(&["a"], None).await;
    for n in 0..5 {
        world.arrive(&format!("f{n}")).await;
    }
    world.sql("UPDATE lane SET login_ok_version = NULL").await;
    for _ in 0..2 {
        let send = world.claim_one().await;
        world.fail(&send, &code::CREDENTIAL_REFUSED).await;
        world.pass_time().await;
    }
    assert!(world.claim().await.sends.is_empty(), "no third login");
    let refused = list::endpoints::refused(&world.store).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].2.as_deref(), Some("v1"), "the version that was refused");
    let tx = world.store.begin("test").await.unwrap();
    outport_store::lanes::lift(&tx, refused[0].0).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.claim().await.sends.len(), 1, "a lifted lane tries one file");
}

async fn a_changed_host_key_blocks_the_lane(world: World) {
    world.define(&["a", "b"], None).await;
    world.arrive("f").await;
    let claim = world.claim().await;
    let (sick, well) = (&claim.sends[0], &claim.sends[1]);
    let end = End::Fault {
        fault: outport_core::Fault::new(&code::HOSTKEY_CHANGED, "x").with_seen_identity("SHA256:new"),
        stage: outport_core::delivery::Stage::Connecting,
        bytes_sent: 0,
    };
    assert_eq!(state_of(world.end(sick, end).await), DeliveryState::Retrying);
    world.deliver(well).await;
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty());
    let blocked = list::endpoints::list(&world.store).await.unwrap();
    let blocked: Vec<_> = blocked.iter().filter(|e| e.blocked_reason.is_some()).collect();
    assert_eq!(blocked.len(), 1);
    assert_eq!(blocked[0].seen_identity.as_deref(), Some("SHA256:new"));
    assert_eq!(blocked[0].blocked_until, None, "until an operator acts");
}

async fn a_shared_fault_strikes_the_lane_once(world: World) {
    world.define(&["a"], None).await;
    for n in 0..10 {
        world.arrive(&format!("f{n}")).await;
    }
    let fault = outport_core::Fault::new(&code::ENDPOINT_RESET, "x");
    for (n, send) in world.claim().await.sends.iter().enumerate() {
        let fault = if n == 0 { fault.clone() } else { fault.as_shared() };
        let stage = outport_core::delivery::Stage::Uploading;
        world.end(send, End::Fault { fault, stage, bytes_sent: 1 }).await;
    }
    assert_eq!(list::endpoints::list(&world.store).await.unwrap()[0].strikes, 1);
}

async fn unconfirmed_waits_for_a_person(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let send = world.claim_one().await;
    let fault = outport_core::Fault::new(&code::DELIVERY_UNCONFIRMED, "x");
    assert_eq!(state_of(world.end(&send, End::Unconfirmed { fault }).await), DeliveryState::Unconfirmed);
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty());
}
