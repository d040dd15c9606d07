//! A sweep on a cluster whose commands are scripts: a sweep that was killed submits nothing twice, and a queue that does not
//! answer is asked again. `scripts/check-slurm` does it on a real Slurm.

mod common;

use common::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Fails once after as many jobs as `refusing` says; notes what is submitted, and keeps it as a job.
const SBATCH: &str = r#"#!/bin/bash
if [ -e "$FAKE/refusing" ] && [ "$(cat "$FAKE/refusing")" = "$(wc -l < "$FAKE/submitted")" ]; then
    rm "$FAKE/refusing"
    echo "sbatch: error: Slurm temporarily unable to accept job" >&2
    exit 1
fi
echo "$*" >> "$FAKE/submitted"
number=$((100 + $(wc -l < "$FAKE/submitted")))
for word in "$@"; do
    case $word in
        --array=0-*) last=${word#--array=0-} ;;
        --job-name=*) name=${word#--job-name=} ;;
        --dependency=*) after=${word##*:} ;;
    esac
    script=$word
done
mkdir "$FAKE/job-$number"
cp "$script" "$FAKE/job-$number/script"
echo "$name" > "$FAKE/job-$number/name"
echo "$last" > "$FAKE/job-$number/last"
echo "$after" > "$FAKE/job-$number/after"
echo "$number"
"#;

/// Fails once for each line of `failing`; tells what waits as long as it is held, and runs it then. A job that waits for one
/// that has left the queue and did not succeed is told once more, and dropped.
const SQUEUE: &str = r#"#!/bin/bash
if [ -s "$FAKE/failing" ]; then
    sed -i 1d "$FAKE/failing"
    echo "slurm_load_jobs error: Unable to contact slurm controller" >&2
    exit 1
fi
[ -e "$FAKE/held" ] && held=yes
for job in "$FAKE"/job-*; do
    [ -d "$job" ] || continue
    number=${job##*-}
    after=$(cat "$job/after")
    if [ -e "$job/dropped" ]; then
        rm -r "$job"
        continue
    elif [ "$after" ] && [ ! -e "$FAKE/done-$after" ] && [ ! -d "$FAKE/job-${after%_*}" ]; then
        touch "$job/dropped"
    fi
    for index in $(seq 0 "$(cat "$job/last")"); do
        if [ "$held" ] || [ -e "$job/dropped" ]; then
            echo "${number}_$index PENDING $(cat "$job/name")"
        else
            SLURM_ARRAY_TASK_ID=$index SLURM_JOB_ID=$number bash "$job/script" && touch "$FAKE/done-${number}_$index"
        fi
    done
    [ "$held" ] || [ -e "$job/dropped" ] || rm -r "$job"
done
echo asked >> "$FAKE/asked"
"#;

struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        let own = Self { folder: tempfile::tempdir().expect("a folder") };
        for (name, text) in [("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", "#!/bin/bash\n")] {
            fs::write(own.path(name), text).expect("written");
            fs::set_permissions(own.path(name), fs::Permissions::from_mode(0o755)).expect("a program");
        }
        fs::write(own.path("held"), "").expect("written");
        own
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).map_or(0, |text| text.lines().count())
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = secateur(args);
        let path = std::env::var("PATH").expect("a path");
        command.env("PATH", format!("{}:{path}", self.folder.path().display())).env("FAKE", self.folder.path());
        command
    }

    fn sweep(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }
}

