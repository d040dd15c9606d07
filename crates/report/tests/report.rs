//! Whole reports, from events to files. They are left in the build folder for a person to look at.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use fixture::measured::{Line, measured, unmeasured};
use secateur_report::{Event, Report, ReportInput, RunLog, State, Timing, curve_table, read_log, write_report};

fn logged(dir: &Path, label: &str, lines: Vec<Line>) -> ReportInput {
    let path = dir.join(format!("{label}.jsonl"));
    let mut log = RunLog::create(&path).expect("a new log");
    for (index, (event, inference)) in lines.into_iter().enumerate() {
        let peak_memory_bytes = matches!(event, Event::Tested(_)).then_some((400 + index as u64) << 20);
        let elapsed_ms = 4_000 * index as u64;
        let timing =
            Timing { elapsed_ms, images_per_s: Some(12_345.0), peak_memory_bytes, inference, log_sha256: None };
        log.append(&event, Some(timing)).expect("a line");
    }
    let record = read_log(&path).expect("the log");
    ReportInput {
        label: format!("runs/{label}"),
        state: if record.ended.is_some() { State::Finished } else { State::Unfinished },
        record,
        reproduce: format!("secateur run configs/{label}.toml --seed 1"),
        origin: Default::default(),
    }
}

fn out(name: &str) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // What an earlier version of a test wrote is not this one's.
    let _ = fs::remove_dir_all(&out);
    out
}

#[test]
fn a_report_of_three_runs_and_one_that_is_still_going() {
    let logs = tempfile::tempdir().expect("a temporary folder");
    let going = fixture::l1_events(2);
    let runs = [
        logged(logs.path(), "lenet-l1-global", unmeasured(fixture::l1_events(1))),
        logged(logs.path(), "lenet-l1-global-seed-2", unmeasured(going[..going.len() - 20].to_vec())),
        logged(logs.path(), "lenet-random-global", unmeasured(fixture::random_events(1))),
        logged(logs.path(), "lenet-dense", unmeasured(fixture::dense_events(1))),
    ];
    assert_eq!(runs[3].record.elapsed_ms, 4_000 * 42, "the clock of the last line");
    let paths = write_report(&runs, out("report")).expect("a report");
    let name = |path: &PathBuf| path.file_name().expect("a name").to_string_lossy().into_owned();
    let names: Vec<_> = paths.iter().map(name).collect();
    for counted in ["accuracy-vs-parameters.svg", "accuracy-vs-macs.svg"] {
        assert!(names.contains(&counted.to_owned()), "{counted} is counted, {names:?}");
    }
    let timed = |name: &String| name.contains("time") || name.contains("bytes");
    assert!(!names.iter().any(timed), "without a measured cost there is no chart of one: {names:?}");
    let page = fs::read_to_string(&paths[0]).expect("the page");
    for text in
        ["<mark>unfinished</mark>", "random control: random-global", "dense control, 13,760", "runs/lenet-dense"]
    {
        assert!(page.contains(text), "{text}");
    }
    for text in [">measured speed-up<", "Accuracy against time", "batch 1,", "f16"] {
        assert!(!page.contains(text) && !curve_table(&runs[0].record).contains(text), "{text}");
    }
    assert!(page.contains("<td>441 MiB</td>"), "the dense control's last test is in the 42nd line");
    let csv = fs::read_to_string(paths.last().expect("the CSV")).expect("the CSV");
    assert_eq!(csv.lines().count(), 1 + runs.iter().map(|run| run.record.tests.len()).sum::<usize>());
    assert!(csv.lines().skip(1).all(|line| line.ends_with(&",".repeat(20))), "no cost, no number");
}

