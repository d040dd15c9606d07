//! The curves as one CSV file, one row a test, for people who plot with their own tools.

use crate::cost::{Call, shown};
use crate::event::{Compacted, Method, Stage};
use crate::record::{Measurement, State, Test};
use crate::report::ReportInput;

const COLUMNS: &str = "run,name,dataset,model,seed,criterion,granularity,scope,schedule,retrain,state,cycle,stage,step,target,\
pruned,prunable,sparsity,nonzero,parameters,compression_ratio,remaining_macs,macs,theoretical_speedup,dead_units,\
correct,total,accuracy,loss,peak_memory_bytes,file_precision,file_bytes,compacted_units,compacted_parameters,\
compacted_nonzero,compacted_macs,compacted_remaining_macs,max_logit_delta,instruction_set,dense_memory_bytes,\
sparse_memory_bytes,single_threads,single_dense_ms,single_sparse_ms,single_speedup,batch,batch_threads,\
batch_dense_ms,batch_sparse_ms,batch_speedup";

/// One row a test of each run, under a heading. What does not apply (the target of a dense test), is not a number or was
/// not read (the peak memory in an old log) is empty; a ratio to nothing is `inf`. Of the measured times those are given
/// that the tables show: one image alone (`single`), and the largest batch.
pub fn curve_csv(runs: &[ReportInput]) -> String {
    let mut out = format!("{COLUMNS}\n");
    for run in runs {
        let started = &run.record.started;
        let told = |of: fn(&Method) -> String| text(&started.method.as_ref().map_or(String::new(), of));
        let calls = shown([&run.record]);
        for Test { tested, peak_memory_bytes, measured, .. } in &run.record.tests {
            let prune = run.record.prunes.iter().rfind(|prune| prune.cycle == tested.cycle);
            let (size, score) = (&tested.size, &tested.score);
            let cells = [
                text(&run.label),
                text(&started.name),
                text(&started.dataset),
                text(&started.model),
                started.seed.to_string(),
                told(|method| method.criterion.clone()),
                told(|method| method.granularity.to_string()),
                told(|method| method.scope.clone()),
                told(|method| method.schedule.to_string()),
                told(|method| method.retrain.kind().to_owned()),
                match run.state {
                    State::Finished => "finished",
                    State::NoModel => "no_model",
                    State::Unfinished => "unfinished",
                }
                .into(),
                tested.cycle.to_string(),
                match tested.stage {
                    Stage::Dense => "dense",
                    Stage::JustPruned => "just_pruned",
                    Stage::Retrained => "retrained",
                }
                .into(),
                tested.step.to_string(),
                prune.map_or(String::new(), |prune| number(prune.target)),
                size.pruned.to_string(),
                size.prunable.to_string(),
                number(size.sparsity()),
                size.nonzero.to_string(),
                size.parameters.to_string(),
                number(size.compression_ratio()),
                size.remaining_macs.to_string(),
                size.macs.to_string(),
                number(size.theoretical_speedup()),
                size.dead_units.to_string(),
                score.correct.to_string(),
                score.total.to_string(),
                number(score.accuracy()),
                number(score.loss),
                peak_memory_bytes.map_or(String::new(), |bytes| bytes.to_string()),
            ];
            out.push_str(&cells.join(","));
            for cell in costs(measured.as_ref(), &calls) {
                out.push(',');
                out.push_str(&cell);
            }
            out.push('\n');
        }
    }
    out
}

/// The cells from `file_precision` on; all empty where nothing was measured.
fn costs(measurement: Option<&Measurement>, calls: &[Call]) -> [String; 20] {
    let mut cells: [String; 20] = Default::default();
    let Some(Measurement { measured, inference }) = measurement else { return cells };
    if let Some(file) = measured.files.first() {
        (cells[0], cells[1]) = (text(&file.precision), file.bytes.to_string());
    }
    let Compacted { units, parameters, nonzero, macs, remaining_macs, max_logit_delta } = measured.compacted;
    for (cell, count) in cells[2..].iter_mut().zip([units, parameters, nonzero, macs, remaining_macs]) {
        *cell = count.to_string();
    }
    cells[7] = number(max_logit_delta);
    let Some(inference) = inference else { return cells };
    cells[8] = text(&inference.instruction_set);
    cells[9] = inference.dense_memory_bytes.to_string();
    cells[10] = inference.sparse_memory_bytes.to_string();
    for latency in calls.iter().filter_map(|call| call.find(inference)) {
        let times = [latency.dense_ms, latency.sparse_ms, latency.speedup()].map(number);
        let from = if latency.batch == 1 { 11 } else { 16 };
        if latency.batch > 1 {
            cells[15] = latency.batch.to_string();
        }
        cells[from] = latency.threads.to_string();
        for (cell, time) in cells[from + 1..].iter_mut().zip(times) {
            *cell = time;
        }
    }
    cells
}

pub(crate) fn number(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

pub(crate) fn text(value: &str) -> String {
    if value.contains([',', '"', '\n', '\r']) { format!("\"{}\"", value.replace('"', "\"\"")) } else { value.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn one_row_a_test() {
        let record = fixture::record(&fixture::l1_events(3));
        let run = fixture::input("runs/a, \"b\"", record);
        let csv = curve_csv(std::slice::from_ref(&run));
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 1 + 1 + 7 * 2);
        assert!(
            lines[1].starts_with(
                r#""runs/a, ""b""",l1-global,mnist,lenet k=1,3,l1,element,global,"list, sparsities [0.5, "#
            ),
            "{}",
            lines[1]
        );
        assert!(
            lines[1].contains(",finished,0,dense,1720,,0,58944,0,60074,60074,1,199968,199968,1,0,9890,10000,0.989,")
        );
        assert!(lines[2].contains(",1,just_pruned,1720,0.5,29472,58944,0.5,30602,60074,"), "{}", lines[2]);
        assert!(
            lines[3].contains(",1,retrained,3440,0.5,") && lines[3].contains(",9873,10000,0.9873,"),
            "{}",
            lines[3]
        );
    }

    #[test]
    fn the_peak_memory_follows_the_loss_where_it_was_read() {
        let mut record = fixture::record(&fixture::l1_events(1));
        record.tests[1].peak_memory_bytes = Some(123_456_789);
        let csv = curve_csv(&[fixture::input("a", record)]);
        let lines: Vec<_> = csv.lines().collect();
        let costs = lines[0].split(',').skip_while(|column| *column != "file_precision").count();
        let commas = ",".repeat(costs);
        assert!(lines[0].contains(",loss,peak_memory_bytes,file_precision,"), "{}", lines[0]);
        assert!(lines[1].ends_with(&format!(",{commas}")), "no reading, no number: {}", lines[1]);
        assert!(lines[2].ends_with(&format!(",123456789{commas}")), "{}", lines[2]);
    }

    #[test]
    fn a_dense_control_has_no_method() {
        let record = fixture::record(&fixture::dense_events(1));
        let csv = curve_csv(&[fixture::input("d", record)]);
        assert!(csv.contains("\nd,dense,mnist,lenet k=1,1,,,,,,finished,0,dense,1720,,"), "{csv}");
    }
}
