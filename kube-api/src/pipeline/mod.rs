//! The one way in: every change of the cluster, whoever asks for it, goes through here.
//!
//! A request is *prepared* against the newest world (decode, merge, default, admit, validate, stamp) and becomes a draft; the
//! draft is *committed* under the expectation that the object has not changed meanwhile. If it has, an edit or a patch is
//! prepared again, and a replacement with a stale `resourceVersion` is refused.
//!
//! | file | what it holds |
//! |---|---|
//! | `ledger` | commits, and the world that is read back from the store |
//! | `group` | writers who are ready at the same moment share a commit |
//! | `body` | JSON from outside becomes a value, or a refusal |
//! | `create`, `update`, `patch`, `delete` | what each action makes of its object |
//! | `answer` | what is answered and never kept: reviews and tokens; who may grant what |
//! | `subresource` | binding, eviction, scale, and which part of an object each subresource may write |
//! | `custom` | the usual care of kinds without rules of their own |
//! | `version` | objects that a webhook converts between the version asked and the version kept |
//! | `ownership` | managed fields |

mod answer;
mod body;
mod create;
mod custom;
mod delete;
mod group;
mod ledger;
mod ownership;
mod patch;
mod subresource;
mod update;
mod version;

use std::sync::Arc;

use async_trait::async_trait;
use coracle_core::rules::{self, Rules};
use coracle_core::{
    Action, AnyResource, Clock, Edit, Effect, Entropy, Feed, Gateway, Happening, Kind, Object, ObjectKey, ObjectRef,
    Options, Reason, Request, Response, Status, Target, User, World,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::DeleteOptions;

use self::ledger::{Draft, Outcome, Refused};
pub use self::ledger::{Ledger, PREFIX, collection_prefix, place_of, store_key};
use crate::admission::{Admission, Attributes, Hold, Notes, Operation};
use crate::allocator::Allocator;
use crate::auth::Auth;
use crate::auth::reviews::is_review;
use crate::outbound::{Network, Outbound};
use crate::recorder::Recorder;

/// How often a change is prepared anew because another writer came first, before it is refused as a conflict.
const ATTEMPTS_MAX: usize = 64;

/// Requests that are prepared before their drafts are committed: enough to share a commit, few enough that others get their turn.
const TOGETHER_MAX: usize = 256;

/// What a pipeline is made of, beyond its ledger.
pub struct Settings {
    /// The cluster's time.
    pub clock: Arc<dyn Clock>,
    /// The cluster's ids and randomness.
    pub entropy: Arc<Entropy>,
    /// The chain of admission plugins, in order.
    pub admission: Vec<Box<dyn Admission>>,
}

/// The one way in. Share it as an `Arc`; it is the cluster's [`Gateway`].
pub struct Pipeline {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
    admission: Vec<Box<dyn Admission>>,
    allocator: Allocator,
    recorder: Recorder,
    auth: Auth,
    outbound: Arc<dyn Outbound>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pipeline").field("ledger", &self.ledger).finish_non_exhaustive()
    }
}

/// One request on its way, with what was looked up for it.
struct Call<'a> {
    world: Arc<World>,
    /// The row of the version that was asked for.
    kind: Arc<Kind>,
    /// The row of the version that is kept.
    stored: Arc<Kind>,
    rules: Option<&'static Rules>,
    target: &'a Target,
    options: &'a Options,
    user: &'a User,
    warnings: Vec<String>,
    /// What admission tells and holds.
    notes: Notes,
    /// How it is deleted, if it is.
    deletion: Option<DeleteOptions>,
    /// Whether an apply has settled who owns what.
    applied: bool,
    /// Whether admission has decided already, about the order that this is part of.
    admitted: bool,
    /// The object in the version asked, if a webhook had to make it.
    converted: Option<Arc<Object>>,
    /// Whether the object is kept in an older version than it would be now. A write that changes nothing else then renews it.
    is_outdated: bool,
}

