//! Which tests run, and how one that cannot run says so.

use std::fmt;
use std::io::Write;

/// The set that `tests/run` was asked for, from `OUTPORT_TEST_SET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// What needs neither root nor another program.
    Embedded,
    /// Everything but the long tests. Also when the variable is not set.
    Default,
    /// The long tests too.
    Full,
}

impl Set {
    /// Reads the word that `tests/run` exports; `None` is a plain `cargo test`.
    ///
    /// # Errors
    /// A word that is no set: a typing error must not run fewer tests than were asked for.
    pub fn parse(word: Option<&str>) -> anyhow::Result<Self> {
        match word {
            Some("embedded") => Ok(Self::Embedded),
            None | Some("default") => Ok(Self::Default),
            Some("full") => Ok(Self::Full),
            Some(other) => anyhow::bail!("OUTPORT_TEST_SET={other}: not embedded, default or full"),
        }
    }
}

/// The set of this run.
///
/// # Panics
/// If `OUTPORT_TEST_SET` is not a set.
pub fn set() -> Set {
    match Set::parse(std::env::var("OUTPORT_TEST_SET").ok().as_deref()) {
        Ok(set) => set,
        Err(fault) => panic!("{fault}"),
    }
}

/// For tests that take long: `need!(set::full())` as their first line.
///
/// # Errors
/// [`Skip`] in every set but the full one.
pub fn full() -> anyhow::Result<()> {
    match set() {
        Set::Full => Ok(()),
        Set::Embedded | Set::Default => Err(Skip::because("takes long: only in tests/run --full")),
    }
}

/// What random tests begin with: the number in `OUTPORT_TEST_SEED`, else a new one each time, because trouble is looked
/// for and not re-enacted. A test that fails says which it was.
///
/// # Panics
/// If `OUTPORT_TEST_SEED` is no number.
pub fn seed() -> u64 {
    match std::env::var("OUTPORT_TEST_SEED").map(|seed| seed.parse()) {
        Ok(Ok(seed)) => seed,
        Ok(Err(fault)) => panic!("OUTPORT_TEST_SEED: {fault}"),
        Err(_) => rand::random_range(1..1_000_000),
    }
}

/// Why a test does not run here although nothing is broken. Any other error fails the test.
#[derive(Debug)]
pub struct Skip {
    reason: String,
}

impl Skip {
    /// A skip as an error, for the result of whatever the test needs.
    pub fn because(reason: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self { reason: reason.into() })
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Skip {}

/// Gives what the test needs; ends the test with a loud skip, or fails it, when there is none.
///
/// The test returns nothing, as tests do: `let database = need!(Database::create());`
#[macro_export]
macro_rules! need {
    ($what:expr) => {
        match $what {
            Ok(ready) => ready,
            Err(fault) => {
                fn here() {}
                $crate::set::skip_or_fail(std::any::type_name_of_val(&here), fault.into());
                return;
            }
        }
    };
}

/// Prints a line that is seen although the test passes: the test runner swallows what `eprintln!` says.
pub fn tell(line: &str) {
    let mut terminal = std::io::stderr().lock();
    let _unread = writeln!(terminal, "{line}");
}

/// What [`need!`] does when there is no use in going on. `place` is the path of an item inside the test.
///
/// # Panics
/// With the fault, unless it is a [`Skip`].
pub fn skip_or_fail(place: &str, fault: anyhow::Error) {
    let Some(skip) = fault.downcast_ref::<Skip>() else { panic!("{fault:#}") };
    let line = format!("{}: {skip}\n", test_name(place));
    tell(&format!("SKIP {}", line.trim_end()));
    if let Some(list) = std::env::var_os("OUTPORT_TEST_SKIPS") {
        let written = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&list)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(fault) = written {
            panic!("could not note the skip in {}: {fault}", list.display());
        }
    }
}

/// `suite::servers::starts::{{closure}}::here` is the test `servers::starts`.
fn test_name(place: &str) -> String {
    let parts: Vec<_> = place.split("::").filter(|part| *part != "{{closure}}" && *part != "here").collect();
    parts.get(1..).unwrap_or_default().join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_one_of_three_words() {
        for (word, expected) in [
            (None, Some(Set::Default)),
            (Some("embedded"), Some(Set::Embedded)),
            (Some("default"), Some(Set::Default)),
            (Some("full"), Some(Set::Full)),
            (Some("Full"), None),
            (Some(""), None),
        ] {
            assert_eq!(Set::parse(word).ok(), expected, "{word:?}");
        }
    }

    #[test]
    fn a_test_is_called_what_the_runner_calls_it() {
        for (place, expected) in [
            ("suite::servers::starts::here", "servers::starts"),
            ("suite::servers::starts::{{closure}}::here", "servers::starts"),
            ("suite::starts::here", "starts"),
        ] {
            assert_eq!(test_name(place), expected);
        }
    }

    #[test]
    #[should_panic(expected = "the disk is gone")]
    fn what_is_no_skip_fails_the_test() {
        skip_or_fail("suite::a::here", anyhow::anyhow!("the disk is gone"));
    }
}
