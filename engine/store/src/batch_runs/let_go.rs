//! Runs of a kind that no worker of Batch is wanted for any more.

use outport_core::Fault;
use outport_core::batch::WorkKind;

use crate::Store;
use crate::duty::Duty;
use crate::error::StoreError;
use crate::sql::args;

/// Ends the open runs of a kind, as lost by `fault`, and takes its failures off the problems; how many were open. `None`: the duty
/// is another's, who may well ask for such workers.
pub async fn let_go(
    store: &Store,
    duty: Duty,
    kind: WorkKind,
    fault: &Fault,
) -> Result<Option<u64>, StoreError> {
    let tx = store.begin("letting workers go").await?;
    if !duty.is_held(&tx).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    let open = tx
        .exec(
            "UPDATE batch_run SET state = 'lost', fault_code = $2, fault = $3, state_at = {now}, ended_at = {now} \
             WHERE kind = $1 AND ended_at IS NULL",
            args![kind.as_str(), fault.code.name, fault.report()],
        )
        .await?;
    tx.exec(
        "UPDATE batch_run SET let_go_at = {now} \
         WHERE kind = $1 AND state IN ('failed', 'lost') AND let_go_at IS NULL",
        args![kind.as_str()],
    )
    .await?;
    tx.commit().await?;
    Ok(Some(open))
}
