//! What applying definitions would create, change and retire. Pure: two values in, a list out.

use super::{Definitions, Endpoint, FileGroup, Rule, Subscriber, Subscription, TransformSpec};

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It is new (or comes back).
    Create,
    /// Some of its fields differ.
    Change,
    /// It is not in the file any more: no new deliveries; open ones go on.
    Retire,
}

impl Verb {
    /// `create`, `change`, `retire`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Retire => "retire",
        }
    }
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happens.
    pub verb: Verb,
    /// `endpoint`, `subscription`, ...
    pub noun: &'static str,
    /// `acme/sftp`.
    pub name: String,
    /// Changed fields: `host: a.example -> b.example`.
    pub fields: Vec<String>,
}

/// The plan from `current` (the database) to `desired` (the file), in the order in which it can be applied.
pub fn diff(current: &Definitions, desired: &Definitions) -> Vec<Change> {
    let mut plan = Vec::new();
    both(
        &mut plan,
        "file group",
        &current.file_groups,
        &desired.file_groups,
        |g| g.name.clone(),
        group_fields,
        false,
    );
    let rules = |d: &Definitions| -> Vec<(String, Rule)> {
        d.file_groups.iter().flat_map(|g| g.rules.iter().map(|r| (g.name.clone(), r.clone()))).collect()
    };
    let rule_name = |(group, rule): &(String, Rule)| format!("{group}: s3://{}/{}", rule.bucket, rule.key);
    both(&mut plan, "rule", &rules(current), &rules(desired), rule_name, |_, _| Vec::new(), true);
    both(
        &mut plan,
        "transform",
        &current.transforms,
        &desired.transforms,
        |t| t.name.clone(),
        transform_fields,
        false,
    );
    both(
        &mut plan,
        "subscriber",
        &current.subscribers,
        &desired.subscribers,
        |s| s.code.clone(),
        subscriber_fields,
        false,
    );
    let endpoints = |d: &Definitions| -> Vec<(String, Endpoint)> {
        d.subscribers.iter().flat_map(|s| s.endpoints.iter().map(|e| (s.code.clone(), e.clone()))).collect()
    };
    let endpoint_name = |(subscriber, e): &(String, Endpoint)| format!("{subscriber}/{}", e.name);
    both(
        &mut plan,
        "endpoint",
        &endpoints(current),
        &endpoints(desired),
        endpoint_name,
        |a, b| endpoint_fields(&a.1, &b.1),
        true,
    );
    both(
        &mut plan,
        "subscription",
        &current.subscriptions,
        &desired.subscriptions,
        |s| s.code.clone(),
        subscription_fields,
        true,
    );
    plan
}

/// `retires`: a thing that is missing from the file is retired. File groups, subscribers and transforms only stay
/// behind as names: what matters of them (rules, endpoints, subscriptions) is retired on its own.
fn both<T>(
    plan: &mut Vec<Change>,
    noun: &'static str,
    current: &[T],
    desired: &[T],
    name: impl Fn(&T) -> String,
    fields: impl Fn(&T, &T) -> Vec<String>,
    retires: bool,
) {
    for thing in desired {
        let key = name(thing);
        match current.iter().find(|c| name(c) == key) {
            None => plan.push(Change { verb: Verb::Create, noun, name: key, fields: Vec::new() }),
            Some(old) => {
                let fields = fields(old, thing);
                if !fields.is_empty() {
                    plan.push(Change { verb: Verb::Change, noun, name: key, fields });
                }
            }
        }
    }
    if retires {
        for thing in current.iter().filter(|c| !desired.iter().any(|d| name(d) == name(c))) {
            plan.push(Change { verb: Verb::Retire, noun, name: name(thing), fields: Vec::new() });
        }
    }
}

struct Fields(Vec<String>);

impl Fields {
    fn compare<V: PartialEq>(mut self, name: &str, old: &V, new: &V, show: impl Fn(&V) -> String) -> Self {
        if old != new {
            self.0.push(format!("{name}: {} -> {}", show(old), show(new)));
        }
        self
    }

    fn text(self, name: &str, old: &str, new: &str) -> Self {
        self.compare(name, &old, &new, |v| v.to_string())
    }

    /// Where the file leaves them to operators, those that were accepted stay.
    fn host_keys(self, old: &Endpoint, new: &Endpoint) -> Self {
        if new.leaves_host_keys_to_operators() {
            return self;
        }
        self.compare("host_keys", &old.host_keys, &new.host_keys, |v| listed(v))
    }

    /// `enabled` is the operator's: only a stated value that differs is a change.
    fn enabled(self, old: Option<bool>, new: Option<bool>) -> Self {
        match new {
            Some(new) if old != Some(new) => self.compare("enabled", &old, &Some(new), |v| shown(v.as_ref())),
            _ => self,
        }
    }
}

fn shown<V: std::fmt::Display>(value: Option<&V>) -> String {
    value.map_or_else(|| "-".into(), ToString::to_string)
}

fn listed<V: std::fmt::Display>(values: &[V]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn json<V: serde::Serialize>(value: &V) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "?".into())
}

fn group_fields(old: &FileGroup, new: &FileGroup) -> Vec<String> {
    Fields(Vec::new()).enabled(old.enabled, new.enabled).0
}