/// What a writer hears if another one came first. Where there is no such answer, the request is prepared again.
enum Overtaken {
    /// The name of a new object of this kind is taken.
    Taken(Arc<Kind>),
    /// So is the name that was made up here.
    Collided(Arc<Kind>),
    /// The version that was to be replaced is no longer the newest.
    Stale(Arc<Kind>),
}

impl Overtaken {
    fn status(&self, name: &str) -> Status {
        match self {
            Self::Taken(kind) => Status::already_exists(&kind.group_resource(), name),
            Self::Collided(kind) => {
                let why = "the server was not able to generate a unique name for the object";
                let resource = kind.group_resource();
                Status::new(Reason::AlreadyExists, format!("{resource} \"{name}\" already exists, {why}"))
            }
            Self::Stale(kind) => Status::stale(&kind.group_resource(), name),
        }
    }
}

/// What preparing a request came to.
enum Prepared {
    /// Nothing has to be committed.
    Done(Response),
    /// A draft to commit, what it is, and what to say if another writer comes first. What is held
    /// is dropped when the draft is in the world, or refused.
    Draft { draft: Draft, effect: Effect, warnings: Vec<String>, overtaken: Option<Overtaken>, held: Vec<Hold> },
}

impl Pipeline {
    /// A pipeline over a ledger.
    #[must_use]
    pub fn new(ledger: Ledger, settings: Settings) -> Self {
        let Settings { clock, entropy, admission } = settings;
        let auth = Auth::new(ledger.feed().clone());
        let (allocator, recorder) = (Allocator::default(), Recorder::default());
        let outbound = Arc::new(Network::new(ledger.feed().clone(), clock.clone()));
        Self { ledger: Arc::new(ledger), clock, entropy, admission, allocator, recorder, auth, outbound }
    }

