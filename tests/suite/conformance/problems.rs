//! What waits for a person, and how much of it.

use outport_core::delivery::Stage;
use outport_core::event::{EventSource, ObjectEvent};
use outport_core::version::version_of;
use outport_core::{Fault, code};
use outport_store::acts::{delivery, endpoint};
use outport_store::enqueue::reject;
use outport_store::finish_send::End;
use outport_store::list::problems::{CAP, Problem, Waits, list};
use sea_orm::DbBackend;

use super::on_both;
use super::world::{World, by, fault};

on_both!(
    everything_that_waits_is_a_line_oldest_first,
    what_the_engine_moves_by_itself_is_no_problem,
    counts_end_at_the_cap,
    rejected_files_are_told_for_a_week,
);

async fn problems(world: &World) -> Vec<Problem> {
    list(&world.store).await.unwrap()
}

/// `kind endpoint-or-bucket count`, in order.
fn told(problems: &[Problem]) -> Vec<String> {
    let place = |waits: &Waits| {
        let value = serde_json::to_value(waits).unwrap();
        let of = value["endpoint"].as_str().or(value["bucket"].as_str()).unwrap_or("-");
        format!("{} {of}", value["kind"].as_str().unwrap())
    };
    problems.iter().map(|p| format!("{} {}", place(&p.waits), p.count)).collect()
}

async fn everything_that_waits_is_a_line_oldest_first(world: World) {
    world.define(&["a", "b"], None).await;
    assert_eq!(problems(&world).await, []);
    for n in 0..3 {
        world.arrive(&format!("f{n}")).await;
    }
    let claim = world.claim().await;
    let of = |code: &str| {
        let endpoint = claim.endpoints.values().find(|e| e.label.starts_with(code)).unwrap().endpoint_id;
        claim.sends.iter().filter(move |s| s.endpoint_id == endpoint).cloned().collect::<Vec<_>>()
    };
    let (a, b) = (of("a"), of("b"));
    for send in &a {
        world.end(send, fault(&code::ARTIFACT_MISSING)).await;
    }
    let lost = Fault::new(&code::DELIVERY_UNCONFIRMED, "x");
    world.end(&b[0], End::Unconfirmed { fault: lost }).await;
    world.fail(&b[1], &code::REMOTE_FAILURE).await;
    delivery::hold(&world.store, b[1].delivery_id, by()).await.unwrap();
    let changed = Fault::new(&code::HOSTKEY_CHANGED, "x").with_seen_identity("SHA256:new");
    world.end(&b[2], End::Fault { fault: changed, stage: Stage::Connecting, bytes_sent: 0 }).await;
    endpoint::pause(&world.store, a[0].endpoint_id, by()).await.unwrap();
    // Their order must not hang on the millisecond.
    for (n, what) in ["failed", "unconfirmed"].iter().enumerate() {
        world.sql(&format!("UPDATE delivery SET settled_at = {} WHERE state = '{what}'", 1_000 + n)).await;
    }
    for (n, event) in ["held", "lane_blocked"].iter().enumerate() {
        world.sql(&format!("UPDATE history SET at = {} WHERE event = '{event}'", 2_000 + n)).await;
    }

    let found = problems(&world).await;
    let expected =
        ["failed a/sftp 3", "unconfirmed b/sftp 1", "held b/sftp 1", "identity b/sftp 1", "paused a/sftp 0"];
    assert_eq!(told(&found), expected);
    assert!(found.iter().all(|p| !p.at_least));
    let oldest = a.iter().map(|s| s.delivery_id).min().unwrap();
    let code = Some("artifact.missing".to_owned());
    assert_eq!(found[0].waits, Waits::Failed { endpoint: "a/sftp".into(), code, example: oldest });
    assert_eq!(
        found[3].waits,
        Waits::Identity { endpoint: "b/sftp".into(), seen: Some("SHA256:new".into()) }
    );

    // Each act takes its line away.
    for send in &a {
        delivery::resolve(&world.store, send.delivery_id, by()).await.unwrap();
    }
    delivery::resolve(&world.store, b[0].delivery_id, by()).await.unwrap();
    delivery::release(&world.store, b[1].delivery_id, by()).await.unwrap();
    endpoint::resume(&world.store, a[0].endpoint_id, by()).await.unwrap();
    endpoint::accept_key(&world.store, b[0].endpoint_id, "SHA256:new", by()).await.unwrap();
    assert_eq!(problems(&world).await, []);

    world.sql("UPDATE endpoint SET enabled = false").await;
    assert_eq!(told(&problems(&world).await), ["disabled b/sftp 2"], "nothing waits for a/sftp");
    world.sql("UPDATE endpoint SET enabled = true").await;
    world.sql("UPDATE lane SET suspended_at = 7").await;
    assert_eq!(told(&problems(&world).await), ["suspended a/sftp 0", "suspended b/sftp 2"]);
}

