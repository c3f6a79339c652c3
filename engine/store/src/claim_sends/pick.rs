//! The jobs of a claim, lane by lane, and when each lane is due again.

use std::collections::{BTreeMap, BTreeSet};

use outport_core::lane::NEVER;
use outport_core::timing::millis;
use outport_core::{DeliveryId, EndpointId, Millis, Timing};
use sea_orm::Value;

use super::Share;
use crate::dialect::Dialect;
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
    pub(super) fn one(endpoint: EndpointId, delivery: DeliveryId) -> Self {
        Self { jobs: BTreeMap::from([(endpoint, vec![delivery])]), crowded: BTreeSet::new() }
    }

    /// Leaves these where they are.
    pub(super) fn remove(&mut self, deliveries: &BTreeSet<DeliveryId>) {
        self.jobs.retain(|_, jobs| {
            jobs.retain(|delivery| !deliveries.contains(delivery));
            !jobs.is_empty()
        });
    }

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
/// would let one queue take everything.
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
    for share in &wanting {
        values.extend(args![share.endpoint.uuid(), share.wanted]);
    }
    // As many branches as the next power of two: few different statements to prepare. The ones too many want nothing.
    let branches = wanting.len().next_power_of_two();
    for _ in wanting.len()..branches {
        values.extend(args![uuid::Uuid::nil(), 0_i64]);
    }
    let due = due_of_each(tx, branches);
    let sql = format!(
        "SELECT *, EXISTS (SELECT 1 FROM send_job sent WHERE sent.endpoint_id = due.endpoint_id \
           AND sent.remote_name = due.remote_name AND sent.lease_id IS NOT NULL) AS busy FROM {due}"
    );
    let doing = tx.doing();
    let mut picked = Picked::default();
    let mut names: BTreeSet<(EndpointId, String)> = BTreeSet::new();
    for row in tx.rows(&sql, values).await? {
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

/// The due jobs of each lane as a row source, from the arguments now, lane, how many, lane, how many, ... Each branch reads
/// only its lane's first due rows, in the order of `send_job_ready`.
fn due_of_each(tx: &Tx, branches: usize) -> String {
    let branch = |endpoint: &str, wanted: &str| {
        format!(
            "SELECT endpoint_id, delivery_id, remote_name FROM send_job \
             WHERE endpoint_id = {endpoint} AND lease_id IS NULL AND due_at <= $1 \
             ORDER BY due_at, delivery_id LIMIT {wanted} {{skip_locked}}"
        )
    };
    match tx.dialect() {
        // PostgreSQL planned a UNION of branches anew for every claim, because it takes the plan for unknown limits for a
        // dear one: 3.5 ms for 50 lanes, a fifth of all it did for a delivery. This one it keeps.
        Dialect::Postgres => format!(
            "(VALUES {}) AS want CROSS JOIN LATERAL ({}) AS due",
            tuples(2, 2, branches),
            branch("want.column1", "want.column2")
        ),
        // SQLite has no LATERAL, and compiles a statement once.
        Dialect::Sqlite => {
            let branch =
                |n| format!("SELECT * FROM ({})", branch(&format!("${}", 2 * n), &format!("${}", 2 * n + 1)));
            let branches: Vec<String> = (1..=branches).map(branch).collect();
            format!("({}) AS due", branches.join(" UNION ALL "))
        }
    }
}

/// Says when each of the claim's lanes is due again. After the jobs are leased: the least due time of the free ones is
/// then that of the rest. Returns those that are full.
pub(super) async fn move_lanes(
    tx: &Tx,
    shares: &[Share],
    picked: &Picked,
    now: Millis,
    timing: &Timing,
) -> Result<Vec<EndpointId>, StoreError> {
    let mut full = Vec::new();
    let mut values: Vec<Value> = args![NEVER];
    for share in shares {
        let got = picked.of(share.endpoint).len();
        let emptied = i64::try_from(got).is_ok_and(|got| got < share.wanted);
        let next = if picked.crowded.contains(&share.endpoint) || !(emptied || share.more_at_once) {
            // Full, or waiting for a name: look again soon, whatever is due.
            full.push(share.endpoint);
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
    tx.exec(&sql, values).await?;
    Ok(full)
}
