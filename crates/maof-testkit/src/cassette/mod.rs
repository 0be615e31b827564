//! Recorded traffic of real providers, from the folder that `MAOF_FIXTURES` names (default: `shared/fixtures`
//! beside the checkout). It holds `wire/<dialect>/<suite>__<test>.yaml` in one of two formats: one exchange a
//! document (`when` / `then`), or a list of them (`interactions`).
//!
//! Where the folder is absent, tests have nothing to check: that is printed, with the tests it concerns.
//! Where `CI` is set it is a failure.
//!
//! ```no_run
//! use maof_testkit::cassette::Cassettes;
//! for exchange in Cassettes::open().exchanges("anthropic").filter(|e| e.is_stream()) {
//!     assert!(!exchange.sse().is_empty(), "{exchange:?}");
//! }
//! ```

mod exchange;
mod interactions;
mod json;
mod sse;
mod when_then;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

pub use exchange::Exchange;
pub use sse::events;

/// The dialects that are recorded.
pub const DIALECTS: [&str; 11] = [
    "anthropic",
    "deepseek",
    "gemini",
    "groq",
    "huggingface",
    "llamacpp",
    "mistral",
    "ollama",
    "openai",
    "openai_responses",
    "openrouter",
];

/// The tests of this process that had no recordings, by the name of their thread, which is the test's.
static SKIPPED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The recordings, or the lack of them.
#[derive(Clone, Debug)]
pub struct Cassettes {
    /// The folder with a folder for each dialect; none: there are no recordings here.
    wire: Option<PathBuf>,
}

/// How a dialect's files were read.
#[derive(Clone, Debug, Default)]
pub struct Census {
    /// The files.
    pub files: usize,
    /// The exchanges in those that can be read.
    pub exchanges: usize,
    /// Those that cannot.
    pub unreadable: Vec<Unreadable>,
}

/// A file that cannot be read as recorded traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file's name.
    pub file: String,
    /// Why, and where in the file.
    pub reason: String,
}

impl Cassettes {
    /// The recordings in the folder of `MAOF_FIXTURES`, or beside the checkout.
    ///
    /// # Panics
    /// When there is no such folder although `CI` is set.
    #[allow(clippy::print_stderr, reason = "a skip must be seen")]
    pub fn open() -> Cassettes {
        let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
        let folder = std::env::var_os("MAOF_FIXTURES").map_or_else(beside, PathBuf::from);
        let required = std::env::var_os("CI").is_some();
        let opened = Self::at(&folder, required).unwrap_or_else(|message| panic!("{message}"));
        if opened.is_absent() {
            let mut skipped = SKIPPED.lock();
            let test = std::thread::current().name().unwrap_or("a thread without a name").to_owned();
            if skipped.insert(test) {
                eprintln!("SKIP {}; {} skipped so far: {skipped:?}", absent(&folder), skipped.len());
            }
        }
        opened
    }

    /// The recordings in `folder`; none where it is absent and not `required`.
    ///
    /// # Errors
    /// What to do, when it is absent although `required`.
    pub fn at(folder: &Path, required: bool) -> Result<Cassettes, String> {
        let wire = folder.join("wire");
        match (wire.is_dir(), required) {
            (true, _) => Ok(Cassettes { wire: Some(wire) }),
            (false, false) => Ok(Cassettes { wire: None }),
            (false, true) => Err(absent(folder)),
        }
    }

    /// Whether there are no recordings here, so that a test must not expect any.
    pub fn is_absent(&self) -> bool {
        self.wire.is_none()
    }

    /// Every exchange that was recorded with `dialect`, in the order of the files. Files that cannot be read
    /// are passed over: [`Cassettes::census`] tells of them.
    ///
    /// # Panics
    /// When there are recordings, but none of a dialect of this name.
    pub fn exchanges(&self, dialect: &str) -> impl Iterator<Item = Exchange> + use<> {
        self.files(dialect).into_iter().flat_map(|file| read(&file).unwrap_or_default())
    }

    /// How the files of `dialect` were read.
    ///
    /// # Panics
    /// As [`Cassettes::exchanges`].
    pub fn census(&self, dialect: &str) -> Census {
        let mut census = Census::default();
        for file in self.files(dialect) {
            census.files += 1;
            match read(&file) {
                Ok(exchanges) => census.exchanges += exchanges.len(),
                Err(unreadable) => census.unreadable.push(unreadable),
            }
        }
        census
    }

    fn files(&self, dialect: &str) -> Vec<PathBuf> {
        let Some(wire) = &self.wire else { return Vec::new() };
        let folder = wire.join(dialect);
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}; recorded are {DIALECTS:?}", folder.display()));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
        files.sort();
        files
    }
}

fn absent(folder: &Path) -> String {
    format!(
        "recorded traffic: {} has no folder `wire`; set MAOF_FIXTURES to the folder of recordings",
        folder.display()
    )
}

/// The exchanges of one file.
fn read(path: &Path) -> Result<Vec<Exchange>, Unreadable> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let read = std::fs::read_to_string(path).map_err(|e| e.to_string());
    read.and_then(|text| parse(&name, &text)).map_err(|reason| Unreadable { file: name, reason })
}

/// The exchanges in `text`, which is the content of a file called `name` (without its extension).
fn parse(name: &str, text: &str) -> Result<Vec<Exchange>, String> {
    let (suite, test) = name.split_once("__").unwrap_or(("", name));
    // The first key tells the format.
    let mut exchanges = match text.starts_with("interactions:") {
        true => interactions::read(text)?,
        false => when_then::read(text)?,
    };
    for (index, exchange) in exchanges.iter_mut().enumerate() {
        (exchange.suite, exchange.test, exchange.index) = (suite.to_owned(), test.to_owned(), index);
    }
    Ok(exchanges)
}

/// Recordings are trusted, and larger than what the reader of configurations allows. They were written from
/// JSON, where `yes` and `on` are texts.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! { budget: None, strict_booleans: true, ignore_binary_tag_for_string: true }
}

#[cfg(test)]
mod tests;
