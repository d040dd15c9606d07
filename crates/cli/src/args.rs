//! What can be typed.

mod prune;
mod sensitivity;
mod sweep;

pub(crate) use prune::PruneArgs;
pub(crate) use sensitivity::SensitivityArgs;
pub(crate) use sweep::{LauncherKind, SweepArgs, SweepCellArgs};

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Network pruning that pays: train, prune, retrain, test and report, from one config.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done; 1 failed, the reason is on stderr; 2 the command line cannot be read; 130 stopped \
                  by a signal, with the run's state saved; 131 ended at once by a second signal: `resume` goes on from the \
                  last checkpoint.\n\nExamples:\n  secateur run configs/quickstart.toml\n  \
                  secateur resume runs/quickstart-*\n  secateur report runs/quickstart-* --out report"
)]
pub(crate) struct Arguments {
    /// Say more: -v for what is done, -vv for details. RUST_LOG overrides it.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run an experiment from its config: train -> prune -> test, cycle after cycle.
    #[command(
        after_help = "Examples:\n  secateur run configs/quickstart.toml\n  secateur run configs/tutorial.toml --set \
                            model.width=30\n  secateur run configs/lenet-cubic-l1.toml --set seed=2 --set \
                            prune.criterion=random\n  secateur run configs/quickstart.toml --set prune.enabled=false   \
                            # the dense control\n  secateur run configs/quickstart.toml --set \
                            start=lenet.pt   # from a PyTorch state dict"
    )]
    Run(RunArgs),
    /// Go on with a run that was stopped or killed, as if it had never stopped.
    #[command(after_help = RESUME_HELP)]
    Resume(ResumeArgs),
    /// Run a grid of experiments: methods, axes, seeds and their controls; then leave one report of all.
    #[command(after_help = sweep::HELP)]
    Sweep(SweepArgs),
    /// Run one cell of a sweep; launchers call it.
    #[command(hide = true)]
    SweepCell(SweepCellArgs),
    /// Show what a run would do, without doing it. It fails where the run would: at a config, data, or a file to start from.
    #[command(after_help = "Examples:\n  secateur plan configs/lenet-300-100-lottery.toml\n  secateur plan \
                            configs/quickstart.toml --set model.width=2 --device flex   # by the name of the run that is \
                            started with the same arguments")]
    Plan(PlanArgs),
    /// Draw the curves of runs, averaged over their seeds, and what their final models look like: a page, pictures, tables.
    /// Works on runs that are still going.
    #[command(
        after_help = "Examples:\n  secateur report runs/lenet-cubic-* --out report\n  secateur report runs   # all runs \
                            below the folder, into runs/report"
    )]
    Report(ReportArgs),
    /// Say what differs between runs: their configs, and what they reach at the same target.
    #[command(
        after_help = "Accuracies are compared where two runs or more were pruned to the same target, and only between runs of \
                            the same model, data and test images. A dense control among the runs stands beside each \
                            target.\n\nExamples:\n  secateur compare runs/lenet-cubic-l1-* runs/lenet-cubic-random-*\n  \
                            secateur compare runs/* --json"
    )]
    Compare(CompareArgs),
    /// Show the report of all runs of a folder in a browser, while they are going.
    #[command(
        after_help = "The page is at http://127.0.0.1:7878/ until Ctrl-C, and keeps itself up to date. Runs may lie up to \
                            three folders down.\n\nExamples:\n  secateur serve runs\n  secateur serve runs --port 0   \
                            # any free port; the address is printed"
    )]
    Serve(ServeArgs),
    /// Write the logs of runs for TensorBoard. Works on a run that is still going; again brings it up to date.
    #[command(
        after_help = "Examples:\n  secateur track runs/lenet-cubic-* --tensorboard board\n  secateur track runs \
                            --tensorboard board   # all runs below the folder\n  tensorboard --logdir board"
    )]
    Track(TrackArgs),
    /// Measure a run's final model, or one of its checkpoints, on the test split.
    #[command(after_help = "Examples:\n  secateur test runs/quickstart-1a2b3c4d-s1\n  secateur test \
                            runs/quickstart-1a2b3c4d-s1 --checkpoint stage-000004-step-0000000860")]
    Test(TestArgs),
    /// Find out how much pruning each layer of a trained network bears: one at a time, scored on the validation split.
    #[command(after_help = sensitivity::HELP)]
    Sensitivity(SensitivityArgs),
    /// Write a trained model as Secateur's sparse file, or for other programs as safetensors or ONNX.
    #[command(after_help = EXPORT_HELP, visible_alias = "import")]
    Export(ExportArgs),
    /// Prune a trained model without training it: to a sparsity, a loss of accuracy, a latency, or the size of a file.
    #[command(after_help = prune::HELP)]
    Prune(PruneArgs),
    /// Time models on this machine: with their zeros, without them, and compacted; latency, memory, agreement of answers.
    #[command(after_help = BENCH_HELP)]
    Bench(BenchArgs),
    /// Ask a model what is on an image.
    #[command(after_help = "Examples:\n  secateur predict runs/quickstart-1a2b3c4d-s1 seven.png\n  secateur predict \
                            model.secateur datasets/mnist/t10k-images-idx3-ubyte.gz --index 3\n  secateur predict \
                            runs/quickstart-1a2b3c4d-s1 photo.png --invert --resize\n\nAn image has the model's size; --resize \
                            takes others. A model of colours, and the run of a model that learned from a folder of \
                            pictures, sees a picture as in training: scaled until it covers the size, its middle taken. Any \
                            other model in shades of grey expects white ink on black, as MNIST has it: --invert takes \
                            black on white, and --resize fits the whole picture in. Images are PNG, JPEG or IDX; inputs of any model stand in the array x of an npz file.")]
    Predict(PredictArgs),
    /// List the runs of a folder with their state, sparsity and accuracy.
    #[command(
        after_help = "A run is running while a process works on it, finished when its plan is done, and unfinished \
                            otherwise: `secateur resume` goes on with it.\n\nExamples:\n  secateur list\n  secateur list \
                            runs/mnist-sweep"
    )]
    List(ListArgs),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  secateur completions bash > ~/.local/share/bash-completion/completions/secateur"
    )]
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// A config and changes to it.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The experiment, a TOML file such as configs/quickstart.toml.
    pub(crate) config: PathBuf,
    /// Change a key, such as model.width=5 or prune.criterion=random; may be given more than once.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Another place to compute or to read data from.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Where to compute: cpu (our own kernels, dense or on the kept weights only), or burn's flex, ndarray or wgpu (the
    /// last two need a build with that feature).
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Threads of the device cpu; 0 for every core. It changes no result.
    #[arg(long)]
    pub(crate) threads: Option<usize>,
    /// Folder of the data files, or the file of an npz set.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `secateur run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The experiment.
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Folder that the run's folder is made in.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(crate) out: PathBuf,
}

