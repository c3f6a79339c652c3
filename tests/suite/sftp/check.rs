//! `outport endpoint check` on OpenSSH.

use std::path::Path;

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};
use serde_json::{Value, json};

fn answer<'a>(report: &'a Value, probe: &str) -> &'a Value {
    let found = report["findings"]["found"].as_array().unwrap();
    let finding = found.iter().find(|finding| finding["probe"] == probe);
    &finding.unwrap_or_else(|| panic!("{probe} is not in {report:#}"))["answer"]
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

fn check(site: &Site, more: &[&str]) -> (Option<i32>, Value) {
    let arguments = ["endpoint", "check", "acme/sftp", "--json"].into_iter().chain(more.iter().copied());
    let ended = site.outport(arguments).run().unwrap();
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code, report)
}

#[test]
fn openssh_can_nearly_everything_and_keeps_nothing() {
    let server = need!(OpenSsh::start(Config::default()));
    let site = need!(Site::on_sqlite());
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let (code, report) = check(&site, &["--mkdirs", "--save"]);
    assert_eq!(code, Some(0), "{report:#}");
    for probe in [
        "write",
        "fstat",
        "mode",
        "mtime",
        "fsync",
        "stat",
        "list",
        "read-back",
        "resume",
        "empty-file",
        "exclusive",
        "rename",
        "posix-rename",
        "two-files",
        "two-connections",
        "make-folder",
        "remove",
    ] {
        assert_eq!(answer(&report, probe), "yes", "{probe}: {report:#}");
    }
    assert_eq!(answer(&report, "rename-over")["refused"]["code"], "remote.exists", "{report:#}");
    assert!(answer(&report, "checksum")["no"].is_string(), "{report:#}");
    assert_eq!((&report["proposed"], &report["misfits"]), (&json!({}), &json!([])), "{report:#}");
    assert_eq!(report["findings"]["write_bytes"], 261_120, "{report:#}");
    assert_eq!(report["findings"]["host_key"], server.fingerprint(), "{report:#}");
    assert!(is_empty(server.folder()));

    let profile = site.json(["endpoint", "show", "acme/sftp"]).unwrap()["profile"].clone();
    assert_eq!((&profile["revision"], &profile["found"]), (&json!(1), &report["findings"]));
    let shown = site.done(["endpoint", "show", "acme/sftp"]).unwrap().stdout;
    assert!(shown.contains("it cannot: compute the sha256, rename over a file"), "{shown}");
    site.apply(&[Partner::at("acme", &server).host_key(server.fingerprint()).prefix("x")]).unwrap();
    let partner = Partner { username: "other".into(), ..Partner::at("acme", &server) };
    site.apply(&[partner]).unwrap();
    let shown = site.done(["endpoint", "show", "acme/sftp"]).unwrap().stdout;
    assert!(shown.contains("of an older revision"), "{shown}");
}

#[test]
fn what_a_server_refuses_becomes_another_plan() {
    for (denied, proposed) in [
        ("-P stat,lstat", json!({"verify": "list"})),
        ("-P rename,posix-rename", json!({"temp": "none"})),
        ("-P stat,lstat,opendir", json!({"write_only": true, "one_handle": true})),
    ] {
        let server = need!(OpenSsh::start(Config { sftp_options: denied, ..Config::default() }));
        let site = need!(Site::on_sqlite());
        site.apply(&[Partner::at("acme", &server)]).unwrap();
        let (code, report) = check(&site, &[]);
        assert_eq!((code, &report["proposed"]), (Some(1), &proposed), "{denied}: {report:#}");
        assert_ne!(report["misfits"], json!([]), "{denied}: {report:#}");
        assert!(is_empty(server.folder()), "{denied}");
        let table = site.outport(["endpoint", "check", "acme/sftp"]).run().unwrap();
        assert!(table.stdout.contains("[subscriber.endpoint.upload]"), "{table:?}");
        assert!(table.stderr.contains("does not suit the server"), "{table:?}");
    }
}

#[test]
fn what_cannot_be_removed_is_told() {
    let server = need!(OpenSsh::start(Config { sftp_options: "-P remove", ..Config::default() }));
    let site = need!(Site::on_sqlite());
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let (code, report) = check(&site, &[]);
    assert_eq!(code, Some(1), "{report:#}");
    let left = report["findings"]["left"].as_array().unwrap();
    let there = std::fs::read_dir(server.folder()).unwrap().count();
    assert!(there > 0 && left.len() == there, "{there} files: {report:#}");
    assert!(left.iter().all(|path| path.as_str().unwrap().starts_with(".outport-check-")), "{report:#}");
}

#[test]
fn a_folder_that_is_not_there_and_a_server_that_is_not() {
    let mut server = need!(OpenSsh::start(Config::default()));
    let site = need!(Site::on_sqlite());
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let (code, report) = check(&site, &["--folder", "no/such/"]);
    assert_eq!((code, &report["proposed"]), (Some(1), &Value::Null), "{report:#}");
    assert_eq!(answer(&report, "write")["refused"]["code"], "remote.no_such_folder", "{report:#}");
    let wrong = site.outport(["endpoint", "check", "acme/sftp", "--folder", "../up"]).run().unwrap();
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    server.stop().unwrap();
    let down = site.outport(["endpoint", "check", "acme/sftp"]).run().unwrap();
    assert_eq!(down.code, Some(1), "{down:?}");
    assert!(down.stderr.contains("[endpoint.refused]\nhint: "), "{down:?}");
    let nobody = site.outport(["endpoint", "check", "acme/nobody"]).run().unwrap();
    assert!(nobody.code == Some(1) && nobody.stderr.contains("[usage.not_found]"), "{nobody:?}");
}
