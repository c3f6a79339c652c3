//! `convert THREADS IN OUT`: JSON to CSV without the rest of the program, for profilers. Says seconds and bytes.

use std::fs::File;
use std::time::Instant;

use outport_transform::{JsonToCsv, Transform, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [threads, input, output] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .map_err(|_| "usage: convert THREADS IN OUT")?;
    let start = Instant::now();
    let mut out = File::create(output)?;
    let mut transform = JsonToCsv::new();
    transform.use_threads(threads.parse()?);
    let summary = run(&mut transform, || File::open(&input), &mut out)?;
    println!("{:.3} s, {summary:?}", start.elapsed().as_secs_f64());
    Ok(())
}
