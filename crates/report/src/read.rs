//! Reads `log.jsonl` back: strict on every complete line, since a wrong number in a curve is worse than no curve;
//! tolerant of a torn last line alone, since that is what a run that is still going looks like.

use std::path::Path;

use serde::Deserialize;

use crate::digest::log_digest;
use crate::error::Error;
use crate::event::{
    Compacted, Entry, Event, LOG_VERSION, Latency, LayerDensity, LayerPath, Measured, OLDEST_LOG_VERSION, Score, Size,
};
use crate::record::RunRecord;
use crate::regular;

/// Reads the log at `path`.
///
/// # Errors
/// When the file cannot be read, holds no complete line, or a complete line is not what it should be: the error names
/// the line, what was found and what was wanted.
pub fn read_log(path: impl AsRef<Path>) -> Result<RunRecord, Error> {
    let path = path.as_ref();
    parse(path, &bytes(path)?, |_| ())
}

/// The lines of the log at `path`, which is read as strictly.
pub(crate) fn read_entries(path: impl AsRef<Path>) -> Result<Vec<Entry>, Error> {
    let path = path.as_ref();
    let mut entries = Vec::new();
    parse(path, &bytes(path)?, |entry| entries.push(entry.clone()))?;
    Ok(entries)
}

/// Longest log that is read, in bytes.
const LONGEST: u64 = 4 << 30;

fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    regular::read(path, LONGEST).map_err(Error::io("read the log", path))
}

/// Reads a log; `each` sees its lines one by one.
fn parse(path: &Path, bytes: &[u8], mut each: impl FnMut(&Entry)) -> Result<RunRecord, Error> {
    // What follows the last newline is empty, or a line that is still being written.
    let complete = bytes.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
    let mut record: Option<RunRecord> = None;
    let mut end = 0;
    let mut newest = 0;
    if complete > 0 {
        for (index, text) in bytes[..complete].split(|&byte| byte == b'\n').enumerate() {
            end += text.len() + 1;
            let fault =
                |found: String, wanted: String| Error::Line { path: path.into(), line: index + 1, found, wanted };
            let entry = parse_line(path, index + 1, text)?;
            check(&entry.event)
                .and_then(|()| check_readings(&entry))
                .map_err(|(found, wanted)| fault(found, wanted))?;
            newest = newest.max(entry.v);
            let name = entry.event.name();
            match (&record, &entry.event) {
                (None, Event::RunStarted(started)) => record = Some(RunRecord::new(started.clone())),
                (None, _) => return Err(fault(format!("`{name}`"), "`run_started` in the first line".into())),
                (Some(_), Event::RunStarted(_)) => return Err(fault(format!("a second `{name}`"), "it once".into())),
                (Some(record), _) if record.ended.is_some() => {
                    return Err(fault(format!("`{name}`"), "nothing after `run_ended`".into()));
                }
                (Some(record), Event::Measured(Measured { cycle, .. }))
                    if record.tests.last().is_none_or(|test| test.tested.cycle != *cycle) =>
                {
                    return Err(fault(format!("`{name}` of cycle {cycle}"), "it after a test of its cycle".into()));
                }
                (Some(_), _) => {}
            }
            each(&entry);
            if let (Some(record), Event::RunEnded(_)) = (&mut record, &entry.event) {
                // Nothing may follow: what stands up to this line's end is the whole log.
                record.checked = check_digest(path, &bytes[..end], &entry, newest)?;
            }
            if let Some(record) = &mut record {
                record.add(entry.event, entry.timing);
            }
        }
    }
    record.ok_or_else(|| Error::EmptyLog { path: path.to_owned() })
}

/// Compares a finished log, whose newest line is of this version, with the checksum that its last line holds; `false` for one of
/// version 1, which has none.
fn check_digest(path: &Path, bytes: &[u8], ended: &Entry, newest: u32) -> Result<bool, Error> {
    let changed = |found, expected| Err(Error::ChangedLog { path: path.to_owned(), found, expected });
    match ended.timing.as_ref().and_then(|timing| timing.log_sha256.clone()) {
        None if newest < CHECKED_SINCE => Ok(false),
        None => changed("none".into(), "in `timing.log_sha256` of its last line".into()),
        Some(expected) => match log_digest(bytes) {
            found if found == expected => Ok(true),
            found => changed(found, expected),
        },
    }
}

/// The version since which the last line of a finished log holds the log's checksum.
const CHECKED_SINCE: u32 = 2;

