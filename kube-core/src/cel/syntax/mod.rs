//! From text to tree: tokens, grammar, macros.
//!
//! The parser is our own: the crates that exist recurse so deep that ninety nested parentheses overflow a thread's stack, which
//! ends the process. Here every tree is at most [`HEIGHT_MAX`] high, so that whoever walks it later may recurse too.
//!
//! Source: the CEL specification's grammar; messages are those that cel-go (by way of ANTLR) gives.

mod lexer;
mod literal;
mod macros;
mod parser;

pub use parser::is_keyword;
pub(super) use parser::parse;

use std::sync::Arc;

/// How high a tree may be. Upstream stops at 250 steps of one grammar rule.
pub(super) const HEIGHT_MAX: usize = 150;
/// How many code points an expression may have. Source: cel-go's default.
const CODE_POINTS_MAX: usize = 100_000;

/// One place of an expression.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    /// Where the token stands that makes it what it is, in bytes.
    pub(super) at: usize,
    pub(super) kind: Kind,
    /// How high the tree below is.
    height: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Literal(Literal),
    Ident(String),
    Select {
        operand: Box<Expr>,
        field: String,
        access: Access,
    },
    Call {
        function: String,
        target: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    /// Items, and whether each is left out if its optional is empty.
    List(Vec<(Expr, bool)>),
    Map(Vec<(Expr, Expr, bool)>),
    /// A message; its name. Kubernetes' expressions know none but those of mutations.
    Message(String, Vec<(String, Expr, bool)>),
    Fold(Box<Fold>),
    /// `cel.bind(name, value, body)`.
    Bind {
        name: String,
        value: Box<Expr>,
        body: Box<Expr>,
    },
    /// `target.optMap(name, body)`; `is_flat` for `optFlatMap`.
    OptMap {
        target: Box<Expr>,
        name: String,
        body: Box<Expr>,
        is_flat: bool,
    },
}

/// How a field is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Access {
    /// `a.b`
    Must,
    /// `has(a.b)`
    Has,
    /// `a.?b`
    Optional,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
}

/// A comprehension: something done for each item of a list or each entry of a map.
#[derive(Clone, Debug)]
pub(super) struct Fold {
    pub(super) kind: FoldKind,
    pub(super) range: Expr,
    /// The item (of a map: the key); with two names the index (the key) and the item (the value).
    pub(super) names: Vec<String>,
    pub(super) filter: Option<Expr>,
    pub(super) body: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    /// `map`, `transformList`
    Map,
    Filter,
    /// `transformMap`
    MapValues,
    /// `transformMapEntry`
    MapEntries,
    /// `sortBy`
    SortBy,
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mistake {
    /// In bytes; `None` for what is said of the whole text.
    pub(super) at: Option<usize>,
    pub(super) message: String,
}

impl Mistake {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at: Some(at), message: message.into() }
    }
}

impl Kind {
    /// The places directly below.
    fn children(&self) -> Vec<&Expr> {
        match self {
            Self::Literal(_) | Self::Ident(_) => Vec::new(),
            Self::Select { operand, .. } => vec![operand],
            Self::Call { target, args, .. } => target.as_deref().into_iter().chain(args).collect(),
            Self::List(items) => items.iter().map(|(item, _)| item).collect(),
            Self::Map(entries) => entries.iter().flat_map(|(key, value, _)| [key, value]).collect(),
            Self::Message(_, fields) => fields.iter().map(|(_, value, _)| value).collect(),
            Self::Fold(fold) => [&fold.range, &fold.body].into_iter().chain(&fold.filter).collect(),
            Self::Bind { value, body, .. } => vec![value, body],
            Self::OptMap { target, body, .. } => vec![target, body],
        }
    }
}

impl Expr {
    fn new(at: usize, kind: Kind) -> Result<Self, Mistake> {
        let below = kind.children().into_iter().map(|child| child.height).max();
        let height = below.map_or(1, |below| below + 1);
        if height > HEIGHT_MAX {
            return Err(too_high());
        }
        Ok(Self { at, kind, height })
    }
}

fn too_high() -> Mistake {
    Mistake { at: None, message: format!("expression recursion limit exceeded: {HEIGHT_MAX}") }
}

/// Mistakes as upstream prints them: place, message, the line, and a finger at the column.
pub(super) fn show(source: &str, mistakes: &[Mistake]) -> String {
    let shown: Vec<String> = mistakes.iter().map(|mistake| show_one(source, mistake)).collect();
    shown.join("\n")
}

fn show_one(source: &str, mistake: &Mistake) -> String {
    let Some(at) = mistake.at else { return format!("ERROR: <input>:-1:0: {}", mistake.message) };
    let before = source.get(..at.min(source.len())).unwrap_or("");
    let line = before.matches('\n').count();
    let column = before.rsplit('\n').next().unwrap_or("").chars().count();
    let text = source.split('\n').nth(line).unwrap_or("");
    let (message, dots) = (&mistake.message, ".".repeat(column));
    format!("ERROR: <input>:{}:{}: {message}\n | {text}\n | {dots}^", line + 1, column + 1)
}