async fn what_the_engine_moves_by_itself_is_no_problem(world: World) {
    world.define(&["a"], None).await;
    for n in 0..6 {
        world.arrive(&format!("f{n}")).await;
    }
    for send in &world.claim().await.sends {
        world.fail(send, &code::ENDPOINT_REFUSED).await;
    }
    assert_eq!(problems(&world).await, [], "an open breaker, retries");
}

async fn counts_end_at_the_cap(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let send = world.claim_one().await;
    world.end(&send, fault(&code::ARTIFACT_MISSING)).await;
    let new_id = match world.raw.get_database_backend() {
        DbBackend::Postgres => "gen_random_uuid()",
        _ => "randomblob(16)",
    };
    world
        .sql(&format!(
            "INSERT INTO delivery (id, file_id, subscription_id, subscriber_id, endpoint_id, part, origin, state, \
             max_attempts, deadline_at, remote_name, snapshot, fault_code, created_at, settled_at) \
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {CAP}) \
             SELECT {new_id}, file_id, subscription_id, subscriber_id, endpoint_id, n, origin, state, max_attempts, \
             deadline_at, remote_name, snapshot, fault_code, created_at, settled_at FROM delivery, numbers"
        ))
        .await;
    let found = problems(&world).await;
    assert_eq!((told(&found), found[0].at_least), (vec!["failed a/sftp 10000".to_owned()], true));
    world.sql("UPDATE delivery SET state = 'held', settled_at = NULL, artifact_id = file_id").await;
    let found = problems(&world).await;
    assert_eq!((told(&found), found[0].at_least), (vec!["held a/sftp 10000".to_owned()], true));
    world.sql("UPDATE delivery SET state = 'failed', settled_at = 1").await;
    world.sql("UPDATE delivery SET resolved_at = 1 WHERE part > 0").await;
    let found = problems(&world).await;
    assert_eq!((told(&found), found[0].at_least), (vec!["failed a/sftp 1".to_owned()], false));
}

async fn rejected_files_are_told_for_a_week(world: World) {
    for (n, key) in ["a\u{1b}b", "a\nb", "c\u{fffd}"].into_iter().enumerate() {
        let event = ObjectEvent {
            bucket: "in".to_owned(),
            key: key.to_owned(),
            version_id: None,
            sequencer: None,
            etag: None,
            size_bytes: None,
            event_at: 1,
            source: EventSource::Watch,
            message_id: None,
        };
        let code = if n < 2 { &code::ROUTE_BAD_KEY } else { &code::INTAKE_BAD_KEY };
        let version = version_of(Some("v"), None, None).unwrap();
        reject(&world.store, &event, &version, &Fault::new(code, "could not take it")).await.unwrap();
    }
    world.sql("UPDATE file SET arrived_at = arrived_at + 1000 WHERE problem LIKE '%intake%'").await;
    let found = problems(&world).await;
    assert_eq!(told(&found), ["rejected in 2", "rejected in 1"]);
    assert!(matches!(&found[0].waits, Waits::Rejected { code: Some(code), .. } if code == "route.bad_key"));
    let week = 7 * 24 * 3_600_000 + 60_000;
    world
        .sql(&format!("UPDATE file SET arrived_at = arrived_at - {week} WHERE problem LIKE '%route%'"))
        .await;
    assert_eq!(told(&problems(&world).await), ["rejected in 1"]);
}
