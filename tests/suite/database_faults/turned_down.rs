//! PostgreSQL ends a transaction of ours, for a deadlock or because it cannot be serialized: it is run again, whole.

use anyhow::ensure;
use outport_tests::need;
use outport_tests::servers::postgres::Database;

use crate::crash::files;
use crate::crash::site::{SOON, Site};
use crate::crash::witness::renames_to;

const FILES: usize = 12;

/// Raises `code` at every second write of a delivery, an attempt or a send job, 40 times. What a sequence gives is not
/// taken back with the transaction.
fn trouble(code: &str) -> String {
    let mut sql = format!(
        "CREATE SEQUENCE trouble; \
         CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n bigint := nextval('trouble'); BEGIN \
           IF n <= 80 AND n % 2 = 0 THEN RAISE EXCEPTION 'made up by a test' USING ERRCODE = '{code}'; END IF; \
           RETURN NEW; END $$;"
    );
    for table in ["delivery", "attempt", "send_job"] {
        sql += &format!(
            "CREATE TRIGGER trouble BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION trouble();"
        );
    }
    sql
}

#[test]
fn by_deadlocks() {
    need!(turned_down("40P01"));
}

#[test]
fn by_serialization_failures() {
    need!(turned_down("40001"));
}

fn turned_down(code: &str) -> anyhow::Result<()> {
    let mut site = Site::new(Some(Database::create()?))?;
    site.sql(&trouble(code))?;
    let samples = files::mixed(11, FILES);
    let mut up = site.up()?;
    for sample in &samples {
        site.put(sample)?;
    }
    let ledger = site.ledger()?;
    ledger.wait_until_settled(FILES as i64, SOON)?;
    ensure!(ledger.number("SELECT last_value AS n FROM trouble")? >= 80, "not all of the trouble was met");
    ledger.assert_invariants()?;
    let undelivered: Vec<_> = ledger.deliveries()?.into_iter().filter(|d| d.state != "delivered").collect();
    ensure!(undelivered.is_empty(), "{undelivered:#?}");
    drop(ledger);
    ensure!(up.stop(SOON)?.success(), "outport up did not end well");
    site.assert_arrived(&samples)?;
    let seen = site.witness.all()?;
    for sample in &samples {
        let times = renames_to(seen, &sample.arrives_as).len();
        ensure!(times == 1, "{} arrived {times} times", sample.arrives_as);
    }
    Ok(())
}
