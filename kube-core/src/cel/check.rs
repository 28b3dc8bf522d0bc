//! Resolves names and checks types. Source: cel-go `checker`.

use std::collections::{BTreeMap, BTreeSet};

use super::library::find;
use super::library::{self, Overload};
use super::program::Environment;
use super::syntax::{Access, Expr, Fold, FoldKind, Kind, Literal, Mistake};
use super::tree::{Invocation, Loop, Node, Op};
use super::types::{Bindings, Type};
use super::{Form, Shape};

/// A checked expression, the variables it uses, and everything that is wrong with it.
pub(super) struct Checked {
    pub(super) node: Node,
    pub(super) used: BTreeSet<usize>,
    pub(super) mistakes: Vec<Mistake>,
}

/// Checks an expression against what is declared.
pub(super) fn check(expr: &Expr, environment: &Environment) -> Checked {
    let mut checker =
        Checker { environment, locals: Vec::new(), used: BTreeSet::new(), mistakes: Vec::new(), mixing: 0 };
    let node = checker.node(expr);
    checker.mistakes.sort_by_key(|mistake| mistake.at);
    Checked { node, used: checker.used, mistakes: checker.mistakes }
}

struct Checker<'a> {
    environment: &'a Environment,
    locals: Vec<(&'a str, Type)>,
    used: BTreeSet<usize>,
    mistakes: Vec<Mistake>,
    /// How many calls stand around whose lists may mix types.
    mixing: usize,
}

/// Types that expressions can name.
const TYPE_NAMES: [(&str, Type); 14] = [
    ("bool", Type::Bool),
    ("int", Type::Int),
    ("uint", Type::Uint),
    ("double", Type::Double),
    ("string", Type::String),
    ("bytes", Type::Bytes),
    ("list", Type::Dyn),
    ("map", Type::Dyn),
    ("null_type", Type::Null),
    ("type", Type::Dyn),
    ("optional_type", Type::Dyn),
    ("google.protobuf.Timestamp", Type::Timestamp),
    ("google.protobuf.Duration", Type::Duration),
    ("kubernetes.Quantity", Type::Opaque("kubernetes.Quantity")),
];
const OTHER_TYPE_NAMES: [&str; 5] =
    ["net.IP", "net.CIDR", "kubernetes.URL", "kubernetes.Semver", "kubernetes.NamedFormat"];

fn type_named(name: &str) -> Option<(&'static str, Type)> {
    let other = || OTHER_TYPE_NAMES.into_iter().find(|known| *known == name).map(|known| (known, Type::Opaque(known)));
    TYPE_NAMES.into_iter().find(|(known, _)| *known == name).or_else(other)
}

/// `a.b.c` as text, if it is nothing but names.
fn qualified(expr: &Expr) -> Option<String> {
    match &expr.kind {
        Kind::Ident(name) => Some(name.clone()),
        Kind::Select { operand, field, access: Access::Must } => Some(format!("{}.{field}", qualified(operand)?)),
        _ => None,
    }
}

impl<'a> Checker<'a> {
    fn mistake(&mut self, at: usize, message: impl Into<String>) -> Node {
        self.mistakes.push(Mistake::new(at, message));
        Node { type_: Type::Dyn, op: Op::Literal(Literal::Null) }
    }

    fn node(&mut self, expr: &'a Expr) -> Node {
        match &expr.kind {
            Kind::Literal(literal) => Node { type_: literal_type(literal), op: Op::Literal(literal.clone()) },
            Kind::Ident(name) => self.ident(expr.at, name),
            Kind::Select { operand, field, access } => self.select(expr, operand, field, *access),
            Kind::Call { function, target, args } => self.call(expr, function, target.as_deref(), args),
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Message(name, fields) => self.message(expr.at, name, fields),
            Kind::Fold(fold) => self.fold(expr.at, fold),
            Kind::Bind { name, value, body } => {
                let value = self.node(value);
                let body = self.within(&[(name, value.type_.clone())], body);
                Node { type_: body.type_.clone(), op: Op::Bind(Box::new([value, body])) }
            }
            Kind::OptMap { target, name, body, is_flat } => self.opt_map(expr.at, target, name, body, *is_flat),
        }
    }

