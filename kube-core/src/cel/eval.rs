//! Evaluates checked expressions. Logic takes what is certain: `false && error` is `false`. Source: the CEL specification,
//! cel-go `interpreter`.

use std::sync::Arc;

use indexmap::IndexMap;

use super::cost::{MAKE_LIST, MAKE_MAP, MAKE_MESSAGE, PER_CHARACTER, SELECT, Sizes, Span};
use super::library::{Authorizer, Call, Patterns, operators};
use super::meter::Meter;
use super::syntax::{Access, FoldKind, Literal};
use super::tree::{Invocation, Loop, Node, Op, Overhead};
use super::value::Key;
use super::{Error, Map, Text, Value, value};

/// One evaluation.
pub(super) struct Evaluation<'a> {
    pub(super) variables: &'a [Option<Value<'a>>],
    pub(super) locals: Vec<Value<'a>>,
    pub(super) meter: Meter,
    pub(super) patterns: Patterns,
    pub(super) authorizer: Option<&'a dyn Authorizer>,
}

type Evaluated<'a> = Result<Value<'a>, Error>;

impl<'a> Evaluation<'a> {
    pub(super) fn node(&mut self, node: &'a Node) -> Evaluated<'a> {
        match &node.op {
            Op::Literal(literal) => Ok(literal_value(literal)),
            Op::Type(name) => Ok(Value::Type(Text::Borrowed(name))),
            Op::Variable(index) => {
                self.meter.charge(SELECT)?;
                let value = self.variables.get(*index).and_then(Option::as_ref);
                value.cloned().ok_or_else(|| Error::failed("no such attribute(s)"))
            }
            Op::Local(index) => {
                self.meter.charge(SELECT)?;
                self.locals.get(*index).cloned().ok_or_else(|| Error::failed("no such attribute(s)"))
            }
            Op::Select(operand, field, access) => self.select(operand, field, *access),
            Op::And(both) => self.logic(both, false),
            Op::Or(both) => self.logic(both, true),
            Op::If(all) => self.condition(all),
            Op::Call(call) => self.call(call),
            Op::List(items) => self.list(items),
            Op::Map(entries) => self.map(entries),
            Op::Message(fields) => self.message(fields),
            Op::Fold(fold) => self.fold(fold),
            Op::Bind(both) => self.bind(both),
            Op::OptMap(both, is_flat) => self.opt_map(both, *is_flat),
        }
    }

    fn select(&mut self, operand: &'a Node, field: &'a str, access: Access) -> Evaluated<'a> {
        let operand = self.node(operand)?;
        if access == Access::Has {
            return operators::has(&operand, field).map(Value::Bool);
        }
        self.meter.charge(SELECT)?;
        match access {
            Access::Optional => operators::optional_select(&operand, field),
            _ => operators::select(&operand, field),
        }
    }

