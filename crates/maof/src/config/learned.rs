//! Reads what was learned or recorded before: models, and outcomes to begin with.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use maof_core::{Error, Result};
use maof_router::learned::{MAX_BYTES, Model, Outcome};
use maof_router::{Rank, Spread};

use super::Config;

/// The most outcomes that are read, and bytes of one.
const MAX_OUTCOMES: usize = 100_000;
const MAX_LINE: u64 = 16 << 20;

impl Config {
    /// The model that the strategy goes by, read; none where it needs none.
    ///
    /// # Errors
    /// `invalid_request` naming `routing.learned.model` when the file is not there, too large, damaged or of another
    /// version.
    pub fn read_model(&self) -> Result<Option<Model>> {
        let wanted = self.routing.ranks_by(Rank::Learned);
        let path = self.routing.learned.model.as_deref().filter(|_| wanted);
        path.map(|path| model(path, "routing.learned.model")).transpose()
    }

    /// The models of cascades, read, in the order of the cascades; none for those that need none.
    ///
    /// # Errors
    /// `invalid_request` naming `routing.cascade[i].model`, as [`Config::read_model`].
    pub fn read_cascade_models(&self) -> Result<Vec<Option<Model>>> {
        let cascades = self.routing.cascade.iter().enumerate();
        let read = cascades.map(|(at, cascade)| {
            let field = format!("routing.cascade[{at}].model");
            cascade.model.as_deref().map(|path| model(path, &field)).transpose()
        });
        read.collect()
    }

    /// The outcomes that linear Thompson sampling begins with, read; none where it needs none.
    ///
    /// # Errors
    /// `invalid_request` naming `routing.linear_thompson.outcomes` when the file is not there, has too many of them, or a line that is
    /// none.
    pub fn read_outcomes(&self) -> Result<Option<Vec<Outcome>>> {
        let wanted = self.routing.spreads_by(Spread::LinearThompson);
        let Some(path) = self.routing.linear_thompson.outcomes.as_deref().filter(|_| wanted) else {
            return Ok(None);
        };
        outcomes(path)
            .map(Some)
            .map_err(|e| e.context(path.display()).param("routing.linear_thompson.outcomes"))
    }
}

fn model(path: &Path, field: &str) -> Result<Model> {
    let wrong = |why: String| Error::invalid_request(why).param(field.to_owned());
    let unread = |e: std::io::Error| wrong(format!("{} cannot be read: {e}", path.display()));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    Model::from_bytes(&bytes).map_err(|e| e.context(path.display()).param(field.to_owned()))
}

fn outcomes(path: &Path) -> Result<Vec<Outcome>> {
    let unread = |e: std::io::Error| Error::invalid_request(format!("cannot be read as lines of text: {e}"));
    let mut file = BufReader::new(File::open(path).map_err(unread)?);
    let (mut outcomes, mut line) = (Vec::new(), String::new());
    for number in 1_u64.. {
        line.clear();
        if file.by_ref().take(MAX_LINE).read_line(&mut line).map_err(unread)? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        outcomes.extend(Outcome::parse(&line).map_err(|e| e.context(format!("line {number}")))?);
        if outcomes.len() > MAX_OUTCOMES {
            return Err(Error::too_large(format!(
                "has more than {MAX_OUTCOMES} outcomes; leave out the oldest"
            )));
        }
    }
    Ok(outcomes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn refused(routing: &str, field: &str, part: &str) {
        let text = format!("routing: {routing}");
        let error = Config::parse(&text).unwrap_err();
        assert_eq!(error.field(), Some(field), "{error:?}");
        assert!(error.message().contains(part), "{} does not say {part}", error.message());
    }

    #[test]
    fn a_file_that_cannot_be_learned_from_is_refused_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let file = |text: &str| {
            let path = folder.path().join("file");
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let learned = |path: &str| format!("{{strategy: learned, learned: {{model: '{path}'}}}}");
        refused(&learned("/nowhere"), "routing.learned.model", "cannot be read");
        refused(&learned(&file("x")), "routing.learned.model", "no model");
        let cascade = |path: &str| {
            let agents =
                "[{of: sentiment, first: summary, model: 'PATH', quality: 0.95}]".replace("PATH", path);
            format!("{{cascade: {agents}}}")
        };
        refused(&cascade("/nowhere"), "routing.cascade[0].model", "cannot be read");
        refused(&cascade(&file("x")), "routing.cascade[0].model", "no model");
        let linear =
            |path: &str| format!("{{strategy: linear_thompson, linear_thompson: {{outcomes: '{path}'}}}}");
        let field = "routing.linear_thompson.outcomes";
        refused(&linear("/nowhere"), field, "cannot be read");
        refused(&linear(&file("\u{1f}\u{8b}")), field, "line 1");
        let good = r#"{"prompt": "q", "y": {"sentiment": 1}}"#;
        refused(&linear(&file(&format!("{good}\n\n{{}}\n"))), field, "line 3");
        let config =
            Config::parse(&format!("routing: {}", linear(&file(&format!("{good}\n{good}"))))).unwrap();
        assert_eq!(config.read_outcomes().unwrap().map(|outcomes| outcomes.len()), Some(2));
        assert!(Config::parse("routing: {}").unwrap().read_outcomes().unwrap().is_none());
    }
}
