//! Whether what was measured was also right.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use outport_tests::invariants;

use crate::bed::Bed;
use crate::courier::Partners;
use crate::world;

/// Fails unless each delivery to a partner that lives is delivered, was renamed exactly once on the server in memory, and
/// the invariants hold. `before`: what was delivered when the ledger was made.
pub async fn check(bed: &Bed, partners: &Partners, before: u64) -> Result<()> {
    let open: i64 = world::value(
        &bed.raw,
        "SELECT count(*) AS n FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
         WHERE d.state <> 'delivered' AND s.code <> 'dead'",
    )
    .await?;
    ensure!(open == 0, "{open} deliveries to living partners are not delivered: lost");
    let stuck: i64 = world::value(
        &bed.raw,
        "SELECT count(*) AS n FROM delivery d JOIN subscription s ON s.id = d.subscription_id \
         WHERE d.state NOT IN ('queued', 'retrying') AND s.code = 'dead'",
    )
    .await?;
    ensure!(stuck == 0, "{stuck} deliveries to the dead partner do not wait for it");
    let delivered: i64 =
        world::value(&bed.raw, "SELECT count(*) AS n FROM delivery WHERE state = 'delivered'").await?;
    let renames = partners.renames();
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, _) in &renames {
        *times.entry(name).or_default() += 1;
    }
    if let Some((name, n)) = times.iter().find(|(_, n)| **n > 1) {
        bail!("{name} was renamed {n} times: delivered twice");
    }
    let delivered = u64::try_from(delivered)?;
    ensure!(
        delivered == before + renames.len() as u64,
        "the ledger says {delivered} delivered, the server has {} and {before} were before",
        renames.len()
    );
    invariants::assert_all(&bed.raw).await
}