    /// With another way to webhooks than the network.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Arc<dyn Outbound>) -> Self {
        self.outbound = outbound;
        self
    }

    /// The way to webhooks.
    #[must_use]
    pub fn outbound(&self) -> &Arc<dyn Outbound> {
        &self.outbound
    }

    /// With other answers to who may do what than roles and bindings give, and with tokens.
    #[must_use]
    pub fn with_auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// The store and the world.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What is to become Events.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    async fn run(&self, request: Request) -> Result<Response, Status> {
        if matches!(request.action, Action::DeleteCollection { .. }) {
            return self.delete_collection(request).await;
        }
        self.run_one(request, false).await
    }

    /// `admitted` says that admission has decided already.
    async fn run_one(&self, mut request: Request, admitted: bool) -> Result<Response, Status> {
        for _ in 0..ATTEMPTS_MAX {
            match self.prepare(&mut request, admitted).await? {
                Prepared::Done(response) => return Ok(response),
                Prepared::Draft { draft, effect, warnings, overtaken, held } => {
                    let place = draft.place.clone();
                    let result = self.ledger.commit(vec![draft]).await.pop();
                    drop(held);
                    match self.finish(&place, result, effect, warnings, overtaken) {
                        Some(answer) => return answer,
                        None => continue,
                    }
                }
            }
        }
        Err(Status::stale(&request.target.resource, &request.target.name))
    }

    /// The answer to a committed draft; `None` if the request has to be prepared again.
    fn finish(
        &self,
        place: &ObjectRef,
        result: Option<Outcome>,
        effect: Effect,
        warnings: Vec<String>,
        overtaken: Option<Overtaken>,
    ) -> Option<Result<Response, Status>> {
        match result {
            Some(Ok(object)) => {
                self.allocator.committed(&object, effect);
                Some(Ok(Response { object: Some(object), objects: Vec::new(), effect, warnings }))
            }
            Some(Err(Refused::Conflict { exists })) => match overtaken {
                Some(overtaken) => Some(Err(overtaken.status(place.key.name()))),
                None if !exists && effect != Effect::Created => {
                    Some(Err(Status::not_found(&place.resource, place.key.name())))
                }
                None => None,
            },
            Some(Err(Refused::Unknown(error))) => Some(Err(Status::internal(error))),
            None => Some(Err(Status::internal("the store answered fewer writes than it was given"))),
        }
    }

    async fn prepare(&self, request: &mut Request, admitted: bool) -> Result<Prepared, Status> {
        let Request { target, action, options, user } = request;
        let mut call = self.call(target, options, user)?;
        call.admitted = admitted;
        let kept = call.stored.clone();
        let is_converted = self.ask_in_version(&mut call).await?;
        let prepared = self.dispatch(&mut call, action).await;
        call.remark();
        let prepared = prepared?;
        match prepared {
            Prepared::Draft { draft, effect, warnings, overtaken, held } if is_converted => {
                let draft = self.keep_in_version(&call, draft, kept).await?;
                Ok(Prepared::Draft { draft, effect, warnings, overtaken, held })
            }
            prepared => Ok(prepared),
        }
    }

    async fn dispatch(&self, call: &mut Call<'_>, action: &mut Action) -> Result<Prepared, Status> {
        let below = call.target.subresource.clone();
        match (action, &*below) {
            (Action::Create(body), "") if !call.kind.is_stored() => self.answer(call, body).await,
            (Action::Create(body), "token") => self.token(call, body).await,
            (Action::Create(body), "") => self.create(call, body).await,
            (Action::Create(body), "binding") => self.bind(call, body).await,
            (Action::Create(body), "eviction") => self.evict(call, body).await,
            (Action::Connect(body), _) => self.connect(call, body).await,
            (Action::Delete(options), "") => self.delete(call, options).await,
            (Action::Update(body), "scale") => self.update_scale(call, body).await,
            (Action::Patch(patch), "scale") => self.patch_scale(call, patch).await,
            (Action::Update(body), _) => self.replace(call, body).await,
            (Action::Patch(patch), _) => self.patch(call, patch).await,
            (Action::Edit(edit), _) => self.edit(call, edit).await,
            (Action::Create(_) | Action::Delete(_) | Action::DeleteCollection { .. }, _) => {
                Err(Status::method_not_allowed())
            }
        }
    }

    fn call<'a>(&self, target: &'a Target, options: &'a Options, user: &'a User) -> Result<Call<'a>, Status> {
        let world = self.ledger.feed().world();
        let kinds = world.kinds();
        let kind = match &target.version {
            Some(version) => kinds.get(&target.resource.group, version, &target.resource.resource),
            None => kinds.storage(&target.resource),
        };
        let kind = kind.cloned().ok_or_else(Status::no_such_path)?;
        let stored = kinds.storage(&kind.storage).cloned().ok_or_else(Status::no_such_path)?;
        if !kind.is_stored() && !is_review(&kind) {
            let what = format!("{} is not implemented by this server", kind.group_resource());
            return Err(Status::new(Reason::MethodNotAllowed, what));
        }
        if !target.subresource.is_empty() && kind.subresource(&target.subresource).is_none() {
            return Err(Status::no_such_path());
        }
        if kind.namespaced == target.namespace.is_empty() {
            return Err(Status::bad_request("an empty namespace may not be set during creation"));
        }
        let rules = rules::lookup(&stored.group, &stored.version, &stored.kind);
        Ok(Call {
            world,
            kind,
            stored,
            rules,
            target,
            options,
            user,
            warnings: Vec::new(),
            notes: Notes::default(),
            deletion: None,
            applied: false,
            admitted: false,
            converted: None,
            is_outdated: false,
        })
    }

    async fn admit(
        &self,
        call: &Call<'_>,
        operation: Operation,
        old: Option<&Object>,
        object: &mut dyn AnyResource,
    ) -> Result<(), Status> {
        if call.admitted {
            return Ok(());
        }
        let attributes = self.attributes(call, operation, old, Some(&*object));
        for plugin in &self.admission {
            if plugin.concerns(&attributes) {
                plugin.admit(&attributes, object).await?;
            }
        }
        // A webhook has changed the object, so those before it may have more to say.
        if call.notes.take_again() {
            for plugin in &self.admission {
                if plugin.concerns(&attributes) {
                    plugin.admit(&attributes, object).await?;
                }
            }
        }
        Ok(())
    }

    async fn review(
        &self,
        call: &Call<'_>,
        operation: Operation,
        old: Option<&Object>,
        object: Option<&dyn AnyResource>,
    ) -> Result<(), Status> {
        if call.admitted {
            return Ok(());
        }
        let attributes = self.attributes(call, operation, old, object);
        for plugin in &self.admission {
            if plugin.concerns(&attributes) {
                plugin.review(&attributes, object).await?;
            }
        }
        Ok(())
    }

    /// Both steps of admission for the body of an order, which is not kept.
    async fn admit_order(
        &self,
        call: &Call<'_>,
        operation: Operation,
        old: Option<&Object>,
        order: &mut dyn AnyResource,
    ) -> Result<(), Status> {
        self.admit(call, operation, old, order).await?;
        self.review(call, operation, old, Some(order)).await
    }

    fn attributes<'a>(
        &'a self,
        call: &'a Call<'_>,
        operation: Operation,
        old: Option<&'a Object>,
        object: Option<&dyn AnyResource>,
    ) -> Attributes<'a> {
        let body = object.filter(|_| call.target.name.is_empty()).map(AnyResource::metadata);
        let given_name = body.and_then(|body| body.name.clone().or_else(|| body.generate_name.clone()));
        Attributes {
            operation,
            kind: &call.kind,
            target: call.target,
            given_name: given_name.unwrap_or_default(),
            old,
            user: call.user,
            world: &call.world,
            feed: self.ledger.feed(),
            authorizer: &*self.auth.authorizer,
            options: call.options,
            deletion: call.deletion.as_ref(),
            notes: &call.notes,
            outbound: &*self.outbound,
            entropy: &self.entropy,
        }
    }
}

