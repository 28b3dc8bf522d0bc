//! What an expression costs at most, told from the declared bounds of its variables. Source: cel-go `checker/cost.go`.

use std::sync::Arc;

use super::cost::{MAKE_LIST, MAKE_MAP, MAKE_MESSAGE, PER_CHARACTER, SELECT, Sizes, Span};
use super::program::Environment;
use super::shape::{Form, Shape};
use super::syntax::{Access, FoldKind, Literal};
use super::tree::{Invocation, Loop, Node, Op, Overhead};
use super::types::Type;

/// The cost of an expression, from the least to the most.
pub(super) fn estimate(node: &Node, environment: &Environment) -> Span {
    Estimator { environment, locals: Vec::new() }.node(node).cost
}

/// What is known of a place before there are values.
#[derive(Clone, Debug)]
struct Guess {
    cost: Span,
    size: Span,
    /// The declared form, if it is data.
    shape: Option<Arc<Shape>>,
    /// The size of each item, if it is a list that was made.
    item: Span,
}

impl Guess {
    fn new(cost: Span, size: Span) -> Self {
        Self { cost, size, shape: None, item: Span::UNKNOWN }
    }

    fn of_type(cost: Span, type_: &Type) -> Self {
        Self::new(cost, if type_.is_scalar() { Span::exactly(1) } else { Span::UNKNOWN })
    }

    fn of_shape(cost: Span, shape: Option<&Arc<Shape>>, type_: &Type) -> Self {
        let Some(shape) = shape else { return Self::of_type(cost, type_) };
        let size = match shape.form {
            Form::Bool | Form::Int | Form::Double | Form::Date | Form::DateTime | Form::Duration => Span::exactly(1),
            _ => Span::up_to(shape.size_max),
        };
        Self { shape: Some(Arc::clone(shape)), ..Self::new(cost, size) }
    }

    /// An item of this list, or a value of this map.
    fn element(&self, cost: Span, type_: &Type) -> Self {
        match &self.shape {
            Some(shape) => Self::of_shape(cost, shape.element(), type_),
            None if type_.is_scalar() => Self::of_type(cost, type_),
            None => Self::new(cost, self.item),
        }
    }
}

struct Estimator<'a> {
    environment: &'a Environment,
    locals: Vec<Guess>,
}

