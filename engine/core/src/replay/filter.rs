//! Which deliveries or files a replay takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Moment, ReplayMode, Standing};
use crate::fault::{Code, Fault, code};
use crate::id::{DeliveryId, FileId};
use crate::key::ObjectKey;
use crate::pattern::KeyPattern;

/// The most ids that one replay may be given.
pub const MAX_IDS: usize = 1_000;

/// All that is given must hold; of several values of one field, one must. Kept in the ledger as it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// How it stands now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<Standing>,
    /// Codes of subscribers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscriber: Vec<String>,
    /// Endpoints, as `SUBSCRIBER/NAME`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoint: Vec<String>,
    /// Names of file groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
    /// Codes of subscriptions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscription: Vec<String>,
    /// Not before: when a delivery settled; for `reprocess`, when the file arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// Before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// Fault codes of deliveries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fault: Vec<String>,
    /// Of the key or the remote name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<NameGlob>,
    /// Deliveries (`dlv_...`); for `reprocess`, files (`fil_...`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub id: Vec<String>,
}

impl Filter {
    /// Whether it suits the mode, and says anything at all.
    ///
    /// # Errors
    /// `usage.invalid` with what to write instead.
    pub fn check(&self, mode: ReplayMode) -> Result<(), Fault> {
        let usage = |message: String, hint: &str| Err(Fault::new(&code::USAGE, message).with_hint(hint));
        if *self == Self::default() {
            return usage(
                "a replay of everything is never meant: no filter is given".into(),
                "name at least one of --state, --subscriber, --endpoint, --group, --subscription, --since, --until, \
                 --fault, --name, --id",
            );
        }
        if let Some(state) = self.state.iter().find(|state| !state.suits(mode)) {
            return usage(
                format!("nothing {state} can be redelivered: there is no artifact of it"),
                "use --reprocess",
            );
        }
        if let Some(fault) = self.fault.iter().find(|fault| Code::by_name(fault).is_none()) {
            return usage(
                format!("there is no fault code {fault:?}"),
                "docs/ERRORS.md lists them, and \
                `outport delivery list --json` shows those of your deliveries",
            );
        }
        if !self.fault.is_empty() && self.state.iter().any(|state| state.delivery_state().is_none()) {
            return usage(
                "what is unrouted or missing has no delivery, so it has no fault".into(),
                "leave out --fault, or those states",
            );
        }
        if self.id.len() > MAX_IDS {
            return usage(
                format!("{} ids are given, the most is {MAX_IDS}", self.id.len()),
                "use the other filters",
            );
        }
        for id in &self.id {
            let problem = match mode {
                ReplayMode::Redeliver => id.parse::<DeliveryId>().map(|_| ()),
                ReplayMode::Reprocess => id.parse::<FileId>().map(|_| ()),
            };
            if let Err(problem) = problem {
                return usage(problem.to_string(), "--redeliver takes dlv_..., --reprocess takes fil_...");
            }
        }
        match (&self.since, &self.until) {
            (Some(since), Some(until)) if since.at >= until.at => {
                usage(format!("--since {since} is not before --until {until}"), "exchange them")
            }
            _ => Ok(()),
        }
    }

    /// The states that it takes: those given, or the mode's own. With a fault given, only deliveries count.
    pub fn states(&self, mode: ReplayMode) -> Vec<Standing> {
        let given = match self.state.as_slice() {
            [] => Standing::default_of(mode, !self.id.is_empty()),
            given => given,
        };
        let counts = |state: &&Standing| self.fault.is_empty() || state.delivery_state().is_some();
        given.iter().filter(counts).copied().collect()
    }

    /// Whether the same was meant, however the times were written.
    pub fn is_same(&self, other: &Self) -> bool {
        let moments = |a: &Option<Moment>, b: &Option<Moment>| match (a, b) {
            (Some(a), Some(b)) => a.is_same(b),
            (None, None) => true,
            _ => false,
        };
        let without = |filter: &Self| Self { since: None, until: None, ..filter.clone() };
        moments(&self.since, &other.since)
            && moments(&self.until, &other.until)
            && without(self) == without(other)
    }

