//! The label selector.

use crate::field::{Errors, Json, Path, format};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use std::collections::BTreeMap;
use std::fmt;

/// An object's labels.
pub type Labels = BTreeMap<String, String>;

/// What a requirement asks of one label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `key in (a,b)`: present, with one of the values.
    In,
    /// `key notin (a,b)`: absent, or with another value.
    NotIn,
    /// `key=a`: present with this value.
    Equals,
    /// `key==a`: the same; kept apart only to print as written.
    DoubleEquals,
    /// `key!=a`: absent, or with another value.
    NotEquals,
    /// `key`: present.
    Exists,
    /// `!key`: absent.
    DoesNotExist,
    /// `key>1`: present, an integer, and larger.
    GreaterThan,
    /// `key<1`: present, an integer, and smaller.
    LessThan,
}

/// Why a selector is none, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// The text does not follow the syntax.
    #[error("{0}")]
    Syntax(String),
    /// The text follows the syntax up to a requirement that is wrong.
    #[error("unable to parse requirement: {0}")]
    Requirement(Box<SelectorError>),
    /// A key, operator or value is wrong.
    #[error("{0}")]
    Field(Errors),
    /// The operator of a match expression is unknown.
    #[error("{0:?} is not a valid label selector operator")]
    Operator(String),
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted, each once.
    values: Vec<String>,
}

impl Requirement {
    /// A checked requirement: key and values must be a label's, and as many values as the operator takes.
    pub fn new(key: &str, operator: Operator, values: Vec<String>) -> Result<Self, SelectorError> {
        let mut errors = Errors::new();
        errors.invalid_joined(&Path::new("key"), key, format::label_key(key));
        check_values(key, operator, &values, &mut errors);
        if !errors.is_empty() {
            return Err(SelectorError::Field(errors));
        }
        let mut values = values;
        values.sort_unstable();
        values.dedup();
        Ok(Requirement { key: key.to_owned(), operator, values })
    }

    /// The label's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is asked of the label.
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// The values it is compared with, sorted, each once.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether an object with these labels is meant.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.key).map(String::as_str))
    }

    /// Whether an object is meant whose label has this value, or that has no such label.
    pub fn matches_value(&self, value: Option<&str>) -> bool {
        let listed = |value| self.values.iter().any(|listed| listed == value);
        let compare = |holds: fn(i64, i64) -> bool| {
            let bound = self.values.first().and_then(|bound| bound.parse().ok());
            value.and_then(|value| value.parse().ok()).zip(bound).is_some_and(|(value, bound)| holds(value, bound))
        };
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(listed),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(listed),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan => compare(|value, bound| value > bound),
            Operator::LessThan => compare(|value, bound| value < bound),
        }
    }
}

fn check_values(key: &str, operator: Operator, values: &[String], errors: &mut Errors) {
    use Operator::*;
    let path = Path::new("values");
    let (as_many_as_it_takes, detail) = match operator {
        In | NotIn => (!values.is_empty(), "for 'in', 'notin' operators, values set can't be empty"),
        Equals | DoubleEquals | NotEquals => (values.len() == 1, "exact-match compatibility requires one single value"),
        Exists | DoesNotExist => (values.is_empty(), "values set must be empty for exists and does not exist"),
        GreaterThan | LessThan => (values.len() == 1, "for 'Gt', 'Lt' operators, exactly one value is required"),
    };
    if !as_many_as_it_takes {
        errors.invalid(&path, Json(values), detail);
    }
    for (index, value) in values.iter().enumerate() {
        if matches!(operator, GreaterThan | LessThan) && value.parse::<i64>().is_err() {
            errors.invalid(&path.index(index), value, "for 'Gt', 'Lt' operators, the value must be an integer");
        }
    }
    for (index, value) in values.iter().enumerate() {
        errors.invalid_joined(&path.index(index).key(key), value, format::label_value(value));
    }
}

/// Which objects are meant, by their labels: those that meet every requirement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Sorted by key; `None` means nothing.
    requirements: Option<Vec<Requirement>>,
}

impl Selector {
    /// Every object.
    pub const fn everything() -> Self {
        Selector { requirements: Some(Vec::new()) }
    }

    /// No object.
    pub const fn nothing() -> Self {
        Selector { requirements: None }
    }

    /// The objects that meet all of `requirements`.
    pub fn new(mut requirements: Vec<Requirement>) -> Self {
        requirements.sort_by(|left, right| left.key.cmp(&right.key));
        Selector { requirements: Some(requirements) }
    }

