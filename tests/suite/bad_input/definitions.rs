//! Definitions with mistakes: refused with the place and what to do, and the database is as it was.

use crate::bad_input::site::{Site, refused};

fn stored(site: &Site) -> [serde_json::Value; 2] {
    [site.json(&["endpoint", "list"]), site.json(&["subscription", "list"])]
}

#[test]
fn mistakes_are_refused_and_change_nothing() {
    let site = Site::new();
    let good = site.definitions(site.partner().address());
    let before = stored(&site);
    let cases = [
        ("[[transform]]", "[[transform]", "config.unreadable", "line"),
        ("name = \"ACME\"", "name = \"ACME", "config.unreadable", "line"),
        ("port = ", "prot = ", "config.unknown_key", "port"),
        ("[[subscription]]", "[[subscriptions]]", "config.unknown_key", "subscription"),
        ("protocol = \"sftp\"", "protocol = \"ftps\"", "config.not_available", "later version"),
        ("protocol = \"sftp\"", "protocol = \"gopher\"", "config.invalid", "sftp"),
        ("kind = \"json-to-csv\"", "kind = \"hl7-normalize\"", "config.not_available", "later version"),
        ("kind = \"json-to-csv\"", "kind = \"json-to-xml\"", "transform.kind_unknown", "json-to-csv"),
        ("password = \"file:", "password = \"plain:", "config.invalid", ""),
        ("code = \"acme\"", "code = \"../../acme\"", "config.invalid", "letters"),
        ("code = \"acme\"", "code = \"\"", "config.invalid", "letters"),
        ("subscriber = \"acme\"", "subscriber = \"acne\"", "config.invalid", "acme"),
        ("\"inbox/{name}\"", "\"../{name}\"", "config.invalid", ""),
        ("\"inbox/{name}\"", "\"inbox/{nmae}\"", "config.invalid", "name"),
        ("\"inbox/{name}\"", "\"inbox/{name\"", "config.invalid", ""),
        ("key = \"**\"", "key = \"/abs\"", "config.invalid", ""),
        ("host = \"127.0.0.1\"", "host = \"a b\"", "config.invalid", ""),
        ("port = ", "port = 9999999 #", "config.unreadable", "line"),
        ("SHA256:", "MD5:", "config.invalid", ""),
    ];
    for (old, new, code, hint) in cases {
        let bad = good.replacen(old, new, 1);
        assert_ne!(bad, good, "{old}");
        std::fs::write(site.folder().join("bad.toml"), bad).unwrap();
        println!("with {new}");
        for arguments in [&["apply", "bad.toml"][..], &["apply", "--check", "bad.toml"]] {
            refused(&site.run(arguments), 1, code, hint);
        }
    }
    std::fs::write(site.folder().join("bad.toml"), b"name = \"caf\xe9\"").unwrap();
    refused(&site.run(&["apply", "bad.toml"]), 1, "config.unreadable", "");
    refused(&site.run(&["apply", "nix.toml"]), 1, "config.unreadable", "path");
    refused(&site.run(&["apply", "."]), 1, "config.unreadable", "path");
    assert_eq!(stored(&site), before);
    let again = site.run(&["apply", "partners.toml"]);
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", "nothing to change\n"));
}

#[test]
fn a_mistake_makes_no_database() {
    let site = Site::without_definitions();
    std::fs::write(site.folder().join("bad.toml"), "nonsense").unwrap();
    refused(&site.run(&["apply", "bad.toml"]), 1, "config.unreadable", "line");
    assert!(!site.data().join("outport.db").exists());
}

#[test]
fn a_password_in_the_wrong_place_is_not_repeated() {
    let site = Site::new();
    let good = site.definitions(site.partner().address());
    let start = good.find("password = ").unwrap();
    let end = start + good[start..].find('\n').unwrap();
    for mistake in [
        "password = \"hunter-2\"",
        "pasword = \"hunter-2\"",
        "password = [\"hunter-2\"]",
        "password = hunter-2",
    ] {
        let bad = format!("{}{mistake}{}", &good[..start], &good[end..]);
        std::fs::write(site.folder().join("bad.toml"), bad).unwrap();
        let answer = site.run(&["apply", "bad.toml"]);
        assert_eq!(answer.code, Some(1), "{mistake}: {}", answer.stderr);
        assert!(!answer.stderr.contains("hunter"), "{mistake}: {}", answer.stderr);
    }
}
