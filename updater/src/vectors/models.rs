//! The models that a catalog's items are to have vectors of: the one that lists go by, and the one that they are to go by.

use embed::{Embedder, Find};
use recommend::CatalogDefinition;
use std::sync::Arc;

/// Of one catalog, as far as they are there.
pub(super) struct Models {
    serving: Option<Arc<dyn Embedder>>,
    /// The version that lists go by, whether or not its model is there.
    served: Option<String>,
    wanted: Option<Arc<dyn Embedder>>,
    /// Why the wanted one is not there.
    trouble: Option<String>,
}

impl Models {
    /// The models of a definition.
    pub(super) async fn find(models: &dyn Find, definition: &CatalogDefinition) -> Self {
        let wanted = match definition.embedder.model() {
            // Only an endpoint does not know by itself how long its vectors are.
            Some((kind @ "endpoint", name)) => models.find(kind, name, Some(definition.dimension)).await,
            Some((kind, name)) => models.find(kind, name, None).await,
            None => Err("the catalog has no embedder".into()),
        };
        let (wanted, trouble) = match wanted {
            Ok(model) => (Some(model), None),
            Err(why) => (None, Some(why)),
        };
        let mut serving = None;
        if let Some(of) = &definition.serving {
            let is_it = |model: &Arc<dyn Embedder>| model.version() == of.version && model.dimension() == of.dimension;
            serving = wanted.clone().filter(is_it);
            if serving.is_none()
                && let Some((kind, name)) = of.embedder.model()
            {
                // Its folder may hold another by now; then what comes waits for the new one.
                serving = models.find(kind, name, Some(of.dimension)).await.ok().filter(is_it);
            }
        }
        let served = definition.serving.as_ref().map(|of| of.version.clone());
        Self { serving, served, wanted, trouble }
    }

    /// Why the model that the definition names is not there, if so.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Those that are there, each once.
    pub(super) fn each(&self) -> Vec<&Arc<dyn Embedder>> {
        let to_come = self.wanted.as_ref().filter(|model| self.served.as_deref() != Some(model.version()));
        self.serving.iter().chain(to_come).collect()
    }

    /// Versions that items are to have vectors of.
    pub(super) fn versions(&self) -> Vec<&str> {
        self.each().into_iter().map(|model| model.version()).collect()
    }

    /// Versions whose vectors are not to be let go of.
    fn kept(&self) -> Vec<&str> {
        let mut kept = self.versions();
        kept.extend(self.served.as_deref().filter(|served| !kept.contains(served)));
        kept
    }

    /// Names what a walk looks for.
    pub(super) fn name(&self) -> String {
        format!("{}\n{}", self.versions().join("\n"), self.served.as_deref().unwrap_or_default())
    }

    /// The model that lists are to go by, and do not yet.
    pub(super) fn to_come(&self) -> Option<&Arc<dyn Embedder>> {
        self.wanted.as_ref().filter(|model| self.served.as_deref() != Some(model.version()))
    }

    /// Whether something is to be done to an item.
    pub(super) fn want(&self, item: &recommend::Item) -> bool {
        let Some(text) = &item.text else { return false };
        let kept = self.kept();
        self.versions().iter().any(|version| text.needs(version))
            || self.wanted.is_some() && text.vectors.iter().any(|made| !kept.contains(&&*made.model))
    }

    /// Lets go of an item's vectors of models that are neither serving nor wanted; if one is wanted that is not there, it may
    /// be back soon, and those that it made are kept.
    pub(super) fn drop_others(&self, item: &mut recommend::Item) {
        if let (Some(text), true) = (&mut item.text, self.wanted.is_some()) {
            text.keep_only(&self.kept());
        }
    }
}
