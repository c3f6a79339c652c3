//! The facts of a file's story.

use outport_core::code;
use outport_core::delivery::DeliveryState;
use outport_store::acts::{delivery, subscription};
use outport_store::enqueue::Dispatched;
use outport_store::list::{self, why};

use super::on_both;
use super::world::{World, arrival, by, fault};

on_both!(the_newest_version_is_found, the_story_has_what_happened_and_what_did_not);

async fn the_newest_version_is_found(world: World) {
    world.define(&["a"], None).await;
    let first = world.arrive("k").await;
    let newest =
        async |bucket: Option<&str>, key: &str| why::newest(&world.store, bucket, key).await.unwrap();
    assert_eq!(newest(Some("in"), "k").await, Some(first));
    let Dispatched::Routed { file: second, .. } = world.dispatch(&arrival("k", "v2")).await else { panic!() };
    let mut elsewhere = arrival("k", "v1");
    elsewhere.event.bucket = "other".into();
    let Dispatched::Unrouted { file: third } = world.dispatch(&elsewhere).await else { panic!() };
    assert_eq!(newest(Some("in"), "k").await, Some(second));
    assert_eq!(newest(None, "k").await, Some(third), "of all buckets");
    assert_eq!(newest(Some("other"), "k").await, Some(third));
    assert_eq!((newest(None, "K").await, newest(Some("nix"), "k").await), (None, None));
    assert_eq!(why::story(&world.store, second).await.unwrap().unwrap().other_versions, 1);
    let unknown = "fil_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    assert!(why::story(&world.store, unknown).await.unwrap().is_none());
}

async fn the_story_has_what_happened_and_what_did_not(world: World) {
    world.define(&["a", "b", "c"], None).await;
    let id_of = async |code: &str| list::subscriptions::show(&world.store, code).await.unwrap().unwrap().id;
    subscription::switch(&world.store, id_of("c-files").await, false, by()).await.unwrap();
    let file = world.arrive("k").await;
    assert!(matches!(world.dispatch(&arrival("k", "v1")).await, Dispatched::Duplicate { .. }));
    let claim = world.claim().await;
    world.end(&claim.sends[0], fault(&code::ARTIFACT_MISSING)).await;
    world.fail(&claim.sends[1], &code::REMOTE_FAILURE).await;
    delivery::cancel(&world.store, claim.sends[1].delivery_id, by()).await.unwrap();
    world.arrive("another").await;

    let story = why::story(&world.store, file).await.unwrap().unwrap();
    assert_eq!((story.events.len(), story.other_versions), (2, 0));
    assert_eq!(story.rules.iter().map(|r| r.pattern.as_str()).collect::<Vec<_>>(), ["**"]);
    let states: Vec<&str> = story.deliveries.iter().map(|d| d.delivery.state.as_str()).collect();
    assert_eq!(states.len(), 2, "of this file alone");
    assert!(states.contains(&DeliveryState::Failed.as_str()) && states.contains(&"cancelled"), "{states:?}");
    assert!(story.deliveries.iter().all(|d| d.attempt.len() == 1));
    let acts: Vec<&str> = story.history.iter().map(|entry| entry.event.as_str()).collect();
    assert_eq!(acts, ["routed", "failed", "cancelled"]);
    assert_eq!(story.history[2].reason(), Some("the partner asked"));
    let off = story.subscriptions.iter().find(|s| s.code == "c-files").unwrap();
    assert_eq!((off.enabled, off.subscriber.as_str()), (false, "c"));
    let last = off.history.last().unwrap();
    assert_eq!((last.event.as_str(), last.reason()), ("disabled", Some("the partner asked")));
    assert_eq!(story.endpoints.len(), 2);
}
