//! The set property: created + skipped = selected, and the replayed set is the filter's set without what is skipped, for
//! random ledgers, page sizes and kill points.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use outport_core::DeliveryId;
use outport_core::replay::{Filter, Moment, Skip, Standing};
use outport_store::entity::{delivery, replay_item};
use outport_store::replay::run::{self, Step};
use outport_tests::set::{Set, set};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sea_orm::EntityTrait;

use super::super::on_both;
use super::super::world::World;
use super::ledger::{Expiry, Was, clear, fill};
use super::{csv, redeliver, request};

on_both!(created_and_skipped_are_the_selected, two_replays_of_one_filter_send_each_file_once);

const SUBSCRIBERS: [&str; 4] = ["a", "b", "c", "d"];
const FAULTS: [&str; 2] = ["remote.failure", "remote.disk_full"];

/// Of these subscribers, `c` is disabled and the endpoint of `d` is.
async fn definitions(world: &World) {
    world.define(&SUBSCRIBERS, None).await;
    world.sql("UPDATE subscription SET enabled = FALSE WHERE code = 'c-files'").await;
    world.sql("UPDATE endpoint SET enabled = FALSE WHERE subscriber_id = (SELECT id FROM subscriber WHERE code = 'd')").await;
}

fn some_delivery(random: &mut StdRng, is_last: bool) -> Was {
    let states: &[&str] = &["failed", "failed", "failed", "unconfirmed", "cancelled", "delivered", "held"];
    let mut state = states[random.random_range(0..states.len())];
    if state == "held" && !is_last {
        // A delivery is replayed only when it is settled.
        state = "failed";
    }
    let artifact = match random.random_range(0..10) {
        0 if state == "failed" => None,
        1 => Some(Expiry::Past),
        _ => Some(Expiry::Never),
    };
    Was {
        state,
        fault: (state == "failed").then(|| FAULTS[random.random_range(0..2)]),
        settled_at: random.random_range(1..1_000),
        resolved: random.random_range(0..6) == 0,
        artifact,
    }
}

fn some_ledger(random: &mut StdRng) -> Vec<Vec<Was>> {
    let files = random.random_range(0..60);
    let chain = |random: &mut StdRng| {
        let length = [1, 1, 1, 2, 3][random.random_range(0..5)];
        (0..length).map(|n| some_delivery(random, n + 1 == length)).collect()
    };
    (0..files).map(|_| chain(random)).collect()
}

fn some_filter(random: &mut StdRng) -> Filter {
    let mut filter = Filter::default();
    let all = Standing::DELIVERIES;
    filter.state = all.iter().filter(|_| random.random_bool(0.5)).copied().collect();
    if filter.state.is_empty() {
        filter.state.push(Standing::Failed);
    }
    if random.random_bool(0.3) {
        filter.subscriber = vec!["a".into(), "d".into()];
    }
    if random.random_bool(0.2) {
        filter.fault = vec![FAULTS[0].into()];
    }
    if random.random_bool(0.3) {
        filter.since = Some(Moment { at: random.random_range(0..500), given: "x".into() });
    }
    if random.random_bool(0.3) {
        filter.until = Some(Moment { at: random.random_range(500..1_000), given: "y".into() });
    }
    if random.random_bool(0.2) {
        filter.name = Some("folder-1/*".parse().unwrap());
    }
    filter
}

/// The rule again, over lists instead of tables: what becomes of each selected delivery; `None` = it is sent.
fn expected(
    files: &[Vec<Was>],
    ids: &[Vec<DeliveryId>],
    filter: &Filter,
) -> BTreeMap<DeliveryId, Option<&'static str>> {
    let mut all = BTreeMap::new();
    for (n, (chain, ids)) in files.iter().zip(ids).enumerate() {
        let subscriber = SUBSCRIBERS[n % SUBSCRIBERS.len()];
        let wanted = |was: &Was| {
            !was.is_open()
                && !was.resolved
                && filter.state.iter().any(|state| state.as_str() == was.state)
                && (filter.subscriber.is_empty() || filter.subscriber.iter().any(|code| code == subscriber))
                && (filter.fault.is_empty() || was.fault.is_some_and(|code| filter.fault[0] == code))
                && filter.since.as_ref().is_none_or(|since| was.settled_at >= since.at)
                && filter.until.as_ref().is_none_or(|until| was.settled_at < until.at)
        };
        let Some(at) = chain.iter().rposition(wanted) else { continue };
        if filter.name.is_some() && n % 3 != 1 {
            continue;
        }
        let later =
            chain[at + 1..].iter().rfind(|was| was.is_open() || was.state == "delivered" || was.resolved);
        let expired = chain.iter().any(|was| was.artifact == Some(Expiry::Past));
        let reason = match later {
            Some(later) if later.is_open() => Some("still open"),
            Some(later) if later.state == "delivered" => Some("already delivered"),
            Some(_) => Some("resolved"),
            None if subscriber == "c" => Some("subscription.disabled"),
            None if subscriber == "d" => Some("endpoint.disabled"),
            None if chain[at].artifact.is_none() => Some("artifact.none"),
            None if expired => Some("artifact.expired"),
            None => None,
        };
        all.insert(ids[at], reason);
    }
    all
}

