//! Replays under `kill -9`, and beside files that arrive: each source is sent again once, whole, and nothing else suffers.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::{Context, ensure};
use outport_tests::child::Child;
use outport_tests::need;
use outport_tests::servers::postgres::Database;
use outport_tests::set::{self, Set};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::files::{self, Sample};
use super::ledger::Ledger;
use super::site::{SOON, Site};
use super::witness::{creations, renames, renames_to};

/// A page and a half.
const SOURCES: usize = 300;
/// Those whose stored object was given up meanwhile: they are skipped.
const EXPIRED: usize = 3;
/// Kills while the replayed deliveries are sent.
const KILLS: usize = 5;

#[test]
fn killed_on_sqlite() {
    for seed in seeds() {
        need!(killed(None, seed).with_context(|| format!("OUTPORT_TEST_SEED={seed}")));
    }
}

#[test]
fn killed_on_postgres() {
    for seed in seeds() {
        let database = need!(Database::create());
        need!(killed(Some(database), seed).with_context(|| format!("OUTPORT_TEST_SEED={seed}")));
    }
}

#[test]
fn beside_arrivals_on_sqlite() {
    need!(beside_arrivals(None));
}

#[test]
fn beside_arrivals_on_postgres() {
    let database = need!(Database::create());
    need!(beside_arrivals(Some(database)));
}

fn seeds() -> std::ops::Range<u64> {
    let first = set::seed();
    first..first + if set::set() == Set::Full { 10 } else { 1 }
}

/// A site with so many deliveries that failed for good, none of which the partner ever saw; the last of them have nothing
/// left to send.
fn failed(database: Option<Database>) -> anyhow::Result<(Site, Vec<Sample>)> {
    let site = Site::new(database)?;
    say(&site, &["endpoint", "pause", "acme/sftp", "--reason", "an outage"])?;
    let samples: Vec<Sample> =
        (0..SOURCES).map(|n| files::binary(&format!("old-{n:03}.pdf"), 500 + 7 * n)).collect();
    let mut up = site.up()?;
    for sample in &samples {
        site.put(sample)?;
    }
    let queued = "SELECT count(*) AS n FROM delivery WHERE state = 'queued'";
    site.ledger()?.wait_for(queued, SOURCES as i64, 2 * SOON)?;
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    site.sql("DELETE FROM send_job")?;
    site.sql("UPDATE delivery SET state = 'failed', settled_at = created_at, fault_code = 'remote.failure'")?;
    let gone: Vec<_> =
        samples[SOURCES - EXPIRED..].iter().map(|sample| format!("'{}'", sample.key)).collect();
    site.sql(&format!(
        "UPDATE artifact SET expires_at = 1 WHERE file_id IN (SELECT id FROM file WHERE key IN ({}))",
        gone.join(", ")
    ))?;
    say(&site, &["endpoint", "resume", "acme/sftp", "--reason", "it is over"])?;
    site.ledger()?.assert_invariants()?;
    Ok((site, samples))
}

fn start(site: &Site) -> anyhow::Result<()> {
    say(
        site,
        &[
            "replay",
            "start",
            "--redeliver",
            "--state",
            "failed",
            "--reason",
            "outage",
            "--idempotency-key",
            "k",
        ],
    )
}

fn say(site: &Site, arguments: &[&str]) -> anyhow::Result<()> {
    let done = site.outport("data", arguments).run()?;
    ensure!(done.code == Some(0), "outport {arguments:?}: {}", done.stderr);
    Ok(())
}

