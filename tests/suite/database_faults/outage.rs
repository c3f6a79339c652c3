//! The database is away for a minute (two seconds on a fast clock) while files are on their way.

use std::time::{Duration, Instant};

use anyhow::ensure;
use outport_core::Timing;
use outport_tests::servers::postgres::Database;
use outport_tests::servers::proxy::Proxy;
use outport_tests::{need, set};

use crate::crash::files;
use crate::crash::site::{QUICK, SOON, Site};
use crate::crash::witness::{creations, renames, renames_to};

const FILES: usize = 40;
/// Of one process: pacemaker, claims, writer, heartbeat, dispatcher, transformer, maintainer.
const LOOPS: u64 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Every connection breaks, and new ones break at once.
    Away,
    /// Nothing is answered.
    Frozen,
}

#[test]
fn a_database_that_is_away() {
    need!(outage(How::Away, QUICK));
}

#[test]
fn a_database_that_answers_nothing() {
    need!(outage(How::Frozen, QUICK));
}

#[test]
fn a_real_minute_without_a_database() {
    need!(set::full());
    need!(outage(How::Away, 1.0));
}

#[test]
fn a_real_minute_without_answers() {
    need!(set::full());
    need!(outage(How::Frozen, 1.0));
}

fn outage(how: How, scale: f64) -> anyhow::Result<()> {
    let timing = Timing::default().scaled(scale);
    // Longer than a lease on the fast clock, too, and longer than any pause between two tries (16 s x 1.25) can hide.
    let length = Duration::from_secs(60).mul_f64(scale).max(4 * timing.lease);
    let database = Database::create()?;
    let proxy = Proxy::before(database.url())?;
    let mut site = Site::behind(proxy, database, scale)?;
    let samples = files::mixed(5, FILES);
    let mut up = site.up()?;
    for sample in &samples {
        site.put(sample)?;
    }
    // Some have arrived, and the partner falls silent while others are being uploaded: those are on their way when it
    // speaks again, and there is no database.
    ensure!(site.witness.wait(SOON, |seen| renames(seen) >= 3)?, "nothing arrives");
    let silence = site.silence_partner()?;
    let began = Instant::now();
    let asked = site.proxy()?.asked();
    match how {
        How::Away => site.proxy()?.go_away(),
        How::Frozen => site.proxy()?.freeze(),
    }
    drop(silence);
    // What had its last word from the database may be renamed until the fence falls.
    site.witness.wait(timing.self_fence, |_| false)?;
    let in_time = renames(site.witness.all()?);
    let none_later =
        !site.witness.wait(length.saturating_sub(began.elapsed()), |seen| renames(seen) > in_time)?;
    let lasted = began.elapsed();
    let asked = site.proxy()?.asked() - asked;
    site.proxy()?.come_back();
    let back = Instant::now();
    ensure!(none_later, "a file was renamed after the self-fence");
    ensure!(in_time < FILES, "all was over before the database went away");
    let most = LOOPS * (lasted.as_secs() + 1);
    ensure!(asked <= most, "{asked} statements and connections in {lasted:?}; {LOOPS} loops may make {most}");
    site.ledger()?.wait_until_settled(FILES as i64, SOON + 2 * timing.lease)?;
    let recovered = back.elapsed();
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    let ledger = site.ledger()?;
    ledger.assert_invariants()?;
    let undelivered: Vec<_> = ledger.deliveries()?.into_iter().filter(|d| d.state != "delivered").collect();
    ensure!(undelivered.is_empty(), "{undelivered:#?}");
    drop(ledger);
    site.assert_arrived(&samples)?;
    let seen = site.witness.all()?;
    let uploads = creations(seen);
    for sample in &samples {
        let times = renames_to(seen, &sample.arrives_as).len();
        ensure!(times == 1, "{} arrived {times} times", sample.arrives_as);
    }
    set::tell(&format!(
        "{how:?} for {lasted:.1?}: {in_time} of {FILES} before the fence, {asked} statements and connections meanwhile, \
         all settled {recovered:.1?} after it, {uploads} uploads"
    ));
    Ok(())
}
