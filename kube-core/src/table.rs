//! The built-in kinds of Kubernetes 1.36, one row each. Source: upstream's discovery with every version switched on.

use std::borrow::Cow;

use k8s_openapi::api;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;

use crate::kind::{GroupResource, Kind, Scoped, Subresource};
use crate::resource::{AnyResource, Codec};

type Verbs = &'static [&'static str];

const ALL: Verbs = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const CREATE: Verbs = &["create"];
const READ_WRITE: Verbs = &["get", "patch", "update"];

/// Every row. Order does not matter; the registry sorts.
pub(crate) fn rows() -> Vec<Kind> {
    vec![
        row::<api::core::v1::Binding>("io.k8s.api.core.v1.Binding").verbs(CREATE).build(),
        row::<api::core::v1::ComponentStatus>("io.k8s.api.core.v1.ComponentStatus")
            .verbs(&["get", "list"])
            .short(&["cs"])
            .build(),
        row::<api::core::v1::ConfigMap>("io.k8s.api.core.v1.ConfigMap").short(&["cm"]).build(),
        row::<api::core::v1::Endpoints>("io.k8s.api.core.v1.Endpoints").short(&["ep"]).build(),
        row::<api::core::v1::Event>("io.k8s.api.core.v1.Event").short(&["ev"]).build(),
        row::<api::core::v1::LimitRange>("io.k8s.api.core.v1.LimitRange").short(&["limits"]).build(),
        row::<api::core::v1::Namespace>("io.k8s.api.core.v1.Namespace")
            .verbs(&["create", "delete", "get", "list", "patch", "update", "watch"])
            .short(&["ns"])
            .sub("finalize", &["update"], ("", "v1", "Namespace"))
            .own("status")
            .build(),
        row::<api::core::v1::Node>("io.k8s.api.core.v1.Node")
            .short(&["no"])
            .sub("proxy", &["connect"], ("", "v1", "NodeProxyOptions"))
            .own("status")
            .build(),
        row::<api::core::v1::PersistentVolumeClaim>("io.k8s.api.core.v1.PersistentVolumeClaim")
            .short(&["pvc"])
            .own("status")
            .build(),
        row::<api::core::v1::PersistentVolume>("io.k8s.api.core.v1.PersistentVolume")
            .short(&["pv"])
            .own("status")
            .build(),
        row::<api::core::v1::Pod>("io.k8s.api.core.v1.Pod")
            .short(&["po"])
            .category("all")
            .sub("attach", &["connect"], ("", "v1", "PodAttachOptions"))
            .sub("binding", &["create"], ("", "v1", "Binding"))
            .own("ephemeralcontainers")
            .sub("eviction", &["create"], ("policy", "v1", "Eviction"))
            .sub("exec", &["connect"], ("", "v1", "PodExecOptions"))
            .sub("log", &["get"], ("", "v1", "Pod"))
            .sub("portforward", &["connect"], ("", "v1", "PodPortForwardOptions"))
            .sub("proxy", &["connect"], ("", "v1", "PodProxyOptions"))
            .own("resize")
            .own("status")
            .build(),
        row::<api::core::v1::PodTemplate>("io.k8s.api.core.v1.PodTemplate").build(),
        row::<api::core::v1::ReplicationController>("io.k8s.api.core.v1.ReplicationController")
            .short(&["rc"])
            .category("all")
            .scale()
            .own("status")
            .build(),
        row::<api::core::v1::ResourceQuota>("io.k8s.api.core.v1.ResourceQuota").short(&["quota"]).own("status").build(),
        row::<api::core::v1::Secret>("io.k8s.api.core.v1.Secret").build(),
        row::<api::core::v1::ServiceAccount>("io.k8s.api.core.v1.ServiceAccount")
            .short(&["sa"])
            .sub("token", &["create"], ("authentication.k8s.io", "v1", "TokenRequest"))
            .build(),
        row::<api::core::v1::Service>("io.k8s.api.core.v1.Service")
            .short(&["svc"])
            .category("all")
            .sub("proxy", &["connect"], ("", "v1", "ServiceProxyOptions"))
            .own("status")
            .build(),
        row::<api::admissionregistration::v1::MutatingAdmissionPolicy>(
            "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
        )
        .category("api-extensions")
        .build(),
        row::<api::admissionregistration::v1::MutatingAdmissionPolicyBinding>(
            "io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding",
        )
        .category("api-extensions")
        .build(),
        row::<api::admissionregistration::v1::MutatingWebhookConfiguration>(
            "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
        )
        .category("api-extensions")
        .build(),
        row::<api::admissionregistration::v1::ValidatingAdmissionPolicy>(
            "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
        )
        .category("api-extensions")
        .own("status")
        .build(),
        row::<api::admissionregistration::v1::ValidatingAdmissionPolicyBinding>(
            "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
        )
        .category("api-extensions")
        .build(),
        row::<api::admissionregistration::v1::ValidatingWebhookConfiguration>(
            "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
        )
        .category("api-extensions")
        .build(),
        row::<api::admissionregistration::v1alpha1::MutatingAdmissionPolicy>(
            "io.k8s.api.admissionregistration.v1alpha1.MutatingAdmissionPolicy",
        )
        .category("api-extensions")
        .stored("admissionregistration.k8s.io", "mutatingadmissionpolicies", "v1")
        .build(),
        row::<api::admissionregistration::v1alpha1::MutatingAdmissionPolicyBinding>(
            "io.k8s.api.admissionregistration.v1alpha1.MutatingAdmissionPolicyBinding",
        )
        .category("api-extensions")
        .stored("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "v1")
        .build(),
        row::<api::admissionregistration::v1beta1::MutatingAdmissionPolicy>(
            "io.k8s.api.admissionregistration.v1beta1.MutatingAdmissionPolicy",
        )
        .category("api-extensions")
        .stored("admissionregistration.k8s.io", "mutatingadmissionpolicies", "v1")
        .build(),
        row::<api::admissionregistration::v1beta1::MutatingAdmissionPolicyBinding>(
            "io.k8s.api.admissionregistration.v1beta1.MutatingAdmissionPolicyBinding",
        )
        .category("api-extensions")
        .stored("admissionregistration.k8s.io", "mutatingadmissionpolicybindings", "v1")
        .build(),
        row::<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>(
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
        )
        .short(&["crd", "crds"])
        .category("api-extensions")
        .own("status")
        .build(),
        row::<k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService>(
            "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
        )
        .category("api-extensions")
        .own("status")
        .build(),
        row::<api::apps::v1::ControllerRevision>("io.k8s.api.apps.v1.ControllerRevision").build(),
        row::<api::apps::v1::DaemonSet>("io.k8s.api.apps.v1.DaemonSet")
            .short(&["ds"])
            .category("all")
            .own("status")
            .build(),
        row::<api::apps::v1::Deployment>("io.k8s.api.apps.v1.Deployment")
            .short(&["deploy"])
            .category("all")
            .scale()
            .own("status")
            .build(),
        row::<api::apps::v1::ReplicaSet>("io.k8s.api.apps.v1.ReplicaSet")
            .short(&["rs"])
            .category("all")
            .scale()
            .own("status")
            .build(),
        row::<api::apps::v1::StatefulSet>("io.k8s.api.apps.v1.StatefulSet")
            .short(&["sts"])
            .category("all")
            .scale()
            .own("status")
            .build(),
        row::<api::authentication::v1::SelfSubjectReview>("io.k8s.api.authentication.v1.SelfSubjectReview")
            .verbs(CREATE)
            .build(),
        row::<api::authentication::v1::TokenReview>("io.k8s.api.authentication.v1.TokenReview").verbs(CREATE).build(),
        row::<api::authorization::v1::LocalSubjectAccessReview>("io.k8s.api.authorization.v1.LocalSubjectAccessReview")
            .verbs(CREATE)
            .build(),
        row::<api::authorization::v1::SelfSubjectAccessReview>("io.k8s.api.authorization.v1.SelfSubjectAccessReview")
            .verbs(CREATE)
            .build(),
        row::<api::authorization::v1::SelfSubjectRulesReview>("io.k8s.api.authorization.v1.SelfSubjectRulesReview")
            .verbs(CREATE)
            .build(),
        row::<api::authorization::v1::SubjectAccessReview>("io.k8s.api.authorization.v1.SubjectAccessReview")
            .verbs(CREATE)
            .build(),
        row::<api::autoscaling::v1::HorizontalPodAutoscaler>("io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler")
            .short(&["hpa"])
            .category("all")
            .stored("autoscaling", "horizontalpodautoscalers", "v2")
            .own("status")
            .build(),
        row::<api::autoscaling::v2::HorizontalPodAutoscaler>("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler")
            .short(&["hpa"])
            .category("all")
            .own("status")
            .build(),
        row::<api::batch::v1::CronJob>("io.k8s.api.batch.v1.CronJob")
            .short(&["cj"])
            .category("all")
            .own("status")
            .build(),
        row::<api::batch::v1::Job>("io.k8s.api.batch.v1.Job").category("all").own("status").build(),
        row::<api::certificates::v1::CertificateSigningRequest>("io.k8s.api.certificates.v1.CertificateSigningRequest")
            .short(&["csr"])
            .own("approval")
            .own("status")
            .build(),
        row::<api::certificates::v1alpha1::ClusterTrustBundle>("io.k8s.api.certificates.v1alpha1.ClusterTrustBundle")
            .stored("certificates.k8s.io", "clustertrustbundles", "v1beta1")
            .build(),
        row::<api::certificates::v1beta1::ClusterTrustBundle>("io.k8s.api.certificates.v1beta1.ClusterTrustBundle")
            .build(),
        row::<api::certificates::v1beta1::PodCertificateRequest>(
            "io.k8s.api.certificates.v1beta1.PodCertificateRequest",
        )
        .own("status")
        .build(),
        row::<api::coordination::v1::Lease>("io.k8s.api.coordination.v1.Lease").build(),
        row::<api::coordination::v1alpha2::LeaseCandidate>("io.k8s.api.coordination.v1alpha2.LeaseCandidate")
            .stored("coordination.k8s.io", "leasecandidates", "v1beta1")
            .build(),
        row::<api::coordination::v1beta1::LeaseCandidate>("io.k8s.api.coordination.v1beta1.LeaseCandidate").build(),
        row::<api::discovery::v1::EndpointSlice>("io.k8s.api.discovery.v1.EndpointSlice").build(),
        row::<api::events::v1::Event>("io.k8s.api.events.v1.Event").short(&["ev"]).stored("", "events", "v1").build(),
        row::<api::flowcontrol::v1::FlowSchema>("io.k8s.api.flowcontrol.v1.FlowSchema").own("status").build(),
        row::<api::flowcontrol::v1::PriorityLevelConfiguration>("io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration")
            .own("status")
            .build(),
        row::<api::apiserverinternal::v1alpha1::StorageVersion>("io.k8s.api.apiserverinternal.v1alpha1.StorageVersion")
            .own("status")
            .build(),
        row::<api::networking::v1::IngressClass>("io.k8s.api.networking.v1.IngressClass").build(),
        row::<api::networking::v1::Ingress>("io.k8s.api.networking.v1.Ingress").short(&["ing"]).own("status").build(),
        row::<api::networking::v1::IPAddress>("io.k8s.api.networking.v1.IPAddress").short(&["ip"]).build(),
        row::<api::networking::v1::NetworkPolicy>("io.k8s.api.networking.v1.NetworkPolicy").short(&["netpol"]).build(),
        row::<api::networking::v1::ServiceCIDR>("io.k8s.api.networking.v1.ServiceCIDR").own("status").build(),
        row::<api::networking::v1beta1::IPAddress>("io.k8s.api.networking.v1beta1.IPAddress")
            .short(&["ip"])
            .stored("networking.k8s.io", "ipaddresses", "v1")
            .build(),
        row::<api::networking::v1beta1::ServiceCIDR>("io.k8s.api.networking.v1beta1.ServiceCIDR")
            .stored("networking.k8s.io", "servicecidrs", "v1")
            .own("status")
            .build(),
        row::<api::node::v1::RuntimeClass>("io.k8s.api.node.v1.RuntimeClass").build(),
        row::<api::policy::v1::PodDisruptionBudget>("io.k8s.api.policy.v1.PodDisruptionBudget")
            .short(&["pdb"])
            .own("status")
            .build(),
        row::<api::rbac::v1::ClusterRoleBinding>("io.k8s.api.rbac.v1.ClusterRoleBinding").build(),
        row::<api::rbac::v1::ClusterRole>("io.k8s.api.rbac.v1.ClusterRole").build(),
        row::<api::rbac::v1::RoleBinding>("io.k8s.api.rbac.v1.RoleBinding").build(),
        row::<api::rbac::v1::Role>("io.k8s.api.rbac.v1.Role").build(),
        row::<api::resource::v1::DeviceClass>("io.k8s.api.resource.v1.DeviceClass").build(),
        row::<api::resource::v1::ResourceClaim>("io.k8s.api.resource.v1.ResourceClaim").own("status").build(),
        row::<api::resource::v1::ResourceClaimTemplate>("io.k8s.api.resource.v1.ResourceClaimTemplate").build(),
        row::<api::resource::v1::ResourceSlice>("io.k8s.api.resource.v1.ResourceSlice").build(),
        row::<api::resource::v1alpha3::DeviceTaintRule>("io.k8s.api.resource.v1alpha3.DeviceTaintRule")
            .stored("resource.k8s.io", "devicetaintrules", "v1beta2")
            .own("status")
            .build(),
        row::<api::resource::v1alpha3::ResourcePoolStatusRequest>(
            "io.k8s.api.resource.v1alpha3.ResourcePoolStatusRequest",
        )
        .own("status")
        .build(),
        row::<api::resource::v1beta1::DeviceClass>("io.k8s.api.resource.v1beta1.DeviceClass")
            .stored("resource.k8s.io", "deviceclasses", "v1")
            .build(),
        row::<api::resource::v1beta1::ResourceClaim>("io.k8s.api.resource.v1beta1.ResourceClaim")
            .stored("resource.k8s.io", "resourceclaims", "v1")
            .own("status")
            .build(),
        row::<api::resource::v1beta1::ResourceClaimTemplate>("io.k8s.api.resource.v1beta1.ResourceClaimTemplate")
            .stored("resource.k8s.io", "resourceclaimtemplates", "v1")
            .build(),
        row::<api::resource::v1beta1::ResourceSlice>("io.k8s.api.resource.v1beta1.ResourceSlice")
            .stored("resource.k8s.io", "resourceslices", "v1")
            .build(),
        row::<api::resource::v1beta2::DeviceClass>("io.k8s.api.resource.v1beta2.DeviceClass")
            .stored("resource.k8s.io", "deviceclasses", "v1")
            .build(),
        row::<api::resource::v1beta2::DeviceTaintRule>("io.k8s.api.resource.v1beta2.DeviceTaintRule")
            .own("status")
            .build(),
        row::<api::resource::v1beta2::ResourceClaim>("io.k8s.api.resource.v1beta2.ResourceClaim")
            .stored("resource.k8s.io", "resourceclaims", "v1")
            .own("status")
            .build(),
        row::<api::resource::v1beta2::ResourceClaimTemplate>("io.k8s.api.resource.v1beta2.ResourceClaimTemplate")
            .stored("resource.k8s.io", "resourceclaimtemplates", "v1")
            .build(),
        row::<api::resource::v1beta2::ResourceSlice>("io.k8s.api.resource.v1beta2.ResourceSlice")
            .stored("resource.k8s.io", "resourceslices", "v1")
            .build(),
        row::<api::scheduling::v1::PriorityClass>("io.k8s.api.scheduling.v1.PriorityClass").short(&["pc"]).build(),
        row::<api::scheduling::v1alpha2::PodGroup>("io.k8s.api.scheduling.v1alpha2.PodGroup").own("status").build(),
        row::<api::scheduling::v1alpha2::Workload>("io.k8s.api.scheduling.v1alpha2.Workload").build(),
        row::<api::storage::v1::CSIDriver>("io.k8s.api.storage.v1.CSIDriver").build(),
        row::<api::storage::v1::CSINode>("io.k8s.api.storage.v1.CSINode").build(),
        row::<api::storage::v1::CSIStorageCapacity>("io.k8s.api.storage.v1.CSIStorageCapacity").build(),
        row::<api::storage::v1::StorageClass>("io.k8s.api.storage.v1.StorageClass").short(&["sc"]).build(),
        row::<api::storage::v1::VolumeAttachment>("io.k8s.api.storage.v1.VolumeAttachment").own("status").build(),
        row::<api::storage::v1::VolumeAttributesClass>("io.k8s.api.storage.v1.VolumeAttributesClass")
            .short(&["vac"])
            .build(),
        row::<api::storage::v1beta1::VolumeAttributesClass>("io.k8s.api.storage.v1beta1.VolumeAttributesClass")
            .short(&["vac"])
            .stored("storage.k8s.io", "volumeattributesclasses", "v1")
            .build(),
        row::<api::storagemigration::v1beta1::StorageVersionMigration>(
            "io.k8s.api.storagemigration.v1beta1.StorageVersionMigration",
        )
        .own("status")
        .build(),
    ]
}

struct Row(Kind);

/// A row with the usual verbs, kept in its own version; the words below say where it differs.
fn row<K>(definition: &'static str) -> Row
where
    K: k8s_openapi::Metadata<Ty = ObjectMeta> + AnyResource + DeserializeOwned,
    K::Scope: Scoped,
{
    Row(Kind {
        group: Cow::Borrowed(K::GROUP),
        version: Cow::Borrowed(K::VERSION),
        kind: Cow::Borrowed(K::KIND),
        plural: Cow::Borrowed(K::URL_PATH_SEGMENT),
        singular: Cow::Owned(K::KIND.to_ascii_lowercase()),
        namespaced: K::Scope::NAMESPACED,
        verbs: Cow::Borrowed(ALL),
        short_names: Cow::Borrowed(&[]),
        categories: Cow::Borrowed(&[]),
        subresources: Cow::Borrowed(&[]),
        storage: GroupResource::new(K::GROUP, K::URL_PATH_SEGMENT),
        storage_version: Cow::Borrowed(K::VERSION),
        definition: Cow::Borrowed(definition),
        codec: Codec::of::<K>(),
        custom: None,
    })
}

impl Row {
    fn verbs(mut self, verbs: Verbs) -> Self {
        self.0.verbs = Cow::Borrowed(verbs);
        self
    }

    fn short(mut self, names: Verbs) -> Self {
        self.0.short_names = names.iter().map(|name| Cow::Borrowed(*name)).collect();
        self
    }

    fn category(mut self, name: &'static str) -> Self {
        self.0.categories.to_mut().push(Cow::Borrowed(name));
        self
    }

    fn stored(mut self, group: &'static str, resource: &'static str, version: &'static str) -> Self {
        self.0.storage = GroupResource::new(group, resource);
        self.0.storage_version = Cow::Borrowed(version);
        self
    }

    /// A subresource whose body is the object itself.
    fn own(self, name: &'static str) -> Self {
        let body = (self.0.group.clone(), self.0.version.clone(), self.0.kind.clone());
        self.subresource(Subresource { name: Cow::Borrowed(name), verbs: Cow::Borrowed(READ_WRITE), body })
    }

    fn scale(self) -> Self {
        self.sub("scale", READ_WRITE, ("autoscaling", "v1", "Scale"))
    }

    fn sub(
        self,
        name: &'static str,
        verbs: Verbs,
        (group, version, kind): (&'static str, &'static str, &'static str),
    ) -> Self {
        let body = (Cow::Borrowed(group), Cow::Borrowed(version), Cow::Borrowed(kind));
        self.subresource(Subresource { name: Cow::Borrowed(name), verbs: Cow::Borrowed(verbs), body })
    }

    fn subresource(mut self, subresource: Subresource) -> Self {
        self.0.subresources.to_mut().push(subresource);
        self
    }

    fn build(self) -> Kind {
        self.0
    }
}
