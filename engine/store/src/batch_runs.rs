//! Runs of workers that Batch starts. Each is written before it is submitted: a crash in between, and an answer that was
//! lost, leave a row that says so, and the name to look for.

mod demand;
mod let_go;

use outport_core::batch::{Failures, NAME_PREFIX, RunMode, RunState, WorkKind};
use outport_core::{Fault, Millis};
use sea_orm::QueryResult;
use uuid::Uuid;

use crate::Store;
use crate::duty::Duty;
use crate::error::StoreError;
use crate::row::get;
use crate::sql::args;

pub use demand::{Backlog, demand, singles, workers};
pub use let_go::let_go;

/// Runs that one round looks at.
const RUNS: i64 = 1_000;

/// One run that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its row.
    pub id: Uuid,
    /// The job's name: unique.
    pub name: String,
    /// What its workers do.
    pub kind: WorkKind,
    /// How much.
    pub mode: RunMode,
    /// The one piece of work of a single run: of a transform or a delivery.
    pub only: Option<Uuid>,
    /// Workers.
    pub size: u32,
    /// How it stands.
    pub state: RunState,
    /// Batch's id, once it is known.
    pub job: Option<String>,
    /// For how long it has stood as it does; of an intent: since it was decided on, or last asked for again.
    pub stood: Millis,
    /// Of an array whose children run: how many are not over.
    pub left: Option<u32>,
}

/// Writes down draining runs that are to be submitted, one for each number of workers. `None`: the duty is another's.
pub async fn intend(
    store: &Store,
    duty: Duty,
    kind: WorkKind,
    sizes: &[u32],
) -> Result<Option<Vec<Run>>, StoreError> {
    let runs = sizes.iter().map(|size| {
        let mode = if *size > 1 { RunMode::Array } else { RunMode::Drain };
        new_run(kind, mode, *size, None)
    });
    insert(store, duty, runs.collect()).await
}

/// The same for runs of one piece of work each.
pub async fn intend_singles(
    store: &Store,
    duty: Duty,
    kind: WorkKind,
    only: &[Uuid],
) -> Result<Option<Vec<Run>>, StoreError> {
    insert(store, duty, only.iter().map(|only| new_run(kind, RunMode::Single, 1, Some(*only))).collect())
        .await
}

fn new_run(kind: WorkKind, mode: RunMode, size: u32, only: Option<Uuid>) -> Run {
    let id = Uuid::now_v7();
    let name = format!("{NAME_PREFIX}{}-{}", kind.as_str(), id.simple());
    Run { id, name, kind, mode, only, size, state: RunState::Intent, job: None, stood: 0, left: None }
}

async fn insert(store: &Store, duty: Duty, runs: Vec<Run>) -> Result<Option<Vec<Run>>, StoreError> {
    let tx = store.begin("deciding on workers").await?;
    if !duty.is_held(&tx).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    for run in &runs {
        let array = (run.mode == RunMode::Array).then(|| i32::try_from(run.size).unwrap_or(i32::MAX));
        tx.exec(
            "INSERT INTO batch_run (id, name, kind, mode, only_id, array_size, state, intent_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 'intent', {now})",
            args![run.id, run.name.clone(), run.kind.as_str(), run.mode.as_str(), run.only, array],
        )
        .await?;
    }
    tx.commit().await?;
    Ok(Some(runs))
}

/// Runs that are not over, the oldest first.
pub async fn open(store: &Store) -> Result<Vec<Run>, StoreError> {
    let doing = "reading the runs of workers";
    let rows = store
        .read(
            doing,
            "SELECT id, name, kind, mode, only_id, array_size, workers_left, state, batch_job_id, \
               {now} - coalesce(state_at, intent_at) AS stood \
             FROM batch_run WHERE ended_at IS NULL ORDER BY intent_at LIMIT $1",
            args![RUNS],
        )
        .await?;
    rows.iter().map(|row| run(row, doing)).collect()
}

