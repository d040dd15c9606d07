//! What a run writes down of each cycle's network is what the verbs then find.

use super::*;
use serde_json::Value;

fn timings(run: &Path) -> Vec<Value> {
    let log = fs::read_to_string(run.join("log.jsonl")).expect("a log");
    let events = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event a line"));
    events.filter(|event| event["event"] == "measured").map(|event| event["timing"]["inference"].clone()).collect()
}

#[test]
fn every_whole_cycle_is_measured_behind_its_test() {
    let facts = facts(run());
    let places: Vec<usize> = (0..facts.len()).filter(|place| facts[*place]["event"] == "measured").collect();
    let cycles: Vec<u64> = places.iter().map(|place| facts[*place]["cycle"].as_u64().expect("a number")).collect();
    assert_eq!(cycles, [0, 1, 2, 3, 4]);
    for place in places {
        let (tested, measured) = (&facts[place - 1], &facts[place]);
        assert_eq!(tested["event"], "tested");
        assert_ne!(tested["stage"], "just_pruned");
        assert_eq!((&tested["cycle"], &tested["step"]), (&measured["cycle"], &measured["step"]));
        let count = |value: &Value| value.as_u64().expect("a count");
        let words: Vec<&Value> =
            measured["files"].as_array().expect("files").iter().map(|own| &own["precision"]).collect();
        assert_eq!(words, ["f16", "int8", "f32"]);
        let compacted = &measured["compacted"];
        assert!(count(&compacted["remaining_macs"]) <= count(&tested["size"]["remaining_macs"]));
        assert!(compacted["max_logit_delta"].as_f64().expect("a number") < 1e-4, "{compacted}");
    }
    let readings = timings(run());
    for inference in &readings {
        let calls: Vec<[u64; 2]> = inference["latencies"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|own| ["batch", "threads"].map(|key| own[key].as_u64().expect("a count")))
            .collect();
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        assert_eq!(calls, [[1, 1], [128, cores]]);
    }
    for (key, inference) in readings.iter().flat_map(|own| ["dense", "sparse"].map(|key| (key, own))) {
        assert!(inference[format!("{key}_memory_bytes")].as_u64() > Some(0), "{inference}");
    }
}

#[test]
fn the_last_cycle_is_what_export_writes() {
    let folder = folder();
    let last = facts_of(run(), "measured").pop().expect("a measurement");
    for file in last["files"].as_array().expect("files") {
        let word = file["precision"].as_str().expect("a word");
        let out = folder.path().join(format!("{word}.secateur"));
        succeed(&["export", text(run()), "--values", word, "--compact", "--out", text(&out)]);
        assert_eq!(file["bytes"].as_u64(), Some(fs::metadata(&out).expect("a file").len()), "{word}");
    }
    let (smaller, [_, after]) = network().compacted();
    let (compacted, cost) = (&last["compacted"], smaller.cost());
    for (key, wanted) in [
        ("units", after.units),
        ("parameters", cost.parameters),
        ("nonzero", cost.nonzero),
        ("macs", cost.macs),
        ("remaining_macs", cost.remaining_macs),
    ] {
        assert_eq!(compacted[key].as_u64(), Some(wanted as u64), "{key}");
    }
}

#[test]
fn a_run_that_does_not_measure_trains_the_same() {
    let out = folder();
    succeed(&["run", "configs/smoke.toml", "--set", "measure.enabled=false", "--out", text(out.path())]);
    let other = only_run(out.path()).expect("a run");
    assert_eq!(other.file_name(), run().file_name(), "it is the same experiment");
    assert_eq!(facts_of(&other, "measured"), Vec::<Value>::new());
    let read = |run: &Path| fs::read(run.join("model.safetensors")).expect("a model");
    assert!(read(run()) == read(&other));
    assert_eq!(facts_of(run(), "tested"), facts_of(&other, "tested"));
}
