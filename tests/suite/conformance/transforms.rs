//! Transforms: one finish path, fenced, and the deliveries move with it.

use outport_core::{Fault, code};
use outport_store::claim_transforms::{ClaimedTransform, claim};
use outport_store::finish_transform::{Failure, Output, fail, succeed};
use outport_store::rescue::{Which, rescue};

use super::on_both;
use super::world::{SHA, World, worker};

on_both!(
    success_queues_the_deliveries,
    a_bad_input_fails_them_together,
    our_own_fault_is_tried_again,
    a_lost_lease_records_nothing,
);

fn output() -> Output {
    Output {
        bucket: "outputs".into(),
        key: "k".into(),
        etag: None,
        size_bytes: 9,
        sha256: SHA.into(),
        records: Some(2),
        rejects: None,
    }
}

async fn claim_one(world: &World) -> ClaimedTransform {
    let mut claimed = claim(&world.store, worker(), 10, &world.timing).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}

async fn success_queues_the_deliveries(world: World) {
    world.define(&["a", "b"], Some("json-to-csv")).await;
    world.arrive("f.json").await;
    assert!(world.claim().await.sends.is_empty(), "waiting");
    let transform = claim_one(&world).await;
    assert_eq!((transform.kind.as_str(), transform.attempts), ("json-to-csv", 1));
    assert!(claim(&world.store, worker(), 10, &world.timing).await.unwrap().is_empty(), "claimed once");
    assert!(succeed(&world.store, transform.transform_id, transform.lease, &output()).await.unwrap());
    world.assert_invariants().await;
    let sends = world.claim().await.sends;
    assert_eq!(sends.len(), 2, "one transform, two deliveries");
    assert!(sends.iter().all(|s| s.artifact.size_bytes == 9 && s.artifact.bucket == "outputs"));
    let again = succeed(&world.store, transform.transform_id, transform.lease, &output()).await.unwrap();
    assert!(!again, "recorded once");
}

async fn a_bad_input_fails_them_together(world: World) {
    world.define(&["a", "b"], Some("json-to-csv")).await;
    world.arrive("f.json").await;
    let transform = claim_one(&world).await;
    let fault = Fault::new(&code::TRANSFORM_KIND_UNKNOWN, "line 7").with_hint("look at line 7");
    let failure = Failure::judge(fault, transform.attempts, &world.timing, 0.5);
    assert!(fail(&world.store, transform.transform_id, transform.lease, &failure).await.unwrap());
    for delivery in world.deliveries().await {
        assert_eq!(
            (delivery.state.as_str(), delivery.fault_code.as_deref()),
            ("failed", Some("transform.failed"))
        );
        let fault = delivery.fault.unwrap();
        assert!(fault.contains("line 7") && fault.contains("hint: look at line 7"), "{fault}");
    }
}

async fn our_own_fault_is_tried_again(world: World) {
    world.define(&["a"], Some("json-to-csv")).await;
    world.arrive("f.json").await;
    let transform = claim_one(&world).await;
    let fault = Fault::new(&code::OBJECT_STORE_FULL, "x");
    let failure = Failure::judge(fault, transform.attempts, &world.timing, 0.5);
    assert!(fail(&world.store, transform.transform_id, transform.lease, &failure).await.unwrap());
    assert!(claim(&world.store, worker(), 10, &world.timing).await.unwrap().is_empty(), "later");
    world.sql("UPDATE transform SET due_at = 1").await;
    assert_eq!(claim_one(&world).await.attempts, 2);
}

async fn a_lost_lease_records_nothing(world: World) {
    world.define(&["a"], Some("json-to-csv")).await;
    world.arrive("f.json").await;
    let zombie = claim_one(&world).await;
    world.sql("UPDATE transform SET lease_until = 1").await;
    assert_eq!(rescue(&world.store, Which::Expired, &world.timing).await.unwrap().transforms, 1);
    assert!(!succeed(&world.store, zombie.transform_id, zombie.lease, &output()).await.unwrap());
    let failure = Failure::ForGood(Fault::new(&code::TRANSFORM_FAILED, "x"));
    assert!(!fail(&world.store, zombie.transform_id, zombie.lease, &failure).await.unwrap());
    world.sql("UPDATE transform SET due_at = 1").await;
    let heir = claim_one(&world).await;
    assert!(succeed(&world.store, heir.transform_id, heir.lease, &output()).await.unwrap());
}
