//! A secret stays where it is: in its file or variable, and on the wire.

use std::fs;
use std::path::Path;

use outport_tests::child::Stream;

use crate::bad_input::site::{LIMIT, PASSWORD, Site};

#[track_caller]
fn clean(what: &str, text: &[u8]) {
    let marker = PASSWORD.as_bytes();
    assert!(!text.windows(marker.len()).any(|window| window == marker), "the password is in {what}");
}

/// Every file below `folder` but the password's own.
fn search(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path);
        } else if path.file_name() != Some("password".as_ref()) {
            clean(&path.display().to_string(), &fs::read(&path).unwrap());
        }
    }
}

#[test]
fn a_password_is_neither_logged_nor_stored_nor_shown() {
    for by_variable in [false, true] {
        let site = Site::without_definitions().set("OUTPORT_LOG_LEVEL", "trace");
        let site = if by_variable { site.set("ACME_PASSWORD", PASSWORD) } else { site };
        let mut definitions = site.definitions(site.partner().address());
        if by_variable {
            let reference = format!("file:{}", site.folder().join("password").display());
            definitions = definitions.replace(&reference, "env:ACME_PASSWORD");
        }
        fs::write(site.folder().join("partners.toml"), definitions).unwrap();
        for command in [&["apply", "partners.toml"][..], &["apply", "--check", "partners.toml"]] {
            let answer = site.run(command);
            assert_eq!(answer.code, Some(0), "{}", answer.stderr);
            clean("apply", answer.stdout.as_bytes());
            clean("apply", answer.stderr.as_bytes());
        }
        let mut up = site.up();
        site.upload("a.txt", "content");
        assert_eq!(site.settled("a.txt", 1)[0]["state"], "delivered");
        // A refused login is when programs like to print what they tried.
        let wrong = fs::read_to_string(site.folder().join("partners.toml")).unwrap();
        let wrong = wrong.replace("username = \"outport\"", "username = \"nobody\"");
        fs::write(site.folder().join("wrong.toml"), wrong).unwrap();
        assert_eq!(site.run(&["apply", "wrong.toml"]).code, Some(0));
        site.upload("b.txt", "content");
        up.wait_for_line(Stream::Err, "credential.refused", LIMIT).unwrap();

        let command_line = fs::read(format!("/proc/{}/cmdline", up.pid())).unwrap();
        assert!(!command_line.is_empty());
        clean("the command line", &command_line);
        for command in [
            &["config", "check"][..],
            &["config", "check", "--json"],
            &["endpoint", "show", "acme/sftp"],
            &["endpoint", "show", "acme/sftp", "--json"],
            &["delivery", "list", "--json"],
            &["subscription", "show", "acme-plain", "--json"],
        ] {
            let answer = site.run(command);
            assert_eq!(answer.code, Some(0), "{command:?}: {}", answer.stderr);
            clean(&format!("{command:?}"), format!("{}{}", answer.stdout, answer.stderr).as_bytes());
        }
        search(site.folder());
        assert_eq!(up.stop(LIMIT).unwrap().code(), Some(0));
        clean("the log", up.printed(Stream::Err).as_bytes());
        clean("the output", up.printed(Stream::Out).as_bytes());
        search(site.folder());
    }
}

#[test]
fn the_password_of_a_database_is_not_repeated() {
    let site = Site::without_definitions();
    for url in [
        format!("postgres://app:{PASSWORD}@127.0.0.1:99999/x"),
        format!("postgres://app:{PASSWORD}@[::1/x"),
        format!("postgres://app:a {PASSWORD}@host name/x"),
        format!("postgres://127.0.0.1:99999/x?user=app&password={PASSWORD}"),
        format!("mysql://app:{PASSWORD}@127.0.0.1/x"),
        format!("app:{PASSWORD}@127.0.0.1/x"),
    ] {
        for command in [&["file", "list"][..], &["up"], &["migrate"]] {
            let answer = site.outport(command).env("OUTPORT_DATABASE", &url).run().unwrap();
            assert_eq!(answer.code, Some(1), "{url}: {}", answer.stderr);
            assert!(answer.stderr.contains("[config.invalid]"), "{url}: {}", answer.stderr);
            clean(&url, answer.stderr.as_bytes());
        }
        for command in [&["config", "check"][..], &["config", "check", "--json"]] {
            let answer = site.outport(command).env("OUTPORT_DATABASE", &url).run().unwrap();
            assert_eq!(answer.code, Some(0), "{}", answer.stderr);
            clean(&url, answer.stdout.as_bytes());
        }
    }
}

#[test]
fn file_names_can_be_kept_out_of_the_log() {
    let site = Site::new().set("OUTPORT_LOG_FILE_NAMES", "false").set("OUTPORT_LOG_LEVEL", "debug");
    let mut up = site.up();
    // Delivered, failed in its transform, rejected, refused by the naming, refused by the partner's server.
    fs::create_dir(site.inbox().join("jane-doe-in-the-way.txt")).unwrap();
    for name in
        ["jane-doe.txt", "jane-doe.json", "jane-doe\u{1b}.txt", " jane-doe.txt", "jane-doe-in-the-way.txt"]
    {
        site.upload(name, "{");
    }
    for name in ["jane-doe.txt", "jane-doe.json", " jane-doe.txt"] {
        site.settled(name, 1);
    }
    site.recorded("jane-doe\u{1b}.txt");
    up.wait_for_line(Stream::Err, "remote.", LIMIT).unwrap();
    assert_eq!(up.stop(LIMIT).unwrap().code(), Some(0));
    let log = up.printed(Stream::Err);
    let leaks: Vec<&str> = log.lines().filter(|line| line.contains("jane")).collect();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    // Who looks at the database may see them.
    assert!(site.run(&["delivery", "list"]).stdout.contains("jane-doe.txt"));
}
