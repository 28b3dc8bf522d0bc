//! Which field has which number, and how its values are written.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::schema::{Scalar, Schema, Shape, Type};

static TABLE: &str = include_str!("../../data/wire.tsv");

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// Name, number and type of a field, and whether it is a list.
type PartialField = (&'static str, u32, &'static str, bool);

/// Kinds that clients ask for and that no type graph has. Source: apimachinery `metav1.PartialObjectMetadata`.
const PARTIAL: [(&str, &[PartialField]); 2] = [
    ("PartialObjectMetadata", &[("metadata", 1, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", false)]),
    (
        "PartialObjectMetadataList",
        &[
            ("items", 2, "PartialObjectMetadata", true),
            ("metadata", 1, "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta", false),
        ],
    ),
];

/// A field's number below those of the messages that Go inlines around it, then zeros.
pub(super) type Path = [u32; 3];

/// A message's place in [`Tables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(usize);

/// All messages.
#[derive(Debug, Default)]
pub(super) struct Tables {
    messages: Vec<Message>,
    names: HashMap<&'static str, Id>,
}

/// The fields of one definition.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// Sorted by name.
    pub(super) fields: Vec<Field>,
    /// Places in `fields`, sorted by path.
    by_path: Vec<(Path, usize)>,
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    /// Its name in JSON.
    pub(super) name: &'static str,
    /// Its number.
    pub(super) path: Path,
    /// How its value is written.
    pub(super) node: Node,
    /// Whether Go leaves a zero out of JSON.
    pub(super) omits_zero: bool,
}

/// How a value is written.
#[derive(Debug)]
pub(super) enum Node {
    /// A scalar; times, quantities and int-or-strings are small messages.
    Scalar(Scalar),
    /// A message whose field 1 is JSON.
    Raw,
    /// A message whose field 1 is a list of strings. Source: `ExtraValue`, `metav1.Verbs`.
    Strings,
    /// A message with fields.
    Message(Id),
    /// The field, again and again.
    List(Box<Node>),
    /// Messages of key (1) and value (2), again and again.
    Map(Box<Node>),
    /// A schema or something simpler.
    Union(Union),
}

/// Types that are a schema or something simpler. Source: apiextensions `v1` types of these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Union {
    /// JSONSchemaPropsOrBool: 1 is the bool, 2 the schema.
    Bool,
    /// JSONSchemaPropsOrArray: 1 is the schema, 2 the schemas.
    Array,
    /// JSONSchemaPropsOrStringArray: 1 is the schema, 2 the strings.
    Strings,
}

impl Union {
    fn of(definition: &str) -> Option<Self> {
        match definition.strip_prefix("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOr")? {
            "Bool" => Some(Self::Bool),
            "Array" => Some(Self::Array),
            "StringArray" => Some(Self::Strings),
            _ => None,
        }
    }

    /// The number of the field that holds the schema.
    pub(super) fn schema_number(self) -> u32 {
        if self == Self::Bool { 2 } else { 1 }
    }
}

impl Message {
    /// The field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&Field> {
        self.fields.get(self.fields.binary_search_by(|field| field.name.cmp(name)).ok()?)
    }

    /// The field of that number.
    pub(super) fn at(&self, path: Path) -> Option<&Field> {
        let found = self.by_path.binary_search_by_key(&path, |(known, _)| *known).ok()?;
        self.fields.get(self.by_path.get(found)?.1)
    }

    /// Whether a number is that of a message that Go inlines.
    pub(super) fn is_inlined(&self, path: Path) -> bool {
        let after = self.by_path.partition_point(|(known, _)| *known <= path);
        let begins = |known: &Path| known.iter().zip(path).all(|(known, wanted)| wanted == 0 || *known == wanted);
        self.by_path.get(after).is_some_and(|(known, _)| begins(known))
    }
}

impl Tables {
    /// The message with that id; an empty one if there is none, which [`Tables::read`] does not let happen.
    pub(super) fn message(&self, id: Id) -> &Message {
        static NONE: Message = Message { fields: Vec::new(), by_path: Vec::new() };
        self.messages.get(id.0).unwrap_or(&NONE)
    }

    /// The message of a definition.
    pub(super) fn named(&self, definition: &str) -> Option<Id> {
        self.names.get(definition).copied()
    }