fn run(row: &QueryResult, doing: &'static str) -> Result<Run, StoreError> {
    let word = |column: &str| get::<String>(row, column, doing);
    let unreadable = |problem: outport_core::state::UnknownWord| StoreError::Unreadable {
        doing,
        problem: problem.to_string(),
    };
    let size: Option<i32> = get(row, "array_size", doing)?;
    let left: Option<i32> = get(row, "workers_left", doing)?;
    Ok(Run {
        id: get(row, "id", doing)?,
        name: word("name")?,
        kind: word("kind")?.parse().map_err(unreadable)?,
        mode: word("mode")?.parse().map_err(unreadable)?,
        only: get(row, "only_id", doing)?,
        size: size.and_then(|size| u32::try_from(size).ok()).unwrap_or(1),
        state: word("state")?.parse().map_err(unreadable)?,
        job: get(row, "batch_job_id", doing)?,
        stood: get(row, "stood", doing)?,
        left: left.and_then(|left| u32::try_from(left).ok()),
    })
}

/// It is asked for again: from now on an answer may be on its way, and its job not to be found yet.
pub async fn asks_again(store: &Store, run: Uuid) -> Result<(), StoreError> {
    store
        .write(
            "noting another request for a run",
            "UPDATE batch_run SET state_at = {now} WHERE id = $1 AND state = 'intent' AND ended_at IS NULL",
            args![run],
        )
        .await
        .map(|_| ())
}

/// Batch has it, under this id. Whoever found its job before stays right: an answer that comes after that is of another job of
/// the same name, whose worker finds nothing to do.
pub async fn submitted(store: &Store, run: Uuid, job: &str) -> Result<(), StoreError> {
    store
        .write(
            "recording a submitted run",
            "UPDATE batch_run SET state = 'submitted', batch_job_id = $2, state_at = {now} \
             WHERE id = $1 AND ended_at IS NULL AND batch_job_id IS NULL",
            args![run, job],
        )
        .await
        .map(|_| ())
}

/// Batch was asked, and it stands like this, with so many children that are not over.
pub async fn stands(store: &Store, run: Uuid, state: RunState, left: Option<u32>) -> Result<(), StoreError> {
    let left = left.map(|left| i32::try_from(left).unwrap_or(i32::MAX));
    store
        .write(
            "recording how a run stands",
            "UPDATE batch_run SET state_at = CASE WHEN state = $2 THEN state_at ELSE {now} END, state = $2, \
               workers_left = $3 WHERE id = $1 AND ended_at IS NULL",
            args![run, state.as_str(), left],
        )
        .await
        .map(|_| ())
}

/// It is over. `fault`: why it did not end well. Whether it was open until now.
pub async fn over(
    store: &Store,
    run: Uuid,
    state: RunState,
    fault: Option<&Fault>,
) -> Result<bool, StoreError> {
    store
        .write(
            "recording the end of a run",
            "UPDATE batch_run SET state = $2, fault_code = $3, fault = $4, state_at = {now}, ended_at = {now} \
             WHERE id = $1 AND ended_at IS NULL",
            args![run, state.as_str(), fault.map(|f| f.code.name), fault.map(Fault::report)],
        )
        .await
        .map(|ended| ended > 0)
}

/// How many runs of the kind ended badly since the last one that ended well.
pub async fn failures(store: &Store, kind: WorkKind) -> Result<Failures, StoreError> {
    let doing = "counting failed runs of workers";
    let rows = store
        .read(
            doing,
            "SELECT count(*) AS n, {now} - max(ended_at) AS since FROM batch_run \
             WHERE kind = $1 AND state IN ('failed', 'lost') AND let_go_at IS NULL AND ended_at > \
               (SELECT coalesce(max(ended_at), 0) FROM batch_run WHERE kind = $1 AND state = 'succeeded')",
            args![kind.as_str()],
        )
        .await?;
    let Some(row) = rows.first() else { return Ok(Failures::default()) };
    Ok(Failures {
        in_a_row: u32::try_from(get::<i64>(row, "n", doing)?).unwrap_or(u32::MAX),
        since: get::<Option<Millis>>(row, "since", doing)?.unwrap_or_default(),
    })
}
