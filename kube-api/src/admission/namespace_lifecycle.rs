//! Nothing new in a namespace that is not there or on its way out; some namespaces never go.

use async_trait::async_trait;
use coracle_core::{AnyResource, GroupResource, Status};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::StatusCause;

use super::{Admission, Attributes, Operation};

/// Namespaces that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Source: apiserver `plugin/namespace/lifecycle`.
#[derive(Clone, Copy, Debug)]
pub struct NamespaceLifecycle;

#[async_trait]
impl Admission for NamespaceLifecycle {
    fn name(&self) -> &'static str {
        "NamespaceLifecycle"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.operation != Operation::Update
    }

    async fn admit(&self, attributes: &Attributes<'_>, _object: &mut dyn AnyResource) -> Result<(), Status> {
        if attributes.operation != Operation::Create || !attributes.kind.namespaced {
            return Ok(());
        }
        let name = &*attributes.target.namespace;
        let Some(namespace) = attributes.world.get::<Namespace>("", name) else {
            return Err(Status::not_found(&GroupResource::of::<Namespace>(), name));
        };
        if namespace.metadata.deletion_timestamp.is_none() {
            return Ok(());
        }
        let why = format!("unable to create new content in namespace {name} because it is being terminated");
        let cause = StatusCause {
            field: Some("metadata.namespace".to_owned()),
            message: Some(format!("namespace {name} is being terminated")),
            reason: Some("NamespaceTerminating".to_owned()),
        };
        Err(attributes.forbid(why).with_causes(vec![cause]))
    }

    async fn review(&self, attributes: &Attributes<'_>, _object: Option<&dyn AnyResource>) -> Result<(), Status> {
        let resource = attributes.kind.group_resource();
        let immortal = IMMORTAL.contains(&&*attributes.target.name) && resource == GroupResource::of::<Namespace>();
        if attributes.operation == Operation::Delete && immortal {
            return Err(attributes.forbid("this namespace may not be deleted"));
        }
        Ok(())
    }
}
