//! A file that its writer has not finished.

use std::fs::{self, File};
use std::io::Write;

use crate::bad_input::site::Site;

#[test]
fn a_file_is_not_sent_while_its_writer_has_it_open() {
    let site = Site::new();
    let _up = site.up();
    // By then the bucket is being watched. Of a file that stood there before, only its size and times tell.
    site.upload("zero.txt", "");
    site.settled("zero.txt", 1);
    let mut writer = File::create(site.bucket().join("slow.txt")).unwrap();
    writer.write_all(b"the first half, ").unwrap();
    // Three files arrive in turn, each takes longer than the quiet time (200 ms): sweeps and looks pass by meanwhile.
    for name in ["one.txt", "two.txt", "three.txt"] {
        fs::write(site.bucket().join(name), name).unwrap();
        assert_eq!(site.settled(name, 1)[0]["state"], "delivered");
        assert!(site.files().iter().all(|file| file["key"] != "slow.txt"), "{:#?}", site.files());
    }
    writer.write_all(b"the second half").unwrap();
    drop(writer);
    assert_eq!(site.settled("slow.txt", 1)[0]["state"], "delivered");
    let arrived = fs::read_to_string(site.inbox().join("slow.txt")).unwrap();
    assert_eq!(arrived, "the first half, the second half");
}

#[test]
fn a_temporary_name_is_not_sent_until_it_is_renamed() {
    let site = Site::new();
    for name in ["a.txt.part", ".a.txt", "a.txt.tmp", "a.txt.filepart"] {
        fs::write(site.bucket().join(name), name).unwrap();
    }
    let _up = site.up();
    fs::write(site.bucket().join("b.txt.part"), "whole").unwrap();
    for name in ["one.txt", "two.txt"] {
        site.upload(name, name);
        site.settled(name, 1);
    }
    assert_eq!(site.arrived(), ["one.txt", "two.txt"]);
    fs::rename(site.bucket().join("b.txt.part"), site.bucket().join("b.txt")).unwrap();
    assert_eq!(site.settled("b.txt", 1)[0]["state"], "delivered");
    assert_eq!(fs::read_to_string(site.inbox().join("b.txt")).unwrap(), "whole");
    assert_eq!(site.files().len(), 3);
}