fn killed(database: Option<Database>, seed: u64) -> anyhow::Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut site, samples) = failed(database)?;
    start(&site)?;
    // Whatever the pages before: what a transaction has not committed is not there, and what it has is.
    for (point, items) in [("before_page", 0), ("after_page", 200), ("before_page", 200)] {
        die_at(&site, point)?;
        let ledger = site.ledger()?;
        ledger.assert_invariants().with_context(|| format!("after the kill at {point}"))?;
        assert_items(&ledger, items).with_context(|| format!("after the kill at {point}"))?;
    }
    let sent = SOURCES - EXPIRED;
    for _ in 0..KILLS {
        let mut up = site.up()?;
        kill_soon(&mut site, &mut up, sent, &mut random)?;
        site.ledger()?.assert_invariants()?;
    }
    let mut up = site.up()?;
    wait_until_replayed(&site.ledger()?)?;
    // A second order with the same key is the same order.
    start(&site)?;
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    judge(&mut site, &samples[..sent])?;
    let everything = site.ledger()?.number("SELECT count(*) AS n FROM delivery")?;
    ensure!(everything == (SOURCES + sent) as i64, "{everything} deliveries");
    site.assert_arrived(&samples[..sent])
}

/// One process that kills itself at its first page.
fn die_at(site: &Site, point: &str) -> anyhow::Result<()> {
    let status = site.up_until(point)?.wait(SOON)?;
    ensure!(status.signal() == Some(9), "{point}: it ended with {status}");
    Ok(())
}

/// Kills when some more have arrived: at that rename, at the upload that follows it, or a little later.
fn kill_soon(site: &mut Site, up: &mut Child, most: usize, random: &mut StdRng) -> anyhow::Result<()> {
    let enough = (renames(site.witness.all()?) + random.random_range(1..30)).min(most);
    let came = site.witness.wait(SOON, |seen| renames(seen) >= enough)?;
    ensure!(came, "{enough} files did not arrive");
    match random.random_range(0..3) {
        0 => {}
        1 if enough < most => {
            let begun = creations(site.witness.all()?);
            // None begins when all are on their way.
            site.witness.wait(Duration::from_millis(500), |seen| creations(seen) > begun)?;
        }
        _ => {
            site.witness.wait(Duration::from_millis(random.random_range(0..40)), |_| false)?;
        }
    }
    up.kill().map(drop)
}

/// The replay has so many items now; each has its delivery, or was skipped.
fn assert_items(ledger: &Ledger<'_>, items: i64) -> anyhow::Result<()> {
    let created = ledger.number("SELECT CAST(created AS bigint) AS n FROM replay")?;
    for (sql, expected) in [
        ("SELECT CAST(created + skipped AS bigint) AS n FROM replay", items),
        ("SELECT count(*) AS n FROM replay_item", items),
        ("SELECT count(*) AS n FROM replay_item WHERE delivery_id IS NOT NULL", created),
        ("SELECT count(*) AS n FROM delivery WHERE origin = 'replay'", created),
        ("SELECT count(DISTINCT source_id) AS n FROM delivery WHERE origin = 'replay'", created),
    ] {
        let n = ledger.number(sql)?;
        ensure!(n == expected, "{sql}: {n}, not {expected}");
    }
    Ok(())
}

fn wait_until_replayed(ledger: &Ledger<'_>) -> anyhow::Result<()> {
    ledger.wait_for("SELECT count(*) AS n FROM replay WHERE state = 'done'", 1, 2 * SOON)?;
    let open = "SELECT count(*) AS n FROM delivery WHERE settled_at IS NULL";
    ledger.wait_for(open, 0, 2 * SOON)
}

