use super::*;
use crate::code;
use crate::settings::Span;

const SECOND: Millis = 1_000;
const HOUR: Millis = 3_600 * SECOND;
/// A Friday, 18:00.
const FRIDAY: &str = "2026-11-20T18:00:00Z";

fn at(text: &str) -> Millis {
    instant(text).unwrap()
}

/// Uniform enough, and the same each time (the constants of Numerical Recipes).
fn dice(mut seed: u32) -> impl FnMut() -> f64 {
    move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed) / f64::from(u32::MAX)
    }
}

struct Case {
    outages: Vec<Outage>,
    fault: &'static Code,
    files: u32,
    every_ms: Millis,
    file_ms: Millis,
    settings: EndpointSettings,
}

impl Case {
    fn new(outage: &str, fault: &'static Code) -> Self {
        let outages = vec![outage.parse().unwrap()];
        Self {
            outages,
            fault,
            files: 4_000,
            every_ms: 0,
            file_ms: SECOND,
            settings: EndpointSettings::default(),
        }
    }

    fn run(&self) -> Simulation {
        let scenario = Scenario {
            from: at(FRIDAY),
            outages: &self.outages,
            fault: self.fault,
            files: self.files,
            every_ms: self.every_ms,
            file_ms: self.file_ms,
            settings: &self.settings,
            policy: RetryPolicy::default(),
            timing: &Timing::default(),
        };
        let simulation = simulate(&scenario, dice(7));
        assert_eq!(simulation, simulate(&scenario, dice(7)), "the same dice, the same simulation");
        let s = &simulation.summary;
        assert_eq!(s.delivered + s.failed + s.waiting, s.files);
        simulation
    }
}

fn notices(simulation: &Simulation) -> Vec<&str> {
    let about = |line: &Line| match line.what {
        What::Notice { about } => Some(about),
        _ => None,
    };
    simulation.lines.iter().filter_map(about).collect()
}

#[test]
fn a_weekend_costs_no_delivery_and_few_attempts() {
    let simulation = Case::new("fri 18:00..mon 08:00", &code::ENDPOINT_REFUSED).run();
    let s = &simulation.summary;
    assert_eq!((s.delivered, s.failed, s.waiting), (4_000, 0, 0));
    // 62 hours at one try each 12 to 18 minutes.
    assert!((62 * 60 / 18..62 * 60 / 12 + 20).contains(&s.logins_while_down), "{s:?}");
    assert_eq!(s.attempts, 4_000 + s.logins_while_down + 62, "two logins at first, for 64 files: {s:?}");
    let monday = at("2026-11-23T08:00:00Z");
    assert_eq!(s.outage_ended_at, Some(monday));
    let first = s.first_delivery_at.unwrap() - monday;
    assert!((0..18 * 60 * SECOND).contains(&first), "the longest wait of a breaker: {first}");
    // 64 at a time, a second each, and the rhythm of a full lane.
    let all = s.all_delivered_at.unwrap() - s.first_delivery_at.unwrap();
    assert!((4_000 / 64 * SECOND..4_000 / 64 * 1_300 + 20 * SECOND).contains(&all), "{all}");
    assert!(s.deadline_used_ms < HOUR, "an open breaker's time does not count: {}", s.deadline_used_ms);
    assert_eq!(notices(&simulation), ["lane_blocked", "lane_recovered"]);
    assert!(simulation.lines.len() < 60, "{:#?}", simulation.lines);
    let ramp = simulation.lines.iter().filter_map(|line| match line.what {
        What::Ramp { files } => Some(files),
        _ => None,
    });
    assert_eq!(ramp.collect::<Vec<_>>().last_chunk(), Some(&[2, 4, 8, 16, 32, 64]));
}

#[test]
fn refused_logins_stop_after_the_second() {
    let simulation = Case::new("fri 18:00..mon 08:00", &code::CREDENTIAL_REFUSED).run();
    let s = &simulation.summary;
    assert_eq!((s.delivered, s.failed), (4_000, 0));
    // At once two (two connections), then after 30 min, 1 h, 2 h, 4 h, 8 h, 16 h, 24 h; the next one is on Monday.
    assert_eq!(s.logins_while_down, 2 + 7, "{:#?}", simulation.lines);
    let day_in_the_life = simulation.lines.iter().filter(|line| matches!(line.what, What::Blocked { .. }));
    assert!(day_in_the_life.count() >= 1);
    assert_eq!(notices(&simulation), ["lane_blocked", "lane_recovered"]);
}

