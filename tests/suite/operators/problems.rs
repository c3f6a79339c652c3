//! `outport problems`: lines for people, one document for programs.

use std::net::{SocketAddr, TcpListener};

use super::{done, has_line};
use crate::bad_input::site::Site;

#[test]
fn nothing_is_an_answer_too() {
    let site = Site::new();
    let none = site.run(&["problems"]);
    assert_eq!((done(&none), none.stderr.trim()), ("", "nothing waits for you"));
    assert_eq!(site.json(&["problems"]), serde_json::json!([]));
}

#[test]
fn many_failures_of_one_kind_are_one_line_that_says_what_moves_them() {
    let site = Site::new();
    let _up = site.up();
    for n in 0..4 {
        site.upload(format!("{n}.json"), "{");
    }
    site.upload("red\u{1b}[31m.txt", "content");
    for n in 0..4 {
        assert_eq!(site.settled(&format!("{n}.json"), 1)[0]["state"], "failed");
    }
    site.recorded("red\u{1b}[31m.txt");
    let problems = site.run(&["problems"]);
    let lines = done(&problems);
    assert_eq!(lines.lines().count(), 1 + 2, "{lines}");
    has_line(
        lines,
        &[
            "acme/sftp: 4 deliveries failed (transform.failed)",
            "outport replay plan --reprocess --endpoint acme/sftp --state failed --fault transform.failed",
        ],
    );
    has_line(lines, &["s3://in: 1 file rejected (route.bad_key)", "outport file show fil_"]);
    assert!(!lines.contains('\u{1b}'));

    let read = site.json(&["problems"]);
    let failed = read.as_array().unwrap().iter().find(|p| p["kind"] == "failed").unwrap();
    assert_eq!((failed["count"].as_i64(), failed["at_least"].as_bool()), (Some(4), Some(false)));
    assert_eq!(
        (failed["endpoint"].as_str(), failed["code"].as_str()),
        (Some("acme/sftp"), Some("transform.failed"))
    );
    assert!(failed["command"].as_str().unwrap().starts_with("outport replay plan"));
    // Ticked off one by one, the line goes.
    let ids: Vec<String> = site.deliveries().iter().map(|d| d["id"].as_str().unwrap().to_owned()).collect();
    let resolve: Vec<&str> = ["delivery", "resolve", "--reason", "known"]
        .into_iter()
        .chain(ids.iter().map(String::as_str))
        .collect();
    assert_eq!(done(&site.run(&resolve)).lines().count(), 4);
    assert_eq!(site.json(&["problems"]).as_array().unwrap().len(), 1);
    let resolved = site.run(&["delivery", "show", &ids[0]]);
    has_line(done(&resolved), &["resolved", "by operator:"]);
}

#[test]
fn a_partner_that_is_down_is_no_problem_of_yours() {
    let site = Site::without_definitions();
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = unused.local_addr().unwrap();
    drop(unused);
    site.apply(address);
    let _up = site.up();
    site.upload("1.txt", "content");
    crate::bad_input::site::until("a failed attempt", || {
        let deliveries = site.deliveries();
        if deliveries.iter().any(|d| d["state"] == "retrying") {
            Ok(())
        } else {
            Err(format!("{deliveries:?}"))
        }
    });
    assert_eq!(site.json(&["problems"]), serde_json::json!([]));
}
