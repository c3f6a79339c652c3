//! The queue: a row for each delivery that may be sent.

use std::collections::BTreeSet;

use outport_core::{DeliveryId, EndpointId, Millis, SubscriptionId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::fifo;
use crate::lanes::Wake;
use crate::sql::{Tx, args, parts, tuples};

/// Rows of one statement.
const ROWS: usize = 256;

/// A job whose subscription is known not to be in order.
pub(crate) struct NewJob {
    pub(crate) delivery: DeliveryId,
    pub(crate) endpoint: EndpointId,
    pub(crate) remote_name: String,
    pub(crate) due: Millis,
}

/// Deliveries that may be sent from now on: jobs, the lanes to wake for them, and subscriptions that are in order, where
/// whoever's turn it is gets its job by itself.
#[derive(Default)]
pub(crate) struct Ready {
    jobs: Vec<NewJob>,
    wake: Wake,
    in_order: BTreeSet<SubscriptionId>,
}

impl Ready {
    /// One whose subscription is not in order.
    pub(crate) fn add(&mut self, job: NewJob) {
        self.wake.at(job.endpoint, job.due);
        self.jobs.push(job);
    }

    /// One of a subscription that is.
    pub(crate) fn add_in_order(&mut self, subscription: SubscriptionId) {
        self.in_order.insert(subscription);
    }

    /// Enqueue's lock order: send jobs first, lanes last.
    pub(crate) async fn write(&self, tx: &Tx) -> Result<(), StoreError> {
        for jobs in parts(&self.jobs, ROWS) {
            let sql = format!(
                "INSERT INTO send_job (delivery_id, endpoint_id, remote_name, due_at) VALUES {}",
                tuples(1, 4, jobs.len())
            );
            let row = |job: &NewJob| {
                args![job.delivery.uuid(), job.endpoint.uuid(), job.remote_name.as_str(), job.due]
            };
            tx.exec(&sql, jobs.iter().flat_map(row).collect()).await?;
        }
        self.wake.pull(tx).await?;
        for subscription in &self.in_order {
            fifo::advance(tx, *subscription).await?;
        }
        Ok(())
    }
}

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

/// The same for many at once, each with its due time. Of a subscription that is in order, those get in whose turn it is.
pub(crate) async fn add_all(tx: &Tx, jobs: &[(DeliveryId, Millis)]) -> Result<(), StoreError> {
    for jobs in parts(jobs, ROWS) {
        let sql = format!(
            "INSERT INTO send_job (delivery_id, endpoint_id, remote_name, due_at) \
             SELECT d.id, d.endpoint_id, d.remote_name, new.column2 FROM (VALUES {}) AS new \
             JOIN delivery d ON d.id = new.column1 JOIN subscription s ON s.id = d.subscription_id \
             WHERE s.ordering <> 'fifo'",
            tuples(1, 2, jobs.len())
        );
        tx.exec(&sql, jobs.iter().flat_map(|(delivery, due)| args![delivery.uuid(), *due]).collect()).await?;
        let ids: Vec<Uuid> = jobs.iter().map(|(delivery, _)| delivery.uuid()).collect();
        fifo::advance_all(tx, &ids).await?;
    }
    Ok(())
}
