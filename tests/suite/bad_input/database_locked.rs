//! Another program that keeps the database file locked: a browser, a backup.

use std::time::{Duration, Instant};

use outport_tests::child::Stream;
use outport_tests::{invariants, need, set};
use sea_orm::{DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};

use crate::bad_input::site::{LIMIT, Site, until};

/// `BEGIN IMMEDIATE` by a connection of our own, until it is dropped.
struct Lock<'a> {
    site: &'a Site,
    held: Option<DatabaseTransaction>,
}

impl<'a> Lock<'a> {
    fn take(site: &'a Site) -> Self {
        let url = format!("sqlite:{}", site.data().join("outport.db").display());
        let held = site.runtime().block_on(async {
            let connection = invariants::connect(&url).await.unwrap();
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..Default::default()
            };
            connection.begin_with_options(options).await.unwrap()
        });
        Self { site, held: Some(held) }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            // Also when a test fails: giving a connection back is work for its runtime.
            let rolled_back = self.site.runtime().block_on(held.rollback());
            assert!(rolled_back.is_ok() || std::thread::panicking(), "{rolled_back:?}");
        }
    }
}

#[test]
fn a_short_lock_only_delays() {
    let site = Site::new();
    let up = site.up();
    let held = Lock::take(&site);
    site.upload("a.txt", "content");
    // Reads go on while a writer holds the file (WAL).
    assert_eq!(site.run(&["file", "list"]).code, Some(0));
    assert_eq!(site.run(&["endpoint", "show", "acme/sftp"]).code, Some(0));
    // Long enough that the arrival is waiting for the lock: its snapshot is there, its row cannot be.
    until("a snapshot", || {
        let count = std::fs::read_dir(site.data().join("artifacts/originals")).unwrap().count();
        if count == 1 { Ok(()) } else { Err(format!("{count} snapshots")) }
    });
    assert_eq!(site.files().len(), 0);
    drop(held);
    assert_eq!(site.settled("a.txt", 1)[0]["state"], "delivered");
    assert_eq!(std::fs::read_to_string(site.inbox().join("a.txt")).unwrap(), "content");
    assert!(!up.printed(Stream::Err).contains("database."), "{}", up.printed(Stream::Err));
}

/// The busy timeout is 20 s, so these take longer than that.
#[test]
fn a_long_lock_is_told_and_survived() {
    need!(set::full());
    let site = Site::new();
    let mut up = site.up();
    let held = Lock::take(&site);
    site.upload("a.txt", "content");
    let told = up.wait_for_line(Stream::Err, "database.busy", LIMIT).unwrap();
    assert!(told.contains("database is locked"), "{told}");
    // No other fault, such as a database "that does not answer", may be what an operator reads for minutes.
    let since = Instant::now();
    until("a second report", || {
        let log = up.printed(Stream::Err);
        assert!(!log.contains("database.unreachable"), "{log}");
        let lines = log.lines().filter(|line| line.contains("database.busy")).count();
        if lines > 1 && since.elapsed() > Duration::from_secs(35) { Ok(()) } else { Err(log) }
    });
    assert!(site.files().is_empty());
    drop(held);
    assert_eq!(site.settled("a.txt", 1)[0]["state"], "delivered");
    assert_eq!(std::fs::read_to_string(site.inbox().join("a.txt")).unwrap(), "content");
    assert_eq!(up.stop(LIMIT).unwrap().code(), Some(0));
}

#[test]
fn a_command_that_must_write_says_who_is_in_the_way() {
    need!(set::full());
    let site = Site::new();
    let held = Lock::take(&site);
    let changed = site.definitions(site.partner().address()).replace("name = \"ACME\"", "name = \"Other\"");
    std::fs::write(site.folder().join("changed.toml"), changed).unwrap();
    let refused = site.run(&["apply", "changed.toml"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("[database.busy]") && refused.stderr.contains("hint: close"),
        "{}",
        refused.stderr
    );
    drop(held);
    assert_eq!(site.run(&["apply", "changed.toml"]).code, Some(0));
}
