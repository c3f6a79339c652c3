//! Pause, resume, retry and accept-key; the switch of a subscription.

use outport_core::delivery::{DeliveryState, Stage};
use outport_core::trust::FirstUse;
use outport_core::{EndpointId, Fault, code};
use outport_store::acts::{endpoint, subscription};
use outport_store::enqueue::Dispatched;
use outport_store::finish_send::{End, Finished};
use outport_store::list::{self, endpoints::EndpointView};
use outport_store::next_work::next_work;
use outport_tests::invariants;

use super::on_both;
use super::world::{World, arrival, by, definitions};

on_both!(
    a_paused_lane_claims_nothing_and_ends_what_it_has,
    resuming_ends_a_suspension_too,
    retry_lifts_every_block,
    an_accepted_key_lifts_its_block_and_joins_the_pins,
    a_key_accepted_at_its_first_use_stays,
    a_disabled_subscription_is_passed_by_until_it_is_enabled,
    what_is_not_there_is_not_found,
);

async fn view(world: &World) -> EndpointView {
    list::endpoints::list(&world.store).await.unwrap().remove(0)
}

async fn acts(world: &World) -> i64 {
    world.number("SELECT count(*) AS n FROM history WHERE actor = 'operator:ann'").await
}

async fn a_paused_lane_claims_nothing_and_ends_what_it_has(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f1").await;
    let send = world.claim_one().await;
    let id = view(&world).await.id;
    endpoint::pause(&world.store, id, by()).await.unwrap();
    world.arrive("f2").await;
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty());
    assert!(!next_work(&world.store).await.unwrap().send_is_due(), "nobody is woken for it");
    let recorded = Finished::Recorded { state: DeliveryState::Delivered, due_at: None };
    assert_eq!(world.deliver(&send).await, recorded, "what is under way goes on");
    let paused = view(&world).await;
    assert_eq!(paused.paused_by.as_deref(), Some("operator:ann"));
    assert_eq!(paused.pause_reason.as_deref(), Some("the partner asked"));

    let again = endpoint::pause(&world.store, id, by()).await.unwrap_err().fault();
    assert_eq!((again.code, again.message.contains("the partner asked")), (&code::WRONG_STATE, true));
    assert_eq!(view(&world).await.paused_at, paused.paused_at, "paused since the first time");

    let was = endpoint::resume(&world.store, id, by()).await.unwrap();
    assert_eq!(was, endpoint::Resumed { paused: true, suspended: false });
    world.assert_invariants().await;
    assert_eq!(world.claim().await.sends.len(), 1);
    let again = endpoint::resume(&world.store, id, by()).await.unwrap_err().fault();
    assert_eq!(again.code, &code::WRONG_STATE);
    assert_eq!(acts(&world).await, 2);
}

async fn resuming_ends_a_suspension_too(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    world
        .sql(
            "UPDATE lane SET suspended_at = 5, failing_since = 1, health = 'open', blocked_until = 9000000000000, \
             blocked_reason = 'breaker'",
        )
        .await;
    assert!(world.claim().await.sends.is_empty());
    let id = view(&world).await.id;
    let was = endpoint::resume(&world.store, id, by()).await.unwrap();
    assert_eq!(was, endpoint::Resumed { paused: false, suspended: true });
    let lane = view(&world).await;
    assert_eq!((lane.suspended_at, lane.failing_since, lane.health.as_str()), (None, None, "half_open"));
    assert_eq!(world.claim().await.sends.len(), 1, "one file tries");
    // What waits for its own act goes on waiting.
    world
        .sql("UPDATE lane SET suspended_at = 5, blocked_reason = 'identity', blocked_until = 9000000000000")
        .await;
    endpoint::resume(&world.store, id, by()).await.unwrap();
    assert_eq!(view(&world).await.blocked_reason.as_deref(), Some("identity"));
}

async fn retry_lifts_every_block(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let id = view(&world).await.id;
    for reason in ["breaker", "credential", "identity", "settings"] {
        world
            .sql(&format!("UPDATE lane SET blocked_reason = '{reason}', blocked_until = 9000000000000"))
            .await;
        assert!(world.claim().await.sends.is_empty(), "{reason}");
        endpoint::retry(&world.store, id, "operator:ann").await.unwrap();
        let send = world.claim_one().await;
        world.fail(&send, &code::REMOTE_FAILURE).await;
        world.pass_time().await;
    }
    assert_eq!(acts(&world).await, 4);
}

async fn changed_key(world: &World) -> EndpointId {
    let send = world.claim_one().await;
    let fault = Fault::new(&code::HOSTKEY_CHANGED, "x").with_seen_identity("SHA256:new");
    world.end(&send, End::Fault { fault, stage: Stage::Connecting, bytes_sent: 0 }).await;
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty());
    send.endpoint_id
}

