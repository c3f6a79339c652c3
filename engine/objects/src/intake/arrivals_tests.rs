use super::*;

const QUIET: Millis = 2_000;

fn arrivals() -> Arrivals {
    Arrivals::new(Rules::new(Duration::from_millis(2_000)))
}

fn sig(number: u64) -> Signature {
    Signature { size_bytes: number, mtime_ns: 1, ctime_ns: 1, inode: 1 }
}

fn a() -> &'static Path {
    Path::new("/b/inbox/a")
}

const FOUND: Seen = Seen::Found(How::Sweep);
const BY_WATCH: Verdict = Verdict::Arrived(How::Watch);
const BY_SWEEP: Verdict = Verdict::Arrived(How::Sweep);
const WAITS: Verdict = Verdict::Waits;

/// One thing that happens at a time, and what must come of it.
enum Does {
    Look(Millis, u64, Seen, Verdict),
    Again(Millis, u64, Verdict),
    Leaves(Millis),
    Done(u64),
    Release(u64),
    Lost,
    Sweep,
    Due(Millis, usize),
}
use Does::*;

#[test]
fn what_happens_to_one_file() {
    let cases: &[(&str, &[Does])] = &[
        ("renamed into place: at once", &[Look(0, 1, Seen::RenamedIn, BY_WATCH)]),
        (
            "closed: after the quiet time",
            &[
                Look(0, 1, Seen::Closed, WAITS),
                Due(1_999, 0),
                Due(2_000, 1),
                Again(2_000, 1, BY_WATCH),
                Due(9_000, 0),
            ],
        ),
        ("found: two looks", &[Look(0, 1, FOUND, WAITS), Again(QUIET, 1, BY_SWEEP)]),
        (
            "asked too early, it goes on waiting",
            &[Look(0, 1, FOUND, WAITS), Again(1_999, 1, WAITS), Again(2_000, 1, BY_SWEEP)],
        ),
        (
            "it grows: the quiet time starts anew with each look that differs",
            &[
                Look(0, 1, FOUND, WAITS),
                Again(2_000, 2, WAITS),
                Due(3_999, 0),
                Again(4_000, 3, WAITS),
                Due(5_999, 0),
                Again(6_000, 3, BY_SWEEP),
            ],
        ),
        (
            "seen often, unchanged: the quiet time does not start anew",
            &[
                Look(0, 1, Seen::Closed, WAITS),
                Look(1_900, 1, Seen::Closed, WAITS),
                Look(1_950, 1, FOUND, WAITS),
                Due(2_000, 1),
            ],
        ),
        (
            "a second event with another signature starts it anew",
            &[Look(0, 1, FOUND, WAITS), Look(1_900, 2, FOUND, WAITS), Due(3_899, 0), Due(3_900, 1)],
        ),
        (
            "being written and stalled: not found, closed counts",
            &[
                Look(0, 1, Seen::Written, WAITS),
                Look(5_000, 1, FOUND, WAITS),
                Due(50_000, 0),
                Look(60_000, 1, FOUND, WAITS),
                Due(599_000, 0),
                Look(599_000, 2, Seen::Closed, WAITS),
                Due(601_000, 1),
                Again(601_000, 2, BY_WATCH),
            ],
        ),
        (
            "a write during the quiet time ends it",
            &[Look(0, 1, Seen::Closed, WAITS), Look(1_000, 2, Seen::Written, WAITS), Due(100_000, 0)],
        ),
        (
            "written and never closed (the event was lost): found after ten minutes",
            &[
                Look(0, 1, Seen::Written, WAITS),
                Look(599_999, 1, FOUND, WAITS),
                Due(700_000, 0),
                Look(700_000, 1, FOUND, WAITS),
                Again(702_000, 1, BY_SWEEP),
            ],
        ),
        (
            "after lost events nobody is known to write",
            &[Look(0, 1, Seen::Written, WAITS), Lost, Look(10, 1, FOUND, WAITS), Again(2_010, 1, BY_SWEEP)],
        ),
        (
            "written under a waiting name, then renamed: at once",
            &[Look(0, 1, Seen::Written, WAITS), Look(1, 2, Seen::RenamedIn, BY_WATCH)],
        ),
        (
            "gone while it waits",
            &[Look(0, 1, FOUND, WAITS), Leaves(10), Due(9_000, 0), Again(9_000, 1, Verdict::Gone)],
        ),
        (
            "reported and in work: not again",
            &[
                Look(0, 1, Seen::RenamedIn, BY_WATCH),
                Look(1, 1, FOUND, Verdict::Known),
                Sweep,
                Look(2, 1, FOUND, Verdict::Known),
            ],
        ),
        (
            "done: not again, until it changes",
            &[
                Look(0, 1, Seen::RenamedIn, BY_WATCH),
                Done(1),
                Look(1, 1, FOUND, Verdict::Known),
                Sweep,
                Look(2, 1, Seen::RenamedIn, Verdict::Known),
                Look(3, 2, FOUND, WAITS),
                Again(2_003, 2, BY_SWEEP),
            ],
        ),
        (
            "not done: found again",
            &[
                Look(0, 1, Seen::RenamedIn, BY_WATCH),
                Release(1),
                Look(1, 1, FOUND, WAITS),
                Again(2_001, 1, BY_SWEEP),
            ],
        ),
        (
            "changed while in work: reported again, and the old answer does not cover the new file",
            &[
                Look(0, 1, Seen::RenamedIn, BY_WATCH),
                Look(1, 2, Seen::RenamedIn, BY_WATCH),
                Done(1),
                Look(2, 2, FOUND, Verdict::Known),
                Release(2),
                Look(3, 2, Seen::RenamedIn, BY_WATCH),
            ],
        ),
        (
            "a memo lives as long as sweeps see the file",
            &[
                Look(0, 1, Seen::RenamedIn, BY_WATCH),
                Done(1),
                Sweep,
                Sweep,
                Look(1, 1, Seen::RenamedIn, BY_WATCH),
            ],
        ),
    ];
    for (name, steps) in cases {
        let mut arrivals = arrivals();
        for (number, step) in steps.iter().enumerate() {
            let at = format!("{name}, step {number}");
            match *step {
                Look(now, s, seen, want) => {
                    assert_eq!(arrivals.look(a(), Some(sig(s)), seen, now), want, "{at}")
                }
                Again(now, s, want) => assert_eq!(arrivals.again(a(), Some(sig(s)), now), want, "{at}"),
                Leaves(now) => assert_eq!(arrivals.look(a(), None, Seen::Left, now), Verdict::Gone, "{at}"),
                Done(s) => arrivals.done(a(), &sig(s)),
                Release(s) => arrivals.release(a(), &sig(s)),
                Lost => arrivals.events_lost(),
                Due(now, want) => assert_eq!(arrivals.due(now, 10).len(), want, "{at}"),
                Sweep => {
                    // The step before it is the last thing the sweep sees of the file.
                    arrivals.sweep_ended(true, 0);
                    arrivals.sweep_started();
                }
            }
        }
    }
}

