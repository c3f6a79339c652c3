//! An idle `outport up` costs next to nothing, with the durations of a real installation.

use std::time::{Duration, Instant};

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::servers::postgres;
use outport_tests::set::{Set, set};
use outport_tests::site::{Partner, Site, Up};

use super::on_both;

/// Statements a second, BEGIN and COMMIT included.
const STATEMENTS_A_SECOND: f64 = 2.0;
/// Of one core.
const CORE_SHARE: f64 = 0.01;
/// Transactions that PostgreSQL counts and we do not make: an autovacuum worker comes by once a minute, for 2 to 15 of
/// them (measured). A count of ours that left out half of our own would still show.
const NOT_OURS: i64 = 20;
/// PostgreSQL's processes report what they did before they fell idle after so long (PGSTAT_IDLE_INTERVAL is 10 s).
const REPORTED: Duration = Duration::from_secs(11);

on_both!(costs_two_statements_a_second_and_a_hundredth_of_a_core);

fn costs_two_statements_a_second_and_a_hundredth_of_a_core(site: Site) {
    let site = site.in_real_time();
    let server = need!(OpenSsh::start(Config::default()));
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    // An engine that has worked, and keeps a connection to its partner.
    site.put("a.txt", "content").unwrap();
    site.wait_for_state("a.txt", "acme/sftp", "delivered", 0).unwrap();

    wait_until_idle(&up);
    if site.database().is_some() {
        // After the migration autovacuum has work in most catalogs, and what it does counts as anybody's.
        site.sql("VACUUM ANALYZE").unwrap();
        std::thread::sleep(REPORTED);
    }

    let span = Duration::from_secs(if set() == Set::Full { 60 } else { 10 });
    let (before, began) = (Cost::until_now(&site, &up), Instant::now());
    // Not to wait for anything: this is the time that is measured.
    std::thread::sleep(span);
    let (after, seconds) = (Cost::until_now(&site, &up), began.elapsed().as_secs_f64());

    let statements = after.statements - before.statements;
    let share = (after.processor - before.processor).as_secs_f64() / seconds;
    println!("{statements} statements in {seconds:.1} s, {:.2} % of a core", share * 100.0);
    let rate = statements as f64 / seconds;
    assert!(rate <= STATEMENTS_A_SECOND, "{rate:.2} statements/s");
    assert!(rate >= 0.5, "{rate:.2} statements/s: the engine sleeps, or nobody counts");
    assert!(share <= CORE_SHARE, "{:.2} % of a core", share * 100.0);
    if let (Some(before), Some(after)) = (before.transactions, after.transactions) {
        // The server's own count: ours must not be too small.
        let transactions = after - before;
        println!("{transactions} transactions by the server's count");
        assert!(
            transactions <= statements + NOT_OURS,
            "{transactions} transactions, {statements} statements"
        );
    }
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
}

/// The end of work has its own statements: a claim that finds nothing more, a look at the lane. Idle is what comes then.
fn wait_until_idle(up: &Up) {
    let count = || up.counter("outport_database_statements_total").unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = count();
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = count();
        if now <= before + STATEMENTS_A_SECOND as u64 {
            return;
        }
        assert!(Instant::now() < deadline, "{} statements in a second: it never gets idle", now - before);
        before = now;
    }
}

/// What a process has cost since it was started.
struct Cost {
    statements: i64,
    processor: Duration,
    /// As PostgreSQL counts them, where there is one.
    transactions: Option<i64>,
}

impl Cost {
    fn until_now(site: &Site, up: &Up) -> Self {
        let statements = up.counter("outport_database_statements_total").unwrap();
        Self {
            statements: i64::try_from(statements).unwrap(),
            processor: processor_time(up.pid()),
            transactions: site.database().map(|database| postgres::transactions(database).unwrap()),
        }
    }
}

/// Fields 14 and 15 of proc(5) stat, user and system time, in ticks of 10 ms (USER_HZ is 100 on every Linux that runs
/// here). Field 2 is the name in brackets and may hold anything.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}
