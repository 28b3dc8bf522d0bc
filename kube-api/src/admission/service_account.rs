//! Every pod runs as some ServiceAccount of its namespace.

use async_trait::async_trait;
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};

use super::{Admission, Attributes, Operation};

/// Source: `plugin/pkg/admission/serviceaccount`. Tokens are not mounted: pods that want one ask for a projected volume.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAccounts;

#[async_trait]
impl Admission for ServiceAccounts {
    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        if attributes.operation != Operation::Create || !attributes.target.subresource.is_empty() {
            return Ok(());
        }
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        if spec.service_account_name.as_deref().unwrap_or("").is_empty() {
            spec.service_account_name = Some("default".to_owned());
        }
        spec.service_account.clone_from(&spec.service_account_name);
        let (namespace, name) = (&attributes.target.namespace, spec.service_account_name.as_deref().unwrap_or(""));
        let Some(account) = attributes.world.get::<ServiceAccount>(namespace, name) else {
            let why =
                format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
            return Err(Status::forbidden(&attributes.kind.group_resource(), &attributes.target.name, why));
        };
        if spec.image_pull_secrets.as_ref().is_none_or(Vec::is_empty) {
            spec.image_pull_secrets.clone_from(&account.image_pull_secrets);
        }
        Ok(())
    }
}
