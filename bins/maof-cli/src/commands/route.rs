//! `maof route`: learns from recorded outcomes which model to ask, tells it for prompts not seen before, and explains
//! what the router would choose.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use flate2::bufread::MultiGzDecoder;
use maof::{Error, Name, Result};
use maof_router::learned::{
    Answer, Calibration, MAX_BYTES, Model, Outcome, Policy, Prices, Question, Scratch, Seeded, Training,
    arms_of,
};
use serde_json::json;

use crate::exit;
use crate::options::Common;

/// The longest line that is read, in bytes.
const MAX_LINE: usize = 16 * 1024 * 1024;

/// Learn which model to ask from recorded outcomes, choose for new prompts, and explain what is chosen
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Learn a model from recorded outcomes
    #[command(after_help = OUTCOMES)]
    Train(TrainArgs),
    /// Print `id<TAB>score` for each prompt of the standard input: higher = send to the strong model
    Score {
        /// The model file that `train` wrote
        #[arg(long, short, value_name = "FILE")]
        model: PathBuf,
        /// Judge the cheap model's answer as well: its entry of `out` is read
        #[arg(long)]
        cascade: bool,
    },
    /// Print `id<TAB>model` for each prompt of the standard input: the model to ask
    Choose {
        /// The model file that `train` wrote
        #[arg(long, short, value_name = "FILE")]
        model: PathBuf,
        /// The part of the best single model's quality to keep, such as 0.95, as cheaply as possible
        /// [default: the highest quality, whatever it costs]
        #[arg(long, value_name = "PART", allow_negative_numbers = true, conflicts_with = "cost_weight")]
        quality: Option<f32>,
        /// How much quality (0 to 1) one more mean call of the best single model must add to be worth its cost
        #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true)]
        cost_weight: Option<f32>,
    },
    /// Print whom the router would ask for the prompt of the standard input, and why; nobody is asked
    Explain(super::explain::Args),
}

const OUTCOMES: &str = "\
An outcome is one JSON object a line: `prompt`, `y` with a score from 0 to 1 for each model, and
for a cascade `out` with the models' answers. Lines with `contaminated: true` are left out; other
fields are skipped. See docs/routing.md.";

#[derive(Debug, clap::Args)]
struct TrainArgs {
    /// JSON lines, also gzipped; `-` is the standard input
    #[arg(required = true, value_name = "OUTCOMES")]
    files: Vec<PathBuf>,
    /// The model file to write
    #[arg(long, short, value_name = "FILE", aliases = ["out", "output"])]
    model: PathBuf,
    /// What models charge: {"model": [input, output]} in US dollars per million tokens, or several such sets by name
    /// [default: prices.json beside the first file, if it is there and knows every model]
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// The strong model [default: the one with the highest mean score]
    #[arg(long, value_name = "MODEL")]
    strong: Option<Name>,
    /// The cheap model [default: the one with the lowest price; without prices, the lowest mean score]
    #[arg(long, value_name = "MODEL")]
    cheap: Option<Name>,
    /// Where random numbers begin; the same seed and outcomes give the same model
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) async fn run(common: &Common, args: Args) -> Result<u8> {
    match args.action {
        Action::Train(args) => train(common, args)?,
        Action::Score { model, cascade } => score(&load(&model)?, cascade)?,
        Action::Choose { model, quality, cost_weight } => choose(&load(&model)?, quality, cost_weight)?,
        Action::Explain(args) => super::explain::run(common, args).await?,
    }
    Ok(exit::SUCCESS)
}

fn train(common: &Common, args: TrainArgs) -> Result<()> {
    let mut outcomes = Vec::new();
    for file in &args.files {
        let name = file.display().to_string();
        let input: Box<dyn Read> = if file.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(file).map_err(|error| unread(file, &error))?)
        };
        each_line(&name, input, |line| {
            outcomes.extend(Outcome::parse(line)?);
            Ok(())
        })?;
    }
    let prices = prices(&args, &arms_of(&outcomes))?;
    let training = Training { prices, strong: args.strong, cheap: args.cheap, ..Training::default() };
    let model = training.train(&outcomes, &Seeded::new(args.seed))?;
    let file = model.to_bytes();
    // Written beside it and then renamed: whoever reads it meanwhile gets the old one or the new one, whole.
    let beside = args.model.with_added_extension("part");
    let written = fs::write(&beside, &file).and_then(|()| fs::rename(&beside, &args.model));
    written.map_err(|error| unread(&args.model, &error).param("model"))?;
    report(common, &model, outcomes.len(), &args.model, file.len());
    Ok(())
}

/// The prices to train with.
fn prices(args: &TrainArgs, arms: &[Name]) -> Result<Prices> {
    if let Some(file) = &args.prices {
        let text = fs::read_to_string(file).map_err(|error| unread(file, &error).param("prices"))?;
        return Prices::parse(&text, arms);
    }
    let beside = args.files.first().map(|file| file.with_file_name("prices.json"));
    let text = beside.and_then(|file| fs::read_to_string(file).ok());
    Ok(text.and_then(|text| Prices::parse(&text, arms).ok()).unwrap_or_default())
}