impl Estimator<'_> {
    fn node(&mut self, node: &Node) -> Guess {
        let select = Span::exactly(SELECT);
        match &node.op {
            Op::Literal(literal) => Guess::new(Span::ZERO, literal_size(literal)),
            Op::Type(_) => Guess::new(Span::ZERO, Span::exactly(1)),
            Op::Variable(index) => Guess::of_shape(select, self.environment.shape(*index), &node.type_),
            Op::Local(index) => match self.locals.get(*index) {
                Some(known) => Guess { cost: select, ..known.clone() },
                None => Guess::of_type(select, &node.type_),
            },
            Op::Select(operand, field, access) => self.select(operand, field, *access, &node.type_),
            Op::And(both) | Op::Or(both) => {
                let [one, other] = both.each_ref().map(|node| self.node(node).cost);
                Guess::new(Span { min: one.min, max: one.plus(other).max }, Span::exactly(1))
            }
            Op::If(all) => {
                let [condition, yes, no] = all.each_ref().map(|node| self.node(node));
                let cost = condition.cost.plus(yes.cost.or(no.cost));
                Guess { cost, size: yes.size.or(no.size), item: yes.item.or(no.item), shape: None }
            }
            Op::Call(call) => self.call(call, &node.type_),
            Op::List(items) => {
                let guesses: Vec<Guess> = items.iter().map(|(item, _)| self.node(item)).collect();
                let cost = sum(guesses.iter().map(|guess| guess.cost)).plus(Span::exactly(MAKE_LIST));
                let item = guesses.iter().map(|guess| guess.size).reduce(Span::or).unwrap_or(Span::ZERO);
                Guess { item, ..Guess::new(cost, Span::exactly(items.len() as u64)) }
            }
            Op::Map(entries) => {
                let cost = sum(entries.iter().map(|(key, value, _)| self.node(key).cost.plus(self.node(value).cost)));
                Guess::new(cost.plus(Span::exactly(MAKE_MAP)), Span::exactly(entries.len() as u64))
            }
            Op::Message(fields) => {
                let cost = sum(fields.iter().map(|(_, value, _)| self.node(value).cost));
                Guess::new(cost.plus(Span::exactly(MAKE_MESSAGE)), Span::exactly(1))
            }
            Op::Fold(fold) => self.fold(fold),
            Op::Bind(both) | Op::OptMap(both, _) => {
                let [value, body] = &**both;
                let value = self.node(value);
                let cost = value.cost.plus(Span::exactly(MAKE_LIST));
                let body = self.within(&[value], body);
                Guess { cost: cost.plus(body.cost), ..body }
            }
        }
    }

    fn within(&mut self, locals: &[Guess], node: &Node) -> Guess {
        let depth = self.locals.len();
        self.locals.extend_from_slice(locals);
        let guess = self.node(node);
        self.locals.truncate(depth);
        guess
    }

    fn select(&mut self, operand: &Node, field: &str, access: Access, type_: &Type) -> Guess {
        let operand_type = &operand.type_;
        let operand = self.node(operand);
        if access == Access::Has {
            return Guess::new(operand.cost, Span::exactly(1));
        }
        let is_charged = !operand_type.is_dyn();
        let cost = operand.cost.plus(Span::exactly(if is_charged { SELECT } else { 0 }));
        match operand.shape.as_ref().and_then(|shape| shape.field(field)) {
            Some(field) => Guess::of_shape(cost, Some(&field.shape), type_),
            None => operand.element(cost, type_),
        }
    }

    fn fold(&mut self, fold: &Loop) -> Guess {
        let range = self.node(&fold.range);
        let (is_map, element_type) = match &fold.range.type_ {
            Type::Map(both) => (true, both.1.clone()),
            Type::List(items) => (false, (**items).clone()),
            _ => (false, Type::Dyn),
        };
        let element = range.element(Span::ZERO, &element_type);
        // Upstream takes the keys of declared maps for empty.
        let key_size = if is_map && range.shape.is_some() { Span::ZERO } else { Span::UNKNOWN };
        let key = if is_map { Guess::new(Span::ZERO, key_size) } else { Guess::new(Span::ZERO, Span::exactly(1)) };
        let locals = match (fold.is_pair, is_map) {
            (true, _) => vec![key, element.clone()],
            (false, true) => vec![key],
            (false, false) => vec![element.clone()],
        };
        let filter = fold.filter.as_ref().map_or(Span::ZERO, |filter| self.within(&locals, filter).cost);
        let body = self.within(&locals, &fold.body);
        let overhead = Overhead::of(fold.kind);
        let taken = body.cost.plus(Span::exactly(overhead.taken));
        let passed = if fold.filter.is_some() { Span::exactly(overhead.passed) } else { taken };
        let round = filter.plus(taken.or(passed)).plus(Span::exactly(overhead.round));
        let cost = range.cost.plus(Span::exactly(overhead.around)).plus(range.size.times(round));
        let size = Span { min: 0, max: range.size.max };
        match fold.kind {
            FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne => Guess::new(cost, Span::exactly(1)),
            FoldKind::Map => Guess { item: body.size, ..Guess::new(cost, size) },
            FoldKind::Filter | FoldKind::SortBy => {
                let shape = if is_map { None } else { range.shape };
                let item = locals.first().map_or(Span::UNKNOWN, |local| local.size);
                Guess { shape, item, ..Guess::new(cost, size) }
            }
            FoldKind::MapValues | FoldKind::MapEntries => Guess { item: body.size, ..Guess::new(cost, size) },
        }
    }

    fn call(&mut self, call: &Invocation, type_: &Type) -> Guess {
        let args: Vec<Guess> = call.args.iter().map(|arg| self.node(arg)).collect();
        let paid = sum(args.iter().map(|arg| arg.cost));
        let (size, item) = result_size(call.function.name, &args);
        let size = size.unwrap_or_else(|| Guess::of_type(paid, type_).size);
        let guessed = Guessed { args: &args, nodes: &call.args, result: size };
        let cost = paid.plus(call.function.cost.of(&guessed));
        match (call.function.name, args.first()) {
            ("_[_]" | "_[?_]", Some(container)) => container.element(cost, type_),
            _ => Guess { item, ..Guess::new(cost, size) },
        }
    }
}

