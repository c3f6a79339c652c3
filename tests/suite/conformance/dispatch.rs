//! The dispatch transaction: everything once, or an entry that says why not.

use outport_core::event::{EventSource, ObjectEvent};
use outport_core::version::version_of;
use outport_core::{Fault, code};
use outport_store::Dialect;
use outport_store::enqueue::{Arrival, Dispatched, dispatch, dispatch_all, reject};
use outport_store::list;

use super::on_both;
use super::world::{World, arrival, definitions};

on_both!(
    a_file_is_recorded_once_however_often_it_is_seen,
    five_subscribers_of_one_spec_cost_one_transform,
    nobody_subscribes,
    equal_rules_are_ambiguous,
    an_unsafe_remote_name_is_a_failed_delivery,
    sequences_are_given_once,
    a_sweep_takes_nothing_older_than_the_rule,
    rejected_keys_are_kept,
    concurrent_dispatchers_agree,
    many_at_once_are_as_one_after_the_other,
    one_that_cannot_be_written_keeps_nobody_else,
    concurrent_dispatchers_of_many_agree,
);

async fn a_file_is_recorded_once_however_often_it_is_seen(world: World) {
    world.define(&["a", "b"], None).await;
    let first = arrival("x.json", "v1");
    let Dispatched::Routed { file, deliveries, .. } = world.dispatch(&first).await else {
        panic!("not routed")
    };
    assert_eq!(deliveries, 2);
    for source in
        [EventSource::Watch, EventSource::Sweep, EventSource::S3, EventSource::Sns, EventSource::EventBridge]
    {
        let mut again = arrival("x.json", "v1");
        again.event.source = source;
        assert_eq!(world.dispatch(&again).await, Dispatched::Duplicate { file });
    }
    assert_eq!(world.deliveries().await.len(), 2);
    assert_eq!(list::files::show(&world.store, file).await.unwrap().unwrap().events.len(), 6);
    assert!(
        matches!(world.dispatch(&arrival("x.json", "v2")).await, Dispatched::Routed { .. }),
        "overwritten: a new file"
    );
}

async fn five_subscribers_of_one_spec_cost_one_transform(world: World) {
    world.define(&["a", "b", "c", "d", "e"], Some("json-to-csv")).await;
    let dispatched = world.dispatch(&arrival("x.json", "v1")).await;
    assert!(matches!(dispatched, Dispatched::Routed { deliveries: 5, transforms: 1, .. }), "{dispatched:?}");
}

async fn nobody_subscribes(world: World) {
    world.define(&["a"], None).await;
    let mut other = arrival("x.json", "v1");
    other.event.bucket = "elsewhere".into();
    assert!(matches!(world.dispatch(&other).await, Dispatched::Unrouted { .. }), "no rule");
    world.sql("UPDATE subscription SET enabled = false").await;
    assert!(
        matches!(world.dispatch(&arrival("x.json", "v1")).await, Dispatched::Unrouted { .. }),
        "disabled"
    );
    assert_eq!(
        world.number("SELECT count(*) AS n FROM artifact").await,
        2,
        "kept, so that it can be routed later"
    );
}

async fn equal_rules_are_ambiguous(world: World) {
    let mut twice = definitions(&["a"], None);
    let mut second = twice.file_groups[0].clone();
    second.name = "others".into();
    twice.file_groups.push(second);
    outport_store::definitions::apply(&world.store, &twice, "test").await.unwrap();
    let Dispatched::Rejected { fault, .. } = world.dispatch(&arrival("x", "v1")).await else {
        panic!("not rejected")
    };
    assert_eq!(fault.code, &code::ROUTE_AMBIGUOUS);
    assert!(fault.message.contains("files") && fault.message.contains("others"), "{fault}");
}

async fn an_unsafe_remote_name_is_a_failed_delivery(world: World) {
    world.define(&["a"], None).await;
    world.sql("UPDATE subscription SET remote_name = '{stem} '").await;
    // A stored template that no `apply` would let in still cannot make an unsafe name; a fine template with an
    // unsafe value is the common case.
    world.sql("UPDATE subscription SET remote_name = 'in/{stem}'").await;
    let dispatched = world.dispatch(&arrival("a\\b.json", "v1")).await;
    assert!(matches!(dispatched, Dispatched::Routed { .. }), "{dispatched:?}");
    let delivery = &world.deliveries().await[0];
    assert_eq!(
        (delivery.state.as_str(), delivery.fault_code.as_deref()),
        ("failed", Some("route.name_refused"))
    );
}

async fn sequences_are_given_once(world: World) {
    world.define(&["a"], None).await;
    world.sql("UPDATE subscription SET remote_name = '{sequence:04}.dat'").await;
    for n in 0..3 {
        world.arrive(&format!("f{n}")).await;
    }
    let mut names: Vec<String> = world.deliveries().await.into_iter().map(|d| d.remote_name).collect();
    names.sort();
    assert_eq!(names, ["0001.dat", "0002.dat", "0003.dat"]);
}

async fn a_sweep_takes_nothing_older_than_the_rule(world: World) {
    world.define(&["a"], None).await;
    let mut old = arrival("old", "v1");
    old.event.source = EventSource::Sweep;
    old.modified_at = Some(1_000);
    assert!(matches!(world.dispatch(&old).await, Dispatched::Unrouted { .. }));
    world.sql("UPDATE file_group_rule SET starts_at = 0").await;
    let mut backfilled = arrival("older", "v1");
    backfilled.event.source = EventSource::Sweep;
    backfilled.modified_at = Some(1_000);
    assert!(matches!(world.dispatch(&backfilled).await, Dispatched::Routed { .. }));
}

