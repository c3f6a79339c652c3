//! What the server refuses: no such folder, no permission, no room.

use std::os::unix::fs::PermissionsExt;

use outport_core::{Class, Code};
use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::servers::tmpfs::SmallDisk;
use outport_tests::site::{FolderWatch, Partner, Site};
use serde_json::Value;

use super::{binary, names, on_both, text};

on_both!(a_missing_folder, a_folder_that_is_not_ours, a_full_disk);

fn a_missing_folder(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    fails_after_two_tries(&site, &server, "no/such/", "remote.no_such_folder");
    assert_eq!(names(&server), ["whole.txt"]);
}

fn a_folder_that_is_not_ours(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    // As root: another user's. Else: ours, and still not to be written to.
    let locked = server.folder().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o555)).unwrap();
    fails_after_two_tries(&site, &server, "locked/", "remote.permission_denied");
    assert_eq!(std::fs::read_dir(&locked).unwrap().count(), 0);
}

fn fails_after_two_tries(site: &Site, server: &OpenSsh, prefix: &str, code: &str) {
    // Two endpoints of one server: what one folder refuses says nothing of the other.
    site.apply(&[Partner::at("acme", server).prefix(prefix), Partner::at("beta", server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("whole.txt", "content").unwrap();
    let delivery = site.wait_for_state("whole.txt", "acme/sftp", "failed", 30).unwrap();
    assert_told(&delivery, code, 2);
    assert_eq!(Code::by_name(code).unwrap().class, Class::Remote);
    assert_eq!(delivery["charged"], 2, "{delivery:#}");
    let delivered = site.wait_for_state("whole.txt", "beta/sftp", "delivered", 0).unwrap();
    assert_eq!(std::fs::read(server.folder().join("whole.txt")).unwrap(), b"content", "{delivered:#}");
    // The server works: a refusal of a file is no strike against its lane.
    let endpoint = site.json(["endpoint", "show", "acme/sftp"]).unwrap();
    assert_eq!(
        (text(&endpoint, "/health"), endpoint["strikes"].as_i64()),
        ("closed", Some(0)),
        "{endpoint:#}"
    );
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

/// `tries` attempts ended with `code`, all charged, and the delivery says why and what to do.
fn assert_told(delivery: &Value, code: &str, tries: usize) {
    let attempts = delivery["attempt"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().filter(|a| a["code"] == code).collect();
    assert_eq!(told.len(), tries, "{delivery:#}");
    assert!(told.iter().all(|a| a["charged"] == true), "{delivery:#}");
    assert_eq!(text(delivery, "/fault_code"), code, "{delivery:#}");
    let fault = text(delivery, "/fault");
    let (folder, name) = text(delivery, "/remote_name").rsplit_once('/').unwrap_or_default();
    assert!(fault.contains(folder) && fault.contains(name) && fault.contains("\nhint: "), "{fault}");
}

fn a_full_disk(site: Site) {
    let disk = need!(SmallDisk::mount(128 * 1024));
    let filler = disk.path().join("filler");
    std::fs::write(&filler, vec![0; 64 * 1024]).unwrap();
    let folder = disk.path().join("in");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let server = need!(OpenSsh::start(Config { folder: Some(folder), ..Config::default() }));
    let content = binary(100 * 1024, 3);
    let watch = FolderWatch::start(server.folder(), [("scan.pdf", content.as_slice())]);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("scan.pdf", &content).unwrap();
    let delivery = site
        .wait_for_delivery("scan.pdf", "acme/sftp", 30, |d| {
            d["state"] == "retrying" && !d["fault_code"].is_null()
        })
        .unwrap();
    assert_told(&delivery, "remote.disk_full", delivery["attempt"].as_array().unwrap().len());

    // What it had written is gone while it waits: a disk that we kept full ourselves could not be mended.
    site.wait_for_delivery("scan.pdf", "acme/sftp", 600, |d| {
        d["state"] == "retrying" && names(&server).is_empty()
    })
    .unwrap();
    std::fs::remove_file(&filler).unwrap();
    let delivery = site.wait_for_state("scan.pdf", "acme/sftp", "delivered", 1200).unwrap();
    assert!(delivery["fault"].is_null(), "{delivery:#}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}
