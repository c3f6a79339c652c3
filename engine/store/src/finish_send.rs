//! Ending an attempt: one transaction, fenced by the lease, with everything that follows from it.

use outport_core::delivery::{AttemptOutcome, DeliveryEvent, DeliveryState, Stage};
use outport_core::lane::{Lane, Signal};
use outport_core::retry::{self, Decision, Limits, Past};
use outport_core::{DeliveryId, EndpointId, Fault, LeaseId, Millis, Timing};

use crate::Store;
use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::lanes;
use crate::row::{get, word};
use crate::sql::{Tx, args};

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

/// How the attempt and its delivery go on.
struct Verdict {
    event: DeliveryEvent,
    outcome: AttemptOutcome,
    charged: bool,
    due_at: Option<Millis>,
}

/// Records the end of an attempt. `random` is uniform in `0.0..1.0` and spreads the retries.
pub async fn finish(
    store: &Store,
    report: &Report,
    timing: &Timing,
    random: f64,
) -> Result<Finished, StoreError> {
    let tx = store.begin("recording the end of an attempt").await?;
    let doing = tx.doing();
    let id = report.delivery_id.uuid();
    // Lock order: lane, send job, attempt, delivery. The lane is locked only when it changes (a healthy one does not).
    let changed_lane = next_lane(&tx, report, timing, random).await?;
    let freed = tx
        .row(
            "SELECT {now} AS now FROM send_job WHERE delivery_id = $1 AND lease_id = $2 {lock}",
            args![id, report.lease.uuid()],
        )
        .await?;
    let Some(now) = freed.map(|row| get::<i64>(&row, "now", doing)).transpose()? else {
        tx.rollback().await?;
        return Ok(Finished::LeaseLost);
    };
    let delivery = tx
        .row(
            "SELECT state, charged, attempts, max_attempts, deadline_at, fault_code, possible_duplicate, replay_id \
             FROM delivery WHERE id = $1 {lock}",
            args![id],
        )
        .await?
        .ok_or_else(|| StoreError::Unreadable {
            doing,
            problem: format!("{} is gone", report.delivery_id),
        })?;
    let last_code: Option<String> = get(&delivery, "fault_code", doing)?;
    let charged: i32 = get(&delivery, "charged", doing)?;
    let past = Past {
        charged: u32::try_from(charged).unwrap_or_default(),
        attempts: u32::try_from(get::<i32>(&delivery, "attempts", doing)?).unwrap_or_default(),
        last_code: last_code.as_deref(),
    };
    let limits = Limits {
        max_attempts: u32::try_from(get::<i32>(&delivery, "max_attempts", doing)?).unwrap_or_default(),
        deadline_at: get(&delivery, "deadline_at", doing)?,
    };
    let resent = get(&delivery, "possible_duplicate", doing)?;
    let verdict = judge(&report.end, past, limits, resent, timing, now, random);
    let state = word::<DeliveryState>(&delivery, "state", doing)?.step(verdict.event)?;

    match verdict.due_at {
        Some(due) => {
            tx.exec(
                "UPDATE send_job SET lease_id = NULL, lease_until = NULL, worker_id = NULL, due_at = $2 \
                 WHERE delivery_id = $1",
                args![id, due],
            )
            .await?
        }
        None => tx.exec("DELETE FROM send_job WHERE delivery_id = $1", args![id]).await?,
    };
    end_attempt(&tx, report, &verdict).await?;
    update_delivery(&tx, report, &verdict, state).await?;
    if state == DeliveryState::Delivered {
        crate::replay::resolve::sources(&tx, report.delivery_id, &delivery).await?;
    }
    if let Some(lane) = &changed_lane {
        note_block(&tx, report.endpoint_id, lane).await?;
    }
    if let Some(due) = verdict.due_at {
        lanes::pull(&tx, report.endpoint_id, due).await?;
    }
    tx.commit().await?;
    Ok(Finished::Recorded { state, due_at: verdict.due_at })
}

/// A lane before and after this attempt.
struct LaneChange {
    before: Lane,
    after: Lane,
}

