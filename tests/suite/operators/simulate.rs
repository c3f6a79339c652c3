//! `outport endpoint simulate`: a timeline for people, one document for programs, and what it refuses.

use super::{done, has_line};
use outport_tests::process::Finished;

use crate::bad_input::site::{Site, refused};

const WEEKEND: &[&str] = &[
    "endpoint",
    "simulate",
    "acme/sftp",
    "--outage",
    "fri 18:00..mon 08:00",
    "--from",
    "2026-11-20T18:00:00Z",
    "--files",
    "4000",
];

#[test]
fn a_weekend_is_a_page_and_costs_no_delivery() {
    let site = Site::new();
    let told = site.run(WEEKEND);
    let lines = done(&told);
    assert!(lines.lines().count() < 80, "{lines}");
    has_line(lines, &["2026-11-20T18:00:00Z", "the endpoint goes down (endpoint.refused)"]);
    has_line(lines, &["breaker open for 30s until 2026-11-20T18:0"]);
    has_line(lines, &["times one file tries and fails [endpoint.refused]; open for 15m until"]);
    has_line(lines, &["2026-11-23T08:00:00Z", "the endpoint is up again"]);
    has_line(lines, &["half-open: one file tries and is delivered; breaker closed"]);
    for ramp in [2, 4, 8, 16, 32, 64] {
        has_line(lines, &[&format!("  {ramp} files at a time")]);
    }
    has_line(lines, &["people are told: lane_blocked"]);
    has_line(lines, &["people are told: lane_recovered"]);
    has_line(lines, &["delivered", "4000"]);
    has_line(lines, &["failed", " 0"]);
    assert_eq!(done(&site.run(WEEKEND)), lines, "the same again");

    let read = site.json(&[WEEKEND, &["--seed", "2"]].concat());
    assert_eq!(read["summary"]["delivered"], 4_000);
    assert_eq!(read["summary"]["failed"], 0);
    assert_eq!(read["lines"][0]["event"], "down");
    // Nothing of it is in the ledger.
    assert!(site.deliveries().is_empty());
}

#[test]
fn a_refused_login_is_tried_twice() {
    let site = Site::new();
    let told = site.run(&[WEEKEND, &["--fault", "credential.refused"]].concat());
    has_line(done(&told), &["lane blocked (credential) until"]);
    has_line(done(&told), &["logins", "9 of them while it was down"]);
}

#[track_caller]
fn not_understood(answer: &Finished, why: &str) {
    refused(answer, 2, "usage.invalid", "");
    assert!(answer.stderr.contains(why), "no {why:?} in: {}", answer.stderr);
}

#[test]
fn what_cannot_be_understood_is_exit_2_with_an_example() {
    let site = Site::without_definitions();
    let simulate =
        |arguments: &[&str]| site.run(&[&["endpoint", "simulate", "acme/sftp"], arguments].concat());
    for (outage, why) in [
        ("", "it has no .."),
        ("fri 18:00", "it has no .."),
        ("fri 18:00..mon 25:00", "its end is not understood"),
        ("fri 18:00..08:00", "name a weekday on both sides or on none"),
        ("2026-11-20T18:00..2026-11-23T08:00", "has no zone"),
        ("2026-11-23T18:00:00Z..2026-11-20T18:00:00Z", "it ends before it begins"),
    ] {
        not_understood(&simulate(&["--outage", outage]), why);
    }
    let outage = ["--outage", "1:00..2:00"];
    for (arguments, why) in [
        (["--from", "2026-11-20T18:00"], "has no zone"),
        (["--from", "friday"], "is no time such as"),
        (["--fault", "endpoint.refusd"], "did you mean \"endpoint.refused\"?"),
        (["--fault", "json.syntax"], "is no fault that an endpoint answers with"),
        (["--seconds-per-file", "0"], "0.001 to 86400"),
        (["--seconds-per-file", "NaN"], "0.001 to 86400"),
    ] {
        not_understood(&simulate(&[&outage[..], &arguments].concat()), why);
    }
    for arguments in
        [&[][..], &["--outage", "1:00..2:00", "--files", "0"], &["--outage", "1:00..2:00", "--rate", "0"]]
    {
        let answer = simulate(arguments);
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", answer.stderr);
    }
    assert!(!site.data().join("outport.db").exists());
    let site = Site::new();
    let answer = site.run(&["endpoint", "simulate", "acme/nix", "--outage", "1:00..2:00"]);
    refused(&answer, 1, "usage.not_found", "outport endpoint list");
}