fn wait_for(sweep: &mut Child, mut holds: impl FnMut() -> bool) {
    while !holds() {
        assert!(sweep.try_wait().expect("a child").is_none(), "the sweep ended meanwhile");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A sweep of two methods, which share a start for each seed.
fn grid(folder: &Path, seeds: &str) -> PathBuf {
    let file = folder.join("sweep.toml");
    let methods = "[[methods]]\nname = \"global\"\n[[methods]]\nname = \"erk\"\nset = { \"prune.scope\" = \"erk\" }";
    let axes = "[axes]\n\"prune.schedule\" = [{ kind = \"one-shot\", sparsity = 0.5 }]\n\"measure.enabled\" = [false]";
    let head = "name = \"grid\"\nbase = \"configs/smoke.toml\"\nrandom = false\ndense = false";
    fs::write(&file, format!("{head}\nseeds = {seeds}\n{axes}\n{methods}\n")).expect("written");
    file
}

#[test]
fn a_sweep_that_was_killed_submits_nothing_twice_and_bears_a_queue_that_fails() {
    let (cluster, folder) = (Cluster::new(), tempfile::tempdir().expect("a folder"));
    let (file, out) = (grid(folder.path(), "[1, 2]"), folder.path().join("out"));
    let typed = ["sweep", text(&file), "--out", text(&out), "--launcher", "slurm", "--threads", "1"];

    // The starts of both seeds, and for each the cells of its methods.
    let mut first = cluster.sweep(&typed);
    wait_for(&mut first, || cluster.lines("submitted") == 3 && cluster.lines("asked") > 0);
    let other = stderr(&cluster.command(&typed).output().expect("the program starts"));
    assert!(other.contains("another `secateur sweep` works in"), "{other}");
    first.kill().expect("killed");
    first.wait().expect("reaped");

    fs::write(cluster.path("failing"), "once\nand again\n").expect("written");
    let asked = cluster.lines("asked");
    let mut second = cluster.sweep(&typed);
    wait_for(&mut second, || cluster.lines("asked") > asked);
    fs::remove_file(cluster.path("held")).expect("released");
    let ended = second.wait_with_output().expect("it ends");
    let said = stderr(&ended);
    assert!(ended.status.success(), "{said}");
    assert!(
        said.contains("warning: `squeue` failed") && said.contains("6 jobs of this sweep are in the queue"),
        "{said}"
    );
    assert_eq!(cluster.lines("submitted"), 3, "{said}");
    let finished = |folder: &Path| {
        let runs = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
        runs.filter(|run| run.join("model.safetensors").exists()).count()
    };
    assert_eq!((finished(&out), finished(&out.join(".starts"))), (4, 2), "{said}");
    assert!(out.join("report/index.html").exists());

    // What is finished is not submitted again.
    let again = cluster.command(&typed).output().expect("the program starts");
    assert!(again.status.success() && cluster.lines("submitted") == 3, "{}", stderr(&again));
}

#[test]
fn cells_whose_start_has_left_the_queue_wait_for_the_start_that_takes_its_place() {
    let (cluster, folder) = (Cluster::new(), tempfile::tempdir().expect("a folder"));
    let (file, out) = (grid(folder.path(), "[1]"), folder.path().join("out"));
    let typed = ["sweep", text(&file), "--out", text(&out), "--launcher", "slurm", "--threads", "1"];
    let mut first = cluster.sweep(&typed);
    wait_for(&mut first, || cluster.lines("submitted") == 2 && cluster.lines("asked") > 0);
    first.kill().expect("killed");
    first.wait().expect("reaped");

    // The start is gone; its cells are still in the queue when the second sweep asks, and are dropped then.
    fs::remove_dir_all(cluster.path("job-101")).expect("removed");
    fs::write(cluster.path("refusing"), "3").expect("written");
    let mut second = cluster.sweep(&typed);
    wait_for(&mut second, || cluster.lines("submitted") == 5);
    let submitted = fs::read_to_string(cluster.path("submitted")).expect("notes");
    let waits: Vec<bool> = submitted.lines().map(|line| line.contains("--dependency=afterok:103_0")).collect();
    assert_eq!(waits, [false, false, false, true, true], "{submitted}");
    fs::remove_file(cluster.path("held")).expect("released");
    let ended = second.wait_with_output().expect("it ends");
    let said = stderr(&ended);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("`sbatch` failed") && said.contains("2 jobs of this sweep are in the queue"), "{said}");
    assert_eq!(cluster.lines("submitted"), 5, "{said}");
}
