//! Who is told of what: with the change that it tells of, once, and in one message for a burst.

use outport_core::{Fault, code};
use outport_store::finish_send::finish;
use outport_store::notices::Notices;
use outport_store::notices::post::{self, Again, Post};
use sea_orm::DbBackend;

use super::on_both;
use super::world::{World, fault, report};

on_both!(
    a_message_is_written_with_its_change_or_not_at_all,
    nobody_is_told_where_nobody_wants_to_hear,
    a_burst_is_one_message_and_two_processes_share_them,
    a_message_keeps_its_id_and_its_words_until_it_is_taken,
    after_a_day_it_is_given_up_and_said_so,
    a_lane_that_is_up_and_down_by_turns_is_told_once,
    a_key_that_changed_during_a_recovery_is_told_and_the_recovery_is_not,
);

const TARGET: &str = "webhook";

/// Ends of these spans are in 1970, 2286 and 2603: none falls into a test, however long it takes.
const GATHER_MS: i64 = 10_000_000_000_000;

/// A world whose events are told, with `files` claimed deliveries to come.
async fn listening(mut world: World, files: usize) -> World {
    let notices = Notices { targets: vec![TARGET.into()], gather_ms: GATHER_MS };
    world.store = world.store.clone().with_notices(notices);
    world.define(&["a"], None).await;
    for n in 0..files {
        world.arrive(&format!("f{n}")).await;
    }
    world
}

async fn claim(world: &World) -> Option<Post> {
    post::claim(&world.store, TARGET, &world.timing).await.unwrap()
}

/// What waits to be told is due now.
async fn due(world: &World) {
    world.sql("UPDATE notification SET due_at = 1 WHERE ended_at IS NULL").await;
}

async fn failed(world: &World, post: &Post) -> Again {
    let refused = Fault::new(&code::NOTIFY_REFUSED, "the webhook at x answered 500");
    post::failed(&world.store, post, &refused, &world.timing, 0.5).await.unwrap()
}

async fn waiting(world: &World) -> i64 {
    world.number("SELECT count(*) AS n FROM notification WHERE ended_at IS NULL").await
}

/// How many messages of an event were written, and how many of them taken back.
async fn written(world: &World, event: &str) -> (i64, i64) {
    let count = |more: &str| {
        format!(
            "SELECT count(*) AS n FROM notification n JOIN history h ON h.id = n.history_id \
             WHERE h.event = '{event}' {more}"
        )
    };
    (world.number(&count("")).await, world.number(&count("AND n.outcome = 'taken_back'")).await)
}

async fn a_message_is_written_with_its_change_or_not_at_all(world: World) {
    let world = listening(world, 1).await;
    let send = world.claim_one().await;
    let failed = report(&send, fault(&code::ARTIFACT_MISSING));
    world.sql("ALTER TABLE notification RENAME TO elsewhere").await;
    finish(&world.store, &failed, &world.timing, 0.5).await.unwrap_err();
    assert_eq!(world.state(send.delivery_id).await.as_str(), "sending");
    let told = "SELECT count(*) AS n FROM history WHERE event = 'failed'";
    assert_eq!(world.number(told).await, 0);
    world.sql("ALTER TABLE elsewhere RENAME TO notification").await;
    world.assert_invariants().await;
    finish(&world.store, &failed, &world.timing, 0.5).await.unwrap();
    assert_eq!((world.number(told).await, waiting(&world).await), (1, 1));
    // Said twice, for whoever's answer was lost: told once.
    finish(&world.store, &failed, &world.timing, 0.5).await.unwrap();
    assert_eq!((world.number(told).await, waiting(&world).await), (1, 1));

    due(&world).await;
    let post = claim(&world).await.unwrap();
    let [event] = post.events.as_slice() else { panic!("{post:?}") };
    assert_eq!((event.event.as_str(), event.subject_id.clone()), ("failed", send.delivery_id.to_string()));
    assert_eq!(event.endpoint.as_deref(), Some("a/sftp"));
    assert_eq!(event.subscription.as_deref(), Some("a-files"));
    assert_eq!(event.object.as_deref(), Some("s3://in/f0"));
    assert_eq!(event.detail["code"], "artifact.missing");
}

async fn nobody_is_told_where_nobody_wants_to_hear(world: World) {
    world.define(&["a"], None).await;
    world.arrive("f").await;
    let send = world.claim_one().await;
    world.end(&send, fault(&code::ARTIFACT_MISSING)).await;
    assert_eq!(waiting(&world).await, 0);
    assert_eq!(world.number("SELECT count(*) AS n FROM history WHERE event = 'failed'").await, 1);
}

async fn a_burst_is_one_message_and_two_processes_share_them(world: World) {
    let world = listening(world, 20).await;
    for send in &world.claim().await.sends {
        world.end(send, fault(&code::ARTIFACT_MISSING)).await;
    }
    assert_eq!(waiting(&world).await, 20);
    assert!(claim(&world).await.is_none(), "they are gathered first");
    let between = format!("SELECT count(*) AS n FROM notification WHERE due_at <> {GATHER_MS}");
    assert_eq!(world.number(&between).await, 0);
    let new_id = match world.raw.get_database_backend() {
        DbBackend::Postgres => "gen_random_uuid()",
        _ => "randomblob(16)",
    };
    world
        .sql(&format!(
            "INSERT INTO notification (id, history_id, target, due_at) \
             WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 30) \
             SELECT {new_id}, history_id, target, 1 FROM notification, numbers"
        ))
        .await;
    due(&world).await;
    let (one, other) = tokio::join!(claim(&world), claim(&world));
    let mut posts: Vec<Post> = [one, other].into_iter().flatten().collect();
    while let Some(post) = claim(&world).await {
        posts.push(post);
    }
    let sizes: Vec<usize> = posts.iter().map(|post| post.events.len()).collect();
    // Two that pick at the same moment may share them in any way.
    assert!(sizes.iter().all(|size| (1..=500).contains(size)), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 620, "each once: {sizes:?}");
    assert!((2..=4).contains(&sizes.len()), "{sizes:?}");
}

