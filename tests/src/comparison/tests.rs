use super::{Bound, End, Goal, Line, Output, Ratio, Run, Table, Threads, Whose, count};

const THREE_BY_TWO: Output = Output { rows: 3, columns: 2, is_ragged: false };

fn run(wall_s: f64) -> Run {
    Run { wall_s, cpu_s: 2.0 * wall_s, peak_mb: 10.0, end: End::Exit(0), output: Some(THREE_BY_TWO) }
}

fn line(tool: &str, threads: usize, walls: &[f64]) -> Line {
    let whose = if tool == "outport" { Whose::Ours } else { Whose::Other };
    let mut line = Line::new(tool.to_owned(), Threads::Given(threads), whose);
    line.runs = walls.iter().map(|wall| run(*wall)).collect();
    line
}

fn ended(mut line: Line, end: End) -> Line {
    if let Some(last) = line.runs.last_mut() {
        (last.end, last.output) = (end, None);
    }
    line
}

fn table(lines: Vec<Line>) -> Table {
    Table { title: "flat".into(), bytes: 300_000_000, records: 3, lines, goals: Vec::new() }
}

fn verdict(goal: &Goal) -> Option<bool> {
    goal.is_met()
}

/// The third round was slow for both: the median of the ratios does not see it, the ratio of the medians would be 3.
#[test]
fn a_ratio_is_the_median_of_the_rounds() {
    let ours = line("outport", 1, &[1.0, 1.0, 10.0]);
    let peer = line("duckdb", 1, &[4.0, 3.0, 50.0]);
    assert_eq!(peer.times_as_long_as(&ours), Some(Ratio::Exactly(4.0)));
    assert_eq!(ours.times_as_long_as(&ours), Some(Ratio::Exactly(1.0)));
}

#[test]
fn what_failed_has_no_ratio_and_what_was_stopped_has_a_lower_bound() {
    let ours = line("outport", 1, &[1.0]);
    let peer = line("jq", 1, &[40.0]);
    assert_eq!(ended(peer.clone(), End::Exit(1)).times_as_long_as(&ours), None);
    assert_eq!(ended(peer.clone(), End::Signal(9)).times_as_long_as(&ours), None);
    assert_eq!(ended(peer.clone(), End::TimedOut).times_as_long_as(&ours), Some(Ratio::MoreThan(40.0)));
    assert_eq!(peer.times_as_long_as(&ended(ours.clone(), End::Exit(2))), None);
    assert_eq!(line("jq", 1, &[]).times_as_long_as(&ours), None);
}

#[test]
fn each_is_measured_against_ours_with_as_many_threads() {
    let lines = [
        line("outport", 1, &[2.0]),
        line("outport", 2, &[1.0]),
        line("duckdb", 1, &[8.0]),
        line("duckdb", 2, &[8.0]),
        line("duckdb", 4, &[8.0]),
    ];
    let goals = Goal::slower_than_ours(&lines, "duckdb", 5.0);
    let verdicts: Vec<_> = goals.iter().map(verdict).collect();
    assert_eq!(verdicts, [Some(false), Some(true), None], "{goals:?}");
}

#[test]
fn one_that_helps_itself_is_measured_against_our_fewest_threads() {
    let mut miller = line("miller", 1, &[31.0]);
    miller.threads = Threads::Own;
    let lines = [line("outport", 2, &[0.5]), line("outport", 1, &[1.0]), miller];
    let goal = Goal::slower_than_ours(&lines, "miller", 30.0).remove(0);
    assert!(goal.to_string().ends_with("is 31.00"), "{goal}");
}

#[test]
fn ours_that_cannot_be_told_stands_for_every_number_of_threads() {
    let mut ours = line("outport", 1, &[1.0]);
    ours.threads = Threads::Own;
    let lines = [ours, line("duckdb", 2, &[4.0]), line("cp", 1, &[0.5])];
    assert_eq!(verdict(&Goal::slower_than_ours(&lines, "duckdb", 4.0)[0]), Some(true));
    assert_eq!(verdict(&Goal::ours_against(&lines, "cp", Threads::Given(2), 2.0)), Some(true));
    assert_eq!(verdict(&Goal::ours_against(&lines, "cp", Threads::Given(2), 1.9)), Some(false));
}

#[test]
fn what_cannot_be_measured_is_said_and_never_met() {
    let lines = [line("outport", 1, &[1.0]), ended(line("duckdb", 1, &[9.0]), End::Exit(1))];
    let goal = Goal::slower_than_ours(&lines, "duckdb", 4.0).remove(0);
    assert_eq!(
        goal.to_string(),
        "NOT MEASURED: duckdb (1 thread): times as long as ours, goal >= 4 (duckdb ended with 1)"
    );
    let goal = Goal::ours_against(&lines, "cp", Threads::Given(2), 2.5);
    assert_eq!(verdict(&goal), None);
    assert!(goal.to_string().contains("ours with 2 threads was not run"), "{goal}");
    let failed = [ended(line("outport", 1, &[1.0]), End::Exit(2))];
    assert_eq!(verdict(&Goal::memory(&failed, 64.0)), None);
    assert_eq!(verdict(&Goal::memory(&[], 64.0)), None);
}

#[test]
fn a_stopped_peer_meets_a_goal_only_by_what_is_known() {
    let stopped = |wall| [line("outport", 1, &[1.0]), ended(line("jq", 1, &[wall]), End::TimedOut)];
    assert_eq!(verdict(&Goal::slower_than_ours(&stopped(31.0), "jq", 30.0)[0]), Some(true));
    assert_eq!(verdict(&Goal::slower_than_ours(&stopped(29.0), "jq", 30.0)[0]), None);
}

