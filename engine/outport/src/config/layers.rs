//! The layers of the configuration, flattened to dotted keys, each with where it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use outport_core::{Fault, code};
use toml::{Table, Value};

use crate::nearest::nearest;
use crate::toml_line::toml_line;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One key with its value in force.
#[derive(Debug, Clone)]
pub struct Setting {
    pub key: String,
    pub value: Value,
    pub origin: Origin,
}

/// Default file, then the user's file, then the environment, then flags.
pub fn merge(
    file: Option<&Path>,
    data: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Vec<Setting>, Fault> {
    let environment: BTreeMap<String, String> = environment.collect();
    let mut settings: BTreeMap<String, Setting> =
        defaults()?.into_iter().map(|setting| (setting.key.clone(), setting)).collect();
    if let Some(path) = file_of(file, &environment) {
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Fault::new(
                &code::CONFIG_UNREADABLE,
                format!("could not read the configuration {}: {error}", path.display()),
            )
        })?;
        for (key, value) in flat(&parse(&text, &path.display().to_string())?) {
            if !settings.contains_key(&key) {
                let known = settings.keys().map(String::as_str);
                return Err(unknown(&key, &path, nearest(&key, known)));
            }
            settings.insert(key.clone(), Setting { key, value, origin: Origin::File(path.clone()) });
        }
    }
    for setting in settings.values_mut() {
        let name = variable(&setting.key);
        if let Some(text) = environment.get(&name) {
            setting.value = like(&setting.value, text, &name)?;
            setting.origin = Origin::Variable(name);
        }
    }
    if let (Some(data), Some(setting)) = (data, settings.get_mut("data")) {
        setting.value = Value::String(data.display().to_string());
        setting.origin = Origin::Flag("--data");
    }
    Ok(settings.into_values().collect())
}

/// The default file's settings.
pub fn defaults() -> Result<Vec<Setting>, Fault> {
    let table = parse(super::DEFAULTS, "the built-in defaults")?;
    Ok(flat(&table).into_iter().map(|(key, value)| Setting { key, value, origin: Origin::Default }).collect())
}

/// `intake.quiet` -> `OUTPORT_INTAKE_QUIET`.
pub fn variable(key: &str) -> String {
    format!("OUTPORT_{}", key.to_uppercase().replace('.', "_"))
}

/// The settings as one nested table again.
pub fn table(settings: &[Setting]) -> Result<Table, Fault> {
    let mut table = Table::new();
    for setting in settings {
        match setting.key.split_once('.') {
            None => {
                table.insert(setting.key.clone(), setting.value.clone());
            }
            Some((section, key)) => {
                let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
                if let Value::Table(section) = section {
                    section.insert(key.to_owned(), setting.value.clone());
                }
            }
        }
    }
    Ok(table)
}

fn file_of(named: Option<&Path>, environment: &BTreeMap<String, String>) -> Option<PathBuf> {
    named
        .map(Path::to_owned)
        .or_else(|| environment.get("OUTPORT_CONFIG").map(PathBuf::from))
        .or_else(|| Some(PathBuf::from("outport.toml")).filter(|path| path.is_file()))
}

fn parse(text: &str, name: &str) -> Result<Table, Fault> {
    text.parse::<Table>().map_err(|error| {
        let line = toml_line(text, &error);
        Fault::new(
            &code::CONFIG_UNREADABLE,
            format!("could not read {name}, line {line}: {}", error.message().replace('\n', " ")),
        )
    })
}

fn flat(table: &Table) -> Vec<(String, Value)> {
    let mut keys = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                keys.extend(flat(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            value => keys.push((key.clone(), value.clone())),
        }
    }
    keys
}

fn unknown(key: &str, path: &Path, near: Option<&str>) -> Fault {
    let fault = Fault::new(
        &code::CONFIG_UNKNOWN_KEY,
        format!("{} has a key that does not exist: {key:?}", path.display()),
    );
    match near {
        Some(near) => fault.with_hint(format!("did you mean {near:?}?")),
        None => fault,
    }
}

/// The text of a variable as a value of the default's type.
fn like(default: &Value, text: &str, name: &str) -> Result<Value, Fault> {
    let wrong = |what: &str| {
        Fault::new(&code::CONFIG_INVALID, format!("the variable {name} must be {what}"))
            .with_hint("`outport config check` shows the default")
    };
    Ok(match default {
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?),
        Value::Float(_) => Value::Float(text.parse().map_err(|_| wrong("a number"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(settings: &'a [Setting], key: &str) -> &'a Setting {
        settings.iter().find(|s| s.key == key).unwrap()
    }

    #[test]
    fn later_layers_win_and_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "[intake]\nquiet = \"5s\"\nsweep = \"9s\"\n").unwrap();
        let environment = [("OUTPORT_INTAKE_SWEEP".to_owned(), "30s".to_owned())];
        let settings = merge(Some(&file), None, environment.into_iter()).unwrap();
        assert_eq!(get(&settings, "intake.quiet").value.as_str(), Some("5s"));
        assert_eq!(get(&settings, "intake.sweep").origin, Origin::Variable("OUTPORT_INTAKE_SWEEP".into()));
        assert_eq!(get(&settings, "intake.horizon").origin, Origin::Default);
    }

    #[test]
    fn mistakes_are_named_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.toml");
        std::fs::write(&file, "[intake]\nqiuet = \"5s\"\n").unwrap();
        let fault = merge(Some(&file), None, std::iter::empty()).unwrap_err();
        assert_eq!(fault.code, &code::CONFIG_UNKNOWN_KEY);
        assert!(fault.hint().contains("intake.quiet"), "{}", fault.hint());
        std::fs::write(&file, "a = 1\nb = = 2\n").unwrap();
        assert!(merge(Some(&file), None, std::iter::empty()).unwrap_err().message.contains("line 2"));
        let environment = [("OUTPORT_WORKERS_SENDS".to_owned(), "many".to_owned())];
        let fault = merge(None, None, environment.into_iter()).unwrap_err();
        assert!(fault.message.contains("whole number"));
    }
}
