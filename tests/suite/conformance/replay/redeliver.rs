//! Redeliver: the same artifact once more.

use outport_core::code;
use outport_core::delivery::DeliveryState;
use outport_core::replay::{Filter, ReplayConfig, Standing, When};
use outport_store::finish_send::End;
use outport_store::list;
use outport_store::replay::start::{Started, known, start};

use super::super::on_both;
use super::super::world::{World, fault};
use super::{in_state, redeliver, request};

on_both!(
    what_failed_is_sent_again_and_its_source_resolved,
    what_is_open_or_delivered_since_is_skipped_with_its_reason,
    one_key_runs_once,
    the_rest_of_a_filter_narrows,
    what_cannot_be_sent_says_why,
    as_sent_goes_to_the_old_endpoint,
    a_replay_that_fails_can_be_replayed,
    unknown_names_are_refused,
);

/// One file to each subscriber, given up.
async fn failed(world: &World, subscribers: &[&str], key: &str) {
    world.define(subscribers, None).await;
    world.arrive(key).await;
    give_up(world).await;
}

/// Fails what is due until nothing is open.
async fn give_up(world: &World) {
    loop {
        let claim = world.claim().await;
        if claim.sends.is_empty() {
            break;
        }
        for send in claim.sends {
            world.fail(&send, &code::REMOTE_NO_SUCH_FOLDER).await;
        }
        world.pass_time().await;
    }
}

async fn what_failed_is_sent_again_and_its_source_resolved(world: World) {
    failed(&world, &["a"], "f").await;
    let source = world.deliveries().await[0].clone();
    assert_eq!(source.state, "failed");
    let question = redeliver(in_state(&[Standing::Failed]));
    let plan = world.plan(&question).await;
    assert_eq!((plan.selected, plan.sendable), (1, 1));
    assert_eq!((plan.lines[0].endpoint.as_str(), plan.lines[0].state.as_str()), ("a/sftp", "failed"));
    let replay = world.start(&request(question.clone(), "k")).await;
    assert_eq!(world.replay(replay).await.replay.matched, 1);
    world.run(replay).await;
    let detail = world.replay(replay).await;
    assert_eq!((detail.replay.state.as_str(), detail.replay.created), ("done", 1));
    let events: Vec<_> = detail.history.iter().map(|turn| turn.event.as_str()).collect();
    assert_eq!(events, ["started", "done"]);
    assert_eq!(detail.history[0].reason.as_deref(), Some("the partner asked"));
    let send = world.claim_one().await;
    assert_eq!(send.remote_name, source.remote_name);
    assert_eq!(world.number("SELECT count(*) AS n FROM delivery WHERE resolved_at IS NOT NULL").await, 0);
    world.deliver(&send).await;
    let resolved = "SELECT count(*) AS n FROM delivery WHERE resolved_at IS NOT NULL AND origin = 'arrival'";
    assert_eq!(world.number(resolved).await, 1);
    assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE event = 'resolved'").await, 1);
    assert_eq!(world.plan(&question).await.selected, 0, "it is resolved");
}

async fn what_is_open_or_delivered_since_is_skipped_with_its_reason(world: World) {
    failed(&world, &["a"], "f").await;
    let failed = in_state(&[Standing::Failed]);
    let first = world.start(&request(redeliver(failed.clone()), "1")).await;
    // Counted, and recorded, before the first one has created anything.
    let second = world.start(&request(redeliver(failed.clone()), "2")).await;
    let third = world.start(&request(redeliver(failed.clone()), "3")).await;
    world.run(first).await;
    world.run(second).await;
    assert_eq!(world.counts(second).await, (0, 1));
    assert_eq!(world.replay(second).await.reasons[0].what, "still open");
    let plan = world.plan(&redeliver(failed)).await;
    assert_eq!((plan.selected, plan.sendable), (1, 0));
    assert!(plan.examples[0].reason.starts_with("still open: dlv_"), "{plan:?}");
    assert!(plan.examples[0].reason.contains("next try at 20"), "{plan:?}");
    let send = world.claim_one().await;
    world.deliver(&send).await;
    // Resolved meanwhile: the filter does not take it any more.
    world.run(third).await;
    assert_eq!(world.counts(third).await, (0, 0));
    // Somebody wants all of them again: the older one is repaired, the newer one is what there is.
    let filter =
        Filter { subscriber: vec!["a".into()], ..in_state(&[Standing::Failed, Standing::Delivered]) };
    let plan = world.plan(&redeliver(filter)).await;
    assert_eq!((plan.selected, plan.sendable), (1, 1));
    assert_eq!(plan.lines[0].state, "delivered");
    // Without the note that it is resolved (an operator's restore), the later delivery itself is the reason.
    world.sql("UPDATE delivery SET resolved_at = NULL, resolved_by = NULL").await;
    let plan = world.plan(&redeliver(in_state(&[Standing::Failed]))).await;
    assert_eq!(plan.sendable, 0);
    assert_eq!(plan.examples[0].reason, format!("already delivered by {}", send.delivery_id));
}