/// created + skipped = matched; each source that could be sent has one replayed delivery, which arrived, and is resolved by
/// it; at the partner each file was made once, or the ledger says that it may have been made twice.
fn judge(site: &mut Site, sent: &[Sample]) -> anyhow::Result<()> {
    let ledger = site.ledger()?;
    ledger.assert_invariants()?;
    for (sql, expected) in [
        ("SELECT CAST(matched AS bigint) AS n FROM replay", SOURCES),
        ("SELECT CAST(created AS bigint) AS n FROM replay", sent.len()),
        ("SELECT CAST(skipped AS bigint) AS n FROM replay", EXPIRED),
        ("SELECT count(*) AS n FROM replay_item WHERE delivery_id IS NOT NULL", sent.len()),
        ("SELECT count(*) AS n FROM replay_item WHERE skipped = 'artifact.expired'", EXPIRED),
        ("SELECT count(*) AS n FROM delivery WHERE origin = 'replay'", sent.len()),
        (
            "SELECT count(DISTINCT source_id) AS n FROM delivery WHERE origin = 'replay' AND state = 'delivered'",
            sent.len(),
        ),
        (
            "SELECT count(*) AS n FROM delivery WHERE fault_code = 'remote.failure' AND resolved_at IS NOT NULL",
            sent.len(),
        ),
    ] {
        let n = ledger.number(sql)?;
        ensure!(n == expected as i64, "{sql}: {n}, not {expected}");
    }
    let doubtful: Vec<String> = ledger
        .deliveries()?
        .into_iter()
        .filter(|delivery| delivery.possible_duplicate)
        .map(|delivery| delivery.remote_name)
        .collect();
    drop(ledger);
    let seen = site.witness.all()?;
    for sample in sent {
        let made = renames_to(seen, &sample.arrives_as);
        let may_be_twice = doubtful.contains(&format!("inbox/{}", sample.arrives_as));
        ensure!(made.len() == 1 || (made.len() > 1 && may_be_twice), "{}: {made:?}", sample.arrives_as);
    }
    Ok(())
}

/// Files that come while the replay runs; of each ten, one fails for good.
const LIVE: usize = 80;
const BROKEN: usize = LIVE / 10;
/// Deliveries that a lane sends at a time (the default of `max_files`): so many may have been taken before a file came.
const AT_A_TIME: i64 = 64;

fn beside_arrivals(database: Option<Database>) -> anyhow::Result<()> {
    let (mut site, old) = failed(database)?;
    let mut up = site.up()?;
    start(&site)?;
    let fresh: Vec<Sample> =
        (0..LIVE - BROKEN).map(|n| files::binary(&format!("new-{n:03}.pdf"), 900 + 11 * n)).collect();
    for (n, sample) in fresh.iter().enumerate() {
        if n % 9 == 0 {
            let mut broken = files::ndjson(&format!("broken-{n:03}"));
            broken.content = b"{\"id\":\n".to_vec();
            site.put(&broken)?;
        }
        site.put(sample)?;
        // One after the other, beside the replay.
        let before = renames(site.witness.all()?);
        let moved = site.witness.wait(SOON, |seen| renames(seen) > before)?;
        ensure!(moved, "nothing arrives");
    }
    let known = "SELECT count(*) AS n FROM delivery WHERE origin = 'arrival'";
    site.ledger()?.wait_for(known, (SOURCES + LIVE) as i64, SOON)?;
    wait_until_replayed(&site.ledger()?)?;
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    let sent = &old[..SOURCES - EXPIRED];
    judge(&mut site, sent)?;
    let ledger = site.ledger()?;
    let broken =
        "SELECT count(*) AS n FROM delivery WHERE state = 'failed' AND fault_code = 'transform.failed'";
    ensure!(ledger.number(broken)? == BROKEN as i64, "the broken files did not fail");
    // What arrives goes first: while it waited, no more replayed ones were begun than were taken before it came.
    let overtaken = "SELECT coalesce(max(n), 0) AS n FROM (SELECT count(*) AS n FROM delivery d \
         JOIN file f ON f.id = d.file_id AND f.key LIKE 'new-%' \
         JOIN attempt a ON a.delivery_id = d.id AND a.n = 1 \
         JOIN delivery r ON r.origin = 'replay' \
         JOIN attempt o ON o.delivery_id = r.id AND o.n = 1 \
           AND o.started_at > d.created_at AND o.started_at < a.started_at \
         WHERE d.origin = 'arrival' GROUP BY d.id) AS waited";
    let most = ledger.number(overtaken)?;
    ensure!(most <= AT_A_TIME, "{most} replayed deliveries were begun while one that had arrived waited");
    drop(ledger);
    site.assert_arrived(sent.iter().chain(&fresh))
}