impl Call<'_> {
    fn place(&self) -> ObjectRef {
        let key = ObjectKey::new(&self.target.namespace, &self.target.name);
        ObjectRef { resource: self.stored.storage.clone(), key }
    }

    /// The object as it is now, in a version that this call can work with.
    fn current(&self) -> Option<Arc<Object>> {
        self.converted.clone().or_else(|| self.world.at(&self.place()).cloned())
    }

    fn existing(&self) -> Result<Arc<Object>, Status> {
        self.current().ok_or_else(|| self.not_found())
    }

    fn not_found(&self) -> Status {
        Status::not_found(&self.kind.group_resource(), &self.target.name)
    }

    /// Answers a request without committing: for dry runs and for changes that change nothing.
    fn done(&mut self, object: Arc<Object>, effect: Effect) -> Prepared {
        let warnings = self.take_warnings();
        Prepared::Done(Response { object: Some(object), objects: Vec::new(), effect, warnings })
    }

    fn draft(&mut self, draft: Draft, effect: Effect, overtaken: Option<Overtaken>) -> Prepared {
        let held = self.notes.take_holds();
        Prepared::Draft { draft, effect, warnings: self.take_warnings(), overtaken, held }
    }

    /// Tells those who listen what has not gone into an answer.
    fn remark(&mut self) {
        let mut told = self.notes.take_told();
        if self.options.remarks.are_heard() {
            told.warnings.append(&mut self.warnings);
            self.options.remarks.add(told);
        }
    }

    fn take_warnings(&mut self) -> Vec<String> {
        let mut warnings = std::mem::take(&mut self.warnings);
        warnings.extend(self.notes.take_warnings());
        warnings
    }

    /// A draft of a new version, or its answer if this is a dry run.
    fn submit(
        &mut self,
        mut value: Box<dyn AnyResource>,
        stored: bytes::Bytes,
        expect: coracle_store::Expect,
        effect: Effect,
        overtaken: Option<Overtaken>,
    ) -> Result<Prepared, Status> {
        if self.options.dry_run {
            if let coracle_store::Expect::Revision(revision) = expect {
                value.metadata_mut().resource_version = Some(revision.to_string());
            }
            let object = Object::transient(self.stored.clone(), value).map_err(Status::internal)?;
            return Ok(self.done(Arc::new(object), effect));
        }
        let place = ObjectRef { resource: self.stored.storage.clone(), key: ObjectKey::of(value.metadata()) };
        let draft = Draft { place, kind: self.stored.clone(), version: Some((value, stored)), expect };
        Ok(self.draft(draft, effect, overtaken))
    }
}

