//! Who gets an arrival, by the rules and subscriptions of the transaction that records it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use outport_core::event::EventSource;
use outport_core::route::{Choice, FileFacts, Planned, Priority, Rule, SubscriptionView, choose, plan};
use outport_core::{Captures, Fault, FileGroupId, Millis};

use super::{Arrival, OutputExt, Route, Routing};
use crate::error::StoreError;
use crate::routes::{self, SubscriptionRow};
use crate::row::get;
use crate::sql::{Tx, args};

/// Who gets what, asked once of each bucket and group.
pub(super) struct Router {
    rules: BTreeMap<String, Vec<(Millis, Rule)>>,
    subscriptions: BTreeMap<FileGroupId, Vec<SubscriptionRow>>,
    output_ext: OutputExt,
}

impl Router {
    pub(super) fn new(output_ext: OutputExt) -> Self {
        Self { rules: BTreeMap::new(), subscriptions: BTreeMap::new(), output_ext }
    }

    pub(super) async fn route(
        &mut self,
        tx: &Tx,
        arrival: &Arrival,
        now: Millis,
    ) -> Result<Routing, StoreError> {
        let event = &arrival.event;
        let all = match self.rules.entry(event.bucket.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(routes::dated_rules(tx, &event.bucket).await?),
        };
        // Only a sweep finds old objects; an event is about an object that is arriving.
        let old = if event.source == EventSource::Sweep { arrival.modified_at } else { None };
        let rules: Vec<Rule> = all
            .iter()
            .filter(|(starts_at, _)| old.is_none_or(|changed_at| *starts_at <= changed_at))
            .map(|(_, rule)| rule.clone())
            .collect();
        let (rule, captures) = match choose(&rules, &event.bucket, &event.key) {
            Choice::One { rule, captures } => (rule, captures),
            choice => {
                let end = choice.fault(&event.key).map_or(Route::Unrouted, Route::Rejected);
                return Ok(Routing { group: None, end });
            }
        };
        let group = rule.file_group_id;
        let subscriptions = match self.subscriptions.entry(group) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(new) => {
                new.insert(routes::subscriptions(tx, group, self.output_ext).await?).clone()
            }
        };
        let end = if subscriptions.is_empty() {
            Route::Unrouted
        } else {
            let facts = FileFacts { key: &event.key, arrived_at: now };
            Route::Routed(planned(tx, &facts, &captures, subscriptions).await?)
        };
        Ok(Routing { group: Some(group), end })
    }
}

/// What each of these subscriptions gets of the file.
pub(crate) async fn planned(
    tx: &Tx,
    facts: &FileFacts<'_>,
    captures: &Captures,
    rows: Vec<SubscriptionRow>,
) -> Result<Vec<(SubscriptionRow, Planned)>, StoreError> {
    let mut result = Vec::new();
    for row in rows {
        let template = match row.remote_name.parse::<outport_core::remote_name::Template>() {
            Ok(template) => template,
            // Not by `apply`; but one damaged row must not keep the others' files from them.
            Err(fault) => {
                let fault = Fault::new(&outport_core::code::ROUTE_NAME_REFUSED, fault.message);
                let subscription_id = row.id;
                result.push((row, Planned::Refused { subscription_id, fault }));
                continue;
            }
        };
        let next_sequence = if template.uses_sequence() { take_sequence(tx, &row).await? } else { 0 };
        let view = SubscriptionView {
            subscription_id: row.id,
            code: row.code.clone(),
            subscriber_id: row.subscriber_id,
            endpoint_id: row.endpoint_id,
            active: true,
            spec: row.spec,
            output_ext: row.output_ext.map(str::to_owned),
            remote_name: template,
            priority: Priority::new(row.priority).unwrap_or_default(),
            next_sequence,
        };
        for planned in plan(facts, captures, std::slice::from_ref(&view)) {
            result.push((row.clone(), planned));
        }
    }
    Ok(result)
}

/// Takes the next number under the subscription's row lock; two dispatchers never get the same one. A number whose
/// name is refused is used up.
async fn take_sequence(tx: &Tx, subscription: &SubscriptionRow) -> Result<u64, StoreError> {
    let row = tx
        .row(
            "UPDATE subscription SET next_sequence = next_sequence + 1 WHERE id = $1 RETURNING next_sequence",
            args![subscription.id.uuid()],
        )
        .await?;
    let next: i64 = row.map(|row| get(&row, "next_sequence", tx.doing())).transpose()?.unwrap_or(2);
    Ok(u64::try_from(next - 1).unwrap_or_default())
}
