//! The rows of the dispatch transaction, in the lock order that docs/STATES.md states for it: send jobs before lanes.

use std::collections::BTreeMap;

use outport_core::delivery::DeliveryState;
use outport_core::event::ObjectEvent;
use outport_core::route::Planned;
use outport_core::state::FileState;
use outport_core::timing::millis;
use outport_core::{DeliveryId, Fault, FileId, FileVersion, Millis, SpecId};
use sea_orm::Value;
use uuid::Uuid;

use super::{NewFile, Route, Snapshot, first_due, first_state};
use crate::error::StoreError;
use crate::finish_send::as_i64;
use crate::history::{self, Entry, new_id};
use crate::notices;
use crate::routes::SubscriptionRow;
use crate::send_jobs::{NewJob, Ready};
use crate::sql::{Tx, args, parts, tuples};

/// Rows of one statement.
const ROWS: usize = 64;

/// The file rows and their originals. `false`: one of these versions is there already.
pub(super) async fn files(tx: &Tx, files: &[NewFile<'_>], now: Millis) -> Result<bool, StoreError> {
    for part in parts(files, ROWS) {
        let sql = format!(
            "INSERT INTO file (id, bucket, key, version, version_id, sequencer, etag, size_bytes, modified_at, \
             event_at, arrived_at, file_group_id, state, problem) \
             VALUES {} ON CONFLICT (bucket, key, version) DO NOTHING",
            tuples(1, 14, part.len())
        );
        let inserted = tx.exec(&sql, part.iter().flat_map(|file| file.row(now)).collect()).await?;
        if inserted != part.len() as u64 {
            return Ok(false);
        }
        let sql = format!(
            "INSERT INTO artifact (id, file_id, role, bucket, key, version_id, etag, size_bytes, sha256, created_at) \
             VALUES {}",
            tuples(1, 10, part.len())
        );
        tx.exec(&sql, part.iter().flat_map(|file| file.original(now)).collect()).await?;
    }
    Ok(true)
}

impl NewFile<'_> {
    /// The values of [`files`].
    fn row(&self, now: Millis) -> Vec<Value> {
        let (arrival, event) = (self.arrival, &self.arrival.event);
        let problem = match &self.routing.end {
            Route::Rejected(fault) => Some(fault.report()),
            Route::Unrouted | Route::Routed(_) => None,
        };
        args![
            self.id.uuid(),
            event.bucket.clone(),
            event.key.as_str(),
            arrival.version.as_str(),
            event.version_id.clone(),
            event.sequencer.clone(),
            arrival.signature.clone().or_else(|| event.etag.clone()),
            as_i64(arrival.original.size_bytes),
            arrival.modified_at,
            event.event_at,
            now,
            self.routing.group.map(|group| group.uuid()),
            self.routing.state().as_str(),
            problem
        ]
    }

    /// The values of its original.
    fn original(&self, now: Millis) -> Vec<Value> {
        let original = &self.arrival.original;
        args![
            // The original's id is the file's: one row a file, and nothing to look up.
            self.id.uuid(),
            self.id.uuid(),
            "original",
            original.bucket.clone(),
            original.key.clone(),
            original.version_id.clone(),
            original.etag.clone(),
            as_i64(original.size_bytes),
            original.sha256.clone(),
            now
        ]
    }
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
pub(super) async fn sightings<K>(
    tx: &Tx,
    sightings: &[(FileId, &ObjectEvent<K>)],
    now: Millis,
) -> Result<(), StoreError> {
    for part in parts(sightings, ROWS) {
        let sql = format!(
            "INSERT INTO file_event (id, file_id, source, message_id, sequencer, at) VALUES {}",
            tuples(1, 6, part.len())
        );
        let row = |(file, event): &(FileId, &ObjectEvent<K>)| {
            args![
                Uuid::now_v7(),
                file.uuid(),
                event.source.as_str(),
                event.message_id.clone(),
                event.sequencer.clone(),
                now
            ]
        };
        tx.exec(&sql, part.iter().flat_map(row).collect()).await?;
    }
    Ok(())
}

/// Transforms, deliveries, send jobs; then the lanes are woken.
pub(super) async fn work(tx: &Tx, files: &[NewFile<'_>], now: Millis) -> Result<(), StoreError> {
    let mut work = Work::default();
    for file in files {
        work.add(file, now);
    }
    transforms(tx, &work.transforms, now).await?;
    deliveries(tx, &work.deliveries, now).await?;
    let failed: Vec<Entry<'_>> = work.deliveries.iter().filter_map(New::failed).collect();
    notices::announce(tx, &failed).await?;
    history::add_all(tx, &work.routed).await?;
    work.ready.write(tx).await
}

/// What follows from the plans.
#[derive(Default)]
struct Work<'a> {
    routed: Vec<Entry<'static>>,
    transforms: Vec<(Uuid, FileId, SpecId)>,
    deliveries: Vec<New<'a>>,
    ready: Ready,
}

/// A delivery to write.
struct New<'a> {
    id: DeliveryId,
    file: FileId,
    subscription: &'a SubscriptionRow,
    planned: &'a Planned,
    transform: Option<Uuid>,
}