fn report(common: &Common, model: &Model, outcomes: usize, file: &Path, bytes: usize) {
    let calibration = model.calibration();
    let name =
        |arm: Option<&maof_router::learned::Arm>| arm.map(|arm| arm.name.to_string()).unwrap_or_default();
    let (strong, cheap) = (name(model.strong()), name(model.cheap()));
    let (by_prompt, by_answer) =
        (Calibration::apgr(&calibration.by_prompt), Calibration::apgr(&calibration.by_answer));
    if common.json {
        let said = json!({
            "model": file, "bytes": bytes, "outcomes": outcomes, "models": model.arms().len(),
            "strong": strong, "cheap": cheap, "apgr": by_prompt, "apgr_cascade": by_answer,
        });
        println!("{said}");
        return;
    }
    println!("{outcomes} outcomes of {} models; strong: {strong}, cheap: {cheap}", model.arms().len());
    println!("on outcomes held out, a random mix having an APGR of 0.500:");
    let tables = [("by the prompt", &calibration.by_prompt), ("by the answer", &calibration.by_answer)];
    for (how, steps) in tables.into_iter().filter(|(_, steps)| !steps.is_empty()) {
        let share = |floor: f32| {
            let share = Calibration::share_at_quality(steps, floor).unwrap_or(1.0);
            format!("quality >= {floor} at {:.0} % strong calls", 100.0 * share)
        };
        let shares = [0.9, 0.95, 0.99].map(share).join(", ");
        println!("  {how}: APGR {:.3}; {shares}", Calibration::apgr(steps).unwrap_or_default());
    }
    if model.has_prices() {
        for floor in [0.95, 1.0] {
            match calibration.tradeoff(floor) {
                Some(at) => {
                    println!("  among all: quality >= {floor} at {:.0} % of the cost", 100.0 * at.cost)
                }
                None => println!("  among all: quality >= {floor} by the strong model alone"),
            }
        }
    }
    println!("wrote {} ({bytes} bytes)", file.display());
}

fn score(model: &Model, cascade: bool) -> Result<()> {
    let cheap = model.cheap().map(|arm| arm.name.clone()).filter(|_| cascade);
    let mut scratch = Scratch::default();
    answer_each(cheap.as_ref(), |question| {
        let score = match &question.answer {
            Some(answer) => model.check(&question.prompt, &Answer::new(answer), &mut scratch).gain(),
            None => model.score(&question.prompt, &mut scratch),
        };
        Ok(score.to_string())
    })
}

fn choose(model: &Model, quality: Option<f32>, cost_weight: Option<f32>) -> Result<()> {
    let within = |value: Option<f32>, field: &'static str| match value {
        Some(value) if !(0.0..=100.0).contains(&value) => {
            Err(Error::invalid_request(format!("`{field}` must be 0 or more")).param(field))
        }
        _ => Ok(value),
    };
    let weight = within(cost_weight, "cost-weight")?;
    let policy = match within(quality, "quality")? {
        Some(floor) => model.at_quality(floor),
        None => Policy::Weigh(weight.unwrap_or_default()),
    };
    let mut scratch = Scratch::default();
    answer_each(None, |question| {
        let chosen = model.choose(&question.prompt, policy, |_| true, &mut scratch);
        let chosen = chosen.ok_or_else(|| Error::internal("a model without arms"))?;
        Ok(chosen.arm.name.to_string())
    })
}

/// Prints `id<TAB>answer` for each line of the standard input.
fn answer_each(answer_of: Option<&Name>, mut answer: impl FnMut(&Question) -> Result<String>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut closed = false;
    let mut told = |result: io::Result<()>| {
        result.map_err(|error| {
            closed |= error.kind() == io::ErrorKind::BrokenPipe;
            Error::unavailable(format!("the standard output cannot be written: {error}"))
        })
    };
    let done = each_line("standard input", io::stdin().lock(), |line| {
        let question = Question::parse(line, answer_of)?;
        let answer = answer(&question)?;
        told(writeln!(out, "{}\t{answer}", question.id))
    });
    let done = done.and_then(|()| told(out.flush()));
    // Whoever reads has seen enough, as `head` does: that is no failure.
    if closed { Ok(()) } else { done }
}

fn load(file: &Path) -> Result<Model> {
    let open = File::open(file).map_err(|error| unread(file, &error).param("model"))?;
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    open.take(limit).read_to_end(&mut bytes).map_err(|error| unread(file, &error).param("model"))?;
    Model::from_bytes(&bytes)
}

/// Gives each line that is not empty to `take`; what it finds wrong is told with the input's name and the line.
fn each_line(name: &str, input: impl Read, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let unread = |error: &io::Error| Error::invalid_request(format!("{name} cannot be read: {error}"));
    let mut input = BufReader::new(input);
    let zipped = input.fill_buf().map_err(|error| unread(&error))?.starts_with(&[0x1f, 0x8b]);
    let mut input: Box<dyn BufRead> =
        if zipped { Box::new(BufReader::new(MultiGzDecoder::new(input))) } else { Box::new(input) };
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = input.by_ref().take(limit).read_until(b'\n', &mut line).map_err(|error| unread(&error))?;
        if read == 0 {
            break;
        }
        let at = |error: &Error| {
            let told = Error::new(error.kind(), format!("{name}, line {number}: {}", error.message()));
            match error.field() {
                Some(field) => told.param(field.to_owned()),
                None => told,
            }
        };
        if line.len() > MAX_LINE {
            return Err(at(&Error::too_large(format!("is longer than {MAX_LINE} bytes"))));
        }
        let text = std::str::from_utf8(&line).map_err(|_| at(&Error::invalid_request("is not UTF-8")))?;
        if !text.trim().is_empty() {
            take(text).map_err(|error| at(&error))?;
        }
    }
    Ok(())
}

fn unread(file: &Path, error: &io::Error) -> Error {
    let message = format!("{}: {error}", file.display());
    match error.kind() {
        io::ErrorKind::NotFound => Error::not_found(message),
        _ => Error::invalid_request(message),
    }
}
