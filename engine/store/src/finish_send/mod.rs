//! Ending attempts: one transaction for as many as come together, each fenced by its lease, with everything that follows
//! from it. A batch costs about as many statements as one end: 64 ends in one transaction instead of 64 transactions.

mod judge;
mod lane_changes;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use outport_core::delivery::{DeliveryState, Stage};
use outport_core::retry::{Limits, Past};
use outport_core::ssh::Agreed;
use outport_core::{DeliveryId, EndpointId, Fault, LeaseId, Millis, SubscriptionId, Timing};
use sea_orm::QueryResult;

use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id, word};
use crate::sql::{Tx, args, list, padded};
use crate::{after_cancel, fifo, replay};
use judge::Verdict;
use lane_changes::LaneChanges;

/// What a sender reports about one attempt.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which delivery.
    pub delivery_id: DeliveryId,
    /// Where it went.
    pub endpoint_id: EndpointId,
    /// The fencing token of the claim.
    pub lease: LeaseId,
    /// The version of the secret that was used, when it came to that.
    pub secret_version: Option<String>,
    /// Name of the temp file, for whoever cleans up by hand.
    pub remote_temp: Option<String>,
    /// From the claim to the end.
    pub duration_ms: Millis,
    /// The file may stand there twice.
    pub possible_duplicate: bool,
    /// How it ended.
    pub end: End,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum End {
    /// The file is there.
    Delivered(Receipt),
    /// It is not there.
    Fault {
        /// Why.
        fault: Fault,
        /// How far it came.
        stage: Stage,
        /// Acknowledged bytes.
        bytes_sent: u64,
    },
    /// The server's last answer was lost: the next attempt probes first.
    Unknown {
        /// What broke off.
        fault: Fault,
        /// [`Stage::Renaming`] or later.
        stage: Stage,
    },
    /// A probe could not tell and the subscription says: do not send again.
    Unconfirmed {
        /// What is known.
        fault: Fault,
    },
}

impl End {
    /// Whether the file is there.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered(_))
    }

    /// Why the attempt did not deliver.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Delivered(_) => None,
            Self::Fault { fault, .. } | Self::Unknown { fault, .. } | Self::Unconfirmed { fault } => {
                Some(fault)
            }
        }
    }
}

/// Evidence of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The final name, as it stands on the server.
    pub remote_final: String,
    /// In bytes, as sent (and, where the server tells, as it shows).
    pub size_bytes: u64,
    /// Of the content that was sent, in hex.
    pub sha256: String,
    /// Host key fingerprint, and that of the authority that vouches for it.
    pub peer_identity: String,
    /// What was agreed on with the server.
    pub agreed: Agreed,
    /// `reply` or `probe`.
    pub confirmed_by: &'static str,
    /// The connection was made for this file, so the login works now.
    pub fresh_login: bool,
}

/// What the report led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// Recorded; the delivery's new state and, when it will be tried again, when.
    Recorded {
        /// Where the delivery stands now.
        state: DeliveryState,
        /// When it is due again.
        due_at: Option<Millis>,
    },
    /// The lease was not ours any more: nothing was recorded, somebody else decides.
    LeaseLost,
}

/// A report, and the number in `0.0..1.0` that spreads its retry.
pub(crate) struct Ending<'a> {
    pub(crate) report: &'a Report,
    pub(crate) random: f64,
}

/// An ending whose lease is still its own, and how it goes on.
struct Settled<'a> {
    report: &'a Report,
    verdict: Verdict,
    state: DeliveryState,
}

/// Records the end of one attempt. `random` is uniform in `0.0..1.0` and spreads the retries.
pub async fn finish(
    store: &Store,
    report: &Report,
    timing: &Timing,
    random: f64,
) -> Result<Finished, StoreError> {
    let tx = store.begin("recording the end of an attempt").await?;
    let mut finished = record(&tx, &[Ending { report, random }], timing).await?;
    tx.commit().await?;
    Ok(finished.pop().unwrap_or(Finished::LeaseLost))
}