async fn next_lane(
    tx: &Tx,
    report: &Report,
    timing: &Timing,
    random: f64,
) -> Result<Option<LaneChange>, StoreError> {
    let signal = signal(report);
    if signal == Signal::Nothing {
        return Ok(None);
    }
    let sql = format!("SELECT {} FROM lane WHERE endpoint_id = $1", lanes::COLUMNS);
    let Some(row) = tx.row(&sql, args![report.endpoint_id.uuid()]).await? else { return Ok(None) };
    let glance = lanes::read(&row, tx.doing())?;
    let now = tx.now().await?;
    if glance.after(&signal, timing, now, random) == glance {
        return Ok(None);
    }
    let before = lanes::lock(tx, report.endpoint_id).await?;
    let after = before.after(&signal, timing, now, random);
    if before == after {
        return Ok(None);
    }
    lanes::save(tx, report.endpoint_id, &after).await?;
    Ok(Some(LaneChange { before, after }))
}

fn signal(report: &Report) -> Signal<'_> {
    use outport_core::Class;
    let secret_version = report.secret_version.as_deref();
    match &report.end {
        End::Delivered(receipt) => {
            Signal::Worked { logged_in: if receipt.fresh_login { secret_version } else { None } }
        }
        End::Unconfirmed { .. } => Signal::Worked { logged_in: None },
        End::Fault { fault, .. } | End::Unknown { fault, .. } if fault.shared => Signal::Nothing,
        End::Fault { fault, .. } => match fault.class() {
            // The server answered: whatever it refused, it is up and let us in.
            Class::Remote => Signal::Worked { logged_in: None },
            Class::Artifact | Class::Engine | Class::Cancelled | Class::Input => Signal::Nothing,
            _ => Signal::Fault { fault, secret_version },
        },
        End::Unknown { fault, .. } => Signal::Fault { fault, secret_version },
    }
}

fn judge(
    end: &End,
    past: Past<'_>,
    limits: Limits,
    resent: bool,
    timing: &Timing,
    now: Millis,
    random: f64,
) -> Verdict {
    let over = |event, outcome, charged| Verdict { event, outcome, charged, due_at: None };
    match end {
        End::Delivered(_) => over(DeliveryEvent::Delivered, AttemptOutcome::Delivered, true),
        End::Unconfirmed { .. } => over(DeliveryEvent::Unconfirmed, AttemptOutcome::Unknown, true),
        // A server that takes the file and breaks off each time must not get it for ever.
        End::Unknown { .. } if resent && past.charged + 1 >= limits.max_attempts => {
            over(DeliveryEvent::Unconfirmed, AttemptOutcome::Unknown, true)
        }
        // The first lost answer is nobody's fault: free of charge, and soon, because the file may be waiting under its
        // final name. One after a resend is charged.
        End::Unknown { .. } => Verdict {
            event: DeliveryEvent::Retry,
            outcome: AttemptOutcome::Unknown,
            charged: resent,
            due_at: Some(now + retry::delay(&timing.retry, 0, random)),
        },
        End::Fault { fault, .. } => match retry::decide(fault, past, limits, &timing.retry, now, random) {
            Decision::Again { due_at, charged } => Verdict {
                event: DeliveryEvent::Retry,
                outcome: AttemptOutcome::Retry,
                charged,
                due_at: Some(due_at),
            },
            Decision::GiveUp { charged } => over(DeliveryEvent::Failed, AttemptOutcome::Failed, charged),
        },
    }
}