async fn a_message_keeps_its_id_and_its_words_until_it_is_taken(world: World) {
    let world = listening(world, 3).await;
    let sends = world.claim().await.sends;
    world.end(&sends[0], fault(&code::ARTIFACT_MISSING)).await;
    world.end(&sends[1], fault(&code::ARTIFACT_MISSING)).await;
    due(&world).await;
    let first = claim(&world).await.unwrap();
    assert_eq!((first.events.len(), first.attempts), (2, 1));
    assert!(matches!(failed(&world, &first).await, Again::At(_)));
    // What comes later is a message of its own.
    world.end(&sends[2], fault(&code::ARTIFACT_MISSING)).await;
    assert!(claim(&world).await.is_none(), "not due");
    world.sql("UPDATE notification SET due_at = 1 WHERE post_id IS NOT NULL").await;
    let second = claim(&world).await.unwrap();
    assert_eq!((second.id, second.attempts), (first.id, 2));
    assert_eq!(second.events, first.events);
    // A process that dies with it in its hands.
    assert!(claim(&world).await.is_none(), "leased");
    world.sql("UPDATE notification SET lease_until = 1 WHERE post_id IS NOT NULL").await;
    let third = claim(&world).await.unwrap();
    assert_eq!((third.id, third.attempts), (first.id, 3));
    assert!(!post::sent(&world.store, &second).await.unwrap(), "its lease is over");
    assert_eq!(failed(&world, &second).await, Again::LeaseLost);
    assert!(post::sent(&world.store, &third).await.unwrap());
    assert_eq!(waiting(&world).await, 1);
    due(&world).await;
    let next = claim(&world).await.unwrap();
    assert!(next.id != first.id && next.events.len() == 1, "{next:?}");
}

async fn after_a_day_it_is_given_up_and_said_so(world: World) {
    let world = listening(world, 1).await;
    world.end(&world.claim_one().await, fault(&code::ARTIFACT_MISSING)).await;
    due(&world).await;
    world.sql("UPDATE history SET at = at - 86400000 WHERE event = 'failed'").await;
    let post = claim(&world).await.unwrap();
    assert_eq!(failed(&world, &post).await, Again::GaveUp);
    let gave_up = "SELECT count(*) AS n FROM history WHERE event = 'gave_up' AND subject_kind = 'post'";
    assert_eq!((world.number(gave_up).await, waiting(&world).await), (1, 0));
    assert!(claim(&world).await.is_none());
}

/// Files of one claim fail until the breaker opens.
async fn open(world: &World) {
    while world.number("SELECT count(*) AS n FROM lane WHERE health = 'open'").await == 0 {
        let sends = world.claim().await.sends;
        assert!(!sends.is_empty(), "nothing to fail");
        for send in &sends {
            world.fail(send, &code::ENDPOINT_REFUSED).await;
        }
        world.pass_time().await;
    }
}

/// The breaker's wait is over, and its one file arrives.
async fn recover(world: &World) {
    world.sql("UPDATE lane SET blocked_until = 1").await;
    let send = world.claim_one().await;
    world.deliver(&send).await;
    world.pass_time().await;
}

async fn a_lane_that_is_up_and_down_by_turns_is_told_once(world: World) {
    let world = listening(world, 8).await;
    for _ in 0..3 {
        open(&world).await;
        recover(&world).await;
    }
    assert_eq!(written(&world, "lane_blocked").await, (1, 0));
    assert_eq!(written(&world, "lane_recovered").await, (3, 2));
    // The history has all of it.
    let blocked = world.number("SELECT count(*) AS n FROM history WHERE event = 'lane_blocked'").await;
    let recovered = world.number("SELECT count(*) AS n FROM history WHERE event = 'lane_recovered'").await;
    assert_eq!((blocked, recovered), (3, 3));
    // The recovery is told when it has lasted; a few milliseconds lie between the two clock readings.
    let later = "SELECT count(*) AS n FROM notification n JOIN history h ON h.id = n.history_id \
                 WHERE n.ended_at IS NULL AND h.event = 'lane_recovered' \
                 AND n.due_at BETWEEN h.at + 590000 AND h.at + 600000";
    assert_eq!(world.number(later).await, 1);
    due(&world).await;
    let post = claim(&world).await.unwrap();
    let told: Vec<&str> = post.events.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(told, ["lane_blocked", "lane_recovered"]);
    assert_eq!(post.events[0].endpoint.as_deref(), Some("a/sftp"));
    post::sent(&world.store, &post).await.unwrap();
    // A recovery that people were told of cannot be taken back: the next block is told, too.
    open(&world).await;
    assert_eq!(written(&world, "lane_blocked").await, (2, 0));
}

async fn a_key_that_changed_during_a_recovery_is_told_and_the_recovery_is_not(world: World) {
    let world = listening(world, 8).await;
    open(&world).await;
    recover(&world).await;
    let send = world.claim_one().await;
    world.fail(&send, &code::HOSTKEY_CHANGED).await;
    assert_eq!(written(&world, "lane_blocked").await, (2, 0));
    assert_eq!(written(&world, "lane_recovered").await, (1, 1));
}
