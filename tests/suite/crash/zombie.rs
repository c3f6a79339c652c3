//! A worker that is frozen past its lease and wakes up after another one has done its work: it renames nothing and
//! records nothing. Needs PostgreSQL: an SQLite ledger has one worker.

use std::time::{Duration, Instant};

use anyhow::ensure;
use outport_tests::child::Stream;
use outport_tests::need;
use outport_tests::servers::postgres::Database;
use outport_tests::set;
use rustix::process::Signal;

use super::files;
use super::site::{SOON, Site};
use super::witness::renames_to;

/// Longer than a real lease.
const A_MINUTE_AND_A_HALF: Duration = Duration::from_secs(90);

#[test]
fn in_the_middle_of_an_upload() {
    let database = need!(Database::create());
    need!(quickly_woken(database, "mid_upload", "abandoned, delivered by reply", 2));
}

#[test]
fn before_it_looks_whether_it_may_rename() {
    let database = need!(Database::create());
    need!(quickly_woken(database, "after_upload", "abandoned, delivered by reply", 2));
}

/// One of the two gaps that cannot be closed: nothing stops this rename. It finds its temp file gone, because the heir
/// has renamed that very file.
#[test]
fn between_its_last_look_and_the_rename() {
    let database = need!(Database::create());
    need!(quickly_woken(database, "before_rename", "abandoned, delivered by reply", 1));
}

#[test]
fn before_it_records_the_end() {
    let database = need!(Database::create());
    need!(quickly_woken(database, "before_finish", "abandoned, delivered by probe", 1));
}

/// The same with a real lease, and every wait as long as in a real installation.
#[test]
fn for_ninety_seconds_in_real_time() {
    need!(set::full());
    for (point, temp_of) in [("mid_upload", 2), ("before_rename", 1)] {
        let database = need!(Database::create());
        let site = need!(Site::in_real_time(Some(database)));
        need!(woken(site, point, "abandoned, delivered by reply", temp_of, A_MINUTE_AND_A_HALF));
    }
}

/// Frozen while it has locked the lane and a lease: rescue and claims skip locked rows, so nobody could help until
/// PostgreSQL ends the transaction of a client that says nothing.
#[test]
fn in_the_middle_of_a_transaction() {
    let database = need!(Database::create());
    need!(locked(database));
}

fn locked(database: Database) -> anyhow::Result<()> {
    let url = database.url().to_owned();
    let site = Site::new(Some(database))?;
    let sample = files::binary("locked.pdf", 20_000);
    // The test is the frozen worker here: it opens a transaction as the product does and falls silent.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // A transaction that is dropped says so to the runtime: also when this test fails.
    let _context = runtime.enter();
    let (store, silent) = runtime.block_on(async {
        let store = outport_store::Store::open(&url).await?;
        let silent = store.begin("falling silent").await?;
        silent.rows("SELECT endpoint_id FROM lane {lock}", vec![]).await?;
        anyhow::Ok((store, silent))
    })?;
    let mut up = site.up()?;
    site.put(&sample)?;
    site.ledger()?.wait_until_settled(1, SOON)?;
    let said = runtime.block_on(silent.commit());
    ensure!(said.is_err(), "the silent transaction could still commit");
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    runtime.block_on(store.close())?;
    site.ledger()?.assert_invariants()?;
    site.assert_arrived([&sample])
}

fn quickly_woken(database: Database, point: &str, story: &str, temp_of: usize) -> anyhow::Result<()> {
    woken(Site::new(Some(database))?, point, story, temp_of, Duration::ZERO)
}

fn woken(mut site: Site, point: &str, story: &str, temp_of: usize, at_least: Duration) -> anyhow::Result<()> {
    let sample = files::reaching(point, "frozen.pdf");
    let mut zombie = site.up_until(&format!("{point}:stop"))?;
    site.put(&sample)?;
    site.wait_until_frozen(&zombie)?;
    let frozen = Instant::now();
    let mut heir = site.up_in("data-of-the-heir")?;
    site.ledger()?.wait_until_settled(1, site.limit())?;
    let settled = site.ledger()?.delivery(&sample.arrives_as)?;
    ensure!(settled.state == "delivered" && !settled.possible_duplicate, "{settled:?}");
    ensure!(settled.story() == story, "{}", settled.story());

    std::thread::sleep(at_least.saturating_sub(frozen.elapsed()));
    zombie.signal(Signal::CONT)?;
    // Said when it notices at a fence, and when its report is turned down.
    zombie.wait_for_line(Stream::Err, "the lease is lost", SOON)?;
    // It lives on and works: also what it kept of the dead attempt does not stand in its way.
    ensure!(heir.stop(SOON)?.success(), "the heir did not end well");
    let next = files::binary("next.pdf", 20_000);
    site.put(&next)?;
    site.ledger()?.wait_until_settled(2, SOON)?;
    ensure!(zombie.stop(SOON)?.success(), "the woken worker did not end well");

    let ledger = site.ledger()?;
    ledger.assert_invariants()?;
    let now = ledger.delivery(&sample.arrives_as)?;
    ensure!(now == settled, "the woken worker changed the ledger: {now:?}, it was {settled:?}");
    drop(ledger);
    site.assert_arrived([&sample, &next])?;
    let made = renames_to(site.witness.all()?, &sample.arrives_as);
    let suffix = format!(".{temp_of}.part");
    ensure!(made.len() == 1 && made.iter().all(|temp| temp.ends_with(&suffix)), "made by {made:?}");
    Ok(())
}
