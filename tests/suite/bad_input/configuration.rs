//! Settings that do not exist or cannot be: refused with their names.

use crate::bad_input::site::{Site, refused};

#[test]
fn a_file_with_mistakes_is_refused() {
    let site = Site::without_definitions();
    let cases = [
        ("[intake]\nquite = \"1s\"", "config.unknown_key", "intake.quiet"),
        ("intake = 5", "config.unknown_key", "intake"),
        ("nonsense = 5", "config.unknown_key", "config check"),
        ("[intake\nquiet = \"1s\"", "config.unreadable", "line"),
        ("[intake]\nhorizon = \"1 fortnight\"", "config.invalid", "intake.horizon"),
        ("[intake]\nhorizon = 2", "config.invalid", "intake.horizon"),
        ("[workers]\nsends = \"many\"", "config.invalid", "workers.sends"),
        ("[workers]\nsends = 0", "config.invalid", ""),
        ("[log]\nformat = \"xml\"", "config.invalid", "log.format"),
        ("[timing]\nscale = 0.0", "config.invalid", ""),
    ];
    for (text, code, hint) in cases {
        std::fs::write(site.folder().join("bad.toml"), text).unwrap();
        for command in [&["config", "check"][..], &["up"], &["file", "list"]] {
            let answer = site.run(&[command, &["--config", "bad.toml"]].concat());
            refused(&answer, 1, code, hint);
        }
    }
    refused(&site.run(&["config", "check", "--config", "nix"]), 1, "config.unreadable", "path");
    assert!(!site.data().join("outport.db").exists());
}

#[test]
fn a_variable_with_a_mistake_is_named() {
    let site = Site::without_definitions();
    for (name, value) in [
        ("OUTPORT_WORKERS_SENDS", "many"),
        ("OUTPORT_WORKERS_SENDS", "-1"),
        ("OUTPORT_WORKERS_TRANSFORMS", "99999999"),
        ("OUTPORT_INTAKE_SWEEP", "1x"),
        ("OUTPORT_LOG_FORMAT", "xml"),
    ] {
        let answer = site.outport(&["config", "check"]).env(name, value).run().unwrap();
        refused(&answer, 1, "config.invalid", "");
        assert!(answer.stderr.contains(name), "{}", answer.stderr);
    }
    // A name that nearly is a setting is most likely meant to be one.
    let near = site.outport(&["config", "check"]).env("OUTPORT_INTAKE_SWEP", "1s").run().unwrap();
    assert_eq!(near.code, Some(0));
    assert!(
        near.stderr.contains("OUTPORT_INTAKE_SWEP") && near.stderr.contains("OUTPORT_INTAKE_SWEEP"),
        "{}",
        near.stderr
    );
    let own = site.outport(&["config", "check"]).env("OUTPORT_ACME_PASSWORD", "x").run().unwrap();
    assert_eq!((own.code, own.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_data_folder_that_is_not_there_is_no_empty_one() {
    let site = Site::without_definitions();
    for command in [
        &["delivery", "list"][..],
        &["problems"],
        &["why", "claims.json"],
        &["endpoint", "pause", "acme/sftp", "--reason", "maintenance"],
        &["replay", "plan", "--redeliver", "--subscriber", "acme"],
    ] {
        let answer = site.run(&[command, &["--data", "mistyped"]].concat());
        refused(&answer, 1, "database.missing", "--data");
        assert!(!site.folder().join("mistyped").exists(), "{command:?}");
    }
}