/// Runs a replay to its end, in pages of random size, killed now and then in the middle of a transaction.
async fn run_killed(world: &World, replay: outport_core::ReplayId, random: &mut StdRng) -> u32 {
    let mut kills = 0;
    loop {
        let step = run::step(&world.store, replay, random.random_range(1..15), csv);
        if random.random_bool(0.4) {
            // Dropped wherever it is by then: before, between or after its statements, also while it commits.
            let soon = Duration::from_micros(random.random_range(0..4_000));
            match tokio::time::timeout(soon, step).await {
                Ok(done) => drop(done.unwrap()),
                Err(_) => kills += 1,
            }
            continue;
        }
        match step.await.unwrap() {
            Step::Nothing => return kills,
            Step::Busy | Step::Page { .. } | Step::Chore(_) => world.assert_invariants().await,
        }
    }
}

async fn created_and_skipped_are_the_selected(world: World) {
    definitions(&world).await;
    let cases = if set() == Set::Full { 300 } else { 25 };
    let (mut selected_in_all, mut kills) = (0, 0);
    for seed in 0..cases {
        clear(&world).await;
        let mut random = StdRng::seed_from_u64(seed);
        let files = some_ledger(&mut random);
        let ids = fill(&world, &files).await;
        let filter = some_filter(&mut random);
        let expected = expected(&files, &ids, &filter);
        let sendable = expected.values().filter(|reason| reason.is_none()).count();

        let wanted = request(redeliver(filter.clone()), &format!("k{seed}"));
        let plan = world.plan(&wanted.question).await;
        let told = (plan.selected, plan.sendable);
        assert_eq!(told, (expected.len() as u64, sendable as u64), "seed {seed}: {filter:?}");
        let replay = world.start(&wanted).await;
        kills += run_killed(&world, replay, &mut random).await;

        let detail = world.replay(replay).await.replay;
        assert_eq!(detail.state, "done", "seed {seed}");
        let counts = (detail.matched as usize, detail.created as usize, detail.skipped as usize);
        assert_eq!(counts, (expected.len(), sendable, expected.len() - sendable), "seed {seed}: {filter:?}");
        let items = replay_item::Entity::find().all(&world.raw).await.unwrap();
        let outcome: BTreeMap<DeliveryId, Option<String>> =
            items.iter().map(|item| (DeliveryId::from_uuid(item.subject_id), item.skipped.clone())).collect();
        assert_eq!(outcome.len(), expected.len(), "seed {seed}: {filter:?}");
        for (id, reason) in &expected {
            let told =
                outcome.get(id).unwrap_or_else(|| panic!("seed {seed}: {id} is no item of {filter:?}"));
            let same = match (reason, told) {
                (None, None) => true,
                (Some(reason), Some(told)) => told.starts_with(reason) && !Skip::hint(reason).is_empty(),
                _ => false,
            };
            assert!(same, "seed {seed}: {id}: {told:?}, expected {reason:?}");
        }
        let made = delivery::Entity::find().all(&world.raw).await.unwrap();
        let made = made.iter().filter(|made| made.replay_id == Some(replay.uuid()));
        let sources: Vec<_> = made.map(|made| DeliveryId::from_uuid(made.source_id.unwrap())).collect();
        let once: BTreeSet<_> = sources.iter().copied().collect();
        let sent: BTreeSet<_> =
            expected.iter().filter(|(_, reason)| reason.is_none()).map(|(id, _)| *id).collect();
        assert_eq!((sources.len(), once), (sent.len(), sent), "seed {seed}: {filter:?}");
        selected_in_all += expected.len();
    }
    println!("{cases} ledgers, {selected_in_all} selected, {kills} kills");
    assert!(
        selected_in_all > 100 && kills > 5,
        "{selected_in_all} selected, {kills} kills: a test of nothing"
    );
}

/// Two operators, two keys, one filter, three runners at once.
async fn two_replays_of_one_filter_send_each_file_once(world: World) {
    world.define(&["a"], None).await;
    fill(&world, &vec![vec![Was::failed()]; 150]).await;
    let filter = Filter { state: vec![Standing::Failed], ..Filter::default() };
    let one = world.start(&request(redeliver(filter.clone()), "1")).await;
    let two = world.start(&request(redeliver(filter), "2")).await;
    let runner = async || {
        let (mut over, mut page) = (0, 1);
        while over < 2 {
            over = 0;
            for replay in [one, two] {
                page = page % 9 + 1;
                match run::step(&world.store, replay, page, csv).await.unwrap() {
                    Step::Nothing => over += 1,
                    Step::Busy | Step::Page { .. } | Step::Chore(_) => {}
                }
            }
        }
    };
    tokio::join!(runner(), runner(), runner());
    let made = world.number("SELECT count(*) AS n FROM delivery WHERE origin = 'replay'").await;
    assert_eq!(made, 150);
    let twice = "SELECT count(*) AS n FROM (SELECT file_id FROM delivery WHERE origin = 'replay' \
                 GROUP BY file_id HAVING count(*) > 1) AS twice";
    assert_eq!(world.number(twice).await, 0);
    let (one, two) = (world.counts(one).await, world.counts(two).await);
    assert_eq!((one.0 + two.0, one.1 + two.1), (150, 150), "{one:?} {two:?}");
}
