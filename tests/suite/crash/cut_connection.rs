//! The connection breaks in the middle of an upload: nothing stays behind on the partner's server.

use anyhow::ensure;
use outport_tests::need;

use super::files;
use super::site::{SOON, Site};
use super::witness::{Seen, creations};

#[test]
fn no_temp_file_stays_behind() {
    need!(cut_in_the_middle());
}

fn cut_in_the_middle() -> anyhow::Result<()> {
    let mut site = Site::new(None)?;
    let sample = files::large("cut.pdf");
    // Frozen in the middle of the upload, so that the cut cannot come too late.
    let mut up = site.up_until("mid_upload:stop")?;
    site.put(&sample)?;
    site.wait_until_frozen(&up)?;
    site.cut_connections();
    up.signal(rustix::process::Signal::CONT)?;
    site.ledger()?.wait_until_settled(1, SOON)?;
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    let ledger = site.ledger()?;
    ledger.assert_invariants()?;
    let story = ledger.delivery(&sample.arrives_as)?.story();
    ensure!(story == "retry, delivered by reply", "{story}");
    drop(ledger);
    site.assert_arrived([&sample])?;
    let seen = site.witness.all()?;
    let removed = seen.iter().filter(|seen| matches!(seen, Seen::Removed(_))).count();
    ensure!((creations(seen), removed) == (2, 1), "{seen:?}");
    Ok(())
}
