//! The text of a template, taken apart.

use serde_json::Value;

use super::piece::{Comparison, Operand, Path, Piece, Step};

/// All pieces of a template.
///
/// # Errors
/// What is wrong, as a sentence.
pub(super) fn template(text: &str) -> Result<Vec<Piece>, String> {
    let mut reader = Reader { rest: text };
    let (pieces, has_end) = reader.pieces()?;
    if has_end { Err("{end} without {range …}".into()) } else { Ok(pieces) }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn takes(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expects(&mut self, token: &str) -> Result<(), String> {
        if self.takes(token) { Ok(()) } else { Err(format!("{token} is missing before {:?}", self.rest)) }
    }

    /// The pieces up to the end of the text, or up to `{end}`.
    fn pieces(&mut self) -> Result<(Vec<Piece>, bool), String> {
        let mut pieces = Vec::new();
        while !self.rest.is_empty() {
            let (text, rest) = self.rest.split_at(self.rest.find('{').unwrap_or(self.rest.len()));
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            let Some(rest) = rest.strip_prefix('{') else { return Ok((pieces, false)) };
            self.rest = rest;
            if self.takes("end}") {
                return Ok((pieces, true));
            }
            self.piece(&mut pieces)?;
        }
        Ok((pieces, false))
    }

    /// What is between `{` and `}`: a range, or texts and paths.
    fn piece(&mut self, pieces: &mut Vec<Piece>) -> Result<(), String> {
        if self.takes("range ") {
            let path = self.path()?;
            self.expects("}")?;
            let (inner, has_end) = self.pieces()?;
            pieces.push(Piece::Range(path, inner));
            return if has_end { Ok(()) } else { Err("{range …} without {end}".into()) };
        }
        while !self.takes("}") {
            if self.rest.trim_start().is_empty() {
                return Err("} is missing at the end".into());
            }
            match self.quoted()? {
                Some(text) => pieces.push(Piece::Text(text)),
                None => pieces.push(Piece::Path(self.path()?)),
            }
        }
        Ok(())
    }

    /// A text in quotes, with the usual escapes.
    fn quoted(&mut self) -> Result<Option<String>, String> {
        let text = self.rest.trim_start();
        let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
        let (mut found, mut letters) = (String::new(), text.char_indices().skip(1));
        while let Some((index, letter)) = letters.next() {
            match letter {
                _ if letter == quote => {
                    self.rest = &text[index + quote.len_utf8()..];
                    return Ok(Some(found));
                }
                '\\' => match letters.next() {
                    Some((_, 'n')) => found.push('\n'),
                    Some((_, 't')) => found.push('\t'),
                    Some((_, 'r')) => found.push('\r'),
                    Some((_, other)) => found.push(other),
                    None => {}
                },
                other => found.push(other),
            }
        }
        Err(format!("a quote is not closed: {text}"))
    }

    fn path(&mut self) -> Result<Path, String> {
        let from_root = self.takes("$");
        let is_begun = from_root || self.takes("@");
        let mut steps = Vec::new();
        loop {
            // A space ends a path; before it there may be one.
            let is_first = steps.is_empty() && !is_begun;
            self.rest = if is_first { self.rest.trim_start() } else { self.rest };
            if let Some(rest) = self.rest.strip_prefix("..") {
                self.rest = rest;
                steps.push(Step::Descend);
                if !self.rest.starts_with('[') {
                    steps.push(self.field()?);
                }
            } else if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                // `{.}` is the object itself.
                if !self.rest.starts_with(['}', '[', ')', ' ']) {
                    steps.push(self.field()?);
                } else if is_first && !self.rest.starts_with('[') {
                    return Ok(Path { from_root, steps });
                }
            } else if self.rest.starts_with('[') {
                self.takes("[");
                steps.push(self.bracket()?);
            } else if is_first {
                return Err(format!("a path begins with a point: {:?}", self.rest));
            } else {
                return Ok(Path { from_root, steps });
            }
        }
    }

    fn field(&mut self) -> Result<Step, String> {
        let (mut name, mut end, mut is_escaped) = (String::new(), self.rest.len(), false);
        for (index, letter) in self.rest.char_indices() {
            match letter {
                _ if is_escaped => {
                    name.push(letter);
                    is_escaped = false;
                }
                '\\' => is_escaped = true,
                '.' | '[' | ']' | '}' | ')' | ' ' | '=' | '!' | '<' | '>' | ',' => {
                    end = index;
                    break;
                }
                other => name.push(other),
            }
        }
        self.rest = &self.rest[end..];
        match name.as_str() {
            "" => Err(format!("a name is missing before {:?}", self.rest)),
            "*" => Ok(Step::All),
            _ => Ok(Step::Field(name)),
        }
    }

    /// What is between `[` and `]`.
    fn bracket(&mut self) -> Result<Step, String> {
        if self.takes("?(") {
            let left = self.operand()?;
            let right = match self.comparison() {
                Some(comparison) => Some((comparison, self.operand()?)),
                None => None,
            };
            self.expects(")")?;
            self.expects("]")?;
            return Ok(Step::Filter(left, right));
        }
        let mut steps = vec![self.selector()?];
        while self.takes(",") {
            steps.push(self.selector()?);
        }
        self.expects("]")?;
        Ok(if steps.len() == 1 { steps.remove(0) } else { Step::Union(steps) })
    }

    /// `*`, a name in quotes, an index or a slice.
    fn selector(&mut self) -> Result<Step, String> {
        if self.takes("*") {
            return Ok(Step::All);
        }
        if let Some(name) = self.quoted()? {
            return Ok(Step::Field(name));
        }
        let from = self.integer();
        if !self.takes(":") {
            return from
                .map(Step::Index)
                .ok_or_else(|| format!("an index or a name in quotes is missing: {:?}", self.rest));
        }
        let to = self.integer();
        let by = if self.takes(":") { self.integer() } else { None };
        Ok(Step::Slice(from, to, by.unwrap_or(1)))
    }

    fn integer(&mut self) -> Option<i64> {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(text.len());
        let number = text[..end].parse().ok()?;
        self.rest = &text[end..];
        Some(number)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ]
        .into_iter()
        .find_map(|(token, comparison)| self.takes(token).then_some(comparison))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        if let Some(text) = self.quoted()? {
            return Ok(Operand::Value(Value::String(text)));
        }
        self.rest = self.rest.trim_start();
        if self.rest.starts_with(['@', '$', '.']) {
            return self.path().map(Operand::Path);
        }
        let end = self.rest.find([')', ' ', '=', '!', '<', '>']).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        serde_json::from_str(word).map(Operand::Value).map_err(|_| format!("{word:?} is not a value; quote a text"))
    }
}
