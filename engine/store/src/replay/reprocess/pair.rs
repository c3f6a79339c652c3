//! What a subscription has had of a file so far, and whether the filter means that.

use std::collections::BTreeMap;

use outport_core::delivery::DeliveryState;
use outport_core::replay::{Newer, Standing};
use outport_core::state::FileState;
use outport_core::{DeliveryId, Millis};
use uuid::Uuid;

use super::super::batch::Order;
use super::super::conditions::Arguments;
use super::{Generations, Today};
use crate::error::StoreError;
use crate::row::{get, id, word};
use crate::sql::Tx;

/// One delivery that exists.
struct Existing {
    id: DeliveryId,
    state: DeliveryState,
    fault_code: Option<String>,
    settled_at: Option<Millis>,
    resolved: bool,
    due_at: Option<Millis>,
}

/// The delivery that is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub id: DeliveryId,
    /// It may have arrived, or has.
    pub perhaps_there: bool,
}

/// Whether a pair of file and subscription is meant.
pub(super) enum Asked {
    No,
    Yes {
        /// The word of `--state` that it was chosen by.
        standing: &'static str,
        source: Option<Source>,
        newer: Option<Newer>,
    },
}

/// The deliveries of a page's files, oldest first.
pub(super) struct Pairs(BTreeMap<Uuid, BTreeMap<Uuid, Vec<Existing>>>);

impl Pairs {
    pub async fn load(tx: &Tx, files: &[Uuid]) -> Result<Self, StoreError> {
        let mut all = Self(BTreeMap::new());
        if files.is_empty() {
            return Ok(all);
        }
        let doing = tx.doing();
        let mut arguments = Arguments::default();
        let list = arguments.all(files.iter().copied());
        let sql = format!(
            "SELECT d.id, d.file_id, d.subscription_id, d.state, d.fault_code, d.settled_at, \
               (d.resolved_at IS NOT NULL) AS resolved, j.due_at \
             FROM delivery d LEFT JOIN send_job j ON j.delivery_id = d.id WHERE d.file_id IN ({list}) ORDER BY d.id"
        );
        for row in tx.rows(&sql, arguments.0).await? {
            let existing = Existing {
                id: id(&row, "id", doing)?,
                state: word(&row, "state", doing)?,
                fault_code: get(&row, "fault_code", doing)?,
                settled_at: get(&row, "settled_at", doing)?,
                resolved: get(&row, "resolved", doing)?,
                due_at: get(&row, "due_at", doing)?,
            };
            let subscriptions = all.0.entry(get(&row, "file_id", doing)?).or_default();
            subscriptions.entry(get(&row, "subscription_id", doing)?).or_default().push(existing);
        }
        Ok(all)
    }

    /// Whether the filter means this pair, and by which of its deliveries.
    pub fn asked(&self, order: &Order, state: FileState, file: Uuid, subscription: Uuid) -> Asked {
        let states = order.filter.states(order.mode);
        let none = Vec::new();
        let existing = self.0.get(&file).and_then(|pairs| pairs.get(&subscription)).unwrap_or(&none);
        let found = existing.iter().rposition(|delivery| delivery.is_meant(order, &states));
        let open = existing.iter().rfind(|delivery| !delivery.state.is_terminal());
        let Some(found) = found else {
            let standing = if state == FileState::Unrouted { Standing::Unrouted } else { Standing::Missing };
            return match (existing.last(), open) {
                (None, _) if states.contains(&standing) => {
                    Asked::Yes { standing: standing.as_str(), source: None, newer: None }
                }
                // Whoever names a file is told why it does not go now.
                (_, Some(open)) if !order.filter.id.is_empty() => {
                    Asked::Yes { standing: open.state.as_str(), source: None, newer: Some(open.newer()) }
                }
                _ => Asked::No,
            };
        };
        let source = &existing[found];
        let decides = |later: &&Existing| later.resolved || later.state == DeliveryState::Delivered;
        let newer = open.or_else(|| existing[found + 1..].iter().rfind(decides)).map(Existing::newer);
        let perhaps_there = matches!(source.state, DeliveryState::Unconfirmed | DeliveryState::Delivered);
        Asked::Yes {
            standing: source.state.as_str(),
            source: Some(Source { id: source.id, perhaps_there }),
            newer,
        }
    }

    /// Whether the filter means some delivery of this file, whatever became of its subscription.
    pub fn meant(&self, order: &Order, file: Uuid, today: &Today) -> bool {
        let states = order.filter.states(order.mode);
        let is_meant = |(subscription, all): (&Uuid, &Vec<Existing>)| {
            today.wants(*subscription) && all.iter().any(|delivery| delivery.is_meant(order, &states))
        };
        self.0.get(&file).is_some_and(|pairs| pairs.iter().any(is_meant))
    }
}

impl Existing {
    fn is_meant(&self, order: &Order, states: &[Standing]) -> bool {
        let faults = &order.filter.fault;
        states.iter().any(|state| state.delivery_state() == Some(self.state))
            && !self.resolved
            && self.settled_at.is_some_and(|at| at <= order.started_at)
            && (faults.is_empty() || self.fault_code.as_ref().is_some_and(|code| faults.contains(code)))
    }

    fn newer(&self) -> Newer {
        Newer { id: self.id, state: self.state, resolved: self.resolved, next_try: self.due_at }
    }
}

/// The last generation of each transform of these files.
pub(super) async fn generations(tx: &Tx, files: &[Uuid]) -> Result<Generations, StoreError> {
    if files.is_empty() {
        return Ok(Generations::new());
    }
    let doing = tx.doing();
    let mut arguments = Arguments::default();
    let list = arguments.all(files.iter().copied());
    let sql = format!(
        "SELECT file_id, spec_id, max(generation) AS generation FROM transform WHERE file_id IN ({list}) \
         GROUP BY file_id, spec_id"
    );
    let rows = tx.rows(&sql, arguments.0).await?;
    rows.iter()
        .map(|row| {
            let key = (get(row, "file_id", doing)?, get(row, "spec_id", doing)?);
            Ok((key, get(row, "generation", doing)?))
        })
        .collect()
}
