//! JSON on its way through the engine: columns that come late, specs, and records that are kept apart.

use outport_tests::need;
use outport_tests::servers::cloud::{ARTIFACTS, Cloud};
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{FolderWatch, Partner, Site, definitions};

use super::on_both;

on_both!(
    a_late_column_from_a_folder,
    a_late_column_from_s3,
    a_spec_and_its_rejects,
    too_many_bad,
    what_is_refused_leaves_nothing,
    a_compressed_output_says_so,
);

/// More than is held for finding columns (8 MiB), and a key that only the last record has: rows are written, and thrown away.
fn late() -> (String, String) {
    let (mut json, mut csv) = (String::new(), String::from("id,text,late\n"));
    let text = "x".repeat(200);
    for id in 0..50_000 {
        json += &format!("{{\"id\":{id},\"text\":\"{text}\"}}\n");
        csv += &format!("{id},{text},\n");
    }
    (json + "{\"id\":50000,\"late\":\"yes\"}\n", csv + "50000,,yes\n")
}

fn a_late_column_from_a_folder(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    let (json, csv) = late();
    // Whatever is seen at the partner is the whole file: never the rows that had a column too few.
    let watch = FolderWatch::start(server.folder(), [("late.csv", csv.as_bytes())]);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    site.put("late.ndjson", &json).unwrap();
    site.wait_for_state("late.ndjson", "acme/sftp", "delivered", 0).unwrap();
    watch.finish().unwrap();
    assert!(std::fs::read(server.folder().join("late.csv")).unwrap() == csv.as_bytes());
    let outputs: Vec<_> = std::fs::read_dir(site.data().join("artifacts/outputs")).unwrap().collect();
    assert_eq!(outputs.len(), 1, "one output, and nothing of the draft before it: {outputs:?}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn a_late_column_from_s3(site: Site) {
    let cloud = need!(Cloud::start());
    let server = need!(OpenSsh::start(Config::default()));
    let site = cloud.settings(site);
    let (json, csv) = late();
    let watch = FolderWatch::start(server.folder(), [("late.csv", csv.as_bytes())]);
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    cloud.upload("late.ndjson", json.as_bytes()).unwrap();
    site.wait_for_state("late.ndjson", "acme/sftp", "delivered", 0).unwrap();
    watch.finish().unwrap();
    assert!(std::fs::read(server.folder().join("late.csv")).unwrap() == csv.as_bytes());
    let mut made = cloud.keys(ARTIFACTS).unwrap();
    made.retain(|key| key != "made/LEDGER");
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

/// The definitions of a partner whose transform has this spec.
fn with_spec(site: &Site, server: &OpenSsh, spec: &str) -> String {
    let kind = "kind = \"json-to-csv\"\n";
    let text = definitions(&[Partner::at("acme", server)]);
    let text = text.replacen(kind, &format!("{kind}{spec}"), 1);
    site.write("partners.toml", text).unwrap().display().to_string()
}

const SPEC: &str = r#"
[transform.params.errors]
policy = "quarantine"
max_bad = 1
[[transform.params.column]]
name = "file"
builtin = "source_key"
[[transform.params.column]]
name = "amount"
from = "/amount"
type = "decimal"
scale = 2
required = true
"#;

fn a_spec_and_its_rejects(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    let file = with_spec(&site, &server, SPEC);
    site.done(["apply", &file]).unwrap();
    let mut up = site.up().unwrap();
    site.put("in/a.ndjson", "{\"amount\":1}\n{\"amount\":\"N/A\"}\n{\"amount\":\"2.5\"}\n").unwrap();
    site.wait_for_state("in/a.ndjson", "acme/sftp", "delivered", 0).unwrap();
    let csv = std::fs::read_to_string(server.folder().join("a.csv")).unwrap();
    assert_eq!(csv, "file,amount\nin/a.ndjson,1.00\nin/a.ndjson,2.50\n");
    let transforms = site.json(["transform", "list"]).unwrap();
    let transform = &transforms[0];
    assert_eq!(
        (transform["records"].as_u64(), transform["rejected"].as_u64()),
        (Some(2), Some(1)),
        "{transform}"
    );
    let rejects = transform["rejects"].as_str().unwrap().strip_prefix("s3://").unwrap();
    let line = std::fs::read_to_string(site.data().join("artifacts").join(rejects)).unwrap();
    let reject: serde_json::Value = serde_json::from_str(line.trim_end()).unwrap();
    assert_eq!((reject["record"].as_u64(), reject["byte"].as_u64()), (Some(2), Some(13)), "{line}");
    assert!(!up.log().contains("N/A"), "no content in the log");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn too_many_bad(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    let file = with_spec(&site, &server, SPEC);
    site.done(["apply", &file]).unwrap();
    let mut up = site.up().unwrap();
    site.put("in/a.ndjson", "{\"amount\":1}\n{\"amount\":\"N/A\"}\n{}\n").unwrap();
    let delivery = site.wait_for_state("in/a.ndjson", "acme/sftp", "failed", 0).unwrap();
    assert_eq!(delivery["fault_code"], "transform.failed", "{delivery}");
    let transform = &site.json(["transform", "list"]).unwrap()[0];
    assert_eq!(transform["fault_code"], "mapping.too_many_bad", "{transform}");
    let left: Vec<_> = std::fs::read_dir(site.data().join("artifacts/outputs")).unwrap().collect();
    assert!(left.is_empty(), "neither rows nor rejects: {left:?}");
    assert!(!server.folder().join("a.csv").exists());
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

/// Each bad in its last bytes, behind more than what is held for finding columns: rows were written when it was found.
fn bad_at_the_end() -> Vec<(&'static str, Vec<u8>, &'static str, String)> {
    let (good, _) = late();
    let records = good.lines().count() as u64;
    let (line, bytes) = (records + 1, good.len() as u64);
    let behind = |end: &[u8]| [good.as_bytes(), end].concat();
    let array = format!("[{}", good.trim_end().replace('\n', ",\n"));
    let place = |at: u64, path: &str| format!("record {line} (line {line}, byte {}{path})", bytes + at);
    vec![
        (
            "deep",
            behind(format!("{{\"id\":{}", "[".repeat(100_000)).as_bytes()),
            "json.depth",
            place(133, ", at /id"),
        ),
        ("twice", behind(b"{\"id\":1,\"id\":2}\n"), "json.duplicate_key", place(12, ", at /id")),
        ("surrogate", behind(b"{\"id\":\"\\ud800\"}\n"), "json.utf8", place(13, ", at /id")),
        ("nul", behind(b"{\"id\":\"\0\"}\n"), "json.syntax", place(7, ", at /id")),
        ("utf8", behind(b"{\"id\":\"\xff"), "json.utf8", place(7, ", at /id")),
        (
            "truncated",
            array.clone().into_bytes(),
            "json.truncated",
            format!("(line {records}, byte {})", array.len()),
        ),
        (
            "garbage",
            (array.clone() + "]x").into_bytes(),
            "json.syntax",
            format!("(line {records}, byte {})", array.len() + 1),
        ),
    ]
}

fn what_is_refused_leaves_nothing(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    let bad = bad_at_the_end();
    for (name, content, ..) in &bad {
        site.put(&format!("{name}.json"), content).unwrap();
    }
    for (name, ..) in &bad {
        site.wait_for_state(&format!("{name}.json"), "acme/sftp", "failed", 0).unwrap();
    }
    let transforms = site.json(["transform", "list"]).unwrap();
    for (name, _, code, place) in &bad {
        let key = format!("{name}.json");
        let transform = transforms.as_array().unwrap().iter().find(|one| one["key"] == *key).unwrap();
        assert_eq!(transform["fault_code"], *code, "{transform}");
        let fault = transform["fault"].as_str().unwrap();
        assert!(fault.contains(place.as_str()), "{place} is not in {fault}");
    }
    let left: Vec<_> = std::fs::read_dir(site.data().join("artifacts/outputs")).unwrap().collect();
    assert!(left.is_empty(), "drafts of files that were refused: {left:?}");
    let sent: Vec<_> = std::fs::read_dir(server.folder()).unwrap().collect();
    assert!(sent.is_empty(), "{sent:?}");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}

fn a_compressed_output_says_so(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    let file = with_spec(&site, &server, "[transform.params.output]\ncompression = \"gzip\"\n");
    site.done(["apply", &file]).unwrap();
    let mut up = site.up().unwrap();
    site.put("in/a.ndjson", "{\"a\":1}\n").unwrap();
    site.wait_for_state("in/a.ndjson", "acme/sftp", "delivered", 0).unwrap();
    let sent = server.folder().join("a.csv.gz");
    assert!(std::fs::read(&sent).unwrap().starts_with(&[0x1f, 0x8b]), "RFC 1952, 2.3.1");
    let read = site.done(["transform", "csv-to-json", sent.to_str().unwrap(), "-"]).unwrap();
    assert_eq!(read.stdout, "{\"a\":\"1\"}\n");
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}
