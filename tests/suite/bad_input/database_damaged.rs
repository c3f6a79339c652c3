//! A database file that is damaged, is none, or cannot be opened: exit 1 with the reason, and nothing is touched.

use std::fs;
use std::path::Path;

use crate::bad_input::site::{Site, refused};

/// Every command that opens the database, `up` first.
const COMMANDS: &[&[&str]] = &[
    &["up"],
    &["migrate"],
    &["apply", "partners.toml"],
    &["file", "list"],
    &["delivery", "list", "--json"],
    &["endpoint", "show", "acme/sftp"],
];

/// A site whose database holds something, closed properly: everything is in the one file.
fn used() -> Site {
    let site = Site::new();
    let mut up = site.up();
    site.upload("a.txt", "content");
    site.settled("a.txt", 1);
    assert_eq!(up.stop(crate::bad_input::site::LIMIT).unwrap().code(), Some(0));
    assert!(!site.data().join("outport.db-wal").exists(), "a copy of outport.db alone is no backup");
    site
}

fn refused_by_all(site: &Site, code: &str, hint: &str) {
    let path = site.data().join("outport.db");
    let before = fs::read(&path).ok();
    for command in COMMANDS {
        let answer = site.run(command);
        refused(&answer, 1, code, hint);
        assert!(answer.stderr.contains("outport.db"), "which file? {}", answer.stderr);
    }
    assert!(fs::read(&path).ok() == before, "the damaged file was changed");
    assert_eq!(fs::read_to_string(site.bucket().join("a.txt")).unwrap(), "content");
    assert_eq!(site.arrived(), ["a.txt"]);
}

#[test]
fn a_file_that_is_no_database() {
    let site = used();
    let garbage: Vec<u8> = (0..8192u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(site.data().join("outport.db"), garbage).unwrap();
    refused_by_all(&site, "database.corrupt", "restore it from a backup");
}

#[test]
fn a_database_with_a_damaged_header() {
    let site = used();
    let path = site.data().join("outport.db");
    let mut content = fs::read(&path).unwrap();
    content[..100].fill(0x5a);
    fs::write(&path, content).unwrap();
    refused_by_all(&site, "database.corrupt", "restore it from a backup");
}

#[test]
fn a_database_that_was_cut_off() {
    let site = used();
    let path = site.data().join("outport.db");
    let length = fs::metadata(&path).unwrap().len();
    fs::File::options().write(true).open(&path).unwrap().set_len(length / 2).unwrap();
    refused_by_all(&site, "database.corrupt", "restore it from a backup");
}

#[test]
fn something_else_in_the_database_s_place() {
    let site = used();
    let path = site.data().join("outport.db");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused_by_all(&site, "local.io_failed", "owner and permissions");
}

#[test]
fn after_the_damaged_file_is_moved_away_nothing_is_sent_twice() {
    let site = used();
    let path = site.data().join("outport.db");
    fs::write(&path, "garbage").unwrap();
    assert_eq!(site.run(&["up"]).code, Some(1));
    fs::rename(&path, site.data().join("damaged.db")).unwrap();
    fs::remove_file(site.inbox().join("a.txt")).unwrap();
    site.apply(site.partner().address());
    let _up = site.up();
    site.upload("b.txt", "new");
    site.settled("b.txt", 1);
    site.upload("c.txt", "new");
    site.settled("c.txt", 1);
    // Rules hold from when they are applied: what lay in the bucket before is not an arrival.
    assert_eq!(site.arrived(), ["b.txt", "c.txt"]);
}

#[test]
fn a_data_folder_that_cannot_be_written() {
    let site = Site::new();
    fs::write(site.folder().join("file"), "").unwrap();
    // /proc takes new folders from nobody, not even from root.
    for data in ["file/data", "/proc/outport-data"] {
        // The others look for a database and say that there is none.
        for command in [&["up"][..], &["migrate"], &["apply", "partners.toml"]] {
            let answer = site.outport(command).env("OUTPORT_DATA", data).run().unwrap();
            refused(&answer, 1, "local.io_failed", "owner and permissions");
            assert!(answer.stderr.contains(data), "{}", answer.stderr);
        }
        assert!(!Path::new(data).exists());
    }
}

#[test]
fn a_data_folder_may_have_any_name() {
    for name in ["per%20cent", "a?b", "c#d", "e&f=g", "ü ö", "semi;colon"] {
        let site = Site::new();
        let data = site.folder().join(name);
        let applied = site.outport(&["apply", "partners.toml"]).env("OUTPORT_DATA", &data).run().unwrap();
        assert_eq!(applied.code, Some(0), "{name}: {}", applied.stderr);
        assert!(data.join("outport.db").is_file(), "{name}: the database lies elsewhere");
    }
}
