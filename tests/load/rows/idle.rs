//! Statements a second of an idle `outport up`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use outport_tests::site::Up;

use super::running::Running;
use crate::cost::Meter;
use crate::options::Options;
use crate::table::{Goal, Line, Table};

/// The engine's own count, BEGIN and COMMIT included.
const STATEMENTS: &str = "outport_database_statements_total";
/// An engine that still works says more than this in a second.
const QUIET: u64 = 4;

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        let running = Running::new(kind, 1)?;
        let mut up = running.site.up()?;
        // An engine that has worked, and keeps a connection to its partner.
        running.deliver("a.txt", b"content")?;
        wait_until_idle(&up)?;
        let meter = Meter::start(up.pid(), None)?;
        let (before, began) = (up.counter(STATEMENTS)?, Instant::now());
        // Not to wait for anything: this is the time that is measured.
        std::thread::sleep(Duration::from_secs(options.idle_seconds));
        let (said, seconds) = (up.counter(STATEMENTS)? - before, began.elapsed().as_secs_f64());
        let cost = meter.stop(None)?;
        table.add(Line {
            what: "statements of an idle process".into(),
            database: kind.to_string(),
            measured: said as f64 / seconds,
            unit: "/s",
            goal: Goal::AtMost(2.0),
            cost,
            note: format!("{said} in {seconds:.0} s, {:.2} % of a core", cost.own_cpu_s / seconds * 100.0),
        });
        ensure!(up.stop(running.site.limit(30))?.success(), "outport up did not end well: {}", up.log());
        running.site.assert_invariants()?;
    }
    Ok(())
}

/// The end of work has its own statements: a claim that finds nothing more, a look at the lane. Idle is what comes then.
pub fn wait_until_idle(up: &Up) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = up.counter(STATEMENTS)?;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = up.counter(STATEMENTS)?;
        if now <= before + QUIET {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{} statements in a second: it never gets idle", now - before);
        before = now;
    }
}
