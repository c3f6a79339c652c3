//! The rows of a batch of ends, one statement a table.

use outport_core::Fault;
use outport_core::delivery::{DeliveryState, Stage};
use sea_orm::Value;

use super::{End, Settled, as_i64};
use crate::error::StoreError;
use crate::history::Entry;
use crate::notices;
use crate::sql::{Tx, args, list, padded, update_rows};

/// Settled deliveries leave the queue, the others are free again and due later.
pub(super) async fn jobs(tx: &Tx, settled: &[Settled<'_>]) -> Result<(), StoreError> {
    let over = settled.iter().filter(|s| s.verdict.due_at.is_none());
    let over = padded(over.map(|s| s.report.delivery_id.uuid().into()).collect());
    if !over.is_empty() {
        let sql = format!("DELETE FROM send_job WHERE delivery_id IN ({})", list(1, over.len()));
        tx.exec(&sql, over).await?;
    }
    let again = settled.iter().filter_map(|s| Some(args![s.report.delivery_id.uuid(), s.verdict.due_at?]));
    let set = "lease_id = NULL, lease_until = NULL, worker_id = NULL, due_at = new.column2";
    update_rows(tx, "send_job", set, "send_job.delivery_id = new.column1", again.collect()).await.map(|_| ())
}

/// Each attempt of its lease is over. An attempt that reached the rename stays there, whatever stage the report names:
/// the next one has to look.
pub(super) async fn attempts(tx: &Tx, settled: &[Settled<'_>]) -> Result<(), StoreError> {
    let rows: Vec<Vec<Value>> = settled.iter().map(attempt).collect();
    let ended = update_rows(
        tx,
        "attempt",
        "ended_at = {now}, outcome = new.column3, charged = new.column4, \
         stage = CASE WHEN stage = 'renaming' AND new.column5 <> 'confirming' THEN stage ELSE new.column5 END, \
         class = new.column6, code = new.column7, message = new.column8, bytes_sent = new.column9, \
         remote_temp = new.column10, remote_final = new.column11, remote_size = new.column12, sha256 = new.column13, \
         peer_identity = new.column14, confirmed_by = new.column15, duration_ms = new.column16, \
         agreed = new.column17",
        "attempt.delivery_id = new.column1 AND attempt.lease_id = new.column2 AND attempt.outcome IS NULL",
        rows,
    )
    .await?;
    if usize::try_from(ended).is_ok_and(|ended| ended == settled.len()) {
        return Ok(());
    }
    let ids: Vec<String> = settled.iter().map(|s| s.report.delivery_id.to_string()).collect();
    let problem = format!("one of these has no open attempt of its lease: {}", ids.join(" "));
    Err(StoreError::Unreadable { doing: tx.doing(), problem })
}

fn attempt(settled: &Settled<'_>) -> Vec<Value> {
    let (report, verdict) = (settled.report, &settled.verdict);
    let (stage, bytes) = match &report.end {
        End::Fault { stage, bytes_sent, .. } => (*stage, Some(*bytes_sent)),
        End::Unknown { stage, .. } => (*stage, None),
        End::Delivered(_) | End::Unconfirmed { .. } => (Stage::Confirming, None),
    };
    let fault = report.end.fault();
    let receipt = match &report.end {
        End::Delivered(receipt) => Some(receipt),
        _ => None,
    };
    let size = receipt.map(|r| as_i64(r.size_bytes));
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
        report.duration_ms,
        receipt.map(|r| serde_json::json!(r.agreed).to_string())
    ]
}

/// `abandoned` counts vanished workers in a row: an attempt that ended properly breaks the row.
pub(super) async fn deliveries(tx: &Tx, settled: &[Settled<'_>]) -> Result<(), StoreError> {
    let row = |settled: &Settled<'_>| {
        let fault = settled.report.end.fault();
        args![
            settled.report.delivery_id.uuid(),
            settled.state.as_str(),
            i32::from(settled.verdict.charged),
            settled.state.is_terminal(),
            fault.map(|f| f.code.name),
            fault.map(Fault::report),
            settled.report.possible_duplicate
        ]
    };
    let set = "state = new.column2, charged = charged + new.column3, abandoned = 0, \
               settled_at = CASE WHEN new.column4 THEN {now} END, fault_code = new.column5, fault = new.column6, \
               possible_duplicate = (possible_duplicate OR new.column7)";
    let rows = settled.iter().map(row).collect();
    update_rows(tx, "delivery", set, "delivery.id = new.column1", rows).await.map(|_| ())
}

/// What ends badly goes into the history, for people to find, and to those who want to hear of it.
pub(super) async fn notes(tx: &Tx, settled: &[Settled<'_>]) -> Result<(), StoreError> {
    let badly = |s: &&Settled<'_>| matches!(s.state, DeliveryState::Failed | DeliveryState::Unconfirmed);
    let entry = |settled: &Settled<'_>| {
        let fault = settled.report.end.fault();
        let detail = serde_json::json!({
            "code": fault.map(|f| f.code.name),
            "message": fault.map(|f| f.message.clone()),
        });
        let (subject_id, event) = (settled.report.delivery_id.uuid(), settled.state.as_str());
        Entry { actor: "engine", subject_kind: "delivery", subject_id, event, detail }
    };
    let entries: Vec<Entry<'_>> = settled.iter().filter(badly).map(entry).collect();
    notices::announce(tx, &entries).await
}
