//! PostgreSQL's words.

/// `clock_timestamp`, not `now`: a transaction that waited for a lock must see the time after the wait.
pub(super) const WORDS: &[(&str, &str)] = &[
    ("{now}", "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"),
    ("{lock}", "FOR UPDATE"),
    ("{lock_lane}", "FOR UPDATE OF lane"),
    ("{skip_locked}", "FOR UPDATE SKIP LOCKED"),
    ("{skip_locked_lane}", "FOR UPDATE OF lane SKIP LOCKED"),
    ("{least}", "LEAST"),
    ("{greatest}", "GREATEST"),
];
