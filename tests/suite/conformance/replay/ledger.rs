//! A ledger full of settled deliveries, written straight into the tables.

use outport_core::{DeliveryId, Millis};
use outport_store::entity::{artifact, attempt, delivery, file, replay};
use sea_orm::{EntityTrait, IntoActiveModel};
use serde_json::json;
use uuid::Uuid;

use super::super::world::{SHA, World};

/// One delivery of a file, as it is to stand in the ledger. The first of a file came by arrival, the others by replays.
#[derive(Debug, Clone)]
pub struct Was {
    pub state: &'static str,
    pub fault: Option<&'static str>,
    pub settled_at: Millis,
    pub resolved: bool,
    /// `None`: it never had one.
    pub artifact: Option<Expiry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    Never,
    Past,
}

impl Was {
    pub fn failed() -> Self {
        Self {
            state: "failed",
            fault: Some("remote.failure"),
            settled_at: 1_000,
            resolved: false,
            artifact: Some(Expiry::Never),
        }
    }

    pub fn is_open(&self) -> bool {
        self.state == "held"
    }
}

/// Writes one file for each entry, to the subscription of the only subscriber or of `files[n]`'s own; returns the ids of
/// the deliveries in the same shape.
pub async fn fill(world: &World, files: &[Vec<Was>]) -> Vec<Vec<DeliveryId>> {
    let subscriptions = subscriptions(world).await;
    let (mut rows, mut artifacts, mut deliveries, mut attempts) = (vec![], vec![], vec![], vec![]);
    let (mut replays, mut ids) = (Vec::<Uuid>::new(), Vec::new());
    let depth = files.iter().map(Vec::len).max().unwrap_or(0);
    for n in 1..depth {
        let row = old_replay(n);
        replays.push(row.id);
        replay::Entity::insert(row.into_active_model()).exec(&world.raw).await.unwrap();
    }
    for (n, chain) in files.iter().enumerate() {
        let subscription = &subscriptions[n % subscriptions.len()];
        let file = Uuid::now_v7();
        rows.push(file_row(file, n, subscription.file_group_id).into_active_model());
        let expired = chain.iter().any(|was| was.artifact == Some(Expiry::Past));
        artifacts.push(original(file, expired).into_active_model());
        let mut chain_ids = Vec::new();
        for (depth, was) in chain.iter().enumerate() {
            let id = Uuid::now_v7();
            let by = depth.checked_sub(1).map(|at| replays[at]);
            deliveries.push(delivery_row(id, file, subscription, by, was).into_active_model());
            if was.state == "delivered" {
                attempts.push(receipt(id).into_active_model());
            }
            chain_ids.push(DeliveryId::from_uuid(id));
        }
        ids.push(chain_ids);
    }
    for some in chunks(rows) {
        file::Entity::insert_many(some).exec(&world.raw).await.unwrap();
    }
    for some in chunks(artifacts) {
        artifact::Entity::insert_many(some).exec(&world.raw).await.unwrap();
    }
    for some in chunks(deliveries) {
        delivery::Entity::insert_many(some).exec(&world.raw).await.unwrap();
    }
    for some in chunks(attempts) {
        attempt::Entity::insert_many(some).exec(&world.raw).await.unwrap();
    }
    ids
}

/// Takes everything out again but the definitions.
pub async fn clear(world: &World) {
    for table in [
        "replay_item",
        "send_job",
        "attempt",
        "delivery",
        "replay",
        "artifact",
        "transform",
        "file_event",
        "file",
        "history",
    ] {
        world.sql(&format!("DELETE FROM {table}")).await;
    }
}

fn chunks<T>(mut rows: Vec<T>) -> Vec<Vec<T>> {
    let mut all = Vec::new();
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(200));
        all.push(std::mem::replace(&mut rows, rest));
    }
    all
}

async fn subscriptions(world: &World) -> Vec<outport_store::entity::subscription::Model> {
    let mut all = outport_store::entity::subscription::Entity::find().all(&world.raw).await.unwrap();
    all.sort_by(|a, b| a.code.cmp(&b.code));
    all
}

