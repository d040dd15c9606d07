//! Which files a report has, and when there is none.

use super::*;
use crate::fixture;

fn input(label: &str, events: &[crate::Event]) -> ReportInput {
    fixture::input(label, fixture::record(events))
}

fn names(runs: &[ReportInput]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let paths = write_report(runs, dir.path().join("new/report")).expect("a report");
    assert!(paths.iter().all(|path| path.is_file()));
    paths.iter().map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect()
}

#[test]
fn one_group_has_plain_names() {
    let runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::random_events(1))];
    let charts = [
        "accuracy-vs-sparsity",
        "accuracy-vs-compression",
        "accuracy-just-pruned",
        "sparsity-over-steps",
        "layers-l1-global",
        "layers-random-global",
        "accuracy-vs-parameters",
        "accuracy-vs-macs",
    ];
    let tables =
        ["series.csv", "series.json", "differences.csv", "differences.json", "audit.csv", "audit.json", "curve.csv"];
    let charts = charts.iter().flat_map(|stem| ["svg", "png"].map(|kind| format!("{stem}.{kind}")));
    let expected: Vec<_> =
        std::iter::once("index.html".to_owned()).chain(charts).chain(tables.map(str::to_owned)).collect();
    assert_eq!(names(&runs), expected);
}

#[test]
fn files_of_groups_are_told_apart() {
    let mut runs = [1, 2, 3].map(|n| input(&format!("run-{n}"), &fixture::l1_events(n)));
    runs[1].record.started.dataset = "fashion-mnist".into();
    runs[2].record.started.images.test = 1000;
    let names = names(&runs);
    for name in ["-mnist-lenet-k-1.svg", "-fashion-mnist-lenet-k-1.png", "-mnist-lenet-k-1--2.svg"] {
        assert!(names.contains(&format!("accuracy-vs-sparsity{name}")), "{names:?}");
    }
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len(), "no file is written twice");
}

#[test]
fn in_memory_and_on_disk_are_the_same_and_repeat() {
    let runs = [input("a", &fixture::l1_events(1)), input("b", &fixture::dense_events(1))];
    let refused = [Refused { label: "runs/torn".into(), why: "found nothing".into() }];
    let report = Report::with(&runs, &refused, &Views::default()).expect("a report");
    let files = report.files().expect("files");
    assert_eq!(files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), report.names());
    let dir = tempfile::tempdir().expect("a temporary folder");
    let paths = report.write(dir.path()).expect("written");
    for (path, (name, bytes)) in paths.iter().zip(&files) {
        assert!(path.ends_with(name) && fs::read(path).expect("a file") == *bytes, "{name}");
    }
    assert!(Report::with(&runs, &refused, &Views::default()).expect("a report").files().expect("files") == files);
    assert_eq!(report.file("../index.html").expect("no fault"), None);
    assert!(report.page().contains("runs/torn"));
}

#[test]
fn a_run_without_a_test_is_named() {
    let mut run = input("runs/young", &fixture::l1_events(1));
    run.record.tests.clear();
    run.record.ended = None;
    let report = Report::of(&[run]).expect("a report");
    assert!(report.names().iter().all(|name| !name.starts_with("accuracy")), "no chart of nothing");
    let page = report.page();
    assert!(page.contains("runs/young") && page.contains("There is no test yet") && page.contains("has no test yet"));
}

#[test]
fn nothing_to_report_is_an_error_and_so_is_a_folder_that_cannot_be() {
    assert!(matches!(write_report(&[], "/tmp"), Err(Error::NoRuns)));
    let names = Report::of(&[]).expect("an empty report, for a server that waits for runs").names();
    assert!(names.len() == 8 && names.iter().all(|name| !name.ends_with("png")), "{names:?}");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("a file");
    let error = write_report(&[input("a", &fixture::l1_events(1))], &file).expect_err("not a folder").to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}
