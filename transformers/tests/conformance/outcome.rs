//! Running the transform and reading the result back.

use std::io::Write;
use std::path::{Path, PathBuf};

use outport_core::Fault;
use outport_transform::{Finish, JsonToCsv, Limits, OUT_FULL, Summary, Transform, run};

/// Converts in one go.
pub fn convert(input: &[u8]) -> Result<(String, Summary), Fault> {
    convert_within(input, Limits::default())
}

/// Converts in one go with other limits.
pub fn convert_within(input: &[u8], limits: Limits) -> Result<(String, Summary), Fault> {
    let mut out = Vec::new();
    let summary = run(&mut JsonToCsv::with_limits(limits), || Ok(input), &mut out)?;
    assert_eq!(summary.bytes_in, input.len() as u64);
    assert_eq!(summary.bytes_out, out.len() as u64);
    Ok((String::from_utf8(out).expect("the output is UTF-8"), summary))
}

/// Converts with the input cut into chunks of these lengths in turn, over and over; whatever is held for finding the columns, the
/// outcome is the same.
pub fn convert_cut(input: &[u8], lengths: &[usize], limits: Limits) -> Result<(String, Summary), Fault> {
    let whole = convert_held(input, lengths, JsonToCsv::with_limits(limits));
    for front in [1, 61] {
        let other = convert_held(input, lengths, JsonToCsv::with_limits(limits).with_front(front));
        assert_eq!(other, whole, "{} in chunks of {lengths:?}, {front} bytes held", input.escape_ascii());
    }
    whole
}

fn convert_held(
    input: &[u8],
    lengths: &[usize],
    mut transform: JsonToCsv,
) -> Result<(String, Summary), Fault> {
    let (mut all, mut out) = (Vec::new(), Vec::new());
    loop {
        let (mut rest, mut turn) = (input, 0);
        while !rest.is_empty() {
            let chunk = &rest[..lengths[turn % lengths.len()].clamp(1, rest.len())];
            turn += 1;
            let taken = transform.push(chunk, &mut out)?;
            assert!(
                taken == chunk.len() || out.len() >= OUT_FULL,
                "it takes less only when the output is full"
            );
            rest = &rest[taken..];
            all.append(&mut out);
        }
        let mut finish = transform.finish(&mut out)?;
        all.append(&mut out);
        while finish == Finish::More {
            finish = transform.finish(&mut out)?;
            assert!(finish != Finish::More || out.len() >= OUT_FULL, "more only when the output is full");
            all.append(&mut out);
        }
        if let Finish::Done(summary) = finish {
            assert_eq!(summary.bytes_out, all.len() as u64);
            return Ok((String::from_utf8(all).expect("UTF-8"), summary));
        }
        all.clear();
    }
}

/// The parsed cells, header first. Every row must have as many as the header.
pub fn cells(csv: &str) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(false).from_reader(csv.as_bytes());
    reader.records().map(|row| row.expect("no ragged row").iter().map(str::to_owned).collect()).collect()
}

/// A folder of the test data that several repositories share, or none (said loudly) when this checkout has
/// none beside it.
pub fn shared_testdata(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("OUTPORT_TESTDATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata"), PathBuf::from);
    let path = root.join(folder);
    if path.exists() {
        return Some(path);
    }
    // Past the capture of passing tests' output (eprintln! is captured): a skip must be seen.
    let note =
        format!("SKIPPED: no shared test data at {}; set OUTPORT_TESTDATA to its folder\n", path.display());
    std::io::stderr().write_all(note.as_bytes()).unwrap();
    None
}
