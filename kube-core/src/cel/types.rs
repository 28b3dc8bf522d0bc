//! The types of expressions, as the checker knows them before anything is evaluated.

use std::fmt;
use std::sync::Arc;

use super::Shape;

/// The type of an expression.
#[derive(Clone, Debug)]
pub enum Type {
    /// Anything: what it is shows when it is evaluated.
    Dyn,
    /// `null`
    Null,
    /// `true`, `false`
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A whole number of 64 bits that is not negative.
    Uint,
    /// A number of 64 bits with a point.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// A moment.
    Timestamp,
    /// A span of time.
    Duration,
    /// A list and the type of its items.
    List(Arc<Type>),
    /// A map and the types of its keys and values.
    Map(Arc<(Type, Type)>),
    /// An object whose fields are declared.
    Object(Arc<Shape>),
    /// Something that may not be there.
    Optional(Arc<Type>),
    /// The type of a type.
    Type(Arc<Type>),
    /// A type that only functions can look into, such as `kubernetes.Quantity`.
    Opaque(&'static str),
    /// In signatures: any type, the same wherever the name is the same.
    Param(u8),
}

impl Type {
    /// The type of lists of `items`.
    #[must_use]
    pub fn list(items: Type) -> Self {
        Self::List(Arc::new(items))
    }

    /// The type of maps.
    #[must_use]
    pub fn map(key: Type, value: Type) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    pub(super) fn optional(of: Type) -> Self {
        Self::Optional(Arc::new(of))
    }

    /// Whether nothing is known of it.
    pub(super) fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn)
    }

    /// Whether the size of its values is always one unit.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(self, Self::Bool | Self::Int | Self::Uint | Self::Double | Self::Timestamp | Self::Duration)
    }

    /// Whether a value of `other` can stand where one of `self` is asked for. Binds the parameters of `self`. Source: cel-go
    /// `checker.internalIsAssignable`.
    pub(super) fn accepts(&self, other: &Type, bound: &mut Bindings) -> bool {
        match (self, other) {
            (Self::Param(name), _) => bound.bind(*name, other),
            (Self::Dyn, _) | (_, Self::Dyn | Self::Param(_)) => true,
            (Self::List(one), Self::List(other)) | (Self::Optional(one), Self::Optional(other)) => {
                one.accepts(other, bound)
            }
            (Self::Type(one), Self::Type(other)) => one.accepts(other, bound),
            (Self::Map(one), Self::Map(other)) => one.0.accepts(&other.0, bound) && one.1.accepts(&other.1, bound),
            (Self::Object(one), Self::Object(other)) => Arc::ptr_eq(one, other) || one.name() == other.name(),
            (Self::Opaque(one), Self::Opaque(other)) => one == other,
            // Null stands for anything that can be left out.
            (Self::Object(_) | Self::Timestamp | Self::Duration | Self::Opaque(_) | Self::Optional(_), Self::Null)
            | (Self::Null, Self::Object(_) | Self::Timestamp | Self::Duration | Self::Opaque(_) | Self::Optional(_)) => {
                true
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }

    /// Whether both are the same, apart from what is not known.
    pub(super) fn fits(&self, other: &Type) -> bool {
        self.accepts(other, &mut Bindings::default())
    }

    /// This type with its parameters replaced by what they are bound to.
    pub(super) fn resolve(&self, bound: &Bindings) -> Type {
        match self {
            Self::Param(name) => bound.get(*name).cloned().unwrap_or(Self::Dyn),
            Self::List(items) => Self::list(items.resolve(bound)),
            Self::Optional(inner) => Self::optional(inner.resolve(bound)),
            Self::Type(inner) => Self::Type(Arc::new(inner.resolve(bound))),
            Self::Map(both) => Self::map(both.0.resolve(bound), both.1.resolve(bound)),
            other => other.clone(),
        }
    }
}

/// What the parameters of a signature stand for.
#[derive(Debug, Default)]
pub(super) struct Bindings(Vec<(u8, Type)>);

impl Bindings {
    fn get(&self, name: u8) -> Option<&Type> {
        self.0.iter().find(|(bound, _)| *bound == name).map(|(_, type_)| type_)
    }

    fn bind(&mut self, name: u8, type_: &Type) -> bool {
        let Some((_, known)) = self.0.iter_mut().find(|(bound, _)| *bound == name) else {
            self.0.push((name, type_.clone()));
            return true;
        };
        if known.fits(type_) {
            if is_wider(type_, known) {
                *known = type_.clone();
            }
            return true;
        }
        false
    }
}

/// Whether `one` says less than `other`, which it fits.
fn is_wider(one: &Type, other: &Type) -> bool {
    match (one, other) {
        (Type::Dyn, other) => !other.is_dyn(),
        (_, Type::Null) => true,
        (Type::List(one), Type::List(other)) | (Type::Optional(one), Type::Optional(other)) => is_wider(one, other),
        (Type::Map(one), Type::Map(other)) => is_wider(&one.0, &other.0) || is_wider(&one.1, &other.1),
        _ => false,
    }
}

/// As cel-go names types in its messages.
impl fmt::Display for Type {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => out.write_str("dyn"),
            Self::Null => out.write_str("null"),
            Self::Bool => out.write_str("bool"),
            Self::Int => out.write_str("int"),
            Self::Uint => out.write_str("uint"),
            Self::Double => out.write_str("double"),
            Self::String => out.write_str("string"),
            Self::Bytes => out.write_str("bytes"),
            Self::Timestamp => out.write_str("timestamp"),
            Self::Duration => out.write_str("duration"),
            Self::List(items) => write!(out, "list({items})"),
            Self::Map(both) => write!(out, "map({}, {})", both.0, both.1),
            Self::Object(shape) => out.write_str(shape.name()),
            Self::Optional(inner) => write!(out, "optional_type({inner})"),
            Self::Type(inner) => write!(out, "type({inner})"),
            Self::Opaque(name) => out.write_str(name),
            Self::Param(name) => write!(out, "{}", char::from(*name)),
        }
    }
}
