//! One `outport up` a data folder, and its health pages.

use outport_tests::need;
use outport_tests::site::{Site, get};

#[test]
fn the_second_up_on_one_data_folder_ends_with_a_hint() {
    let site = need!(Site::on_sqlite());
    let mut up = site.up().unwrap();
    let second = site.outport(["up"]).run().unwrap();
    assert_eq!((second.code, second.stdout.as_str()), (Some(1), ""), "{second:?}");
    assert!(second.stderr.contains("[database.locked]\nhint: "), "{}", second.stderr);
    assert!(second.stderr.contains(&site.data().display().to_string()), "{}", second.stderr);

    // The first one goes on, and other commands work beside it.
    assert_eq!(get(up.health(), "/healthz").unwrap(), (200, "ok\n".to_owned()));
    site.put("a.txt", "content").unwrap();
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    let mut third = site.up().unwrap();
    assert_eq!(third.stop(site.limit(30)).unwrap().code(), Some(0), "{}", third.log());
}

#[test]
fn health_pages_tell_living_from_ready() {
    let site = need!(Site::on_sqlite());
    let mut up = site.up().unwrap();
    assert_eq!(get(up.health(), "/healthz").unwrap(), (200, "ok\n".to_owned()));
    assert_eq!(get(up.health(), "/readyz").unwrap(), (200, "ready\n".to_owned()));
    let (code, metrics) = get(up.health(), "/metrics").unwrap();
    assert_eq!(code, 200);
    for counter in ["outport_deliveries_delivered_total 0\n", "outport_lane_corrections_total 0\n"] {
        assert!(metrics.contains(counter), "{counter} is not in:\n{metrics}");
    }
    assert!(up.counter("outport_database_statements_total").unwrap() > 0);
    assert_eq!(get(up.health(), "/nothing").unwrap().0, 404);

    // With the schema of another version it lives, and is not ready.
    site.sql("DELETE FROM seaql_migrations").unwrap();
    assert_eq!(get(up.health(), "/healthz").unwrap().0, 200);
    let (code, body) = get(up.health(), "/readyz").unwrap();
    assert_eq!((code, body.as_str()), (503, "not ready: database.schema\n"));
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}