    /// Reads the wire's syntax; the empty text means everything.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        super::parse::parse(text).map(Selector::new)
    }

    /// From an API object's selector: absent means nothing, empty means everything.
    pub fn from_label_selector(selector: Option<&LabelSelector>) -> Result<Self, SelectorError> {
        let Some(selector) = selector else { return Ok(Selector::nothing()) };
        let labels = selector.match_labels.iter().flatten();
        let equal = labels.map(|(key, value)| Requirement::new(key, Operator::Equals, vec![value.clone()]));
        let expressions = selector.match_expressions.iter().flatten().map(from_expression);
        Ok(Selector::new(equal.chain(expressions).collect::<Result<_, _>>()?))
    }

    /// From a plain map of labels, as Services and ReplicationControllers hold it; unchecked. Empty means everything.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let equal = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.clone()],
        };
        Selector::new(labels.into_iter().map(equal).collect())
    }

    /// Whether an object with these labels is meant.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.requirements.as_ref().is_some_and(|all| all.iter().all(|requirement| requirement.matches(labels)))
    }

    /// As [`Selector::matches`], for labels in the optional form of `ObjectMeta`.
    pub fn matches_optional(&self, labels: Option<&Labels>) -> bool {
        static NONE: Labels = Labels::new();
        self.matches(labels.unwrap_or(&NONE))
    }

    /// Whether it means every object.
    pub fn is_everything(&self) -> bool {
        self.requirements.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether it means no object, whatever its labels.
    pub fn is_nothing(&self) -> bool {
        self.requirements.is_none()
    }

    /// The requirements, sorted by key. None for [`Selector::nothing`] too.
    pub fn requirements(&self) -> &[Requirement] {
        self.requirements.as_deref().unwrap_or_default()
    }

    /// The value that label `key` must have, if exactly one can match.
    pub fn require(&self, key: &str) -> Option<&str> {
        self.requirements().iter().find_map(|requirement| match (requirement.operator, requirement.values.as_slice()) {
            (Operator::Equals | Operator::DoubleEquals | Operator::In, [only]) if requirement.key == key => {
                Some(only.as_str())
            }
            _ => None,
        })
    }
}

/// Whether an API object's selector, taken to be valid, selects these labels; for one look, without building a [`Selector`].
pub fn label_selector_matches(selector: &LabelSelector, labels: Option<&Labels>) -> bool {
    let value = |key: &str| labels.and_then(|labels| labels.get(key));
    let equal = selector.match_labels.iter().flatten().all(|(key, wanted)| value(key) == Some(wanted));
    equal
        && selector.match_expressions.iter().flatten().all(|expression| {
            let listed = |value| expression.values.iter().flatten().any(|listed| listed == value);
            match expression.operator.as_str() {
                "In" => value(&expression.key).is_some_and(listed),
                "NotIn" => !value(&expression.key).is_some_and(listed),
                "Exists" => value(&expression.key).is_some(),
                "DoesNotExist" => value(&expression.key).is_none(),
                _ => false,
            }
        })
}

fn from_expression(expression: &LabelSelectorRequirement) -> Result<Requirement, SelectorError> {
    let operator = match expression.operator.as_str() {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        unknown => return Err(SelectorError::Operator(unknown.to_owned())),
    };
    Requirement::new(&expression.key, operator, expression.values.clone().unwrap_or_default())
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;
    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Selector::parse(text)
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In => write!(out, "{key} in ({values})"),
            Operator::NotIn => write!(out, "{key} notin ({values})"),
            Operator::Equals => write!(out, "{key}={values}"),
            Operator::DoubleEquals => write!(out, "{key}=={values}"),
            Operator::NotEquals => write!(out, "{key}!={values}"),
            Operator::Exists => out.write_str(key),
            Operator::DoesNotExist => write!(out, "!{key}"),
            Operator::GreaterThan => write!(out, "{key}>{values}"),
            Operator::LessThan => write!(out, "{key}<{values}"),
        }
    }
}

