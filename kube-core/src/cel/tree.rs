//! Checked expressions: names are resolved, types known.

use regex::Regex;

use super::Type;
use super::library::Function;
use super::syntax::{Access, FoldKind, Literal};

/// One place of a checked expression.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) type_: Type,
    pub(super) op: Op,
}

#[derive(Debug)]
pub(super) enum Op {
    Literal(Literal),
    /// The name of a type.
    Type(&'static str),
    /// A declared variable, by its index.
    Variable(usize),
    /// A variable of a comprehension, by its place on the stack.
    Local(usize),
    Select(Box<Node>, String, Access),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    Call(Box<Invocation>),
    List(Vec<(Node, bool)>),
    Map(Vec<(Node, Node, bool)>),
    Message(Vec<(String, Node, bool)>),
    Fold(Box<Loop>),
    Bind(Box<[Node; 2]>),
    /// `is_flat` if the body makes an optional by itself.
    OptMap(Box<[Node; 2]>, bool),
}

/// A call of a function.
pub(super) struct Invocation {
    pub(super) function: &'static Function,
    pub(super) args: Vec<Node>,
    /// A pattern that the expression names literally.
    pub(super) pattern: Option<Regex>,
}

impl std::fmt::Debug for Invocation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}{:?}", self.function.name, self.args)
    }
}

/// A comprehension.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) kind: FoldKind,
    pub(super) range: Node,
    /// Whether it has two variables.
    pub(super) is_pair: bool,
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

/// What one round of a comprehension costs beyond filter and body, as upstream's expansion into a loop has it.
pub(super) struct Overhead {
    /// Before the first round and after the last.
    pub(super) around: u64,
    /// Each round.
    pub(super) round: u64,
    /// Each round that takes the item.
    pub(super) taken: u64,
    /// Each round that does not.
    pub(super) passed: u64,
}

impl Overhead {
    pub(super) const fn of(kind: FoldKind) -> Self {
        match kind {
            FoldKind::All => Self { around: 1, round: 3, taken: 0, passed: 0 },
            FoldKind::Exists => Self { around: 1, round: 4, taken: 0, passed: 0 },
            FoldKind::ExistsOne => Self { around: 2, round: 0, taken: 2, passed: 1 },
            FoldKind::Map => Self { around: 11, round: 0, taken: 12, passed: 1 },
            FoldKind::Filter => Self { around: 11, round: 0, taken: 13, passed: 1 },
            FoldKind::MapValues | FoldKind::MapEntries => Self { around: 31, round: 0, taken: 3, passed: 1 },
            FoldKind::SortBy => Self { around: 12, round: 0, taken: 12, passed: 1 },
        }
    }
}
