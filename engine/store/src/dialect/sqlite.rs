//! SQLite's words.

pub(super) const WORDS: &[(&str, &str)] = &[
    ("{now}", "CAST(unixepoch('subsec') * 1000 AS INTEGER)"),
    ("{lock}", ""),
    ("{lock_delivery}", ""),
    ("{lock_lane}", ""),
    ("{skip_locked}", ""),
    ("{skip_locked_lane}", ""),
    ("{skip_locked_transform}", ""),
    ("{least}", "min"),
    ("{greatest}", "max"),
    // Otherwise it is looked up in the whole table, not in the few rows that it is.
    ("{materialized}", "MATERIALIZED"),
];
