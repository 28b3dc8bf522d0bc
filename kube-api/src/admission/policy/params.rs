//! The objects that a binding names as parameters, of built-in and custom kinds. Source: `generic.CollectParams`.

use std::sync::Arc;

use coracle_core::kind::split_api_version;
use coracle_core::selector::Selector;
use coracle_core::{Kind, Object, ObjectKey, World};
use k8s_openapi::api::admissionregistration::v1::{ParamKind, ParamRef};
use serde_json::Value;

use super::super::{Attributes, versions};

/// An object as parameter; `null` without a name if there is none.
#[derive(Debug, Default)]
pub(super) struct Param {
    pub(super) key: String,
    pub(super) json: Value,
}

/// The kind of a policy's parameters.
pub(super) fn kind(world: &World, named: &ParamKind) -> Result<Arc<Kind>, String> {
    let (api_version, kind) =
        (named.api_version.as_deref().unwrap_or_default(), named.kind.as_deref().unwrap_or_default());
    let found = world.kinds().by_kind(api_version, kind).cloned();
    let (group, version) = split_api_version(api_version);
    let why = || format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'");
    found.ok_or_else(why)
}

/// The parameters for a request. There may be none.
pub(super) async fn collect(
    attributes: &Attributes<'_>,
    kind: &Kind,
    reference: &ParamRef,
) -> Result<Vec<Param>, String> {
    let objects = find(attributes, kind, reference)?;
    if objects.is_empty() && reference.parameter_not_found_action.as_deref() == Some("Deny") {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
    }
    let mut params = Vec::with_capacity(objects.len());
    for object in objects {
        let json = versions::parse(&object.json()).map_err(|status| status.message().to_owned())?;
        let mut json =
            versions::in_version(attributes, kind, json).await.map_err(|status| status.message().to_owned())?;
        if let Some(custom) = &kind.custom {
            custom.complete(&mut json);
        }
        params.push(Param { key: object.key().as_str().to_owned(), json });
    }
    Ok(params)
}

fn find<'a>(attributes: &Attributes<'a>, kind: &Kind, reference: &ParamRef) -> Result<Vec<&'a Arc<Object>>, String> {
    let given = reference.namespace.as_deref().unwrap_or_default();
    // The namespace of a Namespace is itself.
    let is_namespace = attributes.kind.group.is_empty() && attributes.kind.plural == "namespaces";
    let own = if is_namespace { attributes.name() } else { &attributes.target.namespace };
    let namespace = match (kind.namespaced, given, own) {
        (true, "", "") => {
            return Err(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".to_owned()
            );
        }
        (true, "", own) => own,
        (true, given, _) => given,
        (false, "", _) => "",
        (false, _, _) => {
            return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned());
        }
    };
    let name = reference.name.as_deref().unwrap_or_default();
    if !name.is_empty() {
        let key = ObjectKey::new(namespace, name);
        return Ok(attributes.world.object(&kind.storage, key.as_str()).into_iter().collect());
    }
    let selector = Selector::from_label_selector(reference.selector.as_ref()).map_err(|error| error.to_string())?;
    let objects = attributes.world.objects_in(&kind.storage, namespace);
    Ok(objects.filter(|object| selector.matches_optional(object.metadata().labels.as_ref())).collect())
}
