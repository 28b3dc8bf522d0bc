//! Kinds whose versions a webhook converts: a request works in the version it asks for, as if that were the one kept. What is
//! there is converted before, the draft after.

use std::sync::Arc;

use bytes::Bytes;
use coracle_core::{Kind, Status};

use super::ledger::Draft;
use super::{Call, Pipeline};
use crate::custom::{Converter, api_version_of, needs_webhook, standing_alone};

impl Pipeline {
    /// Turns a call to the version it asks for. Says whether its draft has to be converted back.
    pub(super) async fn ask_in_version(&self, call: &mut Call<'_>) -> Result<bool, Status> {
        if !needs_webhook(&call.kind) {
            return Ok(false);
        }
        let alone = Arc::new(standing_alone(&call.kind));
        if let Some(kept) = call.world.at(&call.place()).cloned() {
            call.is_outdated = api_version_of(kept.stored()) != call.stored.api_version();
            let converter = Converter::new(&*self.outbound, &self.entropy, &call.world);
            call.converted = converter.objects(&alone, vec![kept]).await?.pop();
        }
        call.kind = alone.clone();
        call.stored = alone;
        Ok(true)
    }

    /// The draft in the version that is kept.
    pub(super) async fn keep_in_version(
        &self,
        call: &Call<'_>,
        draft: Draft,
        kept: Arc<Kind>,
    ) -> Result<Draft, Status> {
        let Some((_, json)) = draft.version else { return Ok(Draft { kind: kept, ..draft }) };
        let json = serde_json::from_slice(&json).map_err(Status::internal)?;
        let converter = Converter::new(&*self.outbound, &self.entropy, &call.world);
        let converted = converter.convert(&kept, vec![json]).await?.pop().unwrap_or_default();
        let json = Bytes::from(converted.to_string());
        let value = kept.codec.decode(&json).map_err(Status::internal)?;
        let json = value.encode().map_err(Status::internal)?.into();
        Ok(Draft { kind: kept, version: Some((value, json)), ..draft })
    }
}
