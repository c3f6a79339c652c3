//! A file that kills every worker that touches it: after five of them it is given up, and the others go on.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, ensure};
use outport_tests::need;
use outport_tests::servers::postgres::Database;
use outport_tests::set;

use super::files;
use super::site::{SOON, Site};

#[test]
fn sqlite() {
    need!(given_up(None));
}

/// The waits between the tries are the same 25 s: once is enough by default.
#[test]
fn postgres() {
    need!(set::full());
    let database = need!(Database::create());
    need!(given_up(Some(database)));
}

fn given_up(database: Option<Database>) -> anyhow::Result<()> {
    let site = Site::new(database)?;
    let (killer, harmless) = (files::large("killer.pdf"), files::binary("harmless.pdf", 20_000));
    site.put(&killer)?;
    site.put(&harmless)?;
    for round in 1..=5 {
        let mut doomed = site.up_until("mid_upload")?;
        let status = doomed.wait(SOON)?;
        ensure!(status.signal() == Some(9), "round {round}: it ended with {status}");
        let ledger = site.ledger()?;
        ledger.assert_invariants().with_context(|| format!("round {round}"))?;
        let delivery = ledger.delivery(&killer.arrives_as)?;
        ensure!(delivery.attempts.len() == round, "round {round}: {delivery:?}");
    }
    let mut up = site.up()?;
    site.ledger()?.wait_until_settled(2, SOON)?;
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    let ledger = site.ledger()?;
    ledger.assert_invariants()?;
    let (lost, fine) = (ledger.delivery(&killer.arrives_as)?, ledger.delivery(&harmless.arrives_as)?);
    ensure!((lost.state.as_str(), lost.fault_code.as_deref()) == ("failed", Some("worker.lost")), "{lost:?}");
    ensure!(fine.state == "delivered", "{fine:?}");
    Ok(())
}
