//! The jobs of a claim, lane by lane, and when each lane is due again.

use std::collections::BTreeMap;

use outport_core::lane::NEVER;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, Millis, Timing};
use sea_orm::Value;

use super::Share;
use crate::error::StoreError;
use crate::row::id;
use crate::sql::{Tx, args, tuples};

/// The jobs that were picked, by lane.
pub(super) type Picked = BTreeMap<EndpointId, Vec<DeliveryId>>;

/// Picks each lane's longest due free jobs. One statement with a branch for each lane, because a limit over all of them
/// would let one queue take everything; each branch reads only its lane's due rows, in the order of `send_job_ready`.
pub(super) async fn pick(tx: &Tx, shares: &[Share], now: Millis) -> Result<Picked, StoreError> {
    let wanting: Vec<&Share> = shares.iter().filter(|share| share.wanted > 0).collect();
    if wanting.is_empty() {
        return Ok(Picked::new());
    }
    let mut values = args![now];
    // As many branches as the next power of two: few different statements to prepare. The ones too many want nothing.
    let branches: Vec<String> = (0..wanting.len().next_power_of_two())
        .map(|branch| {
            let (endpoint, wanted) = match wanting.get(branch) {
                Some(share) => (share.endpoint.uuid(), share.wanted),
                None => (uuid::Uuid::nil(), 0),
            };
            values.extend(args![endpoint, wanted]);
            let n = values.len();
            format!(
                "SELECT * FROM (SELECT endpoint_id, delivery_id FROM send_job \
                 WHERE endpoint_id = ${} AND lease_id IS NULL AND due_at <= $1 \
                 ORDER BY due_at, delivery_id LIMIT ${n} {{skip_locked}}) AS lane_{branch}",
                n - 1
            )
        })
        .collect();
    let mut picked = Picked::new();
    for row in tx.rows(&branches.join(" UNION ALL "), values).await? {
        let endpoint = id(&row, "endpoint_id", tx.doing())?;
        picked.entry(endpoint).or_default().push(id(&row, "delivery_id", tx.doing())?);
    }
    Ok(picked)
}

/// Says when each of the claim's lanes is due again. After the jobs are leased: the least due time of the free ones is
/// then that of the rest.
pub(super) async fn move_lanes(
    tx: &Tx,
    shares: &[Share],
    picked: &Picked,
    now: Millis,
    timing: &Timing,
) -> Result<(), StoreError> {
    let mut values: Vec<Value> = args![NEVER];
    for share in shares {
        let got = picked.get(&share.endpoint).map_or(0, Vec::len);
        let satisfied = i64::try_from(got).is_ok_and(|got| got < share.wanted);
        let next = match (satisfied, share.more_at_once) {
            (true, _) => None,
            // Its place in the order is behind those that wait longer.
            (false, true) => Some(now),
            // Full: look again soon, whatever is due.
            (false, false) => Some(now + millis(timing.lane_full)),
        };
        values.extend(args![share.endpoint.uuid(), next]);
    }
    for _ in shares.len()..shares.len().next_power_of_two() {
        values.extend(args![uuid::Uuid::nil(), now]);
    }
    let lanes = (values.len() - 1) / 2;
    let sql = format!(
        "UPDATE lane SET next_due_at = coalesce(moved.column2, \
           (SELECT min(j.due_at) FROM send_job j WHERE j.endpoint_id = lane.endpoint_id AND j.lease_id IS NULL), $1) \
         FROM (VALUES {}) AS moved WHERE lane.endpoint_id = moved.column1",
        tuples(2, 2, lanes)
    );
    tx.exec(&sql, values).await.map(|_| ())
}
