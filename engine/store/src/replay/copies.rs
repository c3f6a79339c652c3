//! Writing what is the same again: the database copies each delivery from its source.

use std::sync::Arc;

use outport_core::timing::millis;
use outport_core::{Millis, ReplayId};
use sea_orm::Value;

use super::batch::{Again, Terms};
use super::write::{Closed, DELIVERY, PRIORITY};
use crate::error::StoreError;
use crate::sql::{Tx, args, parts, tuples};

/// Rows of one statement.
const ROWS: usize = 256;

/// Creates them, each with the time at which it is due, queued.
pub(super) async fn insert(
    tx: &Tx,
    replay: ReplayId,
    copies: &[(Again, Millis)],
    closed: &Closed,
    now: Millis,
) -> Result<(), StoreError> {
    for copies in parts(copies, ROWS) {
        let mut values = args![replay.uuid(), now];
        let mut terms: Vec<&Arc<Terms>> = Vec::new();
        for (copy, due) in copies {
            let known = terms.iter().position(|known| Arc::ptr_eq(known, &copy.terms));
            let at = known.unwrap_or_else(|| {
                terms.push(&copy.terms);
                terms.len() - 1
            });
            let deadline = due.saturating_add(millis(copy.terms.retry.deadline.0));
            values.extend(args![copy.id, copy.source, deadline, index(at)]);
        }
        for (at, terms) in terms.iter().enumerate() {
            values.extend(row(at, terms, closed));
        }
        let first_of_terms = 3 + 4 * copies.len();
        // What may have arrived, or has, may stand there twice after this. CROSS: SQLite keeps the order, and looks up each
        // source by its id; a page has few terms.
        let sql = format!(
            "INSERT INTO {DELIVERY} \
             SELECT new.column1, d.file_id, d.subscription_id, d.subscriber_id, terms.column2, d.transform_id, \
               d.artifact_id, d.part, 'replay', $1, d.id, 'queued', {PRIORITY}, terms.column3, new.column3, \
               d.remote_name, terms.column4, (d.possible_duplicate OR d.state IN ('unconfirmed', 'delivered')), \
               $2, terms.column5 \
             FROM (VALUES {}) AS new CROSS JOIN (VALUES {}) AS terms CROSS JOIN delivery d \
             WHERE terms.column1 = new.column4 AND d.id = new.column2",
            tuples(3, 4, copies.len()),
            tuples(first_of_terms, 5, terms.len()),
        );
        tx.exec(&sql, values).await?;
    }
    Ok(())
}

fn row(at: usize, terms: &Terms, closed: &Closed) -> Vec<Value> {
    args![
        index(at),
        terms.endpoint.uuid(),
        i32::from(terms.retry.max_attempts),
        terms.snapshot.clone(),
        closed.get(&terms.endpoint).copied().unwrap_or_default(),
    ]
}

fn index(at: usize) -> i32 {
    i32::try_from(at).unwrap_or(i32::MAX)
}
