//! The rows of the dispatch transaction, in the lock order that docs/STATES.md states for it: send jobs before lanes.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::delivery::DeliveryState;
use outport_core::event::ObjectEvent;
use outport_core::route::Planned;
use outport_core::state::FileState;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, Fault, FileGroupId, FileId, FileVersion, Millis, SpecId};
use sea_orm::Value;
use uuid::Uuid;

use super::{Arrival, Dispatched, Routing, Snapshot, first_due, first_state};
use crate::error::StoreError;
use crate::finish_send::as_i64;
use crate::history::{self, Entry, new_id};
use crate::routes::SubscriptionRow;
use crate::sql::{Tx, args};
use crate::{fifo, lanes, notices, send_jobs};

/// The file row; `None` when the same version is there already.
pub(super) async fn file(
    tx: &Tx,
    arrival: &Arrival,
    group: Option<FileGroupId>,
    routing: &Routing,
) -> Result<Option<FileId>, StoreError> {
    let file: FileId = new_id();
    let event = &arrival.event;
    let problem = match routing {
        Routing::Rejected(fault) => Some(fault.report()),
        _ => None,
    };
    let inserted = tx
        .exec(
            "INSERT INTO file (id, bucket, key, version, version_id, sequencer, etag, size_bytes, modified_at, \
             event_at, arrived_at, file_group_id, state, problem) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, {now}, $11, $12, $13) \
             ON CONFLICT (bucket, key, version) DO NOTHING",
            args![
                file.uuid(),
                event.bucket.clone(),
                event.key.as_str(),
                arrival.version.as_str(),
                event.version_id.clone(),
                event.sequencer.clone(),
                arrival.signature.clone().or_else(|| event.etag.clone()),
                as_i64(arrival.original.size_bytes),
                arrival.modified_at,
                event.event_at,
                group.map(|g| g.uuid()),
                routing.state().as_str(),
                problem
            ],
        )
        .await?;
    if inserted == 0 {
        return Ok(None);
    }
    let original = &arrival.original;
    tx.exec(
        "INSERT INTO artifact (id, file_id, role, bucket, key, version_id, etag, size_bytes, sha256, created_at) \
         VALUES ($1, $2, 'original', $3, $4, $5, $6, $7, $8, {now})",
        args![
            // The original's id is the file's: one row a file, and nothing to look up.
            file.uuid(),
            file.uuid(),
            original.bucket.clone(),
            original.key.clone(),
            original.version_id.clone(),
            original.etag.clone(),
            as_i64(original.size_bytes),
            original.sha256.clone()
        ],
    )
    .await?;
    Ok(Some(file))
}

/// The row of an object that cannot be a file: no artifact, only the reason.
pub(super) async fn rejected(
    tx: &Tx,
    event: &ObjectEvent<String>,
    version: &FileVersion,
    fault: &Fault,
) -> Result<FileId, StoreError> {
    let file: FileId = new_id();
    tx.exec(
        "INSERT INTO file (id, bucket, key, version, version_id, sequencer, etag, size_bytes, event_at, arrived_at, \
         state, problem) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, {now}, $10, $11)",
        args![
            file.uuid(),
            event.bucket.clone(),
            event.key.clone(),
            version.as_str(),
            event.version_id.clone(),
            event.sequencer.clone(),
            event.etag.clone(),
            event.size_bytes.map(as_i64),
            event.event_at,
            FileState::Rejected.as_str(),
            fault.report()
        ],
    )
    .await?;
    Ok(file)
}

/// Every sighting of a file is kept, duplicates too: "was the event seen twice?" has an answer.
pub(super) async fn sighting<K>(tx: &Tx, file: FileId, event: &ObjectEvent<K>) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO file_event (id, file_id, source, message_id, sequencer, at) VALUES ($1, $2, $3, $4, $5, {now})",
        args![
            Uuid::now_v7(),
            file.uuid(),
            event.source.as_str(),
            event.message_id.clone(),
            event.sequencer.clone()
        ],
    )
    .await
    .map(|_| ())
}

