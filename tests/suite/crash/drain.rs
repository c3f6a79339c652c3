//! SIGTERM in the middle of an upload: it may end if it can, else it is given back and nobody is charged.

use anyhow::ensure;
use outport_tests::child::Stream;
use outport_tests::need;
use rustix::process::Signal;

use super::files;
use super::site::{SOON, Site};

#[test]
fn an_upload_may_end() {
    need!(ends());
}

#[test]
fn an_upload_that_cannot_end_is_given_back() {
    need!(given_back());
}

fn ends() -> anyhow::Result<()> {
    let site = Site::new(None)?;
    let sample = files::large("ends.pdf");
    let mut up = site.up_until("mid_upload:stop")?;
    site.put(&sample)?;
    site.wait_until_frozen(&up)?;
    // Both before it goes on: the signal finds the upload half done.
    up.signal(Signal::TERM)?;
    up.signal(Signal::CONT)?;
    ensure!(up.wait(SOON)?.success(), "outport up did not end well");
    let ledger = site.ledger()?;
    ledger.assert_invariants()?;
    let delivery = ledger.delivery(&sample.arrives_as)?;
    ensure!(delivery.story() == "delivered by reply", "{}", delivery.story());
    drop(ledger);
    site.assert_arrived([&sample])
}

fn given_back() -> anyhow::Result<()> {
    let site = Site::new(None)?;
    let sample = files::large("given-back.pdf");
    let mut up = site.up_until("mid_upload:stop")?;
    site.put(&sample)?;
    site.wait_until_frozen(&up)?;
    let silence = site.silence_partner()?;
    up.signal(Signal::TERM)?;
    up.signal(Signal::CONT)?;
    ensure!(up.wait(SOON)?.success(), "outport up did not end well: {}", up.printed(Stream::Err));
    {
        let ledger = site.ledger()?;
        ledger.assert_invariants()?;
        let delivery = ledger.delivery(&sample.arrives_as)?;
        ensure!(delivery.state == "retrying" && delivery.story() == "released", "{delivery:?}");
        let counted = ledger.number("SELECT CAST(abandoned + charged AS bigint) AS n FROM delivery")?;
        ensure!(counted == 0, "a stop of ours was counted against the delivery");
    }
    drop(silence);
    let mut up = site.up()?;
    site.ledger()?.wait_until_settled(1, SOON)?;
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    let story = site.ledger()?.delivery(&sample.arrives_as)?.story();
    ensure!(story == "released, delivered by reply", "{story}");
    site.ledger()?.assert_invariants()?;
    site.assert_arrived([&sample])
}