/// Records ends, in their order. Lock order: lanes, send jobs, attempts, deliveries, each by id. Only lanes that change or
/// get a job back are locked: a healthy one is not written for each file.
pub(crate) async fn record(
    tx: &Tx,
    endings: &[Ending<'_>],
    timing: &Timing,
) -> Result<Vec<Finished>, StoreError> {
    let deliveries = deliveries(tx, endings).await?;
    let in_order = |ending: &&Ending<'_>| deliveries.get(&ending.report.delivery_id).is_some_and(|d| d.fifo);
    let in_order = endings.iter().filter(in_order).map(|ending| ending.report.endpoint_id).collect();
    let mut lanes = LaneChanges::lock(tx, endings, in_order, timing).await?;
    let held = held(tx, endings).await?;
    let mut settled = Vec::new();
    let mut finished = Vec::with_capacity(endings.len());
    for ending in endings {
        let report = ending.report;
        let delivery = deliveries.get(&report.delivery_id);
        let held = held.get(&report.delivery_id).filter(|(lease, _)| *lease == report.lease);
        let (Some((_, now)), Some(delivery)) = (held, delivery) else {
            finished.push(earlier_answer(tx, report).await?);
            continue;
        };
        lanes.fold(ending, timing, *now);
        let closed_ms = lanes.closed_for(report.endpoint_id, *now) - delivery.lane_closed_ms;
        let verdict = delivery.judge(ending, timing, *now, closed_ms.max(0));
        let state = delivery.state.step(verdict.event)?;
        settled.push(Settled { report, verdict, state });
        finished.push(Finished::Recorded { state, due_at: verdict.due_at });
    }
    write::jobs(tx, &settled).await?;
    write::attempts(tx, &settled).await?;
    write::deliveries(tx, &settled).await?;
    write::notes(tx, &settled).await?;
    lanes.write(tx, &settled, timing).await?;
    let mut turns = BTreeSet::new();
    for settled in settled.iter().filter(|s| s.state.is_terminal()) {
        let Some(delivery) = deliveries.get(&settled.report.delivery_id) else { continue };
        if delivery.replayed && settled.state == DeliveryState::Delivered {
            replay::resolve::sources(tx, settled.report.delivery_id).await?;
        }
        if delivery.fifo {
            turns.insert(delivery.subscription_id);
        }
    }
    for subscription in turns {
        fifo::advance(tx, subscription).await?;
    }
    Ok(finished)
}

/// The leases of these deliveries, locked, and the time.
async fn held(
    tx: &Tx,
    endings: &[Ending<'_>],
) -> Result<BTreeMap<DeliveryId, (LeaseId, Millis)>, StoreError> {
    let ids = padded(endings.iter().map(|ending| ending.report.delivery_id.uuid().into()).collect());
    let sql = format!(
        "SELECT delivery_id, lease_id, {{now}} AS now FROM send_job \
         WHERE lease_id IS NOT NULL AND delivery_id IN ({}) ORDER BY delivery_id {{lock}}",
        list(1, ids.len())
    );
    let doing = tx.doing();
    let rows = tx.rows(&sql, ids).await?;
    rows.iter()
        .map(|row| {
            Ok((id(row, "delivery_id", doing)?, (id(row, "lease_id", doing)?, get(row, "now", doing)?)))
        })
        .collect()
}

/// What decides about a delivery. Not locked, and read before its send job is: while a lease stands, nobody but its holder
/// changes these.
struct Delivery {
    state: DeliveryState,
    charged: u32,
    attempts: u32,
    limits: Limits,
    last_code: Option<String>,
    possible_duplicate: bool,
    /// The lane's account of closed time when the delivery was made.
    lane_closed_ms: Millis,
    subscription_id: SubscriptionId,
    fifo: bool,
    replayed: bool,
}

async fn deliveries(tx: &Tx, endings: &[Ending<'_>]) -> Result<BTreeMap<DeliveryId, Delivery>, StoreError> {
    let ids = padded(endings.iter().map(|ending| ending.report.delivery_id.uuid().into()).collect());
    let sql = format!(
        "SELECT d.id, d.state, d.charged, d.attempts, d.max_attempts, d.deadline_at, d.fault_code, \
                d.possible_duplicate, d.lane_closed_ms, d.subscription_id, d.replay_id, s.ordering \
         FROM delivery d JOIN subscription s ON s.id = d.subscription_id WHERE d.id IN ({})",
        list(1, ids.len())
    );
    let doing = tx.doing();
    let rows = tx.rows(&sql, ids).await?;
    rows.iter().map(|row| Ok((id(row, "id", doing)?, Delivery::read(row, doing)?))).collect()
}

impl Delivery {
    fn read(row: &QueryResult, doing: &'static str) -> Result<Self, StoreError> {
        let count = |column| -> Result<u32, StoreError> {
            Ok(u32::try_from(get::<i32>(row, column, doing)?).unwrap_or_default())
        };
        Ok(Self {
            state: word(row, "state", doing)?,
            charged: count("charged")?,
            attempts: count("attempts")?,
            limits: Limits {
                max_attempts: count("max_attempts")?,
                deadline_at: get(row, "deadline_at", doing)?,
            },
            last_code: get(row, "fault_code", doing)?,
            possible_duplicate: get(row, "possible_duplicate", doing)?,
            lane_closed_ms: get(row, "lane_closed_ms", doing)?,
            subscription_id: id(row, "subscription_id", doing)?,
            fifo: get::<String>(row, "ordering", doing)? == "fifo",
            replayed: get::<Option<uuid::Uuid>>(row, "replay_id", doing)?.is_some(),
        })
    }

    /// `closed_ms`: how long the lane was closed since the delivery was made. Its deadline does not run then.
    fn judge(&self, ending: &Ending<'_>, timing: &Timing, now: Millis, closed_ms: Millis) -> Verdict {
        let past =
            Past { charged: self.charged, attempts: self.attempts, last_code: self.last_code.as_deref() };
        let limits = Limits { deadline_at: self.limits.deadline_at.saturating_add(closed_ms), ..self.limits };
        let end = &ending.report.end;
        judge::judge(end, past, limits, self.possible_duplicate, timing, now, ending.random)
    }
}

/// The lease is gone. Either somebody else freed it, or this very report was recorded by an earlier try whose answer was
/// lost with the connection: then that is the answer.
async fn earlier_answer(tx: &Tx, report: &Report) -> Result<Finished, StoreError> {
    let row = tx
        .row(
            "SELECT d.state, j.due_at FROM attempt a JOIN delivery d ON d.id = a.delivery_id \
             LEFT JOIN send_job j ON j.delivery_id = d.id WHERE a.delivery_id = $1 AND a.lease_id = $2 \
             AND a.outcome IN ('delivered', 'retry', 'failed', 'unknown')",
            args![report.delivery_id.uuid(), report.lease.uuid()],
        )
        .await?;
    match row {
        Some(row) => Ok(Finished::Recorded {
            state: word(&row, "state", tx.doing())?,
            due_at: get(&row, "due_at", tx.doing())?,
        }),
        None => {
            after_cancel::note(tx, report).await?;
            Ok(Finished::LeaseLost)
        }
    }
}
/// A size for a BIGINT column.
pub(crate) fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
