//! A log as an event file of TensorBoard: the numbers that move while a run goes on, by step.
//!
//! A file is records, one after the other, and a record is
//!
//! ```text
//! length: u64 | checksum of length: u32 | Event as protobuf | checksum of Event: u32       (little-endian)
//! ```
//!
//! with CRC-32C checksums, masked so that a checksum of what holds checksums is none of them again. Event and Summary are
//! messages of TensorFlow's `event.proto` and `summary.proto`.

use std::path::Path;

use prost::Message;

use crate::error::Error;
use crate::event::{Entry, Event, Score, Stage};
use crate::files::write_whole;
use crate::read::read_entries;

/// What every event file says first.
const VERSION: &str = "brain.Event:2";
/// TensorBoard looks for `tfevents` in a name.
const FILE: &str = "events.out.tfevents.0.secateur";

#[derive(Clone, PartialEq, Message)]
struct EventMessage {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// Optional, so that a zero is written.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// Writes the log at `log` as an event file into the folder `out_dir`, over an older one, and returns its path.
///
/// The wall time of an event is the time that the run had spent, in seconds, so runs that began at different times lie
/// over each other and the same log gives the same bytes.
///
/// # Errors
/// Those of [`read_log`](crate::read_log), and when the system refuses the file.
pub fn write_tensorboard(log: impl AsRef<Path>, out_dir: impl AsRef<Path>) -> Result<std::path::PathBuf, Error> {
    let bytes = event_file(&read_entries(log)?);
    let out_dir = out_dir.as_ref();
    std::fs::create_dir_all(out_dir).map_err(Error::io("create the folder", out_dir))?;
    let path = out_dir.join(FILE);
    write_whole(&path, &bytes)?;
    Ok(path)
}

fn event_file(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut wall_time = 0.0;
    let first = EventMessage { wall_time, step: 0, file_version: Some(VERSION.into()), summary: None };
    record(&mut out, &first.encode_to_vec());
    for entry in entries {
        // A line without a reading happened no earlier than the one before it.
        wall_time = entry.timing.as_ref().map_or(wall_time, |timing| timing.elapsed_ms as f64 / 1000.0);
        for (step, scalars) in rates_before(&entry.event).into_iter().chain([scalars(&entry.event)]) {
            if scalars.is_empty() {
                continue;
            }
            let value = |(tag, value): (String, f64)| Value { tag, simple_value: Some(value as f32) };
            let summary = Some(Summary { value: scalars.into_iter().map(value).collect() });
            // Steps beyond what TensorBoard counts are none that anybody trains.
            let step = i64::try_from(step).unwrap_or(i64::MAX);
            record(&mut out, &EventMessage { wall_time, step, file_version: None, summary }.encode_to_vec());
        }
    }
    out
}

/// The learning rates of an epoch's steps before its last one, which the epoch's own numbers have.
fn rates_before(event: &Event) -> Vec<(u64, Vec<(String, f64)>)> {
    let Event::EpochEnded(epoch) = event else { return Vec::new() };
    let before = epoch.learning_rates.iter().filter(|(step, _)| *step < epoch.step);
    before.map(|&(step, rate)| (step, vec![("learning_rate".to_owned(), rate)])).collect()
}

/// The step of an event, and its numbers by the names that they are drawn under.
fn scalars(event: &Event) -> (u64, Vec<(String, f64)>) {
    let scalar = |tag: &str, value: f64| (tag.to_owned(), value);
    let scores = |name: &str, score: &Score| {
        [scalar(&format!("accuracy/{name}"), score.accuracy()), scalar(&format!("loss/{name}"), score.loss)]
    };
    let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    match event {
        Event::EpochEnded(epoch) => {
            let mut found = scores("train", &epoch.train).to_vec();
            found.extend(epoch.validation.iter().flat_map(|score| scores("validation", score)));
            found.push(scalar("learning_rate", epoch.learning_rate));
            (epoch.step, found)
        }
        Event::Pruned(pruned) => {
            let mut found = vec![scalar("sparsity", share(pruned.pruned, pruned.prunable))];
            let density = |layer: &crate::event::LayerDensity| share(layer.kept, layer.total);
            found.extend(pruned.layers.iter().map(|layer| scalar(&format!("density/{}", layer.name), density(layer))));
            (pruned.step, found)
        }
        Event::MasksMoved(moved) => (moved.step, vec![scalar("sparsity", share(moved.pruned, moved.prunable))]),
        Event::Tested(tested) => {
            let stage = match tested.stage {
                // The dense network is where the retrained ones start from.
                Stage::Dense | Stage::Retrained => "test_retrained",
                Stage::JustPruned => "test_just_pruned",
            };
            let mut found = scores(stage, &tested.score).to_vec();
            found.push(scalar("remaining_macs", tested.size.remaining_macs as f64));
            // Also where nothing was pruned, or a run went back to an earlier network.
            found.push(scalar("sparsity", tested.size.sparsity()));
            (tested.step, found)
        }
        Event::RunStarted(_)
        | Event::SessionStarted(_)
        | Event::StoppedEarly(_)
        | Event::Judged(_)
        | Event::LayersCompiled(_)
        | Event::Measured(_)
        | Event::RunEnded(_) => (0, Vec::new()),
    }
}

fn record(out: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked(&length).to_le_bytes());
    out.extend(data);
    out.extend(masked(data).to_le_bytes());
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32 with Castagnoli's polynomial, bit by bit: a log is small.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{LOG_VERSION, Timing};
    use crate::fixture;