#[test]
fn a_crowd_of_restless_files_does_not_keep_the_others_out() {
    let mut arrivals = Arrivals::new(Rules { crowd: 2, ..Rules::new(Duration::from_millis(2_000)) });
    let paths = [Path::new("/b/i/1"), Path::new("/b/i/2")];
    for path in paths {
        assert_eq!(arrivals.look(path, Some(sig(1)), FOUND, 0), WAITS);
    }
    assert!(arrivals.is_crowded());
    assert_eq!(arrivals.again(paths[0], Some(sig(2)), QUIET), WAITS);
    assert!(!arrivals.is_crowded());
    assert_eq!(arrivals.again(paths[1], Some(sig(2)), QUIET), WAITS);
    assert_eq!(arrivals.due(2 * QUIET, 10), [paths[1]]);
    // Writers beyond the bound are simply not remembered.
    for number in 0..5 {
        arrivals.look(&Path::new("/b/i").join(number.to_string()), Some(sig(1)), Seen::Written, 0);
    }
    assert_eq!(arrivals.writing.len(), 2);
}

mod model {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Event {
        Change,
        Look(Seen),
        Again,
        Wait(Millis),
        Settle(bool),
        Lost,
    }

    fn event() -> impl Strategy<Value = Event> {
        let seen =
            prop_oneof![Just(Seen::Closed), Just(Seen::Written), Just(FOUND), Just(Seen::Found(How::Watch))];
        prop_oneof![
            2 => Just(Event::Change),
            4 => seen.prop_map(Event::Look),
            4 => Just(Event::Again),
            4 => (1..3_000i64).prop_map(Event::Wait),
            1 => any::<bool>().prop_map(Event::Settle),
            1 => Just(Event::Lost),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: nothing that is not renamed into place is reported before it stayed
        /// unchanged for the quiet time, nothing acknowledged is reported twice, and a file at rest always arrives.
        #[test]
        fn never_early_never_twice_always_at_last(events in proptest::collection::vec(event(), 0..60)) {
            let mut arrivals = arrivals();
            let (mut now, mut content, mut changed_at) = (0, 1, 0);
            let (mut reported, mut done) = (None, None);
            for event in events {
                let verdict = match event {
                    Event::Change => { content += 1; changed_at = now; continue }
                    Event::Wait(time) => { now += time; continue }
                    Event::Lost => { arrivals.events_lost(); continue }
                    Event::Settle(good) => {
                        if let Some(s) = reported.take() {
                            if good { arrivals.done(a(), &sig(s)); done = Some(s) } else { arrivals.release(a(), &sig(s)) }
                        }
                        continue
                    }
                    Event::Look(seen) => arrivals.look(a(), Some(sig(content)), seen, now),
                    Event::Again => arrivals.again(a(), Some(sig(content)), now),
                };
                if let Verdict::Arrived(_) = verdict {
                    prop_assert!(now - changed_at >= QUIET);
                    prop_assert_ne!(reported, Some(content));
                    prop_assert_ne!(done, Some(content));
                    reported = Some(content);
                }
                prop_assert_eq!(arrivals.waiting.oldest().is_some(), arrivals.waiting.len() > 0);
            }
            if reported != Some(content) && done != Some(content) {
                now += 1_000_000;
                arrivals.look(a(), Some(sig(content)), FOUND, now);
                prop_assert!(matches!(arrivals.again(a(), Some(sig(content)), now + QUIET), Verdict::Arrived(_)));
            }
        }
    }
}
