//! The figures that alarms watch, as lines of the log.

use std::time::{Duration, Instant};

use outport_tests::child::Stream;
use outport_tests::need;
use outport_tests::site::Site;
use serde_json::Value;

#[test]
fn a_line_each_minute_by_one_process_of_several() {
    let site = need!(Site::on_postgres()).with("OUTPORT_METRICS_NAMESPACE", "Outport/test");
    let mut both = [(); 2].map(|()| site.outport(["up"]).start().unwrap());
    let lines = |printed: String| {
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let deadline = Instant::now() + site.limit(600);
    let all = loop {
        let all: Vec<Vec<Value>> = both.iter().map(|up| lines(up.printed(Stream::Out))).collect();
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
