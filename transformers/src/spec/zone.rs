//! Time zones by their IANA names, out of the binary itself.
//!
//! Not out of the machine's /usr/share/zoneinfo: the engine's host, a worker's image and the laptop where
//! somebody tries a spec have different releases of the database or none, and one spec over one file must
//! give the same bytes on all of them. The price: new rules come with a new version of Outport (some 200 kB
//! of it).

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone of this name; upper and lower case are the same, as in the database itself.
pub(super) fn named(name: &str) -> Option<TimeZone> {
    match name {
        "UTC" => Some(TimeZone::UTC),
        // jiff's own word for "not known".
        "Etc/Unknown" => None,
        name => ZONES.get(name).ok(),
    }
}

/// Every name.
pub(super) fn names() -> Vec<String> {
    ZONES.available().map(|name| name.to_string()).collect()
}

/// The name of a zone that [`named`] found.
pub(super) fn name_of(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_there_without_the_machine() {
        assert_eq!(name_of(&named("America/New_York").unwrap()), "America/New_York");
        assert_eq!(name_of(&named("europe/berlin").unwrap()), "Europe/Berlin");
        assert_eq!(name_of(&named("UTC").unwrap()), "UTC");
        assert!(named("America/Newyork").is_none() && named("").is_none() && named("../passwd").is_none());
        assert!(names().len() > 400);
    }
}