/// The bytes the store keeps of a value: without its `resourceVersion`.
fn encode(value: &mut dyn AnyResource) -> Result<bytes::Bytes, Status> {
    value.metadata_mut().resource_version = None;
    value.encode().map(Into::into).map_err(Status::internal)
}

#[async_trait]
impl Gateway for Pipeline {
    async fn execute(&self, request: Request) -> Result<Response, Status> {
        self.run(request).await
    }

    async fn execute_all(&self, mut requests: Vec<Request>) -> Vec<Result<Response, Status>> {
        let mut answers = Vec::with_capacity(requests.len());
        while !requests.is_empty() {
            let rest = requests.split_off(requests.len().min(TOGETHER_MAX));
            answers.append(&mut self.run_together(requests).await);
            requests = rest;
        }
        answers
    }

    fn feed(&self) -> &Arc<Feed> {
        self.ledger.feed()
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn entropy(&self) -> &Arc<Entropy> {
        &self.entropy
    }

    fn record(&self, happening: Happening) {
        self.recorder.record(happening);
    }
}

impl Pipeline {
    /// Prepares requests one after another, commits their drafts at once, and repeats those that another writer overtook.
    async fn run_together(&self, mut requests: Vec<Request>) -> Vec<Result<Response, Status>> {
        let mut answers: Vec<Option<Result<Response, Status>>> = Vec::with_capacity(requests.len());
        let (mut drafts, mut waiting, mut holds) = (Vec::new(), Vec::new(), Vec::new());
        for (index, request) in requests.iter_mut().enumerate() {
            if matches!(request.action, Action::DeleteCollection { .. }) {
                answers.push(None);
                continue;
            }
            answers.push(match self.prepare(request, false).await {
                Ok(Prepared::Done(response)) => Some(Ok(response)),
                Ok(Prepared::Draft { draft, effect, warnings, overtaken, mut held }) => {
                    waiting.push((index, draft.place.clone(), effect, warnings, overtaken));
                    drafts.push(draft);
                    holds.append(&mut held);
                    None
                }
                Err(status) => Some(Err(status)),
            });
        }
        let results = self.ledger.commit(drafts).await;
        drop(holds);
        for ((index, place, effect, warnings, overtaken), result) in waiting.into_iter().zip(results) {
            if let Some(answer) = answers.get_mut(index) {
                *answer = self.finish(&place, Some(result), effect, warnings, overtaken);
            }
        }
        let mut all = Vec::with_capacity(answers.len());
        for (answer, request) in answers.into_iter().zip(requests) {
            all.push(match answer {
                Some(answer) => answer,
                None => self.run(request).await,
            });
        }
        all
    }

    async fn edit(&self, call: &mut Call<'_>, edit: &Edit) -> Result<Prepared, Status> {
        let existing = call.existing()?;
        let mut value = existing.value().duplicate();
        edit.run(&mut *value)?;
        self.update(call, &existing, value, None).await
    }
}