#[test]
fn memory_is_the_most_of_any_round_of_ours_alone() {
    let mut ours = line("outport", 1, &[1.0, 1.0]);
    ours.runs[1].peak_mb = 63.9;
    let mut peer = line("polars", 1, &[1.0]);
    peer.runs[0].peak_mb = 2_000.0;
    let lines = [ours, peer];
    assert_eq!(verdict(&Goal::memory(&lines, 64.0)), Some(true));
    assert_eq!(verdict(&Goal::memory(&lines, 63.0)), Some(false));
}

#[test]
fn bounds_hold_at_the_bound_itself() {
    for (bound, value, expected) in [
        (Bound::AtLeast(4.0), 4.0, true),
        (Bound::AtLeast(4.0), 3.99, false),
        (Bound::AtMost(2.5), 2.5, true),
        (Bound::AtMost(2.5), 2.51, false),
    ] {
        assert_eq!(verdict(&Goal::new("x".into(), bound, Ok(value))), Some(expected), "{bound:?} {value}");
    }
}

#[test]
fn rows_and_columns_are_counted_as_csv() {
    let output = |rows, columns, is_ragged| Output { rows, columns, is_ragged };
    for (text, expected) in [
        ("", output(0, 0, false)),
        ("a,b\n", output(0, 2, false)),
        ("a,b\n1,2\n3,4\n", output(2, 2, false)),
        ("a,b\r\n1,2\r\n", output(1, 2, false)),
        ("a,b\n\"x\ny\",\"2,3\"\n", output(1, 2, false)),
        ("a,b\n1\n", output(1, 2, true)),
        ("a\n\"\"\n", output(1, 1, false)),
        ("a,b\n\"\u{fffd}\",2", output(1, 2, false)),
    ] {
        assert_eq!(count(text.as_bytes()).expect("no fault of reading"), expected, "{text:?}");
    }
}

#[test]
fn the_table_shows_what_was_lost() {
    let mut peer = line("polars", 1, &[3.0]);
    peer.runs[0].output = Some(Output { rows: 2, columns: 1, is_ragged: true });
    let mut more = line("flatterer", 1, &[30.0]);
    more.runs[0].output = Some(Output { rows: 3, columns: 4, is_ragged: false });
    let refused = ended(line("duckdb", 1, &[0.5]), End::Exit(1));
    let shown = table(vec![line("outport", 1, &[1.5, 1.0, 2.0]), peer, more, refused, line("jq", 1, &[])])
        .to_string();
    let rows: Vec<&str> = shown.lines().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(
        rows,
        [
            "| tool | threads | wall s | MB/s | CPU s | RSS MB | x ours | exit | rows x columns | every round, s |",
            "| outport | 1 | 1.50 | 200.0 | 3.00 | 10 | 1.00 | 0 | 3 x 2 | 1.50 / 1.00 / 2.00 |",
            "| polars | 1 | 3.00 | 100.0 | 6.00 | 10 | 2.00 | 0 | 2 x 1, **ragged**, **1 row fewer**, **1 column fewer** | 3.00 |",
            "| flatterer | 1 | 30.00 | 10.0 | 60.00 | 10 | 20.00 | 0 | 3 x 4, 2 columns more | 30.00 |",
            "| duckdb | 1 | 0.50 | - | 1.00 | 10 | - | 1 | - | 0.50 |",
            "| jq | 1 | - | - | - | - | - | not run | - | - |",
        ]
    );
}

#[test]
fn rows_that_ours_lost_are_a_fault_and_a_refusal_is_none() {
    let mut lost = line("outport", 1, &[1.0, 1.0]);
    lost.runs[1].output = Some(Output { rows: 2, ..THREE_BY_TWO });
    assert_eq!(table(vec![lost]).faults(), ["flat: outport wrote 2 x 2 for 3 records"]);
    let mut ragged = line("outport", 1, &[1.0]);
    ragged.runs[0].output = Some(Output { is_ragged: true, ..THREE_BY_TWO });
    assert_eq!(table(vec![ragged]).faults().len(), 1);
    let mut nothing = line("outport", 1, &[1.0]);
    nothing.runs[0].output = None;
    assert_eq!(table(vec![nothing]).faults(), ["flat: outport wrote no CSV for 3 records"]);
    let mut peer = line("polars", 1, &[1.0]);
    peer.runs[0].output = Some(Output { rows: 1, ..THREE_BY_TWO });
    let fine = vec![line("outport", 1, &[1.0]), ended(line("outport", 2, &[1.0]), End::Exit(2)), peer];
    assert_eq!(table(fine).faults(), [""; 0]);
}

#[test]
fn the_file_holds_every_run_and_the_goals() {
    let mut table = table(vec![line("outport", 1, &[1.0, 2.0])]);
    table.goals = vec![Goal::memory(&table.lines, 64.0)];
    let json = table.to_json();
    assert_eq!(json["records"], 3);
    assert_eq!(json["lines"][0]["runs"][1]["wall_s"], 2.0);
    assert_eq!(json["lines"][0]["runs"][1]["output"]["columns"], 2);
    assert_eq!(json["goals"][0]["verdict"], "met");
    assert_eq!(json["goals"][0]["value"], 10.0);
}
