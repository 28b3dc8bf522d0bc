//! A kind from its Rust type, through the ecosystem's client.

use coracle::Cluster;
use coracle::k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{conditions, wait::await_condition};
use kube::{Api, CustomResource, CustomResourceExt, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "example.com", version = "v1", kind = "Website", namespaced, status = "WebsiteStatus", shortname = "ws")]
struct WebsiteSpec {
    host: String,
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 10))]
    replicas: i32,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
struct WebsiteStatus {
    ready: i32,
}

fn three() -> i32 {
    3
}

async fn round_trip(client: kube::Client) {
    let sites: Api<Website> = Api::namespaced(client, "default");
    let apply = PatchParams::apply("test");
    let wish = json!({"apiVersion": "example.com/v1", "kind": "Website", "metadata": {"name": "a"}, "spec": {"host": "a.com"}});
    let created = sites.patch("a", &apply, &Patch::Apply(&wish)).await.unwrap();
    assert_eq!((created.spec.replicas, created.metadata.generation), (3, Some(1)));
    let status = json!({"status": {"ready": 2}});
    let ready = sites.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(ready.status.unwrap().ready, 2);
    let refused = sites
        .create(&PostParams::default(), &Website::new("b", WebsiteSpec { host: "b.com".into(), replicas: 11 }))
        .await
        .unwrap_err();
    let kube::Error::Api(status) = refused else { panic!("{refused}") };
    assert_eq!(status.code, 422);
    assert!(status.message.contains("spec.replicas in body should be less than or equal to 10"), "{}", status.message);
    assert_eq!(
        sites.list(&Default::default()).await.unwrap().items.iter().map(|it| it.name_any()).collect::<Vec<_>>(),
        ["a"]
    );
}

#[tokio::test]
async fn a_kind_of_the_program_is_served_by_its_schema() {
    let cluster = Cluster::builder().seed(1).without_builtin_controllers().kind::<Website>().start().await.unwrap();
    round_trip(cluster.kube_client()).await;
    let site = cluster.api().namespaced::<Website>("default").get("a").unwrap();
    assert_eq!(site.spec.host, "a.com");
}

#[tokio::test]
async fn a_definition_that_a_client_brings_is_served() {
    let cluster = Cluster::builder().seed(1).without_builtin_controllers().start().await.unwrap();
    let client = cluster.kube_client();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    definitions.create(&PostParams::default(), &Website::crd()).await.unwrap();
    let established = await_condition(definitions, Website::crd_name(), conditions::is_crd_established());
    established.await.unwrap();
    round_trip(client).await;
}
