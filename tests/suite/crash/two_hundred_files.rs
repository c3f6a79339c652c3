//! Kill -9 of `outport up` at ten moments of a 200-file run: every file is there once, whole, under its final name. And
//! five hundred short runs with one kill each, for the long set.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use outport_tests::child::{Child, Stream};
use outport_tests::need;
use outport_tests::servers::postgres::Database;
use outport_tests::set::{self, Set};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::files::{self, Sample};
use super::ledger::Delivery;
use super::site::{SOON, Site};
use super::witness::{creations, renames, renames_to};

/// How much a run does.
#[derive(Debug, Clone, Copy)]
struct Size {
    files: usize,
    kills: usize,
    /// Files that are put before their predecessors have arrived: enough work in flight at every moment.
    ahead: usize,
    /// Files that are put while nobody is up: the next one has to find them without an event.
    unwatched: usize,
}

/// Lines of the log in a failure.
const LOG_LINES: usize = 80;

const LONG: Size = Size { files: 200, kills: 10, ahead: 30, unwatched: 3 };
const SHORT: Size = Size { files: 14, kills: 1, ahead: 6, unwatched: 1 };

#[test]
fn sqlite() {
    need!(run(None, set::seed(), LONG));
}

#[test]
fn postgres() {
    let database = need!(Database::create());
    need!(run(Some(database), set::seed(), LONG));
}

#[test]
fn twenty_seeds_on_sqlite() {
    need!(set::full());
    for seed in 0..20 {
        need!(run(None, seed, LONG));
    }
}

#[test]
fn twenty_seeds_on_postgres() {
    need!(set::full());
    for seed in 0..20 {
        let database = need!(Database::create());
        need!(run(Some(database), seed, LONG));
    }
}

#[test]
fn many_short_runs_on_sqlite() {
    for seed in short_seeds() {
        need!(run(None, seed, SHORT));
    }
}

#[test]
fn many_short_runs_on_postgres() {
    for seed in short_seeds() {
        let database = need!(Database::create());
        need!(run(Some(database), seed, SHORT));
    }
}

fn short_seeds() -> std::ops::Range<u64> {
    let first = set::seed();
    first..first + if set::set() == Set::Full { 250 } else { 4 }
}

/// When to kill: after so many files arrived, and then...
#[derive(Debug, Clone, Copy)]
struct Moment {
    arrived: usize,
    then: Then,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    /// ... at once: the server has just renamed and the ledger does not know yet.
    AtTheRename,
    /// ... when the next temp file appears: in the middle of an upload.
    AtTheNextUpload,
    /// ... after that time: anywhere.
    Later(Duration),
}

/// As many moments as kills, all of them while there is work left.
fn moments(random: &mut StdRng, size: Size) -> Vec<Moment> {
    let mut arrived = BTreeSet::new();
    while arrived.len() < size.kills {
        arrived.insert(random.random_range(1..size.files - size.ahead / 2));
    }
    let mut then = || match random.random_range(0..3) {
        0 => Then::AtTheRename,
        1 => Then::AtTheNextUpload,
        _ => Then::Later(Duration::from_millis(random.random_range(0..60))),
    };
    arrived.into_iter().map(|arrived| Moment { arrived, then: then() }).collect()
}

fn run(database: Option<Database>, seed: u64, size: Size) -> anyhow::Result<()> {
    let name = if database.is_some() { "PostgreSQL" } else { "SQLite" };
    let began = Instant::now();
    let told = killed(database, seed, size).with_context(|| format!("{name}, OUTPORT_TEST_SEED={seed}"))?;
    // Not eprintln!, which the test runner swallows when the test passes: how much the kills hit is worth knowing then.
    let took = began.elapsed().as_secs();
    writeln!(std::io::stderr(), "{name}, OUTPORT_TEST_SEED={seed}, {took} s: {told}")?;
    Ok(())
}

/// What it tells is how much the kills hit.
fn killed(database: Option<Database>, seed: u64, size: Size) -> anyhow::Result<String> {
    let mut random = StdRng::seed_from_u64(seed);
    let samples = files::mixed(seed, size.files);
    let mut site = Site::new(database)?;
    let mut feed = samples.iter();
    for moment in moments(&mut random, size) {
        let mut up = site.up()?;
        wait_for_arrivals(&mut site, &mut feed, moment.arrived, size.ahead)
            .with_context(|| format!("{moment:?}; {}", story(&site, &up)))?;
        match moment.then {
            Then::AtTheRename => {}
            Then::AtTheNextUpload => {
                let before = creations(site.witness.all()?);
                // All that was put may be on its way already: one more, if there is one.
                if let Some(sample) = feed.next() {
                    site.put(sample)?;
                    let began = site.witness.wait(SOON, |seen| creations(seen) > before)?;
                    ensure!(began, "{moment:?}: no upload began");
                }
            }
            Then::Later(time) => {
                site.witness.wait(time, |_| false)?;
            }
        }
        up.kill()?;
        nobody_stood_still(&up)?;
        site.ledger()?.assert_invariants().with_context(|| format!("after the kill at {moment:?}"))?;
        for sample in feed.by_ref().take(size.unwatched) {
            site.put(sample)?;
        }
    }
    let mut up = site.up()?;
    wait_for_arrivals(&mut site, &mut feed, size.files, size.ahead).with_context(|| story(&site, &up))?;
    site.ledger()?.wait_until_settled(size.files as i64, SOON)?;
    let status = up.stop(SOON)?;
    ensure!(status.success(), "outport up ended with {status}");
    nobody_stood_still(&up)?;
    site.ledger()?.assert_invariants()?;
    judge(&mut site, &samples, size)
}