/// `secateur resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run's folder.
    pub(crate) run: PathBuf,
    /// Begin anew from the first step, whatever state the run is in: its checkpoints, log and model are removed, once device, data
    /// and inputs are checked.
    #[arg(long)]
    pub(crate) restart: bool,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `secateur plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The experiment.
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `secateur report`.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folders of runs, or folders with runs below them.
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Folder to write to; where a single folder is named, its report goes into that one otherwise.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Folder of the data files that the final models are asked on, instead of a run's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The sparsity whose models are shown where there are too many: of each method the one that is nearest.
    #[arg(long, value_name = "SPARSITY", default_value_t = 0.95)]
    pub(crate) models_at: f64,
    /// Leave out what the final models look like: read logs only.
    #[arg(long, conflicts_with_all = ["data", "models_at"])]
    pub(crate) no_models: bool,
}

/// `secateur track`.
#[derive(Debug, Args)]
pub(crate) struct TrackArgs {
    /// Folders of runs, or folders with runs below them.
    #[arg(required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Folder to write event files to, in a folder of each run's name.
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: PathBuf,
}

/// `secateur compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// The runs' folders, two or more; differences are told from the first.
    #[arg(required = true, num_args = 2..)]
    pub(crate) runs: Vec<PathBuf>,
    /// Everything as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `secateur serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Folder that holds runs.
    #[arg(default_value = "runs")]
    pub(crate) dir: PathBuf,
    /// The port; 0 for any that is free.
    #[arg(long, default_value_t = 7878)]
    pub(crate) port: u16,
    /// The address to listen on. Any but this machine's own lets others read the runs.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::from(Ipv4Addr::LOCALHOST))]
    pub(crate) host: IpAddr,
}

