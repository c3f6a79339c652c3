//! Reprocess: a file is routed and transformed again, with today's rules and subscriptions.

use outport_core::replay::{Filter, Standing};
use outport_core::{Fault, code};
use outport_store::claim_transforms;
use outport_store::finish_transform::{self, Failure, Output};
use outport_store::replay::acts::{Act, act};
use uuid::Uuid;

use super::super::on_both;
use super::super::world::{SHA, World, arrival};
use super::{in_state, redeliver, reprocess, request};

on_both!(
    a_failed_transform_is_run_again,
    an_unrouted_file_becomes_routed_here_only,
    a_new_subscription_gets_old_files_when_told_so,
    what_is_open_or_not_routed_is_skipped_with_its_reason,
    a_paused_one_is_held_when_its_transform_ends,
    a_cancelled_one_cancels_its_transform,
);

/// Runs the only due transform.
async fn transform(world: &World, good: bool) {
    let work = claim_transforms::claim(&world.store, world.worker, 10, &world.timing).await.unwrap();
    assert_eq!(work.len(), 1);
    let (id, lease) = (work[0].transform_id, work[0].lease);
    let recorded = if good {
        let output = Output {
            bucket: "outputs".into(),
            key: Uuid::now_v7().to_string(),
            etag: None,
            size_bytes: 3,
            sha256: SHA.into(),
            records: Some(1),
            rejects: None,
        };
        finish_transform::succeed(&world.store, id, lease, &output).await
    } else {
        let fault = Fault::new(&code::JSON_SYNTAX, "not JSON");
        finish_transform::fail(&world.store, id, lease, &Failure::ForGood(fault)).await
    };
    assert!(recorded.unwrap());
    world.assert_invariants().await;
}

async fn failed(world: &World) {
    world.define(&["a", "b"], Some("json-to-csv")).await;
    world.arrive("f.json").await;
    transform(world, false).await;
}

async fn a_failed_transform_is_run_again(world: World) {
    failed(&world).await;
    let nothing = world.plan(&redeliver(in_state(&[Standing::Failed]))).await;
    assert_eq!((nothing.selected, nothing.sendable), (2, 0), "there is no artifact");
    let filter = Filter { fault: vec!["transform.failed".into()], ..Filter::default() };
    let plan = world.plan(&reprocess(filter.clone())).await;
    assert_eq!((plan.selected, plan.sendable), (1, 1), "one file");
    assert_eq!(plan.lines.iter().map(|line| line.count).sum::<u64>(), 2, "two subscriptions");
    let replay = world.start(&request(reprocess(filter.clone()), "k")).await;
    world.run(replay).await;
    assert_eq!(world.number("SELECT CAST(max(generation) AS bigint) AS n FROM transform").await, 2);
    assert_eq!(world.number("SELECT count(*) AS n FROM transform").await, 2, "one transform for both");
    assert_eq!(world.number("SELECT count(*) AS n FROM delivery WHERE state = 'waiting'").await, 2);
    assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE event = 'reprocessed'").await, 1);
    transform(&world, true).await;
    for send in world.claim().await.sends {
        assert_eq!(send.remote_name, "f.json");
        world.deliver(&send).await;
    }
    assert_eq!(
        world
            .number("SELECT count(*) AS n FROM delivery WHERE state = 'failed' AND resolved_at IS NULL")
            .await,
        0
    );
    assert_eq!(world.plan(&reprocess(filter)).await.selected, 0);
}

async fn an_unrouted_file_becomes_routed_here_only(world: World) {
    world.dispatch(&arrival("f", "v1")).await;
    world.dispatch(&arrival("g", "v1")).await;
    world.define(&["a"], None).await;
    assert_eq!(world.number("SELECT count(*) AS n FROM file WHERE state = 'unrouted'").await, 2);
    let filter = Filter { name: Some("f".parse().unwrap()), ..in_state(&[Standing::Unrouted]) };
    let plan = world.plan(&reprocess(filter.clone())).await;
    assert_eq!((plan.sendable, plan.lines[0].state.as_str()), (1, "unrouted"));
    assert_eq!(
        world.number("SELECT count(*) AS n FROM file WHERE state = 'unrouted'").await,
        2,
        "a plan writes nothing"
    );
    let replay = world.start(&request(reprocess(filter), "k")).await;
    world.run(replay).await;
    assert_eq!(world.number("SELECT count(*) AS n FROM file WHERE state = 'unrouted'").await, 1);
    assert_eq!(
        world
            .number("SELECT count(*) AS n FROM file WHERE state = 'routed' AND file_group_id IS NOT NULL")
            .await,
        1
    );
    let send = world.claim_one().await;
    assert_eq!(send.remote_name, "f");
    world.deliver(&send).await;
    // By group: where an unrouted file would go today.
    let group = |name: &str| Filter { group: vec![name.into()], ..in_state(&[Standing::Unrouted]) };
    assert_eq!(world.plan(&reprocess(group("files"))).await.selected, 1);
}

