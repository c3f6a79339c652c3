//! `outport demo`: what a newcomer sees first. It needs no server but its own.

use std::path::Path;

use outport_tests::process::{Finished, Outport};

use super::{CLAIMS, CLAIMS_CSV, binary, sha256};

/// `outport demo FILES...` in `work`, with its folder at `work/home`.
fn demo(work: &Path, files: &[&str]) -> Finished {
    let arguments = ["--data", "home", "demo"].into_iter().chain(files.iter().copied());
    Outport::new(work, arguments).run().unwrap()
}

/// The line of the table that begins with `file`, in words.
fn row<'a>(ended: &'a Finished, file: &str) -> Vec<&'a str> {
    let line = ended.stdout.lines().find(|line| line.split_whitespace().next() == Some(file));
    line.unwrap_or_else(|| panic!("{file} is in no line of {ended:?}")).split_whitespace().collect()
}

/// Why transforms failed, as the command shows that the demo tells people to look around with.
fn failed_transforms(work: &Path) -> Vec<String> {
    let arguments = ["--data", "home", "transform", "list", "--state", "failed", "--json"];
    let ended = Outport::new(work, arguments).run().unwrap();
    let failed: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).unwrap();
    failed.iter().map(|t| t["fault_code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_samples_arrive_and_the_broken_one_fails_with_its_place() {
    let work = tempfile::tempdir().unwrap();
    let ended = demo(work.path(), &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let header: Vec<&str> = ended.stdout.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header[..5], ["FILE", "GROUP", "SUBSCRIBER", "TRANSFORM", "STATE"], "{header:?}");
    for (file, remote) in [
        ("claims-monday.ndjson", "inbox/claims-monday.csv"),
        ("claims-tuesday.json", "inbox/claims-tuesday.csv"),
        ("statement.pdf", "inbox/statement.pdf"),
    ] {
        let row = row(&ended, file);
        let content = std::fs::read(work.path().join("home/partner").join(remote)).unwrap();
        assert!(!content.is_empty());
        let size = content.len().to_string();
        for word in ["delivered", remote, size.as_str(), &sha256(&content)[..12]] {
            assert!(row.contains(&word), "{word} is not in {row:?}");
        }
    }
    assert!(row(&ended, "claims-broken.json").contains(&"failed"));
    for part in ["[transform.failed]", "line 2", "hint: ", "delivered files:", "outport up"] {
        assert!(ended.stderr.contains(part), "{part} is not in {}", ended.stderr);
    }
    assert_eq!(std::fs::read_dir(work.path().join("home/partner/inbox")).unwrap().count(), 3);
    assert_eq!(failed_transforms(work.path()), ["json.syntax"]);
}

#[test]
fn ones_own_files_take_the_place_of_the_samples() {
    let work = tempfile::tempdir().unwrap();
    let image = binary(500_000, 5);
    std::fs::write(work.path().join("mine.ndjson"), CLAIMS).unwrap();
    std::fs::write(work.path().join("scan 1.tiff"), &image).unwrap();
    let ended = demo(work.path(), &["mine.ndjson", "scan 1.tiff"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let inbox = work.path().join("home/partner/inbox");
    assert_eq!(std::fs::read_to_string(inbox.join("mine.csv")).unwrap(), CLAIMS_CSV);
    assert_eq!(std::fs::read(inbox.join("scan 1.tiff")).unwrap(), image);
    assert_eq!(std::fs::read_dir(inbox).unwrap().count(), 2);
    assert!(!ended.stdout.contains("claims-monday"), "{}", ended.stdout);
}

#[test]
fn a_broken_file_alone_fails_as_it_should() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("broken.json"), "[{\"a\":1},").unwrap();
    let ended = demo(work.path(), &["broken.json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(row(&ended, "broken.json").contains(&"failed"), "{}", ended.stdout);
    assert!(ended.stderr.contains("[transform.failed]\nhint: "), "{}", ended.stderr);
    assert_eq!(failed_transforms(work.path()), ["json.truncated"]);
    assert_eq!(std::fs::read_dir(work.path().join("home/partner/inbox")).unwrap().count(), 0);
}

#[test]
fn a_file_that_is_not_there_ends_it_before_anything_starts() {
    let work = tempfile::tempdir().unwrap();
    let ended = demo(work.path(), &["nothing.json"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert!(ended.stderr.contains("nothing.json") && ended.stderr.contains("hint: "), "{ended:?}");
}
