//! Ending attempts: one transaction for as many as come together, each fenced by its lease, with everything that follows
//! from it. A batch costs about as many statements as one end: 64 ends in one transaction instead of 64 transactions.

mod judge;
mod lane_changes;
mod write;

use std::collections::BTreeMap;

use outport_core::delivery::{DeliveryState, Stage};
use outport_core::retry::{Limits, Past};
use outport_core::{DeliveryId, EndpointId, Fault, LeaseId, Millis, Timing};
use sea_orm::{QueryResult, Value};

use crate::Store;
use crate::error::StoreError;
use crate::row::{get, id, word};
use crate::sql::{Tx, args, list, padded};
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
    /// Host key fingerprint.
    pub peer_identity: String,
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
    let mut lanes = LaneChanges::lock(tx, endings, timing).await?;
    let held = held(tx, endings).await?;
    let deliveries = deliveries(tx, &held).await?;
    let mut settled = Vec::new();
    let mut finished = Vec::with_capacity(endings.len());
    for ending in endings {
        let report = ending.report;
        let delivery = deliveries.get(&report.delivery_id);
        let (Some((lease, now)), Some(delivery)) = (held.get(&report.delivery_id), delivery) else {
            finished.push(earlier_answer(tx, report).await?);
            continue;
        };
        if *lease != report.lease {
            finished.push(earlier_answer(tx, report).await?);
            continue;
        }
        lanes.fold(ending, timing, *now);
        let verdict = delivery.judge(ending, timing, *now, tx.doing())?;
        let state = word::<DeliveryState>(&delivery.0, "state", tx.doing())?.step(verdict.event)?;
        settled.push(Settled { report, verdict, state });
        finished.push(Finished::Recorded { state, due_at: verdict.due_at });
    }
    write::jobs(tx, &settled).await?;
    write::attempts(tx, &settled).await?;
    write::deliveries(tx, &settled).await?;
    write::notes(tx, &settled).await?;
    lanes.write(tx, &settled).await?;
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

/// What decides about a delivery. Not locked: whoever changes an open delivery holds its send job.
struct Delivery(QueryResult);

async fn deliveries(
    tx: &Tx,
    held: &BTreeMap<DeliveryId, (LeaseId, Millis)>,
) -> Result<BTreeMap<DeliveryId, Delivery>, StoreError> {
    if held.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<Value> = padded(held.keys().map(|delivery| delivery.uuid().into()).collect());
    let sql = format!(
        "SELECT id, state, charged, attempts, max_attempts, deadline_at, fault_code, possible_duplicate \
         FROM delivery WHERE id IN ({})",
        list(1, ids.len())
    );
    let rows = tx.rows(&sql, ids).await?;
    rows.into_iter().map(|row| Ok((id(&row, "id", tx.doing())?, Delivery(row)))).collect()
}

impl Delivery {
    fn judge(
        &self,
        ending: &Ending<'_>,
        timing: &Timing,
        now: Millis,
        doing: &'static str,
    ) -> Result<Verdict, StoreError> {
        let count = |column| -> Result<u32, StoreError> {
            Ok(u32::try_from(get::<i32>(&self.0, column, doing)?).unwrap_or_default())
        };
        let last_code: Option<String> = get(&self.0, "fault_code", doing)?;
        let past = Past {
            charged: count("charged")?,
            attempts: count("attempts")?,
            last_code: last_code.as_deref(),
        };
        let limits =
            Limits { max_attempts: count("max_attempts")?, deadline_at: get(&self.0, "deadline_at", doing)? };
        let resent = get(&self.0, "possible_duplicate", doing)?;
        Ok(judge::judge(&ending.report.end, past, limits, resent, timing, now, ending.random))
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
        None => Ok(Finished::LeaseLost),
    }
}
/// A size for a BIGINT column.
pub(crate) fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
