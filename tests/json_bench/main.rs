//! How fast `outport transform json-to-csv` is against the tools that people use today (issue 6, "Bench"): prints tables, writes
//! every run into a file, fails only when ours loses or shifts a row.
//!
//! ```sh
//! tests/run --bench json                                   # everything; brings the other tools
//! tests/run --bench json --only flat,late --peers duckdb   # some of it; --help has all options
//! ```
//!
//! Inputs come from a seed (`outport_tests::json_inputs`), and are read once before they are measured, so that they come from
//! memory. Rounds are interleaved: each tool once, then each once more, beginning with another one each time; whatever else the
//! machine does meets all alike. Given are medians; a ratio is the median of the ratios within the rounds, against ours with as
//! many threads. A tool that cannot be told how many is measured against ours with the fewest.
//!
//! *CPU* is user and system time with all children, *RSS* the most that one process had resident: both from the kernel's
//! accounts of a process that has ended (getrusage(2)), none of it sampled. What was written is read back and its rows and
//! columns are compared with ours; then it is removed. A tool that refuses an input has its exit code in the table.
//!
//! `outport` puts its output on the disk (fsync) before it gives it its name, as in production; no other tool here does.
//! `outport >` is the same without: it writes to standard output.

mod bed;
mod machine;
mod measure;
mod options;
mod peers;
mod rows;
mod tool;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use serde_json::json;

use bed::Bed;
use machine::Machine;
use options::Options;
use tool::Installed;

fn main() -> ExitCode {
    match measure(&Options::parse()) {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            for fault in faults {
                eprintln!("json-bench: {fault}");
            }
            ExitCode::FAILURE
        }
        Err(fault) => {
            eprintln!("json-bench: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// What ours did wrong.
fn measure(options: &Options) -> anyhow::Result<Vec<String>> {
    let bed = Bed::new(options)?;
    let installed = Installed::look(options, &bed)?;
    let machine = Machine::look(options, &installed, bed.folder())?;
    println!("{machine}");
    let mut tables = Vec::new();
    for shape in options.shapes() {
        eprintln!("measuring {}", shape.name());
        let table = rows::table(options, &bed, &installed, shape)?;
        println!("\n{table}");
        tables.push(table);
    }
    if options.memory_5gb {
        eprintln!("measuring memory");
        for table in rows::memory(options, &bed, &installed)? {
            println!("\n{table}");
            tables.push(table);
        }
    }
    println!("load average at the end: {}", machine::load_average());
    let report = json!({
        "machine": machine.to_json(),
        "seed": options.seed,
        "rounds": options.rounds,
        "tables": tables.iter().map(outport_tests::comparison::Table::to_json).collect::<Vec<_>>(),
    });
    let file = options.report()?;
    std::fs::write(&file, format!("{report:#}\n")).with_context(|| format!("writing {}", file.display()))?;
    println!("every run: {}", file.display());
    Ok(tables.iter().flat_map(outport_tests::comparison::Table::faults).collect())
}
