//! `json-plain memory|two-pass lines|array|items INPUT OUTPUT`: the converter that anybody would write first, for the bench.
//!
//! `serde_json::Value` for every record, the union of all keys, the csv crate. Of what a plain program can do without effort it does the
//! best: whole files and lines are parsed as text (`from_reader` takes several times as long), and lines keep one buffer.

mod records;
mod row;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde_json::{Map, Value};

use records::Form;
use row::{Row, cell, row};

#[derive(Parser)]
#[command(version)]
struct Arguments {
    kind: Kind,
    form: Form,
    input: PathBuf,
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// All rows in memory
    Memory,
    /// The keys first, then the rows: lines only
    TwoPass,
}

fn main() -> Result<()> {
    let Arguments { kind, form, input, output } = Arguments::parse();
    match kind {
        Kind::Memory => {
            let mut rows = Vec::new();
            records::each(form, &input, |record| {
                rows.push(row(record));
                Ok(())
            })?;
            let mut keys = Row::new();
            rows.iter().for_each(|row| add_keys(&mut keys, row));
            let mut out = Out::create(&output, keys)?;
            rows.iter().try_for_each(|row| out.write(row))?;
            out.finish()
        }
        Kind::TwoPass => {
            let mut keys = Row::new();
            records::each(form, &input, |record| {
                add_keys(&mut keys, &row(record));
                Ok(())
            })?;
            let mut out = Out::create(&output, keys)?;
            records::each(form, &input, |record| out.write(&row(record)))?;
            out.finish()
        }
    }
}

/// A map that keeps its order serves as an ordered set.
fn add_keys(keys: &mut Row, row: &Row) {
    for key in row.keys() {
        if !keys.contains_key(key) {
            keys.insert(key.clone(), Value::Null);
        }
    }
}

struct Out {
    keys: Map<String, Value>,
    csv: csv::Writer<BufWriter<File>>,
}

impl Out {
    fn create(path: &Path, keys: Row) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        let mut csv = csv::Writer::from_writer(BufWriter::with_capacity(1 << 20, file));
        csv.write_record(keys.keys())?;
        Ok(Self { keys, csv })
    }

    fn write(&mut self, row: &Row) -> Result<()> {
        for key in self.keys.keys() {
            self.csv.write_field(row.get(key).map(cell).unwrap_or_default().as_bytes())?;
        }
        Ok(self.csv.write_record(None::<&[u8]>)?)
    }

    fn finish(mut self) -> Result<()> {
        Ok(self.csv.flush()?)
    }
}
