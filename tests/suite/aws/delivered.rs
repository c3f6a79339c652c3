//! Upload, event, dispatch, transform, delivery: all of it, with nobody's help.

use outport_tests::need;
use outport_tests::servers::cloud::{ARTIFACTS, Cloud};
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{BUCKET, FolderWatch, Partner, Site};

use super::drained;
use crate::e2e::{CLAIMS, CLAIMS_CSV, binary, on_both};

on_both!(what_is_uploaded_arrives, what_put_uploads_arrives, each_version_of_a_key_arrives);

fn what_is_uploaded_arrives(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    // In two parts by our own `put`: moto tells of such an object twice.
    let large = binary(20_000_000, 1);
    let files: [Uploaded; 4] = [
        ("claims/monday.ndjson", CLAIMS.as_bytes(), "monday.csv", CLAIMS_CSV.as_bytes()),
        ("images/scan.pdf", &large, "scan.pdf", &large),
        ("a b+c \u{fc} %41.txt", b"\r\n\0\x1a\r\n", "a b+c \u{fc} %41.txt", b"\r\n\0\x1a\r\n"),
        ("empty.txt", b"", "empty.txt", b""),
    ];
    let watch = FolderWatch::start(server.folder(), files.map(|(_, _, name, content)| (name, content)));
    arrive(&cloud, &site, &server, &files);
    watch.finish().unwrap();
    // What arrived is read where it arrived; only what was made of it lies with us.
    let mut made = cloud.keys(ARTIFACTS).unwrap();
    made.retain(|key| key != "made/LEDGER");
    assert!(made.len() == 1 && made[0].starts_with("made/outputs/"), "{made:?}");
}

/// Key, content, name at the partner, content there.
pub type Uploaded<'a> = (&'a str, &'a [u8], &'a str, &'a [u8]);

/// Uploads each, those named `images/` by our own `put`, and waits until each has arrived once.
pub fn arrive(cloud: &Cloud, site: &Site, server: &OpenSsh, files: &[Uploaded]) {
    site.apply(&[Partner::at("acme", server)]).unwrap();
    let mut up = site.up().unwrap();
    for (key, content, _, _) in files {
        match key.starts_with("images/") {
            true => site.put(key, content).unwrap(),
            false => drop(cloud.upload(key, content).unwrap()),
        }
    }
    for (key, _, name, content) in files {
        site.wait_for_state(key, "acme/sftp", "delivered", 0).unwrap();
        assert!(std::fs::read(server.folder().join(name)).unwrap() == *content, "{name}");
    }
    drained(cloud, site);
    assert_eq!(site.deliveries().unwrap().len(), files.len(), "each once");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn what_put_uploads_arrives(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("a.txt", "one").unwrap();
    site.wait_for_state("a.txt", "acme/sftp", "delivered", 0).unwrap();
    // The same key again is a new version, as in a folder.
    site.put("a.txt", "two").unwrap();
    site.wait_for_all(2, 60).unwrap();
    assert_eq!(std::fs::read(server.folder().join("a.txt")).unwrap(), b"two");
    let refused = site.outport(["put", "/etc/hostname", &format!("s3://{BUCKET}/x.part")]).run().unwrap();
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let nowhere = site.outport(["put", "/etc/hostname", "s3://nowhere/x"]).run().unwrap();
    assert!(nowhere.stderr.contains("intake.bucket_missing"), "{nowhere:?}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}

fn each_version_of_a_key_arrives(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    // Nobody looks while they are written: all but the last are overwritten when the first event is read.
    for n in 0..5 {
        cloud.upload("a.txt", format!("version {n}").as_bytes()).unwrap();
    }
    cloud.upload("gone.txt", b"removed before anybody looked").unwrap();
    cloud.wait(cloud.s3.delete_object().bucket(BUCKET).key("gone.txt").send()).unwrap();
    let mut up = site.up().unwrap();
    drained(&cloud, &site);
    let deliveries = site.wait_for_settled(6, 60).unwrap();
    let state = |wanted: &str| deliveries.iter().filter(|d| d["state"] == wanted).count();
    assert_eq!(state("delivered") + state("cancelled"), 6, "{deliveries:?}");
    assert_eq!(
        std::fs::read(server.folder().join("a.txt")).unwrap(),
        b"version 4",
        "never an older one on top"
    );
    assert_eq!(
        std::fs::read(server.folder().join("gone.txt")).unwrap(),
        b"removed before anybody looked",
        "the version is there, whatever stands in front of it"
    );
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}