async fn end_attempt(tx: &Tx, report: &Report, verdict: &Verdict) -> Result<(), StoreError> {
    let (fault, stage, bytes) = match &report.end {
        End::Delivered(_) => (None, Stage::Confirming, None),
        End::Fault { fault, stage, bytes_sent } => (Some(fault), *stage, Some(*bytes_sent)),
        End::Unknown { fault, stage } => (Some(fault), *stage, None),
        End::Unconfirmed { fault } => (Some(fault), Stage::Confirming, None),
    };
    let receipt = match &report.end {
        End::Delivered(receipt) => Some(receipt),
        _ => None,
    };
    let size = receipt.map(|r| as_i64(r.size_bytes));
    let ended = tx
        .exec(
            "UPDATE attempt SET ended_at = {now}, outcome = $3, charged = $4, \
             stage = CASE WHEN stage = 'renaming' AND $5 <> 'confirming' THEN stage ELSE $5 END, class = $6, code = $7, \
             message = $8, bytes_sent = $9, remote_temp = $10, remote_final = $11, remote_size = $12, sha256 = $13, \
             peer_identity = $14, confirmed_by = $15, duration_ms = $16 \
             WHERE delivery_id = $1 AND lease_id = $2 AND outcome IS NULL",
            args![
                report.delivery_id.uuid(),
                report.lease.uuid(),
                verdict.outcome.as_str(),
                verdict.charged,
                stage.as_str(),
                fault.map(|f| f.class().as_str()),
                fault.map(|f| f.code.name),
                fault.map(|f| f.message.clone()),
                bytes.map(as_i64).or(size),
                report.remote_temp.clone(),
                receipt.map(|r| r.remote_final.clone()),
                size,
                receipt.map(|r| r.sha256.clone()),
                receipt.map(|r| r.peer_identity.clone()).or_else(|| fault.and_then(|f| f.seen_identity.clone())),
                receipt.map(|r| r.confirmed_by),
                report.duration_ms
            ],
        )
        .await?;
    if ended == 1 {
        Ok(())
    } else {
        Err(StoreError::Unreadable {
            doing: tx.doing(),
            problem: format!("{} has no open attempt of its lease", report.delivery_id),
        })
    }
}

async fn update_delivery(
    tx: &Tx,
    report: &Report,
    verdict: &Verdict,
    state: DeliveryState,
) -> Result<(), StoreError> {
    let fault = match &report.end {
        End::Delivered(_) => None,
        End::Fault { fault, .. } | End::Unknown { fault, .. } | End::Unconfirmed { fault } => Some(fault),
    };
    let settled = if state.is_terminal() { "{now}" } else { "NULL" };
    // `abandoned` counts vanished workers in a row: an attempt that ended properly breaks the row.
    let sql = format!(
        "UPDATE delivery SET state = $2, charged = charged + $3, abandoned = 0, settled_at = {settled}, \
         fault_code = $4, fault = $5, possible_duplicate = (possible_duplicate OR $6) WHERE id = $1"
    );
    let id = report.delivery_id.uuid();
    tx.exec(
        &sql,
        args![
            id,
            state.as_str(),
            i64::from(verdict.charged),
            fault.map(|f| f.code.name),
            fault.map(Fault::report),
            report.possible_duplicate
        ],
    )
    .await?;
    if !matches!(state, DeliveryState::Failed | DeliveryState::Unconfirmed) {
        return Ok(());
    }
    let detail = serde_json::json!({
        "code": fault.map(|f| f.code.name),
        "message": fault.map(|f| f.message.clone()),
    });
    history::add(
        tx,
        Entry { actor: "engine", subject_kind: "delivery", subject_id: id, event: state.as_str(), detail },
    )
    .await
}

/// A lane that closes or opens is an event that people look for.
async fn note_block(tx: &Tx, endpoint: EndpointId, change: &LaneChange) -> Result<(), StoreError> {
    let (before, after) = (&change.before, &change.after);
    if before.blocked_reason == after.blocked_reason && before.blocked_until == after.blocked_until {
        return Ok(());
    }
    let event = if after.blocked_reason.is_some() { "lane_blocked" } else { "lane_recovered" };
    let detail = serde_json::json!({
        "reason": after.blocked_reason.map(|r| r.as_str()),
        "until": after.blocked_until,
        "seen_identity": after.seen_identity,
    });
    let id = endpoint.uuid();
    history::add(tx, Entry { actor: "engine", subject_kind: "endpoint", subject_id: id, event, detail }).await
}

/// A size for a BIGINT column.
pub(crate) fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
