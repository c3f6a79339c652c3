//! `give_up_after` of an endpoint: the explicit way out of an outage that does not end.

use outport_core::delivery::{DeliveryEvent, DeliveryState};
use outport_core::settings::EndpointSettings;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, Fault, Millis, code};
use sea_orm::Value;

use crate::Store;
use crate::error::StoreError;
use crate::history::Entry;
use crate::row::{get, id, json, word};
use crate::sql::{Tx, args, list, padded};
use crate::{fifo, lanes, notices};

/// Deliveries that fail in one transaction.
const BATCH: i64 = 500;

/// Fails deliveries of endpoints that have been failing for longer than their `give_up_after`, and that are older than
/// that themselves; how many. At most 500 of each endpoint a call.
pub async fn give_up(store: &Store) -> Result<u64, StoreError> {
    let doing = "giving up on endpoints that stay down";
    let rows = store
        .read(
            doing,
            "SELECT l.endpoint_id, l.failing_since, s.code AS subscriber, e.name, e.settings, {now} AS now \
             FROM lane l JOIN endpoint e ON e.id = l.endpoint_id JOIN subscriber s ON s.id = e.subscriber_id \
             WHERE l.failing_since IS NOT NULL",
            vec![],
        )
        .await?;
    let mut failed = 0;
    for row in &rows {
        let settings: EndpointSettings = json(row, "settings", doing)?;
        let Some(limit) = settings.give_up_after else { continue };
        let (since, now): (Millis, Millis) = (get(row, "failing_since", doing)?, get(row, "now", doing)?);
        if now - since >= millis(limit.0) {
            let label = format!(
                "{}/{}",
                get::<String>(row, "subscriber", doing)?,
                get::<String>(row, "name", doing)?
            );
            let message = format!("{label} has been down for longer than its give_up_after, {limit}");
            let fault = Fault::new(&code::ENDPOINT_GAVE_UP, message);
            failed += fail_all(store, id(row, "endpoint_id", doing)?, now - millis(limit.0), &fault).await?;
        }
    }
    Ok(failed)
}

async fn fail_all(
    store: &Store,
    endpoint: EndpointId,
    made_before: Millis,
    fault: &Fault,
) -> Result<u64, StoreError> {
    let tx = store.begin("giving up on an endpoint that stays down").await?;
    lanes::lock(&tx, endpoint).await?;
    let doing = tx.doing();
    let rows = tx
        .rows(
            "SELECT d.id, d.state FROM delivery d JOIN send_job j ON j.delivery_id = d.id \
             WHERE d.endpoint_id = $1 AND d.settled_at IS NULL AND j.lease_id IS NULL AND d.created_at < $2 \
             ORDER BY d.id LIMIT $3",
            args![endpoint.uuid(), made_before, BATCH],
        )
        .await?;
    let mut ids: Vec<Value> = Vec::with_capacity(rows.len());
    for row in &rows {
        // What is free may be claimed, and what may be claimed may fail by the claimer's word.
        word::<DeliveryState>(row, "state", doing)?
            .step(DeliveryEvent::Claimed)?
            .step(DeliveryEvent::Failed)?;
        let delivery: DeliveryId = id(row, "id", doing)?;
        ids.push(delivery.uuid().into());
    }
    if ids.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    settle(&tx, ids, fault).await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        let delivery: DeliveryId = id(row, "id", doing)?;
        let detail = serde_json::json!({ "code": fault.code.name, "message": fault.message });
        let (subject_id, event) = (delivery.uuid(), DeliveryState::Failed.as_str());
        entries.push(Entry { actor: "engine", subject_kind: "delivery", subject_id, event, detail });
        fifo::advance_after(&tx, delivery).await?;
    }
    notices::announce(&tx, &entries).await?;
    tx.commit().await?;
    Ok(rows.len() as u64)
}

async fn settle(tx: &Tx, ids: Vec<Value>, fault: &Fault) -> Result<(), StoreError> {
    let ids = padded(ids);
    let sql = format!("DELETE FROM send_job WHERE delivery_id IN ({})", list(1, ids.len()));
    tx.exec(&sql, ids.clone()).await?;
    let mut values = args![fault.code.name, fault.report()];
    let sql = format!(
        "UPDATE delivery SET state = 'failed', settled_at = {{now}}, fault_code = $1, fault = $2 WHERE id IN ({})",
        list(3, ids.len())
    );
    values.extend(ids);
    tx.exec(&sql, values).await.map(|_| ())
}