async fn one_key_runs_once(world: World) {
    failed(&world, &["a"], "f").await;
    let wanted = request(redeliver(in_state(&[Standing::Failed])), "INC-1");
    let plan = world.plan(&wanted.question).await;
    // Twice at once: one of them is the first.
    let (one, two) = tokio::join!(start(&world.store, &wanted, &plan), start(&world.store, &wanted, &plan));
    let ids: Vec<_> = [one.unwrap(), two.unwrap()]
        .into_iter()
        .map(|started| match started {
            Started::New(id) => (id, true),
            Started::Known(id) => (id, false),
        })
        .collect();
    assert_eq!(ids[0].0, ids[1].0);
    assert_ne!(ids[0].1, ids[1].1);
    world.run(ids[0].0).await;
    assert_eq!(known(&world.store, &wanted).await.unwrap(), Some(ids[0].0));
    assert_eq!(world.number("SELECT count(*) AS n FROM delivery WHERE origin = 'replay'").await, 1);
    let other = request(redeliver(in_state(&[Standing::Cancelled])), "INC-1");
    let refused = known(&world.store, &other).await.unwrap_err().fault();
    assert_eq!(refused.code.name, "replay.key_taken");
    assert!(refused.message.contains("filter is another one"), "{}", refused.message);
    let faster = outport_store::replay::start::Request { per_minute: Some(5), ..wanted };
    assert!(known(&world.store, &faster).await.is_err());
}

async fn the_rest_of_a_filter_narrows(world: World) {
    world.define(&["a", "b"], None).await;
    world.arrive("in/x.csv").await;
    world.arrive("in/y_1.txt").await;
    give_up(&world).await;
    let all = world.deliveries().await;
    assert_eq!(all.len(), 4);
    let count = async |filter: Filter| {
        let question = redeliver(filter);
        let plan = world.plan(&question).await;
        let lines: u64 = plan.lines.iter().map(|line| line.count).sum();
        assert_eq!(lines, plan.selected);
        plan.selected
    };
    let words = |word: &str| vec![word.to_owned()];
    let now = outport_store::replay::plan::clock(&world.store).await.unwrap();
    let moment = |text: &str| Some(text.parse::<When>().unwrap().moment(now + 1_000));
    let base = in_state(&[Standing::Failed]);
    for (filter, want) in [
        (Filter { subscriber: words("a"), ..base.clone() }, 2),
        (Filter { endpoint: words("b/sftp"), ..base.clone() }, 2),
        (Filter { endpoint: vec!["a/sftp".into(), "b/sftp".into()], ..base.clone() }, 4),
        (Filter { group: words("files"), ..base.clone() }, 4),
        (Filter { subscription: words("a-files"), ..base.clone() }, 2),
        (Filter { fault: words("remote.no_such_folder"), ..base.clone() }, 4),
        (Filter { fault: words("remote.disk_full"), ..base.clone() }, 0),
        (Filter { since: moment("1h"), ..base.clone() }, 4),
        (Filter { until: moment("1h"), ..base.clone() }, 0),
        (Filter { since: moment("0s"), ..base.clone() }, 0),
        (Filter { name: Some("*.csv".parse().unwrap()), ..base.clone() }, 2),
        (Filter { name: Some("in/*".parse().unwrap()), ..base.clone() }, 4),
        (Filter { name: Some("*".parse().unwrap()), ..base.clone() }, 4),
        (Filter { name: Some("y_?.txt".parse().unwrap()), ..base.clone() }, 2),
        (Filter { name: Some("yx?.txt".parse().unwrap()), ..base.clone() }, 0),
        (Filter { name: Some("out/*".parse().unwrap()), ..base.clone() }, 0),
        (Filter { id: words(&all[0].id.to_string()), ..base.clone() }, 1),
        (Filter { id: words(&all[0].id.to_string()), ..Filter::default() }, 1),
        (in_state(&[Standing::Unconfirmed, Standing::Cancelled, Standing::Delivered]), 0),
    ] {
        assert_eq!(count(filter.clone()).await, want, "{filter:?}");
    }
}