/// The canonical text: requirements by key, values sorted. Empty for everything and for nothing.
impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements().iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(out, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn labels(text: &str) -> Labels {
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap()).map(|(key, value)| (key.into(), value.into())).collect()
    }

    fn check(selector: &str, yes: &[&str], no: &[&str]) {
        let selector = Selector::parse(selector).unwrap();
        for text in yes {
            assert!(selector.matches(&labels(text)), "{selector} should match {text}");
        }
        for text in no {
            assert!(!selector.matches(&labels(text)), "{selector} should not match {text}");
        }
    }

    #[test]
    fn matches_labels() {
        check("", &["", "a=b"], &[]);
        check("a=b", &["a=b", "a=b,c=d"], &["", "a=c"]);
        check("a==b,c!=d", &["a=b", "a=b,c=e"], &["a=b,c=d"]);
        check("e in (x, y)", &["e=x", "e=y"], &["", "e=z"]);
        check("g notin (x,y)", &["", "g=z"], &["g=x"]);
        check("a,!f", &["a="], &["", "a=1,f=1"]);
        check("x>1,x<10", &["x=2"], &["x=1", "x=10", "x=b", ""]);
        check("a=", &["a="], &["a=b"]);
        check("a in ()", &["a="], &["a=b"]);
    }

    #[test]
    fn nothing_and_absent() {
        assert!(!Selector::nothing().matches(&labels("")));
        assert!(Selector::from_label_selector(None).unwrap().is_nothing());
        assert!(Selector::from_label_selector(Some(&LabelSelector::default())).unwrap().is_everything());
    }

    #[test]
    fn prints_canonically() {
        for (text, printed) in [
            ("c!=d , a=b", "a=b,c!=d"),
            ("e in (y,x,y)", "e in (x,y)"),
            ("g notin ( x )", "g notin (x)"),
            ("!f,z", "!f,z"),
            ("a==1", "a==1"),
            ("in in (in,notin)", "in in (in,notin)"),
            ("x in (foo,,baz)", "x in (,baz,foo)"),
        ] {
            assert_eq!(Selector::parse(text).unwrap().to_string(), printed);
        }
    }

    fn check_error(text: &str, expected: Expect) {
        expected.assert_eq(&Selector::parse(text).unwrap_err().to_string());
    }

    #[test]
    fn errors_are_upstreams() {
        check_error("a b", expect!["unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"]);
        check_error("=a", expect!["found '=', expected: !, identifier, or 'end of string'"]);
        check_error("a=b,", expect!["found '', expected: identifier after ','"]);
        check_error("a=b c", expect!["found 'c', expected: ',' or 'end of string'"]);
        check_error("a in x", expect!["unable to parse requirement: found 'x' expected: '('"]);
        check_error("a in (x", expect!["unable to parse requirement: found '', expected: ',' or ')'"]);
        check_error("!!a", expect!["unable to parse requirement: found '!', expected: identifier"]);
        check_error(
            "x>y",
            expect![[
                r#"unable to parse requirement: values[0]: Invalid value: "y": for 'Gt', 'Lt' operators, the value must be an integer"#
            ]],
        );
        check_error(
            "a/b/c=1",
            expect![[
                r#"unable to parse requirement: <nil>: Invalid value: "a/b/c": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"#
            ]],
        );
        check_error(
            "a=-b",
            expect![[
                r#"unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"#
            ]],
        );
    }

    #[test]
    fn expressions_of_api_objects() {
        let expression = |key: &str, operator: &str, values: &[&str]| LabelSelectorRequirement {
            key: key.into(),
            operator: operator.into(),
            values: Some(values.iter().map(|value| value.to_string()).collect()),
        };
        let selector = LabelSelector {
            match_labels: Some(labels("z=1,a=2")),
            match_expressions: Some(vec![expression("b", "In", &["y", "x"]), expression("c", "Exists", &[])]),
        };
        assert_eq!(Selector::from_label_selector(Some(&selector)).unwrap().to_string(), "a=2,b in (x,y),c,z=1");
        let unknown = LabelSelector { match_expressions: Some(vec![expression("b", "Is", &[])]), ..Default::default() };
        let error = Selector::from_label_selector(Some(&unknown)).unwrap_err();
        assert_eq!(error.to_string(), "\"Is\" is not a valid label selector operator");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(text in "(!?[a-c]{1,3}|[a-c](=|==|!=)[x-z]{0,2}|[a-c] (in|notin) \\([x-z]{1,2},[x-z]?\\)|[a-c][<>][0-9]{1,3})(,[a-c]=x){0,3}") {
            let selector = Selector::parse(&text).unwrap();
            prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
        }

        #[test]
        fn no_text_panics(text in "[a-c,=!() <>innotx/.-]{0,20}") {
            let _ = Selector::parse(&text);
        }
    }
}
