//! The records of a file, one after the other.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Map, Value};

/// Where the records are.
#[derive(Clone, Copy, ValueEnum)]
pub enum Form {
    /// One per line
    Lines,
    /// In one array
    Array,
    /// In the array `items` of one object
    Items,
}

/// Calls `take` with every record.
pub fn each(form: Form, path: &Path, mut take: impl FnMut(Map<String, Value>) -> Result<()>) -> Result<()> {
    let reading = || format!("reading {}", path.display());
    match form {
        Form::Lines => {
            let mut file = BufReader::with_capacity(1 << 20, File::open(path).with_context(reading)?);
            let mut line = String::new();
            while file.read_line(&mut line).with_context(reading)? > 0 {
                take(serde_json::from_str(&line).with_context(reading)?)?;
                line.clear();
            }
            Ok(())
        }
        Form::Array => {
            let text = std::fs::read_to_string(path).with_context(reading)?;
            let records: Vec<_> = serde_json::from_str(&text).with_context(reading)?;
            records.into_iter().try_for_each(take)
        }
        Form::Items => {
            let text = std::fs::read_to_string(path).with_context(reading)?;
            let mut whole: Map<String, Value> = serde_json::from_str(&text).with_context(reading)?;
            let Some(Value::Array(items)) = whole.remove("items") else { anyhow::bail!("no array `items`") };
            for item in items {
                let Value::Object(record) = item else { anyhow::bail!("an item that is no object") };
                take(record)?;
            }
            Ok(())
        }
    }
}
