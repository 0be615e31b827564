//! Plain tables: names to the left, numbers to the right.

use std::fmt;

/// Lines of fields, each column as wide as it must be.
pub(crate) struct Table {
    lines: Vec<Vec<String>>,
    /// How many columns, from the first on, are names.
    names: usize,
}

impl Table {
    pub(crate) fn new<'a>(head: impl Iterator<Item = &'a str>, names: usize) -> Self {
        Table { lines: vec![head.map(str::to_owned).collect()], names }
    }

    pub(crate) fn line(&mut self, fields: impl Iterator<Item = String>) {
        self.lines.push(fields.collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.lines.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let fields = self.lines.iter().filter_map(|line| line.get(column));
            fields.map(|field| field.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for line in &self.lines {
            let mut text = String::new();
            for (i, (field, width)) in line.iter().zip(&widths).enumerate() {
                let padded = match i < self.names {
                    true => format!("{field:width$}"),
                    false => format!("{field:>width$}"),
                };
                text.push_str(if i == 0 { "" } else { "  " });
                text.push_str(&padded);
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}
