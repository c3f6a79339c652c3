//! A wrong password: servers lock accounts, so two tries are all there are, however much waits.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{FolderWatch, Login, Partner, Site};

use super::{names, on_both, text};

const FILES: usize = 10;

on_both!(two_refused_logins_stop_the_lane_until_the_secret_changes);

fn refusals(server: &OpenSsh) -> usize {
    server.log().matches("Failed password for").count()
}

fn two_refused_logins_stop_the_lane_until_the_secret_changes(site: Site) {
    let server = need!(OpenSsh::start(Config { password: true, ..Config::default() }));
    let other = need!(OpenSsh::start(Config::default()));
    let names_of_files: Vec<String> = (0..FILES).map(|n| format!("{n:02}.txt")).collect();
    let all = names_of_files.iter().map(String::as_str).chain(["last.txt"]);
    let watch = FolderWatch::start(server.folder(), all.map(|name| (name, name.as_bytes())));
    let file = site.write("password", "not the password").unwrap();
    let acme = Partner::at("acme", &server).login(Login::password(&file));
    site.apply(&[acme, Partner::at("beta", &other)]).unwrap();

    // All of them wait before the first login.
    for name in &names_of_files {
        site.put(name, name).unwrap();
    }
    let mut up = site.up().unwrap();
    let blocked = site.wait_for_endpoint("acme/sftp", 60, |e| e["blocked_reason"] == "credential").unwrap();
    assert_eq!(blocked["login_strikes"], 2, "{blocked:#}");
    assert!(blocked["blocked_until"].as_i64().is_some(), "it never opens by itself: {blocked:#}");

    // A further file, and the other partner's are through: the engine has had its chance to try once more.
    site.put("last.txt", "last.txt").unwrap();
    site.wait_for_state("last.txt", "beta/sftp", "delivered", 0).unwrap();
    assert_eq!((refusals(&server), names(&server)), (2, vec![]), "{}", server.log());
    let failed: Vec<_> = site
        .deliveries()
        .unwrap()
        .into_iter()
        .filter(|d| d["endpoint"] == "acme/sftp" && d["fault_code"] == "credential.refused")
        .collect();
    assert!(!failed.is_empty());
    for delivery in &failed {
        assert_eq!(
            (text(delivery, "/state"), delivery["charged"].as_i64()),
            ("retrying", Some(0)),
            "{delivery:#}"
        );
        assert!(text(delivery, "/fault").contains("\nhint: "), "{delivery:#}");
        assert!(!delivery.to_string().contains("not the password"), "{delivery:#}");
    }

    // The maintainer looks at the secret every 30 s (by the real clock).
    std::fs::write(&file, server.login().password.as_deref().unwrap()).unwrap();
    let deliveries = site.wait_for_all(2 * (FILES + 1), 120).unwrap();
    assert!(deliveries.iter().all(|d| d["fault"].is_null()), "{deliveries:#?}");
    assert_eq!(refusals(&server), 2, "{}", server.log());
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    watch.finish().unwrap();
    site.assert_invariants().unwrap();
}
