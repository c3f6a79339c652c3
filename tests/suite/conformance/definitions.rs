//! Applying definitions.

use outport_core::definitions::Verb;
use outport_store::definitions::{apply, current};

use super::on_both;
use super::world::{World, definitions};

on_both!(
    applying_twice_changes_nothing,
    what_is_missing_is_retired_and_can_come_back,
    a_changed_spec_is_a_new_version,
    the_operators_switch_survives,
    new_settings_lift_a_block,
    migrating_again_does_nothing,
);

async fn applying_twice_changes_nothing(world: World) {
    let wanted = definitions(&["a", "b"], Some("json-to-csv"));
    assert_eq!(apply(&world.store, &wanted, "operator:x").await.unwrap().len(), 9);
    assert_eq!(apply(&world.store, &wanted, "operator:x").await.unwrap(), []);
    assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE actor = 'operator:x'").await, 9);
}

async fn what_is_missing_is_retired_and_can_come_back(world: World) {
    world.define(&["a", "b"], None).await;
    let plan = apply(&world.store, &definitions(&["a"], None), "x").await.unwrap();
    let retired: Vec<_> = plan.iter().map(|c| (c.verb, c.name.as_str())).collect();
    assert_eq!(retired, [(Verb::Retire, "b/sftp"), (Verb::Retire, "b-files")]);
    world.arrive("f").await;
    assert_eq!(world.deliveries().await.len(), 1, "nothing new for what is retired");
    assert_eq!(current(&world.store).await.unwrap().subscriptions.len(), 1);
    world.define(&["a", "b"], None).await;
    world.arrive("g").await;
    assert_eq!(world.deliveries().await.len(), 3);
}

async fn a_changed_spec_is_a_new_version(world: World) {
    let mut wanted = definitions(&["a"], Some("json-to-csv"));
    apply(&world.store, &wanted, "x").await.unwrap();
    wanted.transforms[0].params = serde_json::json!({"delimiter": ";"});
    assert_eq!(apply(&world.store, &wanted, "x").await.unwrap().len(), 1);
    let newest = "SELECT CAST(s.version AS bigint) AS n FROM subscription b JOIN transform_spec s ON s.id = b.transform_spec_id";
    assert_eq!(world.number(newest).await, 2, "the subscription follows");
    wanted.transforms[0].params = serde_json::json!({});
    apply(&world.store, &wanted, "x").await.unwrap();
    assert_eq!(world.number(newest).await, 3, "going back is a step forward, too");
    assert_eq!(apply(&world.store, &wanted, "x").await.unwrap(), []);
}

async fn the_operators_switch_survives(world: World) {
    world.define(&["a"], None).await;
    world.sql("UPDATE subscription SET enabled = false").await;
    let mut wanted = definitions(&["a"], None);
    assert_eq!(apply(&world.store, &wanted, "x").await.unwrap(), []);
    wanted.subscriptions[0].priority = 1;
    apply(&world.store, &wanted, "x").await.unwrap();
    assert_eq!(current(&world.store).await.unwrap().subscriptions[0].enabled, Some(false));
    wanted.subscriptions[0].enabled = Some(true);
    apply(&world.store, &wanted, "x").await.unwrap();
    assert_eq!(current(&world.store).await.unwrap().subscriptions[0].enabled, Some(true));
}

async fn new_settings_lift_a_block(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    world.sql("UPDATE lane SET blocked_until = 9000000000000000, blocked_reason = 'identity'").await;
    let mut wanted = definitions(&["a"], None);
    wanted.subscribers[0].endpoints[0].host_keys = vec!["SHA256:x".into()];
    apply(&world.store, &wanted, "x").await.unwrap();
    let claim = world.claim().await;
    assert_eq!(claim.sends.len(), 1);
    let endpoint = claim.endpoints.values().next().unwrap();
    assert_eq!((endpoint.revision, endpoint.identity_pins.as_slice()), (2, &["SHA256:x".into()][..]));
}

async fn migrating_again_does_nothing(world: World) {
    assert_eq!(world.store.migrate().await.unwrap(), 0);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let store = world.store.clone();
        tasks.spawn(async move { store.migrate().await.unwrap() });
    }
    assert_eq!(tasks.join_all().await, [0, 0, 0]);
}
