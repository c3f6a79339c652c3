//! The tables of docs/SCALE.md, as Markdown.

use crate::arrivals::{Profile, Shape};
use crate::cost::{LEAST, MEDIUM, PRICES, Work};
use crate::day::Outcome;
use crate::scenario::MEASURED;
use crate::waits::Waits;

/// A table, line by line.
pub type Table = Vec<String>;

/// Files of the cost table.
const MILLION: u64 = 1_000_000;
/// Rows of it: files that a worker does in a second.
const RATES: [f64; 5] = [1.0, 5.0, 20.0, 50.0, 140.0];
/// Hours of the table of hours.
const SHOWN: std::ops::RangeInclusive<usize> = 8..=16;

fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

fn rule(columns: usize) -> String {
    format!("|{}", "---|".repeat(columns))
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut lines = vec![row(&head), rule(head.len())];
    lines.extend(rows.into_iter().map(|cells| row(&cells)));
    lines
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn dollars(amount: f64) -> String {
    if amount < 100.0 { format!("{amount:.2}") } else { grouped(amount.round() as u64) }
}

/// A time of the day; of the days after it, with more than 24 hours.
fn clock(second: i64) -> String {
    format!("{:02}:{:02}", second / 3_600, second % 3_600 / 60)
}

/// A duration, as people say it.
fn span(seconds: i64) -> String {
    match seconds {
        ..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", (seconds + 30) / 60),
        _ => format!("{:.1} h", seconds as f64 / 3_600.0),
    }
}

/// What one database does all the time, and in a day whose busiest hour it still follows.
pub fn ledger() -> Table {
    let busiest = Profile::new(Shape::Office).busiest();
    let rows = [1.0, 2.0, 4.0, 10.0].map(|deliveries_per_file| {
        let each_second = MEASURED.both(deliveries_per_file);
        let millions = |a_day: f64| format!("{:.0} million", a_day * 86_400.0 / 1e6);
        vec![
            format!("{deliveries_per_file}"),
            grouped(each_second as u64),
            grouped((each_second / deliveries_per_file) as u64),
            millions(each_second),
            millions(each_second / busiest),
        ]
    });
    let head = [
        "deliveries of a file",
        "deliveries a second",
        "files a second",
        "deliveries a day, all at this rate",
        "in an office's day",
    ];
    table(&head, rows)
}

/// What a million files cost.
pub fn costs() -> Table {
    let rows = RATES.map(|files_per_second| {
        let work = Work { files_per_second, ..Work::default() };
        let drained = PRICES.drained(MILLION, work, MEDIUM);
        let each = PRICES.one_per_file(MILLION, work, MEDIUM);
        let least = PRICES.one_per_file(MILLION, work, LEAST);
        vec![
            format!("{files_per_second}"),
            grouped(drained.containers),
            dollars(drained.dollars),
            grouped(each.containers),
            dollars(each.dollars),
            dollars(least.dollars),
            grouped((each.dollars / drained.dollars).round() as u64),
        ]
    });
    let head = [
        "files/s of a worker",
        "containers, drained",
        "dollars",
        "containers, one a file",
        "dollars",
        "dollars, 0.25 vCPU and 0.5 GB",
        "times as dear",
    ];
    table(&head, rows)
}

/// From the end of the outage, when this part of the struck endpoints had all that had come by then.
fn drained(outcome: &Outcome, part: f64) -> String {
    let endpoints = outcome.drained.len();
    let nth = ((endpoints as f64 * part).ceil() as usize).clamp(1, endpoints.max(1)) - 1;
    outcome.drained.get(nth).map_or_else(|| "-".to_owned(), |seconds| span(*seconds))
}

fn wait(waits: &Waits, part: f64) -> String {
    waits.within(part).map_or_else(|| "-".to_owned(), |seconds| span(seconds as i64))
}

fn busy(outcome: &Outcome) -> String {
    let workers = &outcome.workers;
    if workers.place_seconds == 0.0 {
        return "-".to_owned();
    }
    format!("{:.0} %", 100.0 * workers.used_place_seconds / workers.place_seconds)
}

/// The runs side by side.
pub fn runs(runs: &[(&str, &Outcome)]) -> Table {
    let line = |what: &str, of: &dyn Fn(&Outcome) -> String| {
        let mut cells = vec![what.to_owned()];
        cells.extend(runs.iter().map(|(_, outcome)| of(outcome)));
        cells
    };
    let mut head = vec![""];
    head.extend(runs.iter().map(|(name, _)| *name));
    let rows = [
        line("deliveries that arrived", &|o| grouped(o.last().arrived)),
        line("delivered", &|o| grouped(o.last().delivered)),
        line("failed, or waiting in the end", &|o| grouped(o.given_up + o.last().waiting)),
        line("most that waited at once", &|o| {
            format!("{} at {}", grouped(o.most_waiting.0), clock(o.most_waiting.1))
        }),
        line("outage's files delivered, half of the endpoints after", &|o| drained(o, 0.5)),
        line("95 of 100 after", &|o| drained(o, 0.95)),
        line("the last one after", &|o| drained(o, 1.0)),
        line("wait at other endpoints: half, 99 %, longest", &|o| {
            [0.5, 0.99, 1.0].map(|part| wait(&o.waits_of_others, part)).join(", ")
        }),
        line("wait at struck endpoints: half, 99 %, longest", &|o| {
            [0.5, 0.99, 1.0].map(|part| wait(&o.waits_of_struck, part)).join(", ")
        }),
        line("breakers opened", &|o| grouped(o.opened)),
        line("logins at endpoints that were down: all, most at one", &|o| {
            format!("{}, {}", grouped(o.logins_while_down), o.most_logins_while_down)
        }),
        line("Batch: workers at once, containers", &|o| {
            format!("{}, {}", o.workers.most_workers, grouped(o.workers.containers))
        }),
        line("Batch: places in use", &busy),
        line("SubmitJob: all, most in a second", &|o| {
            format!("{}, {}", grouped(o.workers.requests), o.workers.most_requests_in_a_second)
        }),
        line("dollars: Batch, service's senders", &|o| {
            format!("{}, {}", dollars(o.workers.dollars), dollars(o.service_dollars))
        }),
    ];
    table(&head, rows)
}

/// Hour by hour around the outage.
pub fn hours(partners: &Outcome, ours: &Outcome) -> Table {
    let rows = SHOWN.map(|hour| {
        let mut cells = vec![format!("{hour:02}-{:02}", hour + 1)];
        for outcome in [partners, ours] {
            let at = |hour: usize| outcome.hours.get(hour).copied().unwrap_or_default();
            let (before, now) = (at(hour.saturating_sub(1)), at(hour));
            if cells.len() == 1 {
                cells.push(grouped(now.arrived - before.arrived));
            }
            cells.push(grouped(now.delivered - before.delivered));
            cells.push(grouped(now.waiting));
            cells.push(now.most_workers.to_string());
        }
        cells.insert(5, partners.hours.get(hour).map_or(0, |now| now.open_lanes).to_string());
        cells
    });
    let head = [
        "hour",
        "arrived",
        "partners' region: delivered",
        "waiting at its end",
        "Batch workers",
        "open lanes at its end",
        "our region: delivered",
        "waiting at its end",
        "Batch workers",
    ];
    table(&head, rows)
}

/// What would have been with one thing changed.
pub fn levers(variations: &[(String, Outcome, Outcome)]) -> Table {
    let rows = variations.iter().map(|(what, partners, ours)| {
        let mut cells = vec![what.clone()];
        for outcome in [partners, ours] {
            cells.push(drained(outcome, 0.5));
            cells.push(drained(outcome, 1.0));
            cells.push(grouped(outcome.workers.containers));
            cells.push(dollars(outcome.workers.dollars + outcome.service_dollars));
        }
        cells
    });
    let head = [
        "changed",
        "partners' region: half after",
        "the last one after",
        "containers",
        "dollars, with the service",
        "our region: half after",
        "the last one after",
        "containers",
        "dollars, with the service",
    ];
    table(&head, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let numbers = [0, 999, 1_000, 20_000_000].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "20,000,000"]);
        assert_eq!(
            [119, 120, 7_199, 7_200, 9_000].map(span),
            ["119 s", "2 min", "120 min", "2.0 h", "2.5 h"]
        );
        assert_eq!([36_060, 86_400 + 59].map(clock), ["10:01", "24:00"]);
    }

    /// The document is written by hand, its numbers are not.
    #[test]
    fn the_document_says_what_the_formulas_say() {
        let document = include_str!("../../../../docs/SCALE.md");
        for table in [ledger(), costs()] {
            assert!(document.contains(&table.join("\n")), "docs/SCALE.md needs:\n{}", table.join("\n"));
        }
    }
}
