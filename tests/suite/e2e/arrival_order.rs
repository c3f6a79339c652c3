//! Files are copied side by side and recorded in the order in which they arrived.

use outport_tests::need;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{BUCKET, Partner, Site};

use super::{binary, on_both};

on_both!(a_large_file_is_not_overtaken_by_small_ones);

fn a_large_file_is_not_overtaken_by_small_ones(site: Site) {
    let server = need!(OpenSsh::start(Config::default()));
    site.apply(&[Partner::at("acme", &server)]).unwrap();
    let mut up = site.up().unwrap();
    // Its copy takes longer than those of all the others.
    let large = binary(60_000_000, 1);
    let keys: Vec<String> = (0..40).map(|n| format!("{n:02}.txt")).collect();
    let bucket = site.data().join("buckets").join(BUCKET);
    let hidden = |key: &str| bucket.join(format!(".{key}"));
    for (n, key) in keys.iter().enumerate() {
        let content = if n % 20 == 0 { large.as_slice() } else { key.as_bytes() };
        std::fs::write(hidden(key), content).unwrap();
    }
    for key in &keys {
        std::fs::rename(hidden(key), bucket.join(key)).unwrap();
    }
    site.wait_for_all(keys.len(), 60).unwrap();
    let files = site.json(["file", "list", "--limit", "100"]).unwrap();
    let mut recorded: Vec<&str> =
        files.as_array().unwrap().iter().map(|file| file["key"].as_str().unwrap()).collect();
    recorded.reverse();
    assert_eq!(recorded, keys);
    assert_eq!(up.stop(site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
    site.assert_invariants().unwrap();
}
