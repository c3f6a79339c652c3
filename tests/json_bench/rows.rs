//! What is measured, and what it should come to (issue 6, "What it must show").

use anyhow::{Context, Result};
use outport_tests::comparison::{End, Goal, Line, Table, Threads, Whose};
use outport_tests::json_inputs::Shape;

use crate::bed::{Bed, Input};
use crate::measure::run;
use crate::options::Options;
use crate::tool::{Installed, Setting, Tool};

/// The most that ours may have resident, in MB, at any size.
const MEMORY_MB: f64 = 64.0;

/// Every tool over one input.
pub fn table(options: &Options, bed: &Bed, installed: &Installed, shape: Shape) -> Result<Table> {
    let input = bed.input(shape, options.seed, options.size.0)?;
    // The same bytes without the last record.
    let plain =
        (shape == Shape::Late).then(|| bed.input(Shape::Flat, options.seed, options.size.0)).transpose()?;
    let mut entries = entries(options, installed, installed.tools(options, shape));
    for round in 0..options.rounds as usize {
        for turn in 0..entries.len() {
            let at = (round + turn) % entries.len();
            let Entry { tool, line } = &mut entries[at];
            if line.end() == Some(End::TimedOut) {
                continue;
            }
            let input = plain.as_ref().filter(|_| *tool == Tool::OutportPlainPass).unwrap_or(&input);
            measured(options, bed, *tool, line, input)?;
        }
    }
    let lines: Vec<Line> = entries.into_iter().map(|entry| entry.line).collect();
    let goals = goals(shape, &lines);
    Ok(Table { title: title(&input), bytes: input.bytes, records: input.records, lines, goals })
}

/// Ours alone over a file of the usual size and over a large one: one run each, since memory hardly varies.
pub fn memory(options: &Options, bed: &Bed, installed: &Installed) -> Result<Vec<Table>> {
    let of_size = |bytes: u64| {
        let input = bed.input(Shape::Flat, options.seed, bytes)?;
        let mut lines = Vec::new();
        for Entry { tool, mut line } in entries(options, installed, [Tool::Outport].into_iter()) {
            measured(options, bed, tool, &mut line, &input)?;
            lines.push(line);
        }
        let goals = vec![Goal::memory(&lines, MEMORY_MB)];
        let title = format!("memory: {}", title(&input));
        Ok(Table { title, bytes: input.bytes, records: input.records, lines, goals })
    };
    [options.size.0, options.memory_size.0].into_iter().map(of_size).collect()
}

struct Entry {
    tool: Tool,
    line: Line,
}

fn entries(options: &Options, installed: &Installed, tools: impl Iterator<Item = Tool>) -> Vec<Entry> {
    let of_tool = |tool: Tool| {
        // What stands for us is the product as it is used; the others of ours explain it.
        let whose = if tool == Tool::Outport { Whose::Ours } else { Whose::Other };
        let lines = tool.threads(options, installed).into_iter();
        lines.map(move |threads| Entry { tool, line: Line::new(tool.to_string(), threads, whose) })
    };
    tools.flat_map(of_tool).collect()
}

fn measured(options: &Options, bed: &Bed, tool: Tool, line: &mut Line, input: &Input) -> Result<()> {
    let threads = match line.threads {
        Threads::Given(count) => Some(count),
        Threads::Own => None,
    };
    let setting = Setting { threads, python: options.python() };
    let run = run(bed, tool, &setting, input, options.limit())
        .with_context(|| format!("{tool} on {}", input.shape.name()))?;
    // A long bench that is broken off has told what it knew.
    eprintln!(
        "  round {}: {tool}, threads {}: {:.2} s, CPU {:.2} s, {:.0} MB",
        line.runs.len() + 1,
        line.threads,
        run.wall_s,
        run.cpu_s,
        run.peak_mb
    );
    line.runs.push(run);
    Ok(())
}

fn title(input: &Input) -> String {
    let (name, records) = (input.path.file_name().unwrap_or_default().to_string_lossy(), input.records);
    format!("{name}: {:.0} MB, {records} records", input.bytes as f64 / 1e6)
}

fn goals(shape: Shape, lines: &[Line]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let slower = |tool: Tool, least| Goal::slower_than_ours(lines, &tool.to_string(), least);
    // A late key makes us read twice, and nobody else keeps it without reading twice or holding everything.
    if shape != Shape::Late {
        goals.extend(slower(Tool::DuckDb, 4.0));
        goals.extend(slower(Tool::Polars, 4.0));
    }
    goals.extend(slower(Tool::Flatterer, 10.0));
    for tool in [Tool::Miller, Tool::Jq, Tool::Pandas] {
        goals.extend(slower(tool, 30.0));
    }
    for tool in [Tool::PlainMemory, Tool::PlainTwoPass] {
        goals.extend(slower(tool, 10.0));
    }
    if shape != Shape::Late && lines.iter().any(|line| line.tool == Tool::Cp.to_string()) {
        goals.push(Goal::ours_against(lines, &Tool::Cp.to_string(), Threads::Given(2), 2.5));
    }
    if shape == Shape::Late {
        let plain_pass = Tool::OutportPlainPass.to_string();
        let told = lines.iter().filter(|line| line.whose == Whose::Ours).map(|line| line.threads);
        goals.extend(told.map(|threads| Goal::ours_against(lines, &plain_pass, threads, 2.6)));
    }
    goals.push(Goal::memory(lines, MEMORY_MB));
    goals
}
