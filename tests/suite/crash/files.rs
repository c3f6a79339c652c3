//! Files to send, with what has to arrive of them.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// One file of a run.
#[derive(Debug)]
pub struct Sample {
    /// Its key in the bucket.
    pub key: String,
    /// What is put there.
    pub content: Vec<u8>,
    /// The final name on the partner's server, in its inbox.
    pub arrives_as: String,
    /// What has to stand there, byte for byte.
    pub arrives: Vec<u8>,
}

/// `count` files: every third one NDJSON that becomes CSV, the others bytes that stay as they are. Most of them are small
/// (1 to 64 KiB), as partners' files are; one in fifteen is large (256 KiB to 2 MiB), so that kills hit uploads.
pub fn mixed(seed: u64, count: usize) -> Vec<Sample> {
    let mut random = StdRng::seed_from_u64(seed);
    let one = |number: usize| match number % 3 {
        0 => records(&mut random, &format!("claims-{number:03}")),
        _ => {
            let (least, most) = if number % 10 == 7 { (256 << 10, 2 << 20) } else { (1 << 10, 64 << 10) };
            let size = log_uniform(&mut random, least, most);
            bytes(&mut random, &format!("scan-{number:03}.pdf"), size)
        }
    };
    (0..count).map(one).collect()
}

/// One file of `size` random bytes, sent as it is.
pub fn binary(key: &str, size: usize) -> Sample {
    bytes(&mut StdRng::seed_from_u64(size as u64), key, size)
}

/// One that comes to that crash point.
pub fn reaching(point: &str, key: &str) -> Sample {
    if point == "mid_upload" { large(key) } else { binary(key, 300_000) }
}

/// One that cannot be sent without waiting for an answer in between: the sender keeps at most 4 MiB unanswered.
pub fn large(key: &str) -> Sample {
    binary(key, 6 << 20)
}

/// One small NDJSON file, sent as CSV. `stem` is its name without the extension.
pub fn ndjson(stem: &str) -> Sample {
    records(&mut StdRng::seed_from_u64(7), stem)
}

fn bytes(random: &mut StdRng, key: &str, size: usize) -> Sample {
    let mut content = vec![0; size];
    random.fill_bytes(&mut content);
    Sample { key: key.into(), arrives_as: key.into(), arrives: content.clone(), content }
}

fn records(random: &mut StdRng, stem: &str) -> Sample {
    let target = log_uniform(random, 1 << 10, 64 << 10);
    let (mut content, mut arrives) = (String::new(), String::from("id,patient,cents\n"));
    let mut id = 0;
    while content.len() < target {
        id += 1;
        let (patient, cents) = (random.random::<u32>(), random.random_range(0..1_000_000));
        content += &format!("{{\"id\":{id},\"patient\":\"P{patient:08x}\",\"cents\":{cents}}}\n");
        arrives += &format!("{id},P{patient:08x},{cents}\n");
    }
    Sample {
        key: format!("{stem}.ndjson"),
        content: content.into_bytes(),
        arrives_as: format!("{stem}.csv"),
        arrives: arrives.into_bytes(),
    }
}

fn log_uniform(random: &mut StdRng, least: usize, most: usize) -> usize {
    let (least, most) = ((least as f64).ln(), (most as f64).ln());
    random.random_range(least..most).exp() as usize
}
