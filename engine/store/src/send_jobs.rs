//! The queue: a row for each delivery that may be sent.

use outport_core::{DeliveryId, Millis};

use crate::error::StoreError;
use crate::sql::{Tx, args};

/// Puts a delivery into its lane. Its state says already that it may be sent; the lane is to be woken after this
/// ([`lanes::pull`](crate::lanes::pull)).
pub(crate) async fn add(tx: &Tx, delivery: DeliveryId, due: Millis) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO send_job (delivery_id, endpoint_id, remote_name, fifo_group, due_at) \
         SELECT d.id, d.endpoint_id, d.remote_name, CASE WHEN s.ordering = 'fifo' THEN s.id END, $2 \
         FROM delivery d JOIN subscription s ON s.id = d.subscription_id WHERE d.id = $1",
        args![delivery.uuid(), due],
    )
    .await
    .map(|_| ())
}