async fn an_accepted_key_lifts_its_block_and_joins_the_pins(world: World) {
    world.define(&["a"], None).await;
    world.sql("UPDATE endpoint SET identity_pins = '[\"SHA256:old\"]'").await;
    world.arrive("f").await;
    let id = changed_key(&world).await;
    let accepted = endpoint::accept_key(&world.store, id, "SHA256:new", by()).await.unwrap();
    assert_eq!(accepted.pins, ["SHA256:old".into(), "SHA256:new".into()]);
    assert_eq!(accepted.seen.as_deref(), Some("SHA256:new"));
    let claim = world.claim().await;
    let row = claim.endpoints.values().next().unwrap();
    assert_eq!(row.identity_pins, ["SHA256:old".into(), "SHA256:new".into()]);
    assert_eq!(row.revision, 2, "old connections take no new file");
    let again = endpoint::accept_key(&world.store, id, "SHA256:new", by()).await.unwrap_err().fault();
    assert_eq!(again.code, &code::WRONG_STATE);

    // Announced before the change: nothing is blocked, nothing is lifted.
    let in_an_hour = format!("{} + 3600000", invariants::now(&world.raw));
    world.sql(&format!("UPDATE lane SET blocked_reason = 'credential', blocked_until = {in_an_hour}")).await;
    endpoint::accept_key(&world.store, id, "SHA256:next", by()).await.unwrap();
    assert_eq!(view(&world).await.blocked_reason.as_deref(), Some("credential"));
    assert_eq!(acts(&world).await, 2);
    assert_eq!(list::history::accepted_keys(&world.store).await.unwrap().len(), 2);

    // The definitions do not name them: the next apply says so in its plan.
    let plan = outport_core::definitions::diff(
        &outport_store::definitions::current(&world.store).await.unwrap(),
        &definitions(&["a"], None),
    );
    assert!(plan.iter().any(|change| change.fields.iter().any(|f| f.starts_with("host_keys:"))), "{plan:?}");
}

async fn a_key_accepted_at_its_first_use_stays(world: World) {
    let mut asking = definitions(&["a"], None);
    asking.subscribers[0].endpoints[0].settings.first_use = FirstUse::Ask;
    outport_store::definitions::apply(&world.store, &asking, "operator:ann").await.unwrap();
    world.arrive("f").await;
    let send = world.claim_one().await;
    let fault = Fault::new(&code::HOSTKEY_FIRST_USE, "x").with_seen_identity("SHA256:new");
    world.end(&send, End::Fault { fault, stage: Stage::Connecting, bytes_sent: 0 }).await;
    world.pass_time().await;
    assert!(world.claim().await.sends.is_empty(), "it waits for an operator");
    assert_eq!(view(&world).await.seen_identity.as_deref(), Some("SHA256:new"));
    endpoint::accept_key(&world.store, send.endpoint_id, "SHA256:new", by()).await.unwrap();
    let again = outport_store::definitions::apply(&world.store, &asking, "operator:ann").await.unwrap();
    assert_eq!(again, []);

    // Another change of the endpoint leaves the accepted key, too; a key in the file takes its place.
    asking.subscribers[0].endpoints[0].username = "other".into();
    assert_eq!(
        outport_store::definitions::apply(&world.store, &asking, "operator:ann").await.unwrap().len(),
        1
    );
    assert_eq!(view(&world).await.host_keys, ["SHA256:new".into()]);
    asking.subscribers[0].endpoints[0].host_keys = vec!["SHA256:x".into()];
    outport_store::definitions::apply(&world.store, &asking, "operator:ann").await.unwrap();
    assert_eq!(view(&world).await.host_keys, ["SHA256:x".into()]);
}

async fn a_disabled_subscription_is_passed_by_until_it_is_enabled(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f1").await;
    let id = list::subscriptions::list(&world.store).await.unwrap()[0].id;
    subscription::switch(&world.store, id, false, by()).await.unwrap();
    let again = subscription::switch(&world.store, id, false, by()).await.unwrap_err().fault();
    assert_eq!(again.code, &code::WRONG_STATE);
    assert!(matches!(world.dispatch(&arrival("f2", "v1")).await, Dispatched::Unrouted { .. }));
    assert_eq!(world.claim().await.sends.len(), 1, "open deliveries go on");
    // The switch is the operator's: the file does not state it.
    outport_store::definitions::apply(&world.store, &definitions(&["a"], None), "apply").await.unwrap();
    assert!(!list::subscriptions::list(&world.store).await.unwrap()[0].enabled);
    subscription::switch(&world.store, id, true, by()).await.unwrap();
    world.arrive("f3").await;
    assert_eq!(acts(&world).await, 2);
    world.sql("UPDATE subscription SET retired_at = 5").await;
    let retired = subscription::switch(&world.store, id, false, by()).await.unwrap_err().fault();
    assert_eq!((retired.code, retired.message.contains("retired")), (&code::WRONG_STATE, true));
}

async fn what_is_not_there_is_not_found(world: World) {
    let nobody: EndpointId = "end_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    let nothing = "sub_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    for error in [
        endpoint::pause(&world.store, nobody, by()).await.unwrap_err(),
        endpoint::resume(&world.store, nobody, by()).await.unwrap_err(),
        endpoint::retry(&world.store, nobody, "operator:ann").await.unwrap_err(),
        endpoint::accept_key(&world.store, nobody, "SHA256:x", by()).await.unwrap_err(),
        subscription::switch(&world.store, nothing, true, by()).await.unwrap_err(),
    ] {
        assert_eq!(error.fault().code, &code::NOT_FOUND, "{error}");
    }
}
