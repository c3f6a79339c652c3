//! A full disk: a clear fault, nothing lost, and the work goes on by itself when there is room.

use std::fs;

use outport_tests::child::Stream;
use outport_tests::servers::tmpfs::SmallDisk;
use outport_tests::{invariants, need};

use crate::bad_input::site::{LIMIT, Site, until};

const KIB: usize = 1024;

#[test]
fn no_room_for_a_snapshot() {
    let disk = need!(SmallDisk::mount(512 * KIB as u64));
    let site = Site::new().set("OUTPORT_ARTIFACTS_ROOT", disk.path().to_str().unwrap());
    let up = site.up();
    fs::write(disk.path().join("filler"), vec![0; 384 * KIB]).unwrap();
    let content: Vec<u8> = (0..300 * KIB).map(|i| i as u8).collect();
    site.upload("large.bin", &content);
    site.upload("small.bin", "there is room for me");
    let told = up.wait_for_line(Stream::Err, "object.store_full", LIMIT).unwrap();
    assert!(told.contains("No space left on device"), "{told}");
    assert!(told.contains("hint"), "{told}");
    assert_eq!(site.settled("small.bin", 1)[0]["state"], "delivered");
    assert_eq!(site.arrived(), ["small.bin"]);
    assert_eq!(fs::read(site.bucket().join("large.bin")).unwrap(), content);

    fs::remove_file(disk.path().join("filler")).unwrap();
    assert_eq!(site.settled("large.bin", 1)[0]["state"], "delivered");
    assert!(fs::read(site.inbox().join("large.bin")).unwrap() == content);
}

#[test]
fn no_room_for_the_output_of_a_transform() {
    let disk = need!(SmallDisk::mount(512 * KIB as u64));
    let site = Site::new()
        .set("OUTPORT_ARTIFACTS_ROOT", disk.path().to_str().unwrap())
        .set("OUTPORT_TIMING_SCALE", "0.033");
    let up = site.up();
    // 200 KiB of input that make 200 KiB of CSV, and room for one and a half.
    let value = "x".repeat(200 * KIB);
    fs::write(disk.path().join("filler"), vec![0; 200 * KIB]).unwrap();
    site.upload("large.json", format!(r#"{{"a":"{value}"}}"#));
    let told = up.wait_for_line(Stream::Err, "object.store_full", LIMIT).unwrap();
    assert!(told.contains("transform failed"), "{told}");
    let waits = until("a transform that waits for its next try", || {
        let transforms = site.json(&["transform", "list"]);
        if transforms[0]["state"] == "pending" {
            Ok(transforms[0].clone())
        } else {
            Err(format!("{transforms:#}"))
        }
    });
    assert_eq!(waits["fault_code"], "object.store_full", "{waits:#}");
    assert_eq!(site.deliveries()[0]["state"], "waiting");

    fs::remove_file(disk.path().join("filler")).unwrap();
    assert_eq!(site.settled("large.json", 1)[0]["state"], "delivered");
    // RFC 4180 line ends, as json-to-csv writes them.
    let arrived = fs::read_to_string(site.inbox().join("large.csv")).unwrap();
    assert_eq!(arrived.lines().collect::<Vec<_>>(), ["a", value.as_str()]);
}

#[test]
fn no_room_for_the_database() {
    // SQLite's log alone may take 4 MiB before it is moved into the file.
    let disk = need!(SmallDisk::mount(16 * 1024 * KIB as u64));
    let data = disk.path().join("outport.db");
    let site = Site::without_definitions().set("OUTPORT_DATABASE", format!("sqlite:{}", data.display()));
    site.apply(site.partner().address());
    let mut up = site.up();
    site.upload("before.txt", "before");
    site.settled("before.txt", 1);
    fill(disk.path());
    for n in 0..40 {
        site.upload(format!("{n}.txt"), format!("content {n}"));
    }
    let told = up.wait_for_line(Stream::Err, "database.full", LIMIT).unwrap();
    assert!(told.contains("full"), "{told}");
    fs::remove_file(disk.path().join("filler")).unwrap();
    for n in 0..40 {
        assert_eq!(site.settled(&format!("{n}.txt"), 1)[0]["state"], "delivered");
        assert_eq!(
            fs::read_to_string(site.inbox().join(format!("{n}.txt"))).unwrap(),
            format!("content {n}")
        );
    }
    // What another process sees is what was committed; what a kill leaves is what was kept.
    up.kill().unwrap();
    assert_eq!(site.deliveries().len(), 41);
    site.runtime().block_on(async {
        let database = invariants::connect(&format!("sqlite:{}", data.display())).await.unwrap();
        invariants::assert_all(&database).await.unwrap();
    });
}

/// Writes until not a byte fits.
fn fill(disk: &std::path::Path) {
    use std::io::Write;
    let mut filler = fs::File::create(disk.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
}
