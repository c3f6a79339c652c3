//! A mapping spec in a file of its own: TOML, or the same keys as JSON.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use outport_core::{Fault, code};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::toml_line::toml_line;

/// Reads it, as far as that is possible without knowing what the keys mean.
///
/// # Errors
/// `config.unreadable`: it cannot be opened, or is neither TOML nor JSON.
pub fn read(path: &Path) -> Result<Value, Fault> {
    let unreadable = |why: String| {
        let why = why.replace('\n', " ");
        Fault::new(&code::CONFIG_UNREADABLE, format!("could not read the spec {}: {why}", path.display()))
    };
    let bytes = std::fs::read(path).map_err(|error| {
        unreadable(error.to_string())
            .with_hint("name a file with the spec; docs/MAPPING.md says what stands in it")
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable("it is not UTF-8".into()).with_hint("save the file as UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    parse(text).map_err(unreadable)
}

fn parse(text: &str) -> Result<Value, String> {
    if text.trim_start().starts_with('{') {
        serde_json::from_str::<Once>(text).map_err(|error| error.to_string())?;
        let mut spec: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        // Where editors look for the schema; TOML has a comment for that.
        spec.as_object_mut().and_then(|spec| spec.remove("$schema"));
        return Ok(spec);
    }
    toml::from_str(text).map_err(|error| format!("line {}: {}", toml_line(text, &error), error.message()))
}

/// JSON in which no object has a key twice: serde_json would keep the last one, and a setting would be lost. TOML forbids it.
struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once, A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if seen.contains(&key) {
                return Err(A::Error::custom(format!("the key {key:?} stands twice")));
            }
            seen.insert(key);
            map.next_value::<Once>()?;
        }
        Ok(Once)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Once, A::Error> {
        while list.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E: Error>(self) -> Result<Once, E> {
        Ok(Once)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn toml_and_json_say_the_same() {
        let expected = json!({"output": {"delimiter": ";"}, "column": [{"name": "a", "const": 1.5}]});
        let toml = "[output]\ndelimiter = \";\"\n[[column]]\nname = \"a\"\nconst = 1.5\n";
        assert_eq!(parse(toml).unwrap(), expected);
        let json = "{\"$schema\": \"json-to-csv.schema.json\", \"output\": {\"delimiter\": \";\"}, \"column\": [{\"name\": \"a\", \"const\": 1.5}]}";
        assert_eq!(parse(json).unwrap(), expected);
        assert_eq!(parse(" { } ").unwrap(), json!({}));
        assert_eq!(parse("").unwrap(), json!({}));
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (text, told) in [
            (
                "{\"output\": {\"bom\": true, \"bom\": false}}",
                "the key \"bom\" stands twice at line 1 column 30",
            ),
            ("{\"column\": [{\"name\": \"a\", \"n\\u0061me\": \"b\"}]}", "the key \"name\" stands twice"),
            ("{\"output\": }", "expected value at line 1 column 12"),
            ("a = 1\nb = \n", "line 2: "),
            ("a = 1\na = 2\n", "line 2: duplicate key"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_may_begin_with_a_byte_order_mark_and_must_be_utf8() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.json");
        std::fs::write(&path, "\u{feff}{\"output\": {}}").unwrap();
        assert_eq!(read(&path).unwrap(), json!({"output": {}}));
        std::fs::write(&path, b"# caf\xe9\n").unwrap();
        let fault = read(&path).unwrap_err();
        assert_eq!((fault.code.name, fault.hint()), ("config.unreadable", "save the file as UTF-8"));
        let fault = read(&folder.path().join("none")).unwrap_err();
        assert!(fault.message.contains("none: No such file"), "{fault}");
    }
}