async fn a_new_subscription_gets_old_files_when_told_so(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    world.arrive("g").await;
    for send in world.claim().await.sends {
        world.deliver(&send).await;
    }
    world.define(&["a", "b"], None).await;
    let filter = Filter { subscriber: vec!["b".into()], ..Filter::default() };
    assert_eq!(world.plan(&reprocess(filter.clone())).await.selected, 0, "not unless it is said");
    let filter = Filter { state: vec![Standing::Missing], ..filter };
    let replay = world.start(&request(reprocess(filter.clone()), "k")).await;
    world.run(replay).await;
    assert_eq!(world.counts(replay).await, (2, 0));
    let made = world.deliveries().await;
    assert_eq!(made.iter().filter(|made| made.state == "queued" && made.subscriber == "b").count(), 2);
    assert_eq!(made.len(), 4);
    // And everybody once more, because the content was wrong.
    let all = Filter { group: vec!["files".into()], ..in_state(&[Standing::Delivered]) };
    let plan = world.plan(&reprocess(all)).await;
    assert_eq!((plan.selected, plan.lines.len(), plan.lines[0].subscriber.as_str()), (2, 1, "a"));
}

async fn what_is_open_or_not_routed_is_skipped_with_its_reason(world: World) {
    failed(&world).await;
    let failed = in_state(&[Standing::Failed]);
    let first = world.start(&request(reprocess(failed.clone()), "1")).await;
    let second = world.start(&request(reprocess(failed.clone()), "2")).await;
    world.run(first).await;
    world.run(second).await;
    assert_eq!(world.counts(second).await, (0, 1));
    assert_eq!(world.replay(second).await.reasons[0].what, "still open");
    act(&world.store, first, Act::Cancel, "operator:test", "because").await.unwrap();
    world.run(first).await;
    for (sql, reason) in [
        ("UPDATE endpoint SET enabled = FALSE", "endpoint.disabled"),
        ("UPDATE artifact SET expires_at = 1", "endpoint.disabled"),
        ("UPDATE endpoint SET enabled = TRUE", "artifact.expired"),
        ("UPDATE subscription SET retired_at = 1", "route.nobody_subscribes"),
        ("UPDATE file_group_rule SET retired_at = 1", "route.no_rule"),
    ] {
        world.sql(sql).await;
        let plan = world.plan(&reprocess(failed.clone())).await;
        assert_eq!((plan.selected, plan.sendable), (1, 0), "{sql}");
        assert_eq!(plan.lines[0].reason, Some(reason), "{sql}");
    }
}

async fn a_paused_one_is_held_when_its_transform_ends(world: World) {
    failed(&world).await;
    let replay = world.start(&request(reprocess(in_state(&[Standing::Failed])), "k")).await;
    world.run(replay).await;
    act(&world.store, replay, Act::Pause, "operator:test", "because").await.unwrap();
    world.run(replay).await;
    transform(&world, true).await;
    assert_eq!(world.number("SELECT count(*) AS n FROM delivery WHERE state = 'held'").await, 2);
    assert!(world.claim().await.sends.is_empty());
    act(&world.store, replay, Act::Resume, "operator:test", "because").await.unwrap();
    world.run(replay).await;
    assert_eq!(world.claim().await.sends.len(), 2);
}

async fn a_cancelled_one_cancels_its_transform(world: World) {
    failed(&world).await;
    let replay = world.start(&request(reprocess(in_state(&[Standing::Failed])), "k")).await;
    world.run(replay).await;
    act(&world.store, replay, Act::Cancel, "operator:test", "because").await.unwrap();
    world.run(replay).await;
    assert_eq!(world.number("SELECT count(*) AS n FROM transform WHERE state = 'cancelled'").await, 1);
    assert_eq!(world.number("SELECT count(*) AS n FROM delivery WHERE state = 'cancelled'").await, 2);
    // The next generation is another one.
    let replay = world.start(&request(reprocess(in_state(&[Standing::Failed])), "2")).await;
    world.run(replay).await;
    let generation = "SELECT CAST(max(generation) AS bigint) AS n FROM transform";
    assert_eq!(world.number(generation).await, 3);
}
