//! Which way through the crate a spec takes.

use outport_core::Fault;

use super::JsonToCsv;
use super::mapped::{CsvToJson, Mapped};
use crate::chain::Chain;
use crate::codec::{Charset, Decode, Encode, Pack, Text, Unicode, Unmappable, Unpack, wrap};
use crate::spec::{
    self, Arrays, Columns, Compression, Conversion, CsvOutput, Decompression, DuplicateKeys, ErrorPolicy,
    JsonInput, Spec, TextEncoding,
};
use crate::transform::Transform;

/// The transform of a spec, from the bytes as they lie there to the bytes as they are wanted.
pub(crate) fn mapped(spec: &Spec) -> Result<Box<dyn Transform>, Fault> {
    Ok(wrap(between(spec)?, decode(spec), encode(spec)))
}

pub(super) fn decode(spec: &Spec) -> Decode {
    let compression = match spec.input().compression {
        Decompression::Auto => Unpack::Auto,
        Decompression::None => Unpack::AsIs,
        Decompression::Gzip => Unpack::Gzip,
        Decompression::Zstd => Unpack::Zstd,
    };
    Decode { compression, charset: Charset::for_label(spec.input().encoding.name()) }
}

fn encode(spec: &Spec) -> Encode {
    let compression = match spec.compression() {
        Compression::None => Pack::AsIs,
        Compression::Gzip => Pack::Gzip,
        Compression::Zstd => Pack::Zstd,
    };
    let Conversion::JsonToCsv { output, .. } = spec.conversion() else {
        return Encode { compression, ..Encode::default() };
    };
    let unicode = |form| Text::Unicode { form, bom: output.bom };
    let text = match output.encoding {
        TextEncoding::Utf8 => unicode(Unicode::Utf8),
        TextEncoding::Utf16Le => unicode(Unicode::Utf16Le),
        TextEncoding::Utf16Be => unicode(Unicode::Utf16Be),
        TextEncoding::Legacy { encoding, unmappable } => match Charset::for_label(encoding.name()) {
            Some(Charset::Legacy(charset)) => Text::Legacy {
                charset,
                unmappable: match unmappable {
                    spec::Unmappable::Error => Unmappable::Refuse,
                    spec::Unmappable::Question => Unmappable::QuestionMark,
                },
            },
            _ => unicode(Unicode::Utf8),
        },
    };
    Encode { text, compression }
}

/// The transform of a spec, from UTF-8 to UTF-8.
fn between(spec: &Spec) -> Result<Box<dyn Transform>, Fault> {
    Ok(match spec.conversion() {
        Conversion::JsonToCsv { input, output } if *spec.columns() != Columns::Observed => {
            Box::new(Mapped::to_csv(spec, input, output))
        }
        // The fast way: every record is a row.
        Conversion::JsonToCsv { input, output } if is_plain(spec, input, output) => {
            Box::new(JsonToCsv::by_dialect(spec, input, output))
        }
        Conversion::JsonToCsv { input, output } => {
            let (own, input, output) = (spec.clone(), input.clone(), output.clone());
            // What comes out of the first is plain: one record a line, no duplicates, no filter.
            let plain =
                JsonInput { records: None, explode: None, layout: spec::Layout::Auto, ..input.clone() };
            let second = JsonToCsv::by_dialect(&own, &plain, &output).that_may_be_empty();
            let arrays = output.arrays;
            let first =
                move || -> Box<dyn Transform> { Box::new(Mapped::to_records(&own, &input, arrays.clone())) };
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
