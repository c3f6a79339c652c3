//! Which transforms there are, and making one from its kind and parameters.

use outport_core::{Fault, code};
use serde_json::Value;

use crate::json_csv::mapped;
use crate::spec::{Compression, JsonLayout};
use crate::{PassThrough, Spec, Transform};

/// One kind of transform, as a transform spec names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// The kebab-case name: `json-to-csv`.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
}

static KINDS: [KindInfo; 4] = [
    KindInfo {
        name: "json-to-csv",
        summary: "JSON records (NDJSON, concatenated, one array or one object) to CSV with a header",
    },
    KindInfo {
        name: "json-to-json",
        summary: "JSON records selected, filtered and renamed, one a line or in an array",
    },
    KindInfo { name: "csv-to-json", summary: "CSV rows as JSON records, one a line or in an array" },
    KindInfo { name: "pass-through", summary: "the file as it is" },
];

/// Every kind that [`build`] knows.
///
/// ```
/// assert!(outport_transform::kinds().iter().any(|kind| kind.name == "json-to-csv"));
/// ```
pub fn kinds() -> &'static [KindInfo] {
    &KINDS
}

/// The extension of what a transform makes, without the dot; none where the input's own stays right. `params` as for [`build`];
/// only what decides is looked at, since this is asked for every subscription that a file reaches.
///
/// ```
/// use outport_transform::output_ext;
/// use serde_json::json;
/// assert_eq!(output_ext("json-to-csv", &json!({})), Some("csv"));
/// assert_eq!(output_ext("json-to-json", &json!({"output": {"compression": "gzip"}})), Some("ndjson.gz"));
/// assert_eq!(output_ext("pass-through", &json!({})), None);
/// ```
pub fn output_ext(kind: &str, params: &Value) -> Option<&'static str> {
    let is = |key: &str, word: &str| params.get("output").is_some_and(|output| output[key] == word);
    let [plain, gzip, zstd] = match kind {
        "json-to-csv" => ["csv", "csv.gz", "csv.zst"],
        "json-to-json" | "csv-to-json" if is("format", JsonLayout::Array.as_str()) => {
            ["json", "json.gz", "json.zst"]
        }
        "json-to-json" | "csv-to-json" => ["ndjson", "ndjson.gz", "ndjson.zst"],
        _ => return None,
    };
    Some(if is("compression", Compression::Gzip.as_str()) {
        gzip
    } else if is("compression", Compression::Zstd.as_str()) {
        zstd
    } else {
        plain
    })
}

/// Makes the transform of a spec. `params` are the spec's settings: an object, or null for none (docs/MAPPING.md).
///
/// ```
/// use outport_transform::build;
/// assert!(build("json-to-csv", &serde_json::json!({"output": {"delimiter": ";"}})).is_ok());
/// let fault = build("json-to-cvs", &serde_json::json!({})).err().unwrap();
/// assert_eq!(fault.hint(), "did you mean `json-to-csv`?");
/// ```
///
/// # Errors
/// - `transform.kind_unknown`: no such kind; the hint names the nearest one.
/// - `config.not_available`: an `hl7-...` kind, which is planned.
/// - `config.unknown_key`, `config.invalid`: the settings are not those of the kind.
pub fn build(kind: &str, params: &Value) -> Result<Box<dyn Transform>, Fault> {
    match kind {
        "json-to-csv" | "json-to-json" | "csv-to-json" => mapped(&Spec::read(kind, params)?),
        "pass-through" => {
            no_settings(kind, params)?;
            Ok(Box::new(PassThrough::new()))
        }
        _ => Err(unknown_kind(kind)),
    }
}

fn no_settings(kind: &str, params: &Value) -> Result<(), Fault> {
    let settings = match params {
        Value::Null => return Ok(()),
        Value::Object(settings) => settings,
        _ => {
            let message = format!("could not make a {kind} transform: its settings are not a table of keys");
            return Err(Fault::new(&code::CONFIG_INVALID, message));
        }
    };
    match settings.keys().next() {
        None => Ok(()),
        Some(key) => {
            let message = format!("could not make a {kind} transform: it has no setting {key:?}");
            Err(Fault::new(&code::CONFIG_UNKNOWN_KEY, message)
                .with_hint(format!("{kind} takes no settings; remove the key")))
        }
    }
}

