//! Time and size of a report over many long runs: reading the logs, making the page and the tables, drawing the pictures.
//!
//!   cargo bench -p secateur-report --bench many_runs -- [RUNS] [CYCLES] [FOLDER]      200 runs of 100 cycles otherwise

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::path::PathBuf;
use std::time::Instant;

use secateur_report::{Report, ReportInput, RunLog, Timing, read_log};

const SERIES: [(&str, &str); 4] =
    [("l1-global", "l1"), ("l2-global", "l2"), ("snip-global", "snip"), ("random-global", "random")];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let number = |place: usize, other: u64| words.get(place).and_then(|word| word.parse().ok()).unwrap_or(other);
    let (count, cycles) = (number(0, 200), number(1, 100));
    let logs = tempfile::tempdir().expect("a temporary folder");
    let paths: Vec<PathBuf> = (0..count).map(|index| write(logs.path(), index, cycles)).collect();
    let bytes: u64 = paths.iter().map(|path| path.metadata().expect("a log").len()).sum();

    let began = Instant::now();
    let runs: Vec<ReportInput> =
        paths.iter().map(|path| fixture::input(&path.display().to_string(), read_log(path).expect("a log"))).collect();
    let read = began.elapsed();
    let began = Instant::now();
    let report = Report::of(&runs).expect("a report");
    let made = began.elapsed();
    let began = Instant::now();
    let files = report.files().expect("files");
    let drawn = began.elapsed();
    if let Some(folder) = words.get(2) {
        report.write(folder).expect("written");
    }

    let of =
        |kind: &str| files.iter().filter(|(name, _)| name.ends_with(kind)).map(|(_, bytes)| bytes.len()).sum::<usize>();
    let pictures = files.iter().filter(|(name, _)| name.ends_with(".png")).count();
    println!("{count} runs of {cycles} cycles, logs of {:.1} MB", bytes as f64 / 1e6);
    println!("read the logs, one after the other: {:.2} s", read.as_secs_f64());
    println!("page and tables: {:.2} s, page {:.2} MB", made.as_secs_f64(), report.page().len() as f64 / 1e6);
    println!(
        "{pictures} charts as SVG and PNG: {:.2} s, {:.2} and {:.2} MB",
        drawn.as_secs_f64(),
        of(".svg") as f64 / 1e6,
        of(".png") as f64 / 1e6
    );
    println!("CSV and JSON: {:.2} and {:.2} MB", of(".csv") as f64 / 1e6, of(".json") as f64 / 1e6);
    println!("page, tables and pictures together: {:.2} s", (made + drawn).as_secs_f64());
}

fn write(folder: &std::path::Path, index: u64, cycles: u64) -> PathBuf {
    let (name, criterion) = SERIES[index as usize % SERIES.len()];
    let path = folder.join(format!("{name}-{index}.jsonl"));
    let mut log = RunLog::create(&path).expect("a new log");
    let seed = index / SERIES.len() as u64 + 1;
    let events = fixture::long_events(name, criterion, seed, cycles);
    for (line, (event, inference)) in fixture::measured::measured(events, 5).into_iter().enumerate() {
        let timing = Timing { elapsed_ms: 100 * line as u64, inference, ..Timing::default() };
        log.append(&event, Some(timing)).expect("a line");
    }
    path
}
