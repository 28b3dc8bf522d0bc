//! A pod's priority is worked out once, from its class.

use async_trait::async_trait;
use coracle_core::{AnyResource, GroupResource, Status};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::scheduling::v1::PriorityClass;

use super::{Admission, Attributes};

/// Source: `plugin/pkg/admission/priority`.
#[derive(Clone, Copy, Debug)]
pub struct Priority;

#[async_trait]
impl Admission for Priority {
    fn name(&self) -> &'static str {
        "Priority"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.creates("", "pods")
    }

    async fn admit(&self, attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        let refuse = |why: String| attributes.forbid(why);
        let class = match spec.priority_class_name.as_deref().unwrap_or("") {
            "" => default_class(attributes),
            name => {
                let class = attributes.world.get::<PriorityClass>("", name);
                Some(class.ok_or_else(|| refuse(format!("no PriorityClass with name {name} was found")))?)
            }
        };
        let value = class.as_ref().and_then(|class| class.value).unwrap_or(0);
        if spec.priority.is_some_and(|given| given != value) {
            let given = spec.priority.unwrap_or(0);
            return Err(refuse(format!(
                "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
                 computed {value} from the given PriorityClass name"
            )));
        }
        let preemption = class.as_ref().and_then(|class| class.preemption_policy.clone());
        let preemption = preemption.unwrap_or_else(|| "PreemptLowerPriority".to_owned());
        spec.priority_class_name = class.and_then(|class| class.metadata.name.clone());
        spec.priority = Some(value);
        spec.preemption_policy.get_or_insert(preemption);
        Ok(())
    }
}

/// The global default with the lowest value, if any.
fn default_class(attributes: &Attributes<'_>) -> Option<std::sync::Arc<PriorityClass>> {
    if attributes.world.count(&GroupResource::of::<PriorityClass>()) == 0 {
        return None;
    }
    let classes = attributes.world.list::<PriorityClass>();
    classes.filter(|class| class.global_default == Some(true)).min_by_key(|class| class.value)
}