    /// Option and value, one for each value, times as absolute UTC: what is shown, and what a shell may repeat.
    pub fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        let mut add =
            |name, values: &[String]| options.extend(values.iter().map(|value| (name, value.clone())));
        add("--state", &self.state.iter().map(ToString::to_string).collect::<Vec<_>>());
        add("--subscriber", &self.subscriber);
        add("--endpoint", &self.endpoint);
        add("--group", &self.group);
        add("--subscription", &self.subscription);
        add("--since", &self.since.iter().map(ToString::to_string).collect::<Vec<_>>());
        add("--until", &self.until.iter().map(ToString::to_string).collect::<Vec<_>>());
        add("--fault", &self.fault);
        add("--name", &self.name.iter().map(ToString::to_string).collect::<Vec<_>>());
        add("--id", &self.id);
        options
    }
}

/// A glob for names, in the language of key patterns. Without a slash it is about the file name, with one about the
/// whole key or remote name.
///
/// ```
/// use outport_core::replay::NameGlob;
/// let glob: NameGlob = "*.csv".parse()?;
/// assert!(glob.matches("claims/acme/a.csv", "inbox/a.txt"));
/// assert!(glob.matches("claims/acme/a.json", "inbox/a.csv"));
/// assert!(!"claims/*.csv".parse::<NameGlob>()?.matches("claims/acme/a.csv", "a.csv"));
/// # Ok::<(), outport_core::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameGlob(KeyPattern);

impl NameGlob {
    fn whole(&self) -> bool {
        self.0.as_str().contains('/')
    }

    /// Whether one of the two has such a name.
    pub fn matches(&self, key: &str, remote_name: &str) -> bool {
        [key, remote_name].into_iter().any(|name| {
            // A remote name may begin at the root.
            let name = name.trim_start_matches('/');
            let name = if self.whole() { name } else { name.rsplit('/').next().unwrap_or(name) };
            ObjectKey::new(name).is_ok_and(|name| self.0.matches(&name).is_some())
        })
    }

    /// For SQL's `LIKE ... ESCAPE '\'` on a key or a remote name: all that [`matches`](Self::matches) takes, and more.
    pub fn like(&self) -> String {
        // Before it: the folders, or the root's slash.
        format!("%{}", self.0.like())
    }
}

impl fmt::Display for NameGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl FromStr for NameGlob {
    type Err = Fault;
    fn from_str(text: &str) -> Result<Self, Fault> {
        let usage = |fault: Fault| {
            Fault::new(&code::USAGE, format!("--name {text:?} is no glob: {}", fault.message))
                .with_hint("* and ? stand for characters within a folder, ** for any folders; \\ before them takes that away")
        };
        KeyPattern::parse(text).map(Self).map_err(usage)
    }
}

impl Serialize for NameGlob {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for NameGlob {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::When;

    fn moment(text: &str) -> Option<Moment> {
        Some(text.parse::<When>().unwrap().moment(1_000_000_000_000))
    }

