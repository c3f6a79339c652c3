//! The figures that alarms watch, as lines of the log.

use std::time::{Duration, Instant};

use outport_tests::child::{Child, Stream};
use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site};
use serde_json::Value;

/// The lines so far.
fn lines(up: &Child) -> Vec<Value> {
    up.printed(Stream::Out).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for so many.
fn wait_for_lines(up: &Child, count: usize, site: &Site) -> Vec<Value> {
    let deadline = Instant::now() + site.limit(600);
    loop {
        let lines = lines(up);
        if lines.len() >= count {
            return lines;
        }
        assert!(Instant::now() < deadline, "{lines:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_line_each_minute_by_one_process_of_several() {
    let site = need!(Site::on_postgres()).with("OUTPORT_METRICS_NAMESPACE", "Outport/test");
    let mut both = [(); 2].map(|()| site.outport(["up"]).start().unwrap());
    let deadline = Instant::now() + site.limit(600);
    let all = loop {
        let all: Vec<Vec<Value>> = both.iter().map(lines).collect();
        if all.iter().map(Vec::len).sum::<usize>() >= 3 {
            break all;
        }
        assert!(Instant::now() < deadline, "{all:?}");
        std::thread::sleep(Duration::from_millis(100));
    };
    for line in all.iter().flatten() {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Outport/test", "{line}");
        assert_eq!((&line["lanes_open"], &line["oldest_due_seconds"]), (&0.into(), &0.into()), "{line}");
    }
    assert!(all.iter().any(Vec::is_empty), "one counts for all: {all:?}");
    for up in &mut both {
        assert!(up.stop(site.limit(30)).unwrap().success());
    }
    // Its own names are those that the alarms use.
    let listed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/metrics.toml")).unwrap();
    for metric in
        all.iter().flatten().next().unwrap()["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap()
    {
        let name = metric["Name"].as_str().unwrap();
        assert!(listed.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

#[test]
fn a_failure_before_a_restart_is_in_one_line_after_it() {
    let site = need!(Site::on_postgres()).with("OUTPORT_METRICS_NAMESPACE", "Outport/test");
    let server = need!(OpenSsh::start(Config::default()));
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let failed = |lines: &[Value]| {
        lines.iter().map(|line| line["deliveries_failed"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let before = site.outport(["up"]).start().unwrap();
    wait_for_lines(&before, 1, &site);
    site.put("wrong.ndjson", "{\"a\":").unwrap();
    site.wait_for_state("wrong.ndjson", "acme/sftp", "failed", 60).unwrap();
    // What may still become visible is counted 5 s later, by a process that is no more.
    let counted: u64 = failed(&lines(&before)).iter().sum();
    drop(before);
    // One rhythm and those 5 s later no line after the restart reaches back to the failure by itself.
    std::thread::sleep(site.limit(60) - site.limit(0) + Duration::from_secs(7));
    let mut after = site.outport(["up"]).start().unwrap();
    let told = failed(&wait_for_lines(&after, 3, &site));
    assert_eq!(counted + told.iter().sum::<u64>(), 1, "{counted} before, {told:?} after");
    assert!(after.stop(site.limit(30)).unwrap().success());
}