#[test]
fn a_report_of_what_networks_cost() {
    let logs = tempfile::tempdir().expect("a temporary folder");
    let runs = [
        logged(logs.path(), "lenet-5-l1", measured(fixture::l1_events(1), 5)),
        logged(logs.path(), "lenet-5-random", measured(fixture::random_events(1), 5)),
        logged(logs.path(), "lenet-5-dense", measured(fixture::dense_events(1), 5)),
        logged(logs.path(), "lenet-2-dense", measured(fixture::dense_events_to(1, 9869), 2)),
        logged(logs.path(), "lenet-1-dense", measured(fixture::dense_events_to(1, 9771), 1)),
    ];
    let paths = write_report(&runs, out("costs")).expect("a report");
    let names: Vec<_> = paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy()).collect();
    for name in ["time-batch-1", "time-batch-128", "bytes", "parameters", "macs"] {
        for kind in ["svg", "png"] {
            assert!(names.contains(&format!("accuracy-vs-{name}.{kind}").into()), "{names:?}");
        }
    }

    // What the log says of cycle 4, at 95 %, is what the page, the table and the CSV say.
    let measurement = runs[0].record.points()[4].measured.expect("a measured cycle").clone();
    let read = measurement.inference.expect("a timed cycle");
    let [single, .., batch] = read.latencies[..] else { panic!("the fixture has several times") };
    let file = &measurement.measured.files[0];
    assert_eq!((file.precision.as_str(), file.bytes, single.batch, batch.batch), ("f16", 234_747, 1, 128));
    let (sparse, dense) = (format!("{:.4} ms", single.sparse_ms), format!("{:.3} ms", single.dense_ms));
    let speedup = format!("{:.2}x", batch.dense_ms / batch.sparse_ms);
    let page = fs::read_to_string(&paths[0]).expect("the page");
    for text in [
        "<td>235 KB<small>234,747 bytes</small></td>",
        &format!("<td>{sparse}<small>dense {dense}</small></td>"),
        &format!("<td>{speedup}</td>"),
        "Timed with avx512: batch 1, 1 thread; batch 128, 2 threads.",
        "Every call that was timed",
        "<td>9.5e-7</td>",
        ">lenet k=1</text>",
        "<th scope=\"col\">measured speed-up</th>",
    ] {
        let page = page.replace(">\nlenet", ">lenet").replace("\n</text>", "</text>");
        assert!(page.contains(text), "{text}");
    }
    let table = curve_table(&runs[0].record);
    let row = table.lines().skip_while(|line| !line.contains("f16 file")).nth(5).expect("cycle 4");
    for text in ["235 KB", &sparse, &speedup] {
        assert!(row.contains(text), "{row}: {text}");
    }
    let csv = fs::read_to_string(paths.last().expect("the CSV")).expect("the CSV");
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let heading = lines.next().expect("a heading");
    // The schedule's commas add cells before the columns that are looked up here: count from the end.
    let row = lines.find(|row| row.contains(&"234747")).expect("cycle 4");
    let cell = |name: &str| {
        let from_end = heading.iter().rev().position(|column| *column == name).expect(name);
        row[row.len() - 1 - from_end]
    };
    for (name, value) in [
        ("stage", "retrained".to_owned()),
        ("correct", "9842".to_owned()),
        ("file_precision", "f16".to_owned()),
        ("compacted_units", measurement.measured.compacted.units.to_string()),
        ("max_logit_delta", measurement.measured.compacted.max_logit_delta.to_string()),
        ("instruction_set", "avx512".to_owned()),
        ("sparse_memory_bytes", read.sparse_memory_bytes.to_string()),
        ("single_threads", "1".to_owned()),
        ("single_sparse_ms", single.sparse_ms.to_string()),
        ("batch", "128".to_owned()),
        ("batch_threads", "2".to_owned()),
        ("batch_dense_ms", batch.dense_ms.to_string()),
        ("batch_speedup", batch.speedup().to_string()),
    ] {
        assert_eq!(cell(name), value, "{name}");
    }
}

#[test]
fn a_page_of_many_long_runs_stays_small_enough_to_open() {
    let mut runs = Vec::new();
    for (name, criterion) in [("a", "l1"), ("b", "l2"), ("c", "snip"), ("d", "random")] {
        for seed in 1..=50 {
            let lines = unmeasured(fixture::long_events(name, criterion, seed, 100));
            let record = fixture::measured::record(&lines);
            runs.push(fixture::input(&format!("{name}-s{seed}"), record));
        }
    }
    let report = Report::of(&runs).expect("a report");
    let size = report.page().len();
    assert!(size < 5_000_000, "{size} bytes");
    assert!(report.page().contains("of 101 cycles are shown; all are in"), "what is left out is said");
    assert!(runs.iter().all(|run| report.page().contains(&format!(">{}<", run.label))), "every run is named");
}
