//! The rule that decides a file's group.

use crate::fault::{Fault, code};
use crate::id::{FileGroupId, RuleId};
use crate::key::{ObjectKey, Shown};
use crate::pattern::{Captures, KeyPattern};

/// One rule of a file group: the keys of a bucket that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Names the rule.
    pub id: RuleId,
    /// The group that its files belong to.
    pub file_group_id: FileGroupId,
    /// The group's name, for messages.
    pub file_group: String,
    /// The bucket, compared exactly.
    pub bucket: String,
    /// The keys.
    pub pattern: KeyPattern,
}

/// What the rules say about one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<'r> {
    /// No rule matches: the file is unrouted.
    None,
    /// This rule decides.
    One {
        /// The rule.
        rule: &'r Rule,
        /// What its pattern captured of the key.
        captures: Captures,
    },
    /// Two rules of different groups match and neither is more exact; the one with the lower id is first.
    Ambiguous(&'r Rule, &'r Rule),
}

/// Finds the most exact rule that matches. Of equally exact ones of the *same* group the lower id decides; of different
/// groups the choice is ambiguous: there is no precedence number that somebody forgot to set. The order of `rules` does
/// not matter.
///
/// ```
/// use outport_core::{KeyPattern, ObjectKey, route::{Choice, Rule, choose}};
/// let rule = |id: &str, group: &str, pattern: &str| Rule {
///     id: id.parse().unwrap(),
///     file_group_id: "grp_01h455vb4pex5vsknk084sn02q".parse().unwrap(),
///     file_group: group.into(),
///     bucket: "in".into(),
///     pattern: KeyPattern::parse(pattern).unwrap(),
/// };
/// let rules = [
///     rule("rul_01h455vb4pex5vsknk084sn02q", "all", "**"),
///     rule("rul_01h455vb4pex5vsknk084sn02r", "claims", "claims/{sender}/*.json"),
/// ];
/// let Choice::One { rule, captures } = choose(&rules, "in", &ObjectKey::new("claims/acme/a.json")?) else { panic!() };
/// assert_eq!((rule.file_group.as_str(), captures.get("sender")), ("claims", Some("acme")));
/// # Ok::<(), outport_core::key::KeyError>(())
/// ```
pub fn choose<'r>(rules: &'r [Rule], bucket: &str, key: &ObjectKey) -> Choice<'r> {
    let mut fitting: Vec<(&Rule, Captures)> = rules
        .iter()
        .filter(|rule| rule.bucket == bucket)
        .filter_map(|rule| Some((rule, rule.pattern.matches(key)?)))
        .collect();
    let best = fitting.iter().map(|(rule, _)| rule.pattern.specificity()).max();
    fitting.retain(|(rule, _)| Some(rule.pattern.specificity()) == best);
    fitting.sort_by_key(|(rule, _)| rule.id);
    let mut fitting = fitting.into_iter();
    let Some((first, captures)) = fitting.next() else { return Choice::None };
    match fitting.find(|(rule, _)| rule.file_group_id != first.file_group_id) {
        Some((other, _)) => Choice::Ambiguous(first, other),
        None => Choice::One { rule: first, captures },
    }
}

