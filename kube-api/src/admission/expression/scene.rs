//! What expressions see of a request. Source: apiserver `plugin/cel/condition.go`, `plugin/cel/activation.go`.

use coracle_core::cel::request::{NAMESPACE, REQUEST};
use coracle_core::cel::{self, Value};
use coracle_core::{AnyResource, GroupResource, Kind, Status};
use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value as Json;

use super::super::webhook::review;
use super::super::{Attributes, versions};

/// A request as JSON, in the version that is wanted. What is not there is `null`.
#[derive(Clone, Debug)]
pub(in super::super) struct Scene {
    pub(in super::super) object: Json,
    old: Json,
    request: Json,
    namespace: Json,
    resource: cel::Attributes,
}

impl Scene {
    pub(in super::super) async fn of(
        attributes: &Attributes<'_>,
        wanted: &Kind,
        object: Option<&dyn AnyResource>,
    ) -> Result<Self, Status> {
        let target = attributes.target;
        let old = match attributes.old {
            Some(old) => versions::outgoing_old(attributes, wanted, old).await?,
            None => Json::Null,
        };
        let resource = cel::Attributes {
            group: attributes.kind.group.to_string(),
            resource: attributes.kind.plural.to_string(),
            subresource: target.subresource.to_string(),
            namespace: target.namespace.to_string(),
            name: attributes.name().to_owned(),
            ..cel::Attributes::default()
        };
        let request = review::request(attributes, wanted, &review::name_of(attributes, object));
        let mut scene = Self { object: Json::Null, old, request, namespace: namespace(attributes)?, resource };
        if let Some(object) = object {
            scene.object = versions::outgoing(attributes, wanted, object).await?;
        }
        Ok(scene)
    }

    /// The values of all names, in the order in which [`super::Names`] declares them.
    pub(super) fn inputs<'a>(&'a self, params: &'a Json, variables: Value<'a>) -> [Option<Value<'a>>; 8] {
        [
            Some(Value::of(&self.object, None)),
            Some(Value::of(&self.old, None)),
            Some(Value::of(&self.namespace, Some(&NAMESPACE))),
            Some(Value::of(&self.request, Some(&REQUEST))),
            Some(Value::of(params, None)),
            Some(Value::authorizer()),
            Some(Value::request_resource(self.resource.clone())),
            Some(variables),
        ]
    }
}

impl super::Evaluator<'_> {
    /// Match conditions do not see the namespace.
    pub(super) fn without_namespace<T>(&self, run: impl FnOnce(&super::Evaluator<'_>) -> T) -> T {
        let scene = Scene { namespace: Json::Null, ..self.scene.clone() };
        run(&super::Evaluator { scene: &scene, ..*self })
    }
}

/// The namespace that the object is in; a Namespace is in none. What expressions cannot name is not there.
fn namespace(attributes: &Attributes<'_>) -> Result<Json, Status> {
    let name = &*attributes.target.namespace;
    let resource = GroupResource::of::<Namespace>();
    if name.is_empty() || attributes.kind.group_resource() == resource {
        return Ok(Json::Null);
    }
    let object = attributes.world.object(&resource, name).ok_or_else(|| Status::not_found(&resource, name))?;
    versions::parse(&object.json())
}