fn old_replay(n: usize) -> replay::Model {
    replay::Model {
        id: Uuid::now_v7(),
        mode: "redeliver".into(),
        requested_by: "operator:old".into(),
        reason: "old".into(),
        idempotency_key: format!("old-{n}-{}", Uuid::now_v7()),
        filter: json!({}),
        state: "done".into(),
        chore: None,
        per_minute: None,
        config: "current".into(),
        started_at: 1,
        cursor: None,
        next_due_at: None,
        matched: 0,
        created: 0,
        skipped: 0,
        ended_at: Some(1),
    }
}

fn file_row(id: Uuid, n: usize, group: Uuid) -> file::Model {
    file::Model {
        id,
        bucket: "in".into(),
        key: format!("folder-{}/{n}.csv", n % 3),
        version: format!("v-{id}"),
        version_id: None,
        sequencer: None,
        etag: None,
        size_bytes: Some(3),
        modified_at: None,
        event_at: 1,
        arrived_at: 1,
        file_group_id: Some(group),
        state: "routed".into(),
        problem: None,
    }
}

fn original(file: Uuid, expired: bool) -> artifact::Model {
    artifact::Model {
        id: file,
        file_id: file,
        transform_id: None,
        role: "original".into(),
        part: 0,
        bucket: "originals".into(),
        key: file.to_string(),
        version_id: None,
        etag: None,
        size_bytes: 3,
        sha256: Some(SHA.into()),
        records: None,
        expires_at: expired.then_some(1),
        created_at: 1,
    }
}

fn delivery_row(
    id: Uuid,
    file: Uuid,
    subscription: &outport_store::entity::subscription::Model,
    by: Option<Uuid>,
    was: &Was,
) -> delivery::Model {
    let delivered = was.state == "delivered";
    delivery::Model {
        id,
        file_id: file,
        subscription_id: subscription.id,
        subscriber_id: subscription.subscriber_id,
        endpoint_id: subscription.endpoint_id,
        transform_id: None,
        artifact_id: was.artifact.map(|_| file),
        part: 0,
        origin: if by.is_some() { "replay" } else { "arrival" }.into(),
        replay_id: by,
        source_id: None,
        state: was.state.into(),
        priority: 2,
        attempts: i32::from(delivered),
        charged: 0,
        abandoned: 0,
        max_attempts: 12,
        lane_closed_ms: 0,
        deadline_at: 1,
        remote_name: format!("{file}.csv"),
        snapshot: json!({
            "subscription": subscription.code, "subscription_revision": 1, "endpoint_revision": 1,
            "retry": {"max_attempts": 12, "deadline": "72h"}, "on_unconfirmed": "resend", "stale": "skip",
        }),
        possible_duplicate: false,
        parked: false,
        fault_code: was.fault.map(str::to_owned),
        fault: None,
        created_at: 1,
        settled_at: (!was.is_open()).then_some(was.settled_at),
        resolved_at: (was.resolved && !was.is_open()).then_some(1),
        resolved_by: (was.resolved && !was.is_open()).then(|| "operator:x".into()),
    }
}

fn receipt(delivery: Uuid) -> attempt::Model {
    attempt::Model {
        delivery_id: delivery,
        n: 1,
        lease_id: Uuid::now_v7(),
        worker_id: Uuid::now_v7(),
        started_at: 1,
        ended_at: Some(2),
        stage: "confirming".into(),
        outcome: Some("delivered".into()),
        charged: true,
        class: None,
        code: None,
        message: None,
        bytes_sent: Some(3),
        remote_temp: None,
        remote_final: Some("x".into()),
        remote_size: Some(3),
        remote_hash: None,
        sha256: Some(SHA.into()),
        peer_identity: None,
        agreed: None,
        confirmed_by: Some("reply".into()),
        duration_ms: Some(1),
        detail: None,
    }
}