/// `secateur test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The run's folder.
    pub(crate) run: PathBuf,
    /// Name of a folder below the run's checkpoints, or `dense` for the network before the first prune, instead of the final
    /// model.
    #[arg(long, value_name = "NAME")]
    pub(crate) checkpoint: Option<String>,
    /// What --data names is another data set than the run's on purpose: it is not compared with the run's manifest.
    #[arg(long)]
    pub(crate) other_data: bool,
    /// Where.
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const RESUME_HELP: &str = "A run that has finished is left as it is; where its final model is gone or damaged, it is restored \
    from the last checkpoint. Nothing else is ever removed, renamed or trained anew, except that a checkpoint whose own files \
    are damaged is set aside as .damaged and the one before is used. What does not fit (a config, log or data set that was \
    changed, a lost checkpoint) is an error. --restart means it: it removes checkpoints, log and model of the run, and begins \
    anew.\n\nExamples:\n  secateur resume runs/quickstart-1a2b3c4d-s1\n  secateur resume runs/quickstart-1a2b3c4d-s1 --restart";

const EXPORT_HELP: &str = "MODEL is a run's folder, a .secateur file, an .onnx file of a network from images or features to\nclasses, or a .safetensors file whose header tells its graph, as a run's model.safetensors has it;\nof the LeNets any state dict will do.\n\n\
    Formats: secateur, a sparse file with where the weights stand in as few bits as can be; safetensors, as PyTorch's \
    load_state_dict takes it, or with --csr as rows for torch.sparse_csr_tensor; onnx, for ONNX Runtime and others.\n\n\
    --compact leaves out what the answers do not depend on: units that nothing reads or whose output is constant, and rows and \
    columns that pooling does not read. The largest difference of a logit is printed; above 1/1000 of the largest logit \
    nothing is written.\n\nExamples:\n  secateur export runs/quickstart-1a2b3c4d-s1 --values f16 --compact\n  secateur import \
    model.onnx --compact\n  secateur export \
    model.secateur --out model-b128.onnx --batch 128\n  secateur export model.secateur --out rows.safetensors --csr";

const BENCH_HELP: &str = "MODEL is a run's folder, a .secateur file, an .onnx file of a network from images or features to\nclasses, or a .safetensors file whose header tells its graph, as a run's model.safetensors has it;\nof the LeNets any state dict will do.\n\n\
    Every model is compiled three times for each batch size: dense, which computes its zeros too; sparse, as it is; and \
    compacted. Each layer of a chain such as LeNet takes the form that is measured fastest here; in other graphs the form \
    follows from the weights that are left. The calls take turns, and medians are compared.\n\n\
    Examples:\n  secateur bench runs/quickstart-1a2b3c4d-s1\n  secateur bench small.secateur large.secateur --batch 1,128 \
    --threads 1 --json";

/// What a model's values are stored or held as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Values {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Codes of 8 bits with a factor for each row.
    Int8,
}

/// A file that other programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Secateur's sparse file.
    Secateur,
    /// safetensors.
    Safetensors,
    /// ONNX.
    Onnx,
}

/// `secateur export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The model.
    pub(crate) model: PathBuf,
    /// Name of a folder below the run's checkpoints, or `dense` for the network before the first prune, instead of the final
    /// model.
    #[arg(long, value_name = "NAME")]
    pub(crate) checkpoint: Option<String>,
    /// What to write; left out, what the ending of --out says, or else Secateur's own file.
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,
    /// How weights are stored; the other formats hold f32, rounded the same way. With int8, Secateur's file of a graph that is no
    /// chain of layers also holds the ranges of its values on training images, and is computed in int8.
    #[arg(long, value_enum, default_value_t = Values::F32)]
    pub(crate) values: Values,
    /// Leave out what the answers do not depend on.
    #[arg(long)]
    pub(crate) compact: bool,
    /// With safetensors: compressed sparse rows instead of dense tensors.
    #[arg(long)]
    pub(crate) csr: bool,
    /// Of an ONNX model that leaves the sides of its input open: its channels, rows and columns, such as 3x224x224.
    #[arg(long, value_name = "SIDES", conflicts_with = "checkpoint")]
    pub(crate) input: Option<Sides>,
    /// With ONNX: a fixed number of images a call, instead of any.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch: Option<u32>,
    /// The file, whose ending (.secateur, .safetensors or .onnx) says the format; otherwise `model` with the format's ending, in
    /// the run's folder or beside the model.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long)]
    pub(crate) force: bool,
    /// Folder of the data files that answers are compared on, instead of the run's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// That data is another data set than the run's on purpose: it is not compared with the run's manifest.
    #[arg(long)]
    pub(crate) other_data: bool,
}

/// Sides of an input, as `3x224x224`.
#[derive(Clone, Debug)]
pub(crate) struct Sides(pub(crate) Vec<usize>);

