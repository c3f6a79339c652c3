//! `outport replay` from the command line: what is wrong with it is said, and one failed file is sent again.

use crate::bad_input::site::{Site, refused, until};

#[test]
fn wrong_words_are_exit_2_with_a_hint_and_open_nothing() {
    let site = Site::without_definitions();
    let long = "x".repeat(256);
    let start = ["replay", "start", "--redeliver", "--subscriber", "acme"];
    let signed = |reason: &'static str, key: &'static str| {
        [&start[..], &["--reason", reason, "--idempotency-key", key]].concat()
    };
    let plan = |more: &[&'static str]| [&["replay", "plan", "--redeliver"], more].concat();
    for (arguments, hint) in [
        (plan(&[]), "name at least one of --state"),
        (plan(&["--since", "2026-11-01T10:00:00"]), "add Z for UTC or an offset"),
        (plan(&["--since", "2026-11-01"]), "add Z for UTC or an offset"),
        (plan(&["--until", "yesterday"]), "2h or 3d"),
        (plan(&["--since", "1h", "--until", "2h"]), "exchange them"),
        (plan(&["--state", "nix"]), "use failed, unconfirmed, cancelled, delivered"),
        (plan(&["--state", "unrouted"]), "use --reprocess"),
        (plan(&["--fault", "remote.nix"]), "docs/ERRORS.md"),
        (plan(&["--name", "a**b"]), "* and ? stand for"),
        (plan(&["--id", "fil_01h455vb4pex5vsknk084sn02q"]), "--redeliver takes dlv_"),
        (plan(&["--id", "nix"]), "--redeliver takes dlv_"),
        (signed("", "k"), "1 to 255 characters"),
        (signed("  ", "k"), "1 to 255 characters"),
        ([&start[..], &["--reason", &long, "--idempotency-key", "k"]].concat(), "1 to 255 characters"),
        (signed("why", " "), "for example a ticket"),
        (signed("why", "rpl_01h455vb4pex5vsknk084sn02q"), "for example a ticket"),
        (vec!["replay", "pause", "nix", "--reason", "why"], "outport replay list"),
        (vec!["replay", "cancel", "rpl_01h455vb4pex5vsknk084sn02q", "--reason", ""], "1 to 255 characters"),
    ] {
        refused(&site.run(&arguments), 2, "usage.invalid", hint);
    }
    for arguments in [
        &["replay"][..],
        &["replay", "plan", "--subscriber", "acme"],
        &["replay", "plan", "--redeliver", "--reprocess", "--state", "failed"],
        &["replay", "plan", "--reprocess", "--as-sent", "--state", "failed"],
        &["replay", "start", "--redeliver", "--state", "failed", "--idempotency-key", "k"],
        &["replay", "start", "--redeliver", "--state", "failed", "--reason", "why"],
        &["replay", "start", "--redeliver", "--reason", "w", "--idempotency-key", "k", "--per-minute", "0"],
        &["replay", "pause", "rpl_01h455vb4pex5vsknk084sn02q"],
    ] {
        let answer = site.run(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", answer.stderr);
        assert!(answer.stderr.contains("--help"), "{arguments:?}: {}", answer.stderr);
    }
    assert!(!site.data().join("outport.db").exists());
}

#[test]
fn what_is_not_there_is_exit_1_with_a_hint() {
    let site = Site::new();
    let unknown = "rpl_01h455vb4pex5vsknk084sn02q";
    for arguments in [
        &["replay", "plan", "--redeliver", "--subscriber", "nix"][..],
        &["replay", "plan", "--redeliver", "--endpoint", "acme/nix"],
        &["replay", "plan", "--reprocess", "--group", "' OR 1=1 --"],
        &["replay", "plan", "--redeliver", "--id", "dlv_01h455vb4pex5vsknk084sn02q"],
        &["replay", "plan", "--reprocess", "--id", "fil_01h455vb4pex5vsknk084sn02q"],
        &["replay", "status", unknown],
        &["replay", "status", "nix"],
        &["replay", "pause", unknown, "--reason", "why"],
    ] {
        refused(&site.run(arguments), 1, "usage.not_found", "list");
    }
    let nothing =
        ["replay", "start", "--redeliver", "--state", "failed", "--reason", "w", "--idempotency-key", "k"];
    refused(&site.run(&nothing), 1, "replay.nothing", "outport replay plan");
    assert_eq!(site.json(&["replay", "list"]), serde_json::json!([]));
    let plan =
        site.run(&["replay", "plan", "--redeliver", "--since", "2h", "--until", "2030-01-01T00:00:00+01:00"]);
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.contains("--until 2029-12-31T23:00:00Z"), "{}", plan.stdout);
    let since = plan.stdout.split("--since ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(since.starts_with("20") && since.ends_with('Z'), "{since}");
    assert!(plan.stderr.contains("nothing to start"), "{}", plan.stderr);
}

#[test]
fn one_reviewed_command_sends_again_what_failed() {
    let site = Site::new().set("OUTPORT_TIMING_SCALE", "0.03");
    std::fs::rename(site.inbox(), site.folder().join("partner/elsewhere")).unwrap();
    let up = site.up();
    site.upload("a.txt", "content");
    let failed = site.settled("a.txt", 1);
    assert_eq!(
        (&failed[0]["state"], &failed[0]["fault_code"]),
        (&"failed".into(), &"remote.no_such_folder".into())
    );
    std::fs::rename(site.folder().join("partner/elsewhere"), site.inbox()).unwrap();

    let filter =
        ["--redeliver", "--endpoint", "acme/sftp", "--fault", "remote.no_such_folder", "--since", "1h"];
    let plan = site.run(&[&["replay", "plan"], &filter[..]].concat());
    assert_eq!(plan.code, Some(0), "{}", plan.stderr);
    assert!(plan.stdout.contains("would be sent     1 deliveries"), "{}", plan.stdout);
    assert!(
        plan.stderr.contains("outport replay start --redeliver --endpoint acme/sftp --since 20"),
        "{}",
        plan.stderr
    );
    assert!(site.arrived().is_empty(), "a plan sends nothing");

    let signed = ["--reason", "the folder was missing", "--idempotency-key", "INC-1"];
    let start = [&["replay", "start"], &filter[..], &signed[..]].concat();
    let started = site.run(&start);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    until("the file in the inbox", || match site.arrived() {
        names if names == ["a.txt"] => Ok(()),
        names => Err(format!("{names:?}")),
    });
    let status = until("a delivered replay", || {
        let status = site.json(&["replay", "status", "INC-1"]);
        match status["deliveries"][0]["what"] == "delivered" && status["state"] == "done" {
            true => Ok(status),
            false => Err(format!("{status:#}")),
        }
    });
    assert_eq!((&status["created"], &status["skipped"]), (&1.into(), &0.into()));
    assert_eq!(status["history"][0]["reason"], "the folder was missing");
    // The same command again: it is known, nothing runs, and nothing is left to select.
    let again = site.run(&start);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stderr.contains("was started before"), "{}", again.stderr);
    assert!(again.stdout.contains(status["id"].as_str().unwrap()), "{}", again.stdout);
    let other = [
        "replay",
        "start",
        "--redeliver",
        "--state",
        "delivered",
        "--reason",
        "w",
        "--idempotency-key",
        "INC-1",
    ];
    refused(&site.run(&other), 1, "replay.key_taken", "another key");
    let over = site.run(&["replay", "cancel", status["id"].as_str().unwrap(), "--reason", "w"]);
    refused(&over, 2, "usage.invalid", "present state");
    let open = ["replay", "start", "--redeliver", "--id", failed[0]["id"].as_str().unwrap(), "--reason", "w"];
    let resolved = site.run(&[&open[..], &["--idempotency-key", "INC-2"]].concat());
    refused(&resolved, 1, "replay.nothing", "outport replay plan");
    assert!(resolved.stderr.contains("resolved by dlv_"), "{}", resolved.stderr);
    drop(up);
}