fn parse_line(path: &Path, line: usize, text: &[u8]) -> Result<Entry, Error> {
    #[derive(Deserialize)]
    struct Version {
        v: u64,
    }
    let fault = |error: serde_json::Error| {
        let found = match text {
            [] => "an empty line".to_owned(),
            _ => format!("`{}` ({error})", excerpt(text)),
        };
        Error::Line {
            path: path.to_owned(),
            line,
            found,
            wanted: format!("an event of version {OLDEST_LOG_VERSION} to {LOG_VERSION}"),
        }
    };
    // A newer line may have fields of another shape: say that it is newer before complaining about them.
    let Version { v } = serde_json::from_slice(text).map_err(fault)?;
    if v > u64::from(LOG_VERSION) {
        return Err(Error::NewerLog { path: path.to_owned(), line, found: v, known: LOG_VERSION });
    }
    let entry: Entry = serde_json::from_slice(text).map_err(fault)?;
    if entry.v < OLDEST_LOG_VERSION {
        let (found, wanted) = (format!("version {v}"), format!("version {OLDEST_LOG_VERSION} to {LOG_VERSION}"));
        return Err(Error::Line { path: path.to_owned(), line, found, wanted });
    }
    Ok(entry)
}

fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut short: String = text.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(80).is_some() {
        short.push_str("...");
    }
    short
}

/// Refuses parts that are larger than their whole: (found, wanted).
fn check(event: &Event) -> Result<(), (String, String)> {
    match event {
        Event::RunStarted(e) => {
            if e.classes == 0 {
                return Err(("`classes` 0".into(), "at least 1".into()));
            }
            within("prunable", e.prunable, "parameters", e.parameters)
        }
        Event::EpochEnded(e) => {
            check_score(&e.train)?;
            e.validation.as_ref().map_or(Ok(()), check_score)
        }
        Event::Pruned(e) => {
            if !(0.0..1.0).contains(&e.target) {
                return Err((format!("target {}", e.target), "a sparsity in [0, 1)".into()));
            }
            within("pruned", e.pruned, "prunable", e.prunable)?;
            e.layers.iter().try_for_each(|LayerDensity { kept, total, .. }| within("kept", *kept, "total", *total))
        }
        Event::MasksMoved(e) => {
            within("regrown", e.regrown, "prunable", e.prunable)?;
            within("pruned", e.pruned, "prunable", e.prunable)
        }
        Event::Judged(e) => check_score(&e.validation),
        Event::LayersCompiled(e) => {
            e.layers.iter().try_for_each(|LayerPath { kept, total, units, all_units, .. }| {
                within("kept", *kept, "total", *total)?;
                within("units", *units, "all_units", *all_units)
            })
        }
        Event::Tested(e) => {
            let Size { pruned, prunable, nonzero, parameters, remaining_macs, macs, .. } = e.size;
            within("pruned", pruned, "prunable", prunable)?;
            within("nonzero", nonzero, "parameters", parameters)?;
            within("remaining_macs", remaining_macs, "macs", macs)?;
            check_score(&e.score)
        }
        Event::Measured(e) => {
            let Compacted { parameters, nonzero, macs, remaining_macs, max_logit_delta, .. } = e.compacted;
            within("nonzero", nonzero, "parameters", parameters)?;
            within("remaining_macs", remaining_macs, "macs", macs)?;
            if max_logit_delta < 0.0 {
                return Err((format!("`max_logit_delta` {max_logit_delta}"), "a size, at least 0".into()));
            }
            Ok(())
        }
        Event::SessionStarted(_) | Event::StoppedEarly(_) | Event::RunEnded(_) => Ok(()),
    }
}

/// Refuses times that no clock can show: they would be drawn on a logarithmic scale.
fn check_readings(entry: &Entry) -> Result<(), (String, String)> {
    let inference = entry.timing.as_ref().and_then(|timing| timing.inference.as_ref());
    for Latency { batch, threads, dense_ms, sparse_ms } in inference.iter().flat_map(|read| &read.latencies) {
        for (name, count) in [("batch", batch), ("threads", threads)] {
            if *count == 0 {
                return Err((format!("`{name}` 0"), "at least 1".into()));
            }
        }
        for (name, time) in [("dense_ms", dense_ms), ("sparse_ms", sparse_ms)] {
            if !time.is_finite() || *time <= 0.0 {
                return Err((format!("`{name}` {time}"), "a time above 0".into()));
            }
        }
    }
    Ok(())
}