impl std::str::FromStr for Sides {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |own: &str| own.parse().ok().filter(|own| *own > 0);
        let sides: Option<Vec<usize>> = text.split('x').map(side).collect();
        sides.map(Self).ok_or_else(|| "expected sides of at least 1 with an x between them, such as 3x224x224".into())
    }
}

/// `secateur bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The models.
    #[arg(required = true)]
    pub(crate) models: Vec<PathBuf>,
    /// Images a call.
    #[arg(long, value_delimiter = ',', default_value = "1,32,128", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: Vec<u32>,
    /// Threads; 0 for every core.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
    /// How the weights are rounded; left out, as a .secateur file holds them, and f32 for other models. With int8, networks are computed
    /// in int8, over the ranges that their values have on training images, unless most of their work is in convolutions without
    /// padding, which are faster in f32, as in LeNet.
    #[arg(long, value_enum)]
    pub(crate) values: Option<Values>,
    /// Seconds that each engine is timed.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) seconds: f64,
    /// Folder of the data files that answers are compared on, instead of a run's own.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// That data is another data set than the run's on purpose: it is not compared with the run's manifest.
    #[arg(long)]
    pub(crate) other_data: bool,
    /// Everything as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `secateur predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// The model.
    pub(crate) model: PathBuf,
    /// PNG or JPEG files, files of images in MNIST's IDX format, raw or gzipped, or npz files with an array `x`.
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// Of an IDX or npz file only this image, from 0.
    #[arg(long, value_name = "N")]
    pub(crate) index: Option<usize>,
    /// The images are black on white.
    #[arg(long)]
    pub(crate) invert: bool,
    /// Scale images of another size to the model's.
    #[arg(long)]
    pub(crate) resize: bool,
    /// One JSON object an image.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `secateur list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Folder that holds runs.
    #[arg(default_value = "runs")]
    pub(crate) dir: PathBuf,
}

/// What people type for a verb that has another name.
const MEANT: [(&str, &str); 11] = [
    ("train", "run"),
    ("fit", "run"),
    ("start", "run"),
    ("continue", "resume"),
    ("eval", "test"),
    ("evaluate", "test"),
    ("infer", "predict"),
    ("convert", "export"),
    ("ls", "list"),
    ("diff", "compare"),
    ("tensorboard", "track"),
];

/// What was typed; one that cannot be read ends the program and says what was meant.
pub(crate) fn parse() -> Arguments {
    Arguments::try_parse().unwrap_or_else(|error| meant(error).exit())
}

fn meant(mut error: clap::Error) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => return error,
    };
    if let Some((_, verb)) = MEANT.into_iter().find(|(other, _)| *other == typed) {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![verb.to_owned()]));
    }
    error
}

/// Sends `tracing` to stderr.
pub(crate) fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("off,secateur={level},secateur_trainer={level}")));
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| crate::say::Stderr)
        .with_ansi(colours)
        .with_target(false)
        .without_time()
        .init();
}

#[cfg(test)]
mod tests {
    use super::{Arguments, MEANT, meant};
    use clap::{CommandFactory, Parser};

    /// Every line of an example that begins with the program's name can be typed.
    #[test]
    fn examples_of_the_help_can_be_typed() {
        let mut tried = 0;
        let root = Arguments::command();
        for command in std::iter::once(&root).chain(root.get_subcommands()) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().map(str::trim).filter(|line| line.starts_with("secateur ")) {
                let typed = line.split(" # ").next().unwrap_or(line).split(" > ").next().unwrap_or(line);
                // What a shell makes of a pattern: one folder, or two.
                let one = typed.replace('*', "one");
                let two = typed.split(' ').map(|word| match word.contains('*') {
                    true => format!("{} {}", word.replace('*', "one"), word.replace('*', "two")),
                    false => word.to_owned(),
                });
                let two = two.collect::<Vec<_>>().join(" ");
                let read = |line: &str| Arguments::try_parse_from(line.split_whitespace());
                if let Err(error) = read(&two).or_else(|_| read(&one)) {
                    panic!("{line}: {error}");
                }
                tried += 1;
            }
        }
        assert!(tried > 25, "only {tried} examples");
    }

    #[test]
    fn a_verb_of_another_name_is_told_by_its_own() {
        for (typed, verb) in MEANT {
            let error = meant(Arguments::try_parse_from(["secateur", typed]).expect_err(typed)).to_string();
            assert!(error.contains(&format!("'{verb}'")), "{typed}: {error}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
