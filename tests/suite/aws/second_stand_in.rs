//! The same on MiniStack, whose events carry versions and sequencers. Small files: it answers a request for a range with the
//! whole object, which we refuse to take for a part.

use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};

use super::delivered::{Uploaded, arrive};
use super::drained;
use crate::e2e::{CLAIMS, CLAIMS_CSV, binary, on_both};

on_both!(what_is_uploaded_arrives, each_version_of_a_key_arrives);

fn what_is_uploaded_arrives(site: Site) {
    let cloud = need!(Cloud::on_ministack());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    let image = binary(200_000, 1);
    let files: [Uploaded; 3] = [
        ("claims/monday.ndjson", CLAIMS.as_bytes(), "monday.csv", CLAIMS_CSV.as_bytes()),
        ("images/scan.pdf", &image, "scan.pdf", &image),
        ("a b+c \u{fc} %41.txt", b"\r\n\0\x1a\r\n", "a b+c \u{fc} %41.txt", b"\r\n\0\x1a\r\n"),
    ];
    arrive(&cloud, &site, &server, &files);
}

fn each_version_of_a_key_arrives(site: Site) {
    let cloud = need!(Cloud::on_ministack());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut versions: Vec<String> = (0..5)
        .map(|n| cloud.upload("a.txt", format!("version {n}").as_bytes()).unwrap().expect("a version"))
        .collect();
    let mut up = site.up().unwrap();
    drained(&cloud, &site);
    site.wait_for_settled(5, 60).unwrap();
    assert_eq!(
        std::fs::read(server.folder().join("a.txt")).unwrap(),
        b"version 4",
        "never an older one on top"
    );
    let listed = site.json(["file", "list"]).unwrap();
    let mut recorded: Vec<String> =
        listed.as_array().unwrap().iter().map(|f| f["version"].as_str().unwrap().to_owned()).collect();
    versions.sort();
    recorded.sort();
    assert_eq!(recorded, versions, "the very versions that S3 named");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}