    /// `&&` decides at false, `||` at true; what decides wins over an error.
    fn logic(&mut self, both: &'a [Node; 2], decides: bool) -> Evaluated<'a> {
        let [one, other] = both;
        let first = self.truth(one);
        if matches!(first, Ok(value) if value == decides) || first == Err(Error::TooExpensive) {
            return first.map(Value::Bool);
        }
        match (first, self.truth(other)) {
            (_, Err(Error::TooExpensive)) => Err(Error::TooExpensive),
            (_, Ok(value)) if value == decides => Ok(Value::Bool(value)),
            (Err(error), _) | (_, Err(error)) => Err(error),
            (Ok(_), Ok(value)) => Ok(Value::Bool(value)),
        }
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool, Error> {
        match self.node(node)? {
            Value::Bool(value) => Ok(value),
            _ => Err(Error::no_such_overload()),
        }
    }

    fn condition(&mut self, all: &'a [Node; 3]) -> Evaluated<'a> {
        let [condition, yes, no] = all;
        let chosen = if self.truth(condition)? { yes } else { no };
        self.node(chosen)
    }

    fn call(&mut self, call: &'a Invocation) -> Evaluated<'a> {
        let mut args = smallvec::SmallVec::<[Value<'a>; 3]>::new();
        for arg in &call.args {
            args.push(self.node(arg)?);
        }
        let cost = call.function.cost;
        // Costs that the arguments tell are paid first; what is made is paid for when it is there.
        let is_early = !matches!(cost, super::cost::Cost::Result);
        if is_early {
            self.meter.charge(cost.of(&Known { args: &args, result: None }).max)?;
        }
        let mut context = Call {
            args: &args,
            meter: &mut self.meter,
            pattern: call.pattern.as_ref(),
            patterns: &mut self.patterns,
            authorizer: self.authorizer,
        };
        let result = (call.function.run)(&mut context)?;
        self.meter.charge(0)?;
        if !is_early {
            self.meter.charge(cost.of(&Known { args: &args, result: Some(&result) }).max)?;
        }
        Ok(result)
    }

    fn list(&mut self, items: &'a [(Node, bool)]) -> Evaluated<'a> {
        let mut made = Vec::with_capacity(items.len());
        for (item, is_optional) in items {
            made.extend(present(self.node(item)?, *is_optional)?);
        }
        self.meter.charge(MAKE_LIST)?;
        Ok(Value::list(made))
    }

    fn map(&mut self, entries: &'a [(Node, Node, bool)]) -> Evaluated<'a> {
        let mut made = IndexMap::with_capacity(entries.len());
        for (key, value, is_optional) in entries {
            let (key, value) = (self.node(key)?, self.node(value)?);
            if let Some(value) = present(value, *is_optional)? {
                insert(&mut made, key, value)?;
            }
        }
        self.meter.charge(MAKE_MAP)?;
        Ok(Value::Map(Map::Made(Arc::new(made))))
    }

    fn message(&mut self, fields: &'a [(String, Node, bool)]) -> Evaluated<'a> {
        let mut made = Vec::with_capacity(fields.len());
        for (field, value, is_optional) in fields {
            let value = present(self.node(value)?, *is_optional)?;
            made.extend(value.map(|value| (field.as_str().into(), value)));
        }
        self.meter.charge(MAKE_MESSAGE)?;
        Ok(Value::Map(Map::made(made)))
    }

    /// Evaluates with more variables on the stack.
    fn within(&mut self, locals: &[Value<'a>], node: &'a Node) -> Evaluated<'a> {
        let depth = self.locals.len();
        self.locals.extend_from_slice(locals);
        let result = self.node(node);
        self.locals.truncate(depth);
        result
    }

    fn bind(&mut self, both: &'a [Node; 2]) -> Evaluated<'a> {
        let [value, body] = both;
        let value = self.node(value)?;
        self.meter.charge(MAKE_LIST)?;
        self.within(&[value], body)
    }

    fn opt_map(&mut self, both: &'a [Node; 2], is_flat: bool) -> Evaluated<'a> {
        let [target, body] = both;
        let target = self.node(target)?;
        self.meter.charge(MAKE_LIST)?;
        match target {
            Value::Optional(None) => Ok(Value::none()),
            Value::Optional(Some(inner)) => {
                let made = self.within(&[(*inner).clone()], body)?;
                Ok(if is_flat { made } else { Value::some(made) })
            }
            _ => Err(Error::no_such_overload()),
        }
    }

    fn fold(&mut self, fold: &'a Loop) -> Evaluated<'a> {
        let range = self.node(&fold.range)?;
        let overhead = Overhead::of(fold.kind);
        self.meter.charge(overhead.around)?;
        let mut result = Gathered::new(fold.kind);
        match range {
            Value::List(list) => {
                for (index, item) in list.iter().enumerate() {
                    let key = Value::Int(index as i64);
                    let single = if fold.is_pair { None } else { Some(item.clone()) };
                    if !self.round(fold, &overhead, key, item, single, &mut result)? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in map.entries() {
                    let single = if fold.is_pair { None } else { Some(key.clone()) };
                    if !self.round(fold, &overhead, key, item, single, &mut result)? {
                        break;
                    }
                }
            }
            _ => return Err(Error::no_such_overload()),
        }
        result.value()
    }

    /// One round; whether there is to be another.
    fn round(
        &mut self,
        fold: &'a Loop,
        overhead: &Overhead,
        key: Value<'a>,
        item: Value<'a>,
        single: Option<Value<'a>>,
        result: &mut Gathered<'a>,
    ) -> Result<bool, Error> {
        self.meter.charge(overhead.round)?;
        let depth = self.locals.len();
        let single_item = single.clone();
        match single {
            Some(only) => self.locals.push(only),
            None => self.locals.extend([key.clone(), item]),
        }
        let is_taken = match &fold.filter {
            Some(filter) => self.truth(filter),
            None => Ok(true),
        };
        let value = match is_taken {
            Ok(true) => Some(self.node(&fold.body)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        };
        self.locals.truncate(depth);
        let Some(value) = value else {
            self.meter.charge(overhead.passed)?;
            return Ok(true);
        };
        if value == Err(Error::TooExpensive) {
            return Err(Error::TooExpensive);
        }
        let was_taken = result.take(fold.kind, key, single_item, value)?;
        self.meter.charge(if was_taken { overhead.taken } else { overhead.passed })?;
        Ok(!result.is_decided)
    }
}

impl PartialEq for Value<'_> {
    /// As `==` of the language.
    fn eq(&self, other: &Self) -> bool {
        value::equal(self, other, &mut Meter::new(u64::MAX))
    }
}

/// What a comprehension has gathered so far.
struct Gathered<'a> {
    truth: bool,
    count: u64,
    error: Option<Error>,
    is_decided: bool,
    items: Vec<Value<'a>>,
    keys: Vec<Value<'a>>,
    entries: IndexMap<Key, (Value<'a>, Value<'a>)>,
    kind: FoldKind,
}

impl<'a> Gathered<'a> {
    fn new(kind: FoldKind) -> Self {
        Self {
            truth: kind == FoldKind::All,
            count: 0,
            error: None,
            is_decided: false,
            items: Vec::new(),
            keys: Vec::new(),
            entries: IndexMap::new(),
            kind,
        }
    }

    /// Takes in the value of one round: whether the item counted.
    fn take(
        &mut self,
        kind: FoldKind,
        key: Value<'a>,
        single: Option<Value<'a>>,
        value: Evaluated<'a>,
    ) -> Result<bool, Error> {
        let truth = |value: Evaluated<'a>| match value? {
            Value::Bool(value) => Ok(value),
            _ => Err(Error::no_such_overload()),
        };
        match kind {
            FoldKind::All | FoldKind::Exists => {
                let decides = kind == FoldKind::Exists;
                match truth(value) {
                    Ok(value) if value == decides => (self.truth, self.error, self.is_decided) = (value, None, true),
                    Ok(_) => {}
                    Err(error) => drop(self.error.get_or_insert(error)),
                }
                Ok(true)
            }
            FoldKind::ExistsOne => {
                let is_taken = truth(value)?;
                self.count += u64::from(is_taken);
                Ok(is_taken)
            }
            FoldKind::Filter => {
                let is_taken = truth(value)?;
                self.items.extend(single.filter(|_| is_taken));
                Ok(is_taken)
            }
            FoldKind::Map => {
                self.items.push(value?);
                Ok(true)
            }
            FoldKind::SortBy => {
                self.keys.push(value?);
                self.items.extend(single);
                Ok(true)
            }
            FoldKind::MapValues => insert(&mut self.entries, key, value?).map(|()| true),
            FoldKind::MapEntries => match value? {
                Value::Map(map) => {
                    for (key, value) in map.entries() {
                        insert(&mut self.entries, key, value)?;
                    }
                    Ok(true)
                }
                _ => Err(Error::no_such_overload()),
            },
        }
    }

    fn value(self) -> Evaluated<'a> {
        if let Some(error) = self.error {
            return Err(error);
        }
        Ok(match self.kind {
            FoldKind::All | FoldKind::Exists => Value::Bool(self.truth),
            FoldKind::ExistsOne => Value::Bool(self.count == 1),
            FoldKind::Filter | FoldKind::Map => Value::list(self.items),
            FoldKind::MapValues | FoldKind::MapEntries => Value::Map(Map::Made(Arc::new(self.entries))),
            FoldKind::SortBy => {
                let mut pairs: Vec<_> = self.keys.into_iter().zip(self.items).collect();
                super::library::sort(&mut pairs, |pair| &pair.0)?;
                Value::list(pairs.into_iter().map(|(_, item)| item).collect())
            }
        })
    }
}

fn insert<'a>(
    entries: &mut IndexMap<Key, (Value<'a>, Value<'a>)>,
    key: Value<'a>,
    value: Value<'a>,
) -> Result<(), Error> {
    let unsupported = || Error::failed(format!("unsupported key type: {}", key.type_name()));
    let identity = Key::of(&key).filter(|_| !matches!(key, Value::Double(_))).ok_or_else(unsupported)?;
    if entries.contains_key(&identity) {
        let shown = key.to_json().map(|json| json.to_string()).unwrap_or_default();
        return Err(Error::failed(format!("insert failed: key {} already exists", shown.trim_matches('"'))));
    }
    entries.insert(identity, (key, value));
    Ok(())
}

/// An item of a literal, unless it is an optional without a value.
fn present(value: Value<'_>, is_optional: bool) -> Result<Option<Value<'_>>, Error> {
    match value {
        value if !is_optional => Ok(Some(value)),
        Value::Optional(inner) => Ok(inner.map(|inner| (*inner).clone())),
        _ => Err(Error::failed("cannot initialize optional entry from non-optional value")),
    }
}

fn literal_value(literal: &Literal) -> Value<'_> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int(*value),
        Literal::Uint(value) => Value::Uint(*value),
        Literal::Double(value) => Value::Double(*value),
        Literal::String(text) => Value::String(Text::Borrowed(text)),
        Literal::Bytes(bytes) => Value::Bytes(Arc::clone(bytes)),
    }
}

/// Sizes of values that are there.
struct Known<'c, 'a> {
    args: &'c [Value<'a>],
    result: Option<&'c Value<'a>>,
}

impl Known<'_, '_> {
    fn is(&self, arg: usize, what: fn(&Value<'_>) -> bool) -> bool {
        self.args.get(arg).is_some_and(what)
    }
}

impl Sizes for Known<'_, '_> {
    fn size(&self, arg: usize) -> Span {
        Span::exactly(self.args.get(arg).map_or(1, Value::size))
    }

    fn walk(&self, arg: usize) -> Span {
        Span::exactly(self.args.get(arg).map_or(1, walk))
    }

    fn is_text(&self, arg: usize) -> bool {
        self.is(arg, |value| matches!(value, Value::String(_) | Value::Bytes(_)))
    }

    fn is_list(&self, arg: usize) -> bool {
        self.is(arg, |value| matches!(value, Value::List(_)))
    }

    fn result(&self) -> Span {
        Span::exactly(self.result.map_or(1, Value::size))
    }
}

/// What looking at all of a value costs. Source: apiserver `library.traversalCost`.
fn walk(value: &Value<'_>) -> u64 {
    match value {
        Value::String(text) => (text.len() as f64 * PER_CHARACTER) as u64,
        Value::Bytes(bytes) => (bytes.len() as f64 * PER_CHARACTER) as u64,
        Value::List(list) => list.iter().map(|item| walk(&item)).sum(),
        Value::Map(map) => map.entries().iter().map(|(key, value)| walk(key) + walk(value)).sum(),
        _ => 1,
    }
}
