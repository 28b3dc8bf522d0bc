//! The JSONPath that columns of custom resources are written in: `.spec.size`, `.status.conditions[?(@.type=="Ready")].status`.
//!
//! Understood: fields (`.a`, `['a']`, `\.` for a dot in a name), indexes (`[0]`, `[-1]`), `[*]` and `.*`, and filters that
//! compare with a literal (`==`, `!=`) or ask for presence. Everything else is refused. Source: client-go `util/jsonpath`.

use serde_json::Value;

/// A path through a JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter { path: Path, test: Test },
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Present,
    Equal(Value),
    Different(Value),
}

impl Path {
    /// Reads a path; `None` if it is not of the understood form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text.trim();
        while let Some(first) = rest.chars().next() {
            let (step, after) = match first {
                '[' => bracket(rest)?,
                '.' => field(rest.strip_prefix('.')?)?,
                _ => return None,
            };
            steps.push(step);
            rest = after;
        }
        Some(Self(steps))
    }

    /// The first value the path leads to.
    pub(super) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.all(value).into_iter().next()
    }

    fn all<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        self.0.iter().fold(vec![value], |found, step| found.into_iter().flat_map(|value| step.follow(value)).collect())
    }
}

impl Step {
    fn follow<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Field(name), Value::Object(members)) => members.get(name).into_iter().collect(),
            (Self::All, Value::Object(members)) => members.values().collect(),
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::Index(index), Value::Array(items)) => {
                let from_end = if *index < 0 { items.len() as i64 } else { 0 };
                usize::try_from(index + from_end).ok().and_then(|index| items.get(index)).into_iter().collect()
            }
            (Self::Filter { path, test }, Value::Array(items)) => {
                items.iter().filter(|item| test.holds(path.first(item))).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Present, value) => value.is_some(),
            (Self::Equal(wanted), Some(value)) => wanted == value,
            (Self::Different(unwanted), Some(value)) => unwanted != value,
            (_, None) => false,
        }
    }
}

/// A name after a dot, up to the next dot or bracket.
fn field(text: &str) -> Option<(Step, &str)> {
    let mut name = String::new();
    let mut letters = text.char_indices();
    let mut end = text.len();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => name.push(letters.next()?.1),
            '.' | '[' => {
                end = at;
                break;
            }
            _ => name.push(letter),
        }
    }
    let step = match name.as_str() {
        // `..` looks at every depth, which no column needs.
        "" => return None,
        "*" => Step::All,
        _ => Step::Field(name),
    };
    Some((step, text.get(end..)?))
}

/// What stands between brackets.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let end = closing(text)?;
    let (inside, after) = (text.get(1..end)?.trim(), text.get(end + 1..)?);
    let quoted = |quote| inside.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    let step = if let Some(name) = quoted('\'').or_else(|| quoted('"')) {
        Step::Field(name.to_owned())
    } else if let Some(condition) = inside.strip_prefix("?(").and_then(|rest| rest.strip_suffix(')')) {
        filter(condition)?
    } else if inside == "*" {
        Step::All
    } else {
        Step::Index(inside.parse().ok()?)
    };
    Some((step, after))
}

/// Where the bracket that opens `text` closes; brackets and quotes inside are skipped.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '[') => depth += 1,
            (None, ']') if depth == 1 => return Some(at),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn filter(condition: &str) -> Option<Step> {
    let (left, test) = if let Some((left, right)) = condition.split_once("==") {
        (left, Test::Equal(literal(right)?))
    } else if let Some((left, right)) = condition.split_once("!=") {
        (left, Test::Different(literal(right)?))
    } else {
        (condition, Test::Present)
    };
    Some(Step::Filter { path: Path::parse(left.trim().strip_prefix('@')?)?, test })
}

fn literal(text: &str) -> Option<Value> {
    let text = text.trim();
    match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(single_quoted) => Some(Value::from(single_quoted)),
        None => serde_json::from_str(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(path: &str, expected: Option<&str>) {
        let value = json!({
            "metadata": {"labels": {"app.kubernetes.io/name": "web"}},
            "spec": {"size": 3, "hosts": ["a", "b"]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Bad", "status": "False", "why": {}}]},
        });
        let found = Path::parse(path).and_then(|path| path.first(&value).map(Value::to_string));
        assert_eq!(found.as_deref(), expected, "{path}");
    }

    #[test]
    fn paths() {
        check(".spec.size", Some("3"));
        check(".spec.hosts[1]", Some("\"b\""));
        check(".spec.hosts[-1]", Some("\"b\""));
        check(".spec.hosts[*]", Some("\"a\""));
        check(".spec.hosts[2]", None);
        check("['spec'].size", Some("3"));
        check(r".metadata.labels.app\.kubernetes\.io/name", Some("\"web\""));
        check(".metadata.labels['app.kubernetes.io/name']", Some("\"web\""));
        check(r#".status.conditions[?(@.type=="Ready")].status"#, Some("\"True\""));
        check(".status.conditions[?(@.type != 'Ready')].status", Some("\"False\""));
        check(".status.conditions[?(@.why)].type", Some("\"Bad\""));
        check(".status.conditions[?(@.type==\"None\")].status", None);
        check(".nothing.here", None);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for path in ["spec", "..size", ".spec[", ".spec[?(type)]", ".spec[1:2]", "."] {
            assert_eq!(Path::parse(path), None, "{path}");
        }
    }
}
