//! Kill -9 at each named line: what the ledger knew then, and how the next process goes on from there.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, ensure};
use outport_tests::need;
use outport_tests::servers::postgres::Database;
use outport_tests::set;

use super::files::{self, Sample};
use super::site::{SOON, Site};
use super::witness::{Seen, creations, renames_to};

#[test]
fn sqlite() {
    need!(every_point(None));
}

#[test]
fn postgres() {
    let database = need!(Database::create());
    need!(every_point(Some(database)));
}

/// With the durations of a real installation. On SQLite the next process frees what the dead one held, on PostgreSQL it
/// waits for the lease: some points stand for the others there.
#[test]
fn in_real_time() {
    need!(set::full());
    need!(points(need!(Site::in_real_time(None)), TABLE.iter()));
    let database = need!(Database::create());
    let some = TABLE.iter().filter(|e| ["mid_upload", "before_rename", "after_rename"].contains(&e.point));
    need!(points(need!(Site::in_real_time(Some(database))), some));
}

/// What a crash at a point comes to.
struct Expected {
    point: &'static str,
    /// How many files, and deliveries of them, the ledger knows while nobody is up.
    known: (i64, i64),
    /// How often the transform ran; 0: the file needs none.
    transforms: i64,
    /// The attempts.
    story: &'static str,
    /// How often an upload began.
    uploads: usize,
    /// Which attempt's temp file became the file.
    temp_of: usize,
}

/// (point, known, transforms, story, uploads, temp_of)
static TABLE: [Expected; 12] = {
    const fn expected(
        point: &'static str,
        known: (i64, i64),
        transforms: i64,
        story: &'static str,
        uploads: usize,
        temp_of: usize,
    ) -> Expected {
        Expected { point, known, transforms, story, uploads, temp_of }
    }
    const AGAIN: &str = "abandoned, delivered by reply";
    const PROBED: &str = "abandoned, delivered by probe";
    const ONCE: &str = "delivered by reply";
    [
        expected("after_snapshot", (0, 0), 1, ONCE, 1, 1),
        expected("after_dispatch", (1, 1), 1, ONCE, 1, 1),
        expected("after_transform", (1, 1), 2, ONCE, 1, 1),
        expected("after_transform_recorded", (1, 1), 1, ONCE, 1, 1),
        expected("after_lease", (1, 1), 0, AGAIN, 1, 2),
        expected("after_connect", (1, 1), 0, AGAIN, 1, 2),
        expected("mid_upload", (1, 1), 0, AGAIN, 2, 2),
        expected("after_upload", (1, 1), 0, AGAIN, 2, 2),
        // The temp file is whole and its intent is stored: it is renamed, not sent again.
        expected("before_rename", (1, 1), 0, AGAIN, 1, 1),
        expected("after_rename", (1, 1), 0, PROBED, 1, 1),
        expected("before_finish", (1, 1), 0, PROBED, 1, 1),
        expected("after_finish", (1, 1), 0, ONCE, 1, 1),
    ]
};

fn every_point(database: Option<Database>) -> anyhow::Result<()> {
    points(Site::new(database)?, TABLE.iter())
}

fn points(mut site: Site, table: impl Iterator<Item = &'static Expected>) -> anyhow::Result<()> {
    let mut samples = Vec::new();
    for expected in table {
        let sample = match expected.transforms {
            0 => files::reaching(expected.point, &format!("{}.pdf", expected.point)),
            _ => files::ndjson(expected.point),
        };
        one(&mut site, expected, &sample, samples.len() as i64).context(expected.point)?;
        samples.push(sample);
    }
    site.assert_arrived(&samples)
}

fn one(site: &mut Site, expected: &Expected, sample: &Sample, before: i64) -> anyhow::Result<()> {
    let uploads_before = creations(site.witness.all()?);
    let mut doomed = site.up_until(expected.point)?;
    site.put(sample)?;
    let status = doomed.wait(SOON)?;
    ensure!(status.signal() == Some(9), "the doomed process ended with {status}");
    {
        let ledger = site.ledger()?;
        ledger.assert_invariants().context("after the kill")?;
        let files = ledger.number("SELECT count(*) AS n FROM file")? - before;
        let deliveries = ledger.number("SELECT count(*) AS n FROM delivery")? - before;
        ensure!((files, deliveries) == expected.known, "{files} file(s), {deliveries} delivery(ies) known");
    }
    let mut up = site.up()?;
    {
        let ledger = site.ledger()?;
        ledger.wait_until_settled(before + 1, site.limit())?;
    }
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    let ledger = site.ledger()?;
    ledger.assert_invariants()?;
    ensure!(ledger.number("SELECT count(*) AS n FROM file")? == before + 1, "not one file");
    let delivery = ledger.delivery(&sample.arrives_as)?;
    ensure!(delivery.state == "delivered" && !delivery.possible_duplicate, "{delivery:?}");
    ensure!(delivery.story() == expected.story, "{}", delivery.story());
    let runs = format!(
        "SELECT coalesce(sum(t.attempts), 0) AS n FROM transform t JOIN file f ON f.id = t.file_id WHERE f.key = '{}'",
        sample.key
    );
    ensure!(
        ledger.number(&runs)? == expected.transforms,
        "the transform ran {} times",
        ledger.number(&runs)?
    );
    drop(ledger);
    let seen = site.witness.all()?;
    let made = renames_to(seen, &sample.arrives_as);
    ensure!(made.len() == 1, "made by {made:?}");
    let suffix = format!(".{}.part", expected.temp_of);
    ensure!(made.iter().all(|temp| temp.ends_with(&suffix)), "made by {made:?}");
    let uploads = creations(seen) - uploads_before;
    ensure!(uploads == expected.uploads, "{uploads} uploads");
    let removed =
        seen.iter().filter(|seen| matches!(seen, Seen::Removed(name) if name.contains(&sample.arrives_as)));
    ensure!(removed.count() == expected.uploads - 1, "a temp file stays behind, or was removed in vain");
    Ok(())
}
