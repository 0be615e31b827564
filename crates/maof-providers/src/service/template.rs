//! Texts and JSON with holes in them: `{{ text }}` and the like.

use maof_core::{Error, Result};
use serde_json::{Map, Value};

use crate::plain::Plain;

/// What stands in a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    Text,
    System,
    Prompt,
    Model,
    Messages,
    Input,
}

impl Hole {
    const ALL: [(&'static str, Hole); 6] = [
        ("text", Hole::Text),
        ("system", Hole::System),
        ("prompt", Hole::Prompt),
        ("model", Hole::Model),
        ("messages", Hole::Messages),
        ("input", Hole::Input),
    ];

    fn is_json(self) -> bool {
        matches!(self, Hole::Messages | Hole::Input)
    }

    fn text(self, plain: Plain<'_>, model: &str) -> String {
        match self {
            Hole::Text | Hole::Input => plain.text(),
            Hole::System => plain.system(),
            Hole::Prompt => plain.prompt(),
            Hole::Model => model.to_owned(),
            Hole::Messages => plain.messages().to_string(),
        }
    }

    fn value(self, plain: Plain<'_>, model: &str) -> Value {
        match self {
            Hole::Messages => plain.messages(),
            Hole::Input => plain.input(),
            text => text.text(plain, model).into(),
        }
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Fixed(String),
    Hole(Hole),
}

/// A text with holes.
#[derive(Clone, Debug)]
pub(super) struct Line(Vec<Piece>);

impl Line {
    /// Reads a text; `field` is where it stands in the configuration.
    ///
    /// # Errors
    /// `invalid_request` naming the field: a placeholder that is not known, is not closed, or stands for JSON.
    pub(super) fn parse(text: &str, field: &str) -> Result<Self> {
        let line = Self::read(text, field)?;
        let json = line.0.iter().any(|piece| matches!(piece, Piece::Hole(hole) if hole.is_json()));
        match json {
            true => {
                let why = "`{{ messages }}` and `{{ input }}` stand for JSON: each must be a whole value of the \
                           body, with nothing around it";
                Err(Error::invalid_request(why).param(field.to_owned()))
            }
            false => Ok(line),
        }
    }

    fn read(text: &str, field: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or_else(|| {
                Error::invalid_request("a placeholder that begins with `{{` must end with `}}`")
                    .param(field.to_owned())
            })?;
            if !before.is_empty() {
                pieces.push(Piece::Fixed(before.to_owned()));
            }
            pieces.push(Piece::Hole(hole(name.trim(), field)?));
            rest = after;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Fixed(rest.to_owned()));
        }
        Ok(Line(pieces))
    }

    /// The text with its holes filled.
    pub(super) fn fill(&self, plain: Plain<'_>, model: &str) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Fixed(text) => text.clone(),
            Piece::Hole(hole) => hole.text(plain, model),
        });
        pieces.collect()
    }

    /// Whether it has a hole for what the user says.
    pub(super) fn asks(&self) -> bool {
        let asks = |hole: &Hole| !matches!(hole, Hole::System | Hole::Model);
        self.0.iter().any(|piece| matches!(piece, Piece::Hole(hole) if asks(hole)))
    }
}

fn hole(name: &str, field: &str) -> Result<Hole> {
    let found = Hole::ALL.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, hole)| hole).ok_or_else(|| {
        let known = Hole::ALL.map(|(known, _)| known).join(", ");
        Error::invalid_request(format!("there is no placeholder `{name}`; there are {known}"))
            .param(field.to_owned())
    })
}

/// JSON with holes.
#[derive(Clone, Debug)]
pub(super) enum Template {
    Fixed(Value),
    Whole(Hole),
    Text(Line),
    List(Vec<Template>),
    Object(Vec<(String, Template)>),
}

impl Template {
    /// Reads JSON; `field` is where it stands in the configuration.
    ///
    /// # Errors
    /// As [`Line::parse`].
    pub(super) fn parse(value: &Value, field: &str) -> Result<Self> {
        Ok(match value {
            Value::String(text) => match Line::read(text, field)?.0.as_slice() {
                [Piece::Hole(hole)] => Template::Whole(*hole),
                _ => Template::Text(Line::parse(text, field)?),
            },
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let items = items.map(|(at, item)| Template::parse(item, &format!("{field}[{at}]")));
                Template::List(items.collect::<Result<_>>()?)
            }
            Value::Object(members) => {
                let members = members.iter().map(|(name, member)| {
                    Ok((name.clone(), Template::parse(member, &format!("{field}.{name}"))?))
                });
                Template::Object(members.collect::<Result<_>>()?)
            }
            fixed => Template::Fixed(fixed.clone()),
        })
    }

    /// The JSON with its holes filled.
    pub(super) fn fill(&self, plain: Plain<'_>, model: &str) -> Value {
        match self {
            Template::Fixed(value) => value.clone(),
            Template::Whole(hole) => hole.value(plain, model),
            Template::Text(line) => line.fill(plain, model).into(),
            Template::List(items) => items.iter().map(|item| item.fill(plain, model)).collect(),
            Template::Object(members) => {
                let members = members.iter().map(|(name, member)| (name.clone(), member.fill(plain, model)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// Whether it has a hole for what the user says.
    pub(super) fn asks(&self) -> bool {
        match self {
            Template::Fixed(_) => false,
            Template::Whole(hole) => !matches!(hole, Hole::System | Hole::Model),
            Template::Text(line) => line.asks(),
            Template::List(items) => items.iter().any(Template::asks),
            Template::Object(members) => members.iter().any(|(_, member)| member.asks()),
        }
    }
}
