//! Choosing for `reprocess`: a file is routed and transformed again, with today's rules and subscriptions.

mod pair;
mod today;

use std::collections::BTreeMap;

use outport_core::replay::{Facts, Filter, Skip, Standing, Stored};
use outport_core::route::{Choice, FileFacts, Planned, choose};
use outport_core::state::FileState;
use outport_core::{FileGroupId, Millis, ObjectKey};
use sea_orm::QueryResult;
use serde_json::json;
use uuid::Uuid;

use self::pair::{Asked, Pairs};
use self::today::Today;
use super::batch::{Draft, Item, NewTransform, Note, Order, Outcome, Shown, Which};
use super::conditions::{self, Arguments};
use crate::enqueue::{self, OutputExt, Snapshot};
use crate::error::StoreError;
use crate::routes::SubscriptionRow;
use crate::row::{get, word};
use crate::sql::Tx;

/// A file as it is chosen by.
struct FileRow {
    id: Uuid,
    bucket: String,
    key: String,
    arrived_at: Millis,
    state: FileState,
    group: Option<Uuid>,
    original: Option<Uuid>,
    expired: bool,
}

/// What becomes of each of these files, as far as the filter still takes them.
pub(super) async fn decide(
    tx: &Tx,
    order: &Order,
    looked: &[Uuid],
    output_ext: OutputExt,
) -> Result<Vec<Item>, StoreError> {
    let (sql, arguments) = candidates(order, Which::Of(looked));
    let rows = tx.rows(&sql, arguments.0).await?;
    let files = rows.iter().map(|row| file_row(row, tx.doing())).collect::<Result<Vec<_>, _>>()?;
    let ids: Vec<Uuid> = files.iter().map(|file| file.id).collect();
    let mut today = Today::load(tx, &order.filter, output_ext).await?;
    let pairs = Pairs::load(tx, &ids).await?;
    let mut generations = pair::generations(tx, &ids).await?;
    let mut items = Vec::new();
    for file in files {
        if order.filter.name.as_ref().is_some_and(|glob| !glob.matches(&file.key, "")) {
            continue;
        }
        if let Some(item) = one(tx, order, &file, &pairs, &mut today, &mut generations).await? {
            items.push(item);
        }
    }
    Ok(items)
}

/// The statement that finds files, and its arguments.
pub(super) fn candidates(order: &Order, which: Which<'_>) -> (String, Arguments) {
    let (filter, states) = (&order.filter, order.filter.states(order.mode));
    let mut arguments = Arguments::default();
    let mut arms = Vec::new();
    if states.contains(&Standing::Unrouted) {
        arms.push("f.state = 'unrouted'".to_owned());
    }
    if states.contains(&Standing::Missing) {
        arms.push("f.state = 'routed'".to_owned());
    }
    if states.iter().any(|state| state.delivery_state().is_some()) {
        // The rest of the filter is about files and about today's subscriptions.
        let fault = Filter { fault: filter.fault.clone(), ..Filter::default() };
        let settled = conditions::settled(&fault, &states, order.started_at, &mut arguments).on("d");
        let narrowed = narrowed(filter, &mut arguments);
        arms.push(format!(
            "EXISTS (SELECT 1 FROM delivery d WHERE d.file_id = f.id AND {settled} {narrowed})"
        ));
    }
    let mut all = vec![
        format!("({})", arms.join(" OR ")),
        "f.state <> 'rejected'".to_owned(),
        format!("f.arrived_at <= {}", arguments.add(order.started_at)),
    ];
    if let Some(since) = &filter.since {
        all.push(format!("f.arrived_at >= {}", arguments.add(since.at)));
    }
    if let Some(until) = &filter.until {
        all.push(format!("f.arrived_at < {}", arguments.add(until.at)));
    }
    if !filter.group.is_empty() {
        let names = arguments.all(filter.group.clone());
        // Where a file without a group goes today is seen when it is routed.
        all.push(format!(
            "(f.file_group_id IS NULL OR f.file_group_id IN (SELECT id FROM file_group WHERE name IN ({names})))"
        ));
    }
    if let Some(glob) = &filter.name {
        all.push(format!("f.key LIKE {} ESCAPE '\\'", arguments.add(glob.like())));
    }
    if !filter.id.is_empty() {
        let ids = super::names::uuids(order.mode, filter);
        all.push(format!("f.id IN ({})", arguments.all(ids)));
    }
    let tail = which.tail("f.id", order.cursor, &mut arguments);
    let sql = format!(
        "SELECT f.id, f.bucket, f.key, f.arrived_at, f.state, f.file_group_id, o.id AS original, \
           (o.expires_at IS NOT NULL AND o.expires_at <= {{now}}) AS expired \
         FROM file f LEFT JOIN artifact o ON o.file_id = f.id AND o.transform_id IS NULL WHERE {} AND {tail}",
        all.join(" AND ")
    );
    (sql, arguments)
}

