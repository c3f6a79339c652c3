//! The jobs of a claim, lane by lane, and when each lane is due again.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::lane::NEVER;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, Millis, Timing};
use sea_orm::Value;

use super::Share;
use crate::error::StoreError;
use crate::row::{get, id};
use crate::sql::{Tx, args, tuples};

/// The jobs that were picked, by lane.
#[derive(Debug, Default)]
pub(super) struct Picked {
    jobs: BTreeMap<EndpointId, Vec<DeliveryId>>,
    /// Lanes with a due job that has to wait for another one of its name.
    crowded: BTreeSet<EndpointId>,
}

impl Picked {
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn of(&self, endpoint: EndpointId) -> &[DeliveryId] {
        self.jobs.get(&endpoint).map_or(&[], Vec::as_slice)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &DeliveryId> {
        self.jobs.values().flatten()
    }
}

/// Picks each lane's longest due free jobs. One statement with a branch for each lane, because a limit over all of them
/// would let one queue take everything; each branch reads only its lane's due rows, in the order of `send_job_ready`.
///
/// Of several with one remote name the longest due one goes, and none while another is being sent: the older version
/// could end on top of the newer one. They are left out after the limit, so that ten thousand jobs with one name cost
/// nothing; the lane is looked at again soon.
pub(super) async fn pick(tx: &Tx, shares: &[Share], now: Millis) -> Result<Picked, StoreError> {
    let wanting: Vec<&Share> = shares.iter().filter(|share| share.wanted > 0).collect();
    if wanting.is_empty() {
        return Ok(Picked::default());
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
                "SELECT *, EXISTS (SELECT 1 FROM send_job sent WHERE sent.endpoint_id = due.endpoint_id \
                   AND sent.remote_name = due.remote_name AND sent.lease_id IS NOT NULL) AS busy \
                 FROM (SELECT endpoint_id, delivery_id, remote_name FROM send_job \
                 WHERE endpoint_id = ${} AND lease_id IS NULL AND due_at <= $1 \
                 ORDER BY due_at, delivery_id LIMIT ${n} {{skip_locked}}) AS due",
                n - 1
            )
        })
        .collect();
    let doing = tx.doing();
    let mut picked = Picked::default();
    let mut names: BTreeSet<(EndpointId, String)> = BTreeSet::new();
    for row in tx.rows(&branches.join(" UNION ALL "), values).await? {
        let endpoint = id(&row, "endpoint_id", doing)?;
        let first_of_name = names.insert((endpoint, get(&row, "remote_name", doing)?));
        if first_of_name && !get::<bool>(&row, "busy", doing)? {
            picked.jobs.entry(endpoint).or_default().push(id(&row, "delivery_id", doing)?);
        } else {
            picked.crowded.insert(endpoint);
        }
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
        let got = picked.of(share.endpoint).len();
        let emptied = i64::try_from(got).is_ok_and(|got| got < share.wanted);
        let next = if picked.crowded.contains(&share.endpoint) || !(emptied || share.more_at_once) {
            // Full, or waiting for a name: look again soon, whatever is due.
            Some(now + millis(timing.lane_full))
        } else if emptied {
            None
        } else {
            // Its place in the order is behind those that wait longer.
            Some(now)
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
