//! docs/MAPPING.md: its examples are specs, and no key is missing from it.

use super::super::keys::{COLUMN, ERRORS, FILTER, INPUT, OUTPUT, SPEC};
use super::super::{Kind, Spec};

const PAGE: &str = include_str!("../../../../docs/MAPPING.md");

fn examples() -> impl Iterator<Item = &'static str> {
    PAGE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next())
}

#[test]
fn every_example_is_a_spec() {
    let mut seen = 0;
    for example in examples() {
        let params: serde_json::Value =
            toml::from_str(example).unwrap_or_else(|error| panic!("{example}\n{error}"));
        let kind = params.get("kind").and_then(|kind| kind.as_str()).unwrap_or(Kind::JsonToCsv.as_str());
        Spec::read(kind, &params).unwrap_or_else(|fault| panic!("{example}\n{}", fault.report()));
        seen += 1;
    }
    assert_eq!(seen, PAGE.matches("```toml").count());
    assert!(seen > 5);
}

#[test]
fn every_key_is_explained_and_shown() {
    for (heading, section) in [
        ("## At the top", &SPEC),
        ("## `[input]`", &INPUT),
        ("## `[output]`", &OUTPUT),
        ("## `[errors]`", &ERRORS),
        ("## `[[column]]`", &COLUMN),
        ("## `[[filter]]`", &FILTER),
    ] {
        let chapter = PAGE
            .split(heading)
            .nth(1)
            .and_then(|rest| rest.split("\n## ").next())
            .unwrap_or_else(|| panic!("{heading}"));
        for key in section.keys {
            let rows = chapter.lines().filter(|line| line.starts_with('|'));
            let explained = rows.filter_map(|row| row.split('|').nth(1));
            assert!(
                explained.into_iter().any(|names| names.contains(&format!("`{}`", key.name))),
                "{heading} does not explain `{}`",
                key.name
            );
            let assignment = format!("\n{} = ", key.name);
            let shown = examples()
                .any(|example| example.contains(&assignment) || example.starts_with(&assignment[1..]));
            let table = matches!(key.name, "input" | "output" | "errors" | "column" | "filter");
            assert!(shown || table, "no example shows `{}`", key.name);
        }
    }
}