#[test]
fn half_a_minute_up_and_half_a_minute_down_for_a_day_exhausts_nothing_and_tells_little() {
    let start = at(FRIDAY);
    let outages = (0..1_440).map(|minute| start + minute * 60 * SECOND);
    let outages = outages.map(|start| Outage::Once { start, end: start + 30 * SECOND }).collect();
    // A file each half minute, so that the whole day has something to send.
    let case = Case {
        outages,
        every_ms: 30 * SECOND,
        files: 2_880,
        ..Case::new("1:00..2:00", &code::ENDPOINT_RESET)
    };
    let simulation = case.run();
    let s = &simulation.summary;
    assert_eq!((s.delivered, s.failed), (2_880, 0));
    // Each pair of them stands for ten quiet minutes in between.
    assert!(s.notices <= 12, "{:?}", notices(&simulation));
}

#[test]
fn what_needs_a_person_waits_for_one() {
    let changed = Case::new("fri 18:00..mon 08:00", &code::HOSTKEY_CHANGED).run();
    assert_eq!((changed.summary.waiting, changed.summary.failed), (4_000, 0));
    assert!(changed.summary.waits_for_operator_since.is_some());
    assert_eq!(notices(&changed), ["lane_blocked"]);
    let long = Case::new("2026-11-20T18:00:00Z..2026-12-20T18:00:00Z", &code::ENDPOINT_TIMEOUT).run();
    assert_eq!((long.summary.waiting, long.summary.failed), (4_000, 0), "a month costs no delivery");
    let suspended = long.summary.waits_for_operator_since.unwrap() - at(FRIDAY);
    assert!((120 * HOUR..121 * HOUR).contains(&suspended), "{suspended}");
    assert_eq!(notices(&long), ["lane_blocked", "lane_suspended"]);
}

#[test]
fn what_the_server_itself_refuses_is_charged() {
    let simulation =
        Case { files: 100, ..Case::new("fri 18:00..mon 08:00", &code::REMOTE_PERMISSION_DENIED) }.run();
    let s = &simulation.summary;
    assert_eq!((s.failed, s.attempts, s.most_attempts), (100, 200, 2), "once more, then never again");
    let full = Case { files: 100, ..Case::new("fri 18:00..mon 08:00", &code::REMOTE_DISK_FULL) }.run();
    let s = &full.summary;
    assert_eq!((s.failed, s.most_attempts), (100, 12));
    // The table with its jitter: half of 39 h 42 min for certain, the other half by chance.
    assert!((20 * HOUR..40 * HOUR).contains(&s.deadline_used_ms), "{}", s.deadline_used_ms);
    let night = Case { files: 100, ..Case::new("fri 18:00..sat 06:00", &code::REMOTE_DISK_FULL) }.run();
    assert_eq!(night.summary.delivered, 100);
}

#[test]
fn an_endpoint_gives_up_only_where_it_says_so() {
    let settings = EndpointSettings {
        give_up_after: Some(Span(std::time::Duration::from_secs(24 * 3_600))),
        ..Default::default()
    };
    let simulation = Case { settings, ..Case::new("fri 18:00..mon 08:00", &code::ENDPOINT_REFUSED) }.run();
    assert_eq!((simulation.summary.failed, simulation.summary.delivered), (4_000, 0));
}

#[test]
fn a_maintenance_window_is_no_outage() {
    let settings =
        EndpointSettings { maintenance: vec!["fri 17:00..fri 20:00".parse().unwrap()], ..Default::default() };
    let case = Case { settings, files: 10, ..Case::new("sun 1:00..sun 2:00", &code::ENDPOINT_REFUSED) };
    let simulation = case.run();
    assert_eq!((simulation.summary.attempts, simulation.summary.notices), (10, 0));
    assert_eq!(simulation.lines[0].until, Some(at("2026-11-20T20:00:00Z")));
    assert!(simulation.summary.deadline_used_ms < 10 * SECOND, "{:?}", simulation.summary);
}

#[test]
fn a_busy_server_gets_fewer_files_at_once_and_no_strike() {
    let simulation = Case { files: 200, ..Case::new("fri 18:00..fri 18:10", &code::ENDPOINT_BUSY) }.run();
    assert_eq!((simulation.summary.delivered, simulation.summary.notices), (200, 0));
    let ramp: Vec<i32> = simulation
        .lines
        .iter()
        .filter_map(|line| match line.what {
            What::Ramp { files } => Some(files),
            _ => None,
        })
        .collect();
    assert!(ramp.starts_with(&[32]) || ramp.starts_with(&[16]), "{ramp:?}");
    assert!(ramp.contains(&1) && ramp.contains(&64), "{ramp:?}");
}
