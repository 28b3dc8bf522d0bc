//! Get and list.

use std::sync::Arc;

use coracle_core::{Kind, Object, ObjectKey, Revision, Status};

use super::options::{ListOptions, VersionMatch, parse_revision};
use super::past::continue_refused;
use super::selection::Selection;
use super::token::Token;
use super::{Reader, store_status};

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Listing {
    /// In key order.
    pub objects: Vec<Arc<Object>>,
    /// The revision that the whole list shows.
    pub revision: Revision,
    /// Where the next page begins; `None` if there is none.
    pub continue_token: Option<String>,
    /// How many objects follow; `None` if there are none, or selectors make the number unknown.
    pub remaining: Option<u64>,
}

/// Which state a list shows.
enum Point {
    Newest,
    AtLeast(Revision),
    Exactly(Revision),
    /// From where an earlier page ended.
    Continued(Token),
}

impl Reader {
    /// One object by name.
    ///
    /// # Errors
    /// 404 if there is none, 504 if this server has not seen the revision that is asked for.
    pub async fn get(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        resource_version: &str,
    ) -> Result<Arc<Object>, Status> {
        let world = match parse_revision(resource_version)? {
            Some(revision) => self.at_least(revision).await?,
            None => self.newest().await?,
        };
        let key = ObjectKey::new(namespace, name);
        let found = world.object(&kind.storage, key.as_str()).cloned();
        let not_found = || Status::not_found(&kind.group_resource(), name);
        let found = self.in_version(kind, vec![found.ok_or_else(not_found)?]).await?.pop();
        found.ok_or_else(not_found)
    }

    /// One page of the objects of a selection. The options must be valid.
    ///
    /// # Errors
    /// 410 if the revision asked for is forgotten, 504 if this server has not seen it, 400 for a bad continue token.
    pub async fn list(&self, selection: &Selection, options: &ListOptions) -> Result<Listing, Status> {
        let listing = self.kept_list(selection, options).await?;
        let objects = self.in_version(selection.kind(), listing.objects).await?;
        Ok(Listing { objects, ..listing })
    }

    async fn kept_list(&self, selection: &Selection, options: &ListOptions) -> Result<Listing, Status> {
        let limit = usize::try_from(options.limit).unwrap_or(usize::MAX);
        match point(options)? {
            Point::Newest => Ok(present(selection, &*self.newest().await?, "", limit)),
            Point::AtLeast(revision) => Ok(present(selection, &*self.at_least(revision).await?, "", limit)),
            Point::Continued(Token { revision: None, start }) => {
                Ok(present(selection, &*self.newest().await?, &start, limit))
            }
            Point::Exactly(revision) => {
                self.at_least(revision).await?;
                self.past(selection, revision, "", limit).await.map_err(store_status)
            }
            Point::Continued(Token { revision: Some(revision), start }) => {
                let past = self.past(selection, revision, &start, limit).await;
                past.map_err(|error| continue_refused(error, &start))
            }
        }
    }

    async fn past(
        &self,
        selection: &Selection,
        at: Revision,
        start: &str,
        limit: usize,
    ) -> Result<Listing, coracle_store::Error> {
        // What the store has forgotten is gone for clients, even if the journal could still tell: lists must not depend
        // on which server answers.
        self.check_readable(at).await?;
        if let Some(candidates) = self.recent_past(selection, at, start) {
            return Ok(page(selection, candidates, at, limit));
        }
        let limit = if limit == 0 { usize::MAX } else { limit };
        let (objects, remaining) = self.stored_past(selection, at, start, limit).await?;
        Ok(listing(selection, objects, at, remaining))
    }
}

fn point(options: &ListOptions) -> Result<Point, Status> {
    let revision = options.revision()?;
    if !options.continue_token.is_empty() {
        if revision.is_some() {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        return Token::decode(&options.continue_token).map(Point::Continued);
    }
    Ok(match (revision, &options.version_match) {
        (None, _) => Point::Newest,
        (Some(revision), VersionMatch::Exact) => Point::Exactly(revision),
        (Some(revision), VersionMatch::Unset) if options.limit > 0 => Point::Exactly(revision),
        (Some(revision), _) => Point::AtLeast(revision),
    })
}

fn present(selection: &Selection, world: &coracle_core::World, start: &str, limit: usize) -> Listing {
    page(selection, selection.candidates(world, start), world.revision(), limit)
}

/// The first `limit` candidates that are meant, all of them if `limit` is zero.
fn page(selection: &Selection, candidates: Vec<Arc<Object>>, revision: Revision, limit: usize) -> Listing {
    let limit = if limit == 0 { usize::MAX } else { limit };
    let mut candidates = candidates.into_iter();
    let objects: Vec<_> = candidates.by_ref().filter(|object| selection.matches(object)).take(limit).collect();
    let remaining = if objects.len() < limit { 0 } else { candidates.len() as u64 };
    listing(selection, objects, revision, remaining)
}

fn listing(selection: &Selection, objects: Vec<Arc<Object>>, revision: Revision, remaining: u64) -> Listing {
    let last = objects.last().filter(|_| remaining > 0);
    let continue_token = last.map(|last| Token::after(last.key().as_str(), revision).encode());
    let countable = continue_token.is_some() && !selection.is_narrowed();
    Listing { objects, revision, continue_token, remaining: countable.then_some(remaining) }
}