/// Transforms, deliveries, send jobs; then the lanes are woken.
pub(super) async fn work(
    tx: &Tx,
    file: FileId,
    arrival: &Arrival,
    plan: &[(SubscriptionRow, Planned)],
) -> Result<Dispatched, StoreError> {
    let now = tx.now().await?;
    let mut transforms: BTreeMap<SpecId, Uuid> = BTreeMap::new();
    let mut wake: BTreeMap<EndpointId, Millis> = BTreeMap::new();
    let mut in_order = BTreeSet::new();
    for (subscription, planned) in plan {
        // Five subscribers of one spec cost one transform.
        if let (Some((spec, _)), Planned::Delivery(_)) = (&subscription.spec, planned)
            && !transforms.contains_key(spec)
        {
            transforms.insert(*spec, transform(tx, file, *spec, now).await?);
        }
        let id = Uuid::now_v7();
        delivery(tx, id, file, subscription, planned, &transforms, now).await?;
        if let Planned::Refused { fault, .. } = planned {
            let detail = serde_json::json!({ "code": fault.code.name, "message": fault.message });
            let event = DeliveryState::Failed.as_str();
            let entry = Entry { actor: "engine", subject_kind: "delivery", subject_id: id, event, detail };
            notices::announce(tx, &[entry]).await?;
        }
        if let (Planned::Delivery(_), None) = (planned, &subscription.spec) {
            let due = first_due(now, subscription.priority);
            if subscription.fifo {
                in_order.insert(subscription.id);
                continue;
            }
            send_jobs::add(tx, DeliveryId::from_uuid(id), due).await?;
            let lane = wake.entry(subscription.endpoint_id).or_insert(due);
            *lane = due.min(*lane);
        }
    }
    let detail = serde_json::json!({
        "key": arrival.event.key.as_str(), "deliveries": plan.len(), "transforms": transforms.len(),
    });
    let entry =
        Entry { actor: "engine", subject_kind: "file", subject_id: file.uuid(), event: "routed", detail };
    history::add(tx, entry).await?;
    for (endpoint, due) in wake {
        lanes::pull(tx, endpoint, due).await?;
    }
    for subscription in in_order {
        fifo::advance(tx, subscription).await?;
    }
    Ok(Dispatched::Routed { file, deliveries: plan.len(), transforms: transforms.len() })
}

async fn transform(tx: &Tx, file: FileId, spec: SpecId, now: Millis) -> Result<Uuid, StoreError> {
    let id = Uuid::now_v7();
    tx.exec(
        "INSERT INTO transform (id, file_id, spec_id, state, due_at, created_at) VALUES ($1, $2, $3, 'pending', $4, $4)",
        args![id, file.uuid(), spec.uuid(), now],
    )
    .await?;
    Ok(id)
}

async fn delivery(
    tx: &Tx,
    id: Uuid,
    file: FileId,
    subscription: &SubscriptionRow,
    planned: &Planned,
    transforms: &BTreeMap<SpecId, Uuid>,
    now: Millis,
) -> Result<(), StoreError> {
    let (state, name, fault) = match planned {
        Planned::Delivery(d) => (first_state(d.spec.is_some()), d.remote_name.as_str().to_owned(), None),
        // Owed, but never sendable: it exists so that an operator sees it.
        Planned::Refused { fault, .. } => {
            (DeliveryState::Failed, subscription.remote_name.clone(), Some(fault))
        }
    };
    let transform = subscription.spec.as_ref().and_then(|(spec, _)| transforms.get(spec).copied());
    // Without a transform the artifact is the original, whose id is the file's.
    let artifact = (state == DeliveryState::Queued).then(|| file.uuid());
    let snapshot = Snapshot::of(subscription).to_json(tx.doing())?;
    tx.exec(
        "INSERT INTO delivery (id, file_id, subscription_id, subscriber_id, endpoint_id, transform_id, artifact_id, \
         origin, state, priority, max_attempts, deadline_at, remote_name, snapshot, fault_code, fault, created_at, \
         settled_at, lane_closed_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'arrival', $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
           (SELECT closed_ms + coalesce($16 - closed_since, 0) FROM lane WHERE endpoint_id = $5))",
        args![
            id,
            file.uuid(),
            subscription.id.uuid(),
            subscription.subscriber_id.uuid(),
            subscription.endpoint_id.uuid(),
            transform,
            artifact,
            state.as_str(),
            subscription.priority,
            i32::from(subscription.retry_policy.max_attempts),
            now.saturating_add(millis(subscription.retry_policy.deadline.0)),
            name,
            Value::from(snapshot),
            fault.map(|f| f.code.name),
            fault.map(Fault::report),
            now,
            fault.map(|_| now)
        ],
    )
    .await
    .map(|_| ())
}