    fn filter() -> Filter {
        Filter { subscriber: vec!["acme".into()], ..Filter::default() }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_way_out() {
        use ReplayMode::{Redeliver, Reprocess};
        let strings = |text: &str| vec![text.to_owned()];
        let dlv = strings("dlv_01h455vb4pex5vsknk084sn02q");
        let fil = strings("fil_01h455vb4pex5vsknk084sn02q");
        for (mode, filter, want) in [
            (Redeliver, filter(), None),
            (Redeliver, Filter::default(), Some("everything")),
            (Redeliver, Filter { state: vec![Standing::Unrouted], ..filter() }, Some("unrouted")),
            (Reprocess, Filter { state: vec![Standing::Unrouted], ..filter() }, None),
            (Redeliver, Filter { fault: strings("remote.disk_full"), ..filter() }, None),
            (Redeliver, Filter { fault: strings("remote.disk"), ..filter() }, Some("no fault code")),
            (
                Reprocess,
                Filter { fault: strings("transform.failed"), state: vec![Standing::Missing], ..filter() },
                Some("no fault"),
            ),
            (Redeliver, Filter { id: dlv.clone(), ..filter() }, None),
            (Redeliver, Filter { id: fil.clone(), ..filter() }, Some("starts with fil_")),
            (Reprocess, Filter { id: fil, ..filter() }, None),
            (Reprocess, Filter { id: dlv.clone(), ..filter() }, Some("starts with dlv_")),
            (Redeliver, Filter { id: vec![dlv[0].clone(); MAX_IDS + 1], ..filter() }, Some("1001 ids")),
            (Redeliver, Filter { since: moment("2h"), until: moment("1h"), ..filter() }, None),
            (Redeliver, Filter { since: moment("1h"), until: moment("2h"), ..filter() }, Some("not before")),
        ] {
            let fault = filter.check(mode).err();
            assert_eq!(fault.is_some(), want.is_some(), "{filter:?}: {fault:?}");
            if let (Some(fault), Some(want)) = (fault, want) {
                assert!(fault.message.contains(want), "{}", fault.message);
                assert!(fault.code == &code::USAGE && fault.hint.is_some());
            }
        }
    }

    #[test]
    fn without_states_only_what_went_wrong_is_taken() {
        use Standing as S;
        let states = |mode, filter: &Filter| filter.states(mode);
        assert_eq!(states(ReplayMode::Redeliver, &filter()), [S::Failed]);
        assert_eq!(states(ReplayMode::Reprocess, &filter()), [S::Failed, S::Unrouted]);
        let by_fault = Filter { fault: vec!["transform.failed".into()], ..filter() };
        assert_eq!(states(ReplayMode::Reprocess, &by_fault), [S::Failed]);
        let by_id = Filter { id: vec!["x".into()], ..filter() };
        assert_eq!(states(ReplayMode::Redeliver, &by_id), S::DELIVERIES);
        let given = Filter { state: vec![S::Delivered], ..by_id };
        assert_eq!(states(ReplayMode::Redeliver, &given), [S::Delivered]);
    }

    #[test]
    fn it_is_kept_as_json_and_known_again() {
        let filter = Filter {
            state: vec![Standing::Failed],
            since: moment("2h"),
            name: Some("in/*.csv".parse().unwrap()),
            ..filter()
        };
        let json = serde_json::to_value(&filter).unwrap();
        assert_eq!(json["name"], "in/*.csv");
        assert_eq!(serde_json::from_value::<Filter>(json).unwrap(), filter);
        let later =
            Filter { since: Some("2h".parse::<When>().unwrap().moment(1_000_000_060_000)), ..filter.clone() };
        assert!(filter != later && filter.is_same(&later));
        assert!(!filter.is_same(&Filter { since: None, ..filter.clone() }));
        assert!(!filter.is_same(&Filter { name: None, ..filter.clone() }));
        let options = filter.options();
        assert_eq!(options[2], ("--since", "2001-09-08T23:46:40Z".to_owned()));
        assert_eq!(options.len(), 4);
    }

    #[test]
    fn globs_are_about_names_or_paths() {
        let glob = |text: &str| text.parse::<NameGlob>().unwrap();
        for (text, key, remote, want) in [
            ("a?.csv", "x/y/a1.csv", "q", true),
            ("a?.csv", "x/y/a11.csv", "q", false),
            ("*.csv", "a", "/inbox/a.csv", true),
            ("inbox/*", "a", "/inbox/a.csv", true),
            ("x/*", "x/y/a.csv", "q", false),
            ("x/**", "x/y/a.csv", "q", true),
            ("*", "a", "", true),
        ] {
            assert_eq!(glob(text).matches(key, remote), want, "{text} on {key}, {remote}");
        }
        assert_eq!(glob("a_*.csv").like(), r"%a\_%.csv");
        for text in ["", "a//b", "a**", "{", "a\\"] {
            let fault = text.parse::<NameGlob>().unwrap_err();
            assert!(fault.code == &code::USAGE && fault.message.contains("is no glob"), "{}", fault.message);
        }
    }
}
