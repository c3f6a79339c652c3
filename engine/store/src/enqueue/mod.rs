//! The dispatch transaction: one arrival becomes a file, its transforms, its deliveries and their send jobs, or an
//! entry that says why not. Everything or nothing; the event is acknowledged after the commit.

mod insert;

use outport_core::delivery::DeliveryState;
use outport_core::event::{EventSource, ObjectEvent};
use outport_core::route::{Choice, FileFacts, Planned, Priority, SubscriptionView, choose, plan};
use outport_core::settings::RetryPolicy;
use outport_core::timing::millis;
use outport_core::{Captures, Fault, FileId, FileVersion, Millis};
use sea_orm::QueryResult;
use serde::{Deserialize, Serialize};

use crate::Store;
use crate::claim_sends::ArtifactRow;
use crate::error::StoreError;
use crate::routes::{self, SubscriptionRow};
use crate::row::{get, maybe_id};
use crate::sql::{Tx, args};

/// One arrival, ready to be recorded.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// What the event said.
    pub event: ObjectEvent,
    /// The version that was looked at: the third part of the file's identity.
    pub version: FileVersion,
    /// Where the exact content lies: the snapshot of a folder, or the object itself.
    pub original: ArtifactRow,
    /// Stat signature of a folder entry, or the etag: lets a sweep recognise the file without reading it.
    pub signature: Option<String>,
    /// When the content was last changed, by the bucket's clock.
    pub modified_at: Option<Millis>,
}

/// What dispatching an arrival came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispatched {
    /// It has deliveries.
    Routed {
        /// The new file.
        file: FileId,
        /// How many deliveries.
        deliveries: usize,
        /// How many transforms they wait for.
        transforms: usize,
    },
    /// Nobody gets it; kept, so that one can see why.
    Unrouted {
        /// The new file.
        file: FileId,
    },
    /// It cannot be a file; kept with the reason.
    Rejected {
        /// The new file.
        file: FileId,
        /// Why.
        fault: Fault,
    },
    /// The same object version was seen before; only the sighting was added.
    Duplicate {
        /// The known file.
        file: FileId,
    },
}

/// What the subscription said when the delivery was made. Later edits do not change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Code of the subscription.
    pub subscription: String,
    /// Its revision.
    pub subscription_revision: i32,
    /// The endpoint's revision.
    pub endpoint_revision: i32,
    /// The retry policy.
    pub retry: RetryPolicy,
    /// `resend` or `hold`.
    pub on_unconfirmed: String,
    /// `skip` or `send`.
    pub stale: String,
}

impl Snapshot {
    /// What the subscription says now.
    pub(crate) fn of(subscription: &SubscriptionRow) -> Self {
        Self {
            subscription: subscription.code.clone(),
            subscription_revision: subscription.revision,
            endpoint_revision: subscription.endpoint_revision,
            retry: subscription.retry_policy,
            on_unconfirmed: subscription.on_unconfirmed.clone(),
            stale: subscription.stale.clone(),
        }
    }

    /// As the column has it.
    pub(crate) fn to_json(&self, doing: &'static str) -> Result<serde_json::Value, StoreError> {
        serde_json::to_value(self)
            .map_err(|error| StoreError::Unreadable { doing, problem: error.to_string() })
    }
}

/// Which extension the output of a transform kind has; `None` keeps the file's own.
pub type OutputExt = fn(kind: &str) -> Option<&'static str>;

/// When a delivery of this priority is first due: a head start of a minute for each step above the last.
pub(crate) fn first_due(now: Millis, priority: i16) -> Millis {
    now - Priority::new(priority).map_or(0, |p| millis(p.head_start()))
}

/// Records an arrival and everything that follows from it.
pub async fn dispatch(
    store: &Store,
    arrival: &Arrival,
    output_ext: OutputExt,
) -> Result<Dispatched, StoreError> {
    let tx = store.begin("dispatching a file").await?;
    let event = &arrival.event;
    let identity = (event.bucket.as_str(), event.key.as_str(), &arrival.version);
    let (known_file, arrived_at) = look(&tx, identity).await?;
    if let Some(file) = known_file {
        return duplicate(tx, file, event).await;
    }
    // Only a sweep finds old objects; an event is about an object that is arriving.
    let old = if event.source == EventSource::Sweep { arrival.modified_at } else { None };
    let rules = routes::rules(&tx, &event.bucket, old).await?;
    let choice = choose(&rules, &event.bucket, &event.key);
    let (group, outcome) = match &choice {
        Choice::None => (None, Routing::Unrouted),
        Choice::Ambiguous(..) => match choice.fault(&event.key) {
            Some(fault) => (None, Routing::Rejected(fault)),
            None => (None, Routing::Unrouted),
        },
        Choice::One { rule, captures } => {
            let subscriptions = routes::subscriptions(&tx, rule.file_group_id).await?;
            let routing = if subscriptions.is_empty() {
                Routing::Unrouted
            } else {
                let facts = FileFacts { key: &event.key, arrived_at };
                let plan = planned(&tx, &facts, captures, subscriptions, output_ext).await?;
                Routing::Routed { plan, arrived_at }
            };
            (Some(rule.file_group_id), routing)
        }
    };
    let Some(file) = insert::file(&tx, arrival, group, &outcome).await? else {
        // Another dispatcher recorded the same version between our look and our insert.
        tx.rollback().await?;
        let tx = store.begin("dispatching a file").await?;
        return match look(&tx, identity).await?.0 {
            Some(file) => duplicate(tx, file, event).await,
            None => Err(StoreError::Unreadable { doing: tx.doing(), problem: "a file came and went".into() }),
        };
    };
    insert::sighting(&tx, file, event).await?;
    let dispatched = match outcome {
        Routing::Unrouted => Dispatched::Unrouted { file },
        Routing::Rejected(fault) => Dispatched::Rejected { file, fault },
        Routing::Routed { plan, arrived_at } => insert::work(&tx, file, arrival, &plan, arrived_at).await?,
    };
    tx.commit().await?;
    Ok(dispatched)
}

