//! SQLite's words.

pub(super) const WORDS: &[(&str, &str)] = &[
    ("{now}", "CAST(unixepoch('subsec') * 1000 AS INTEGER)"),
    ("{lock}", ""),
    ("{lock_delivery}", ""),
    ("{lock_lane}", ""),
    ("{skip_locked}", ""),
    ("{skip_locked_lane}", ""),
    ("{least}", "min"),
    ("{greatest}", "max"),
];