fn unknown_kind(kind: &str) -> Fault {
    if kind.starts_with("hl7-") {
        let message =
            format!("could not make a transform of kind {kind:?}: HL7 transforms are not available yet");
        return Fault::new(&code::CONFIG_NOT_AVAILABLE, message);
    }
    let message = format!("could not make a transform of kind {kind:?}: there is no such kind");
    let fault = Fault::new(&code::TRANSFORM_KIND_UNKNOWN, message);
    // Half of the letters right is the least that reads as a slip and not as another word.
    let nearest = KINDS
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(kind, known.name), known.name))
        .filter(|(likeness, _)| *likeness >= 0.5)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => fault.with_hint(format!("did you mean `{name}`?")),
        None => fault.with_hint(format!("use one of: {}", KINDS.map(|known| known.name).join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_kind_builds_without_settings() {
        for kind in kinds() {
            assert!(build(kind.name, &json!({})).is_ok(), "{}", kind.name);
            assert!(build(kind.name, &Value::Null).is_ok(), "{}", kind.name);
            assert!(kind.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", kind.name);
        }
    }

    /// [`output_ext`] reads two settings by itself; the spec has to understand them the same.
    #[test]
    fn extensions_are_those_of_the_spec() {
        use crate::spec::Conversion;
        for kind in ["json-to-csv", "json-to-json", "csv-to-json"] {
            for format in [None, Some("ndjson"), Some("array")] {
                for compression in [None, Some("none"), Some("gzip"), Some("zstd")] {
                    let format = format.filter(|_| kind != "json-to-csv");
                    let mut output = serde_json::Map::new();
                    output.extend(format.map(|word| ("format".to_owned(), json!(word))));
                    output.extend(compression.map(|word| ("compression".to_owned(), json!(word))));
                    let params = json!({ "output": output });
                    let spec = Spec::read(kind, &params).unwrap();
                    let format = match spec.conversion() {
                        Conversion::JsonToCsv { .. } => "csv",
                        Conversion::CsvToJson { output, .. } | Conversion::JsonToJson { output, .. } => {
                            if output.layout == JsonLayout::Array {
                                "json"
                            } else {
                                "ndjson"
                            }
                        }
                    };
                    let expected = match spec.compression() {
                        Compression::None => format.to_owned(),
                        Compression::Gzip => format!("{format}.gz"),
                        Compression::Zstd => format!("{format}.zst"),
                    };
                    assert_eq!(output_ext(kind, &params), Some(expected.as_str()), "{kind} {params}");
                }
            }
        }
        assert_eq!(output_ext("json-to-csv", &Value::Null), Some("csv"));
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        let cases = [
            ("json-to-csb", json!({}), &code::TRANSFORM_KIND_UNKNOWN, "did you mean `json-to-csv`?"),
            ("passthrough", json!({}), &code::TRANSFORM_KIND_UNKNOWN, "did you mean `pass-through`?"),
            (
                "JSON_TO_XML",
                json!({}),
                &code::TRANSFORM_KIND_UNKNOWN,
                "use one of: json-to-csv, json-to-json, csv-to-json, pass-through",
            ),
            (
                "",
                json!({}),
                &code::TRANSFORM_KIND_UNKNOWN,
                "use one of: json-to-csv, json-to-json, csv-to-json, pass-through",
            ),
            ("hl7-normalize", json!({}), &code::CONFIG_NOT_AVAILABLE, code::CONFIG_NOT_AVAILABLE.hint),
            (
                "pass-through",
                json!({"delimiter": ";"}),
                &code::CONFIG_UNKNOWN_KEY,
                "pass-through takes no settings; remove the key",
            ),
            ("pass-through", json!([1]), &code::CONFIG_INVALID, code::CONFIG_INVALID.hint),
        ];
        for (kind, params, code, hint) in cases {
            let Err(fault) = build(kind, &params) else { panic!("{kind} was built") };
            assert_eq!(fault.code, code, "{kind}");
            assert_eq!(fault.hint(), hint, "{kind}");
        }
    }
}