impl<'a> Work<'a> {
    fn add(&mut self, file: &'a NewFile<'_>, now: Millis) {
        let plan = file.routing.plan();
        let specs: BTreeMap<SpecId, Uuid> =
            file.routing.specs().into_iter().map(|spec| (spec, Uuid::now_v7())).collect();
        self.transforms.extend(specs.iter().map(|(spec, transform)| (*transform, file.id, *spec)));
        if file.routing.state() == FileState::Routed {
            let key = file.arrival.event.key.as_str();
            let detail =
                serde_json::json!({ "key": key, "deliveries": plan.len(), "transforms": specs.len() });
            let subject_id = file.id.uuid();
            self.routed.push(Entry {
                actor: "engine",
                subject_kind: "file",
                subject_id,
                event: "routed",
                detail,
            });
        }
        for (subscription, planned) in plan {
            let mut new = New { id: new_id(), file: file.id, subscription, planned, transform: None };
            match (planned, subscription.spec) {
                (Planned::Refused { .. }, _) => {}
                (Planned::Delivery(_), Some(spec)) => new.transform = specs.get(&spec).copied(),
                (Planned::Delivery(_), None) if subscription.fifo => {
                    self.ready.add_in_order(subscription.id);
                }
                (Planned::Delivery(planned), None) => {
                    let (endpoint, due) = (subscription.endpoint_id, first_due(now, subscription.priority));
                    let remote_name = planned.remote_name.as_str().to_owned();
                    self.ready.add(NewJob { delivery: new.id, endpoint, remote_name, due });
                }
            }
            self.deliveries.push(new);
        }
    }
}

impl New<'_> {
    fn fault(&self) -> Option<&Fault> {
        match self.planned {
            Planned::Delivery(_) => None,
            Planned::Refused { fault, .. } => Some(fault),
        }
    }

    /// What people hear of one that is owed but can never be sent.
    fn failed(&self) -> Option<Entry<'static>> {
        let fault = self.fault()?;
        let detail = serde_json::json!({ "code": fault.code.name, "message": fault.message });
        let (subject_id, event) = (self.id.uuid(), DeliveryState::Failed.as_str());
        Some(Entry { actor: "engine", subject_kind: "delivery", subject_id, event, detail })
    }

    /// The values of [`deliveries`].
    fn row(&self, now: Millis, doing: &'static str) -> Result<Vec<Value>, StoreError> {
        let (subscription, fault) = (self.subscription, self.fault());
        let (state, name) = match self.planned {
            Planned::Delivery(d) => (first_state(d.spec.is_some()), d.remote_name.as_str()),
            // It exists so that an operator sees it.
            Planned::Refused { .. } => (DeliveryState::Failed, subscription.remote_name.as_str()),
        };
        // Without a transform the artifact is the original, whose id is the file's.
        let artifact = (state == DeliveryState::Queued).then(|| self.file.uuid());
        Ok(args![
            self.id.uuid(),
            self.file.uuid(),
            subscription.id.uuid(),
            subscription.subscriber_id.uuid(),
            subscription.endpoint_id.uuid(),
            self.transform,
            artifact,
            state.as_str(),
            subscription.priority,
            i32::from(subscription.retry_policy.max_attempts),
            now.saturating_add(millis(subscription.retry_policy.deadline.0)),
            name,
            Value::from(Snapshot::of(subscription).to_json(doing)?),
            fault.map(|f| f.code.name),
            fault.map(Fault::report),
            now,
            fault.map(|_| now)
        ])
    }
}

async fn transforms(tx: &Tx, transforms: &[(Uuid, FileId, SpecId)], now: Millis) -> Result<(), StoreError> {
    for part in parts(transforms, ROWS) {
        let sql = format!(
            "INSERT INTO transform (id, file_id, spec_id, state, due_at, created_at) VALUES {}",
            tuples(1, 6, part.len())
        );
        let row = |(id, file, spec): &(Uuid, FileId, SpecId)| {
            args![*id, file.uuid(), spec.uuid(), "pending", now, now]
        };
        tx.exec(&sql, part.iter().flat_map(row).collect()).await?;
    }
    Ok(())
}

async fn deliveries(tx: &Tx, new: &[New<'_>], now: Millis) -> Result<(), StoreError> {
    for part in parts(new, ROWS) {
        let mut values = Vec::new();
        for new in part {
            values.extend(new.row(now, tx.doing())?);
        }
        let sql = format!(
            "INSERT INTO delivery (id, file_id, subscription_id, subscriber_id, endpoint_id, transform_id, artifact_id, \
             origin, state, priority, max_attempts, deadline_at, remote_name, snapshot, fault_code, fault, created_at, \
             settled_at, lane_closed_ms) \
             SELECT new.column1, new.column2, new.column3, new.column4, new.column5, new.column6, new.column7, \
               'arrival', new.column8, new.column9, new.column10, new.column11, new.column12, new.column13, \
               new.column14, new.column15, new.column16, new.column17, \
               lane.closed_ms + coalesce(new.column16 - lane.closed_since, 0) \
             FROM (VALUES {}) AS new JOIN lane ON lane.endpoint_id = new.column5",
            tuples(1, 17, part.len())
        );
        let written = tx.exec(&sql, values).await?;
        if written != part.len() as u64 {
            let problem = format!("{written} of {} deliveries have a lane", part.len());
            return Err(StoreError::Unreadable { doing: tx.doing(), problem });
        }
    }
    Ok(())
}
