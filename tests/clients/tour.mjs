// The official JavaScript client, unmodified, finds nothing missing. Fails by an exception.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { PassThrough, Writable } from 'node:stream';
import * as k8s from '@kubernetes/client-node';

const namespace = 'javascript';
const group = 'javascript.example.dev';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const api = (type) => config.makeApiClient(type);
const [core, apps, custom] = [api(k8s.CoreV1Api), api(k8s.AppsV1Api), api(k8s.CustomObjectsApi)];
const names = (list) => list.items.map((item) => item.metadata.name);
const as = (strategy) => k8s.setHeaderOptions('Content-Type', strategy);

async function refused(code, reason, call) {
  const refusal = await call.then(() => assert.fail(`not refused with ${code}`), (error) => error);
  assert.equal(refusal.code, code, String(refusal));
  const status = JSON.parse(refusal.body);
  assert.equal(status.reason, reason);
  return status;
}

async function until(condition) {
  for (const end = Date.now() + 20_000; !(await condition()); ) {
    assert(Date.now() < end, `did not come true in time: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function configMap(name, labels = {}, data = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, labels }, data };
}

const create = (body, options = {}) => core.createNamespacedConfigMap({ namespace, body, ...options });

/** Text as it comes, and a promise of when it contains something. */
function collector() {
  let text = '';
  const stream = new Writable({ write(chunk, _encoding, done) { text += chunk; done(); } });
  return { stream, has: (part) => until(() => text.includes(part)), text: () => text };
}

async function discovery() {
  const version = await api(k8s.VersionApi).getCode();
  assert.match(version.gitVersion, /^v1\.36/);
  const groups = (await api(k8s.ApisApi).getAPIVersions()).groups.map((it) => it.name);
  assert(groups.includes('apps') && groups.includes('apiextensions.k8s.io'));
  const pods = (await core.getAPIResources()).resources.find((it) => it.name === 'pods');
  assert.deepEqual(pods.shortNames, ['po']);
}

async function objects() {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  const created = await create(configMap('map', {}, { a: 'b' }));
  assert(created.metadata.uid && created.metadata.creationTimestamp instanceof Date);
  await refused(409, 'AlreadyExists', create(configMap('map')));
  const invalid = await refused(422, 'Invalid', create(configMap('Bad_Name')));
  assert.equal(invalid.details.causes[0].field, 'metadata.name');

  const replace = (body) => core.replaceNamespacedConfigMap({ name: 'map', namespace, body });
  await replace({ ...created, data: { c: 'd' } });
  assert.deepEqual((await core.readNamespacedConfigMap({ name: 'map', namespace })).data, { c: 'd' });
  await refused(409, 'Conflict', replace(created));
  await create(configMap('tried'), { dryRun: 'All' });
  await refused(404, 'NotFound', core.readNamespacedConfigMap({ name: 'tried', namespace }));

  const secret = { metadata: { name: 'secret' }, stringData: { key: 'value' } };
  assert.equal((await core.createNamespacedSecret({ namespace, body: secret })).data.key, 'dmFsdWU=');
  const service = { metadata: { name: 'service' }, spec: { ports: [{ port: 80, targetPort: 'http' }] } };
  assert.match((await core.createNamespacedService({ namespace, body: service })).spec.clusterIP, /^10\.96\./);
  assert.equal((await core.deleteNamespacedConfigMap({ name: 'map', namespace })).status, 'Success');

  // The same objects, by what they say of themselves.
  const any = k8s.KubernetesObjectApi.makeApiClient(config);
  const generic = await any.create(configMap('generic'));
  assert.equal((await any.read(generic)).metadata.uid, generic.metadata.uid);
  const merged = { ...configMap('generic'), data: { x: 'y' } };
  assert.deepEqual((await any.patch(merged)).data, { x: 'y' });
  await any.delete(generic);
}

async function lists() {
  for (const number of [0, 1, 2, 3, 4]) {
    await create(configMap(`list-${number}`, { parity: number % 2 ? 'odd' : 'even' }));
  }
  const list = (options) => core.listNamespacedConfigMap({ namespace, ...options });
  assert.deepEqual(names(await list({ labelSelector: 'parity=odd' })), ['list-1', 'list-3']);
  assert.deepEqual(names(await list({ fieldSelector: 'metadata.name=list-2' })), ['list-2']);
  assert.equal(names(await core.listConfigMapForAllNamespaces({ labelSelector: 'parity' })).length, 5);
  let page = await list({ limit: 2 });
  const total = 2 + page.metadata.remainingItemCount;
  const seen = names(page);
  while (page.metadata._continue) {
    page = await list({ limit: 2, _continue: page.metadata._continue });
    seen.push(...names(page));
  }
  assert.equal(new Set(seen).size, total);
}

async function watches() {
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  /** Watches until so many events have come. */
  const events = (count, parameters, during) => new Promise((resolve, reject) => {
    const seen = [];
    const ended = (error) => (seen.length < count ? reject(error ?? new Error('ended early')) : undefined);
    const told = (type, object) => {
      if (seen.push([type, object.metadata.name, object.metadata.resourceVersion]) === count) {
        resolve(seen);
        started.then((controller) => controller.abort());
      }
    };
    const parametersOfAll = { labelSelector: 'watched=yes', ...parameters };
    const started = new k8s.Watch(config).watch(path, parametersOfAll, told, ended);
    started.then(() => during?.()).catch(reject);
  });
  const begin = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
  const patch = (body) => core.patchNamespacedConfigMap({ name: 'w', namespace, body }, as(k8s.PatchStrategy.MergePatch));
  const seen = await events(3, { resourceVersion: begin }, async () => {
    await create(configMap('w', { watched: 'yes' }));
    await patch({ data: { x: 'y' } });
    await patch({ metadata: { labels: { watched: 'no' } } });
  });
  assert.deepEqual(seen.map(([type]) => type), ['ADDED', 'MODIFIED', 'DELETED']);
  const resumed = await events(2, { resourceVersion: seen[0][2] });
  assert.deepEqual(resumed.map(([type]) => type), ['MODIFIED', 'DELETED']);

  const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'informed' });
  const informer = k8s.makeInformer(config, path, list, 'informed');
  await create(configMap('i-0', { informed: 'yes' }));
  await informer.start();
  assert(informer.get('i-0', namespace));
  await create(configMap('i-1', { informed: 'yes' }));
  await until(() => informer.get('i-1', namespace));
  await core.deleteNamespacedConfigMap({ name: 'i-0', namespace });
  await until(() => !informer.get('i-0', namespace));
  await informer.stop();
}

async function patches() {
  await create(configMap('p', {}, { a: '1', b: '2' }));
  const patch = (strategy, body, options = {}) =>
    core.patchNamespacedConfigMap({ name: 'p', namespace, body, ...options }, as(strategy));
  const removal = [{ op: 'remove', path: '/data/a' }];
  assert.deepEqual((await patch(k8s.PatchStrategy.JsonPatch, removal)).data, { b: '2' });
  assert.deepEqual((await patch(k8s.PatchStrategy.MergePatch, { data: { b: null, c: '3' } })).data, { c: '3' });
  const label = { metadata: { labels: { x: 'y' } } };
  assert.equal((await patch(k8s.PatchStrategy.StrategicMergePatch, label)).metadata.labels.x, 'y');

  const apply = (k, options) => core.patchNamespacedConfigMap(
    { name: 'applied', namespace, body: configMap('applied', {}, { k }), ...options },
    as(k8s.PatchStrategy.ServerSideApply),
  );
  assert.equal((await apply('one', { fieldManager: 'one' })).metadata.managedFields[0].manager, 'one');
  const conflict = await refused(409, 'Conflict', apply('two', { fieldManager: 'two' }));
  assert.equal(conflict.details.causes[0].reason, 'FieldManagerConflict');
  assert.equal((await apply('two', { fieldManager: 'two', force: true })).data.k, 'two');
}

function podSpec(script) {
  const container = { name: 'main', image: 'example', command: ['sh', '-c', script] };
  return { containers: [container], terminationGracePeriodSeconds: 1 };
}

async function workloads() {
  const labels = { app: 'web' };
  const template = { metadata: { labels }, spec: podSpec('exec sleep 1000') };
  const body = { metadata: { name: 'web' }, spec: { replicas: 1, selector: { matchLabels: labels }, template } };
  await apps.createNamespacedDeployment({ namespace, body });
  const web = { name: 'web', namespace };
  await until(async () => (await apps.readNamespacedDeploymentStatus(web)).status.readyReplicas === 1);
  const scale = await apps.readNamespacedDeploymentScale(web);
  scale.spec.replicas = 2;
  await apps.replaceNamespacedDeploymentScale({ ...web, body: scale });
  await until(async () => (await apps.readNamespacedDeploymentScale(web)).status.replicas === 2);
  await apps.deleteNamespacedDeployment({ ...web, propagationPolicy: 'Foreground' });
  await until(async () => (await apps.listNamespacedDeployment({ namespace })).items.length === 0);
}

async function streams() {
  const body = { metadata: { name: 'shell' }, spec: podSpec('echo one; echo two; echo three; exec sleep 1000') };
  await core.createNamespacedPod({ namespace, body });
  const shell = { name: 'shell', namespace };
  await until(async () => (await core.readNamespacedPod(shell)).status.phase === 'Running');
  await until(async () => (await core.readNamespacedPodLog(shell)) === 'one\ntwo\nthree\n');
  assert.equal(await core.readNamespacedPodLog({ ...shell, tailLines: 1 }), 'three\n');
  const followed = collector();
  const following = await new k8s.Log(config).log(namespace, 'shell', 'main', followed.stream, { follow: true });
  await followed.has('three\n');
  following.abort();

  const [out, err, input] = [collector(), collector(), new PassThrough()];
  const status = await new Promise((resolve, reject) => {
    const command = ['sh', '-c', 'read line; echo "$line"; echo bad >&2; exit 3'];
    new k8s.Exec(config)
      .exec(namespace, 'shell', 'main', command, out.stream, err.stream, input, false, resolve)
      .catch(reject);
    input.write('hello\n');
  });
  assert.deepEqual([out.text(), err.text(), status.status], ['hello\n', 'bad\n', 'Failure']);
  assert.deepEqual(status.details.causes, [{ reason: 'ExitCode', message: '3' }]);
}

async function forwards() {
  await core.createNamespacedPod({ namespace, body: k8s.loadYaml(await readFile(process.env.ECHO, 'utf8')) });
  const echo = { name: 'echo', namespace };
  await until(async () => (await core.readNamespacedPod(echo)).status.phase === 'Running');
  await until(async () => (await core.readNamespacedPodLog(echo)) === 'listening\n');
  const [heard, failed, input] = [collector(), collector(), new PassThrough()];
  const socket = await new k8s.PortForward(config).portForward(namespace, 'echo', [8080], heard.stream, failed.stream, input);
  input.write('hello\n');
  await heard.has('heard hello\n');
  assert.equal(failed.text(), '');
  socket.close();
}

async function customResources() {
  const definitions = api(k8s.ApiextensionsV1Api);
  const schema = {
    type: 'object',
    properties: { spec: { type: 'object', properties: { size: { type: 'integer', minimum: 1 } }, required: ['size'] } },
  };
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } };
  const name = `boats.${group}`;
  const spec = { group, scope: 'Namespaced', names: { plural: 'boats', kind: 'Boat' }, versions: [version] };
  await definitions.createCustomResourceDefinition({ body: { metadata: { name }, spec } });
  const established = ({ status }) => status?.conditions?.some((it) => it.type === 'Established' && it.status === 'True');
  await until(async () => established(await definitions.readCustomResourceDefinition({ name })));
  const place = { group, version: 'v1', namespace, plural: 'boats' };
  const boat = (size) => ({ apiVersion: `${group}/v1`, kind: 'Boat', metadata: { name: 'coracle' }, spec: { size } });
  await refused(422, 'Invalid', custom.createNamespacedCustomObject({ ...place, body: boat(0) }));
  await custom.createNamespacedCustomObject({ ...place, body: boat(1) });
  const merge = as(k8s.PatchStrategy.MergePatch);
  const patch = { ...place, name: 'coracle', body: { spec: { size: 2 } } };
  assert.equal((await custom.patchNamespacedCustomObject(patch, merge)).metadata.generation, 2);
  await custom.deleteCollectionNamespacedCustomObject(place);
  assert.equal((await custom.listNamespacedCustomObject(place)).items.length, 0);
  await definitions.deleteCustomResourceDefinition({ name });
}

async function theEnd() {
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'parity' });
  assert.equal((await core.listNamespacedConfigMap({ namespace, labelSelector: 'parity' })).items.length, 0);
  await core.deleteNamespace({ name: namespace });
  await until(async () => !names(await core.listNamespace()).includes(namespace));
}

const steps = [discovery, objects, lists, watches, patches, workloads, streams, customResources, forwards];
for (const step of [...steps, theEnd]) {
  const began = performance.now();
  await step();
  console.log(`${step.name}: ${((performance.now() - began) / 1000).toFixed(2)} s`);
}
process.exit(0); // Whatever the client keeps open must not keep the tour alive.
