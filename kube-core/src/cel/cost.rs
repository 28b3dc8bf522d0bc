//! Costs: one set of formulas, over sizes that are known (when an expression runs) or only bounded (when it is declared). Source:
//! cel-go `interpreter/runtimecost.go` and `checker/cost.go`, apiserver `pkg/cel/library/cost.go`.

/// From the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Span {
    pub(super) min: u64,
    pub(super) max: u64,
}

impl Span {
    pub(super) const UNKNOWN: Self = Self { min: 0, max: u64::MAX };
    pub(super) const ZERO: Self = Self::exactly(0);

    pub(super) const fn exactly(value: u64) -> Self {
        Self { min: value, max: value }
    }

    pub(super) const fn up_to(max: u64) -> Self {
        Self { min: 0, max }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self { min: self.min.saturating_add(other.min), max: self.max.saturating_add(other.max) }
    }

    pub(super) const fn times(self, other: Self) -> Self {
        Self { min: self.min.saturating_mul(other.min), max: self.max.saturating_mul(other.max) }
    }

    /// Either of both.
    pub(super) fn or(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }

    /// Times a fraction, rounded up.
    pub(super) fn part(self, factor: f64) -> Self {
        let part = |value: u64| if value == u64::MAX { value } else { (value as f64 * factor).ceil() as u64 };
        Self { min: part(self.min), max: part(self.max) }
    }
}

/// What is charged for looking at one character.
pub(super) const PER_CHARACTER: f64 = 0.1;
const PER_PATTERN_CHARACTER: f64 = 0.25;
/// For evaluating a variable or a field.
pub(super) const SELECT: u64 = 1;
/// For making a list, a map, a message.
pub(super) const MAKE_LIST: u64 = 10;
pub(super) const MAKE_MAP: u64 = 30;
pub(super) const MAKE_MESSAGE: u64 = 40;

/// What a call costs beyond its arguments.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cost {
    /// Nothing: logic.
    Free,
    /// So many units.
    Units(u64),
    /// A walk over the text of the first argument, times this.
    Walk(f64),
    /// A walk over the result.
    Result,
    /// A pattern (second argument) on a text (first).
    Pattern,
    /// A search for a text (second argument) in another.
    Search,
    /// The shorter of both.
    Shorter,
    /// `+`
    Add,
    /// `in`
    In,
    /// A walk over all items of the first argument.
    Items,
    /// Each item of the first argument against each of the second.
    Pairs,
    /// As sorting: each item against each other.
    Sort,
    /// Whether a range of addresses has another, with parsing the second argument if it is text.
    Network,
}

/// What formulas ask about a call.
pub(super) trait Sizes {
    /// The size of an argument.
    fn size(&self, arg: usize) -> Span;
    /// What a walk over the whole tree of an argument costs.
    fn walk(&self, arg: usize) -> Span;
    /// Whether an argument is text or bytes.
    fn is_text(&self, arg: usize) -> bool;
    /// Whether an argument is a list.
    fn is_list(&self, arg: usize) -> bool;
    /// The size of the result.
    fn result(&self) -> Span;
}

impl Cost {
    /// The cost of one call.
    pub(super) fn of(self, call: &dyn Sizes) -> Span {
        let one = Span::exactly(1);
        match self {
            Self::Free => Span::ZERO,
            Self::Units(units) => Span::exactly(units),
            Self::Walk(times) => call.size(0).part(PER_CHARACTER * times),
            Self::Result => call.result().part(PER_CHARACTER * 2.0),
            Self::Pattern => {
                let text = call.size(0).plus(one).part(PER_CHARACTER);
                text.times(call.size(1).part(PER_PATTERN_CHARACTER))
            }
            Self::Search => call.size(0).part(PER_CHARACTER).times(call.size(1).part(PER_CHARACTER)),
            Self::Shorter => {
                let (one, other) = (call.size(0), call.size(1));
                let max = one.max.min(other.max);
                Span { min: one.min.min(other.min).min(max), max }.part(PER_CHARACTER)
            }
            Self::Add if call.is_text(0) => call.size(0).plus(call.size(1)).part(PER_CHARACTER),
            Self::Add => one,
            Self::In if call.is_list(1) => call.size(1),
            Self::In => one,
            Self::Items if call.is_text(0) => call.size(0).part(PER_CHARACTER),
            Self::Items => call.walk(0),
            Self::Pairs => one.plus(call.size(0).times(call.size(1))),
            Self::Sort => one.plus(call.size(0).times(call.size(0))),
            Self::Network => {
                let bits = Span { min: 4, max: 16 };
                let parse = if call.is_text(1) { call.size(1).part(PER_CHARACTER) } else { Span::ZERO };
                bits.plus(bits).part(PER_CHARACTER).plus(one).plus(parse)
            }
        }
    }
}
