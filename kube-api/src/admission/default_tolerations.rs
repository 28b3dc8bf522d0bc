//! Every pod stays five minutes on a node that fell silent, unless it says otherwise.

use async_trait::async_trait;
use coracle_core::{AnyResource, Status};
use k8s_openapi::api::core::v1::{Pod, Toleration};

use super::{Admission, Attributes};

const TOLERATED: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Source: `plugin/pkg/admission/defaulttolerationseconds`.
#[derive(Clone, Copy, Debug)]
pub struct DefaultTolerations;

#[async_trait]
impl Admission for DefaultTolerations {
    fn name(&self) -> &'static str {
        "DefaultTolerationSeconds"
    }

    fn concerns(&self, attributes: &Attributes<'_>) -> bool {
        attributes.is_of("", "pods")
    }

    async fn admit(&self, _attributes: &Attributes<'_>, object: &mut dyn AnyResource) -> Result<(), Status> {
        let Some(pod) = object.as_any_mut().downcast_mut::<Pod>() else { return Ok(()) };
        let Some(spec) = &mut pod.spec else { return Ok(()) };
        for taint in TOLERATED {
            let tolerated = spec.tolerations.iter().flatten().any(|toleration| tolerates(toleration, taint));
            if !tolerated {
                spec.tolerations.get_or_insert_default().push(Toleration {
                    key: Some(taint.to_owned()),
                    operator: Some("Exists".to_owned()),
                    effect: Some("NoExecute".to_owned()),
                    toleration_seconds: Some(300),
                    value: None,
                });
            }
        }
        Ok(())
    }
}

fn tolerates(toleration: &Toleration, taint: &str) -> bool {
    let key = toleration.key.as_deref().unwrap_or("");
    let effect = toleration.effect.as_deref().unwrap_or("");
    (key == taint || key.is_empty()) && (effect == "NoExecute" || effect.is_empty())
}
