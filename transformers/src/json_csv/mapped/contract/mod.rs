//! Contract mode: a mapping spec written from the records that came.

mod page;
mod seen;
mod tree;

use outport_core::{Fault, code};
use serde_json::Value;

use self::tree::Tree;
use super::capture::Capture;
use super::tape::Tape;
use super::{lines, reading};
use crate::codec::{Encode, wrap};
use crate::json_csv::by_spec::decode;
use crate::json_csv::limits::Limits;
use crate::json_csv::problem::Problem;
use crate::json_csv::reading::{Reading, Stage};
use crate::json_csv::scanner::Scanner;
use crate::spec::{Conversion, Spec};
use crate::transform::{Finish, Summary, Transform};

/// A transform that reads JSON records and writes the mapping spec for `json-to-csv` that they keep to: TOML with a column for every
/// path, its type, and whether every record had a value. Comments say how often what was seen, never a value. With
/// `unknown_keys = "error"` in it, whatever comes later and differs is refused or quarantined.
///
/// `params` are the settings of `json-to-csv`, of which only `input` has a meaning here (without `explode`); null for none. They
/// stand in the contract again.
///
/// ```
/// use outport_transform::{infer, run};
/// let json = "{\"id\":1,\"paid\":true}\n{\"id\":2,\"paid\":null}\n";
/// let mut contract = Vec::new();
/// run(&mut *infer(&serde_json::Value::Null)?, || Ok(json.as_bytes()), &mut contract)?;
/// let contract = String::from_utf8_lossy(&contract);
/// assert!(contract.contains("from = \"/id\"\ntype = \"integer\"\nrequired = true\n"), "{contract}");
/// # Ok::<(), outport_core::Fault>(())
/// ```
///
/// # Errors
/// `config.invalid`, `config.unknown_key`: the settings are not those that are left. The transform itself fails as `json-to-csv` does,
/// and with `json.not_records` when there is nothing to make a column of.
pub fn infer(params: &Value) -> Result<Box<dyn Transform>, Fault> {
    let spec = Spec::read("json-to-csv", params)?;
    let given = params.as_object().into_iter().flatten();
    let more = given.map(|(key, _)| key.as_str()).find(|key| !matches!(*key, "version" | "kind" | "input"));
    if let Some(key) = more {
        return Err(too_much(key));
    }
    let Conversion::JsonToCsv { input, .. } = spec.conversion() else { return Err(too_much("kind")) };
    if input.explode.is_some() {
        return Err(too_much("input.explode"));
    }
    let limits =
        Limits { record_bytes: spec.input().max_record_bytes, depth: input.max_depth, ..Limits::default() };
    let look = Look {
        capture: Capture::default(),
        tape: Tape::default(),
        tree: Tree::new(limits, input.duplicate_keys),
    };
    let given = params.get("input").cloned().unwrap_or_default();
    let infer = Infer { reading: reading(input, limits, lines(input, false)), look, given, ended: None };
    Ok(wrap(Box::new(infer), decode(&spec), Encode::default()))
}

fn too_much(key: &str) -> Fault {
    let message = format!("could not infer a contract: the spec has `{key}`, and only [input] is used here");
    Fault::new(&code::CONFIG_INVALID, message)
        .with_hint(format!("remove `{key}`; correct the contract once it is written"))
}

/// Looks at records and keeps what they are made of.
#[derive(Debug)]
struct Infer {
    reading: Reading,
    look: Look,
    /// `[input]` as it was given.
    given: Value,
    ended: Option<Result<Summary, Fault>>,
}

#[derive(Debug)]
struct Look {
    capture: Capture,
    tape: Tape,
    tree: Tree,
}

impl Stage for Look {
    fn scan(&mut self, scanner: &mut Scanner, piece: &[u8], _: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut at = 0;
        while at < piece.len() {
            at += scanner.scan(&piece[at..], &mut self.capture)?;
            let Some(text) = self.capture.take() else { continue };
            self.tape.read(&text);
            let seen = self.tree.record(&self.tape, &text);
            self.capture.give_back(text);
            seen.map_err(|problem| problem.at(&scanner.record_place()))?;
        }
        Ok(at)
    }

    fn end(&mut self, scanner: &mut Scanner) -> Result<(), Fault> {
        scanner.finish(&self.capture)
    }

    fn fault(&self, scanner: &Scanner, problem: &Problem) -> Fault {
        scanner.fault(problem, &self.capture)
    }
}

impl Infer {
    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut taken = 0;
        while taken < chunk.len() {
            taken += self.reading.take(&chunk[taken..], &mut self.look, out)?;
        }
        Ok(taken)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<Summary, Fault> {
        let size = self.reading.end(&mut self.look)?;
        let columns = self.look.tree.columns()?;
        let page = page::write(&self.given, size, &columns);
        out.extend_from_slice(page.as_bytes());
        let (records, columns) = (Some(size.records), Some(columns.len() as u64));
        Ok(Summary { records, rejected: 0, columns, bytes_in: size.bytes, bytes_out: page.len() as u64 })
    }
}

impl Transform for Infer {
    fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        match &self.ended {
            None => self.take(chunk, out).inspect_err(|fault| self.ended = Some(Err(fault.clone()))),
            Some(Ok(_)) => Err(Fault::new(&code::TRANSFORM_FAILED, "could not take input behind its end")),
            Some(Err(fault)) => Err(fault.clone()),
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Finish, Fault> {
        let ended = match self.ended.take() {
            None => self.end(out),
            Some(ended) => ended,
        };
        self.ended = Some(ended.clone());
        ended.map(Finish::Done)
    }
}
