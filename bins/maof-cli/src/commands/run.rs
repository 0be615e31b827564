//! `maof run`: a workflow from file to result, watched.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use futures::StreamExt;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maof::{Error, Maof, Principal, Record, Result, RunId, RunState, TaskRequest, input};
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::options::Common;
use crate::{exit, report};

/// Run a workflow and watch it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maof run examples/market-brief/workflow.yaml
  maof run review.yaml --content 'fn main() {}'
  maof run review.yaml --content @diff.json --json
  maof run --resume 01890a5d-ac96-774b-bcce-b302099a8057")]
pub(crate) struct Args {
    /// The workflow file
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    workflow: Option<PathBuf>,
    /// The task's content instead of the workflow's input files: text, JSON, or @FILE
    #[arg(long, value_name = "TEXT", conflicts_with = "resume")]
    content: Option<String>,
    /// Go on with a run that was interrupted
    #[arg(long, value_name = "ID")]
    resume: Option<RunId>,
    /// A key: the same key twice is the same run
    #[arg(long, value_name = "KEY", conflicts_with = "resume")]
    idempotency_key: Option<String>,
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    let config = common.load(args.workflow.as_deref())?;
    let same = same_options(common, args.workflow.as_deref());
    if args.resume.is_some() && !config.store.path.is_file() {
        let why =
            format!("there is no database {}; name it with --config or --db", config.store.path.display());
        return Err(Error::not_found(why));
    }
    maof::start_logging(&config)?;
    // What can be wrong with the files is found before anything is opened.
    let prepared = match &args.workflow {
        Some(path) => {
            let spec = input::read_workflow(path)?;
            let content = match &args.content {
                Some(text) => content_of(text)?,
                None => input::read_inputs(&spec, path.parent().unwrap_or(path))?,
            };
            Some((spec, content))
        }
        None => None,
    };
    let maof = Maof::builder(config).build().await?;
    let who = Principal::local();
    // Heard from before the task is there, so that none is ever left without a word of how to go on.
    let mut stop = Stop::new().map_err(|e| Error::internal("signals cannot be heard").because(e))?;
    let id = match (prepared, args.resume) {
        (Some((spec, content)), _) => {
            let workflow = maof.compile(spec)?;
            let request = TaskRequest {
                task_type: workflow.name.clone(),
                content,
                priority: 0,
                deadline: None,
                session: None,
                tags: None,
                idempotency_key: args.idempotency_key,
                workflow: Some(workflow),
            };
            maof.submit(&who, request).await?.id
        }
        (None, Some(id)) => id,
        (None, None) => return Err(Error::invalid_request("name a workflow file, or --resume a run")),
    };
    if !common.quiet {
        eprintln!("run {id}");
    }
    maof.work_on(&who, id).await?;
    tokio::select! {
        ended = watch(common, &maof, &who, id) => {
            let code = ended?;
            maof.shutdown().await;
            Ok(code)
        }
        () = stop.asked() => {
            maof.shutdown().await;
            eprintln!("\nsuspended; nothing that was done is lost");
            eprintln!("resume with: maof run --resume {id}{same}");
            eprintln!("end it with: maof tasks cancel {id}{same}");
            Ok(exit::SUSPENDED)
        }
    }
}

/// Ctrl-C, or SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Hears of them from now on.
    fn new() -> std::io::Result<Stop> {
        Ok(Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The options that lead to the same database.
fn same_options(common: &Common, near: Option<&Path>) -> String {
    let option = |name: &str, value: &Option<PathBuf>| {
        value.as_ref().map(|v| format!(" --{name} {}", v.display())).unwrap_or_default()
    };
    option("config", &common.find(near)) + &option("db", &common.db)
}

/// Text, JSON where it is a JSON object or list, or the same from a file.
fn content_of(text: &str) -> Result<Value> {
    let text = match text.strip_prefix('@') {
        Some(path) => maof::yaml::read_text(path.as_ref(), 64 << 20)?,
        None => text.to_owned(),
    };
    match text.trim_start().starts_with(['{', '[']) {
        true => serde_json::from_str(&text)
            .map_err(|e| Error::invalid_request(format!("the content is no JSON: {e}")).param("content")),
        false => Ok(Value::String(text)),
    }
}

/// Follows a run to its end, and prints what came of it.
async fn watch(common: &Common, maof: &Maof, who: &Principal, id: RunId) -> Result<u8> {
    let mut progress = Progress::new(common);
    let mut events = std::pin::pin!(maof.events(who, id, 0));
    while let Some(event) = events.next().await {
        progress.on(&event?.record);
    }
    progress.clear();
    let run = maof.wait(who, id).await?;
    let found = maof.report(who, id).await?;
    match common.json {
        true => println!("{}", serde_json::json!(found)),
        false => print!("{}", report::text(&found)),
    }
    Ok(match (run.state, run.failure) {
        (RunState::Completed, _) => exit::SUCCESS,
        (_, Some(failure)) if failure.kind == maof::ErrorKind::BudgetExceeded => exit::code(failure.kind),
        _ => exit::FAILED,
    })
}

/// Progress on stderr: a bar on a terminal, a line for each step elsewhere.
struct Progress {
    bar: ProgressBar,
    lines: bool,
    asked: u64,
    back: u64,
    step: String,
}

impl Progress {
    fn new(common: &Common) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = match terminal && !common.quiet {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let style =
            ProgressStyle::with_template("{spinner} {elapsed_precise} [{bar:30}] {pos}/{len} {wide_msg}");
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Progress { bar, lines: !terminal && !common.quiet, asked: 0, back: 0, step: String::new() }
    }

    fn on(&mut self, record: &Record) {
        match record {
            Record::Asked { step, target, attempt: 1, .. } => {
                self.asked += 1;
                self.bar.set_length(self.asked);
                self.enter(step);
                self.bar.set_message(format!("{step}: {target}"));
            }
            Record::Asked { step, target, attempt, .. } => {
                self.bar.set_message(format!("{step}: {target}, attempt {attempt}"));
            }
            Record::Answered { step, answer, .. } => {
                self.back += 1;
                self.bar.set_position(self.back);
                self.bar.set_message(format!("{step}: {} answered", answer.agent));
            }
            Record::Failed { step, failure, .. } => {
                self.say(&format!("{step}: {}", failure.message));
            }
            _ => {}
        }
    }

    fn enter(&mut self, step: &str) {
        if self.step != step {
            step.clone_into(&mut self.step);
            if self.lines {
                eprintln!("step {step}");
            }
        }
    }

    fn say(&self, line: &str) {
        match self.lines {
            true => eprintln!("{line}"),
            false => self.bar.println(line),
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
