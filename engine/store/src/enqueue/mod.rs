//! The dispatch transaction: each arrival becomes a file, its transforms, its deliveries and their send jobs, or an entry
//! that says why not. Everything or nothing; the event is acknowledged after the commit.

mod insert;
mod router;

use std::collections::BTreeSet;

use outport_core::delivery::DeliveryState;
use outport_core::event::ObjectEvent;
use outport_core::route::{Planned, Priority};
use outport_core::settings::RetryPolicy;
use outport_core::state::FileState;
use outport_core::timing::millis;
use outport_core::{Fault, FileGroupId, FileId, FileVersion, Millis, SpecId};
use sea_orm::QueryResult;
use serde::{Deserialize, Serialize};

use self::router::Router;
pub(crate) use self::router::planned;
use crate::Store;
use crate::claim_sends::ArtifactRow;
use crate::error::StoreError;
use crate::history::new_id;
use crate::routes::SubscriptionRow;
use crate::row::{get, maybe_id};
use crate::sql::{Tx, args, padded, tuples};

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

/// Which extension the output of a transform of this kind and these settings has; `None` keeps the file's own.
pub type OutputExt = fn(kind: &str, params: &serde_json::Value) -> Option<&'static str>;

/// How far before its turn the due time of delivery `d` lies, in SQL. Its first one; a retry has none, and seems to have
/// waited that much less than it has.
pub(crate) fn head_start_of_d() -> String {
    format!("({} - d.priority) * {}", Priority::LAST.get(), millis(Priority::STEP))
}

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
    for _ in 0..2 {
        let together = together(store, std::slice::from_ref(arrival), output_ext).await?;
        if let Some(dispatched) = together.and_then(|all| all.into_iter().next()) {
            return Ok(dispatched);
        }
        // Another dispatcher recorded the same version between our look and our insert: the second look sees it.
    }
    Err(StoreError::Unreadable { doing: DOING, problem: "a file came and went".into() })
}

/// Files that are best recorded in one transaction: sixteen cost hardly more than one, and nobody waits long for their locks.
pub const TOGETHER: usize = 16;

/// Records arrivals in their order. In one transaction, if that can be: sixteen files then cost hardly more statements
/// than one; at most 64 are given. If not (another dispatcher recorded one of them meanwhile, one cannot be written), each has its own. There
/// are fewer answers than arrivals when the database is away: what has none was not tried.
pub async fn dispatch_all(
    store: &Store,
    arrivals: &[Arrival],
    output_ext: OutputExt,
) -> Vec<Result<Dispatched, StoreError>> {
    if arrivals.len() > 1 {
        match together(store, arrivals, output_ext).await {
            Ok(Some(all)) => return all.into_iter().map(Ok).collect(),
            Err(error) if error.is_outage() => return vec![Err(error)],
            Ok(None) | Err(_) => {}
        }
    }
    let mut each = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let one = dispatch(store, arrival, output_ext).await;
        let is_away = one.as_ref().is_err_and(StoreError::is_outage);
        each.push(one);
        if is_away {
            break;
        }
    }
    each
}

/// All or none. `None`: one of them was recorded by somebody else in this very moment, or is there twice.
async fn together(
    store: &Store,
    arrivals: &[Arrival],
    output_ext: OutputExt,
) -> Result<Option<Vec<Dispatched>>, StoreError> {
    let tx = store.begin(DOING).await?;
    let identities: Vec<Identity<'_>> = arrivals.iter().map(Arrival::identity).collect();
    let (now, known) = look(&tx, &identities).await?;
    let mut router = Router::new(output_ext);
    let mut new = Vec::new();
    let mut sightings = Vec::new();
    let mut dispatched = Vec::new();
    for (arrival, known) in arrivals.iter().zip(known) {
        let file = known.unwrap_or_else(new_id);
        sightings.push((file, &arrival.event));
        if known.is_some() {
            dispatched.push(Dispatched::Duplicate { file });
            continue;
        }
        let routing = router.route(&tx, arrival, now).await?;
        dispatched.push(routing.outcome(file));
        new.push(NewFile { id: file, arrival, routing });
    }
    if !insert::files(&tx, &new, now).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    insert::sightings(&tx, &sightings, now).await?;
    insert::work(&tx, &new, now).await?;
    tx.commit().await?;
    Ok(Some(dispatched))
}