    fn entries() -> Vec<Entry> {
        let events = fixture::l1_events(1).into_iter().enumerate();
        let timing = |index: usize| Timing { elapsed_ms: 1500 * index as u64, ..Timing::default() };
        events.map(|(index, event)| Entry { v: LOG_VERSION, event, timing: Some(timing(index)) }).collect()
    }

    /// Takes a file apart again, and checks its checksums.
    fn events(mut bytes: &[u8]) -> Vec<EventMessage> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_first_chunk::<8>().expect("a length");
            let (checksum, rest) = rest.split_first_chunk::<4>().expect("a checksum");
            assert_eq!(u32::from_le_bytes(*checksum), masked(length));
            let (data, rest) = rest.split_at(u64::from_le_bytes(*length) as usize);
            let (checksum, rest) = rest.split_first_chunk::<4>().expect("a checksum");
            assert_eq!(u32::from_le_bytes(*checksum), masked(data));
            found.push(EventMessage::decode(data).expect("an event"));
            bytes = rest;
        }
        found
    }

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4, and the check value of the catalogue of CRCs.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn numbers_of_the_log_stand_at_their_steps_and_times() {
        let entries = entries();
        let events = events(&event_file(&entries));
        assert_eq!(events[0].file_version.as_deref(), Some(VERSION));
        let series = |tag: &str| -> Vec<(i64, f32)> {
            let values = events.iter().flat_map(|event| event.summary.iter().map(|summary| (event.step, summary)));
            let named = values.flat_map(|(step, summary)| summary.value.iter().map(move |value| (step, value)));
            named
                .filter(|(_, value)| value.tag == tag)
                .map(|(step, value)| (step, value.simple_value.expect("a value")))
                .collect()
        };
        assert_eq!(series("accuracy/validation").len(), 32);
        assert_eq!(series("accuracy/test_just_pruned").len(), 7);
        let retrained: Vec<_> = series("accuracy/test_retrained").iter().map(|point| point.1).collect();
        assert_eq!(retrained, [0.989, 0.9899, 0.9896, 0.9881, 0.9842, 0.9711, 0.9385, 0.1135]);
        assert_eq!(series("density/fc1.weight").len(), 7);
        let sparsities = series("sparsity");
        assert_eq!((sparsities[0].1, sparsities[1].1), (0.0, 0.5), "a zero is written");
        assert_eq!(series("remaining_macs")[0].1, 199_968.0);
        let (place, prune) = entries
            .iter()
            .enumerate()
            .find_map(|(place, entry)| match &entry.event {
                Event::Pruned(pruned) => Some((place, pruned)),
                _ => None,
            })
            .expect("a prune");
        let event = events.iter().find(|event| {
            event
                .summary
                .as_ref()
                .is_some_and(|summary| summary.value.iter().any(|value| value.tag.starts_with("density/")))
        });
        let event = event.expect("the prune");
        assert_eq!((event.step, event.wall_time), (prune.step as i64, 1.5 * place as f64));
    }

    #[test]
    fn learning_rates_stand_where_they_turn() {
        let mut entries = entries();
        let epoch = entries.iter_mut().find_map(|entry| match &mut entry.event {
            Event::EpochEnded(epoch) => Some(epoch),
            _ => None,
        });
        epoch.expect("an epoch").learning_rates = vec![(1, 0.0005), (100, 0.05), (430, 0.05)];
        let found: Vec<_> = events(&event_file(&entries))
            .into_iter()
            .flat_map(|event| event.summary.into_iter().flat_map(|summary| summary.value).map(move |v| (event.step, v)))
            .filter(|(_, value)| value.tag == "learning_rate")
            .map(|(step, value)| (step, value.simple_value.expect("a value")))
            .collect();
        assert_eq!(found[..3], [(1, 0.0005), (100, 0.05), (430, 0.05)], "the last once");
        assert_eq!(found.len(), 34);
    }

    #[test]
    fn a_folder_gets_one_file_and_gets_it_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let log = dir.path().join("log.jsonl");
        let mut sealed = crate::RunLog::create(&log).expect("a new log");
        for crate::event::Entry { event, timing, .. } in entries() {
            sealed.append(&event, timing).expect("a line");
        }
        let lines = std::fs::read_to_string(&log).expect("the log");
        let write = |text: &str| {
            std::fs::write(&log, text).expect("a log");
            let path = write_tensorboard(&log, dir.path().join("board/run")).expect("a file");
            std::fs::read(path).expect("it is there")
        };
        let torn = write(&lines[..lines.len() - 9]);
        let whole = write(&lines);
        assert!(whole.starts_with(&torn), "what is appended to a log is appended to its events");
        assert_eq!(std::fs::read_dir(dir.path().join("board/run")).expect("the folder").count(), 1);
        std::fs::write(&log, "{}\n").expect("no log");
        assert!(write_tensorboard(&log, dir.path()).is_err());
    }
}
