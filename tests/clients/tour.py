"""The official Python client, unmodified, finds nothing missing. Fails by an exception."""

import json
import os
import pathlib
import time

import yaml
from kubernetes import client, config, dynamic, watch
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward, stream
from kubernetes.utils import create_from_dict

NAMESPACE = "python"
GROUP = "python.example.dev"

config.load_kube_config()
api = client.ApiClient()
core, apps, batch = client.CoreV1Api(api), client.AppsV1Api(api), client.BatchV1Api(api)


def refused(code, reason, call, *arguments, **options):
    """The refusal that a call must get."""
    try:
        call(*arguments, **options)
    except ApiException as refusal:
        status = json.loads(refusal.body)
        assert (refusal.status, status["reason"]) == (code, reason), refusal
        return status
    raise AssertionError(f"{call.__name__} was not refused")


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not come true in time"
        time.sleep(0.05)


def config_map(name, labels=None, **data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels=labels), data=data)


def discovery():
    assert client.VersionApi(api).get_code().git_version.startswith("v1.36")
    groups = {group.name: group for group in client.ApisApi(api).get_api_versions().groups}
    assert groups["apps"].preferred_version.group_version == "apps/v1"
    assert "v1" in client.CoreApi(api).get_api_versions().versions
    pods = next(it for it in core.get_api_resources().resources if it.name == "pods")
    assert pods.short_names == ["po"] and pods.namespaced and "deletecollection" in pods.verbs
    assert client.AppsApi(api).get_api_group().preferred_version.version == "v1"


def objects():
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    created = core.create_namespaced_config_map(NAMESPACE, config_map("map", a="b"))
    assert created.metadata.uid and created.metadata.creation_timestamp.tzinfo
    refused(409, "AlreadyExists", core.create_namespaced_config_map, NAMESPACE, config_map("map"))
    invalid = refused(422, "Invalid", core.create_namespaced_config_map, NAMESPACE, config_map("Bad_Name"))
    assert invalid["details"]["causes"][0]["field"] == "metadata.name"

    created.data["c"] = "d"
    replaced = core.replace_namespaced_config_map("map", NAMESPACE, created)
    assert core.read_namespaced_config_map("map", NAMESPACE).data == {"a": "b", "c": "d"}
    refused(409, "Conflict", core.replace_namespaced_config_map, "map", NAMESPACE, created)
    assert int(replaced.metadata.resource_version) > int(created.metadata.resource_version)

    tried = core.create_namespaced_config_map(NAMESPACE, config_map("tried"), dry_run="All")
    assert tried.metadata.uid
    refused(404, "NotFound", core.read_namespaced_config_map, "tried", NAMESPACE)
    refused(400, "BadRequest", core.create_namespaced_config_map, NAMESPACE,
            {"metadata": {"name": "strict"}, "dato": {}}, field_validation="Strict")

    secret = client.V1Secret(metadata=client.V1ObjectMeta(name="secret"), string_data={"key": "value"})
    assert core.create_namespaced_secret(NAMESPACE, secret).data == {"key": "dmFsdWU="}
    port = client.V1ServicePort(port=80, target_port="http")
    service = client.V1Service(metadata=client.V1ObjectMeta(name="service"), spec=client.V1ServiceSpec(ports=[port]))
    service = core.create_namespaced_service(NAMESPACE, service)
    assert service.spec.cluster_ip.startswith("10.96.") and service.spec.ports[0].target_port == "http"
    assert core.delete_namespaced_config_map("map", NAMESPACE).status == "Success"
    assert core.delete_namespaced_service("service", NAMESPACE).metadata.uid == service.metadata.uid


def lists():
    for number in range(5):
        labels = {"parity": "odd" if number % 2 else "even"}
        core.create_namespaced_config_map(NAMESPACE, config_map(f"list-{number}", labels))
    names = lambda found: [item.metadata.name for item in found.items]
    list_maps = core.list_namespaced_config_map
    assert names(list_maps(NAMESPACE, label_selector="parity=odd")) == ["list-1", "list-3"]
    assert names(list_maps(NAMESPACE, label_selector="parity in (even),!x")) == ["list-0", "list-2", "list-4"]
    assert names(list_maps(NAMESPACE, field_selector="metadata.name=list-2")) == ["list-2"]
    assert names(core.list_config_map_for_all_namespaces(label_selector="parity=odd")) == ["list-1", "list-3"]

    page = list_maps(NAMESPACE, limit=2)
    seen, revision, total = names(page), page.metadata.resource_version, 2 + page.metadata.remaining_item_count
    core.create_namespaced_config_map(NAMESPACE, config_map("list-9"))  # Not in the list that has begun.
    while token := page.metadata._continue:
        page = list_maps(NAMESPACE, limit=2, _continue=token)
        assert page.metadata.resource_version == revision
        seen += names(page)
    assert "list-9" not in seen and seen == sorted(set(seen)) and len(seen) == total
    exact = list_maps(NAMESPACE, resource_version=revision, resource_version_match="Exact")
    assert names(exact) == seen


