//! Which way through the crate a spec takes.

use outport_core::Fault;

use super::JsonToCsv;
use super::mapped::{CsvToJson, Mapped};
use crate::chain::Chain;
use crate::spec::{Arrays, Columns, Conversion, CsvOutput, DuplicateKeys, ErrorPolicy, JsonInput, Spec};
use crate::transform::Transform;

/// The transform of a spec.
pub(crate) fn mapped(spec: &Spec) -> Result<Box<dyn Transform>, Fault> {
    Ok(match spec.conversion() {
        Conversion::JsonToCsv { input, output } if *spec.columns() != Columns::Observed => {
            Box::new(Mapped::to_csv(spec, input, output))
        }
        // The fast way: every record is a row.
        Conversion::JsonToCsv { input, output } if is_plain(spec, input, output) => {
            Box::new(JsonToCsv::by_dialect(spec, input, output))
        }
        Conversion::JsonToCsv { input, output } => {
            let (spec, input, output) = (spec.clone(), input.clone(), output.clone());
            // What comes out of the first is plain: one record a line, no duplicates, no filter.
            let plain = JsonInput {
                records: None,
                explode: None,
                layout: crate::spec::Layout::Auto,
                ..input.clone()
            };
            let second = JsonToCsv::by_dialect(&spec, &plain, &output).that_may_be_empty();
            let arrays = output.arrays;
            let first =
                move || -> Box<dyn Transform> { Box::new(Mapped::to_records(&spec, &input, arrays.clone())) };
            Box::new(Chain::new(first, Box::new(second)))
        }
        Conversion::JsonToJson { input, output } => Box::new(Mapped::to_json(spec, input, output.layout)),
        Conversion::CsvToJson { input, output } => Box::new(CsvToJson::new(spec, input, output.layout)),
    })
}

/// Whether records become rows just as they are.
fn is_plain(spec: &Spec, input: &JsonInput, output: &CsvOutput) -> bool {
    spec.filters().is_empty()
        && spec.errors() == ErrorPolicy::Reject
        && input.explode.is_none()
        && input.duplicate_keys == DuplicateKeys::Error
        && output.arrays == Arrays::Json
}
