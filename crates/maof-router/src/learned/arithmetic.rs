//! Reads equations in running text, `16 - 3 = 13`, and works them out again.

/// What one text's equations come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Worked {
    /// Equations whose left side was understood and has an operator.
    pub(super) equations: u32,
    /// Those whose right side is another number.
    pub(super) wrong: u32,
    /// The right side of the last one.
    pub(super) last: Option<f64>,
}

/// At most so many equations are looked at, and so many bytes of each side.
const MOST: usize = 256;
const REACH: usize = 96;
/// Parentheses within parentheses, at most.
const DEPTH: u32 = 8;

/// Works out every `a op b = c` of `text`.
pub(super) fn work_out(text: &str) -> Worked {
    let mut worked = Worked::default();
    for (at, _) in text.match_indices('=').take(MOST) {
        let left = &text[text.floor_char_boundary(at.saturating_sub(REACH))..at];
        let right = &text[at + 1..text.floor_char_boundary(text.len().min(at + 1 + REACH))];
        if let (Some(value), Some((stated, decimals))) = (left_side(left), number_at(right)) {
            // What is written with two decimals may be half of the second one off.
            let slack = 0.5001 * 10_f64.powi(-decimals) + 1e-6 * value.abs();
            // A chain goes on: `2 * 3 + 4 = 6 + 4 = 10`.
            let further = Parser { rest: right, operators: 0, depth: 0 }.sum();
            let fits = |found: f64| (value - found).abs() <= slack;
            worked.equations += 1;
            worked.last = Some(stated);
            worked.wrong += u32::from(!fits(stated) && !further.is_some_and(fits));
        }
    }
    worked
}

/// The number that `text` begins with after spaces and a currency sign, and how many decimals it has.
pub(super) fn number_at(text: &str) -> Option<(f64, i32)> {
    let text = text.trim_start();
    let (negative, text) = match text.strip_prefix(['-', '−']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let text = text.trim_start_matches(['$', '€', '£', ' ']);
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == ',' || c == '.')).unwrap_or(text.len());
    let digits = text.get(..end)?.trim_end_matches(['.', ',']);
    let plain: String = digits.chars().filter(|c| *c != ',').collect();
    let value: f64 = plain.parse().ok()?;
    let decimals = plain.split_once('.').map_or(0, |(_, after)| after.len() as i32);
    Some((if negative { -value } else { value }, decimals))
}

/// The value of the longest expression with an operator that `text` ends with.
fn left_side(text: &str) -> Option<f64> {
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_ascii_digit() || " .,+-*/()$€£%x×÷−·\\".contains(*c))
        .last()
        .map(|(at, _)| at)?;
    // The beginning may be the end of a sentence (`3. 4 + 5`) or a letter: shorter ones are tried in turn.
    let expression = text.get(start..)?;
    let mut before = ' ';
    for (at, c) in expression.char_indices() {
        let inside = before.is_ascii_digit() || before == '.' || before == ',';
        if !inside && (c.is_ascii_digit() || "($-".contains(c)) {
            let mut parser = Parser { rest: &expression[at..], operators: 0, depth: 0 };
            if let Some(value) = parser.sum()
                && parser.operators > 0
                && parser.rest.trim().is_empty()
                && value.is_finite()
            {
                return Some(value);
            }
        }
        before = c;
    }
    None
}

/// Recursive descent over `+ - * / ( )`, currency signs skipped.
struct Parser<'a> {
    rest: &'a str,
    operators: u32,
    depth: u32,
}

impl Parser<'_> {
    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        loop {
            if self.takes(&['+']) {
                value += self.product()?;
            } else if self.takes(&['-', '−']) {
                value -= self.product()?;
            } else {
                return Some(value);
            }
        }
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.factor()?;
        loop {
            if self.takes(&['*', 'x', '×', '·']) {
                value *= self.factor()?;
            } else if self.takes(&['/', '÷']) {
                value /= self.factor()?;
            } else {
                return Some(value);
            }
        }
    }

    fn factor(&mut self) -> Option<f64> {
        let value = if self.skips('(') {
            self.depth += 1;
            let inner = (self.depth <= DEPTH).then(|| self.sum()).flatten()?;
            self.depth -= 1;
            self.skips(')').then_some(inner)?
        } else if self.skips('-') {
            -self.number()?
        } else {
            self.number()?
        };
        Some(if self.skips('%') { value / 100.0 } else { value })
    }

    fn number(&mut self) -> Option<f64> {
        let rest = self.rest.trim_start_matches([' ', '$', '€', '£']);
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ',' || c == '.')).unwrap_or(rest.len());
        let plain: String = rest.get(..end)?.chars().filter(|c| *c != ',').collect();
        let value = plain.parse().ok()?;
        self.rest = rest.get(end..)?;
        Some(value)
    }

    fn takes(&mut self, operators: &[char]) -> bool {
        let found = operators.iter().any(|operator| self.skips(*operator));
        self.operators += u32::from(found);
        found
    }

    fn skips(&mut self, c: char) -> bool {
        // Markdown writes `\*`.
        match self.rest.trim_start_matches([' ', '\\']).strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, equations: u32, wrong: u32, last: Option<f64>) {
        assert_eq!(work_out(text), Worked { equations, wrong, last }, "{text}");
    }

    #[test]
    fn equations_in_running_text_are_worked_out_again() {
        check("He has 16 - 3 = 13 eggs left.", 1, 0, Some(13.0));
        check("He has 16 - 3 = 12 eggs left.", 1, 1, Some(12.0));
        check("makes 9 * $2 = $<<9*2=18>>18.", 1, 0, Some(18.0));
        check("That is 3 x 60 = 180 meters, so 2 × (1 + 4) = 10.", 2, 0, Some(10.0));
        check("$1,300 * 10/100 = $130.00", 1, 0, Some(130.0));
        check("4.00/15=0.27", 1, 0, Some(0.27));
        check("4.00/15=0.26", 1, 1, Some(0.26));
        check("50% * 8 = 4 and 1 − 2 = −1", 2, 0, Some(-1.0));
        check("A chain: 2 * 3 + 4 = 6 + 4 = 10.", 2, 0, Some(10.0));
        check("A chain: 5 * 75 + 120 = 675 + 120 = 795", 2, 1, Some(795.0));
        check("escaped: 38\\*216=8128, 60 \\* 5 = 300", 2, 1, Some(300.0));
        check("First step. 4 + 5 = 9", 1, 0, Some(9.0));
        check("in 1995. 4 + 5 = 9", 1, 0, Some(9.0));
    }

    #[test]
    fn what_is_no_equation_is_left_alone() {
        for text in [
            "",
            "x = 4",
            "a + b = c",
            "1 +",
            "= 3",
            "2 = 2",
            "5 / 0 = 1",
            "1 + 2 = <<",
            "(((((((((1+1))))))))) = 2",
        ] {
            check(text, 0, 0, None);
        }
        assert_eq!(work_out(&"1+1=2 ".repeat(10_000)).equations, MOST as u32);
        check(&"é".repeat(5_000), 0, 0, None);
    }
}