    /// Checks an expression in which more names are known.
    fn within(&mut self, names: &[(&'a str, Type)], body: &'a Expr) -> Node {
        self.locals.extend_from_slice(names);
        let body = self.node(body);
        self.locals.truncate(self.locals.len() - names.len());
        body
    }

    fn find_name(&mut self, name: &str) -> Option<Node> {
        let local = self.locals.iter().rposition(|(local, _)| *local == name);
        if let Some((index, (_, type_))) = local.and_then(|index| Some((index, self.locals.get(index)?))) {
            return Some(Node { type_: type_.clone(), op: Op::Local(index) });
        }
        let name = name.trim_start_matches('.');
        if let Some((index, type_)) = self.environment.find(name) {
            self.used.insert(index);
            return Some(Node { type_, op: Op::Variable(index) });
        }
        let (name, type_) = type_named(name)?;
        Some(Node { type_: Type::Type(type_.into()), op: Op::Type(name) })
    }

    fn ident(&mut self, at: usize, name: &str) -> Node {
        match self.find_name(name) {
            Some(node) => node,
            None => self.mistake(at, format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    fn select(&mut self, expr: &'a Expr, operand: &'a Expr, field: &str, access: Access) -> Node {
        // A type may have dots in its name.
        if access == Access::Must
            && let Some(name) = qualified(expr)
            && let Some((name, type_)) = type_named(&name)
        {
            return Node { type_: Type::Type(type_.into()), op: Op::Type(name) };
        }
        // So may a variable.
        if access == Access::Must
            && let Some(name) = qualified(expr).filter(|name| self.environment.find(name).is_some())
            && let Some(node) = self.find_name(&name)
        {
            return node;
        }
        let operand = self.node(operand);
        let (inner, is_optional) = match &operand.type_ {
            Type::Optional(inner) => ((**inner).clone(), true),
            other => (other.clone(), false),
        };
        let type_ = match &inner {
            Type::Dyn => Type::Dyn,
            Type::Map(both) => both.1.clone(),
            Type::Object(shape) => match shape.field(field) {
                Some(field) => field.shape.type_of(),
                // What a message has is what it was made of.
                None if self.environment.has_message(shape.name()) => Type::Dyn,
                None => return self.mistake(expr.at, format!("undefined field '{field}'")),
            },
            other => return self.mistake(expr.at, format!("type '{other}' does not support field selection")),
        };
        let type_ = match access {
            Access::Has => Type::Bool,
            Access::Must if !is_optional => type_,
            _ if matches!(type_, Type::Optional(_)) => type_,
            _ => Type::optional(type_),
        };
        Node { type_, op: Op::Select(Box::new(operand), field.to_owned(), access) }
    }

    fn call(&mut self, expr: &'a Expr, name: &str, target: Option<&'a Expr>, args: &'a [Expr]) -> Node {
        // The target may be the first part of the function's name.
        if let Some(prefix) = target.and_then(qualified)
            && self.find_root(&prefix).is_none()
        {
            let whole = format!("{prefix}.{name}");
            if find(&whole).is_some() {
                return self.resolve(expr.at, &whole, false, args.iter());
            }
        }
        match target {
            Some(target) => self.resolve(expr.at, name, true, std::iter::once(target).chain(args)),
            None => self.resolve(expr.at, name.trim_start_matches('.'), false, args.iter()),
        }
    }

    /// Whether the first name of `a.b.c` is a variable.
    fn find_root(&self, name: &str) -> Option<()> {
        let root = name.split('.').next()?;
        let is_local = self.locals.iter().any(|(local, _)| *local == root);
        (is_local || self.environment.find(root).is_some()).then_some(())
    }

    fn resolve(&mut self, at: usize, name: &str, is_member: bool, args: impl Iterator<Item = &'a Expr>) -> Node {
        let mixes = usize::from(name == "format");
        self.mixing += mixes;
        let args: Vec<Node> = args.map(|arg| self.node(arg)).collect();
        self.mixing -= mixes;
        let Some(function) = find(name) else {
            return self.mistake(at, format!("undeclared reference to '{name}' (in container '')"));
        };
        let Some(type_) = result_of(&function.overloads, is_member, &args) else {
            let message = no_overload(name, is_member, &args);
            return self.mistake(at, message);
        };
        self.logic_or_call(at, function, type_, args)
    }

    fn logic_or_call(&mut self, at: usize, function: &'static library::Function, type_: Type, args: Vec<Node>) -> Node {
        let op = match function.name {
            "_&&_" => <[Node; 2]>::try_from(args).map(|both| Op::And(Box::new(both))).ok(),
            "_||_" => <[Node; 2]>::try_from(args).map(|both| Op::Or(Box::new(both))).ok(),
            "_?_:_" => <[Node; 3]>::try_from(args).map(|all| Op::If(Box::new(all))).ok(),
            _ => {
                let pattern = self.literal_of(at, function.name, &args);
                Some(Op::Call(Box::new(Invocation { function, args, pattern })))
            }
        };
        match op {
            Some(op) => Node { type_, op },
            None => self.mistake(at, format!("undeclared reference to '{}' (in container '')", function.name)),
        }
    }

    /// Literal patterns, durations and timestamps are read when the expression is declared.
    fn literal_of(&mut self, at: usize, function: &str, args: &[Node]) -> Option<regex::Regex> {
        let text = |index: usize| match args.get(index).map(|arg| &arg.op) {
            Some(Op::Literal(Literal::String(text))) => Some(text.clone()),
            _ => None,
        };
        match function {
            "matches" | "find" | "findAll" => match library::Patterns::compile(&text(1)?) {
                Ok(pattern) => return Some(pattern),
                Err(_) => drop(self.mistake(at, "invalid matches argument")),
            },
            "duration" if library::parse_duration(&text(0)?).is_none() => {
                drop(self.mistake(at, "invalid duration argument"));
            }
            "timestamp" if text(0)?.parse::<jiff::Timestamp>().is_err() => {
                drop(self.mistake(at, "invalid timestamp argument"));
            }
            _ => {}
        }
        None
    }

    fn list(&mut self, items: &'a [(Expr, bool)]) -> Node {
        let mut common: Option<Type> = None;
        let mut nodes = Vec::with_capacity(items.len());
        for (item, is_optional) in items {
            let node = self.node(item);
            self.join(item.at, &mut common, unwrapped(&node.type_, *is_optional));
            nodes.push((node, *is_optional));
        }
        Node { type_: Type::list(common.unwrap_or(Type::Dyn)), op: Op::List(nodes) }
    }

    fn map(&mut self, entries: &'a [(Expr, Expr, bool)]) -> Node {
        let (mut keys, mut values) = (None, None);
        let mut nodes = Vec::with_capacity(entries.len());
        for (key, value, is_optional) in entries {
            let (key_node, value_node) = (self.node(key), self.node(value));
            self.join(key.at, &mut keys, key_node.type_.clone());
            self.join(value.at, &mut values, unwrapped(&value_node.type_, *is_optional));
            nodes.push((key_node, value_node, *is_optional));
        }
        Node { type_: Type::map(keys.unwrap_or(Type::Dyn), values.unwrap_or(Type::Dyn)), op: Op::Map(nodes) }
    }

    /// All items of a literal are of one type.
    fn join(&mut self, at: usize, common: &mut Option<Type>, type_: Type) {
        match common {
            None => *common = Some(type_),
            Some(known) if known.fits(&type_) => {
                if matches!(known, Type::Null) || type_.is_dyn() {
                    *common = Some(type_);
                }
            }
            Some(known) if self.mixing > 0 => *known = Type::Dyn,
            Some(known) => {
                let message = format!("expected type '{known}' but found '{type_}'");
                self.mistake(at, message);
            }
        }
    }

    fn message(&mut self, at: usize, name: &str, fields: &'a [(String, Expr, bool)]) -> Node {
        let fields: Vec<_> =
            fields.iter().map(|(field, value, is_optional)| (field.clone(), self.node(value), *is_optional)).collect();
        if !self.environment.has_message(name) {
            return self.mistake(at, format!("undeclared reference to '{name}' (in container '')"));
        }
        let shape = Shape::new(Form::Object(name.into(), BTreeMap::new()));
        Node { type_: Type::Object(shape.into()), op: Op::Message(fields) }
    }

    fn fold(&mut self, at: usize, fold: &'a Fold) -> Node {
        let range = self.node(&fold.range);
        let (key, item) = match &range.type_ {
            Type::List(items) => (Type::Int, (**items).clone()),
            Type::Map(both) => both.as_ref().clone(),
            Type::Dyn => (Type::Dyn, Type::Dyn),
            other => {
                let what = "cannot be range of a comprehension (must be list, map, or dynamic)";
                return self.mistake(fold.range.at, format!("expression of type '{other}' {what}"));
            }
        };
        let names: Vec<(&'a str, Type)> = match fold.names.as_slice() {
            [first, second] => vec![(first, key.clone()), (second, item.clone())],
            names => {
                let of_one = if matches!(range.type_, Type::Map(_)) { &key } else { &item };
                names.iter().map(|name| (name.as_str(), of_one.clone())).collect()
            }
        };
        let filter = fold.filter.as_ref().map(|filter| {
            let node = self.within(&names, filter);
            self.expect_bool(at, node, "_?_:_")
        });
        let mut body = self.within(&names, &fold.body);
        let of_one = names.first().map_or(Type::Dyn, |(_, type_)| type_.clone());
        let type_ = match fold.kind {
            FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne | FoldKind::Filter => {
                let (operator, at) = match fold.kind {
                    FoldKind::All => ("_&&_", at),
                    FoldKind::Exists => ("_||_", at),
                    _ => ("_?_:_", at),
                };
                body = self.expect_bool(at, body, operator);
                if fold.kind == FoldKind::Filter { Type::list(of_one) } else { Type::Bool }
            }
            FoldKind::Map => Type::list(body.type_.clone()),
            FoldKind::MapValues => Type::map(key, body.type_.clone()),
            FoldKind::MapEntries if matches!(body.type_, Type::Map(_) | Type::Dyn) => body.type_.clone(),
            FoldKind::MapEntries => {
                let found = body.type_.clone();
                return self.mistake(fold.body.at, format!("expected type 'map(dyn, dyn)' but found '{found}'"));
            }
            FoldKind::SortBy if matches!(range.type_, Type::List(_) | Type::Dyn) => range.type_.clone(),
            FoldKind::SortBy => {
                let message = format!("found no matching overload for 'sortBy' applied to '{}'", range.type_);
                return self.mistake(at, message);
            }
        };
        let op = Loop { kind: fold.kind, range, is_pair: names.len() == 2, filter, body };
        Node { type_, op: Op::Fold(Box::new(op)) }
    }

    /// What a comprehension asks of each item must be true or false.
    fn expect_bool(&mut self, at: usize, node: Node, operator: &str) -> Node {
        if matches!(node.type_, Type::Bool | Type::Dyn) {
            return node;
        }
        let type_ = &node.type_;
        let applied = if operator == "_?_:_" { format!("{type_}, dyn, dyn") } else { format!("bool, {type_}") };
        let message = format!("found no matching overload for '{operator}' applied to '({applied})'");
        self.mistake(at, message)
    }

    fn opt_map(&mut self, at: usize, target: &'a Expr, name: &'a str, body: &'a Expr, is_flat: bool) -> Node {
        let target = self.node(target);
        let inner = match &target.type_ {
            Type::Optional(inner) => (**inner).clone(),
            Type::Dyn => Type::Dyn,
            other => {
                let message = format!("found no matching overload for 'hasValue' applied to '{other}.()'");
                return self.mistake(at, message);
            }
        };
        let body = self.within(&[(name, inner)], body);
        let type_ = if is_flat { body.type_.clone() } else { Type::optional(body.type_.clone()) };
        Node { type_, op: Op::OptMap(Box::new([target, body]), is_flat) }
    }
}

fn unwrapped(type_: &Type, is_optional: bool) -> Type {
    match type_ {
        Type::Optional(inner) if is_optional => (**inner).clone(),
        other => other.clone(),
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
    }
}

/// The type of a call: of the one overload that takes its arguments, or anything if several of different results do.
fn result_of(overloads: &[Overload], is_member: bool, args: &[Node]) -> Option<Type> {
    let mut result: Option<Type> = None;
    for overload in overloads.iter().filter(|it| it.is_member == is_member && it.params.len() == args.len()) {
        let mut bound = Bindings::default();
        if !overload.params.iter().zip(args).all(|(param, arg)| param.accepts(&arg.type_, &mut bound)) {
            continue;
        }
        let type_ = overload.result.resolve(&bound);
        let is_same = result.as_ref().is_none_or(|known| known.to_string() == type_.to_string());
        result = Some(if is_same { type_ } else { Type::Dyn });
    }
    result
}

fn no_overload(name: &str, is_member: bool, args: &[Node]) -> String {
    let types: Vec<String> = args.iter().map(|arg| arg.type_.to_string()).collect();
    let applied = match types.split_first() {
        Some((target, rest)) if is_member => format!("{target}.({})", rest.join(", ")),
        _ => format!("({})", types.join(", ")),
    };
    format!("found no matching overload for '{name}' applied to '{applied}'")
}