fn check_score(score: &Score) -> Result<(), (String, String)> {
    within("correct", score.correct, "total", score.total)
}

fn within(part: &str, part_value: u64, whole: &str, whole_value: u64) -> Result<(), (String, String)> {
    if part_value <= whole_value {
        return Ok(());
    }
    Err((format!("`{part}` {part_value}"), format!("at most `{whole}` {whole_value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timing;
    use crate::fixture;

    fn line(event: &Event) -> String {
        line_with(event, None)
    }

    fn line_with(event: &Event, timing: Option<Timing>) -> String {
        serde_json::to_string(&Entry { v: LOG_VERSION, event: event.clone(), timing }).expect("a line") + "\n"
    }

    /// A finished log with its checksum in the last line.
    fn sealed(text: &str) -> String {
        let (before, last) = text.trim_end().rsplit_once('\n').expect("lines");
        let mut entry: Entry = serde_json::from_str(last).expect("an entry");
        let timing = |entry: &Entry| line_with(&entry.event, entry.timing.clone());
        entry.timing.get_or_insert_default().log_sha256 = None;
        let sum = log_digest(format!("{before}\n{}", timing(&entry)).as_bytes());
        entry.timing.get_or_insert_default().log_sha256 = Some(sum);
        format!("{before}\n{}", timing(&entry))
    }

    #[test]
    fn a_finished_log_of_version_2_without_its_checksum_was_changed() {
        let whole = sealed(&fixture::dense_events(1).iter().map(line).collect::<String>());
        assert!(read(&whole).expect("as it was written").checked);
        let (_, rest) = whole.split_once(",\"log_sha256\"").expect("the field");
        let gone = whole.replace(&format!(",\"log_sha256\"{}", &rest[..67]), "");
        let renamed = whole.replace("log_sha256", "log_sha257");
        let last = whole.trim_end().rfind('\n').expect("lines") + 1;
        let older = format!("{}{}", &gone[..last], gone[last..].replacen("\"v\":2", "\"v\":1", 1));
        for (what, text) in [("gone", gone), ("renamed", renamed), ("of an older line", older)] {
            assert_ne!(text, whole, "{what}");
            let error = read(&text).expect_err(what).to_string();
            assert!(error.contains("was changed") && error.contains("found none"), "{what}: {error}");
        }
        let version_1 = read(include_str!("../tests/testdata/run-v1/log.jsonl")).expect("an old log");
        assert!(!version_1.checked);
    }

    fn read(text: &str) -> Result<RunRecord, Error> {
        parse(Path::new("log.jsonl"), text.as_bytes(), |_| ())
    }

    #[test]
    fn every_event_comes_back_from_its_line() {
        let lines = fixture::measured::measured(fixture::l1_events(1), 5);
        let names: std::collections::BTreeSet<_> = lines.iter().map(|(event, _)| event.name()).collect();
        assert_eq!(names.len(), 8, "the fixture has every kind of event: {names:?}");
        let mut text = String::new();
        for (event, inference) in &lines {
            let timing = inference.clone().map(|read| Timing { inference: Some(read), ..Timing::default() });
            let line = line_with(event, timing.clone());
            let entry: Entry = serde_json::from_str(&line).expect("an entry");
            assert_eq!((&entry.event, entry.timing), (event, timing));
            text.push_str(&line);
        }
        let record = read(&sealed(&text)).expect("a record");
        assert!(record.checked);
        assert_eq!(RunRecord { checked: false, ..record.clone() }, fixture::measured::record(&lines));
        assert_eq!(record.points().iter().filter(|point| point.measured.is_some()).count(), 8);
    }

    #[test]
    fn a_torn_last_line_is_a_run_that_is_still_going() {
        let events = fixture::l1_events(1);
        let whole: String = events.iter().map(line).collect();
        // Cut after every byte of the last two lines: never an error, never a wrong event.
        let whole = sealed(&whole);
        let first_kept: String = events[..events.len() - 2].iter().map(line).collect();
        for end in first_kept.len()..whole.len() {
            let record = read(&whole[..end]).expect("a torn log");
            assert!(record.ended.is_none());
        }
        assert!(read(&whole).expect("the whole log").ended.is_some());
    }

    const COMPILED: &str = concat!(
        r#"{"v":2,"event":"layers_compiled","cycle":0,"step":3,"instruction_set":"avx2","layers":"#,
        r#"[{"name":"conv2","path":"sparse","kept":43,"total":864,"units":12,"all_units":16}]}"#
    );
    const TESTED: &str = concat!(
        r#"{"v":1,"event":"tested","cycle":0,"step":3,"stage":"dense","score":{"correct":1,"total":2,"loss":0.5},"#,
        r#""size":{"pruned":0,"prunable":4,"nonzero":4,"parameters":4,"remaining_macs":4,"macs":4,"dead_units":0},"#,
        r#""timing":{"elapsed_ms":9,"images_per_s":7.5}}"#
    );

    const MEASURED: &str = concat!(
        r#"{"v":2,"event":"measured","cycle":0,"step":3,"files":[{"precision":"f16","bytes":96}],"compacted":"#,
        r#"{"units":3,"parameters":4,"nonzero":4,"macs":6,"remaining_macs":5,"max_logit_delta":null},"#,
        r#""timing":{"elapsed_ms":9,"inference":{"instruction_set":"avx2","dense_memory_bytes":50,"#,
        r#""sparse_memory_bytes":40,"latencies":[{"batch":8,"threads":2,"dense_ms":0.5,"sparse_ms":0.125}]}}}"#
    );

    #[test]
    fn a_measurement_belongs_to_the_test_before_it() {
        let started = line(&fixture::l1_events(1)[0]);
        let record = read(&format!("{started}{TESTED}\n{MEASURED}\n")).expect("a log");
        let entry = parse_line(Path::new(""), 1, MEASURED.as_bytes()).expect("it");
        assert_eq!(line_with(&entry.event, entry.timing).trim_end(), MEASURED, "written as it is read");
        let measurement = record.tests[0].measured.as_ref().expect("it was measured");
        assert!(measurement.measured.compacted.max_logit_delta.is_nan());
        let latency = measurement.inference.as_ref().expect("it was timed").latencies[0];
        assert_eq!((latency.speedup(), latency.image_ms()), (4.0, 0.015_625));
        let other_cycle = MEASURED.replace(r#""cycle":0"#, r#""cycle":1"#);
        for (found, wanted) in [
            (other_cycle.as_str(), "line 3: found `measured` of cycle 1, wanted it after a test of its cycle"),
            (&MEASURED.replace(r#""nonzero":4"#, r#""nonzero":5"#), "found `nonzero` 5, wanted at most `parameters` 4"),
            (&MEASURED.replace(r#""macs":6"#, r#""macs":4"#), "found `remaining_macs` 5, wanted at most `macs` 4"),
            (&MEASURED.replace("null", "-1.5"), "found `max_logit_delta` -1.5, wanted a size, at least 0"),
            (&MEASURED.replace(r#""batch":8"#, r#""batch":0"#), "found `batch` 0, wanted at least 1"),
            (&MEASURED.replace("0.125", "0.0"), "found `sparse_ms` 0, wanted a time above 0"),
            (&MEASURED.replace("0.125", "null"), "line 3: found"),
        ] {
            let error = read(&format!("{started}{TESTED}\n{found}\n")).expect_err(found).to_string();
            assert!(error.contains(wanted), "{error}\nwanted: {wanted}");
        }
        assert!(read(&format!("{started}{MEASURED}\n")).is_err(), "no test before it");
    }

    #[test]
    fn a_log_from_before_memory_and_paths_were_told_reads_without_them() {
        let started = line(&fixture::l1_events(1)[0]);
        let record = read(&format!("{started}{TESTED}\n")).expect("an old log");
        assert_eq!((record.elapsed_ms, record.tests.len()), (9, 1));
        assert_eq!((record.tests[0].peak_memory_bytes, &record.tests[0].compiled), (None, &None));
        assert_eq!((record.points()[0].peak_memory_bytes, record.points()[0].compiled), (None, None));
    }

    #[test]
    fn a_log_of_version_1_reads_and_tells_its_method_in_words() {
        let record = read(include_str!("../tests/testdata/run-v1/log.jsonl")).expect("an old log");
        assert_eq!((record.points().len(), record.ended.is_some()), (5, true));
        let started = &record.started;
        let method = started.method.as_ref().expect("it prunes");
        assert_eq!((started.optimizer.kind(), method.schedule.kind()), ("adam lr 0.001", "4 listed sparsities"));
        assert_eq!((started.classes, method.target_of, &started.lr_schedule), (10, None, &None));
        assert!(!started.is_known(), "words are not compared");
        // Later lines may be of version 2: an old run that a newer program went on with.
        let old: String = include_str!("../tests/testdata/run-v1/log.jsonl").lines().take(1).collect();
        assert_eq!(read(&format!("{old}\n{COMPILED}\n{TESTED}\n")).expect("a log").tests.len(), 1);
    }

    #[test]
    fn a_test_has_the_peak_of_its_own_line_and_the_newest_paths_before_it() {
        let started = line(&fixture::l1_events(1)[0]);
        let dense = COMPILED.replace("sparse", "dense");
        let read_again = TESTED.replace("7.5}", r#"7.5,"peak_memory_bytes":4096}"#);
        let record = read(&format!("{started}{dense}\n{COMPILED}\n{read_again}\n{dense}\n")).expect("a log");
        assert_eq!(record.tests[0].peak_memory_bytes, Some(4096));
        let path =
            |compiled: &Option<crate::event::LayersCompiled>| compiled.as_ref().map(|c| c.layers[0].path.clone());
        assert_eq!(path(&record.tests[0].compiled).as_deref(), Some("sparse"));
        assert_eq!(path(&record.compiled).as_deref(), Some("dense"), "for the tests that follow");
        let Event::LayersCompiled(compiled) = parse_line(Path::new(""), 1, COMPILED.as_bytes()).expect("it").event
        else {
            panic!("another event");
        };
        assert_eq!(line(&Event::LayersCompiled(compiled)).trim_end(), COMPILED, "written as it is read");
    }

    #[test]
    fn faults_name_the_line_the_found_and_the_wanted() {
        let started = line(&fixture::l1_events(1)[0]);
        let stop = r#"{"v":1,"event":"stopped_early","cycle":0,"step":7,"steps_saved":2}"#;
        let ended = r#"{"v":1,"event":"run_ended","step":1,"model_sha256":"","model_bytes":1}"#;
        let ended = sealed(&format!("{started}{ended}\n"));
        let table = [
            (String::new(), "no complete line"),
            ("{".to_owned(), "no complete line"),
            ("\n".to_owned(), "no complete line"),
            (format!("{stop}\n"), "line 1: found `stopped_early`, wanted `run_started`"),
            (format!("{started}garbage\n"), "line 2: found `garbage`"),
            (format!("{started}\n{stop}\n"), "line 2: found an empty line"),
            (format!("{started}{{\"v\":3,\"event\":\"new\"}}\n"), "line 2: found version 3, this program reads up to"),
            (format!("{started}{{\"v\":0,\"event\":\"run_ended\"}}\n"), "line 2: found"),
            (format!("{started}{{\"v\":1,\"event\":\"danced\"}}\n"), "danced"),
            (format!("{started}{{\"v\":1,\"event\":\"pruned\",\"cycle\":1}}\n"), "missing field `step`"),
            (format!("{started}{started}"), "line 2: found a second `run_started`"),
            (format!("{ended}{stop}\n"), "line 3: found `stopped_early`, wanted nothing after `run_ended`"),
            (
                format!("{started}{}\n", COMPILED.replace("43", "865")),
                "line 2: found `kept` 865, wanted at most `total` 864",
            ),
            (
                format!("{started}{}\n", COMPILED.replace("12", "17")),
                "line 2: found `units` 17, wanted at most `all_units` 16",
            ),
            (
                format!(
                    "{started}{}\n",
                    stop.replace("stopped_early", "pruned").replace(
                        "\"cycle\":0",
                        r#""cycle":0,"target":1.5,"pruned":1,"prunable":2,"dead_units":0,"layers":[]"#
                    )
                ),
                "line 2: found target 1.5, wanted a sparsity in [0, 1)",
            ),
        ];
        for (text, expected) in table {
            let error = read(&text).expect_err(&text).to_string();
            assert!(error.contains("log.jsonl") && error.contains(expected), "{error}\nwanted: {expected}");
        }
    }

    #[test]
    fn no_content_makes_the_reader_panic() {
        let whole: String = fixture::l1_events(1).iter().map(line).collect();
        for index in 0..whole.len() {
            let mut bytes = whole.clone().into_bytes();
            bytes[index] = [0xff, b'\n', b'9', b'"', 0][index % 5];
            let _ = parse(Path::new("log.jsonl"), &bytes, |_| ());
        }
        assert!(parse(Path::new("log.jsonl"), &[b'['; 100_000], |_| ()).is_err());
    }

    #[test]
    fn a_loss_that_is_not_finite_comes_back_as_nan() {
        let score: Score = serde_json::from_str(r#"{"correct":1,"total":10,"loss":null}"#).expect("a score");
        assert!(score.loss.is_nan());
    }
}
