//! Reads `data/types.tsv`: see `data/generate` for its format and how to make it anew.

use super::{Any, Field, Id, List, ListKind, Map, Patch, Scalar, Shape, Strategy, Struct, Text, Types};
use serde_json::Value;
use std::sync::{Arc, OnceLock};

static TABLE: &str = include_str!("../../data/types.tsv");

/// All built-in types, read at first use.
pub(super) fn types() -> &'static Arc<Types> {
    static TYPES: OnceLock<Arc<Types>> = OnceLock::new();
    TYPES.get_or_init(|| Arc::new(read(TABLE)))
}

fn read(table: &'static str) -> Types {
    let mut types = Types::default();
    for line in table.lines().filter(|line| !line.starts_with('\t')) {
        open(&mut types, line);
    }
    let (mut current, mut granular) = (Id(0), Vec::new());
    let mut next = 0;
    for line in table.lines() {
        match line.strip_prefix('\t') {
            None => (current, next) = (Id(next), next + 1),
            Some(line) => add_field(&mut types, current, line, &mut granular),
        }
    }
    for (owner, position) in granular {
        let _ = make_granular(&mut types, owner, position);
    }
    types
}

/// A definition's line: `name <tab> =alias-or-map-type <tab> group/version/Kind`.
fn open(types: &mut Types, line: &'static str) {
    let mut columns = line.split('\t');
    let (name, head, kind) = (columns.next(), columns.next().unwrap_or_default(), columns.next());
    let name = name.unwrap_or_default();
    let shape = match head.strip_prefix('=') {
        Some(alias) => plain(alias).unwrap_or(Shape::Any(Any::Opaque)),
        None => Shape::Struct(Struct { name: Text::Borrowed(name), atomic: head == "atomic", ..Struct::default() }),
    };
    let id = types.add(shape);
    types.names.insert(name, id);
    types.definitions.push(name);
    types.kinds.extend(kind.map(|kind| (kind, id)));
}

/// A field's line: `name[!] <tab> type <tab> rules`. A field whose rule makes an atomic type granular goes on the list.
fn add_field(types: &mut Types, owner: Id, line: &'static str, granular: &mut Vec<(Id, usize)>) {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (name, ty, rules) = (next(), next(), next());
    let (name, required) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
    let rules = Rules::read(rules);
    let ty = types.named(ty, &rules);
    let zero = required.then(|| zero_value(types, ty)).flatten();
    let default = rules.default.map(Value::from).or(zero);
    let field = Field { name: Text::Borrowed(name), ty, required, default, patch: rules.patch };
    if let Some(Shape::Struct(object)) = types.shapes.get_mut(owner.0 as usize) {
        if rules.map_type == "granular" {
            granular.push((owner, object.fields.len()));
        }
        object.fields.push(field);
    }
}

/// Go has no absent strings and numbers, so a required key field that is left out has the zero value.
fn zero_value(types: &Types, ty: Id) -> Option<Value> {
    match types.shapes.get(ty.0 as usize)? {
        Shape::Scalar(Scalar::String) => Some(Value::from("")),
        Shape::Scalar(Scalar::Int32 | Scalar::Int64) => Some(Value::from(0)),
        _ => None,
    }
}

/// Gives a field its own copy of an atomic type, granular. Only PersistentVolumeSpec.claimRef needs it.
fn make_granular(types: &mut Types, owner: Id, position: usize) -> Option<()> {
    let Shape::Struct(object) = types.shapes.get(owner.0 as usize)? else { return None };
    let mut shape = types.shapes.get(object.fields.get(position)?.ty.0 as usize)?.clone();
    let Shape::Struct(copy) = &mut shape else { return None };
    copy.atomic = false;
    let id = types.add(shape);
    let Shape::Struct(object) = types.shapes.get_mut(owner.0 as usize)? else { return None };
    object.fields.get_mut(position)?.ty = id;
    Some(())
}

impl Types {
    pub(super) fn add(&mut self, shape: Shape) -> Id {
        self.shapes.push(shape);
        Id(self.shapes.len() as u32 - 1)
    }

    /// The type of a field: `[]` and `{}` in front make lists and maps, to which the field's rules apply.
    fn named(&mut self, text: &'static str, rules: &Rules) -> Id {
        if let Some(item) = text.strip_prefix("[]") {
            let item = self.named(item, &Rules::default());
            return self.add(Shape::List(List { item, kind: rules.list.clone() }));
        }
        if let Some(element) = text.strip_prefix("{}") {
            let element = self.named(element, &Rules::default());
            return self.add(Shape::Map(Map { element, atomic: rules.map_type == "atomic" }));
        }
        match (self.names.get(text), plain(text)) {
            (Some(&id), _) => id,
            (None, shape) => self.add(shape.unwrap_or(Shape::Any(Any::Opaque))),
        }
    }
}

fn plain(name: &str) -> Option<Shape> {
    let scalar = match name {
        "string" => Scalar::String,
        "bytes" => Scalar::Bytes,
        "int32" => Scalar::Int32,
        "int64" => Scalar::Int64,
        "double" => Scalar::Double,
        "bool" => Scalar::Bool,
        "quantity" => Scalar::Quantity,
        "int-or-string" => Scalar::IntOrString,
        "time" => Scalar::Time,
        "micro-time" => Scalar::MicroTime,
        "raw-object" => return Some(Shape::Any(Any::Opaque)),
        "raw" => return Some(Shape::Any(Any::Atomic)),
        _ => return None,
    };
    Some(Shape::Scalar(scalar))
}

/// The last column: `list=map:key,key map=atomic patch=merge,retainKeys:key default=TCP`, each part optional.
struct Rules {
    list: ListKind,
    map_type: &'static str,
    patch: Patch,
    default: Option<&'static str>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { list: ListKind::Atomic, map_type: "", patch: Patch::default(), default: None }
    }
}

impl Rules {
    fn read(text: &'static str) -> Self {
        let mut rules = Self::default();
        for (name, value) in text.split(' ').filter_map(|part| part.split_once('=')) {
            match name {
                "list" => rules.list = list_kind(value),
                "map" => rules.map_type = value,
                "patch" => rules.patch = patch(value),
                "default" => rules.default = Some(value),
                _ => {}
            }
        }
        rules
    }
}

fn list_kind(value: &'static str) -> ListKind {
    match value.split_once(':') {
        Some((_, keys)) => ListKind::Map(keys.split(',').map(Text::Borrowed).collect()),
        None if value == "set" => ListKind::Set,
        None => ListKind::Atomic,
    }
}

fn patch(value: &'static str) -> Patch {
    let (strategies, key) = value.split_once(':').unwrap_or((value, ""));
    let has = |wanted| strategies.split(',').any(|strategy| strategy == wanted);
    let strategy = match (has("merge"), has("replace")) {
        (true, _) => Strategy::Merge,
        (_, true) => Strategy::Replace,
        _ => Strategy::Default,
    };
    Patch { strategy, retain_keys: has("retainKeys"), merge_key: (!key.is_empty()).then_some(Text::Borrowed(key)) }
}
