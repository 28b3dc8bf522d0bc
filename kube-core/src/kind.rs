//! A kind is a row of a table: its names, scope, verbs and rules. A new kind is a new row, never a handler.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope, SubResourceScope};

use crate::resource::Codec;

type Name = Cow<'static, str>;

/// The identity of a collection of objects, whatever the version it is read in: `deployments.apps`, `pods`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupResource {
    /// API group; empty for the core group.
    pub group: Name,
    /// Plural name in lower case.
    pub resource: Name,
}

impl GroupResource {
    /// Names a collection.
    #[must_use]
    pub fn new(group: impl Into<Name>, resource: impl Into<Name>) -> Self {
        Self { group: group.into(), resource: resource.into() }
    }

    /// The collection that objects of type `K` live in.
    #[must_use]
    pub fn of<K: kube_core::Resource<DynamicType = ()>>() -> Self {
        Self { group: K::group(&()), resource: K::plural(&()) }
    }
}

impl Ord for GroupResource {
    /// Lengths first: maps by collection are asked all the time, and most names differ in length already.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lengths = |one: &Self| (one.resource.len(), one.group.len());
        let texts = || self.resource.cmp(&other.resource).then_with(|| self.group.cmp(&other.group));
        lengths(self).cmp(&lengths(other)).then_with(texts)
    }
}

impl PartialOrd for GroupResource {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for GroupResource {
    /// As upstream's messages name it: `pods`, `deployments.apps`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            formatter.write_str(&self.resource)
        } else {
            write!(formatter, "{}.{}", self.resource, self.group)
        }
    }
}

/// Something that can be asked below an object, such as `status` or `log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// Path segment after the object's name.
    pub name: Name,
    /// Verbs it answers, in alphabetical order.
    pub verbs: Cow<'static, [&'static str]>,
    /// The kind of its body: `(group, version, kind)`.
    pub body: (Name, Name, Name),
}

/// One served kind in one version.
#[derive(Clone, Debug)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: Name,
    /// API version, such as `v1`.
    pub version: Name,
    /// Kind in camel case, such as `ReplicaSet`.
    pub kind: Name,
    /// Plural path segment, such as `replicasets`.
    pub plural: Name,
    /// Singular name, such as `replicaset`.
    pub singular: Name,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Verbs of the collection and its objects, in alphabetical order.
    pub verbs: Cow<'static, [&'static str]>,
    /// Names a person may type instead, such as `rs`.
    pub short_names: Cow<'static, [Name]>,
    /// Groups of kinds a person may ask for at once, such as `all`.
    pub categories: Cow<'static, [Name]>,
    /// What can be asked below an object.
    pub subresources: Cow<'static, [Subresource]>,
    /// Where objects are kept. Several versions, and both kinds of Event, share one collection.
    pub storage: GroupResource,
    /// The version objects are kept in.
    pub storage_version: Name,
    /// Name of the type's schema, such as `io.k8s.api.apps.v1.Deployment`.
    pub definition: Name,
    /// Decodes this version.
    pub codec: Codec,
    /// What the definition of a custom kind says of this version; `None` for built-in kinds.
    pub custom: Option<Arc<crate::custom::Version>>,
}

impl Kind {
    /// `apps/v1`, or `v1` in the core group.
    #[must_use]
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Name of the list kind, such as `PodList`.
    #[must_use]
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// The collection under its public name.
    #[must_use]
    pub fn group_resource(&self) -> GroupResource {
        GroupResource { group: self.group.clone(), resource: self.plural.clone() }
    }

    /// Whether objects of this row are kept; reviews, bindings and metrics are only answered.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.verbs.contains(&"get") && self.plural != "componentstatuses" && !crate::metrics::is_metrics(self)
    }

    /// Whether this row is the version in which its objects are kept.
    #[must_use]
    pub fn is_storage_version(&self) -> bool {
        self.version == self.storage_version && self.group == self.storage.group
    }

    /// The subresource of that name.
    #[must_use]
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }
}

/// `group/version`, or just the version in the core group.
#[must_use]
pub fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The group and version of an `apiVersion`.
#[must_use]
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Whether a k8s-openapi scope is namespaced.
pub trait Scoped {
    /// True for [`NamespaceResourceScope`].
    const NAMESPACED: bool;
}

impl Scoped for NamespaceResourceScope {
    const NAMESPACED: bool = true;
}

impl Scoped for ClusterResourceScope {
    const NAMESPACED: bool = false;
}

impl Scoped for SubResourceScope {
    const NAMESPACED: bool = true;
}

/// All kinds one cluster serves. A cheap value: adding a custom kind makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    rows: imbl::OrdMap<(Name, Name, Name), Arc<Kind>>,
    /// The storage version of each collection.
    stored: imbl::OrdMap<GroupResource, Arc<Kind>>,
}

impl Kinds {
    /// What a stock server serves: every kind in its stable versions.
    #[must_use]
    pub fn builtin() -> Self {
        static BUILTIN: std::sync::OnceLock<Kinds> = std::sync::OnceLock::new();
        let is_stable = |kind: &Kind| !kind.version.contains("alpha") && !kind.version.contains("beta");
        let rows = || crate::table::rows().into_iter().filter(is_stable);
        BUILTIN.get_or_init(|| rows().fold(Self::default(), Self::with)).clone()
    }

    /// As [`Kinds::builtin`], with the alpha and beta versions that a stock server keeps off, and kinds that have no other.
    /// Versions of one kind that differ in shape (those of `resource.k8s.io`) are not converted into each other.
    #[must_use]
    pub fn with_previews() -> Self {
        crate::table::rows().into_iter().fold(Self::default(), Self::with)
    }

    /// These kinds and one more; a row with the same group, version and plural is replaced. A row without verbs only says how
    /// objects are kept.
    #[must_use]
    pub fn with(mut self, kind: Kind) -> Self {
        let key = (kind.group.clone(), kind.version.clone(), kind.plural.clone());
        let kind = Arc::new(kind);
        if kind.is_storage_version() {
            self.stored.insert(kind.storage.clone(), kind.clone());
        }
        if !kind.verbs.is_empty() {
            self.rows.insert(key, kind);
        }
        self
    }

    /// These kinds without every version of one collection.
    #[must_use]
    pub fn without(mut self, gone: &GroupResource) -> Self {
        let is_gone = |row: &Kind| row.group == gone.group && row.plural == gone.resource;
        let rows = self.rows.clone();
        for (key, _) in rows.into_iter().filter(|(_, row)| is_gone(row)) {
            self.rows.remove(&key);
        }
        self.stored.remove(gone);
        self
    }

    /// The row served at a path.
    #[must_use]
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        let owned = |text: &str| Name::Owned(text.to_owned());
        self.rows.get(&(owned(group), owned(version), owned(plural)))
    }

    /// The row of a Rust type.
    #[must_use]
    pub fn of<K: kube_core::Resource<DynamicType = ()>>(&self) -> Option<&Arc<Kind>> {
        self.rows.get(&(K::group(&()), K::version(&()), K::plural(&())))
    }

    /// The row of an `apiVersion` and `kind`.
    #[must_use]
    pub fn by_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = split_api_version(api_version);
        self.iter().find(|row| row.group == group && row.version == version && row.kind == kind)
    }

    /// The row in which objects of a collection are kept.
    #[must_use]
    pub fn storage(&self, storage: &GroupResource) -> Option<&Arc<Kind>> {
        self.stored.get(storage)
    }

    /// All rows, by group, version and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.rows.values()
    }
}
