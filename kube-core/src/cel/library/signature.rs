//! Signatures as text: `string.(int, list(A)) bool` is called on a string, `(A) A` alone. A capital letter is any type.

use super::Overload;
use super::opaque;
use crate::cel::Type;

/// A signature; `None` if the text is none.
pub(super) fn parse(text: &str) -> Option<Overload> {
    let mut reader = Reader(text);
    let mut params = Vec::new();
    let is_member = !text.starts_with('(');
    if is_member {
        params.push(reader.type_()?);
        reader.skip(".")?;
    }
    reader.skip("(")?;
    while reader.skip(")").is_none() {
        params.push(reader.type_()?);
        reader.skip(", ");
    }
    reader.skip(" ")?;
    let result = reader.type_()?;
    reader.0.is_empty().then_some(Overload { is_member, params, result })
}

struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn skip(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn type_(&mut self) -> Option<Type> {
        let end = self.0.find(['(', ')', ',', '.', ' ']).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(match name {
            "dyn" => Type::Dyn,
            "null" => Type::Null,
            "bool" => Type::Bool,
            "int" => Type::Int,
            "uint" => Type::Uint,
            "double" => Type::Double,
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "timestamp" => Type::Timestamp,
            "duration" => Type::Duration,
            "list" => Type::list(self.inner()?),
            "optional" => Type::optional(self.inner()?),
            "type" => Type::Type(self.inner()?.into()),
            "map" => {
                self.skip("(")?;
                let key = self.type_()?;
                self.skip(", ")?;
                let value = self.type_()?;
                self.skip(")")?;
                Type::map(key, value)
            }
            letter if letter.len() == 1 => Type::Param(*letter.as_bytes().first()?),
            other => Type::Opaque(opaque::full_name(other)?),
        })
    }

    fn inner(&mut self) -> Option<Type> {
        self.skip("(")?;
        let inner = self.type_()?;
        self.skip(")")?;
        Some(inner)
    }
}