def watches():
    watched = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, label_selector="watched=yes")
    core.create_namespaced_config_map(NAMESPACE, config_map("w", {"watched": "yes"}))
    event = next(watched)
    assert (event["type"], event["object"].metadata.name) == ("ADDED", "w"), event
    resume = event["object"].metadata.resource_version
    core.patch_namespaced_config_map("w", NAMESPACE, {"data": {"x": "y"}})
    core.patch_namespaced_config_map("w", NAMESPACE, {"metadata": {"labels": {"watched": "no"}}})
    assert [next(watched)["type"] for _ in range(2)] == ["MODIFIED", "DELETED"]
    resumed = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, label_selector="watched=yes",
                                   resource_version=resume, allow_watch_bookmarks=True)
    assert [next(resumed)["type"] for _ in range(2)] == ["MODIFIED", "DELETED"]
    refused_watch = watch.Watch().stream(core.list_namespaced_config_map, NAMESPACE, resource_version="x")
    refused(422, "Invalid", lambda: next(refused_watch))


def patches():
    core.create_namespaced_config_map(NAMESPACE, config_map("p", a="1", b="2"))
    patch = core.patch_namespaced_config_map
    assert patch("p", NAMESPACE, [{"op": "test", "path": "/data/a", "value": "1"},
                                  {"op": "remove", "path": "/data/a"}]).data == {"b": "2"}
    assert patch("p", NAMESPACE, {"data": {"b": None, "c": "3"}},
                 _content_type="application/merge-patch+json").data == {"c": "3"}
    assert patch("p", NAMESPACE, {"metadata": {"labels": {"x": "y"}}}).metadata.labels == {"x": "y"}
    refused(422, "Invalid", patch, "p", NAMESPACE, [{"op": "test", "path": "/data/c", "value": "no"}])


def applies():
    wish = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"k": "one"}}
    apply = lambda body, **options: core.patch_namespaced_config_map(
        "applied", NAMESPACE, body, _content_type="application/apply-patch+yaml", **options)
    assert apply(wish, field_manager="one").metadata.managed_fields[0].manager == "one"
    other = {**wish, "data": {"k": "two"}}
    conflict = refused(409, "Conflict", apply, other, field_manager="two")
    assert conflict["details"]["causes"][0]["reason"] == "FieldManagerConflict"
    assert apply(other, field_manager="two", force=True).data == {"k": "two"}
    assert not apply({**wish, "data": {}}, field_manager="two", force=True).data


def pod(name, script):
    container = client.V1Container(name="main", image="example", command=["sh", "-c", script])
    spec = client.V1PodSpec(containers=[container], termination_grace_period_seconds=1)
    return client.V1Pod(metadata=client.V1ObjectMeta(name=name, labels={"app": "web"}), spec=spec)


def workloads():
    template = client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(labels={"app": "web"}), spec=pod("", "sleep 1000").spec)
    spec = client.V1DeploymentSpec(replicas=1, template=template, selector=client.V1LabelSelector(match_labels={"app": "web"}))
    deployment = client.V1Deployment(metadata=client.V1ObjectMeta(name="web"), spec=spec)
    assert apps.create_namespaced_deployment(NAMESPACE, deployment).spec.revision_history_limit == 10
    until(lambda: apps.read_namespaced_deployment_status("web", NAMESPACE).status.ready_replicas == 1)
    assert apps.read_namespaced_deployment_scale("web", NAMESPACE).spec.replicas == 1
    apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 2}})
    until(lambda: apps.read_namespaced_deployment_scale("web", NAMESPACE).status.replicas == 2)
    condition = {"type": "Mine", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    patched = apps.patch_namespaced_deployment_status("web", NAMESPACE, {"status": {"conditions": [condition]}})
    assert "Mine" in [condition.type for condition in patched.status.conditions]
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": ["true"]}]}}}}
    create_from_dict(api, job, namespace=NAMESPACE)
    until(lambda: batch.read_namespaced_job_status("once", NAMESPACE).status.succeeded == 1)
    apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")
    until(lambda: not apps.list_namespaced_deployment(NAMESPACE).items)


def streams():
    core.create_namespaced_pod(NAMESPACE, pod("shell", "echo one; echo two; echo three; exec sleep 1000"))
    until(lambda: core.read_namespaced_pod("shell", NAMESPACE).status.phase == "Running")
    # As bytes: this client's texts of logs are the repr of bytes, whatever the server says.
    log = lambda **options: core.read_namespaced_pod_log("shell", NAMESPACE, _preload_content=False, **options).data
    until(lambda: log() == b"one\ntwo\nthree\n")
    assert log(tail_lines=1) == b"three\n"
    followed = watch.Watch().stream(core.read_namespaced_pod_log, "shell", NAMESPACE, follow=True)
    assert [next(followed) for _ in range(3)] == ["one", "two", "three"]

    execute = lambda *command, **options: stream(core.connect_get_namespaced_pod_exec, "shell", NAMESPACE,
                                                 command=list(command), stdout=True, stderr=True, **options)
    assert execute("echo", "hello") == "hello\n"
    session = execute("sh", stdin=True, _preload_content=False)
    session.write_stdin("echo in; echo out >&2; exit 3\n")
    session.run_forever(timeout=10)
    assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("in\n", "out\n", 3)


def forwards():
    echo = yaml.safe_load(pathlib.Path(os.environ["ECHO"]).read_text())
    core.create_namespaced_pod(NAMESPACE, echo)
    log = lambda: core.read_namespaced_pod_log("echo", NAMESPACE, _preload_content=False).data
    until(lambda: core.read_namespaced_pod("echo", NAMESPACE).status.phase == "Running")
    until(lambda: log() == b"listening\n")
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, "echo", NAMESPACE, ports="8080")
    connection = forwarded.socket(8080)
    connection.setblocking(True)
    connection.sendall(b"hello\n")
    assert connection.recv(64) == b"heard hello\n"
    connection.close()
    assert forwarded.error(8080) is None, forwarded.error(8080)