/// Records an arrival whose key cannot be a file.
pub async fn reject(
    store: &Store,
    event: &ObjectEvent<String>,
    version: &FileVersion,
    fault: &Fault,
) -> Result<Dispatched, StoreError> {
    let tx = store.begin("recording a rejected object").await?;
    let (now, known) = look(&tx, &[(&event.bucket, &event.key, version)]).await?;
    let (file, dispatched) = match known.into_iter().flatten().next() {
        Some(file) => (file, Dispatched::Duplicate { file }),
        None => {
            let file = insert::rejected(&tx, event, version, fault).await?;
            (file, Dispatched::Rejected { file, fault: fault.clone() })
        }
    };
    insert::sightings(&tx, &[(file, event)], now).await?;
    tx.commit().await?;
    Ok(dispatched)
}

const DOING: &str = "dispatching files";

/// Bucket, key and version: what makes an object version this one.
type Identity<'a> = (&'a str, &'a str, &'a FileVersion);

impl Arrival {
    fn identity(&self) -> Identity<'_> {
        (&self.event.bucket, self.event.key.as_str(), &self.version)
    }
}

/// A file that is not in the ledger yet.
struct NewFile<'a> {
    id: FileId,
    arrival: &'a Arrival,
    routing: Routing,
}

/// How a new file is routed.
struct Routing {
    group: Option<FileGroupId>,
    end: Route,
}

enum Route {
    Unrouted,
    Rejected(Fault),
    Routed(Vec<(SubscriptionRow, Planned)>),
}

impl Routing {
    fn state(&self) -> FileState {
        match self.end {
            Route::Unrouted => FileState::Unrouted,
            Route::Rejected(_) => FileState::Rejected,
            Route::Routed(_) => FileState::Routed,
        }
    }

    /// What each subscriber of it gets.
    fn plan(&self) -> &[(SubscriptionRow, Planned)] {
        match &self.end {
            Route::Routed(plan) => plan,
            Route::Unrouted | Route::Rejected(_) => &[],
        }
    }

    /// The specs of the transforms it needs: five subscribers of one spec cost one transform.
    fn specs(&self) -> BTreeSet<SpecId> {
        let needed = self.plan().iter().filter(|(_, planned)| matches!(planned, Planned::Delivery(_)));
        needed.filter_map(|(subscription, _)| subscription.spec).collect()
    }

    fn outcome(&self, file: FileId) -> Dispatched {
        match &self.end {
            Route::Unrouted => Dispatched::Unrouted { file },
            Route::Rejected(fault) => Dispatched::Rejected { file, fault: fault.clone() },
            Route::Routed(plan) => {
                Dispatched::Routed { file, deliveries: plan.len(), transforms: self.specs().len() }
            }
        }
    }
}

/// The database's clock, and the files of these identities that are known already, in their order.
async fn look(tx: &Tx, identities: &[Identity<'_>]) -> Result<(Millis, Vec<Option<FileId>>), StoreError> {
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let rows = identities.iter().enumerate();
    let rows = padded(
        rows.map(|(n, (bucket, key, version))| args![number(n), *bucket, *key, version.as_str()]).collect(),
    );
    let sql = format!(
        "SELECT {{now}} AS now, new.column1 AS n, file.id FROM (VALUES {}) AS new LEFT JOIN file \
         ON file.bucket = new.column2 AND file.key = new.column3 AND file.version = new.column4",
        tuples(1, 4, rows.len())
    );
    let doing = tx.doing();
    let mut now = None;
    let mut known = vec![None; identities.len()];
    for row in tx.rows(&sql, rows.into_iter().flatten().collect()).await? {
        now = now.max(Some(get(&row, "now", doing)?));
        let n: i32 = get(&row, "n", doing)?;
        if let Some(known) = usize::try_from(n).ok().and_then(|n| known.get_mut(n)) {
            *known = maybe_id(&row, "id", doing)?;
        }
    }
    let now = now.ok_or_else(|| StoreError::Unreadable { doing, problem: "no clock".into() })?;
    Ok((now, known))
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