impl Choice<'_> {
    /// The fault of an ambiguous choice, which names both rules; `None` otherwise.
    pub fn fault(&self, key: &ObjectKey) -> Option<Fault> {
        let Choice::Ambiguous(a, b) = self else { return None };
        let named = |rule: &Rule| {
            format!("{:?} of file group {:?}", Shown(rule.pattern.as_str()), Shown(&rule.file_group))
        };
        let (bucket, key) = (Shown(&a.bucket), Shown(key.as_str()));
        let message = format!(
            "could not route {key:?} of bucket {bucket:?}: {} and {} match it equally well",
            named(a),
            named(b)
        );
        Some(Fault::new(&code::ROUTE_AMBIGUOUS, message))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn rule(id: u128, group: u128, pattern: &str) -> Rule {
        Rule {
            id: RuleId::from_uuid(Uuid::from_u128(id)),
            file_group_id: FileGroupId::from_uuid(Uuid::from_u128(group)),
            file_group: format!("group{group}"),
            bucket: "in".into(),
            pattern: KeyPattern::parse(pattern).unwrap(),
        }
    }

    /// The ids of the rules that decide, and the captures.
    fn chosen(rules: &[Rule], bucket: &str, key: &str) -> String {
        let id = |rule: &Rule| rule.id.uuid().as_u128();
        match choose(rules, bucket, &ObjectKey::new(key).unwrap()) {
            Choice::None => "none".into(),
            Choice::One { rule, captures } => captures
                .iter()
                .fold(id(rule).to_string(), |text, (name, value)| format!("{text} {name}={value}")),
            Choice::Ambiguous(a, b) => format!("{} or {}", id(a), id(b)),
        }
    }

    #[test]
    fn the_most_exact_rule_decides_whatever_the_order() {
        let mut rules = vec![
            rule(1, 1, "**"),
            rule(2, 2, "claims/**"),
            rule(3, 3, "claims/{sender}/*.json"),
            rule(4, 4, "claims/acme/*"),
            // Equal to 3, another group.
            rule(5, 5, "claims/{day}/*.json"),
            // Equal to 4, the same group, with another capture.
            rule(6, 4, "claims/acme/{file}"),
            // Equal to 8 and 9, of which 8 is in the same group.
            rule(7, 7, "x/a*"),
            rule(8, 7, "x/*a"),
            rule(9, 9, "x/{q}"),
            rule(10, 9, "x/{q}b"),
            rule(11, 10, "x/a?"),
        ];
        let cases = [
            ("in", "report.pdf", "1"),
            ("in", "claims/deep/er/a.json", "2"),
            ("in", "claims/other/a.csv", "2"),
            ("in", "claims/other/a.json", "3 or 5"),
            ("in", "claims/acme/a.json", "4"),
            ("in", "claims/acme/a.csv", "4"),
            ("in", "x/zb", "10 q=z"),
            // 7 and 11 begin with "x/a"; the more exact beginning wins before 8, 9 are looked at.
            ("in", "x/abc", "7"),
            ("in", "x/ab", "7 or 11"),
            ("in", "x/za", "8"),
            ("in", "x/zz", "9 q=zz"),
            ("other", "report.pdf", "none"),
            ("IN", "report.pdf", "none"),
        ];
        for _ in 0..rules.len() {
            rules.rotate_left(1);
            for (bucket, key, want) in cases {
                assert_eq!(chosen(&rules, bucket, key), want, "{bucket} {key}");
            }
            assert_eq!(chosen(&rules[..0], "in", "a"), "none");
        }
    }

    #[test]
    fn two_of_one_group_and_one_of_another_are_ambiguous() {
        let rules = [rule(3, 1, "{a}.csv"), rule(1, 1, "{b}.csv"), rule(2, 2, "*.csv")];
        assert_eq!(chosen(&rules, "in", "x.csv"), "1 or 2");
        assert_eq!(chosen(&rules[..2], "in", "x.csv"), "1 b=x");
    }

    #[test]
    fn the_fault_names_both() {
        let rules = [rule(2, 2, "*.csv"), rule(1, 1, "{b}.csv")];
        let key = ObjectKey::new("x.csv").unwrap();
        let fault = choose(&rules, "in", &key).fault(&key).unwrap();
        assert_eq!(fault.code, &code::ROUTE_AMBIGUOUS);
        assert_eq!(
            fault.message,
            "could not route \"x.csv\" of bucket \"in\": \"{b}.csv\" of file group \"group1\" and \"*.csv\" of file group \
             \"group2\" match it equally well"
        );
        assert_eq!(choose(&rules[..1], "in", &key).fault(&key), None);
    }
}