def custom_resources():
    schema = {"type": "object", "properties": {
        "spec": {"type": "object", "required": ["size"], "properties": {
            "size": {"type": "integer", "minimum": 1}, "color": {"type": "string", "default": "blue"}}},
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
               "subresources": {"status": {}}}
    names = {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"}
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                  "metadata": {"name": f"boats.{GROUP}"},
                  "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}}
    extensions = client.ApiextensionsV1Api(api)
    extensions.create_custom_resource_definition(definition)
    established = lambda it: any(c.type == "Established" and c.status == "True" for c in it.status.conditions or [])
    until(lambda: established(extensions.read_custom_resource_definition(f"boats.{GROUP}")))

    custom, place = client.CustomObjectsApi(api), (GROUP, "v1", NAMESPACE, "boats")
    boat = {"apiVersion": f"{GROUP}/v1", "kind": "Boat", "metadata": {"name": "coracle"}, "spec": {"size": 1}}
    assert custom.create_namespaced_custom_object(*place, boat)["spec"] == {"size": 1, "color": "blue"}
    invalid = {**boat, "metadata": {"name": "none"}, "spec": {"size": 0}}
    refused(422, "Invalid", custom.create_namespaced_custom_object, *place, invalid)
    patched = custom.patch_namespaced_custom_object(*place, "coracle", {"spec": {"color": "red"}})
    assert patched["metadata"]["generation"] == 2
    custom.patch_namespaced_custom_object_status(*place, "coracle", {"status": {"afloat": True}})

    boats = dynamic.DynamicClient(api).resources.get(api_version=f"{GROUP}/v1", kind="Boat")
    assert boats.get(name="coracle", namespace=NAMESPACE).status.afloat is True
    applied = boats.server_side_apply(body={**boat, "spec": {"size": 2}}, name="coracle", namespace=NAMESPACE,
                                      field_manager="python", force_conflicts=True)
    assert applied.spec.size == 2
    custom.delete_collection_namespaced_custom_object(*place)
    assert not custom.list_namespaced_custom_object(*place)["items"]
    extensions.delete_custom_resource_definition(f"boats.{GROUP}")


def access():
    spec = client.V1SelfSubjectAccessReviewSpec(
        resource_attributes=client.V1ResourceAttributes(verb="create", resource="pods", namespace=NAMESPACE))
    review = client.AuthorizationV1Api(api).create_self_subject_access_review(
        client.V1SelfSubjectAccessReview(spec=spec))
    assert review.status.allowed
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "robot"}})
    token = core.create_namespaced_service_account_token("robot", NAMESPACE, {"spec": {"expirationSeconds": 600}})
    settings = client.Configuration.get_default_copy()
    settings.cert_file = settings.key_file = None
    settings.api_key = {"authorization": f"Bearer {token.status.token}"}
    robot = client.CoreV1Api(client.ApiClient(settings))
    refused(403, "Forbidden", robot.list_namespaced_secret, NAMESPACE)


def the_end():
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="parity")
    assert not core.list_namespaced_config_map(NAMESPACE, label_selector="parity").items
    core.delete_namespace(NAMESPACE)
    until(lambda: NAMESPACE not in [item.metadata.name for item in core.list_namespace().items])


STEPS = [discovery, objects, lists, watches, patches, applies, workloads, streams, custom_resources, access, forwards]
for step in [*STEPS, the_end]:
    began = time.monotonic()
    step()
    print(f"{step.__name__}: {time.monotonic() - began:.2f} s", flush=True)
