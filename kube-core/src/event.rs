//! What an orchestrator tells people about an object: the content of an Event, before it is counted and stored.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;

use crate::resource::Resource;

/// Whether something went as planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing to worry about.
    Normal,
    /// A person may want to look.
    Warning,
}

impl Severity {
    /// As an Event's `type` spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// One thing that happened to one object. The cluster's recorder counts repetitions, limits floods and stores Events.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// The object it happened to.
    pub regarding: Arc<ObjectReference>,
    /// How it went.
    pub severity: Severity,
    /// Why, in one camel-case word, such as `ScalingReplicaSet`.
    pub reason: &'static str,
    /// For people.
    pub note: String,
    /// Who reports, such as `deployment-controller`.
    pub reporter: &'static str,
    /// The node the reporter runs on; empty for controllers.
    pub host: Arc<str>,
    /// What the reporter did or tried, such as `Binding`. Empty for most. With an action, repetitions are told as a series,
    /// as clients of `events.k8s.io` do it, else by a count.
    pub action: &'static str,
}

impl Happening {
    /// A happening of a controller, about an object.
    pub fn new<K: Resource>(
        reporter: &'static str,
        object: &K,
        severity: Severity,
        reason: &'static str,
        note: impl Into<String>,
    ) -> Self {
        let regarding = Arc::new(reference_to(object));
        Self { regarding, severity, reason, note: note.into(), reporter, host: Arc::from(""), action: "" }
    }

    /// The same, with what the reporter did or tried.
    #[must_use]
    pub fn acting(self, action: &'static str) -> Self {
        Self { action, ..self }
    }
}

/// The reference that an Event about this object carries.
pub fn reference_to<K: Resource>(object: &K) -> ObjectReference {
    let metadata = object.metadata();
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        resource_version: metadata.resource_version.clone(),
        uid: metadata.uid.clone(),
        field_path: None,
    }
}