fn sum(costs: impl Iterator<Item = Span>) -> Span {
    costs.fold(Span::ZERO, Span::plus)
}

fn literal_size(literal: &Literal) -> Span {
    match literal {
        Literal::String(text) => Span::exactly(text.chars().count() as u64),
        Literal::Bytes(bytes) => Span::exactly(bytes.len() as u64),
        _ => Span::exactly(1),
    }
}

/// The sizes of what a function makes, and of its items, if the arguments tell.
fn result_size(function: &str, args: &[Guess]) -> (Option<Span>, Span) {
    let size = |index: usize| args.get(index).map_or(Span::ZERO, |arg| arg.size);
    let item = |index: usize| args.get(index).map_or(Span::UNKNOWN, |arg| arg.element(Span::ZERO, &Type::Dyn).size);
    let first = size(0);
    match function {
        "_+_" => (Some(first.plus(size(1))), item(0).or(item(1))),
        "lowerAscii" | "upperAscii" | "trim" | "dyn" | "string" | "bytes" => (Some(first), Span::UNKNOWN),
        "substring" | "find" => (Some(Span::up_to(first.max)), Span::UNKNOWN),
        "charAt" => (Some(Span::exactly(1)), Span::UNKNOWN),
        "split" | "findAll" => (Some(Span::up_to(first.max)), Span::up_to(first.max)),
        "sort" | "reverse" => (Some(first), item(0)),
        "slice" | "distinct" => (Some(Span::up_to(first.max)), item(0)),
        "replace" => {
            let (old, new) = (size(1), size(2));
            let places = if old.min == 0 { first.max.saturating_add(1) } else { first.max.div_ceil(old.min) };
            let grown = if old.min == 0 { first.max } else { 0 };
            let max = if new.max <= old.min { first.max } else { places.saturating_mul(new.max).saturating_add(grown) };
            (Some(Span::up_to(max)), Span::UNKNOWN)
        }
        "join" => {
            let separators = Span { min: first.min.saturating_sub(1), max: first.max.saturating_sub(1) };
            let separator = if args.len() > 1 { size(1) } else { Span::ZERO };
            (Some(first.times(item(0)).plus(separator.times(separators))), Span::UNKNOWN)
        }
        _ => (None, Span::UNKNOWN),
    }
}

/// Sizes of values that are only guessed.
struct Guessed<'a> {
    args: &'a [Guess],
    nodes: &'a [Node],
    result: Span,
}

impl Guessed<'_> {
    fn is(&self, arg: usize, what: fn(&Type) -> bool) -> bool {
        self.nodes.get(arg).is_some_and(|node| what(&node.type_))
    }
}

impl Sizes for Guessed<'_> {
    fn size(&self, arg: usize) -> Span {
        let scalar = self.is(arg, Type::is_scalar).then_some(Span::exactly(1));
        scalar.unwrap_or_else(|| self.args.get(arg).map_or(Span::UNKNOWN, |arg| arg.size))
    }

    fn walk(&self, arg: usize) -> Span {
        let Some(guess) = self.args.get(arg) else { return Span::UNKNOWN };
        let each = match self.nodes.get(arg).map(|node| &node.type_) {
            Some(Type::List(items)) if matches!(**items, Type::String | Type::Bytes) => {
                guess.element(Span::ZERO, items).size.part(PER_CHARACTER)
            }
            _ => Span::ZERO,
        };
        guess.size.times(Span::exactly(1).plus(each))
    }

    fn is_text(&self, arg: usize) -> bool {
        self.is(arg, |type_| matches!(type_, Type::String | Type::Bytes))
    }

    fn is_list(&self, arg: usize) -> bool {
        self.is(arg, |type_| matches!(type_, Type::List(_) | Type::Dyn))
    }

    fn result(&self) -> Span {
        self.result
    }
}
