//! A filter as SQL.

use outport_core::Millis;
use outport_core::delivery::DeliveryState;
use outport_core::replay::{Filter, Standing};
use sea_orm::Value;

/// The arguments of a statement under construction.
#[derive(Debug, Default, Clone)]
pub(super) struct Arguments(pub Vec<Value>);

impl Arguments {
    /// Adds one and returns its placeholder.
    pub fn add(&mut self, value: impl Into<Value>) -> String {
        self.0.push(value.into());
        format!("${}", self.0.len())
    }

    /// Adds several and returns `$3, $4, $5`.
    pub fn all<T: Into<Value>>(&mut self, values: impl IntoIterator<Item = T>) -> String {
        values.into_iter().map(|value| self.add(value)).collect::<Vec<_>>().join(", ")
    }
}

/// A condition on the rows of `delivery`, whatever their alias is.
#[derive(Debug, Clone)]
pub(super) struct Condition(String);

impl Condition {
    /// For `FROM delivery alias`.
    pub fn on(&self, alias: &str) -> String {
        self.0.replace('@', alias)
    }
}

/// The settled deliveries that a filter takes, but for the glob and for there being a newer one. What failed is asked for in
/// the words of the partial index of what is unresolved.
pub(super) fn settled(
    filter: &Filter,
    states: &[Standing],
    started_at: Millis,
    arguments: &mut Arguments,
) -> Condition {
    let states: Vec<DeliveryState> = states.iter().filter_map(|state| state.delivery_state()).collect();
    let words: Vec<String> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
    let words = if words.is_empty() { "NULL".into() } else { words.join(", ") };
    let failed = |state: &DeliveryState| matches!(state, DeliveryState::Failed | DeliveryState::Unconfirmed);
    let unresolved = if states.iter().all(failed) { "@.unresolved" } else { "@.resolved_at IS NULL" };
    let mut all = vec![
        format!("@.state IN ({words})"),
        unresolved.to_owned(),
        format!("@.settled_at <= {}", arguments.add(started_at)),
    ];
    all.extend(parties(filter, arguments));
    if let Some(since) = &filter.since {
        all.push(format!("@.settled_at >= {}", arguments.add(since.at)));
    }
    if let Some(until) = &filter.until {
        all.push(format!("@.settled_at < {}", arguments.add(until.at)));
    }
    if !filter.fault.is_empty() {
        all.push(format!("@.fault_code IN ({})", arguments.all(filter.fault.clone())));
    }
    let ids: Vec<_> = filter.id.iter().filter_map(|id| id.parse::<outport_core::DeliveryId>().ok()).collect();
    if !filter.id.is_empty() {
        all.push(format!("@.id IN ({})", arguments.all(ids.iter().map(|id| id.uuid()))));
    }
    Condition(all.join(" AND "))
}

/// Whose deliveries: the parts of the filter that name a party. A delivery belongs to its subscription's file group.
fn parties(filter: &Filter, arguments: &mut Arguments) -> Vec<String> {
    let mut all = Vec::new();
    if !filter.subscriber.is_empty() {
        let codes = arguments.all(filter.subscriber.clone());
        all.push(format!("@.subscriber_id IN (SELECT id FROM subscriber WHERE code IN ({codes}))"));
    }
    if !filter.endpoint.is_empty() {
        let names = arguments.all(filter.endpoint.clone());
        all.push(format!("@.endpoint_id IN ({ENDPOINTS} ({names}))"));
    }
    if !filter.subscription.is_empty() {
        let codes = arguments.all(filter.subscription.clone());
        all.push(format!("@.subscription_id IN (SELECT id FROM subscription WHERE code IN ({codes}))"));
    }
    if !filter.group.is_empty() {
        let names = arguments.all(filter.group.clone());
        all.push(format!(
            "@.subscription_id IN (SELECT s.id FROM subscription s JOIN file_group g ON g.id = s.file_group_id \
             WHERE g.name IN ({names}))"
        ));
    }
    all
}

/// The ids of endpoints whose `SUBSCRIBER/NAME` is in a list that follows.
pub(super) const ENDPOINTS: &str = "SELECT e.id FROM endpoint e JOIN subscriber b ON b.id = e.subscriber_id \
     WHERE b.code || '/' || e.name IN";

/// The newest later delivery `n` of the same file to the same subscription as `d` that is open, delivered or resolved:
/// it decides whether `d` may be sent again. Only replays are later than another one.
///
/// A look-up for each `d`, here and in [`newest`], and not a join: a planner whose statistics are older than the replay
/// believes that there are no replays, and would compare each with each.
pub(super) const NEWER: &str = "LEFT JOIN delivery n ON n.id = (SELECT k.id FROM delivery k \
     WHERE k.origin = 'replay' AND k.file_id = d.file_id AND k.subscription_id = d.subscription_id \
       AND k.part = d.part AND k.id > d.id \
       AND (k.settled_at IS NULL OR k.state = 'delivered' OR k.resolved_at IS NOT NULL) ORDER BY k.id DESC LIMIT 1)";

/// No later delivery than `d` is taken by the same condition. `file` is the column with its file: that of a joined `file`
/// where the join leaves few, so that only those few are looked up.
pub(super) fn newest(condition: &Condition, file: &str) -> String {
    format!(
        "(SELECT m.id FROM delivery m WHERE m.origin = 'replay' AND m.file_id = {file} \
         AND m.subscription_id = d.subscription_id AND m.part = d.part AND m.id > d.id AND {} LIMIT 1) IS NULL",
        condition.on("m")
    )
}