/// Fails if somebody waited for a connection to the database until the limit of 30 s: then the engine stood still, which a
/// run that goes on after it does not show.
fn nobody_stood_still(up: &Child) -> anyhow::Result<()> {
    let log = up.printed(Stream::Err);
    let waited = log.lines().find(|line| line.contains("pool timed out"));
    ensure!(waited.is_none(), "the engine stood still: {}", waited.unwrap_or_default());
    Ok(())
}

/// What to look at when nothing arrives any more: the open deliveries, and the end of the log.
fn story(site: &Site, up: &Child) -> String {
    let open = site.ledger().and_then(|ledger| ledger.deliveries()).map(|deliveries| {
        let open = deliveries.into_iter().filter(|delivery| delivery.state != "delivered");
        open.map(|delivery| format!("{} is {}: {}\n", delivery.remote_name, delivery.state, delivery.story()))
            .collect::<String>()
    });
    let log = up.printed(Stream::Err);
    let lines: Vec<&str> = log.lines().collect();
    let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    match open {
        Ok(open) => format!("open deliveries:\n{open}the log ends with:\n{end}"),
        Err(error) => format!("the ledger cannot be read: {error:#}\nthe log ends with:\n{end}"),
    }
}

/// Puts files, always `ahead` of what has arrived, until `count` have.
fn wait_for_arrivals<'a>(
    site: &mut Site,
    feed: &mut impl Iterator<Item = &'a Sample>,
    count: usize,
    ahead: usize,
) -> anyhow::Result<()> {
    let mut arrived = renames(site.witness.all()?);
    let mut put = 0;
    while arrived < count {
        // Whatever was put before: as many again as arrive, and a first batch.
        for sample in feed.by_ref().take(if put == 0 { ahead } else { 1 }) {
            site.put(sample)?;
            put += 1;
        }
        let before = arrived;
        let came = site.witness.wait(SOON, |seen| renames(seen) > before)?;
        ensure!(came, "{before} of {count} files arrived, then none for {SOON:?}");
        arrived = renames(site.witness.all()?);
    }
    Ok(())
}

/// Every file once, whole, under its final name; the ledger says the same and hides no doubt.
fn judge(site: &mut Site, samples: &[Sample], size: Size) -> anyhow::Result<String> {
    let deliveries = site.ledger()?.deliveries()?;
    ensure!(deliveries.len() == samples.len(), "{} deliveries", deliveries.len());
    let undelivered: Vec<&Delivery> = deliveries.iter().filter(|d| d.state != "delivered").collect();
    ensure!(undelivered.is_empty(), "{undelivered:#?}");
    site.assert_arrived(samples)?;
    let seen = site.witness.all()?;
    let (mut by_probe, mut resumed, mut doubtful, mut abandoned) = (0, 0, 0, 0);
    for delivery in &deliveries {
        let story = delivery.story();
        let name = delivery.remote_name.strip_prefix("inbox/").context("not in the inbox")?;
        let made = renames_to(seen, name);
        let ends = delivery.attempts.iter().filter(|attempt| attempt.confirmed_by.is_some()).count();
        ensure!(ends == 1, "{name}: {ends} attempts delivered ({story})");
        ensure!(delivery.attempts.iter().all(|attempt| attempt.outcome.is_some()), "{name}: {story}");
        // A second rename is a second arrival: never without the mark.
        ensure!(
            made.len() == 1 || delivery.possible_duplicate,
            "{name} was made by {} renames ({made:?}) and nobody says so: {story}",
            made.len()
        );
        abandoned += delivery.attempts.len() - 1;
        doubtful += usize::from(delivery.possible_duplicate);
        by_probe += usize::from(story.ends_with("by probe"));
        let last_temp = format!(".{}.part", delivery.attempts.len());
        resumed +=
            usize::from(made.iter().all(|temp| !temp.ends_with(&last_temp)) && story.ends_with("by reply"));
    }
    // Less than that, and the kills missed the work. A single kill may hit the intake or a transform.
    let kills = size.kills;
    ensure!(kills == 1 || abandoned >= kills, "{kills} kills and only {abandoned} attempts abandoned");
    Ok(format!(
        "{kills} kills, {abandoned} attempts abandoned, {by_probe} arrivals confirmed by a probe, {resumed} whole temp \
         files renamed without sending again, {doubtful} possible duplicates, {} uploads of {} files",
        creations(seen),
        samples.len()
    ))
}
