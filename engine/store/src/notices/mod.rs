//! Telling people: an entry in the history, and in the same transaction one row for each place that wants to hear of it.
//! What is posted there, and when again, is in [`post`].

pub mod post;

use outport_core::Millis;
use outport_core::id::{DeliveryId, EndpointId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::history::{self, Entry};
use crate::sql::{Tx, args, tuples};

/// Who is told, by this process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notices {
    /// Names of places; the process that posts knows where they are.
    pub targets: Vec<String>,
    /// Times fall due by this rhythm, in ms, so that a burst of events is one message.
    pub gather_ms: Millis,
}

/// Rows of one statement. SQLite takes 32,766 values at most.
const ROWS: usize = 500;

/// Writes `entries` into the history, and tells people soon.
pub(crate) async fn announce(tx: &Tx, entries: &[Entry<'_>]) -> Result<(), StoreError> {
    for entries in entries.chunks(ROWS) {
        let ids = history::add_all(tx, entries).await?;
        add(tx, &ids, None).await?;
    }
    if let Some(told) = LogLine::of(entries) {
        tx.tell(told);
    }
    Ok(())
}

/// Writes `entry` into the history, and tells people at `due` unless it is [taken back](take_back) until then.
pub(crate) async fn announce_at(tx: &Tx, entry: Entry<'_>, due: Millis) -> Result<(), StoreError> {
    let entries = [entry];
    let ids = history::add_all(tx, &entries).await?;
    add(tx, &ids, Some(due)).await?;
    if let Some(told) = LogLine::of(&entries) {
        tx.tell(told);
    }
    Ok(())
}

async fn add(tx: &Tx, entries: &[Uuid], due: Option<Millis>) -> Result<(), StoreError> {
    let notices = tx.notices();
    for target in &notices.targets {
        // The end of the present span of the rhythm.
        let (when, due) = match due {
            None => ("({now} / $2 + 1) * $2", notices.gather_ms.max(1)),
            Some(due) => ("$2", due),
        };
        let mut values = args![target.as_str(), due];
        for entry in entries {
            values.extend(args![Uuid::now_v7(), *entry]);
        }
        let rows = tuples(3, 2, entries.len());
        // The first column's type is that of the table's: the list is a row source of its own.
        let sql = format!(
            "INSERT INTO notification (id, history_id, target, due_at) \
             SELECT new.column1, new.column2, $1, {when} FROM (VALUES {rows}) AS new"
        );
        tx.exec(&sql, values).await?;
    }
    Ok(())
}

/// Takes back what is not told yet of an event of `subject`; whether there was something.
pub(crate) async fn take_back(tx: &Tx, subject: Uuid, event: &str) -> Result<bool, StoreError> {
    if tx.notices().targets.is_empty() {
        return Ok(true);
    }
    let taken = tx
        .exec(
            "UPDATE notification SET ended_at = {now}, outcome = 'taken_back' \
             WHERE ended_at IS NULL AND post_id IS NULL \
               AND history_id IN (SELECT id FROM history WHERE subject_id = $1 AND event = $2)",
            args![subject, event],
        )
        .await?;
    Ok(taken > 0)
}

/// A line of the log, after the commit.
#[derive(Debug)]
pub(crate) struct LogLine {
    event: &'static str,
    subject: String,
    count: usize,
    code: Option<String>,
}

impl LogLine {
    fn of(entries: &[Entry<'_>]) -> Option<Self> {
        let first = entries.first()?;
        let subject = match first.subject_kind {
            "endpoint" => EndpointId::from_uuid(first.subject_id).to_string(),
            "delivery" => DeliveryId::from_uuid(first.subject_id).to_string(),
            _ => first.subject_id.to_string(),
        };
        let word = |name: &str| first.detail[name].as_str().map(str::to_owned);
        Some(Self {
            event: first.event,
            subject,
            count: entries.len(),
            code: word("code").or(word("reason")),
        })
    }

    /// Names no file: the words of the fault are in the history.
    pub(crate) fn log(self) {
        let Self { event, subject, count, code } = self;
        tracing::warn!(event, subject, count, code, "notice");
    }
}
