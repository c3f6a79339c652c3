//! PostgreSQL's words.

/// `clock_timestamp`, not `now`: a transaction that waited for a lock must see the time after the wait.
///
/// `FOR NO KEY UPDATE`: keys never change here, and a full `FOR UPDATE` of a lane would wait for (or, skipping, be starved
/// by) every enqueue whose foreign key holds it. No job is stranded by that: an enqueue pulls its lane after its insert
/// and waits for the lane's lock there (docs/STATES.md, "Claim").
pub(super) const WORDS: &[(&str, &str)] = &[
    ("{now}", "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"),
    ("{lock}", "FOR NO KEY UPDATE"),
    ("{lock_delivery}", "FOR NO KEY UPDATE OF d"),
    ("{lock_lane}", "FOR NO KEY UPDATE OF lane"),
    ("{skip_locked}", "FOR NO KEY UPDATE SKIP LOCKED"),
    ("{skip_locked_lane}", "FOR NO KEY UPDATE OF lane SKIP LOCKED"),
    ("{skip_locked_transform}", "FOR NO KEY UPDATE OF t SKIP LOCKED"),
    ("{least}", "LEAST"),
    ("{greatest}", "GREATEST"),
    // Written out once, it would keep the statement from several processors.
    ("{materialized}", "NOT MATERIALIZED"),
];