async fn what_cannot_be_sent_says_why(world: World) {
    world.define(&["a", "b", "c", "d", "e"], None).await;
    world.arrive("f").await;
    give_up(&world).await;
    world.sql("UPDATE endpoint SET enabled = FALSE WHERE subscriber_id IN (SELECT id FROM subscriber WHERE code = 'a')").await;
    world.sql("UPDATE subscription SET retired_at = 1 WHERE code = 'b-files'").await;
    world.sql("UPDATE subscription SET enabled = FALSE WHERE code = 'c-files'").await;
    world.sql("UPDATE delivery SET artifact_id = NULL WHERE subscriber_id IN (SELECT id FROM subscriber WHERE code = 'd')").await;
    let plan = world.plan(&redeliver(in_state(&[Standing::Failed]))).await;
    assert_eq!((plan.selected, plan.sendable), (5, 1));
    let reasons: Vec<_> =
        plan.lines.iter().map(|line| (line.subscriber.as_str(), line.reason.unwrap_or("-"))).collect();
    let want = [
        ("a", "endpoint.disabled"),
        ("b", "subscription.retired"),
        ("c", "subscription.disabled"),
        ("d", "artifact.none"),
        ("e", "-"),
    ];
    assert_eq!(reasons, want);
    world.sql("UPDATE artifact SET expires_at = 1").await;
    let replay = {
        let wanted = request(redeliver(in_state(&[Standing::Failed])), "k");
        world.start(&wanted).await
    };
    world.run(replay).await;
    assert_eq!(world.counts(replay).await, (0, 5));
    let reasons: Vec<_> = world.replay(replay).await.reasons.into_iter().map(|count| count.what).collect();
    let want = [
        "artifact.expired",
        "artifact.none",
        "endpoint.disabled",
        "subscription.disabled",
        "subscription.retired",
    ];
    assert_eq!(reasons, want);
}

async fn as_sent_goes_to_the_old_endpoint(world: World) {
    failed(&world, &["a", "b"], "f").await;
    // The partner has a new server.
    let of = |code: &str| format!("(SELECT id FROM subscriber WHERE code = '{code}')");
    let moved = format!(
        "UPDATE endpoint SET subscriber_id = {}, name = 'new' WHERE subscriber_id = {}",
        of("a"),
        of("b")
    );
    world.sql(&moved).await;
    world.sql("UPDATE subscription SET endpoint_id = (SELECT id FROM endpoint WHERE name = 'new')").await;
    let filter = Filter { subscription: vec!["a-files".into()], ..in_state(&[Standing::Failed]) };
    let current = redeliver(filter.clone());
    let as_sent = outport_store::replay::plan::Question { config: ReplayConfig::AsSent, ..current.clone() };
    assert_eq!(world.plan(&current).await.lines[0].endpoint, "a/new");
    assert_eq!(world.plan(&as_sent).await.lines[0].endpoint, "a/sftp");
    let replay = world.start(&request(as_sent, "k")).await;
    world.run(replay).await;
    let made = world.deliveries().await[0].clone();
    assert_eq!((made.state.as_str(), made.endpoint.as_str()), ("queued", "a/sftp"));
}

async fn a_replay_that_fails_can_be_replayed(world: World) {
    failed(&world, &["a"], "f").await;
    for key in ["1", "2"] {
        let replay = world.start(&request(redeliver(in_state(&[Standing::Failed])), key)).await;
        assert_eq!(world.replay(replay).await.replay.matched, 1, "the newest one counts");
        world.run(replay).await;
        give_up(&world).await;
    }
    let replay = world.start(&request(redeliver(in_state(&[Standing::Failed])), "3")).await;
    world.run(replay).await;
    let send = world.claim_one().await;
    world.deliver(&send).await;
    let open = "SELECT count(*) AS n FROM delivery WHERE state = 'failed' AND resolved_at IS NULL";
    assert_eq!(world.number(open).await, 0, "one receipt settles them all");
    // What may have arrived says so.
    world.arrive("g").await;
    let send = world.claim_one().await;
    let lost = match fault(&code::DELIVERY_UNCONFIRMED) {
        End::Fault { fault, .. } => End::Unconfirmed { fault },
        other => other,
    };
    world.end(&send, lost).await;
    assert_eq!(world.state(send.delivery_id).await, DeliveryState::Unconfirmed);
    let replay = world.start(&request(redeliver(in_state(&[Standing::Unconfirmed])), "4")).await;
    world.run(replay).await;
    let made = &world.deliveries().await[0];
    assert!(made.possible_duplicate && made.state == "queued");
    let shown = list::deliveries::show(&world.store, made.id).await.unwrap().unwrap();
    assert_eq!(shown.delivery.remote_name, "g");
}

async fn unknown_names_are_refused(world: World) {
    failed(&world, &["a"], "f").await;
    let words = |word: &str| vec![word.to_owned()];
    let id = "dlv_01h455vb4pex5vsknk084sn02q";
    for filter in [
        Filter { subscriber: words("x"), ..Filter::default() },
        Filter { endpoint: words("a/x"), ..Filter::default() },
        Filter { group: words("x"), ..Filter::default() },
        Filter { subscription: vec!["a-files".into(), "x".into()], ..Filter::default() },
        Filter { id: words(id), ..Filter::default() },
    ] {
        let plan =
            outport_store::replay::plan::plan(&world.store, &redeliver(filter.clone()), super::csv).await;
        let refused = plan.unwrap_err().fault();
        assert_eq!(refused.code.name, "usage.not_found", "{filter:?}");
        assert!(refused.hint().contains("list"), "{}", refused.hint());
    }
}