/// Records an arrival whose key cannot be a file.
pub async fn reject(
    store: &Store,
    event: &ObjectEvent<String>,
    version: &FileVersion,
    fault: &Fault,
) -> Result<Dispatched, StoreError> {
    let tx = store.begin("recording a rejected object").await?;
    if let Some(file) = look(&tx, (&event.bucket, &event.key, version)).await?.0 {
        return duplicate(tx, file, event).await;
    }
    let file = insert::rejected(&tx, event, version, fault).await?;
    insert::sighting(&tx, file, event).await?;
    tx.commit().await?;
    Ok(Dispatched::Rejected { file, fault: fault.clone() })
}

/// How a new file is routed.
enum Routing {
    Unrouted,
    Rejected(Fault),
    Routed { plan: Vec<(SubscriptionRow, Planned)>, arrived_at: Millis },
}

impl Routing {
    fn state(&self) -> outport_core::state::FileState {
        use outport_core::state::FileState;
        match self {
            Self::Unrouted => FileState::Unrouted,
            Self::Rejected(_) => FileState::Rejected,
            Self::Routed { .. } => FileState::Routed,
        }
    }
}

/// What each of these subscriptions gets of the file.
pub(crate) async fn planned(
    tx: &Tx,
    facts: &FileFacts<'_>,
    captures: &Captures,
    rows: Vec<SubscriptionRow>,
    output_ext: OutputExt,
) -> Result<Vec<(SubscriptionRow, Planned)>, StoreError> {
    let mut result = Vec::new();
    for row in rows {
        let template = match row.remote_name.parse::<outport_core::remote_name::Template>() {
            Ok(template) => template,
            // Not by `apply`; but one damaged row must not keep the others' files from them.
            Err(fault) => {
                let fault = Fault::new(&outport_core::code::ROUTE_NAME_REFUSED, fault.message);
                let subscription_id = row.id;
                result.push((row, Planned::Refused { subscription_id, fault }));
                continue;
            }
        };
        let next_sequence = if template.uses_sequence() { take_sequence(tx, &row).await? } else { 0 };
        let view = SubscriptionView {
            subscription_id: row.id,
            code: row.code.clone(),
            subscriber_id: row.subscriber_id,
            endpoint_id: row.endpoint_id,
            active: true,
            spec: row.spec.as_ref().map(|(spec, _)| *spec),
            output_ext: row.spec.as_ref().and_then(|(_, kind)| output_ext(kind)).map(str::to_owned),
            remote_name: template,
            priority: Priority::new(row.priority).unwrap_or_default(),
            next_sequence,
        };
        for planned in plan(facts, captures, std::slice::from_ref(&view)) {
            result.push((row.clone(), planned));
        }
    }
    Ok(result)
}

/// Takes the next number under the subscription's row lock; two dispatchers never get the same one. A number whose
/// name is refused is used up.
async fn take_sequence(tx: &Tx, subscription: &SubscriptionRow) -> Result<u64, StoreError> {
    let row = tx
        .row(
            "UPDATE subscription SET next_sequence = next_sequence + 1 WHERE id = $1 RETURNING next_sequence",
            args![subscription.id.uuid()],
        )
        .await?;
    let next: i64 = row.map(|row| get(&row, "next_sequence", tx.doing())).transpose()?.unwrap_or(2);
    Ok(u64::try_from(next - 1).unwrap_or_default())
}

/// The file of this identity, if it is known already, and the database's clock.
async fn look(tx: &Tx, identity: (&str, &str, &FileVersion)) -> Result<(Option<FileId>, Millis), StoreError> {
    let (bucket, key, version) = identity;
    let sql = "SELECT {now} AS now, \
               (SELECT id FROM file WHERE bucket = $1 AND key = $2 AND version = $3) AS id";
    let row = tx.row(sql, args![bucket, key, version.as_str()]).await?;
    let row = row.ok_or_else(|| StoreError::Unreadable { doing: tx.doing(), problem: "no clock".into() })?;
    Ok((maybe_id(&row, "id", tx.doing())?, get(&row, "now", tx.doing())?))
}

async fn duplicate<K>(tx: Tx, file: FileId, event: &ObjectEvent<K>) -> Result<Dispatched, StoreError> {
    insert::sighting(&tx, file, event).await?;
    tx.commit().await?;
    Ok(Dispatched::Duplicate { file })
}

/// The artifact columns of a row: bucket, key, version_id, etag, size_bytes, sha256.
pub(crate) fn read_artifact(row: &QueryResult, doing: &'static str) -> Result<ArtifactRow, StoreError> {
    Ok(ArtifactRow {
        bucket: get(row, "bucket", doing)?,
        key: get(row, "key", doing)?,
        version_id: get(row, "version_id", doing)?,
        etag: get(row, "etag", doing)?,
        size_bytes: u64::try_from(get::<i64>(row, "size_bytes", doing)?).unwrap_or_default(),
        sha256: get(row, "sha256", doing)?,
    })
}

/// The state that a new delivery begins in.
fn first_state(has_spec: bool) -> DeliveryState {
    if has_spec { DeliveryState::Waiting } else { DeliveryState::Queued }
}
