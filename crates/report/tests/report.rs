//! A whole report, from events to files. It is left in the build folder for a person to look at.

mod fixture;

use std::fs;
use std::path::Path;

use secateur_report::{Event, ReportInput, RunLog, Timing, read_log, write_report};

fn logged(dir: &Path, label: &str, events: &[Event]) -> ReportInput {
    let path = dir.join(format!("{label}.jsonl"));
    let mut log = RunLog::create(&path).expect("a new log");
    for (index, event) in events.iter().enumerate() {
        let peak_memory_bytes = matches!(event, Event::Tested(_)).then_some((400 + index as u64) << 20);
        let timing = Timing { elapsed_ms: 4_000 * index as u64, images_per_s: Some(12_345.0), peak_memory_bytes };
        log.append(event, Some(timing)).expect("a line");
    }
    let record = read_log(&path).expect("the log");
    ReportInput {
        label: format!("runs/{label}"),
        record,
        reproduce: format!("secateur run configs/{label}.toml --seed 1"),
    }
}

#[test]
fn a_report_of_three_runs_and_one_that_is_still_going() {
    let logs = tempfile::tempdir().expect("a temporary folder");
    let going = fixture::l1_events(2);
    let runs = [
        logged(logs.path(), "lenet-l1-global", &fixture::l1_events(1)),
        logged(logs.path(), "lenet-l1-global-seed-2", &going[..going.len() - 20]),
        logged(logs.path(), "lenet-random-global", &fixture::random_events(1)),
        logged(logs.path(), "lenet-dense", &fixture::dense_events(1)),
    ];
    assert_eq!(runs[3].record.elapsed_ms, 4_000 * 35, "the clock of the last line");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    let paths = write_report(&runs, &out).expect("a report");
    assert_eq!(paths.len(), 6);
    let page = fs::read_to_string(&paths[0]).expect("the page");
    for text in ["<mark>unfinished</mark>", "random control: runs/lenet-random-global", "dense control, 13,760"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(page.contains("<td>434 MiB</td>"), "the dense control is tested in the 35th line");
    let csv = fs::read_to_string(&paths[5]).expect("the CSV");
    assert_eq!(csv.lines().count(), 1 + runs.iter().map(|run| run.record.tests.len()).sum::<usize>());
}
