//! A cancel at each stage of a running send. The sender is frozen there, the delivery cancelled, the sender woken: what
//! the ledger says has to be what the partner's folder shows. On PostgreSQL: a frozen process may keep an SQLite file
//! locked as a whole.

use std::time::{Duration, Instant};

use outport_tests::child::{Child, Stream};
use outport_tests::servers::postgres::Database;
use outport_tests::{invariants, need};
use rustix::process::Signal;

use super::{done, has_line};
use crate::bad_input::site::{LIMIT, Site, until};

/// Larger than the 4 MiB after which the sender waits for the server the first time.
const SIZE: usize = 6_000_000;

fn wait_until_frozen(child: &Child) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
            return;
        }
        assert!(Instant::now() < deadline, "not frozen: {}", child.printed(Stream::Err));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether the file arrives when the delivery is cancelled while its sender stands at `point`.
fn cancelled_at(database: &Database, point: &str, arrives: bool) {
    let site = Site::without_definitions().set("OUTPORT_DATABASE", database.url());
    done(&site.run(&["migrate"]));
    site.apply(site.partner().address());
    let mut sender = site.outport(&["up"]).env("OUTPORT_CRASH_AT", format!("{point}:stop")).start().unwrap();
    sender.wait_for_line(Stream::Err, "a crash point is armed", LIMIT).unwrap();
    site.upload("a.bin", vec![7; SIZE]);
    wait_until_frozen(&sender);
    let id = site.deliveries()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(site.deliveries()[0]["state"], "sending");
    let cancelled = site.run(&["delivery", "cancel", &id, "--reason", "wrong file"]);
    assert_eq!(done(&cancelled), format!("{id} cancelled\n"));
    let renaming = arrives;
    let warned = cancelled.stderr.contains("its rename had begun");
    assert_eq!(warned, renaming, "{point}: {}", cancelled.stderr);
    assert_invariants(&site, database);

    sender.signal(Signal::CONT).unwrap();
    if arrives {
        // The truth is told, although the delivery is settled.
        until("delivered_after_cancel", || {
            let told = site.run(&["why", "a.bin"]).stdout;
            if told.contains("delivered_after_cancel") { Ok(()) } else { Err(told) }
        });
        assert_eq!(std::fs::read(site.inbox().join("a.bin")).unwrap().len(), SIZE);
    } else {
        sender.wait_for_line(Stream::Err, "the lease is lost", LIMIT).unwrap();
    }
    // It goes on with what comes next.
    site.upload("b.txt", "content");
    assert_eq!(site.settled("b.txt", 1)[0]["state"], "delivered");
    sender.stop(LIMIT).unwrap();
    let delivery = site.json(&["delivery", "show", &id]);
    assert_eq!(delivery["state"], "cancelled", "{delivery:#}");
    let attempts = delivery["attempt"].as_array().unwrap();
    assert_eq!((attempts.len(), attempts[0]["outcome"].as_str()), (1, Some("cancelled")), "{delivery:#}");
    let told = site.run(&["why", "a.bin"]);
    has_line(done(&told), &["cancelled by operator:", "wrong file"]);
    assert_eq!(told.stdout.contains("delivered_after_cancel"), arrives, "{point}: {}", told.stdout);
    let expected: &[&str] = if arrives { &["a.bin", "b.txt"] } else { &["b.txt"] };
    assert_eq!(site.arrived(), expected, "{point}: neither the file nor its temp file");
    assert_invariants(&site, database);
}

fn assert_invariants(site: &Site, database: &Database) {
    site.runtime().block_on(async {
        let connection = invariants::connect(database.url()).await.unwrap();
        invariants::assert_all(&connection).await.unwrap();
        connection.close().await.unwrap();
    });
}

#[test]
fn before_anything_was_sent() {
    cancelled_at(&need!(Database::create()), "after_lease", false);
}

#[test]
fn in_the_middle_of_the_upload() {
    cancelled_at(&need!(Database::create()), "mid_upload", false);
}

#[test]
fn before_the_fence() {
    cancelled_at(&need!(Database::create()), "after_upload", false);
}

#[test]
fn between_the_fence_and_the_rename() {
    cancelled_at(&need!(Database::create()), "before_rename", true);
}

#[test]
fn after_the_rename() {
    cancelled_at(&need!(Database::create()), "after_rename", true);
}

#[test]
fn before_the_end_is_recorded() {
    cancelled_at(&need!(Database::create()), "before_finish", true);
}