fn subscriber_fields(old: &Subscriber, new: &Subscriber) -> Vec<String> {
    let name = |s: &Subscriber| s.name.clone().unwrap_or_else(|| s.code.clone());
    Fields(Vec::new()).text("name", &name(old), &name(new)).enabled(old.enabled, new.enabled).0
}

fn transform_fields(old: &TransformSpec, new: &TransformSpec) -> Vec<String> {
    Fields(Vec::new()).text("kind", &old.kind, &new.kind).compare("params", &old.params, &new.params, json).0
}

fn endpoint_fields(old: &Endpoint, new: &Endpoint) -> Vec<String> {
    let port = |e: &Endpoint| e.port.unwrap_or(22);
    Fields(Vec::new())
        .text("protocol", &old.protocol, &new.protocol)
        .text("host", &old.host, &new.host)
        .compare("port", &port(old), &port(new), ToString::to_string)
        .text("username", &old.username, &new.username)
        .compare("password", &old.password, &new.password, |v| shown(v.as_ref()))
        .compare("key", &old.key, &new.key, |v| shown(v.as_ref()))
        .compare("key_passphrase", &old.key_passphrase, &new.key_passphrase, |v| shown(v.as_ref()))
        .compare("certificate", &old.certificate, &new.certificate, |v| shown(v.as_ref()))
        .host_keys(old, new)
        .compare("host_cas", &old.host_cas, &new.host_cas, |v| listed(v))
        .compare("settings", &old.settings, &new.settings, json)
        .compare("upload", &old.upload, &new.upload, json)
        .enabled(old.enabled, new.enabled)
        .0
}

fn subscription_fields(old: &Subscription, new: &Subscription) -> Vec<String> {
    Fields(Vec::new())
        .text("subscriber", &old.subscriber, &new.subscriber)
        .text("file_group", &old.file_group, &new.file_group)
        .text("endpoint", &old.endpoint, &new.endpoint)
        .compare("transform", &old.transform, &new.transform, |v| shown(v.as_ref()))
        .text("remote_name", &old.remote_name, &new.remote_name)
        .compare("priority", &old.priority, &new.priority, ToString::to_string)
        .text("ordering", &old.ordering, &new.ordering)
        .text("on_unconfirmed", &old.on_unconfirmed, &new.on_unconfirmed)
        .compare("retry", &old.retry, &new.retry, json)
        .enabled(old.enabled, new.enabled)
        .0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::FirstUse;

    fn sample() -> Definitions {
        serde_json::from_str(
            r#"{
              "file_group": [{"name": "claims", "rule": [{"bucket": "in", "key": "claims/*.json"}]}],
              "subscriber": [{"code": "acme", "endpoint": [
                {"name": "sftp", "protocol": "sftp", "host": "h", "username": "u", "password": "env:P"}]}],
              "transform": [{"name": "csv", "kind": "json-to-csv"}],
              "subscription": [{"code": "acme-claims", "subscriber": "acme", "file_group": "claims",
                "endpoint": "sftp", "transform": "csv", "remote_name": "{stem}.csv"}]
            }"#,
        )
        .unwrap()
    }

    #[test]
    fn the_same_definitions_are_an_empty_plan() {
        assert_eq!(diff(&sample(), &sample()), []);
    }

    #[test]
    fn everything_is_created_in_an_order_that_can_be_applied() {
        let plan = diff(&Definitions::default(), &sample());
        let nouns: Vec<_> = plan.iter().map(|c| c.noun).collect();
        assert_eq!(nouns, ["file group", "rule", "transform", "subscriber", "endpoint", "subscription"]);
        assert!(plan.iter().all(|c| c.verb == Verb::Create));
    }

    #[test]
    fn changed_fields_are_named_and_missing_things_retired() {
        let mut desired = sample();
        desired.subscribers[0].endpoints[0].host = "other".into();
        desired.subscriptions.clear();
        let plan = diff(&sample(), &desired);
        assert_eq!(plan.len(), 2);
        assert_eq!(
            (plan[0].verb, plan[0].fields.as_slice()),
            (Verb::Change, &["host: h -> other".to_owned()][..])
        );
        assert_eq!((plan[1].verb, plan[1].name.as_str()), (Verb::Retire, "acme-claims"));
    }

    #[test]
    fn accepted_host_keys_survive_where_first_use_asks() {
        let mut current = sample();
        current.subscribers[0].endpoints[0].host_keys = vec!["SHA256:x".into()];
        assert_eq!(diff(&current, &sample())[0].fields, ["host_keys: SHA256:x -> "]);
        let mut desired = sample();
        desired.subscribers[0].endpoints[0].settings.first_use = FirstUse::Ask;
        current.subscribers[0].endpoints[0].settings.first_use = FirstUse::Ask;
        assert_eq!(diff(&current, &desired), []);
    }

    #[test]
    fn an_operators_switch_survives_unless_the_file_states_it() {
        let mut current = sample();
        current.subscriptions[0].enabled = Some(false);
        assert_eq!(diff(&current, &sample()), []);
        let mut desired = sample();
        desired.subscriptions[0].enabled = Some(true);
        assert_eq!(diff(&current, &desired)[0].fields, ["enabled: false -> true"]);
    }
}