/// Deliveries `d` of the subscriptions that the filter means, as they are today.
fn narrowed(filter: &Filter, arguments: &mut Arguments) -> String {
    let mut all = Vec::new();
    for (column, names) in [
        ("s.code", &filter.subscription),
        ("b.code", &filter.subscriber),
        ("b.code || '/' || e.name", &filter.endpoint),
    ] {
        if !names.is_empty() {
            all.push(format!("{column} IN ({})", arguments.all(names.clone())));
        }
    }
    if all.is_empty() {
        return String::new();
    }
    format!(
        "AND d.subscription_id IN (SELECT s.id FROM subscription s JOIN subscriber b ON b.id = s.subscriber_id \
         JOIN endpoint e ON e.id = s.endpoint_id WHERE {})",
        all.join(" AND ")
    )
}

fn file_row(row: &QueryResult, doing: &'static str) -> Result<FileRow, StoreError> {
    Ok(FileRow {
        id: get(row, "id", doing)?,
        bucket: get(row, "bucket", doing)?,
        key: get(row, "key", doing)?,
        arrived_at: get(row, "arrived_at", doing)?,
        state: word(row, "state", doing)?,
        group: get(row, "file_group_id", doing)?,
        original: get(row, "original", doing)?,
        expired: get(row, "expired", doing)?,
    })
}

/// The last generation of each transform of a page's files.
type Generations = BTreeMap<(Uuid, Uuid), i32>;

