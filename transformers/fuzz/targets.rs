// Fuzz targets: plain functions of bytes that panic when a promise is broken. `tests/conformance/fuzz.rs` drives them on stable with
// proptest, in every run of the tests; `cargo +nightly fuzz run json_to_csv` (this folder) with libFuzzer, where it exists.

use outport_core::Fault;
use outport_transform::codec::{Charset, Decode, Encode, Pack, Unpack, wrap};
use outport_transform::{About, Finish, JsonToCsv, PassThrough, Spec, Summary, Transform, build};

/// Everything a transform gives for an input that is cut into chunks of this length.
fn outcome(
    transform: &mut dyn Transform,
    input: &[u8],
    length: usize,
) -> Result<(Vec<u8>, Vec<u8>, Summary), Fault> {
    let (mut all, mut rejects, mut out) = (Vec::new(), Vec::new(), Vec::new());
    // Two passes are the most that any transform takes.
    for _pass in 0..2 {
        for chunk in input.chunks(length.max(1)) {
            let mut rest = chunk;
            while !rest.is_empty() {
                let taken = transform.push(rest, &mut out)?;
                assert!(taken > 0 || !out.is_empty(), "a push takes something or gives something");
                rest = &rest[taken..];
                all.append(&mut out);
                transform.take_rejects(&mut rejects);
            }
        }
        loop {
            let finish = transform.finish(&mut out)?;
            all.append(&mut out);
            transform.take_rejects(&mut rejects);
            match finish {
                Finish::More => {}
                Finish::Again => break,
                Finish::Done(summary) => return Ok((all, rejects, summary)),
            }
        }
        all.clear();
        rejects.clear();
    }
    panic!("a third pass was asked for");
}

/// The first bytes choose how the input is cut, held and shared; the outcome must be that of the whole input on one thread, and its rows
/// as wide as its header.
pub fn json_to_csv(bytes: &[u8]) {
    let [length, front, threads, input @ ..] = bytes else { return };
    let whole = outcome(&mut JsonToCsv::new(), input, usize::MAX);
    let mut transform = JsonToCsv::new().with_front(usize::from(*front));
    transform.use_threads(usize::from(threads % 4));
    let cut = outcome(&mut transform, input, usize::from(*length));
    assert_eq!(whole, cut);
    let Ok((csv, _, summary)) = whole else { return };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(&csv[..]);
    let rows = reader.records().inspect(|row| assert!(row.is_ok(), "no ragged row: {row:?}")).count() as u64;
    if summary.columns != Some(0) {
        assert_eq!(Some(rows), summary.records.map(|records| records + 1));
    }
}

/// Specs that together reach all of the executor.
const SPECS: [&str; 6] = [
    r#"{"errors":{"policy":"quarantine","max_bad":1000000},"column":[{"name":"a","from":"/a","type":"integer","required":true},{"name":"b","from":"/b"}]}"#,
    r#"{"input":{"explode":"/b","explode_empty":"drop"},"column":[{"name":"a","from":"/a"},{"name":"b","from":"./a"}],"filter":[{"from":"./a","exists":true}]}"#,
    r#"{"output":{"arrays":"index","array_index_limit":3,"null":"NULL","quote":"all"},"input":{"duplicate_keys":"last"}}"#,
    r#"{"output":{"arrays":"join","csv_injection":"prefix","delimiter":";","line_ending":"crlf"},"input":{"duplicate_keys":"first"}}"#,
    r#"{"input":{"records":"/a/b"},"output":{"unknown_keys":"error"},"column":[{"name":"a","from":"/a"}]}"#,
    r#"{"errors":{"policy":"quarantine","max_bad":"50%"},"filter":[{"from":"/a","ne":1}]}"#,
];

/// The first bytes choose a spec and how the input is cut; cuts must not matter.
pub fn mapping(bytes: &[u8]) {
    let [which, length, input @ ..] = bytes else { return };
    let params = serde_json::from_str(SPECS[usize::from(*which) % SPECS.len()]).expect("a spec is JSON");
    let make = || {
        let mut transform = build("json-to-csv", &params).expect("a spec that is right");
        transform.about(&About::default());
        transform
    };
    let whole = outcome(&mut *make(), input, usize::MAX);
    assert_eq!(whole, outcome(&mut *make(), input, usize::from(*length)));
    if let Ok((_, rejects, summary)) = whole {
        assert_eq!(rejects.iter().filter(|byte| **byte == b'\n').count() as u64, summary.rejected);
        assert!(summary.records.is_none_or(|records| records >= summary.rejected));
    }
}

/// Any JSON is a spec or a fault, and what a spec is understood as reads back as the same.
pub fn spec(bytes: &[u8]) {
    let Ok(params) = serde_json::from_slice(bytes) else { return };
    for kind in ["json-to-csv", "csv-to-json", "json-to-json"] {
        let Ok(spec) = Spec::read(kind, &params) else { continue };
        let explained: serde_json::Value = toml::from_str(&spec.explain()).expect("TOML");
        assert_eq!(Spec::read(kind, &explained).as_ref(), Ok(&spec));
    }
}

/// Any bytes unpack and decode to the same however they are cut; what was packed unpacks to itself.
pub fn codec(bytes: &[u8]) {
    let [which, length, input @ ..] = bytes else { return };
    let labels = ["utf-8", "utf-16", "windows-1252", "shift_jis", "gb18030"];
    let charset = Charset::for_label(labels[usize::from(*which) % labels.len()]);
    let decode = Decode { compression: Unpack::Auto, charset };
    let make = || wrap(Box::new(PassThrough::new()), decode, Encode::default());
    let whole = outcome(&mut *make(), input, usize::MAX);
    assert_eq!(whole, outcome(&mut *make(), input, usize::from(*length)));
    for (pack, unpack) in [(Pack::Gzip, Unpack::Gzip), (Pack::Zstd, Unpack::Zstd)] {
        let encode = Encode { compression: pack, ..Encode::default() };
        let packing = outcome(
            &mut *wrap(Box::new(PassThrough::new()), Decode::default(), encode),
            input,
            usize::from(*length),
        );
        let (packed, ..) = packing.expect("anything packs");
        let decode = Decode { compression: unpack, charset: None };
        let unpacking =
            outcome(&mut *wrap(Box::new(PassThrough::new()), decode, Encode::default()), &packed, 7);
        assert_eq!(unpacking.expect("it unpacks").0, input);
    }
}
