//! Keys that cannot be sent: refused where they are given, or recorded with the reason, and harmless on a terminal.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use outport_tests::child::Stream;

use crate::bad_input::site::{Site, refused};

#[test]
fn put_refuses_keys_that_are_no_file_or_would_never_be_sent() {
    let site = Site::new();
    std::fs::write(site.folder().join("x"), "content").unwrap();
    let (longest, too_long) = ("n".repeat(255), "n".repeat(256));
    let deep = "d/".repeat(512) + "x";
    let put = |key: &str| site.run(&["put", "x", &format!("s3://in/{key}")]);
    for key in ["../y", "a/../../y", "a/./y", "a//y", "/y", "a/", "", "a\u{1b}[31mb", "a\nb", "a\tb", &deep] {
        refused(&put(key), 1, "route.bad_key", "another key");
    }
    refused(&put(&too_long), 1, "intake.bad_key", "255 bytes");
    // The intake leaves these alone until they are renamed: "put" would say yes and nobody would get them.
    for key in ["a.part", "a.tmp", "a.filepart", ".a", "b/.a", ".git/a", ".outport-1.part"] {
        refused(&put(key), 1, "intake.bad_key", "another name");
    }
    for (object, hint) in
        [("in/y", "s3://BUCKET/KEY"), ("s3://in", "s3://BUCKET/KEY"), ("s3:///y", "s3://BUCKET/KEY")]
    {
        refused(&site.run(&["put", "x", object]), 2, "usage.invalid", hint);
    }
    for bucket in ["..", ".", ".in", "nix"] {
        let hint = if bucket == "nix" { "data/buckets/nix" } else { "bucket" };
        refused(&site.run(&["put", "x", &format!("s3://{bucket}/y")]), 1, "intake.bucket_missing", hint);
    }
    refused(&site.run(&["put", "nix", "s3://in/y"]), 1, "local.io_failed", "path");
    refused(&site.run(&["put", ".", "s3://in/y"]), 1, "local.io_failed", "path");
    assert_eq!(std::fs::read_dir(site.bucket()).unwrap().count(), 0, "something of them is in the bucket");
    assert!(!site.folder().join("y").exists() && !site.data().join("y").exists());

    let fits = put(&longest);
    assert_eq!(fits.code, Some(0), "{}", fits.stderr);
}

#[test]
fn names_that_cannot_be_keys_are_recorded_and_do_not_reach_the_terminal() {
    let site = Site::new();
    let up = site.up();
    for name in [
        &b"red\x1b[31m.txt"[..],
        b"two\nlines routed fil_1.txt",
        b"caf\xe9.txt",
        b"caf\xe8.txt",
        b"bell\x07.txt",
    ] {
        site.upload(OsStr::from_bytes(name), "content");
    }
    let cases = [
        ("red\u{1b}[31m.txt", "route.bad_key", 1),
        ("two\nlines routed fil_1.txt", "route.bad_key", 1),
        ("bell\u{7}.txt", "route.bad_key", 1),
        // Two files, shown alike, told apart by their versions.
        ("caf\u{fffd}.txt", "intake.bad_key", 2),
    ];
    site.upload("last.txt", "content");
    assert_eq!(site.settled("last.txt", 1)[0]["state"], "delivered");
    for (key, code, count) in cases {
        site.recorded(key);
        let files: Vec<_> = site.files().into_iter().filter(|file| file["key"] == key).collect();
        assert_eq!(files.len(), count, "{key:?}: {files:#?}");
        for file in files {
            let problem = file["problem"].as_str().unwrap();
            assert_eq!(file["state"], "rejected", "{file:#}");
            assert!(problem.contains(code) && problem.contains("hint: "), "{problem}");
            // Neither on a terminal nor in a log may a name move the cursor or begin a line of its own.
            let shown = site.run(&["file", "show", file["id"].as_str().unwrap()]);
            harmless(&shown.stdout);
            assert!(shown.stdout.lines().all(|line| !line.starts_with("lines routed")), "{}", shown.stdout);
        }
    }
    let listed = site.run(&["file", "list"]);
    harmless(&listed.stdout);
    assert_eq!(listed.stdout.lines().count(), 1 + 6, "{}", listed.stdout);
    let log = up.printed(Stream::Err);
    harmless(&log);
    assert!(log.lines().all(|line| !line.starts_with("lines routed")), "{log}");
    assert_eq!(site.arrived(), ["last.txt"]);
}

#[track_caller]
fn harmless(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}

#[test]
fn names_that_a_partner_could_not_take_fail_with_the_reason() {
    let site = Site::new();
    let _up = site.up();
    let names = [
        " leading.txt",
        "trailing ",
        "dot.",
        "exe\u{202e}fdp.txt",
        "back\\slash.txt",
        "zero\u{200b}width.txt",
    ];
    for name in names {
        site.upload(name, "content");
    }
    for name in names {
        let delivery = &site.settled(name, 1)[0];
        assert_eq!(delivery["state"], "failed", "{delivery:#}");
        assert_eq!(delivery["fault_code"], "route.name_refused", "{delivery:#}");
        assert!(delivery["fault"].as_str().unwrap().contains("hint: "), "{delivery:#}");
    }
    let listed = site.run(&["file", "list"]).stdout;
    assert!(!listed.contains('\u{202e}'), "{listed:?}");
    assert_eq!(site.arrived(), Vec::<String>::new());
}

#[test]
fn links_and_pipes_in_a_bucket_are_left_alone() {
    let site = Site::new();
    let outside = site.folder().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("private.txt"), "not for the partner").unwrap();
    symlink(outside.join("private.txt"), site.bucket().join("link.txt")).unwrap();
    symlink(&outside, site.bucket().join("folder")).unwrap();
    symlink(site.bucket(), site.bucket().join("loop")).unwrap();
    symlink(&outside, site.data().join("buckets/bucket")).unwrap();
    symlink("nowhere", site.bucket().join("broken.txt")).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        site.bucket().join("pipe.txt"),
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    let _up = site.up();
    symlink(outside.join("private.txt"), site.bucket().join("later.txt")).unwrap();
    // Two real files, the second after a sweep had its chance: by then the links were seen.
    for name in ["real.txt", "real2.txt"] {
        site.upload(name, name);
        site.settled(name, 1);
    }
    let keys: Vec<String> =
        site.files().iter().map(|file| file["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, ["real2.txt", "real.txt"]);
    assert_eq!(site.arrived(), ["real.txt", "real2.txt"]);

    // Writing through a link is refused, too.
    std::fs::write(site.folder().join("x"), "content").unwrap();
    refused(&site.run(&["put", "x", "s3://in/folder/new.txt"]), 1, "intake.bad_key", "in the way");
    refused(&site.run(&["put", "x", "s3://bucket/new.txt"]), 1, "intake.bucket_missing", "");
    assert!(!outside.join("new.txt").exists());
    // In place of a link, not through it.
    assert_eq!(site.run(&["put", "x", "s3://in/link.txt"]).code, Some(0));
    assert_eq!(std::fs::read_to_string(outside.join("private.txt")).unwrap(), "not for the partner");
}
