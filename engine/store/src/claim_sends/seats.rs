//! Connections of a lane: how many this worker may hold, over all processes.

use std::collections::BTreeMap;

use outport_core::lane::FILES_PER_CONNECTION;
use outport_core::{EndpointId, Millis, WorkerId};

use super::Share;
use super::pick::Picked;
use crate::error::StoreError;
use crate::row::{get, id};
use crate::sql::{Tx, args, tuples};

/// Takes or keeps as many seats as the picked files need; how many connections this worker may hold now, by lane.
pub(super) async fn take(
    tx: &Tx,
    worker: WorkerId,
    shares: &[Share],
    picked: &Picked,
    until: Millis,
) -> Result<BTreeMap<EndpointId, u32>, StoreError> {
    let mut values = args![worker.uuid(), until];
    let mut allowed = BTreeMap::new();
    for share in shares {
        let files = picked.of(share.endpoint).len();
        if files == 0 {
            continue;
        }
        let files = share.mine + i64::try_from(files).unwrap_or(i64::MAX);
        let needed = (files + FILES_PER_CONNECTION - 1) / FILES_PER_CONNECTION;
        let needed = needed.clamp(1, share.seats.max(1));
        values.extend(args![share.endpoint.uuid(), needed]);
        allowed.insert(share.endpoint, u32::try_from(share.seats).unwrap_or(1));
    }
    let sql = format!(
        "INSERT INTO seat (endpoint_id, worker_id, connections, until) \
         SELECT wanted.column1, $1, wanted.column2, $2 FROM (VALUES {}) AS wanted WHERE true \
         ON CONFLICT (endpoint_id, worker_id) DO UPDATE SET \
           connections = {{greatest}}(seat.connections, excluded.connections), until = excluded.until \
         RETURNING endpoint_id, connections",
        tuples(3, 2, allowed.len())
    );
    let mut seats = BTreeMap::new();
    for row in tx.rows(&sql, values).await? {
        let endpoint = id(&row, "endpoint_id", tx.doing())?;
        let taken = u32::try_from(get::<i32>(&row, "connections", tx.doing())?).unwrap_or(1);
        seats.insert(endpoint, allowed.get(&endpoint).copied().map_or(taken, |most| taken.min(most)));
    }
    Ok(seats)
}