    /// The message of a kind.
    pub(super) fn of_kind(&self, api_version: &str, kind: &str) -> Option<Id> {
        match kind {
            // Clients write these in the version of whatever they are about. Source: metav1 `AddToGroupVersion`.
            "DeleteOptions" => self.named(&format!("{META}.{kind}")),
            "PartialObjectMetadata" | "PartialObjectMetadataList" if api_version.starts_with("meta.k8s.io/") => {
                self.named(kind)
            }
            _ => self.named(Schema::of_kind(api_version, kind)?.root().definition()?),
        }
    }

    /// The message of a schema, where a union holds one.
    pub(super) fn json_schema(&self) -> Option<Id> {
        self.named("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps")
    }

    fn read(table: &'static str) -> Self {
        let mut tables = Self::default();
        for name in table.lines().filter(|line| !line.starts_with('\t')).chain(PARTIAL.iter().map(|(name, _)| *name)) {
            tables.names.insert(name, Id(tables.messages.len()));
            tables.messages.push(Message::default());
        }
        let mut current = ("", Vec::new());
        for line in table.lines().chain([""]) {
            match line.strip_prefix('\t') {
                Some(line) => current.1.push(line),
                None => {
                    let (name, lines) = std::mem::replace(&mut current, (line, Vec::new()));
                    tables.add(name, |tables| tables.fields(name, &lines));
                }
            }
        }
        for (name, rows) in PARTIAL {
            tables.add(name, |tables| rows.iter().filter_map(|row| tables.partial(row)).collect());
        }
        tables
    }

    fn add(&mut self, name: &str, fields: impl FnOnce(&Self) -> Vec<Field>) {
        let Some(id) = self.named(name) else { return };
        let fields = fields(self);
        let mut by_path: Vec<_> = fields.iter().enumerate().map(|(place, field)| (field.path, place)).collect();
        by_path.sort_unstable();
        if let Some(message) = self.messages.get_mut(id.0) {
            *message = Message { fields, by_path };
        }
    }

    fn partial(&self, row: &PartialField) -> Option<Field> {
        let (name, number, definition, is_list) = *row;
        let message = Node::Message(self.named(definition)?);
        let node = if is_list { Node::List(Box::new(message)) } else { message };
        Some(Field { name, path: [number, 0, 0], node, omits_zero: false })
    }

    fn fields(&self, definition: &str, lines: &[&'static str]) -> Vec<Field> {
        let Some(schema) = Schema::builtin(definition) else { return Vec::new() };
        lines.iter().filter_map(|line| self.field(schema.root(), line)).collect()
    }

    /// A field's line: `name <tab> number.number <tab> rules`.
    fn field(&self, owner: Type<'_>, line: &'static str) -> Option<Field> {
        let mut columns = line.split('\t');
        let (name, numbers, rules) = (columns.next()?, columns.next()?, columns.next().unwrap_or_default());
        let mut path = Path::default();
        for (place, number) in path.iter_mut().zip(numbers.split('.')) {
            *place = number.parse().ok()?;
        }
        let has = |wanted| rules.split(' ').any(|rule| rule == wanted);
        Some(Field { name, path, node: self.node(owner.member(name)?, has("items"))?, omits_zero: has("omit") })
    }

    fn node(&self, ty: Type<'_>, wraps_lists: bool) -> Option<Node> {
        if let Some(union) = ty.definition().and_then(Union::of) {
            return Some(Node::Union(union));
        }
        Some(match ty.shape() {
            Shape::Scalar(scalar) => Node::Scalar(*scalar),
            Shape::Struct(object) => Node::Message(self.named(&object.name)?),
            Shape::Map(map) => Node::Map(Box::new(self.node(ty.at(map.element), wraps_lists)?)),
            Shape::List(_) if wraps_lists => Node::Strings,
            Shape::List(list) => Node::List(Box::new(self.node(ty.at(list.item), false)?)),
            Shape::Any(_) => Node::Raw,
        })
    }
}

/// All messages, read at first use.
pub(super) fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables::read(TABLE))
}

/// Whether a kind has a protobuf form: all built-in ones do, custom resources do not.
pub fn knows(api_version: &str, kind: &str) -> bool {
    tables().of_kind(api_version, kind).is_some()
}
