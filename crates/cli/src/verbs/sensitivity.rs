//! `secateur sensitivity`: how much pruning each layer of a trained network bears.

use super::{Done, print};
use crate::args::SensitivityArgs;
use crate::progress::clock;
use crate::say::say;
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use secateur_report::{sensitivity_json, sensitivity_table, sensitivity_toml, write_sensitivity};
use secateur_trainer::{Observer, Probe, Probing, SensitivityRequest};
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Measures, writes the files and prints the tables, and lines for a config where they were asked for.
pub(crate) fn sensitivity(args: &SensitivityArgs) -> Result<Done> {
    let asked = SensitivityRequest {
        checkpoint: args.checkpoint.as_deref(),
        sparsities: &args.sparsities,
        images: args.images,
        within: args.within,
        criterion: args.criterion,
        other_data: args.other_data,
    };
    let probe = Probe::open(&args.run, &asked, args.place.place())?;
    let out = match &args.out {
        Some(out) => out.clone(),
        None => default_out(&args.run)?,
    };
    // Made before the long part, so that a place that cannot be written to is known at once.
    fs::create_dir_all(&out).with_context(|| format!("{}: cannot create the folder", out.display()))?;
    let found = probe.measure(&mut Watch::new())?;
    let files = write_sensitivity(&found, &out)?;
    if args.json {
        print(&sensitivity_json(&found))?;
    } else {
        let lines = sensitivity_toml(&found).map_or(String::new(), |lines| format!("\n{lines}"));
        print(&format!("{}{lines}", sensitivity_table(&found)))?;
    }
    for file in files {
        say!("wrote {}", file.display());
    }
    Ok(Done::Whole)
}

/// `<RUN>-sensitivity` in the current folder: a run's own folder stays as the run left it, and beside it patterns such as
/// `runs/quickstart-*` would find what is no run.
fn default_out(run: &Path) -> Result<PathBuf> {
    let place = || format!("{}: cannot read", run.display());
    let whole = run.canonicalize().with_context(place)?;
    let here = std::env::current_dir().and_then(|here| here.canonicalize()).context("the current folder")?;
    let Some(name) = whole.file_name().filter(|_| !here.starts_with(&whole)) else {
        bail!("{} is the current folder or around it, and stays as the run left it: add --out DIR", run.display());
    };
    Ok(PathBuf::from(format!("{}-sensitivity", name.to_string_lossy())))
}

/// A bar on a terminal, plain lines now and then elsewhere; all of it on stderr.
struct Watch {
    bar: Option<ProgressBar>,
    began: Instant,
    last_line: Instant,
    done: usize,
}

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Places of the bar for one score.
const PLACES: u64 = 1_000;

impl Watch {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24.green} {percent:>3}% {msg}").expect("a valid template");
            ProgressBar::new(1).with_style(style.progress_chars("━╸─"))
        });
        let now = Instant::now();
        Self { bar, began: now, last_line: now, done: 0 }
    }
}

impl Observer for Watch {
    fn probing(&mut self, at: &Probing<'_>) {
        self.done = at.done;
        let what = match at.layer {
            None => "the network as it is".to_owned(),
            Some(layer) => format!("{layer} at {:.1} %", 100.0 * at.sparsity),
        };
        let seconds = self.began.elapsed().as_secs_f64();
        let left = match at.done {
            0 => "time left unknown".into(),
            done => format!("{} left at most", clock(seconds / done as f64 * at.of.saturating_sub(done) as f64)),
        };
        let message = format!("{what}, {left}");
        match &self.bar {
            Some(bar) => {
                bar.set_length(PLACES * at.of as u64);
                bar.set_position(PLACES * at.done as u64);
                bar.set_message(message);
            }
            None if self.last_line.elapsed() >= LINE_EVERY || at.done == 0 => {
                say!("{}/{}: {message}", at.done + 1, at.of);
                self.last_line = Instant::now();
            }
            None => {}
        }
    }

    fn evaluating(&mut self, _: &str, seen: usize, total: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(PLACES * self.done as u64 + PLACES * seen as u64 / total.max(1) as u64);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
