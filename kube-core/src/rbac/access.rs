//! What someone wants to do, as every authorizer judges it.

use crate::request::{Action, Request, Target};

/// A verb and what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// What is done: `get`, `list`, `create`, `bind`; for paths that are no resources the HTTP method in lower case.
    pub verb: &'a str,
    /// What it is done to.
    pub what: What<'a>,
    /// The field selector of a list, watch or deletion of a collection; empty if there is none.
    pub fields: &'a str,
}

/// What something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// Objects.
    Resource(Place<'a>),
    /// A path that is no resource, such as `/healthz`.
    Path(&'a str),
}

/// Objects, as far as a request names them. What it does not name is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// API group; empty for the core group.
    pub group: &'a str,
    /// Plural of the kind.
    pub resource: &'a str,
    /// What is asked below the object.
    pub subresource: &'a str,
    /// Namespace; empty for cluster-scoped kinds and for all namespaces.
    pub namespace: &'a str,
    /// Name of the object.
    pub name: &'a str,
}

impl<'a> Access<'a> {
    /// Doing something to objects.
    #[must_use]
    pub const fn resource(verb: &'a str, place: Place<'a>) -> Self {
        Self { verb, what: What::Resource(place), fields: "" }
    }

    /// Asking for a path that is no resource.
    #[must_use]
    pub const fn path(verb: &'a str, path: &'a str) -> Self {
        Self { verb, what: What::Path(path), fields: "" }
    }

    /// What a request of this process asks. An edit is an update.
    #[must_use]
    pub fn of(request: &'a Request) -> Self {
        let verb = match request.action {
            Action::Create(_) | Action::Connect(_) => "create",
            Action::Update(_) | Action::Edit(_) => "update",
            Action::Patch(_) => "patch",
            Action::Delete(_) => "delete",
            Action::DeleteCollection { .. } => "deletecollection",
        };
        Self::resource(verb, Place::of(&request.target))
    }

    /// The same thing under another verb.
    #[must_use]
    pub const fn with_verb(self, verb: &'a str) -> Self {
        Self { verb, ..self }
    }

    /// The same thing, for objects that a field selector chooses.
    #[must_use]
    pub const fn choosing(self, fields: &'a str) -> Self {
        Self { fields, ..self }
    }

    /// The namespace it is about; empty if there is none.
    #[must_use]
    pub const fn namespace(&self) -> &'a str {
        match self.what {
            What::Resource(place) => place.namespace,
            What::Path(_) => "",
        }
    }
}

impl<'a> Place<'a> {
    /// What a request is about.
    #[must_use]
    pub fn of(target: &'a Target) -> Self {
        Self {
            group: &target.resource.group,
            resource: &target.resource.resource,
            subresource: &target.subresource,
            namespace: &target.namespace,
            name: &target.name,
        }
    }

    /// The resource with its subresource: `pods`, `pods/log`.
    #[must_use]
    pub fn full_resource(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}
