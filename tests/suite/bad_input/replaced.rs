//! A file that is replaced while it is being sent: every version that was seen arrives whole, none is a mixture.

use std::fs;

use serde_json::Value;

use crate::bad_input::gate::Gate;
use crate::bad_input::site::{Site, until};

const MIB: usize = 1024 * 1024;

/// A file of one letter: a mixture of two versions shows.
fn version(letter: u8, bytes: usize) -> Vec<u8> {
    vec![letter; bytes]
}

fn until_recorded(site: &Site, key: &str, versions: usize) {
    until(&format!("{versions} versions of {key}"), || {
        let files: Vec<Value> = site.files().into_iter().filter(|file| file["key"] == key).collect();
        if files.len() == versions { Ok(()) } else { Err(format!("{files:#?}")) }
    });
}

#[test]
fn each_version_that_was_seen_arrives_whole() {
    let site = Site::without_definitions();
    let gate = Gate::new(site.partner().address(), MIB as u64);
    site.apply(gate.address());
    let _up = site.up();
    let (first, renamed, overwritten) =
        (version(b'a', 4 * MIB), version(b'b', 4 * MIB), version(b'c', 3 * MIB));

    site.upload("versions/big.bin", &first);
    gate.wait_until_holding();
    assert_eq!(site.deliveries()[0]["state"], "sending");
    site.upload("versions/big.bin", &renamed);
    until_recorded(&site, "versions/big.bin", 2);
    // The same inode, cut to nothing and written again.
    fs::write(site.bucket().join("versions/big.bin"), &overwritten).unwrap();
    until_recorded(&site, "versions/big.bin", 3);
    gate.open();

    let deliveries = site.settled("versions/big.bin", 3);
    assert!(deliveries.iter().all(|d| d["state"] == "delivered"), "{deliveries:#?}");
    assert!(deliveries.iter().all(|d| d["attempts"] == 1), "{deliveries:#?}");
    let mut names: Vec<&str> = deliveries
        .iter()
        .map(|d| d["remote_name"].as_str().unwrap().strip_prefix("inbox/").unwrap())
        .collect();
    names.sort();
    assert_eq!(site.arrived(), names);
    let arrived: Vec<Vec<u8>> = names.iter().map(|name| fs::read(site.inbox().join(name)).unwrap()).collect();
    assert!(
        arrived == [first, renamed, overwritten],
        "sizes {:?}",
        arrived.iter().map(Vec::len).collect::<Vec<_>>()
    );
}

#[test]
fn a_file_that_goes_away_while_it_is_being_sent_still_arrives() {
    let site = Site::without_definitions();
    let gate = Gate::new(site.partner().address(), MIB as u64);
    site.apply(gate.address());
    let _up = site.up();
    let content = version(b'a', 4 * MIB);
    site.upload("big.bin", &content);
    gate.wait_until_holding();
    fs::remove_file(site.bucket().join("big.bin")).unwrap();
    gate.open();
    assert_eq!(site.settled("big.bin", 1)[0]["state"], "delivered");
    assert!(fs::read(site.inbox().join("big.bin")).unwrap() == content);
}
