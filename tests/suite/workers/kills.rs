//! Kill -9 of services and of workers in the middle of a run, on moto and PostgreSQL: every file once.

use std::collections::BTreeMap;
use std::time::Duration;

use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::fake_batch::Faults;
use outport_tests::set::{Set, set};
use outport_tests::site::{Site, Up};

use super::{Yard, records, records_as_csv};
use crate::crash::witness::{Witness, renames, renames_to};

/// One container more is lost with each kill of a service.
const KILLS: usize = 10;

#[test]
fn of_services_and_workers_lose_and_double_nothing() {
    let files = if set() == Set::Full { 2_000 } else { 160 };
    let cloud = need!(Cloud::start());
    // A message may be in the hands of one service after the other when that is killed. Three times would be the end of it.
    cloud.receive_each(20).unwrap();
    let site = cloud.settings(need!(Site::on_postgres()));
    // All transforms in containers, a few each; deliveries by the services, with helpers.
    let more = [
        ("OUTPORT_EXECUTOR_HELP_AFTER", "1s"),
        ("OUTPORT_BATCH_TRANSFORMS_PER_WORKER", "40"),
        ("OUTPORT_BATCH_SENDS_PER_WORKER", "40"),
        ("OUTPORT_BATCH_MAX_WORKERS", "2"),
    ];
    let yard = need!(Yard::on(site, "batch", "hybrid", &more));
    let mut witness = Witness::new(yard.server.folder()).unwrap();
    let up = || Some(Up::start(yard.site.outport(["up"])).unwrap());
    let mut services = [up(), up()];
    let content =
        |n: usize| if n.is_multiple_of(3) { records(n + 100) } else { format!("file {n}\n").repeat(n + 1) };
    let name = |n: usize| if n.is_multiple_of(3) { format!("f{n}.ndjson") } else { format!("f{n}.txt") };
    let mut put = 0;
    for kill in 1..=KILLS {
        while put < files * kill / KILLS {
            cloud.upload(&name(put), content(put).as_bytes()).unwrap();
            put += 1;
        }
        yard.batch.set(Faults { terminate_hosts: 1, ..Faults::default() });
        // In the middle of something: when the next files appear at the partner.
        let before = renames(witness.all().unwrap());
        witness.wait(yard.site.limit(60), |seen| renames(seen) > before + 2).unwrap();
        // Dropping kills it.
        services[kill % 2] = None;
        services[kill % 2] = up();
    }
    yard.batch.set(Faults::default());
    let deliveries = yard.site.wait_for_all(files, 1_800).unwrap();
    for service in services.iter_mut().flatten() {
        assert!(service.stop(yard.site.limit(30)).unwrap().success(), "{}", service.log());
    }
    // Workers that still run find nothing more.
    std::thread::sleep(Duration::from_millis(500));
    let by_name: BTreeMap<&str, &serde_json::Value> =
        deliveries.iter().map(|d| (d["remote_name"].as_str().unwrap(), d)).collect();
    assert_eq!(by_name.len(), files, "one delivery each");
    let mut twice = 0;
    for n in 0..files {
        let remote = if n.is_multiple_of(3) { format!("f{n}.csv") } else { name(n) };
        let arrived = std::fs::read(yard.server.folder().join(&remote)).unwrap();
        let expected = if n.is_multiple_of(3) { records_as_csv(&content(n)) } else { content(n) };
        assert!(arrived == expected.as_bytes(), "{remote}: {}", String::from_utf8_lossy(&arrived));
        let renamed = renames_to(witness.all().unwrap(), &remote).len();
        if renamed != 1 {
            // A rename whose record was lost, and that no look could tell from another's: it says so itself.
            let shown =
                yard.site.json(["delivery", "show", by_name[remote.as_str()]["id"].as_str().unwrap()]);
            let shown = shown.unwrap();
            assert_eq!(shown["possible_duplicate"], true, "{remote} was renamed {renamed} times: {shown:#}");
            twice += 1;
        }
    }
    eprintln!(
        "{files} files, {KILLS} services and {} hosts lost, {twice} possible duplicates",
        yard.batch.jobs().iter().flat_map(|job| job.attempts.clone()).filter(Option::is_none).count()
    );
    yard.assert_clean(&[]);
}