/// `None`: the filter does not mean this file.
async fn one(
    tx: &Tx,
    order: &Order,
    file: &FileRow,
    pairs: &Pairs,
    today: &mut Today,
    generations: &mut Generations,
) -> Result<Option<Item>, StoreError> {
    let skipped = |skip: Skip| {
        let shown = Shown {
            subscriber: "-".into(),
            endpoint: "-".into(),
            state: file.state.as_str(),
            reason: Some(skip.reason()),
        };
        Item { subject: file.id, shown: vec![shown], outcome: Outcome::Skip(skip) }
    };
    let Ok(key) = ObjectKey::new(file.key.clone()) else { return Ok(Some(skipped(Skip::NoRule))) };
    let rules = today.rules(tx, &file.bucket).await?;
    let (group, name, captures) = match choose(&rules, &file.bucket, &key) {
        Choice::None => return Ok(order.filter.group.is_empty().then(|| skipped(Skip::NoRule))),
        Choice::Ambiguous(..) => {
            return Ok(order.filter.group.is_empty().then(|| skipped(Skip::Ambiguous)));
        }
        Choice::One { rule, captures } => (rule.file_group_id, rule.file_group.clone(), captures),
    };
    if file.group.is_none() && !order.filter.group.is_empty() && !order.filter.group.contains(&name) {
        return Ok(None);
    }
    let (mut go, mut shown, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    for subscription in today.subscriptions(tx, group).await? {
        let party = today.party(subscription.id.uuid());
        let (standing, source, newer) = match pairs.asked(order, file.state, file.id, subscription.id.uuid())
        {
            Asked::No => continue,
            Asked::Yes { standing, source, newer } => (standing, source, newer),
        };
        let stored = match (file.original, file.expired) {
            (None, _) => Stored::Never,
            (_, true) => Stored::Expired,
            _ => Stored::There,
        };
        let facts = Facts {
            newer,
            subscription_retired: false,
            subscription_enabled: true,
            endpoint_enabled: party.reachable,
            stored,
        };
        let skip = Skip::of(&facts);
        shown.push(Shown {
            subscriber: party.subscriber.clone(),
            endpoint: party.endpoint.clone(),
            state: standing,
            reason: skip.as_ref().map(Skip::reason),
        });
        match skip {
            Some(skip) => stopped.push((subscription.code.clone(), skip)),
            None => go.push((subscription, source, shown.len() - 1)),
        }
    }
    let facts = FileFacts { key: &key, arrived_at: file.arrived_at };
    let rows: Vec<SubscriptionRow> = go.iter().map(|(row, ..)| row.clone()).collect();
    let planned = enqueue::planned(tx, &facts, &captures, rows).await?;
    let (mut drafts, mut transforms) = (Vec::new(), BTreeMap::<Uuid, NewTransform>::new());
    for ((row, planned), (_, source, at)) in planned.into_iter().zip(go) {
        let Planned::Delivery(planned) = planned else {
            shown[at].reason = Some(Skip::NameRefused.reason());
            stopped.push((row.code.clone(), Skip::NameRefused));
            continue;
        };
        let transform = planned.spec.map(|spec| {
            transforms.entry(spec.uuid()).or_insert_with(|| next(file.id, spec.uuid(), generations)).id
        });
        let snapshot = Snapshot::of(&row).to_json(tx.doing())?;
        drafts.push(Draft {
            id: Uuid::now_v7(),
            file: file.id,
            subscription: row.id.uuid(),
            subscriber: row.subscriber_id.uuid(),
            endpoint: row.endpoint_id.uuid(),
            transform,
            artifact: if transform.is_some() { None } else { file.original },
            part: 0,
            source: source.map(|source| source.id.uuid()),
            retry: row.retry_policy,
            remote_name: planned.remote_name.as_str().to_owned(),
            snapshot,
            possible_duplicate: source.is_some_and(|source| source.perhaps_there),
        });
    }
    if drafts.is_empty() {
        return Ok(match stopped.into_iter().next() {
            Some((_, skip)) => Some(Item { subject: file.id, shown, outcome: Outcome::Skip(skip) }),
            // It was meant, but not by a subscription of today; or only `missing` made it a candidate.
            None if file.state == FileState::Unrouted || pairs.meant(order, file.id, today) => {
                Some(skipped(Skip::NobodySubscribes))
            }
            None => None,
        });
    }
    let note = note(order, file, group, &drafts, &stopped);
    let transforms = transforms.into_values().collect();
    Ok(Some(Item {
        subject: file.id,
        shown,
        outcome: Outcome::Create { drafts, transforms, note: Some(note) },
    }))
}

/// A transform of this file that did not exist yet.
fn next(file: Uuid, spec: Uuid, generations: &mut Generations) -> NewTransform {
    let generation = generations.entry((file, spec)).and_modify(|last| *last += 1).or_insert(1);
    NewTransform { id: Uuid::now_v7(), file, spec, generation: *generation }
}

fn note(
    order: &Order,
    file: &FileRow,
    group: FileGroupId,
    drafts: &[Draft],
    stopped: &[(String, Skip)],
) -> Note {
    let skipped: Vec<_> = stopped
        .iter()
        .map(|(code, skip)| json!({ "subscription": code, "reason": skip.to_string() }))
        .collect();
    Note {
        file: file.id,
        group: (file.state != FileState::Routed || file.group != Some(group.uuid())).then(|| group.uuid()),
        detail: json!({ "replay": order.id, "deliveries": drafts.len(), "skipped": skipped }),
    }
}