async fn rejected_keys_are_kept(world: World) {
    let arrived = arrival("x", "v1").event;
    let event = ObjectEvent {
        key: "a/../b".to_owned(),
        bucket: arrived.bucket,
        version_id: None,
        sequencer: None,
        etag: None,
        size_bytes: None,
        event_at: 1,
        source: EventSource::S3,
        message_id: None,
    };
    let version = version_of(Some("v"), None, None).unwrap();
    let fault = Fault::new(&code::ROUTE_BAD_KEY, "it has ..");
    let Dispatched::Rejected { file, .. } = reject(&world.store, &event, &version, &fault).await.unwrap()
    else {
        panic!("not rejected")
    };
    let shown = list::files::show(&world.store, file).await.unwrap().unwrap();
    assert!(shown.file.problem.unwrap().contains("hint:"));
    assert_eq!(reject(&world.store, &event, &version, &fault).await.unwrap(), Dispatched::Duplicate { file });
}

async fn concurrent_dispatchers_agree(world: World) {
    world.define(&["a", "b"], Some("json-to-csv")).await;
    for round in 0..10 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (store, arrival) = (world.store.clone(), arrival(&format!("f{round}"), "v1"));
            tasks.spawn(async move { dispatch(&store, &arrival, |_, _| Some("csv")).await.unwrap() });
        }
        let outcomes = tasks.join_all().await;
        let routed = outcomes.iter().filter(|o| matches!(o, Dispatched::Routed { .. })).count();
        let seen = outcomes.iter().filter(|o| matches!(o, Dispatched::Duplicate { .. })).count();
        assert_eq!((routed, seen), (1, 3), "round {round}");
    }
}

/// What became of each, in a word.
async fn words(world: &World, arrivals: &[Arrival]) -> Vec<&'static str> {
    let answers = dispatch_all(&world.store, arrivals, |_, _| Some("csv")).await;
    let word = |answer: &Result<Dispatched, _>| match answer {
        Ok(Dispatched::Routed { .. }) => "routed",
        Ok(Dispatched::Unrouted { .. }) => "unrouted",
        Ok(Dispatched::Rejected { .. }) => "rejected",
        Ok(Dispatched::Duplicate { .. }) => "duplicate",
        Err(_) => "error",
    };
    answers.iter().map(word).collect()
}

async fn many_at_once_are_as_one_after_the_other(world: World) {
    world.define(&["a", "b", "c"], Some("json-to-csv")).await;
    world.sql("UPDATE subscription SET remote_name = '{sequence:04}.dat' WHERE code LIKE '%a%'").await;
    world.dispatch(&arrival("known", "v1")).await;
    let mut elsewhere = arrival("e", "v1");
    elsewhere.event.bucket = "elsewhere".into();
    let mixed = [arrival("one", "v1"), arrival("known", "v1"), elsewhere, arrival("a\\b", "v1")];
    assert_eq!(words(&world, &mixed).await, ["routed", "duplicate", "unrouted", "routed"]);
    assert_eq!(words(&world, &mixed).await, ["duplicate"; 4]);
    let twice = [arrival("two", "v1"), arrival("two", "v1"), arrival("two", "v2")];
    assert_eq!(words(&world, &twice).await, ["routed", "duplicate", "routed"]);

    let before = world.store.statements();
    let many: Vec<Arrival> = (0..16).map(|n| arrival(&format!("many-{n:02}"), "v1")).collect();
    assert_eq!(words(&world, &many).await, ["routed"; 16]);
    let said = world.store.statements() - before;
    // One for each number that a remote name takes; the rest is the same for one file and for sixteen.
    assert!(said <= 16 + 16, "{said} statements");
    let deliveries = world.deliveries().await;
    assert_eq!(deliveries.len(), 3 * (1 + 2 + 2 + 16));
    let transforms = world.number("SELECT count(*) AS n FROM transform").await;
    assert_eq!(transforms, 1 + 2 + 2 + 16, "one of each file, however many want it");
}

async fn one_that_cannot_be_written_keeps_nobody_else(world: World) {
    world.define(&["a"], None).await;
    let mut bad = arrival("bad", "v1");
    // No text of PostgreSQL has that.
    bad.event.etag = Some("a\0b".into());
    let three = [arrival("one", "v1"), bad, arrival("two", "v1")];
    let bad = if world.store.dialect() == Dialect::Postgres { "error" } else { "routed" };
    assert_eq!(words(&world, &three).await, ["routed", bad, "routed"]);
}

async fn concurrent_dispatchers_of_many_agree(world: World) {
    world.define(&["a", "b"], None).await;
    for round in 0..5 {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..4 {
            let mut arrivals: Vec<Arrival> =
                (0..8).map(|file| arrival(&format!("f{round}-{file}"), "v1")).collect();
            // In no common order: they wait for each other's rows.
            arrivals.rotate_left(2 * n);
            let store = world.store.clone();
            tasks.spawn(async move { dispatch_all(&store, &arrivals, |_, _| None).await });
        }
        let mut routed = 0;
        for answer in tasks.join_all().await.into_iter().flatten() {
            match answer {
                Ok(Dispatched::Routed { .. }) => routed += 1,
                Ok(_) => {}
                // A deadlock: rolled back, and the intake brings the file again.
                Err(error) => assert!(error.is_transient(), "{error}"),
            }
        }
        assert_eq!(routed, 8, "round {round}");
        assert_eq!(world.deliveries().await.len(), (round + 1) * 16);
    }
}
