//! Where we are in an object.

use std::fmt;

/// A place in an object: `spec.containers[0].name`.
///
/// Each step borrows the one before it, so walking an object allocates nothing:
///
/// ```
/// use coracle_core::field::Path;
/// let spec = Path::new("spec");
/// let containers = spec.field("containers");
/// assert_eq!(containers.index(0).field("name").to_string(), "spec.containers[0].name");
/// assert_eq!(spec.field("selector").key("app").to_string(), "spec.selector[app]");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    /// The object itself; prints as upstream's `<nil>` when nothing follows.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A field of the object. `name` may hold several steps: `spec.template`.
    pub const fn new(name: &'a str) -> Path<'a> {
        Path { parent: None, step: Step::Field(name) }
    }

    /// A field of this place. `name` may hold several steps: `spec.template`.
    pub const fn field<'b>(&'b self, name: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), step: Step::Field(name) }
    }

    /// An item of this list.
    pub const fn index<'b>(&'b self, index: usize) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// An entry of this map.
    pub const fn key<'b>(&'b self, key: &'b str) -> Path<'b>
    where
        'a: 'b,
    {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// Writes the steps up to here; says whether there were any.
    fn write(&self, out: &mut fmt::Formatter<'_>) -> Result<bool, fmt::Error> {
        let after_another = match self.parent {
            Some(parent) => parent.write(out)?,
            None => false,
        };
        match self.step {
            Step::Root => return Ok(after_another),
            Step::Field(name) if after_another => write!(out, ".{name}")?,
            Step::Field(name) => out.write_str(name)?,
            Step::Index(index) => write!(out, "[{index}]")?,
            Step::Key(key) => write!(out, "[{key}]")?,
        }
        Ok(true)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.write(out)? { Ok(()) } else { out.write_str("<nil>") }
    }
}
